//! Cgroups of the tests' own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PREFIX: &str = "weir-test-";

/// A cgroup (v2) of one test; what still runs in it is ended, and it is removed, when it goes out of scope.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Where the cgroup v2 hierarchy is mounted, if it is.
    pub fn mount() -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (_device, mount, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(mount))
        })
    }

    /// A new, empty cgroup directly below the root of the hierarchy.
    pub fn new(label: &str) -> Self {
        static SWEEP: Once = Once::new();
        let mount = Self::mount().expect("the requirements said that cgroup v2 is mounted");
        SWEEP.call_once(|| sweep(&mount));
        let path = mount.join(format!("{PREFIX}{}-{label}", std::process::id()));
        fs::create_dir(&path)
            .unwrap_or_else(|error| panic!("cannot make the cgroup {}: {error}", path.display()));
        Self { path }
    }

    /// A new cgroup below this one.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        let path = self.path.join(label);
        fs::create_dir(&path)
            .unwrap_or_else(|error| panic!("cannot make the cgroup {}: {error}", path.display()));
        Self { path }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path from the root of the hierarchy, as weir's column `cgroup` tells it.
    pub fn name(&self) -> String {
        let mount = Self::mount().expect("it was made there");
        let below = self.path.strip_prefix(mount).expect("it was made there");
        format!("/{}", below.display())
    }

    /// Ids of the processes in it.
    pub fn processes(&self) -> Vec<i32> {
        processes(&self.path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn processes(path: &Path) -> Vec<i32> {
    fs::read_to_string(path.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

/// Ends what runs in the cgroup and removes it; a process that is slow to end gets two seconds.
fn remove(path: &Path) {
    for _ in 0..40 {
        for pid in processes(path) {
            // It may have ended by itself since the list was read.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match fs::remove_dir(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
    eprintln!("left behind: cgroup {}", path.display());
}

/// Removes the cgroups of test processes that were themselves killed and could not.
fn sweep(mount: &Path) {
    for entry in fs::read_dir(mount).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&entry.path());
        }
    }
}
