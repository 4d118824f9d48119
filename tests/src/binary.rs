//! The built `weir`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Path of the `weir` that cargo built beside this test; panics when it is missing or older than its sources.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let test = std::env::current_exe().expect("a running test has a path");
        // target/debug/deps/http-1a2b3c -> target/debug/weir
        let directory = test
            .ancestors()
            .nth(2)
            .expect("cargo puts tests in a directory below");
        let binary = directory.join("weir");
        if let Err(why) = check(&binary) {
            panic!("{why}; build it with `cargo build` (`make test` does)");
        }
        binary
    })
}

/// Where this crate is in the checkout whose tests cargo runs. It need not be the one that the tests were compiled in:
/// of checkouts that share a target directory, cargo takes what has not changed from each other.
pub(crate) fn crate_directory() -> String {
    std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned())
}

/// Whether the binary was built from the sources beside this test, as they are now.
fn check(binary: &Path) -> Result<(), String> {
    let modified = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let built = modified(binary).ok_or_else(|| format!("there is no {}", binary.display()))?;
    // cargo writes what the binary was made from beside it: `binary: source source ...`.
    let list = binary.with_extension("d");
    let sources =
        fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let here = crate_directory();
    let workspace = Path::new(&here).parent().unwrap_or(Path::new("/"));
    for source in sources.split_whitespace().skip(1).map(Path::new) {
        if !source.starts_with(workspace) && source.ends_with("server/src/main.rs") {
            return Err(format!(
                "{} was built from another checkout",
                binary.display()
            ));
        }
        if modified(source).is_some_and(|changed| changed > built) {
            return Err(format!(
                "{} is older than {}",
                binary.display(),
                source.display()
            ));
        }
    }
    Ok(())
}

/// What became of a command.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote on stdout.
    pub stdout: Vec<u8>,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Finished {
    /// What it wrote on stdout, as text; panics if it did not end well.
    pub fn text(self) -> String {
        assert_eq!(self.code, Some(0), "weir failed: {}", self.stderr);
        String::from_utf8(self.stdout).expect("weir writes UTF-8")
    }
}

/// Runs `weir` with these arguments to its end.
pub fn weir(arguments: &[&str]) -> Finished {
    weir_in(&[], arguments)
}

/// As [`weir`], with these environment variables too.
pub fn weir_in(environment: &[(&str, String)], arguments: &[&str]) -> Finished {
    let output = Command::new(path())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", path().display()));
    Finished {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
