//! What a test needs of the machine, and what happens where that is missing.
//!
//! A test that cannot run says `skipped: why` and adds a line to the file named by `WEIR_SKIPS`, from which
//! `tools/test.sh` makes its closing summary. With `WEIR_REQUIRE_EBPF=1` (set by `.ci/run`) a skip is a failure on every
//! machine where eBPF works, and whether it works is asked of the kernel, not of weir.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::place::{PYTHON, peer_file};
use crate::{Cgroup, weir};

/// Says that the test of this name is skipped and why; panics where skipping is not allowed.
pub fn skip(test: &str, why: &str) {
    let required = std::env::var_os("WEIR_REQUIRE_EBPF").is_some_and(|value| value == "1");
    assert!(
        !(required && kernel_loads_ebpf()),
        "{test} cannot run ({why}), though eBPF works on this machine"
    );
    println!("skipped: {test}: {why}");
    if let Some(file) = std::env::var_os("WEIR_SKIPS") {
        let file = OpenOptions::new().append(true).create(true).open(file);
        file.and_then(|mut file| writeln!(file, "{test}: {why}"))
            .expect("the file named by WEIR_SKIPS can be written");
    }
}

/// Why a test that needs capture and these programs cannot run here, if so.
pub(crate) fn obstacle(programs: &[&str]) -> Option<String> {
    if let Some(program) = programs.iter().find(|program| !is_installed(program)) {
        return Some(format!(
            "{program} is not installed (tools/setup.sh test installs it)"
        ));
    }
    if Cgroup::mount().is_none() {
        return Some("no cgroup v2 hierarchy is mounted".to_owned());
    }
    what_doctor_misses().map(str::to_owned)
}

/// What `weir doctor` says is missing for capture.
fn what_doctor_misses() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING.get_or_init(ask_doctor).as_deref()
}

fn ask_doctor() -> Option<String> {
    let report = weir(&["doctor", "--json"]);
    let parsed: Value = serde_json::from_slice(&report.stdout).unwrap_or_else(|error| {
        panic!(
            "weir doctor --json did not write JSON ({error}): {}",
            report.stderr
        )
    });
    match parsed["can_capture"].as_bool() {
        Some(true) => return None,
        Some(false) => {}
        None => panic!("weir doctor --json does not say whether capture is possible: {parsed}"),
    }
    let items = parsed["items"].as_array().into_iter().flatten();
    let missing: Vec<String> = items
        .filter(|item| matches!(item["status"].as_str(), Some("missing" | "refused")))
        .map(|item| format!("{}: {}", item["name"], item["detail"]))
        .collect();
    Some(format!(
        "weir doctor says that capture is not possible here: {}",
        missing.join("; ")
    ))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's sbin directories are not on everybody's PATH, yet `sudo` and shells find what is there.
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
        || Path::new(program).is_absolute() && Path::new(program).exists()
}

/// Whether the kernel takes a trivial program, loaded without weir.
fn kernel_loads_ebpf() -> bool {
    static LOADS: OnceLock<bool> = OnceLock::new();
    *LOADS.get_or_init(|| {
        let probe = Command::new(PYTHON).arg(peer_file("bpf_probe.py")).output();
        probe.is_ok_and(|output| output.status.success())
    })
}
