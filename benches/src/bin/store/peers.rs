//! The same rows, written as Parquet by others.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use arrow::ipc::writer::StreamWriter;
use weir_storage::Snapshot;

/// Writes the rows once for each line, which names who writes, and answers with the processor time it took in seconds
/// and the bytes of the file. The rows are in memory before, in the form that each likes best.
const SCRIPT: &str = "
import os, sys, time
os.environ['POLARS_MAX_THREADS'] = '1'
import duckdb, polars, pyarrow
rows = pyarrow.ipc.open_stream(sys.argv[1]).read_all()
connection = duckdb.connect(config={'threads': 1})
connection.register('arrow_rows', rows)
connection.execute('CREATE TABLE rows AS SELECT * FROM arrow_rows')
frame = polars.from_arrow(rows)
path = sys.argv[2]
write = {
    'duckdb': lambda: connection.execute(
        f\"COPY rows TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)\"),
    'polars': lambda: frame.write_parquet(path, compression='zstd', row_group_size=131072),
}
for name in sys.stdin:
    started = time.process_time()
    write[name.strip()]()
    print(time.process_time() - started, os.path.getsize(path), flush=True)
";

/// Who writes.
pub(crate) const NAMES: [&str; 2] = ["duckdb", "polars"];

/// A Python that has the rows in memory, so that its turns alternate with others.
pub(crate) struct Peers {
    child: Child,
    turns: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peers {
    /// Hands the rows in memory of a snapshot to `python`, through files in a directory.
    pub(crate) fn start(
        python: &Path,
        rows: &Snapshot,
        directory: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let path = directory.join("rows.arrow");
        let mut writer = StreamWriter::try_new(File::create(&path)?, &rows.schema)?;
        for batch in &rows.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .args([&path, &directory.join("rows.parquet")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (turns, answers) = pipes.ok_or("the pipes to Python are missing")?;
        Ok(Self {
            child,
            turns,
            answers: BufReader::new(answers),
        })
    }

    /// The processor time that one of [`NAMES`] took to write the rows, and the bytes of its file.
    pub(crate) fn write(&mut self, name: &str) -> Result<(Duration, u64), Box<dyn Error>> {
        writeln!(self.turns, "{name}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let (seconds, bytes) = answer.trim().split_once(' ').ok_or("Python ended")?;
        Ok((
            Duration::try_from_secs_f64(seconds.parse()?)?,
            bytes.parse()?,
        ))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
