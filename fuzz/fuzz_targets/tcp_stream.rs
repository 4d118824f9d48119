//! Reassembly of one direction: each byte is given out at most once, in order, and memory stays within the limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ingest::packet::TcpFlags;
use weir_ingest::tcp::{Chunk, Event, Limits, Segment, Stamp, Stream};

// A segment is: flags and kind, distance from the start (two bytes), bytes captured, bytes cut, then the bytes.
fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        bytes: 512,
        pieces: 8,
    };
    let mut stream = Stream::new(limits);
    let mut given = 0_u64;
    let mut is_finished = false;
    let mut give = |event: Event<'_>, stamp: Stamp| {
        assert!(!is_finished, "nothing follows the FIN");
        assert!(stamp.place <= given);
        match event {
            Event::Chunk(Chunk::Data(bytes)) => {
                assert!(!bytes.is_empty());
                given += bytes.len() as u64;
            }
            Event::Chunk(Chunk::Gap { bytes, .. }) => {
                assert!(bytes > 0);
                given += bytes;
            }
            Event::Fin => is_finished = true,
        }
    };
    let mut rest = data;
    let mut time = 0;
    while let Some(([kind, high, low, length, cut], bytes)) = rest.split_first_chunk::<5>() {
        let (payload, left) = bytes.split_at(usize::from(*length).min(bytes.len()));
        rest = left;
        // Up to a quarter of a second: what is late may still come, or not.
        time += 1 + i64::from(*cut) * 1_000_000;
        let distance = u32::from(u16::from_be_bytes([*high, *low]));
        let seq = if kind & 0x80 == 0 {
            distance.wrapping_sub(512)
        } else {
            distance << 16
        };
        match kind >> 4 & 0x07 {
            0 => stream.start_at(seq),
            1 => stream.acknowledged(seq, time, &mut give),
            2 => stream.give_up_until(seq, &mut give),
            3 => stream.join_at(seq, i32::from(*cut) * 64),
            _ => {
                let segment = Segment {
                    seq,
                    flags: TcpFlags(kind & 0x03),
                    payload,
                    payload_len: payload.len() as u32 + u32::from(*cut) * 7,
                    time,
                    received: None,
                };
                stream.segment(segment, &mut give);
            }
        }
        let _ = (stream.next_seq(), stream.received_at(seq), stream.waits_since());
    }
    stream.flush(time, &mut give);
});
