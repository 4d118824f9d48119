use weir_ebpf::events::ControlEvent;

use super::*;

/// Beyond the largest pid that Linux gives: no such process is on this machine.
const PID: u32 = 5_000_000;

#[test]
fn the_start_is_found_behind_any_name() {
    let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 10 18446744073709551615";
    assert_eq!(start_ticks(stat), Some(4242));
    assert_eq!(start_ticks("7 (short) S"), None);
}

fn processes() -> Processes {
    Processes::new("/nonexistent".as_ref(), "node-1".into(), Vec::new())
}

fn owner(pid: u32, exec_id: u32, comm: &str) -> Owner {
    let mut owner = Owner {
        start_ns: u64::from(pid) * NANOS_PER_TICK,
        cgroup_id: u64::MAX,
        pid,
        exec_id,
        comm: [0; 16],
    };
    owner.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    owner
}

/// The members of records that say which process they are about, as the kernel writes them.
fn record(kind: u32, second: u32, process: &Owner) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(second.to_ne_bytes());
    bytes.extend(0_u64.to_ne_bytes());
    bytes.extend(process.start_ns.to_ne_bytes());
    bytes.extend(process.cgroup_id.to_ne_bytes());
    bytes.extend(process.pid.to_ne_bytes());
    bytes.extend(process.exec_id.to_ne_bytes());
    bytes.extend(process.comm);
    bytes
}

fn execute(processes: &mut Processes, process: &Owner, filename: &str, names: &[u8]) {
    let mut bytes = record(6, filename.len() as u32, process);
    bytes.extend((names.len() as u32).to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    let mut texts = vec![0; 256 + 512];
    texts[..filename.len()].copy_from_slice(filename.as_bytes());
    texts[256..256 + names.len()].copy_from_slice(names);
    bytes.extend(texts);
    let Some(ControlEvent::ProcessExec(event)) = ControlEvent::read(&bytes) else {
        panic!("a record of an exec");
    };
    processes.executed(&event);
}

fn fork(processes: &mut Processes, parent: &Owner, child: &Owner) {
    let mut bytes = record(10, parent.pid, child);
    bytes.extend(parent.start_ns.to_ne_bytes());
    bytes.extend(parent.exec_id.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    let Some(ControlEvent::ProcessFork(event)) = ControlEvent::read(&bytes) else {
        panic!("a record of a fork");
    };
    processes.forked(&event);
}

fn exe_and_service(processes: &mut Processes, owner: &Owner) -> (Option<String>, Option<String>) {
    let process = processes.resolve(owner).expect("a known owner");
    (
        process.exe.as_deref().map(str::to_owned),
        process.service.as_deref().map(str::to_owned),
    )
}

fn some(exe: &str, service: &str) -> (Option<String>, Option<String>) {
    (Some(exe.to_owned()), Some(service.to_owned()))
}

#[test]
fn a_program_that_has_ended_is_known_by_the_file_that_was_executed() {
    let mut processes = processes();
    let python = owner(PID, 3, "serve.py");
    // A script by a relative path: the file is that of its interpreter.
    execute(
        &mut processes,
        &python,
        "./serve.py",
        b"python3.11\0bin\0usr\0",
    );
    processes.ended(&python);
    assert_eq!(
        exe_and_service(&mut processes, &python),
        some("/usr/bin/python3.11", "python3.11")
    );
    // Of a path that is too long the one given to execve(2) is left.
    let deep = owner(PID + 1, 1, "deep");
    execute(&mut processes, &deep, "/srv/deep", b"");
    assert_eq!(
        exe_and_service(&mut processes, &deep),
        some("/srv/deep", "deep")
    );
    let relative = owner(PID + 2, 1, "deep");
    execute(&mut processes, &relative, "./deep", b"");
    assert_eq!(
        exe_and_service(&mut processes, &relative),
        (None, Some("deep".to_owned()))
    );
}

#[test]
fn one_process_may_run_several_programs_and_each_keeps_its_own_rows() {
    let mut processes = processes();
    let (shell, nginx) = (owner(PID, 1, "sh"), owner(PID, 2, "nginx"));
    execute(&mut processes, &shell, "/bin/sh", b"sh\0bin\0");
    execute(
        &mut processes,
        &nginx,
        "/usr/sbin/nginx",
        b"nginx\0sbin\0usr\0",
    );
    processes.serves(&nginx, 443);
    processes.serves(&nginx, 80);
    assert_eq!(
        exe_and_service(&mut processes, &shell),
        some("/bin/sh", "sh")
    );
    assert_eq!(
        exe_and_service(&mut processes, &nginx),
        some("/usr/sbin/nginx", "nginx:80")
    );
}

#[test]
fn a_child_runs_what_its_parent_runs_and_serves_where_it_serves() {
    let mut processes = processes();
    let parent = owner(PID, 1, "gunicorn");
    execute(
        &mut processes,
        &parent,
        "/usr/bin/python3",
        b"python3\0bin\0usr\0",
    );
    processes.serves(&parent, 8000);
    let (child, curl) = (owner(PID + 1, 1, "gunicorn"), owner(PID + 1, 2, "curl"));
    fork(&mut processes, &parent, &child);
    assert_eq!(
        exe_and_service(&mut processes, &child),
        some("/usr/bin/python3", "python3:8000")
    );
    execute(&mut processes, &curl, "/usr/bin/curl", b"curl\0bin\0usr\0");
    assert_eq!(
        exe_and_service(&mut processes, &curl),
        some("/usr/bin/curl", "curl"),
        "another program serves nothing yet"
    );
}

#[test]
fn an_owner_is_told_anew_only_when_something_about_it_is_new() {
    let mut processes = processes();
    let server = owner(PID, 1, "server");
    let before = processes.resolve(&server).expect("a known owner");
    processes.serves(&owner(PID + 1, 1, "other"), 80);
    let same = processes.resolve(&server).expect("a known owner");
    assert!(Arc::ptr_eq(&before, &same));
    let version = processes.version();
    processes.serves(&server, 80);
    assert_ne!(processes.version(), version);
    let after = processes.resolve(&server).expect("a known owner");
    assert_eq!(after.service.as_deref(), Some("server:80"));
}

#[test]
fn a_rule_sees_the_ports_of_the_process() {
    let rule = ServiceRule::new("shop", Vec::new(), vec![8000]).expect("a rule");
    let mut processes = Processes::new("/nonexistent".as_ref(), "node-1".into(), vec![rule]);
    let server = owner(PID, 1, "python3");
    let service = |processes: &mut Processes| {
        let process = processes.resolve(&server).expect("a known owner");
        process.service.as_deref().map(str::to_owned)
    };
    assert_eq!(service(&mut processes).as_deref(), Some("python3"));
    processes.serves(&server, 8000);
    assert_eq!(service(&mut processes).as_deref(), Some("shop"));
}

#[test]
fn many_processes_that_come_and_go_take_no_more_room_than_the_last_of_them() {
    let mut processes = processes();
    let server = owner(PID, 1, "server");
    execute(&mut processes, &server, "/srv/server", b"server\0srv\0");
    for pid in PID + 1..PID + 150_000 {
        let (child, program) = (owner(pid, 1, "server"), owner(pid, 2, "curl"));
        fork(&mut processes, &server, &child);
        execute(
            &mut processes,
            &program,
            "/usr/bin/curl",
            b"curl\0bin\0usr\0",
        );
        processes.ended(&program);
    }
    assert!(
        processes.known.len() <= 2 * ENDED_KEPT,
        "{}",
        processes.known.len()
    );
    assert!(processes.ended.len() <= ENDED_KEPT);
    let mut ledger = Ledger::default();
    processes.second(&mut ledger);
    assert_eq!(
        ledger.totals().count(),
        0,
        "nothing was forgotten too early"
    );
    let last = owner(PID + 149_999, 2, "curl");
    assert_eq!(
        exe_and_service(&mut processes, &last),
        some("/usr/bin/curl", "curl")
    );
    assert_eq!(
        exe_and_service(&mut processes, &server),
        some("/srv/server", "server")
    );
}

#[test]
fn processes_whose_end_was_lost_are_forgotten_at_the_limit_and_counted() {
    let mut processes = processes();
    let server = owner(PID, 1, "server");
    execute(&mut processes, &server, "/srv/server", b"server\0srv\0");
    let forks = 2 * KEPT as u32;
    for pid in PID + 1..=PID + forks {
        fork(&mut processes, &server, &owner(pid, 1, "server"));
        assert!(processes.known.len() <= KEPT);
    }
    let mut ledger = Ledger::default();
    processes.second(&mut ledger);
    let totals: Vec<_> = ledger.totals().collect();
    let [(key, loss)] = totals.as_slice() else {
        panic!("one reason: {totals:?}");
    };
    assert_eq!((key.stage, key.reason), ("identity", "process_forgotten"));
    let left = processes.known.len() as u64;
    assert_eq!(loss.events + left, u64::from(forks) + 1);
    assert_eq!(
        exe_and_service(&mut processes, &server),
        some("/srv/server", "server"),
        "what is used is not forgotten"
    );
}
