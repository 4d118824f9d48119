//! From what the kernel says of an owner to the columns of a row.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use weir_ebpf::cgroup;
use weir_ebpf::events::{CgroupEvent, ExecEvent, ForkEvent, Owner};
use weir_storage::Process;

use super::cgroups::Cgroups;
use super::recent::Recent;
use crate::identity::{Group, Program, ServiceRule, service_of};
use crate::sink::Ledger;

/// Programs kept after their process ended or went on to another: sockets may live on in other processes, and records
/// may still be in the ring.
const ENDED_KEPT: usize = 4096;
/// Programs kept at most.
const KEPT: usize = 65_536;
/// Ports of one process that are remembered.
const PORTS: usize = 64;
/// The kernel counts the start of a process in nanoseconds, `/proc/<pid>/stat` in hundredths of a second.
const NANOS_PER_TICK: u64 = 10_000_000;
/// Stage of what is lost here.
const STAGE: &str = "identity";

/// What a process runs, for ever: pids are used again, with another start, and a process may execute one program after
/// the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProgramKey {
    pid: u32,
    exec_id: u32,
    start_ns: u64,
}

impl ProgramKey {
    pub(super) fn of(owner: &Owner) -> Self {
        Self {
            pid: owner.pid,
            exec_id: owner.exec_id,
            start_ns: owner.start_ns,
        }
    }
}

/// What is known of processes.
#[derive(Debug)]
pub(super) struct Processes {
    known: Recent<ProgramKey, Known>,
    ended: VecDeque<ProgramKey>,
    /// Executables of the processes that ran already when the capture began, by pid and start in ticks.
    found: FxHashMap<(u32, u64), Arc<str>>,
    cgroups: Cgroups,
    rules: Vec<ServiceRule>,
    /// Changes when names that were told are better known.
    version: u64,
}

#[derive(Debug, Default)]
struct Known {
    exe: Option<Arc<str>>,
    /// On which it serves, in ascending order.
    ports: Vec<u16>,
    resolved: Option<Box<Resolved>>,
}

#[derive(Debug)]
struct Resolved {
    comm: [u8; 16],
    cgroup_id: u64,
    version: u64,
    process: Arc<Process>,
}

impl Processes {
    /// Nothing known yet, of a node whose root is seen at `host_root`.
    pub(super) fn new(host_root: &Path, node: Arc<str>, rules: Vec<ServiceRule>) -> Self {
        Self {
            known: Recent::new(KEPT),
            ended: VecDeque::new(),
            found: FxHashMap::default(),
            cgroups: Cgroups::new(host_root, node),
            rules,
            version: 0,
        }
    }

    /// Looks at the processes that run in these cgroups, so that they are known however soon they end.
    pub(super) fn find<'a>(&mut self, cgroups: impl Iterator<Item = &'a Path>) {
        for pid in cgroups.flat_map(|path| cgroup::processes_below(path, KEPT)) {
            if self.found.len() >= KEPT {
                return;
            }
            if let Some((start_ticks, exe)) = look_at(pid) {
                self.found.insert((pid, start_ticks), exe);
            }
        }
    }

    /// A process began to run another program.
    pub(super) fn executed(&mut self, event: &ExecEvent) {
        let key = ProgramKey::of(&event.process);
        let filename = event.filename();
        // A relative path says little without the directory it was given in.
        let given = filename.starts_with('/').then_some(filename);
        let exe = event
            .exe()
            .map(Arc::from)
            .or_else(|| executable(&event.process))
            .or_else(|| given.map(Arc::from));
        let known = self.known.entry(key, Known::default);
        known.exe = exe;
        // What it ran before is over; a process that ran before the capture began is looked up anew.
        self.keep_for_a_while(ProgramKey {
            exec_id: key.exec_id.wrapping_sub(1),
            ..key
        });
        self.found.remove(&(key.pid, key.start_ns / NANOS_PER_TICK));
        // A cgroup is asked for while it is there.
        self.cgroups.group(&event.process);
    }

    /// A process began as a copy of another: it runs the same program and serves on the same ports.
    pub(super) fn forked(&mut self, event: &ForkEvent) {
        let parent = Owner {
            pid: event.parent_pid,
            exec_id: event.parent_exec_id,
            start_ns: event.parent_start_ns,
            ..event.process
        };
        let (exe, ports) = {
            let parent_known = self.known.entry(ProgramKey::of(&parent), Known::default);
            if parent_known.exe.is_none() {
                parent_known.exe = executable(&parent).or_else(|| {
                    let key = (parent.pid, parent.start_ns / NANOS_PER_TICK);
                    self.found.get(&key).cloned()
                });
            }
            (parent_known.exe.clone(), parent_known.ports.clone())
        };
        let child = self
            .known
            .entry(ProgramKey::of(&event.process), Known::default);
        (child.exe, child.ports) = (exe, ports);
    }

    /// A process ended.
    pub(super) fn ended(&mut self, owner: &Owner) {
        self.keep_for_a_while(ProgramKey::of(owner));
        self.found
            .remove(&(owner.pid, owner.start_ns / NANOS_PER_TICK));
    }

    fn keep_for_a_while(&mut self, key: ProgramKey) {
        self.ended.push_back(key);
        if self.ended.len() > ENDED_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// A cgroup was made.
    pub(super) fn cgroup_created(&mut self, event: &CgroupEvent) {
        self.cgroups.created(event);
    }

    /// A process serves on a port: it listens there, or has what came in there.
    pub(super) fn serves(&mut self, owner: &Owner, port: u16) {
        if owner.pid == 0 || port == 0 {
            return;
        }
        let known = self.known.entry(ProgramKey::of(owner), Known::default);
        if let Err(place) = known.ports.binary_search(&port)
            && known.ports.len() < PORTS
        {
            known.ports.insert(place, port);
            // What was not told yet is told with the port.
            if known.resolved.take().is_some() {
                self.version += 1;
            }
        }
    }

    /// A second has passed.
    pub(super) fn second(&mut self, ledger: &mut Ledger) {
        if self.cgroups.second() {
            self.version += 1;
        }
        for (reason, events) in [
            ("process_forgotten", self.known.take_forgotten()),
            ("cgroup_forgotten", self.cgroups.take_forgotten()),
            ("container_file_unusable", self.cgroups.take_failures()),
        ] {
            ledger.count(STAGE, reason, events, 0);
        }
    }

    /// Changes whenever what was told of an owner may be told better.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The columns for an owner; `None` for the unknown one.
    pub(super) fn resolve(&mut self, owner: &Owner) -> Option<Arc<Process>> {
        if owner.pid == 0 {
            return None;
        }
        let Self {
            known,
            found,
            cgroups,
            rules,
            version,
            ended: _,
        } = self;
        let known = known.entry(ProgramKey::of(owner), Known::default);
        let before = known.resolved.as_ref().filter(|resolved| {
            resolved.comm == owner.comm && resolved.cgroup_id == owner.cgroup_id
        });
        if let Some(resolved) = before
            && resolved.version == *version
        {
            return Some(Arc::clone(&resolved.process));
        }
        let before = before.map(|resolved| Arc::clone(&resolved.process));
        if known.exe.is_none() {
            known.exe = executable(owner).or_else(|| {
                let key = (owner.pid, owner.start_ns / NANOS_PER_TICK);
                found.get(&key).cloned()
            });
        }
        let group = cgroups.group(owner);
        let process = process_of(owner, known, group.as_deref(), rules);
        let process = match before {
            // The same as before stays one value, which is what tables tell rows of one process by.
            Some(before) if *before == process => before,
            _ => Arc::new(process),
        };
        known.resolved = Some(Box::new(Resolved {
            comm: owner.comm,
            cgroup_id: owner.cgroup_id,
            version: *version,
            process: Arc::clone(&process),
        }));
        Some(process)
    }
}

fn process_of(
    owner: &Owner,
    known: &Known,
    group: Option<&Group>,
    rules: &[ServiceRule],
) -> Process {
    let name = owner.name();
    let program = Program {
        name: &name,
        exe: known.exe.as_deref(),
        ports: &known.ports,
    };
    let unknown = Group::default();
    let service = service_of(rules, &program, group.unwrap_or(&unknown));
    Process {
        pid: i64::from(owner.pid),
        start_ns: owner.start_ns,
        exe: known.exe.clone(),
        cgroup: group.map(|group| Arc::clone(&group.path)),
        container_id: group.and_then(|group| group.container_id.clone()),
        pod: group.and_then(|group| group.pod.clone()),
        namespace: group.and_then(|group| group.namespace.clone()),
        workload: group.and_then(|group| group.workload.clone()),
        service: Some(service).filter(|service| !service.is_empty()),
        name: Some(name.into()),
    }
}

/// The executable of a process that still runs.
fn executable(owner: &Owner) -> Option<Arc<str>> {
    let (start_ticks, exe) = look_at(owner.pid)?;
    (start_ticks == owner.start_ns / NANOS_PER_TICK).then_some(exe)
}

/// When a process started, in ticks, and what it executes.
fn look_at(pid: u32) -> Option<(u64, Arc<str>)> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let path = fs::read_link(directory.join("exe")).ok()?;
    let path = path.to_string_lossy();
    // The kernel marks an executable that was replaced while it runs, by an upgrade for instance.
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    Some((start_ticks(&stat)?, path.into()))
}

/// Field 22 of `/proc/<pid>/stat`: the start of the process. The name in field 2 may hold anything, up to the last `)`.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests;
