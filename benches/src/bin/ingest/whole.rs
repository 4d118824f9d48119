//! All of it: a recording becomes rows, of a wire, or at a socket as live capture has them, with and without the store
//! behind them.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use weir_benches::measure::{Stopwatch, Took};
use weir_benches::recording::{self, Settings};
use weir_ingest::capture_file::{Import, Reader};
use weir_ingest::decode::{Decoded, Decoder};
use weir_ingest::packet::{Direction, Packet, Vantage};
use weir_ingest::sink::{Ledger, Sink};
use weir_ingest::tracker::{self, Tracker};
use weir_storage::{Row, Store, StoreOptions, TableId};

use crate::Part;

/// Recordings of HTTP.
pub(crate) fn http(settings: &Settings) -> Vec<Part<'_>> {
    of_table(
        recording::http(settings),
        TableId::HttpEvent,
        &[
            "HTTP, import, rows dropped",
            "HTTP, at sockets, rows dropped",
            "HTTP, import into the store",
        ],
    )
}

/// Recordings of DNS.
pub(crate) fn dns(settings: &Settings) -> Vec<Part<'_>> {
    of_table(
        recording::dns(settings),
        TableId::DnsEvent,
        &[
            "DNS, import, rows dropped",
            "DNS, at sockets, rows dropped",
            "DNS, import into the store",
        ],
    )
}

fn of_table<'a>(recording: Vec<u8>, table: TableId, names: &[&'static str; 3]) -> Vec<Part<'a>> {
    let recording = Arc::new(recording);
    let [to_nothing, at_sockets, to_store] = [(); 3].map(|()| Arc::clone(&recording));
    vec![
        (
            names[0],
            Box::new(move || {
                let mut sink = Counting::new(table, drop);
                Ok((import(&to_nothing, &mut sink)?, sink.count))
            }),
        ),
        (
            names[1],
            Box::new(move || {
                let mut sink = Counting::new(table, drop);
                Ok((at_socket(&at_sockets, &mut sink)?, sink.count))
            }),
        ),
        (
            names[2],
            Box::new(move || {
                let directory = tempfile::tempdir()?;
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let options = StoreOptions {
                    memory_bytes: 64 << 30,
                    ..StoreOptions::new(directory.path(), "node-a")
                };
                let store = runtime.block_on(Store::open(options))?;
                let mut sink = Counting::new(table, |row| store.append(row));
                Ok((import(&to_store, &mut sink)?, sink.count))
            }),
        ),
    ]
}

/// Counts the rows of a table on their way.
struct Counting<F> {
    table: TableId,
    count: usize,
    take: F,
}

impl<F: FnMut(Row)> Counting<F> {
    const fn new(table: TableId, take: F) -> Self {
        Self {
            table,
            count: 0,
            take,
        }
    }
}

impl<F: FnMut(Row)> Sink for Counting<F> {
    fn push(&mut self, row: Row) {
        self.count += usize::from(row.table() == self.table);
        (self.take)(row);
    }
}

fn import(recording: &[u8], sink: &mut dyn Sink) -> Result<Took, Box<dyn Error>> {
    let started = Stopwatch::start();
    let mut tracker = Tracker::new(tracker::Settings::new("node-a".into(), 0));
    let mut import = Import::new();
    import.file(Reader::open(recording)?, &mut tracker, sink, &mut |_| {});
    import.finish(&mut tracker, sink);
    Ok(started.took())
}

/// The packets as the server's sockets see them. They are decoded before.
fn at_socket(recording: &[u8], sink: &mut dyn Sink) -> Result<Took, Box<dyn Error>> {
    let mut decoder = Decoder::default();
    let mut ledger = Ledger::default();
    let mut reader = Reader::open(recording)?;
    let mut packets: Vec<(Packet<'static>, Vec<u8>)> = Vec::new();
    while let Some(frame) = reader.next_frame() {
        if let Decoded::Packet(packet) = decoder.decode(&frame, &mut ledger)
            && packet.payload_len > 0
        {
            packets.push((at_server(&packet), packet.payload.to_vec()));
        }
    }
    let started = Stopwatch::start();
    let mut tracker = Tracker::new(tracker::Settings::new("node-a".into(), 0));
    let mut last = 0;
    for (packet, payload) in &packets {
        last = packet.time;
        tracker.packet(&Packet { payload, ..*packet }, sink);
    }
    tracker.finish(last, sink);
    Ok(started.took())
}

fn at_server(packet: &Packet<'_>) -> Packet<'static> {
    let is_request = packet.source.port() > packet.destination.port();
    let client = if is_request {
        packet.source
    } else {
        packet.destination
    };
    Packet {
        vantage: Vantage::Socket {
            netns: 1,
            cookie: cookie(client),
            direction: if is_request {
                Direction::Received
            } else {
                Direction::Sent
            },
        },
        payload: &[],
        ..*packet
    }
}

fn cookie(client: SocketAddr) -> u64 {
    let address = match client.ip() {
        std::net::IpAddr::V4(address) => u64::from(address.to_bits()),
        std::net::IpAddr::V6(_) => 0,
    };
    (address << 16) | u64::from(client.port())
}
