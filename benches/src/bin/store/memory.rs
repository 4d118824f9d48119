//! Bytes a row takes in the window.

use std::error::Error;

use crate::{Load, open};

pub(crate) async fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path()).await?;
    for row in load.rows() {
        store.append(row);
    }
    for table in store.status().tables {
        if table.window_rows > 0 {
            println!(
                "{:<16} {:>9} rows {:>7.1} B/row",
                table.table,
                table.window_rows,
                table.window_bytes as f64 / table.window_rows as f64
            );
        }
    }
    Ok(())
}
