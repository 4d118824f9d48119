//! `weir import`

mod input;
mod rows;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Builder;
use weir_ingest::capture_file::{Import as Reading, ImportReport};
use weir_ingest::sink::Ledger;
use weir_ingest::tracker::{Settings, Tracker};
use weir_storage::{Bucket, RemoteOptions, Store, StoreError, StoreOptions, TableId};

use super::Outcome;
use super::output::to_stdout;
use crate::config::{DEFAULT_DATA, http_of, node_name, parse_store};
use input::Input;
use rows::StoreRows;

const EXAMPLES: &str = "\
Examples:
  weir import day.pcapng
  weir import web.pcap.0 web.pcap.1 web.pcap.2 --data ./weir-data
  tcpdump -i eth0 -w - port 80 | weir import - --node web-1

Several files are read in the order given, as one recording: give the parts of a rotated capture by time.
If one of them is no capture, nothing is imported. If one cannot be read to its end, the others are, and the
status is 1; a recording that is only cut (tcpdump was killed, say) is no failure.";

/// Reads capture files (pcap, pcapng, and gzip of them) into a data directory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// Capture files; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Directory of the data
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,

    /// Bring the files to this bucket too, as `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "URL", value_parser = parse_store)]
    store: Option<String>,

    /// Configuration file of weir serve: headers, bodies and redaction are as `[capture]` in it says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Name of the machine in every row [default: this host's name]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Rows could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the import stopped: its rows cannot be written; what was written before stays")]
struct CannotKeep {
    source: StoreError,
}

/// The files are on the disk and not in the bucket.
#[derive(Debug, thiserror::Error)]
#[error(
    "all is in the data directory, but not in the bucket; `weir serve` with the same --data, --node and --store brings it there"
)]
struct CannotDeliver {
    source: StoreError,
}

/// Some files could not be read; the report before it names them.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {files} could not be read to the end; what the others hold was imported", files = Count(*.files as u64, "file"))]
struct NotAllRead {
    failed: usize,
    files: usize,
}

impl Import {
    pub(super) fn run(self) -> Outcome {
        let inputs = input::check(&self.files)?;
        let node = node_name(self.node)?;
        let http = self.config.as_deref().map(http_of).transpose()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut options = StoreOptions::new(&self.data, node.clone());
        if let Some(url) = &self.store {
            options.remote = Some(RemoteOptions::new(Bucket::from_url(url)?));
        }
        let store = runtime.block_on(Store::open(options))?;

        let now = Utc::now().timestamp_nanos_opt().unwrap_or(0);
        let mut tracker = Tracker::new(Settings {
            http: http.unwrap_or_default().into(),
            ..Settings::new(node, now)
        });
        let mut rows = StoreRows::new(&store, &runtime);
        let mut reading = Reading::new();
        let progress = progress_bar(&inputs);
        let mut before = 0;
        for input in inputs {
            let reader = match input.open() {
                Ok(reader) => reader,
                Err(why) => {
                    reading.leave_out(&why, &mut tracker);
                    continue;
                }
            };
            let mut last = 0;
            reading.file(reader, &mut tracker, &mut rows, &mut |bytes| {
                last = bytes;
                progress.set_position(before + bytes);
            });
            before += last;
            rows.check().map_err(|source| CannotKeep { source })?;
        }
        let report = reading.finish(&mut tracker, &mut rows);
        rows.check().map_err(|source| CannotKeep { source })?;
        let made = rows.made();
        runtime
            .block_on(store.flush())
            .map_err(|source| CannotKeep { source })?;
        runtime.block_on(store.maintain());
        let delivered = runtime.block_on(store.deliver());
        progress.finish_and_clear();

        let ledger = tracker.ledger();
        to_stdout(|out| write_report(out, &self.files, &report, &made, ledger))?;
        delivered.map_err(|source| CannotDeliver { source })?;
        match report.failures.len() {
            0 => Ok(ExitCode::SUCCESS),
            failed => Err(Box::new(NotAllRead {
                failed,
                files: self.files.len(),
            })),
        }
    }
}

/// A bar over the bytes of all files, on a terminal only; a counter where the size is not known.
fn progress_bar(inputs: &[Input]) -> ProgressBar {
    let sizes: Option<Vec<u64>> = inputs.iter().map(Input::size).collect();
    let (bar, template) = match sizes {
        Some(sizes) => (
            ProgressBar::new(sizes.iter().sum()),
            "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner} {bytes}, {bytes_per_sec}",
        ),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn write_report(
    out: &mut dyn Write,
    files: &[PathBuf],
    report: &ImportReport,
    made: &[(TableId, u64)],
    ledger: &Ledger,
) -> io::Result<()> {
    let ImportReport {
        files: read,
        frames,
        captured_bytes,
        original_bytes,
        tcp_segments,
        udp_datagrams,
        icmp_echoes,
        fragments,
        skipped,
        damages,
        times,
        untimed_frames,
        failures,
    } = report;
    writeln!(
        out,
        "read     {}, {}, {} of {} on the link",
        Count(*read as u64, "file"),
        Count(*frames, "frame"),
        ByteSize(*captured_bytes),
        ByteSize(*original_bytes),
    )?;
    if let Some((oldest, newest)) = times {
        writeln!(
            out,
            "         from {} to {}",
            instant(*oldest),
            instant(*newest)
        )?;
    }
    if *untimed_frames > 0 {
        writeln!(
            out,
            "         {} without a time: dated by the one before, or by this import",
            Count(*untimed_frames, "frame"),
        )?;
    }
    writeln!(
        out,
        "         {}, {}, {}, {}",
        Count(*tcp_segments, "TCP segment"),
        Count(*udp_datagrams, "UDP datagram"),
        Count(*icmp_echoes, "ICMP echo message"),
        Count(*fragments, "further fragment"),
    )?;
    let made: Vec<String> = made
        .iter()
        .map(|(table, rows)| format!("{} {rows}", table.name()))
        .collect();
    writeln!(out, "made     {}", list(&made))?;
    let skipped: Vec<String> = skipped
        .iter()
        .map(|(reason, frames)| format!("{} {frames}", reason.word()))
        .collect();
    writeln!(out, "skipped  {}", list(&skipped))?;
    let name = |place: &usize| {
        let file = files.get(*place).map(|file| file.display().to_string());
        file.unwrap_or_default()
    };
    for (place, why) in failures {
        writeln!(out, "failed   {}: {why}", name(place))?;
    }
    for (place, damage) in damages {
        writeln!(
            out,
            "damaged  {}: {} at byte {}, {} passed over",
            name(place),
            damage.kind.word(),
            damage.position,
            Count(damage.bytes, "byte"),
        )?;
    }
    let lost: Vec<String> = ledger
        .totals()
        .map(|(key, loss)| match loss.bytes {
            0 => format!("{}/{} {}", key.stage, key.reason, loss.events),
            bytes => format!(
                "{}/{} {} ({})",
                key.stage,
                key.reason,
                loss.events,
                Count(bytes, "byte")
            ),
        })
        .collect();
    writeln!(out, "lost     {}", list(&lost))
}

/// `1 file`, `2 files`
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let plural = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {what}{plural}")
    }
}

fn list(parts: &[String]) -> String {
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}

fn instant(nanos: i64) -> String {
    DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::Micros, true)
}
