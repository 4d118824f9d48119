//! A disk that is soon full.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount, umount};

/// A file system of a few megabytes in memory, mounted for one test.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many bytes at `path`, which is made.
    pub fn new(path: &Path, bytes: u64) -> Self {
        fs::create_dir_all(path).expect("the mount point can be made");
        let size = format!("size={bytes}");
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(size.as_str()),
        )
        .expect("a tmpfs can be mounted");
        Self {
            path: path.to_path_buf(),
        }
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        use std::io::Write as _;

        let mut filler = fs::File::create(self.filler()).expect("the filler can be made");
        let piece = vec![0; 4096];
        while filler.write_all(&piece).is_ok() {}
    }

    /// Makes room again.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("the filler can be removed");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = umount(&self.path) {
            eprintln!("cannot unmount {}: {error}", self.path.display());
        }
    }
}
