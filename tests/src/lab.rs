//! What every end-to-end test has of its own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::answer::Row;
use crate::requirement::{obstacle, skip};
use crate::{Cgroup, Place, Weir, weir};

/// Tests take turns: a slow machine that runs several load tests and captures at once proves nothing.
static TURN: Mutex<()> = Mutex::new(());

/// A cgroup and a directory of one test.
#[derive(Debug)]
pub struct Lab {
    cgroup: Cgroup,
    directory: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// A lab for the test of this name, which needs capture and these programs (and `/usr/bin/python3`, always).
    ///
    /// `None`, after saying why, where the machine lacks something.
    pub fn new(name: &str, programs: &[&str]) -> Option<Self> {
        // A test that failed while it had its turn has cleaned up like any other.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut needed = vec![crate::place::PYTHON];
        needed.extend(programs);
        if let Some(why) = obstacle(&needed) {
            skip(name, &why);
            return None;
        }
        Some(Self {
            cgroup: Cgroup::new(name),
            directory: tempfile::Builder::new()
                .prefix("weir-test-")
                .tempdir()
                .expect("a temporary directory can be made"),
            _turn: turn,
        })
    }

    /// The cgroup that weir watches.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Inside the cgroup that weir watches.
    pub fn inside(&self) -> Place<'_> {
        Place::OUTSIDE.in_cgroup(&self.cgroup)
    }

    /// The test's directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where weir keeps its files.
    pub fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// The number of eBPF programs attached to the cgroup, as the kernel tells it.
    pub fn attached(&self) -> u32 {
        let path = self.cgroup.path().to_str();
        let path = path.expect("cgroup paths are UTF-8");
        let answer = Place::OUTSIDE.run_python("bpf_attached.py", &[path]);
        answer.trim().parse().expect("the peer writes a number")
    }

    /// Starts weir on the cgroup and waits until it captures.
    pub fn weir(&self) -> Weir {
        self.weir_with(&[])
    }

    /// Starts weir with these options too.
    pub fn weir_with(&self, options: &[&str]) -> Weir {
        self.weir_in(&[], options)
    }

    /// Starts weir with these environment variables and options too.
    pub fn weir_in(&self, environment: &[(&str, String)], options: &[&str]) -> Weir {
        let (data, directory) = (self.data(), self.directory());
        Weir::start(&self.cgroup, &data, directory, environment, options)
    }

    /// Starts another weir, on this cgroup and with a data directory of this name.
    pub fn another_weir(&self, cgroup: &Cgroup, data: &str, options: &[&str]) -> Weir {
        let data = self.directory().join(data);
        Weir::start(cgroup, &data, self.directory(), &[], options)
    }

    /// Starts weir in a time namespace whose monotonic clock is so many seconds ahead.
    pub fn weir_in_time_namespace(&self, ahead: &str) -> Weir {
        let (data, directory) = (self.data(), self.directory());
        Weir::start_in_time_namespace(&self.cgroup, &data, directory, ahead)
    }

    /// What `weir sql` answers from the data directory alone.
    pub fn offline(&self, sql: &str) -> Vec<Row> {
        offline(&self.data(), sql)
    }
}

/// What `weir sql` answers from a data directory alone.
pub fn offline(data: &Path, sql: &str) -> Vec<Row> {
    let data = data.to_str().expect("temporary directories are UTF-8");
    Row::all(&weir(&["sql", sql, "--data", data, "--format", "json"]).text())
}
