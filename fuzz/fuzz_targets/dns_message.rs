//! DNS from the bytes of a datagram or stream to rows: no panic, bounded output, and the parts agree with each other.

#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use weir_ingest::dns::{
    AddressNames, Completeness, Framer, Lookup, Matcher, Message, Passage, Settings, Transport,
    looks_like_dns, looks_like_dns_over_tcp,
};
use weir_ingest::tcp::{Chunk, GapCause};
use weir_storage::Identity;

/// The text of all answers of a message, with room for the last one.
const MOST_TEXT: usize = 256 * 1024 + 300 * 1024;

fuzz_target!(|data: &[u8]| {
    datagram(data);
    stream(data);
});

fn datagram(data: &[u8]) {
    let whole = data.len() as u32;
    for wire_len in [whole, whole + 9] {
        let is_dns = looks_like_dns(data, wire_len, false);
        let Ok(message) = Message::parse(data, wire_len) else {
            assert!(!is_dns);
            continue;
        };
        if is_dns {
            assert_ne!(message.completeness, Completeness::Malformed);
            assert_eq!(message.questions.len(), 1);
        }
        let text: usize = message
            .answers
            .iter()
            .map(|answer| answer.name.len() + answer.data.len())
            .sum();
        assert!(text <= MOST_TEXT);
        for question in &message.questions {
            assert!(!question.name.is_empty() && question.name.is_ascii());
        }
    }
}

/// The first bytes say how the rest is cut into chunks and gaps, and which messages go which way.
fn stream(data: &[u8]) {
    let Some((plan, mut rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let _ = looks_like_dns_over_tcp(rest, false);
    let _ = looks_like_dns_over_tcp(rest, true);
    let client = SocketAddr::from(([192, 0, 2, 1], 40_000));
    let server = match plan[0] % 3 {
        0 => SocketAddr::from(([192, 0, 2, 53], 53)),
        1 => SocketAddr::from(([224, 0, 0, 251], 5353)),
        _ => SocketAddr::from(([0xFF02, 0, 0, 0, 0, 0, 0, 0xFB], 5353)),
    };
    let mut framer = Framer::new();
    let mut matcher = Matcher::new(Settings {
        max_pending: 4,
        ..Settings::default()
    });
    let mut names = AddressNames::new(4);
    let mut lookups: Vec<Lookup<()>> = Vec::new();
    let mut most_rows = 0;
    let mut time = 0;
    for step in plan.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        time += i64::from(*step) * 10_000_000;
        let (taken, left) = rest.split_at(usize::from(*step).min(rest.len()).max(1));
        rest = left;
        let chunk = if *step % 16 == 15 {
            let cause = GapCause::Missing;
            Chunk::Gap {
                bytes: taken.len() as u64,
                cause,
            }
        } else {
            Chunk::Data(taken)
        };
        framer.push(time, chunk, |framed| {
            assert!(framed.captured.len() <= framed.wire_len as usize);
            let Ok(message) = Message::parse(framed.captured, framed.wire_len) else {
                return;
            };
            // A message makes a row for each question.
            most_rows += message.questions.len().max(1);
            let (source, destination) = if message.is_response {
                (server, client)
            } else {
                (client, server)
            };
            let passage = Passage {
                key: (),
                source,
                destination,
                transport: Transport::Tcp,
                first_byte: framed.first_byte,
                last_byte: framed.last_byte,
            };
            matcher.message(passage, message, &mut lookups);
        });
    }
    matcher.finish(&mut lookups);
    assert!(lookups.len() <= most_rows);
    for lookup in lookups {
        names.insert(&(), &lookup, time);
        let identity = Identity {
            node: "fuzz".into(),
            process: None,
        };
        let row = lookup.into_row(identity, None, None);
        assert_eq!(row.answers.is_some(), row.rcode.is_some());
    }
}
