//! Bytes a row takes in Parquet files, by column.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use weir_storage::TableId;

use crate::{Load, MEASURED, open};

/// Columns without which the aims for bytes a row are stated: what they hold is as large as the traffic makes it.
const LEFT_OUT: [&str; 6] = [
    "req_headers",
    "resp_headers",
    "req_body",
    "resp_body",
    "trace_id",
    "span_id",
];

/// What a column takes in all files of a table.
struct Column {
    name: String,
    bytes: u64,
    encodings: BTreeSet<String>,
}

pub(crate) async fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path()).await?;
    for row in load.rows() {
        store.append(row);
    }
    store.flush().await?;
    for table in MEASURED {
        show(table, directory.path())?;
    }
    Ok(())
}

fn show(table: TableId, directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut columns: Vec<Column> = Vec::new();
    let (mut rows, mut file_bytes, mut files) = (0, 0, 0);
    for path in files_under(&directory.join(table.name()))? {
        files += 1;
        file_bytes += path.metadata()?.len();
        let reader = SerializedFileReader::new(File::open(path)?)?;
        for group in reader.metadata().row_groups() {
            rows += group.num_rows();
            for chunk in group.columns() {
                let name = chunk.column_path().string();
                let place = columns.iter().position(|column| column.name == name);
                let place = place.unwrap_or_else(|| {
                    columns.push(Column {
                        name,
                        bytes: 0,
                        encodings: BTreeSet::new(),
                    });
                    columns.len() - 1
                });
                columns[place].bytes += chunk.compressed_size() as u64;
                columns[place]
                    .encodings
                    .extend(chunk.encodings().map(|it| it.to_string()));
            }
        }
    }
    let a_row = |bytes: u64| bytes as f64 / rows as f64;
    println!("{} ({rows} rows in {files} files)", table.name());
    for column in &columns {
        let encodings: Vec<&str> = column.encodings.iter().map(String::as_str).collect();
        println!(
            "  {:<36} {:>7.3}  {}",
            column.name,
            a_row(column.bytes),
            encodings.join(" ")
        );
    }
    let in_columns: u64 = columns.iter().map(|column| column.bytes).sum();
    let left_out: u64 = columns
        .iter()
        .filter(|column| {
            let root = column.name.split('.').next().unwrap_or_default();
            LEFT_OUT.contains(&root)
        })
        .map(|column| column.bytes)
        .sum();
    println!(
        "  {:<36} {:>7.3}",
        "footer, indexes",
        a_row(file_bytes - in_columns)
    );
    println!("  {:<36} {:>7.3}", "together", a_row(file_bytes));
    if left_out > 0 {
        let name = "without headers, bodies, random ids";
        println!("  {name:<36} {:>7.3}", a_row(file_bytes - left_out));
    }
    println!();
    Ok(())
}

fn files_under(directory: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_under(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
