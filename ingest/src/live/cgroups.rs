//! What is known of cgroups, by the ids that the kernel gives.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use weir_ebpf::cgroup;
use weir_ebpf::events::{CgroupEvent, Owner};

use super::recent::Recent;
use crate::identity::{Group, NodeFiles};

/// Cgroups kept at most.
const KEPT: usize = 16_384;
/// Seconds after which the files of the node are asked again, one time after the other: the kubelet and the runtimes write
/// some of them when a container has begun to run already.
const ASK_AGAIN: [u64; 5] = [1, 2, 5, 15, 60];

/// Groups of processes by the id of their cgroup.
#[derive(Debug)]
pub(super) struct Cgroups {
    known: Recent<u64, Known>,
    files: NodeFiles,
    node: Arc<str>,
    seconds: u64,
    /// How many wait to be asked for again.
    incomplete: usize,
}

#[derive(Debug, Default)]
struct Known {
    path: Option<Arc<str>>,
    group: Option<Arc<Group>>,
    /// How often the files were asked again.
    asked_again: usize,
    /// When to look again for what was not found.
    next_second: u64,
}

impl Cgroups {
    pub(super) fn new(host_root: &Path, node: Arc<str>) -> Self {
        Self {
            known: Recent::new(KEPT),
            files: NodeFiles::new(host_root),
            node,
            seconds: 0,
            incomplete: 0,
        }
    }

    /// A cgroup was made: its path is known, however soon it is gone again.
    pub(super) fn created(&mut self, event: &CgroupEvent) {
        if let Some(path) = event.path() {
            self.known.entry(event.id, Known::default).path = Some(path.into());
        }
    }

    /// The group that a process is in; `None` where its cgroup is gone and nobody knew it.
    pub(super) fn group(&mut self, owner: &Owner) -> Option<Arc<Group>> {
        let known = self.known.entry(owner.cgroup_id, Known::default);
        if let Some(group) = &known.group {
            return Some(Arc::clone(group));
        }
        if known.path.is_none() && self.seconds >= known.next_second {
            known.path = path_of(owner).map(Arc::from);
            known.next_second = self.seconds + 1;
        }
        let path = known.path.as_ref()?;
        let group = Arc::new(Group::of(path, &mut self.files, &self.node));
        if group.is_incomplete {
            known.next_second = self.seconds + ASK_AGAIN[0];
            self.incomplete += 1;
        }
        known.group = Some(Arc::clone(&group));
        Some(group)
    }

    /// A second has passed: asks again about what was not there yet. Returns whether something new is known.
    pub(super) fn second(&mut self) -> bool {
        self.seconds += 1;
        if self.incomplete == 0 {
            return false;
        }
        let (seconds, mut is_new, mut incomplete) = (self.seconds, false, 0);
        for known in self.known.values_mut() {
            let (Some(group), Some(path)) = (&known.group, &known.path) else {
                continue;
            };
            if !group.is_incomplete || known.asked_again >= ASK_AGAIN.len() {
                continue;
            }
            if seconds >= known.next_second {
                known.asked_again += 1;
                let again = Group::of(path, &mut self.files, &self.node);
                if again != **group {
                    known.group = Some(Arc::new(again));
                    is_new = true;
                }
                if let Some(wait) = ASK_AGAIN.get(known.asked_again) {
                    known.next_second = seconds + wait;
                }
            }
            incomplete += 1;
        }
        self.incomplete = incomplete;
        is_new
    }

    /// Files about containers that could not be used, since this was asked last.
    pub(super) fn take_failures(&mut self) -> u64 {
        self.files.take_failures()
    }

    /// Cgroups forgotten because there were too many, since this was asked last.
    pub(super) fn take_forgotten(&mut self) -> u64 {
        self.known.take_forgotten()
    }
}

/// From the hierarchy as it is mounted here, or else as the process sees it.
fn path_of(owner: &Owner) -> Option<String> {
    cgroup::path_of(owner.cgroup_id).or_else(|| {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", owner.pid)).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let is_gone = path.ends_with(" (deleted)");
        (!is_gone).then(|| path.to_owned())
    })
}
