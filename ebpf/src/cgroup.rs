//! The cgroup v2 hierarchy: where it is mounted, ids and paths of its cgroups.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::LoadError;
use crate::pattern::PathPattern;

/// Where the cgroup v2 hierarchy is mounted, from `/proc/mounts`.
pub fn mount_point() -> Option<PathBuf> {
    mount_point_in(&fs::read_to_string("/proc/mounts").ok()?)
}

fn mount_point_in(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_device, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        // The kernel writes spaces in paths as \040.
        (kind == "cgroup2").then(|| PathBuf::from(path.replace("\\040", " ")))
    })
}

/// A cgroup whose programs are captured.
#[derive(Debug)]
pub struct Target {
    /// Its directory.
    pub path: PathBuf,
    /// Its id: the inode number of its directory.
    pub id: u64,
    /// The open directory, to attach to.
    pub directory: File,
}

impl Target {
    /// Whether the cgroup is still there. The kernel detaches the programs of one that is removed.
    pub fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.id)
    }
}

/// Most cgroups to attach to at a time; each takes four links.
pub const MAX_TARGETS: usize = 1024;
/// Most cgroups looked at in search of those that a pattern means.
const MAX_SEARCHED: usize = 65_536;

/// What to do about a cgroup that is named and not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Refuse,
    /// It is left out: it may come again.
    LeaveOut,
}

/// Opens the cgroups to capture: those that are named, and those that a pattern means; with neither, the root of the
/// hierarchy.
///
/// One that lies inside another is left out: its packets pass the outer one's programs anyway, and would count twice.
pub fn targets(
    paths: &[PathBuf],
    patterns: &[PathPattern],
    missing: Missing,
) -> Result<Vec<Target>, LoadError> {
    let mount = mount_point().ok_or(LoadError::NoCgroup2)?;
    let mut resolved = Vec::new();
    if paths.is_empty() && patterns.is_empty() {
        resolved.push(mount.clone());
    }
    for path in paths {
        let canonical = match fs::canonicalize(path) {
            Ok(canonical) => canonical,
            Err(_) if missing == Missing::LeaveOut => continue,
            Err(source) => {
                return Err(LoadError::Cgroup {
                    path: path.clone(),
                    source,
                });
            }
        };
        if !canonical.starts_with(&mount) {
            return Err(LoadError::NotCgroup2 {
                path: path.clone(),
                mount,
            });
        }
        resolved.push(canonical);
    }
    if !patterns.is_empty() {
        resolved.extend(matching(&mount, patterns));
    }
    resolved.sort();
    resolved.dedup_by(|inner, outer| inner.starts_with(outer));
    if resolved.len() > MAX_TARGETS {
        if missing == Missing::Refuse {
            return Err(LoadError::TooManyCgroups(resolved.len()));
        }
        resolved.truncate(MAX_TARGETS);
    }
    let mut targets = Vec::with_capacity(resolved.len());
    for path in resolved {
        match open(path) {
            Ok(target) => targets.push(target),
            // One that was there a moment ago, and that only a pattern may have meant.
            Err((_, error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err((path, source)) => return Err(LoadError::Cgroup { path, source }),
        }
    }
    Ok(targets)
}

fn open(path: PathBuf) -> Result<Target, (PathBuf, io::Error)> {
    let opened = File::open(&path).and_then(|directory| {
        let id = directory.metadata()?.ino();
        Ok((directory, id))
    });
    match opened {
        Ok((directory, id)) => Ok(Target {
            path,
            id,
            directory,
        }),
        Err(error) => Err((path, error)),
    }
}

/// Directories of the cgroups that a pattern means, without those below another.
fn matching(mount: &Path, patterns: &[PathPattern]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut searched = 0;
    let mut pending = vec![mount.to_owned()];
    while let Some(directory) = pending.pop() {
        searched += 1;
        if searched > MAX_SEARCHED || found.len() > MAX_TARGETS {
            break;
        }
        let path = relative(mount, &directory);
        if patterns.iter().any(|pattern| pattern.matches(&path)) {
            found.push(directory);
            continue;
        }
        pending.extend(directories_in(&directory));
    }
    found
}

/// Path of the cgroup with that id from the root of the hierarchy (`/system.slice/nginx.service`).
///
/// Asks the kernel for it by its id, and where that is not allowed (it takes `CAP_DAC_READ_SEARCH`) walks the hierarchy.
pub fn path_of(id: u64) -> Option<String> {
    let mount = mount_point()?;
    match path_by_handle(&mount, id) {
        Ok(path) => path,
        Err(_) => path_by_walking(&mount, id),
    }
}

/// Type of the file handles of kernfs (`FILEID_KERNFS` in `include/linux/exportfs.h`): they hold the id alone.
const FILEID_KERNFS: libc::c_int = 0xfe;

/// A file handle as `open_by_handle_at(2)` takes it.
#[repr(C)]
struct KernfsHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

/// `Ok(None)` where there is no such cgroup.
fn path_by_handle(mount: &Path, id: u64) -> io::Result<Option<String>> {
    let directory = File::open(mount)?;
    let mut handle = KernfsHandle {
        bytes: 8,
        kind: FILEID_KERNFS,
        id: id.to_ne_bytes(),
    };
    // SAFETY: `handle` has the layout of `struct file_handle` with the eight bytes that it says follow, and outlives the
    // call; `directory` is open.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            directory.as_raw_fd(),
            &raw mut handle,
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    let Ok(fd) = i32::try_from(opened) else {
        return Err(io::Error::other("no file descriptor"));
    };
    if fd < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ESTALE | libc::ENOENT) => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    let cgroup = unsafe { OwnedFd::from_raw_fd(fd) };
    let path = fs::read_link(format!("/proc/self/fd/{}", cgroup.as_raw_fd()))?;
    if !path.starts_with(mount) {
        return Err(io::Error::other("it is outside of what is mounted here"));
    }
    let path = relative(mount, &path);
    Ok((!path.ends_with(" (deleted)")).then_some(path))
}

fn path_by_walking(mount: &Path, id: u64) -> Option<String> {
    let mut pending = vec![mount.to_owned()];
    while let Some(directory) = pending.pop() {
        if fs::metadata(&directory)
            .ok()
            .is_some_and(|metadata| metadata.ino() == id)
        {
            return Some(relative(mount, &directory));
        }
        pending.extend(directories_in(&directory));
    }
    None
}

/// Path of a cgroup's directory from the root of the hierarchy.
fn relative(mount: &Path, directory: &Path) -> String {
    match directory.strip_prefix(mount) {
        Ok(path) => format!("/{}", path.display()),
        Err(_) => directory.display().to_string(),
    }
}

/// The processes in a cgroup and in those below it, at most so many.
pub fn processes_below(path: &Path, most: usize) -> Vec<u32> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(directory) = pending.pop() {
        // A cgroup that goes away meanwhile has no processes.
        let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(processes.lines().filter_map(|pid| pid.parse::<u32>().ok()));
        if found.len() >= most {
            found.truncate(most);
            return found;
        }
        pending.extend(directories_in(&directory));
    }
    found
}

fn directories_in(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_cgroup_is_found_by_its_id_either_way() {
        let Some(mount) = mount_point() else {
            return;
        };
        let id = fs::metadata(&mount).expect("it is mounted").ino();
        assert_eq!(path_by_walking(&mount, id).as_deref(), Some("/"));
        // Not allowed to every user.
        if let Ok(path) = path_by_handle(&mount, id) {
            assert_eq!(path.as_deref(), Some("/"));
            assert_eq!(path_by_handle(&mount, u64::MAX).ok(), Some(None));
        }
    }

    #[test]
    fn the_mount_point_is_found_beside_a_version_1_hierarchy() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/with\\040space cgroup2 rw,relatime 0 0\n";
        assert_eq!(
            mount_point_in(mounts),
            Some(PathBuf::from("/sys/fs/cgroup/with space"))
        );
        assert_eq!(mount_point_in("proc /proc proc rw 0 0\n"), None);
    }
}
