//! The files of a user's directory: `<group>/<name>.sql`.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::parse::{MAX_BYTES, parse};
use super::script::{BrokenScript, Fault, Origin, Script};
use super::words::is_script_word;

/// Most files that are read.
const MAX_FILES: usize = 1_000;

/// A file that may be a script.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// `group/name`, or the path within the directory.
    pub(super) name: String,
    pub(super) stamp: Stamp,
    is_well_placed: bool,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// The files below a directory that end in `.sql`, by path.
///
/// What is hidden, and what else is there, is no script and no fault.
pub(super) fn scan(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in entries(directory)? {
        if path.is_dir() {
            // A group that goes while it is looked at has no scripts.
            for file in entries(&path).unwrap_or_default() {
                found.extend(script_file(directory, &file, true));
            }
        } else {
            found.extend(script_file(directory, &path, false));
        }
        found.truncate(MAX_FILES);
    }
    Ok(found)
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn script_file(directory: &Path, path: &Path, is_in_group: bool) -> Option<Found> {
    if path.extension()? != "sql" {
        return None;
    }
    let metadata = fs::metadata(path).ok()?;
    let within = path.strip_prefix(directory).unwrap_or(path);
    let name = within.with_extension("").to_string_lossy().into_owned();
    Some(Found {
        path: path.to_owned(),
        is_well_placed: is_in_group && name.split('/').all(is_script_word),
        name,
        stamp: Stamp::of(&metadata),
    })
}

/// Reads a file.
pub(super) fn read(found: &Found) -> Result<Script, BrokenScript> {
    let broken = |faults| BrokenScript {
        name: found.name.clone(),
        faults,
    };
    if !found.is_well_placed {
        return Err(broken(vec![Fault::new(
            0,
            "scripts lie at <group>/<name>.sql, and both names are lower case letters, digits, `-` and `_`",
        )]));
    }
    let text = content(&found.path).map_err(|error| {
        broken(vec![Fault::new(
            0,
            format!("cannot read {}: {error}", found.path.display()),
        )])
    })?;
    parse(&found.name, &text, Origin::User).map_err(broken)
}

fn content(path: &Path) -> io::Result<String> {
    // A pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    // One byte more than may be tells that there is more.
    File::open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}
