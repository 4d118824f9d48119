//! The single examinations.

use std::fs;
use std::path::Path;

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{is_map_supported, is_program_supported};
use nix::sys::utsname::uname;

use super::{DoctorOptions, Item, Status};
use crate::cgroup::{self, Missing};
use crate::kernel::{can_tell_sender, describe};

/// The rights that capture needs.
pub(super) const CAPABILITIES: &str = "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
/// How to get them.
pub(super) const RIGHTS_REMEDY: &str = "run as root, or give the binary what it needs: setcap \
     cap_bpf,cap_perfmon,cap_net_admin,cap_sys_ptrace,cap_dac_read_search+ep weir";

const SYSTEM: &str = "system";
const RIGHTS: &str = "rights";
const TYPES: &str = "program types and maps";
const BTF: &str = "/sys/kernel/btf/vmlinux";

pub(super) fn system(options: &DoctorOptions) -> Vec<Item> {
    vec![
        kernel_version(),
        btf(),
        cgroup_mount(),
        targets(options),
        jit(),
        lockdown(),
        tracefs(),
    ]
}

fn kernel_version() -> Item {
    let Ok(name) = uname() else {
        return Item::new(SYSTEM, "kernel", Status::Missing, "uname(2) failed");
    };
    let release = name.release().to_string_lossy().into_owned();
    let machine = name.machine().to_string_lossy().into_owned();
    let status = match parse_release(&release) {
        Some(version) if version >= (5, 8) => Status::Ok,
        _ => Status::Missing,
    };
    Item::new(
        SYSTEM,
        "kernel",
        status,
        format!("Linux {release} {machine}"),
    )
    .costing("nothing can be captured")
    .mended_by("weir needs Linux 5.8 or later, 5.12 for everything")
}

/// Major and minor version of a kernel release like `6.1.0-28-amd64`.
pub(super) fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn btf() -> Item {
    match fs::File::open(BTF) {
        Ok(_) => Item::new(SYSTEM, "BTF", Status::Ok, BTF),
        Err(error) => Item::new(SYSTEM, "BTF", Status::Missing, format!("{BTF}: {error}"))
            .costing("nothing can be captured: the programs cannot find the kernel's structures")
            .mended_by(
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution's is)",
            ),
    }
}

fn cgroup_mount() -> Item {
    match cgroup::mount_point() {
        Some(path) => Item::new(SYSTEM, "cgroup v2", Status::Ok, format!("mounted at {}", path.display())),
        None => Item::new(SYSTEM, "cgroup v2", Status::Missing, "not mounted")
            .costing("nothing can be captured")
            .mended_by("mount -t cgroup2 none /sys/fs/cgroup/unified (after mkdir), or boot with systemd.unified_cgroup_hierarchy=1"),
    }
}

fn targets(options: &DoctorOptions) -> Item {
    match cgroup::targets(&options.cgroups, &[], Missing::Refuse) {
        Ok(targets) => {
            let paths: Vec<String> = targets
                .iter()
                .map(|target| target.path.display().to_string())
                .collect();
            Item::new(SYSTEM, "cgroups to capture", Status::Ok, paths.join(", "))
        }
        Err(error) => Item::new(
            SYSTEM,
            "cgroups to capture",
            Status::Missing,
            error.to_string(),
        )
        .costing("nothing can be captured")
        .mended_by("name an existing cgroup with --cgroup, or none for the whole machine"),
    }
}

fn jit() -> Item {
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable") {
        Ok(value) if value.trim() == "0" => Item::new(SYSTEM, "BPF JIT", Status::Missing, "off")
            .costing("nothing, but every program costs several times as much")
            .mended_by("sysctl net.core.bpf_jit_enable=1"),
        Ok(_) => Item::new(SYSTEM, "BPF JIT", Status::Ok, "on"),
        Err(_) => Item::new(SYSTEM, "BPF JIT", Status::Note, "the kernel does not tell"),
    }
}

fn lockdown() -> Item {
    match fs::read_to_string("/sys/kernel/security/lockdown") {
        Ok(modes) if modes.contains("[confidentiality]") => {
            Item::new(SYSTEM, "lockdown", Status::Refused, "confidentiality")
                .costing("nothing can be captured: programs may not read kernel memory")
                .mended_by("boot with lockdown=integrity or none")
        }
        Ok(modes) => Item::new(SYSTEM, "lockdown", Status::Ok, modes.trim().to_owned()),
        Err(_) => Item::new(SYSTEM, "lockdown", Status::Ok, "not in this kernel"),
    }
}

fn tracefs() -> Item {
    let mounted = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .find(|path| Path::new(path).join("events").is_dir());
    match mounted {
        Some(path) => Item::new(SYSTEM, "tracefs", Status::Ok, format!("mounted at {path}")),
        None => Item::new(
            SYSTEM,
            "tracefs",
            Status::Note,
            "not mounted; weir's tracepoints do not need it",
        ),
    }
}

/// Capabilities that matter, with their bit and what is missed without them.
const WANTED: &[(&str, u32, &str)] = &[
    ("CAP_BPF", 39, "nothing can be captured"),
    ("CAP_PERFMON", 38, "nothing can be captured"),
    ("CAP_NET_ADMIN", 12, "nothing can be captured"),
    (
        "CAP_SYS_PTRACE",
        19,
        "exe stays empty for processes of other users that ran before the capture began",
    ),
    (
        "CAP_DAC_READ_SEARCH",
        2,
        "exe stays empty for processes of other users that ran before the capture began",
    ),
];
const CAP_SYS_ADMIN: u32 = 21;

pub(super) fn rights() -> Vec<Item> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = effective_capabilities(&status).unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    let mut items: Vec<Item> = WANTED
        .iter()
        .map(|(name, bit, costs)| {
            // CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON since before there were these.
            let by_admin = has(CAP_SYS_ADMIN) && matches!(*name, "CAP_BPF" | "CAP_PERFMON");
            let (status, detail) = match (has(*bit), by_admin) {
                (true, _) => (Status::Ok, "held"),
                (false, true) => (Status::Ok, "held, by CAP_SYS_ADMIN"),
                (false, false) => (Status::Missing, "not held"),
            };
            Item::new(RIGHTS, *name, status, detail)
                .costing(*costs)
                .mended_by(RIGHTS_REMEDY)
        })
        .collect();
    items.push(memory_lock());
    items
}

/// The effective capabilities in `/proc/<pid>/status`.
pub(super) fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn memory_lock() -> Item {
    let is_accounted_by_cgroup = uname()
        .ok()
        .and_then(|name| parse_release(&name.release().to_string_lossy()))
        .is_some_and(|it| it >= (5, 11));
    if is_accounted_by_cgroup {
        return Item::new(
            RIGHTS,
            "memory lock",
            Status::Ok,
            "maps count against the cgroup's memory, not RLIMIT_MEMLOCK",
        );
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max locked memory"))
        .unwrap_or_default();
    let status = if line.contains("unlimited") {
        Status::Ok
    } else {
        Status::Note
    };
    Item::new(
        RIGHTS,
        "memory lock",
        status,
        line.split_whitespace().collect::<Vec<_>>().join(" "),
    )
    .mended_by("ulimit -l unlimited, where loading fails")
}

/// The types that can be asked for; those of tracing programs show in the programs themselves, since whether the
/// kernel allows them depends on what they attach to.
pub(super) fn program_types() -> Vec<Item> {
    let programs = [
        (
            "cgroup_skb",
            ProgramType::CgroupSkb,
            "nothing can be captured",
        ),
        (
            "cgroup_sock",
            ProgramType::CgroupSock,
            "pid, process, exe, cgroup and container_id stay empty",
        ),
    ];
    let maps = [
        ("ring buffer", MapType::RingBuf, "nothing can be captured"),
        (
            "socket storage",
            MapType::SkStorage,
            "nothing can be captured",
        ),
    ];
    let mut items = Vec::new();
    for (name, kind, costs) in programs {
        items.push(
            support(
                name,
                is_program_supported(kind).map_err(|error| describe(&error)),
            )
            .costing(costs)
            .mended_by(RIGHTS_REMEDY),
        );
    }
    for (name, kind, costs) in maps {
        items.push(
            support(
                name,
                is_map_supported(kind).map_err(|error| describe(&error)),
            )
            .costing(costs)
            .mended_by(RIGHTS_REMEDY),
        );
    }
    items.push(
        support("current task at packets", Ok(can_tell_sender()))
            .costing("an accepted connection is told as one of the process that listens, not of the worker that serves it")
            .mended_by(RIGHTS_REMEDY),
    );
    items
}

fn support(name: &str, outcome: Result<bool, String>) -> Item {
    match outcome {
        Ok(true) => Item::new(TYPES, name, Status::Ok, "supported"),
        Ok(false) => Item::new(TYPES, name, Status::Missing, "not supported by this kernel"),
        Err(reason) => Item::new(TYPES, name, Status::Refused, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_understood() {
        assert_eq!(parse_release("6.1.0-28-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.15.0"), Some((5, 15)));
        assert_eq!(parse_release("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(parse_release("unknown"), None);
    }

    #[test]
    fn capabilities_are_read_as_hexadecimal() {
        assert_eq!(
            effective_capabilities("Name:\tx\nCapEff:\t000000c000001000\n"),
            Some(0xc0_0000_1000)
        );
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
    }
}
