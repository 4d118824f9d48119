//! Both sides of an HTTP/1.x connection in chunks and gaps: no panic, bounded memory, everything given back at the end.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weir_ingest::http::{Config, Connection, detect};
use weir_ingest::tcp::{Chunk, End, GapCause, Side};

// A step is: what it is, its length, then so many bytes.
fuzz_target!(|data: &[u8]| {
    let _ = detect(data);
    let config = Arc::new(Config {
        max_head: 512,
        max_pending: 4,
        max_pending_bytes: 4_096,
        max_body_capture: 64,
        ..Config::default()
    });
    let mut connection = Connection::new(Arc::clone(&config));
    let mut exchanges = Vec::new();
    let mut rest = data;
    let mut time = 0;
    while let Some(([step, length], bytes)) = rest.split_first_chunk::<2>() {
        time += 1_000;
        let side = if step & 1 == 0 {
            Side::Initiator
        } else {
            Side::Responder
        };
        let cause = if step & 2 == 0 {
            GapCause::Missing
        } else {
            GapCause::NotCopied
        };
        if step & 0x1C == 0x1C {
            let gap = u64::from(*length) * 37;
            connection.data(side, Chunk::Gap { bytes: gap, cause }, time, &mut exchanges);
            rest = bytes;
            continue;
        }
        let (chunk, left) = bytes.split_at(usize::from(*length).min(bytes.len()));
        rest = left;
        connection.data(side, Chunk::Data(chunk), time, &mut exchanges);
        assert!(connection.pending() <= config.max_pending + 2);
    }
    connection.end(Some(Side::Initiator), End::Fin, time, &mut exchanges);
    connection.end(None, End::Unknown, time, &mut exchanges);
    assert_eq!(connection.pending(), 0);
});
