//! Both sides of an HTTP/1.x connection in chunks and gaps: no panic, bounded memory, everything given back at the end.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weir_ingest::http::{Config, Connection, detect};
use weir_ingest::tcp::{Chunk, End, GapCause, Side, Stamp};

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
    let mut passed = [0_u64; 2];
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
        let [mine, other] = match side {
            Side::Initiator => [0, 1],
            Side::Responder => [1, 0],
        };
        let stamp = Stamp {
            time,
            place: passed[mine],
            // What is known lags behind in some steps, and in some nothing is known.
            received: (step & 0x20 == 0)
                .then_some(passed[other].saturating_sub(u64::from(step >> 6))),
        };
        if step & 0x1C == 0x1C {
            let gap = u64::from(*length) * 37;
            passed[mine] += gap;
            connection.data(
                side,
                Chunk::Gap { bytes: gap, cause },
                stamp,
                &mut exchanges,
            );
            rest = bytes;
            continue;
        }
        let (chunk, left) = bytes.split_at(usize::from(*length).min(bytes.len()));
        rest = left;
        passed[mine] += chunk.len() as u64;
        connection.data(side, Chunk::Data(chunk), stamp, &mut exchanges);
        assert!(connection.pending() <= config.max_pending + 2);
    }
    connection.end(Some(Side::Initiator), End::Fin, time, &mut exchanges);
    connection.end(None, End::Unknown, time, &mut exchanges);
    assert_eq!(connection.pending(), 0);
});
