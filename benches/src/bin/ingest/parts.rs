//! Each part alone, with what it gets made before.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use weir_benches::measure::{Stopwatch, Took};
use weir_benches::recording::{self, Settings};
use weir_ingest::capture_file::Reader;
use weir_ingest::decode::{Decoded, Decoder};
use weir_ingest::dns::{Matcher, Message, Passage, Transport};
use weir_ingest::http::{Config, Connection, Endpoints};
use weir_ingest::packet::TcpFlags;
use weir_ingest::sink::Ledger;
use weir_ingest::tcp::{Chunk, Event, Limits, Segment, Side, Stamp, Stream};
use weir_storage::{Identity, Row};

use crate::Part;

const SIDES: [Side; 2] = [Side::Initiator, Side::Responder];

/// What becomes of the packets of HTTP.
pub(crate) fn http(settings: &Settings) -> Vec<Part<'_>> {
    let recording = Arc::new(recording::http(settings));
    let messages: Arc<Vec<[Vec<u8>; 2]>> = Arc::new(
        (0..settings.events)
            .map(|number| {
                let request = recording::request(number, settings.headers);
                [request, recording::response(number, settings.headers)]
            })
            .collect(),
    );
    let for_reassembly = Arc::clone(&messages);
    let for_rows = Arc::clone(&messages);
    vec![
        (
            "reading and decoding",
            Box::new(move || Ok((decode(&recording), settings.events))),
        ),
        (
            "reassembly",
            Box::new(move || Ok(reassemble(&for_reassembly))),
        ),
        ("HTTP", Box::new(move || Ok(parse(&messages)))),
        (
            "HTTP and rows",
            Box::new(move || Ok(parse_into_rows(&for_rows))),
        ),
    ]
}

/// What becomes of the messages of DNS.
pub(crate) fn dns(settings: &Settings) -> Vec<Part<'_>> {
    let messages: Vec<[Vec<u8>; 2]> = (0..settings.events).map(recording::lookup).collect();
    vec![("DNS", Box::new(move || Ok(look_up(&messages))))]
}

fn decode(recording: &[u8]) -> Took {
    let started = Stopwatch::start();
    let mut decoder = Decoder::default();
    let mut ledger = Ledger::default();
    let mut reader = Reader::open(recording).expect("the recording was made right");
    while let Some(frame) = reader.next_frame() {
        if let Decoded::Packet(packet) = decoder.decode(&frame, &mut ledger) {
            black_box(&packet);
        }
    }
    started.took()
}

/// Gives the messages to two streams, one packet each.
fn reassemble(messages: &[[Vec<u8>; 2]]) -> (Took, usize) {
    let started = Stopwatch::start();
    let mut streams = SIDES.map(|_| Stream::new(Limits::default()));
    let mut numbers = [0_u32; 2];
    let mut chunks = 0;
    for stream in &mut streams {
        stream.start_at(0);
    }
    for (number, exchange) in messages.iter().enumerate() {
        for (index, payload) in exchange.iter().enumerate() {
            let [client, server] = &mut streams;
            let (stream, other) = if index == 0 {
                (client, server)
            } else {
                (server, client)
            };
            let ack = numbers[1 - index];
            other.acknowledged(ack, number as i64, |event, _| {
                black_box(event);
            });
            let segment = Segment {
                seq: numbers[index],
                flags: TcpFlags::ACK,
                payload,
                payload_len: payload.len() as u32,
                time: number as i64,
                received: other.received_at(ack),
            };
            stream.segment(segment, |event, _| {
                if let Event::Chunk(chunk) = event {
                    black_box(chunk);
                    chunks += 1;
                }
            });
            numbers[index] = numbers[index].wrapping_add(payload.len() as u32);
        }
    }
    (started.took(), chunks / 2)
}

fn each_exchange(messages: &[[Vec<u8>; 2]], mut each: impl FnMut(weir_ingest::http::Exchange)) {
    let mut connection = Connection::new(Arc::new(Config::default()));
    let mut exchanges = Vec::new();
    let mut passed = [0_u64; 2];
    for (number, exchange) in messages.iter().enumerate() {
        for (index, message) in exchange.iter().enumerate() {
            let stamp = Stamp {
                time: number as i64,
                place: passed[index],
                received: Some(passed[1 - index]),
            };
            connection.data(SIDES[index], Chunk::Data(message), stamp, &mut exchanges);
            passed[index] += message.len() as u64;
        }
        exchanges.drain(..).for_each(&mut each);
    }
}

fn parse(messages: &[[Vec<u8>; 2]]) -> (Took, usize) {
    let started = Stopwatch::start();
    let mut count = 0;
    each_exchange(messages, |exchange| {
        drop(black_box(exchange));
        count += 1;
    });
    (started.took(), count)
}

fn parse_into_rows(messages: &[[Vec<u8>; 2]]) -> (Took, usize) {
    let started = Stopwatch::start();
    let endpoints = Endpoints {
        conn_id: 1,
        role: Some("server"),
        client: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
        server: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
    };
    let identity = Identity {
        node: "node-a".into(),
        process: None,
    };
    let mut builder = weir_storage::TableId::HttpEvent.builder();
    let mut count = 0;
    each_exchange(messages, |exchange| {
        let row = Row::from(exchange.into_row(identity.clone(), &endpoints));
        black_box(builder.append(&row));
        count += 1;
        if builder.rows() == 8_192 {
            drop(black_box(builder.finish()));
        }
    });
    (started.took(), count)
}

fn look_up(messages: &[[Vec<u8>; 2]]) -> (Took, usize) {
    let started = Stopwatch::start();
    let mut matcher = Matcher::new(weir_ingest::dns::Settings {
        timeout_ns: 5_000_000_000,
        max_pending: 16_384,
    });
    let ends = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
        SocketAddr::from((Ipv4Addr::LOCALHOST, 53)),
    ];
    let mut lookups = Vec::new();
    let mut count = 0;
    for (number, exchange) in messages.iter().enumerate() {
        for (index, captured) in exchange.iter().enumerate() {
            let passage = Passage {
                key: 1_i64,
                source: ends[index],
                destination: ends[1 - index],
                transport: Transport::Udp,
                first_byte: number as i64,
                last_byte: number as i64,
            };
            if let Ok(message) = Message::parse(captured, captured.len() as u32) {
                matcher.message(passage, message, &mut lookups);
            }
        }
        count += lookups.len();
        lookups.drain(..).for_each(|lookup| drop(black_box(lookup)));
    }
    (started.took(), count)
}
