//! Compiles the kernel side: one object, with the offsets of the kernel's structures left for the loader (CO-RE).

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");

    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let object = out_dir.join("weir.bpf.o");
    let target_endianness =
        env::var("CARGO_CFG_TARGET_ENDIAN").expect("cargo sets the target's endianness");
    let target_arch =
        env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets the target's architecture");
    let bpf_target = if target_endianness == "big" {
        "bpfeb"
    } else {
        "bpfel"
    };

    let mut command = Command::new(&clang);
    // The instruction set is named, so that the version of clang does not decide which kernels accept the object.
    command
        .args([
            "-target",
            bpf_target,
            "-mcpu=v2",
            "-g",
            "-O2",
            "-c",
            "bpf/weir.bpf.c",
            "-o",
        ])
        .arg(&object)
        .args([
            "-Ibpf",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-parameter",
            "-fno-stack-protector",
            "-fno-asynchronous-unwind-tables",
            "-ffile-prefix-map=bpf=.",
        ]);
    // Debian keeps the kernel's <asm/types.h> under the name of the machine.
    command.arg(format!("-I/usr/include/{target_arch}-linux-gnu"));

    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            panic!(
                "{clang} could not compile bpf/weir.bpf.c (it needs the headers of libbpf: `apt-get install \
                 libbpf-dev`):\n{}",
                String::from_utf8_lossy(&output.stderr)
            )
        }
        Err(error) => {
            panic!(
                "cannot run {clang}: {error}; install it (`apt-get install clang`) or name another with CLANG"
            )
        }
    }
    println!("cargo:rustc-env=WEIR_BPF_OBJECT={}", object.display());
}
