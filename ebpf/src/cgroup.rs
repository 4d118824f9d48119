//! The cgroup v2 hierarchy: where it is mounted, ids and paths of its cgroups.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::LoadError;

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

/// Opens the cgroups to capture: those named, or the root of the hierarchy where none is.
///
/// One that lies inside another is left out: its packets pass the outer one's programs anyway, and would count twice.
pub fn targets(paths: &[PathBuf]) -> Result<Vec<Target>, LoadError> {
    let mount = mount_point().ok_or(LoadError::NoCgroup2)?;
    let mut resolved = Vec::new();
    if paths.is_empty() {
        resolved.push(mount.clone());
    }
    for path in paths {
        let canonical = fs::canonicalize(path).map_err(|source| LoadError::Cgroup {
            path: path.clone(),
            source,
        })?;
        if !canonical.starts_with(&mount) {
            return Err(LoadError::NotCgroup2 {
                path: path.clone(),
                mount,
            });
        }
        resolved.push(canonical);
    }
    resolved.sort();
    resolved.dedup_by(|inner, outer| inner.starts_with(outer));
    resolved
        .into_iter()
        .map(|path| {
            let open = || -> io::Result<Target> {
                let directory = File::open(&path)?;
                let id = directory.metadata()?.ino();
                Ok(Target {
                    path: path.clone(),
                    id,
                    directory,
                })
            };
            open().map_err(|source| LoadError::Cgroup {
                path: path.clone(),
                source,
            })
        })
        .collect()
}

/// Path of the cgroup with that id from the root of the hierarchy (`/system.slice/nginx.service`), found by walking the
/// hierarchy.
pub fn path_of(id: u64) -> Option<String> {
    let mount = mount_point()?;
    let mut pending = vec![mount.clone()];
    while let Some(directory) = pending.pop() {
        if fs::metadata(&directory)
            .ok()
            .is_some_and(|metadata| metadata.ino() == id)
        {
            return Some(relative(&mount, &directory));
        }
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        pending.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
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

#[cfg(test)]
mod tests {
    use super::*;

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
