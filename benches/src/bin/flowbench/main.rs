//! The questions that people ask of a node's traffic, answered by weir, `DuckDB` and chdb on the same files.
//!
//! ```text
//! cargo run --release -p weir-benches --features query --bin flowbench -- --data DIR --duckdb PYTHON --chdb PYTHON
//! ```
//!
//! Engines take turns, run by run, with the same number of threads, the same memory and the same priority. Answers are
//! compared before anything is measured; what differs is told, and makes the command fail.
//!
//! A cold run is the first query of an engine that was just started: peers in a new process, weir with a newly opened
//! store and a new engine. What starting takes is not counted, and the files stay in the page cache of the system. Warm
//! runs follow at least one run of the same question by the same engine.

mod answer;
mod limits;
mod peer;
mod questions;
mod report;
mod runs;
mod values;
mod weir;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use weir_benches::traffic::Settings;
use weir_benches::write::write;
use weir_storage::TableId;

use limits::Limits;
use peer::{Kind, Peer, Running};
use questions::Question;
use report::Line;
use runs::Runs;
use values::Values;
use weir::Weir;

/// Asks weir, DuckDB and chdb the same questions about the same files.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data directory. If it is not there, made-up traffic is written to it; if it is, it is used as it is.
    #[arg(long)]
    data: PathBuf,
    /// Rows to write, of all tables together.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Hours that the rows are spread over; by default as many as makes 2,500 rows a second.
    #[arg(long)]
    hours: Option<f64>,
    /// A Python that has DuckDB and pyarrow (benches/requirements.txt).
    #[arg(long)]
    duckdb: Option<PathBuf>,
    /// A Python that has chdb and pyarrow (benches/requirements.txt).
    #[arg(long)]
    chdb: Option<PathBuf>,
    /// Warm runs of each question in each engine; the medians are told.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Cold runs of each question in each engine; the medians are told.
    #[arg(long, default_value_t = 3)]
    cold_runs: usize,
    /// Only questions whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Shows how weir answers each question instead of measuring.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    limits: Limits,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    if !arguments.data.exists() {
        generate(&arguments).await?;
    }
    let weir = Weir::start(&arguments.data, &arguments.limits).await?;
    print_tables(&weir);
    let values = Values::of(&weir).await?;
    let chosen: Vec<&'static Question> = questions::all()
        .filter(|question| question.name.contains(&arguments.only))
        .collect();
    if arguments.explain {
        for question in chosen {
            let sql = values.fill(question.weir);
            println!("{}\n{sql}\n{}", question.name, weir.explain(&sql).await?);
        }
        return Ok(ExitCode::SUCCESS);
    }

    let duckdb = arguments.duckdb.iter().map(|python| (Kind::DuckDb, python));
    let chdb = arguments.chdb.iter().map(|python| (Kind::Chdb, python));
    let peers: Vec<Peer> = duckdb
        .chain(chdb)
        .map(|(kind, python)| Peer {
            kind,
            python: python.clone(),
        })
        .collect();
    let running = peers
        .iter()
        .map(|peer| peer.start(&arguments.data, &arguments.limits));
    let mut bench = Bench {
        running: running.collect::<Result<_, _>>()?,
        arguments,
        weir,
        values,
        peers,
        failures: Vec::new(),
    };
    report::print_heading(&bench.peers);
    let mut lines = Vec::new();
    for question in chosen {
        lines.push(bench.ask(question).await?);
    }
    report::print_means(&lines);
    if bench.failures.is_empty() {
        println!("\nall answers are the same");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nnot the same:");
    for failure in &bench.failures {
        println!("  {failure}");
    }
    Ok(ExitCode::FAILURE)
}

struct Bench {
    arguments: Arguments,
    weir: Weir,
    values: Values,
    peers: Vec<Peer>,
    /// Each of the peers, ready to answer.
    running: Vec<Running>,
    /// Answers that differ, and questions without one.
    failures: Vec<String>,
}

impl Bench {
    /// Compares the answers to a question, and measures it.
    async fn ask(&mut self, question: &'static Question) -> Result<Line, Box<dyn Error>> {
        let sql = self.values.fill(question.weir);
        let mut answer = self
            .weir
            .answer(&sql)
            .await
            .map_err(|error| format!("{}: {error}", question.name))?;
        let mut is_answering = vec![true; self.running.len()];
        for (running, is_answering) in self.running.iter_mut().zip(&mut is_answering) {
            let kind = running.kind;
            let difference = match running.answer(&self.values.fill(&kind.exact_sql_of(question))) {
                Ok(mut other) => answer.difference(&mut other, question.estimates),
                Err(error) => {
                    *is_answering = false;
                    Some(error.to_string())
                }
            };
            if let Some(difference) = difference {
                self.failures
                    .push(format!("{}, {kind}: {difference}", question.name));
            }
        }
        let line = Line {
            question,
            warm: self.warm(question, &is_answering).await?,
            cold: self.cold(question, &is_answering).await?,
        };
        line.print(answer.rows.len());
        Ok(line)
    }

    async fn warm(
        &mut self,
        question: &Question,
        is_answering: &[bool],
    ) -> Result<Runs, Box<dyn Error>> {
        let mut runs = Runs::of(self.running.len());
        let sql = self.values.fill(question.weir);
        for _ in 0..self.arguments.runs {
            runs.weir.push(self.weir.time(&sql).await?);
            for (place, running) in self.running.iter_mut().enumerate() {
                if is_answering[place] {
                    let took = running.time(&self.values.fill(running.kind.sql_of(question)))?;
                    runs.peers[place].push(took);
                }
            }
        }
        Ok(runs)
    }

    async fn cold(
        &self,
        question: &Question,
        is_answering: &[bool],
    ) -> Result<Runs, Box<dyn Error>> {
        let Arguments { data, limits, .. } = &self.arguments;
        let mut runs = Runs::of(self.peers.len());
        let sql = self.values.fill(question.weir);
        for _ in 0..self.arguments.cold_runs {
            let weir = Weir::start(data, limits).await?;
            runs.weir.push(weir.time(&sql).await?);
            for (place, peer) in self.peers.iter().enumerate() {
                if is_answering[place] {
                    let mut running = peer.start(data, limits)?;
                    let took = running.time(&self.values.fill(peer.kind.sql_of(question)))?;
                    runs.peers[place].push(took);
                }
            }
        }
        Ok(runs)
    }
}

async fn generate(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut settings = Settings {
        seed: arguments.seed,
        ..Settings::new(arguments.rows)
    };
    if let Some(hours) = arguments.hours {
        settings.duration = Duration::try_from_secs_f64(hours * 3_600.0)?;
    }
    write(&settings, &arguments.data).await?;
    Ok(())
}

fn print_tables(weir: &Weir) {
    for table in [TableId::HttpEvent, TableId::DnsEvent, TableId::Flow] {
        let files = weir.store.snapshot(table, None).files;
        let rows: u64 = files.iter().map(|file| file.rows()).sum();
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        println!(
            "{:<12} {rows:>10} rows in {} files of {bytes} bytes",
            table.name(),
            files.len()
        );
    }
    println!();
}
