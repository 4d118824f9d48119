use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a stream gave out: bytes of known content, gaps, the FIN.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Data(Vec<u8>, Nanos),
    Gap(u64, GapCause),
    Fin,
}

fn record(out: &mut Vec<Out>) -> impl FnMut(Event<'_>, Stamp) {
    |event, stamp| {
        out.push(match event {
            Event::Chunk(Chunk::Data(bytes)) => Out::Data(bytes.to_vec(), stamp.time),
            Event::Chunk(Chunk::Gap { bytes, cause }) => Out::Gap(bytes, cause),
            Event::Fin => Out::Fin,
        });
    }
}

struct Run {
    stream: Stream,
    out: Vec<Out>,
    time: Nanos,
}

impl Run {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            stream: Stream::new(limits),
            out: Vec::new(),
            time: 0,
        }
    }

    fn segment(
        &mut self,
        seq: u32,
        flags: TcpFlags,
        payload: &[u8],
        payload_len: usize,
    ) -> &mut Self {
        self.time += 1;
        let segment = Segment {
            seq,
            flags,
            payload,
            payload_len: payload_len as u32,
            time: self.time,
            received: None,
        };
        self.stream.segment(segment, record(&mut self.out));
        self
    }

    fn data(&mut self, seq: u32, payload: &[u8]) -> &mut Self {
        self.segment(seq, TcpFlags::ACK, payload, payload.len())
    }

    /// An acknowledgment that comes when nothing is late any more.
    fn ack(&mut self, ack: u32) -> &mut Self {
        self.ack_after(REORDER_TIMEOUT, ack)
    }

    fn ack_after(&mut self, wait: Nanos, ack: u32) -> &mut Self {
        let time = self.time + wait;
        self.stream.acknowledged(ack, time, record(&mut self.out));
        self
    }

    fn give_up_until(&mut self, ack: u32) -> String {
        self.stream.give_up_until(ack, record(&mut self.out));
        self.text()
    }

    fn flush(&mut self) -> &mut Self {
        self.stream.flush(self.time, record(&mut self.out));
        self
    }

    /// What was given out, with joined data and `.` for each byte of a gap of unknown content, `_` of a missing one.
    fn text(&self) -> String {
        let text = |out: &Out| match out {
            Out::Data(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
            Out::Gap(bytes, GapCause::NotCopied) => ".".repeat(*bytes as usize),
            Out::Gap(bytes, GapCause::Missing) => "_".repeat(*bytes as usize),
            Out::Fin => "$".into(),
        };
        self.out.iter().map(text).collect()
    }
}

#[test]
fn data_in_order_is_handed_on_at_once() {
    let mut run = Run::new();
    run.segment(99, TcpFlags::SYN, b"", 0);
    run.data(100, b"abc").data(103, b"def");
    run.segment(106, TcpFlags::FIN, b"", 0);
    assert_eq!(
        run.out,
        [
            Out::Data(b"abc".into(), 2),
            Out::Data(b"def".into(), 3),
            Out::Fin
        ]
    );
    assert!(!run.stream.is_joined());
    assert!(run.stream.is_finished());
}

#[test]
fn the_first_payload_seen_is_the_start_where_none_is_known() {
    let mut run = Run::new();
    run.segment(500, TcpFlags::ACK, b"", 0);
    run.data(500, b"abc").data(490, b"old").data(498, b"..abcd");
    assert_eq!(run.text(), "abcd");
    assert!(run.stream.is_joined());
}

#[test]
fn a_stream_is_joined_at_the_earliest_byte_told_before_anything_is_given_out() {
    let mut run = Run::new();
    for seq in [2, 5, u32::MAX, 4_000] {
        run.stream.join_at(seq, 1_000);
    }
    assert_eq!(run.stream.next_seq(), Some(u32::MAX));
    run.data(u32::MAX, b"ab");
    run.stream.join_at(u32::MAX - 1, 1_000);
    run.data(1, b"c");
    assert_eq!(run.text(), "abc");
    assert!(run.stream.is_joined());

    let mut run = Run::new();
    run.stream.start_at(100);
    run.stream.join_at(90, 1_000);
    assert_eq!(run.stream.next_seq(), Some(100));
}

#[test]
fn a_start_told_by_the_kernel_makes_an_early_hole_show() {
    let mut run = Run::new();
    run.stream.start_at(100);
    run.data(103, b"def").data(100, b"abc");
    assert_eq!(run.text(), "abcdef");
    assert!(!run.stream.is_joined());
}

#[test]
fn data_in_the_syn_counts() {
    let mut run = Run::new();
    run.segment(99, TcpFlags::SYN, b"abc", 3);
    run.data(103, b"def");
    assert_eq!(run.text(), "abcdef");
}

#[test]
fn reordered_segments_keep_their_own_time() {
    let mut run = Run::new();
    run.data(100, b"a").data(102, b"c").data(101, b"b");
    assert_eq!(
        run.out,
        [
            Out::Data(b"a".into(), 1),
            Out::Data(b"b".into(), 3),
            Out::Data(b"c".into(), 2)
        ]
    );
}

#[test]
fn retransmissions_with_other_boundaries_give_each_byte_once() {
    let mut run = Run::new();
    run.data(100, b"abcd")
        .data(102, b"cdef")
        .data(100, b"abcdef");
    assert_eq!(run.text(), "abcdef");
    let counts = run.stream.counts();
    assert_eq!(counts.retransmitted_segments, 2);
    assert_eq!(counts.retransmitted_bytes, 8);
    assert_eq!(counts.stream_bytes(), 6);
}

#[test]
fn the_first_copy_wins_and_a_contradiction_is_counted() {
    let mut run = Run::new();
    run.data(100, b"a").data(103, b"dd").data(101, b"XXXXX");
    assert_eq!(run.text(), "aXXddX");
    assert_eq!(run.stream.counts().conflicting_segments, 1);
    assert_eq!(run.stream.counts().retransmitted_bytes, 2);
}

#[test]
fn bytes_come_with_their_place_and_what_their_sender_had_received() {
    let mut stream = Stream::new(Limits::default());
    stream.start_at(u32::MAX);
    let mut stamps = Vec::new();
    for (seq, received) in [(3, 70), (u32::MAX, 50), (1, 60)] {
        let segment = Segment {
            seq,
            flags: TcpFlags::ACK,
            payload: b"ab",
            payload_len: 2,
            time: i64::from(seq),
            received: Some(received),
        };
        stream.segment(segment, |_, stamp| {
            stamps.push((stamp.place, stamp.received));
        });
    }
    assert_eq!(stamps, [(0, Some(50)), (2, Some(60)), (4, Some(70))]);
    assert_eq!(stream.received_at(5), Some(6));
    assert_eq!(stream.received_at(1), Some(2));
    assert_eq!(stream.received_at(u32::MAX - 1), None);
    assert_eq!(Stream::new(Limits::default()).received_at(5), None);
}

#[test]
fn sequence_numbers_wrap() {
    let mut run = Run::new();
    run.segment(u32::MAX - 2, TcpFlags::SYN, b"", 0);
    run.data(1, b"de").data(u32::MAX - 1, b"abc");
    assert_eq!(run.text(), "abcde");
}

#[test]
fn probes_of_one_old_byte_are_no_retransmissions() {
    let mut run = Run::new();
    run.data(100, b"abc").data(102, b"c");
    run.segment(102, TcpFlags::ACK, b"", 0);
    run.data(103, b"d");
    assert_eq!(run.text(), "abcd");
    assert_eq!(run.stream.counts().keep_alives, 1);
    assert_eq!(run.stream.counts().retransmitted_segments, 0);
}

#[test]
fn a_window_probe_is_taken_and_its_byte_not_twice() {
    let mut run = Run::new();
    run.data(100, b"abc").data(103, b"d").data(103, b"def");
    assert_eq!(run.text(), "abcdef");
}

#[test]
fn what_was_not_copied_is_a_gap_of_known_length() {
    let mut run = Run::new();
    run.segment(100, TcpFlags::ACK, b"ab", 5);
    run.data(105, b"fg");
    assert_eq!(run.text(), "ab...fg");
    assert_eq!(run.stream.counts().not_copied_bytes, 3);
}

#[test]
fn another_copy_fills_in_what_was_not_copied_while_it_waits() {
    let mut run = Run::new();
    run.data(100, b"a");
    run.segment(102, TcpFlags::ACK, b"c", 5);
    run.data(104, b"ef");
    run.data(101, b"b");
    assert_eq!(run.text(), "abc.ef.");
}

#[test]
fn a_copy_in_order_fills_in_what_was_not_copied_before() {
    let mut run = Run::new();
    run.data(100, b"a");
    run.segment(102, TcpFlags::ACK, b"", 3);
    run.data(101, b"bcd");
    assert_eq!(run.text(), "abcd.");
}

#[test]
fn data_beyond_the_fin_is_ignored() {
    let mut run = Run::new();
    run.data(100, b"a").data(103, b"dXX");
    run.segment(104, TcpFlags::FIN, b"", 0);
    run.data(104, b"YY").data(101, b"bc");
    assert_eq!(run.text(), "abcd$");
    assert_eq!(run.stream.counts().ignored_segments, 1);
    run.segment(104, TcpFlags::FIN, b"", 0);
    assert_eq!(run.text(), "abcd$");
}

#[test]
fn a_fin_waits_for_the_hole_before_it() {
    let mut run = Run::new();
    run.data(100, b"a");
    run.segment(103, TcpFlags::FIN, b"d", 1);
    assert_eq!(run.text(), "a");
    run.data(101, b"bc");
    assert_eq!(run.text(), "abcd$");
}

#[test]
fn the_second_acknowledgment_of_a_hole_gives_it_up() {
    let mut run = Run::new();
    run.data(100, b"a").data(103, b"d");
    run.ack(101).ack(102).ack(104);
    assert_eq!(run.text(), "a");
    run.ack(104);
    assert_eq!(run.text(), "a__d");
    assert_eq!(run.stream.counts().missing_bytes, 2);
}

#[test]
fn what_may_still_be_late_is_waited_for() {
    let mut run = Run::new();
    run.data(100, b"a").data(103, b"d");
    let just_before = REORDER_TIMEOUT - 1;
    run.ack_after(just_before, 104).ack_after(just_before, 104);
    run.ack_after(just_before, 104).data(101, b"bc");
    assert_eq!(run.text(), "abcd");
    assert_eq!(run.stream.counts().missing_bytes, 0);
}

#[test]
fn of_several_starts_that_counts_which_was_acknowledged_or_has_data() {
    for is_acknowledged in [true, false] {
        let mut run = Run::new();
        for seq in [99, 5_000, 90_000_000] {
            run.segment(seq, TcpFlags::SYN, b"", 0);
        }
        if is_acknowledged {
            run.ack(100);
        }
        run.data(100, b"ab").data(102, b"c");
        assert_eq!(run.text(), "abc");
        assert_eq!(run.stream.counts().before_start_bytes, 0);
    }
}

#[test]
fn holes_that_were_waited_for_are_given_up_as_far_as_they_are_acknowledged() {
    let mut run = Run::new();
    run.data(100, b"a")
        .data(102, b"c")
        .data(104, b"e")
        .data(107, b"h");
    assert_eq!(run.give_up_until(101), "a");
    assert_eq!(run.give_up_until(106), "a_c_e");
    run.data(105, b"f");
    assert_eq!(run.text(), "a_c_ef");
    assert_eq!(run.give_up_until(107), "a_c_ef_h");
    assert_eq!(run.give_up_until(110), "a_c_ef_h");
    run.data(110, b"k");
    assert_eq!(run.text(), "a_c_ef_h__k");
}

#[test]
fn an_acknowledgment_shown_before_its_data_gives_nothing_up() {
    let mut run = Run::new();
    run.data(100, b"a")
        .data(102, b"c")
        .ack(103)
        .data(101, b"b")
        .ack(103);
    assert_eq!(run.text(), "abc");
    let mut run = Run::new();
    run.data(100, b"a").ack(103).ack(103).data(101, b"bc");
    assert_eq!(run.text(), "abc");
}

#[test]
fn a_full_buffer_gives_up_the_hole() {
    let mut run = Run::with(Limits {
        bytes: 4,
        pieces: 100,
    });
    run.data(100, b"a")
        .data(102, b"cd")
        .data(104, b"ef")
        .data(106, b"g");
    assert_eq!(run.text(), "a_cdefg");
    let mut run = Run::with(Limits {
        bytes: 100,
        pieces: 2,
    });
    run.data(100, b"a")
        .data(102, b"c")
        .data(104, b"e")
        .data(106, b"g");
    assert_eq!(run.text(), "a_c");
    run.flush();
    assert_eq!(run.text(), "a_c_e_g");
}

#[test]
fn at_the_end_every_hole_and_a_missing_tail_show() {
    let mut run = Run::new();
    run.data(100, b"a").data(102, b"c").flush();
    assert_eq!(run.text(), "a_c");
    let mut run = Run::new();
    run.data(100, b"a");
    run.segment(104, TcpFlags::FIN, b"", 0).flush();
    assert_eq!(run.text(), "a___$");
    let mut run = Run::new();
    run.data(100, b"a").ack(104).flush();
    assert_eq!(run.text(), "a___");
    let mut run = Run::new();
    run.data(100, b"a").ack(102).flush();
    assert_eq!(run.text(), "a");
}

#[test]
fn segments_far_outside_of_the_window_are_ignored() {
    let mut run = Run::new();
    run.data(100, b"a")
        .data(0x7000_0000, b"x")
        .data(0x9000_0000, b"y")
        .flush();
    assert_eq!(run.text(), "a");
    assert_eq!(run.stream.counts().ignored_segments, 2);
}

#[test]
fn the_time_since_which_it_waits_is_known() {
    let mut run = Run::new();
    run.data(100, b"a");
    assert_eq!(run.stream.waits_since(), None);
    run.data(104, b"e").data(102, b"c");
    assert_eq!(run.stream.waits_since(), Some(2));
    assert_eq!(run.stream.held_bytes(), 2);
    run.data(101, b"bcd");
    assert_eq!(run.stream.waits_since(), None);
    assert_eq!(run.stream.held_bytes(), 0);
}

/// Pieces of a message as they may be sent: place, length, captured length.
fn pieces(len: usize) -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    vec((0..len, 1..24_usize, 0..24_usize), 1..60).prop_map(move |pieces| {
        let cut = |(start, piece, copied): (usize, usize, usize)| {
            let piece = piece.min(len - start);
            // Mostly whole.
            let copied = if copied < 18 {
                piece
            } else {
                copied % (piece + 1)
            };
            (start, piece, copied)
        };
        pieces.into_iter().map(cut).collect()
    })
}

proptest! {
    #[test]
    fn any_segments_in_any_order_give_the_message(
        len in 1..200_usize,
        cuts in vec(0..200_usize, 0..20),
        order in vec(any::<u32>(), 64),
        again in vec((0..200_usize, 1..50_usize), 0..10),
        isn in any::<u32>(),
    ) {
        let message: Vec<u8> = (0..len).map(|at| (at * 7 + 3) as u8).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < len).collect();
        cuts.extend([0, len]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut segments: Vec<(usize, usize)> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
        segments.extend(again.into_iter().filter(|(at, _)| *at < len).map(|(at, n)| (at, (at + n).min(len))));
        let mut keyed: Vec<_> = segments.into_iter().zip(order.into_iter().cycle()).collect();
        keyed.sort_by_key(|(_, key)| *key);
        let mut run = Run::new();
        run.segment(isn, TcpFlags::SYN, b"", 0);
        for ((start, end), _) in keyed {
            run.data(isn.wrapping_add(1 + start as u32), &message[start..end]);
        }
        run.segment(isn.wrapping_add(1 + len as u32), TcpFlags::FIN, b"", 0);
        let got: Vec<u8> = run.out.iter().flat_map(|out| match out {
            Out::Data(bytes, _) => bytes.clone(),
            _ => Vec::new(),
        }).collect();
        prop_assert_eq!(got, message);
        prop_assert_eq!(run.out.last(), Some(&Out::Fin));
        prop_assert_eq!(run.stream.held_bytes(), 0);
    }

    #[test]
    fn it_gives_out_what_a_simple_model_does(pieces in pieces(150), isn in any::<u32>()) {
        // The model: for each byte whether its content passed, or only the byte, before the end.
        let message: Vec<u8> = (0..150_usize).map(|at| (at * 7 + 3) as u8).collect();
        let mut run = Run::with(Limits { bytes: 40, pieces: 4 });
        run.stream.start_at(isn);
        for &(start, len, copied) in &pieces {
            let seq = isn.wrapping_add(start as u32);
            run.segment(seq, TcpFlags::ACK, &message[start..start + copied], len);
            prop_assert!(run.stream.held_bytes() <= 40);
        }
        run.flush();
        let mut at = 0;
        for out in &run.out {
            match out {
                Out::Data(bytes, _) => {
                    prop_assert_eq!(bytes.as_slice(), &message[at..at + bytes.len()]);
                    at += bytes.len();
                }
                Out::Gap(bytes, GapCause::NotCopied) => {
                    let end = at + *bytes as usize;
                    prop_assert!((at..end).all(|at| pieces.iter().any(|(start, len, _)| (*start..start + len).contains(&at))));
                    at = end;
                }
                Out::Gap(bytes, GapCause::Missing) => at += *bytes as usize,
                Out::Fin => prop_assert!(false, "there was no FIN"),
            }
        }
        let end = pieces.iter().map(|(start, len, _)| start + len).max().unwrap_or(0);
        prop_assert_eq!(at, end);
        prop_assert_eq!(run.stream.counts().stream_bytes(), end as u64);
    }

    #[test]
    fn no_segment_makes_it_panic_or_grow(
        segments in vec((any::<u32>(), any::<u8>(), 0..200_usize, 0..3000_u32, any::<bool>()), 0..80),
    ) {
        let mut run = Run::with(Limits { bytes: 1000, pieces: 8 });
        let payload = [b'x'; 200];
        for (seq, flags, copied, len, is_near) in segments {
            let seq = if is_near { seq % 4000 } else { seq };
            run.segment(seq, TcpFlags(flags), &payload[..copied], len as usize);
            run.ack(seq.rotate_left(7));
            prop_assert!(run.stream.held_bytes() <= 1000);
        }
        run.flush();
        prop_assert_eq!(run.stream.held_bytes(), 0);
    }
}
