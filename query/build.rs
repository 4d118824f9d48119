//! Lists the scripts that ship inside the binary: every `scripts/<group>/<name>.sql` at the root of the repository.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?)
        .join("../scripts")
        .canonicalize()?;
    // A directory stands for all that is below it.
    println!("cargo::rerun-if-changed={}", root.display());
    let mut list = String::from("&[\n");
    for group in sorted(&root)?.iter().filter(|path| path.is_dir()) {
        for file in sorted(group)? {
            if file.extension().is_some_and(|extension| extension == "sql") {
                let name = format!("{}/{}", stem(group), stem(&file));
                let path = file.to_string_lossy();
                writeln!(list, "({name:?}, include_str!({path:?})),").map_err(io::Error::other)?;
            }
        }
    }
    list.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("shipped.rs"), list)
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
