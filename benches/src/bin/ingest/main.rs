//! Measures what makes rows of packets: each part alone, and all of it, on one core and from memory.

mod parts;
mod whole;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use weir_benches::measure::{Rates, Took};
use weir_benches::recording::{self, Headers, Settings};

/// Measures what makes rows of packets, on one core and from memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Requests, or lookups.
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// Connections that are open at a time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Which headers messages have; both kinds are measured unless one is named.
    #[arg(long)]
    headers: Option<Wanted>,
    /// Only the parts whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// How often each part is measured; the median counts.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Writes the recording of HTTP there, for `weir import` and others, and measures nothing.
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wanted {
    /// Those of wrk and nginx.
    Few,
    /// Those of a service behind a proxy.
    Many,
}

impl Wanted {
    const fn headers(self) -> Headers {
        match self {
            Self::Few => Headers::Few,
            Self::Many => Headers::Many,
        }
    }
}

/// What a part is called, and how it runs once: what it took, and how many events came out.
type Part<'a> = (
    &'static str,
    Box<dyn Fn() -> Result<(Took, usize), Box<dyn Error>> + 'a>,
);

impl Arguments {
    fn settings(&self, headers: Headers) -> Settings {
        Settings {
            events: self.events,
            connections: self.connections,
            headers,
        }
    }

    fn measure(&self, words: [&'static str; 2], parts: &[Part<'_>]) -> Result<(), Box<dyn Error>> {
        for (name, run) in parts.iter().filter(|(name, _)| name.contains(&self.only)) {
            let mut runs = Vec::new();
            for _ in 0..self.runs.max(1) {
                let (took, events) = run()?;
                // What makes nothing of what it gets would be quick.
                if events != self.events {
                    return Err(format!("{name} made {events} of {} events", self.events).into());
                }
                runs.push(took);
            }
            println!("{name:<34} {}", Rates::counting(words, self.events, &runs));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.write {
        let headers = arguments.headers.unwrap_or(Wanted::Few).headers();
        std::fs::write(path, recording::http(&arguments.settings(headers)))?;
        return Ok(());
    }
    let wanted = match arguments.headers {
        Some(wanted) => vec![wanted],
        None => vec![Wanted::Few, Wanted::Many],
    };
    for wanted in wanted {
        let settings = arguments.settings(wanted.headers());
        println!("HTTP, {wanted:?} headers");
        arguments.measure(["event", "events"], &parts::http(&settings))?;
        arguments.measure(["event", "events"], &whole::http(&settings))?;
    }
    println!("DNS");
    let settings = arguments.settings(Headers::Few);
    arguments.measure(["lookup", "lookups"], &parts::dns(&settings))?;
    arguments.measure(["lookup", "lookups"], &whole::dns(&settings))
}
