use proptest::prelude::*;

use super::*;
use crate::tcp::GapCause;

const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";

/// A message as it travels: its length before it.
fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn gap(bytes: u64) -> Chunk<'static> {
    Chunk::Gap {
        bytes,
        cause: GapCause::Missing,
    }
}

/// What came out: captured bytes, length on the wire, first and last time.
type Seen = (Vec<u8>, u32, Nanos, Nanos);

fn push(framer: &mut Framer, time: Nanos, chunk: Chunk<'_>) -> Vec<Seen> {
    let mut seen = Vec::new();
    framer.push(time, chunk, |message| {
        seen.push((
            message.captured.to_vec(),
            message.wire_len,
            message.first_byte,
            message.last_byte,
        ));
    });
    seen
}

#[test]
fn several_messages_in_one_chunk_and_one_in_several_chunks() {
    let mut framer = Framer::new();
    let both = [framed(b"first"), framed(b"second")].concat();
    let seen = push(&mut framer, 1, Chunk::Data(&both));
    assert_eq!(
        seen,
        [(b"first".to_vec(), 5, 1, 1), (b"second".to_vec(), 6, 1, 1)]
    );
    assert_eq!(push(&mut framer, 2, Chunk::Data(b"\0")), []);
    assert_eq!(push(&mut framer, 3, Chunk::Data(b"\x05th")), []);
    assert_eq!(
        push(&mut framer, 4, Chunk::Data(b"ird")),
        [(b"third".to_vec(), 5, 2, 4)]
    );
}

#[test]
fn a_gap_inside_a_message_costs_only_its_rest() {
    let mut framer = Framer::new();
    assert_eq!(push(&mut framer, 1, Chunk::Data(b"\0\x0Aabc")), []);
    assert_eq!(push(&mut framer, 2, gap(4)), []);
    let rest = [&b"xyz"[..], &framed(b"next")].concat();
    let seen = push(&mut framer, 3, Chunk::Data(&rest));
    assert_eq!(
        seen,
        [(b"abc".to_vec(), 10, 1, 3), (b"next".to_vec(), 4, 3, 3)]
    );
    assert_eq!(framer.take_lost_bytes(), 0);
}

#[test]
fn a_gap_to_the_end_of_a_message_keeps_the_framing() {
    let mut framer = Framer::new();
    assert_eq!(push(&mut framer, 1, Chunk::Data(b"\0\x05abc")), []);
    assert_eq!(push(&mut framer, 2, gap(2)), [(b"abc".to_vec(), 5, 1, 2)]);
    assert_eq!(
        push(&mut framer, 3, Chunk::Data(&framed(b"next"))),
        [(b"next".to_vec(), 4, 3, 3)]
    );
}

#[test]
fn a_gap_over_a_length_loses_the_framing_until_a_chunk_begins_with_a_message() {
    let mut framer = Framer::new();
    assert_eq!(push(&mut framer, 1, Chunk::Data(b"\0\x05abc")), []);
    assert_eq!(push(&mut framer, 2, gap(7)), [(b"abc".to_vec(), 5, 1, 2)]);
    assert_eq!(push(&mut framer, 3, Chunk::Data(b"somewhere")), []);
    assert_eq!(framer.take_lost_bytes(), 5 + 9);
    let query = framed(QUERY);
    assert_eq!(
        push(&mut framer, 4, Chunk::Data(&query)),
        [(QUERY.to_vec(), QUERY.len() as u32, 4, 4)]
    );
    assert_eq!(framer.take_lost_bytes(), 0);
}

#[test]
fn at_the_end_an_unfinished_message_is_given_as_far_as_it_goes() {
    let mut framer = Framer::new();
    push(&mut framer, 1, Chunk::Data(b"\0\x0Aabc"));
    let mut seen = Vec::new();
    framer.finish(9, |message| {
        seen.push((message.captured.to_vec(), message.wire_len));
    });
    assert_eq!(seen, [(b"abc".to_vec(), 10)]);
    framer.finish(9, |_| unreachable!("there is nothing more"));
}

proptest! {
    #[test]
    fn messages_are_the_same_however_the_stream_is_cut(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..12),
        cuts in proptest::collection::vec(1..40usize, 1..60),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        let mut framer = Framer::new();
        let mut seen = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (chunk, left) = rest.split_at((*cut).min(rest.len()));
            seen.extend(push(&mut framer, 0, Chunk::Data(chunk)).into_iter().map(|(captured, ..)| captured));
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, messages);
        prop_assert_eq!(framer.take_lost_bytes(), 0);
    }

    #[test]
    fn arbitrary_chunks_never_panic_and_every_byte_is_accounted_for(
        chunks in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..50).prop_map(Ok),
            (0..70_000u64).prop_map(Err),
        ], 0..30),
    ) {
        let mut framer = Framer::new();
        let (mut passed, mut accounted) = (0, 0);
        for chunk in &chunks {
            let (chunk, bytes) = match chunk {
                Ok(data) => (Chunk::Data(data), data.len() as u64),
                Err(bytes) => (gap(*bytes), *bytes),
            };
            passed += bytes;
            framer.push(0, chunk, |message| accounted += 2 + u64::from(message.wire_len));
            accounted += framer.take_lost_bytes();
        }
        prop_assert!(accounted <= passed);
        // What is not accounted for yet belongs to the message under way.
        prop_assert!(passed - accounted <= 2 + 65_535);
    }
}

#[test]
fn behind_a_gap_a_length_may_come_apart_from_its_message() {
    let mut framer = Framer::new();
    assert_eq!(push(&mut framer, 1, gap(9)), []);
    assert_eq!(push(&mut framer, 2, Chunk::Data(b"zz")), []);
    assert_eq!(
        push(&mut framer, 3, Chunk::Data(b"middle of something")),
        []
    );
    assert_eq!(framer.take_lost_bytes(), 9 + 2 + 19);
    let message = framed(QUERY);
    let (length, rest) = message.split_at(2);
    assert_eq!(push(&mut framer, 4, Chunk::Data(length)), []);
    let seen = push(&mut framer, 5, Chunk::Data(rest));
    assert_eq!(seen, [(QUERY.to_vec(), QUERY.len() as u32, 4, 5)]);
    assert_eq!(framer.take_lost_bytes(), 0);
}

#[test]
fn a_stream_that_is_joined_begins_with_the_first_whole_message() {
    let mut framer = Framer::joined();
    // A message without its length: its id is none.
    assert_eq!(push(&mut framer, 1, Chunk::Data(QUERY)), []);
    let seen = push(&mut framer, 2, Chunk::Data(&framed(QUERY)));
    assert_eq!(seen, [(QUERY.to_vec(), QUERY.len() as u32, 2, 2)]);
    assert_eq!(framer.take_lost_bytes(), QUERY.len() as u64);
}
