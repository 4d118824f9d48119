//! The same queries in `DuckDB`, over the same files.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Tells the median of a few runs in seconds, after one to warm up.
const SCRIPT: &str = "
import duckdb, statistics, sys, time
data, sql = sys.argv[1:]
connection = duckdb.connect()
connection.execute(\"SET enable_object_cache = true\")
for table in ('http_events', 'dns_events'):
    connection.execute(f\"CREATE VIEW {table} AS SELECT * FROM '{data}/{table}/**/*.parquet'\")
def run():
    started = time.perf_counter()
    connection.execute(sql).fetchall()
    return time.perf_counter() - started
run()
print(statistics.median(run() for _ in range(5)))
";

/// How long a query takes in `DuckDB`.
pub(crate) fn time(python: &Path, data: &Path, sql: &str) -> Result<Duration, Box<dyn Error>> {
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(data)
        .arg(sql)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}
