use std::io;
use std::path::PathBuf;

use crate::selection::SelectionError;

/// Why the capture could not begin, or not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No cgroup v2 hierarchy is mounted.
    #[error(
        "no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified"
    )]
    NoCgroup2,
    /// A cgroup cannot be opened.
    #[error("cannot open the cgroup {path}: {source}; name a directory of the cgroup v2 hierarchy")]
    Cgroup {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The directory is not inside a cgroup v2 hierarchy.
    #[error("{path} is not a cgroup v2 directory; name one below {mount}")]
    NotCgroup2 {
        /// The directory.
        path: PathBuf,
        /// Where the hierarchy is mounted.
        mount: PathBuf,
    },
    /// More cgroups than programs can be attached to.
    #[error("{0} cgroups are to be captured, at most {most} can be; name one above them", most = crate::cgroup::MAX_TARGETS)]
    TooManyCgroups(usize),
    /// The programs cannot be attached to a cgroup.
    #[error("cannot attach {program} to the cgroup {path}: {reason}")]
    Attach {
        /// The program.
        program: &'static str,
        /// The cgroup's directory.
        path: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// What to capture makes no sense.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The kernel's type information is missing.
    #[error(
        "the kernel does not describe its types (/sys/kernel/btf/vmlinux): {0}; weir needs CONFIG_DEBUG_INFO_BTF"
    )]
    Btf(String),
    /// The object or its maps were refused.
    #[error(
        "the kernel refused the maps: {0}; weir needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or root"
    )]
    Object(String),
    /// A program without which nothing can be captured was refused.
    #[error("the kernel refused the program {program} ({hook}): {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Where it attaches.
        hook: &'static str,
        /// What the kernel said.
        reason: String,
    },
}
