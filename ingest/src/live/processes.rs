//! From what the kernel says of an owner to the columns of a row.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use weir_ebpf::cgroup;
use weir_ebpf::events::{Owner, ProcessEvent};
use weir_storage::Process;

use super::container::container_id;

/// Processes kept after they ended: their sockets may live on in others, and their records may still be in the ring.
const ENDED_KEPT: usize = 4096;
/// Processes and cgroups kept at most.
const KEPT: usize = 65_536;
/// The kernel counts the start of a process in nanoseconds, `/proc/<pid>/stat` in hundredths of a second.
const NANOS_PER_TICK: u64 = 10_000_000;

/// A process for ever: pids are used again, with another start.
type ProcessKey = (u32, u64);

/// What is known of processes, by pid and start.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: FxHashMap<ProcessKey, Known>,
    ended: VecDeque<ProcessKey>,
    cgroups: FxHashMap<u64, Option<Arc<str>>>,
}

#[derive(Debug, Default)]
struct Known {
    /// What the process executed last, as it was given to execve(2).
    executed: Option<Arc<str>>,
    resolved: Option<Resolved>,
}

#[derive(Debug)]
struct Resolved {
    comm: [u8; 16],
    cgroup_id: u64,
    process: Arc<Process>,
}

impl Processes {
    /// A process began to run another program.
    pub(super) fn executed(&mut self, event: &ProcessEvent) {
        self.make_room();
        let filename = event.filename();
        let known = self
            .known
            .entry((event.process.pid, event.process.start_ns))
            .or_default();
        // A relative path says little without the directory it was given in.
        known.executed = filename.starts_with('/').then(|| filename.into());
        known.resolved = None;
    }

    /// A process ended.
    pub(super) fn ended(&mut self, owner: &Owner) {
        self.ended.push_back((owner.pid, owner.start_ns));
        if self.ended.len() > ENDED_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The columns for an owner; `None` for the unknown one.
    pub(super) fn resolve(&mut self, owner: &Owner) -> Option<Arc<Process>> {
        if owner.pid == 0 {
            return None;
        }
        let key = (owner.pid, owner.start_ns);
        if let Some(Known {
            resolved: Some(resolved),
            ..
        }) = self.known.get(&key)
            && resolved.comm == owner.comm
            && resolved.cgroup_id == owner.cgroup_id
        {
            return Some(Arc::clone(&resolved.process));
        }
        self.make_room();
        let cgroup = self.cgroup_path(owner);
        let known = self.known.entry(key).or_default();
        let exe = executable(owner).or_else(|| known.executed.clone());
        let process = Arc::new(Process {
            pid: i64::from(owner.pid),
            name: Some(owner.name().into()),
            exe,
            container_id: cgroup.as_deref().and_then(container_id).map(Arc::from),
            cgroup,
            ..Process::default()
        });
        known.resolved = Some(Resolved {
            comm: owner.comm,
            cgroup_id: owner.cgroup_id,
            process: Arc::clone(&process),
        });
        Some(process)
    }

    fn cgroup_path(&mut self, owner: &Owner) -> Option<Arc<str>> {
        if let Some(path) = self.cgroups.get(&owner.cgroup_id) {
            return path.clone();
        }
        if self.cgroups.len() >= KEPT {
            self.cgroups.clear();
        }
        // The id of a cgroup is never used again, so "gone" stays true.
        let path = cgroup::path_of(owner.cgroup_id).map(Arc::from);
        self.cgroups.insert(owner.cgroup_id, path.clone());
        path
    }

    /// Forgets everything when there is too much: what lives is looked up again.
    fn make_room(&mut self) {
        if self.known.len() >= KEPT {
            self.known.clear();
            self.ended.clear();
        }
    }
}

/// The executable of a process that still runs.
fn executable(owner: &Owner) -> Option<Arc<str>> {
    let directory = PathBuf::from(format!("/proc/{}", owner.pid));
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    if start_ticks(&stat)? != owner.start_ns / NANOS_PER_TICK {
        return None;
    }
    let path = fs::read_link(directory.join("exe")).ok()?;
    let path = path.to_string_lossy();
    // The kernel marks an executable that was replaced while it runs, by an upgrade for instance.
    Some(path.strip_suffix(" (deleted)").unwrap_or(&path).into())
}

/// Field 22 of `/proc/<pid>/stat`: the start of the process. The name in field 2 may hold anything, up to the last `)`.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 10 18446744073709551615";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(start_ticks("7 (short) S"), None);
    }
}
