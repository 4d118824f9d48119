//! Other people's Parquet readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Peer;
use crate::place::peer_file;

/// What a reader finds in one table of a data directory.
#[derive(Debug)]
pub struct Read {
    /// Rows.
    pub rows: i64,
    /// Smallest time, in microseconds since 1970.
    pub first_time: i64,
    /// Sums of the columns that were asked for.
    pub sums: BTreeMap<String, i64>,
    /// Types of all columns, as the reader names them.
    pub types: BTreeMap<String, String>,
}

/// A Parquet reader that is not weir's.
#[derive(Debug, Clone, Copy)]
pub enum ParquetReader {
    /// `DuckDB`.
    DuckDb,
    /// pyarrow.
    PyArrow,
    /// Polars.
    Polars,
}

impl ParquetReader {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::DuckDb, Self::PyArrow, Self::Polars];

    fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::PyArrow => "pyarrow",
            Self::Polars => "polars",
        }
    }

    /// Whether `tools/setup.sh test` has installed them.
    pub fn are_installed() -> bool {
        python().exists()
    }

    /// Reads a table below a data directory and sums up these columns.
    pub fn read(self, data: &Path, table: &str, sums: &[&str]) -> Read {
        let mut command = Command::new(python());
        command
            .arg(peer_file("read_parquet.py"))
            .arg(self.name())
            .arg(data)
            .arg(table)
            .args(sums);
        let output = Peer::start(self.name(), &mut command).finish();
        let parsed: Value = serde_json::from_str(&output)
            .unwrap_or_else(|error| panic!("{} wrote no JSON ({error}): {output}", self.name()));
        let int = |value: &Value| {
            value
                .as_i64()
                .unwrap_or_else(|| panic!("not a number: {value} in {output}"))
        };
        let object = |name: &str| parsed[name].as_object().cloned().unwrap_or_default();
        Read {
            rows: int(&parsed["rows"]),
            first_time: int(&parsed["first_time"]),
            sums: object("sums")
                .iter()
                .map(|(name, sum)| (name.clone(), int(sum)))
                .collect(),
            types: object("types")
                .iter()
                .map(|(name, kind)| (name.clone(), kind.as_str().unwrap_or_default().to_owned()))
                .collect(),
        }
    }
}

/// Python of the environment that `tools/setup.sh test` makes.
pub(crate) fn python() -> PathBuf {
    in_environment("python")
}

/// A program of that environment.
pub(crate) fn in_environment(program: &str) -> PathBuf {
    let place = |name: &str| std::env::var_os(name).map(PathBuf::from);
    place("WEIR_TEST_VENV")
        .or_else(|| place("XDG_CACHE_HOME").map(|cache| cache.join("weir-py")))
        .or_else(|| place("HOME").map(|home| home.join(".cache/weir-py")))
        .unwrap_or_default()
        .join("bin")
        .join(program)
}
