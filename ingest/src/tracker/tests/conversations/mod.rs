//! Conversations whose truth is known: whatever the methods, the framing and the segments are, each row says what was
//! said.

mod script;
mod truth;

use proptest::collection::vec;

use super::*;
use script::{Ending, Play, RequestBody, ResponseBody, Turn};
use truth::Truth;

/// What happens to a packet on its way into a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Captured,
    Twice,
    /// Captured again some packets later, with the one before it in one segment.
    SentAgain,
    /// The next one is captured before it.
    Overtaken,
}

fn turn() -> impl Strategy<Value = Turn> {
    let request_body = prop_oneof![
        3 => Just(RequestBody::None),
        2 => (0..3000_usize).prop_map(RequestBody::Length),
        1 => vec(1..700_usize, 0..4).prop_map(RequestBody::Chunked),
    ];
    let response_body = prop_oneof![
        3 => (0..4000_usize).prop_map(ResponseBody::Length),
        2 => vec(1..700_usize, 0..5).prop_map(ResponseBody::Chunked),
        1 => prop_oneof![Just(204_u16), Just(304)].prop_map(ResponseBody::Never),
    ];
    let bits = || any::<bool>();
    let odd = || prop_oneof![7 => Just(false), 1 => Just(true)];
    (
        (0..script::METHODS.len(), 0..4_usize, 0..3_usize, odd()),
        (request_body, response_body, 1..4_usize),
        (odd(), odd(), odd(), bits()),
        prop_oneof![9 => Just(0_usize), 1 => 0..20_000_usize],
    )
        .prop_map(
            |(
                (method, target, interims, expects),
                (request_body, response_body, at_once),
                (is_early, is_bare, is_http10, knows_late),
                filler,
            )| Turn {
                method,
                target,
                interims,
                expects,
                request_body,
                response_body,
                at_once,
                is_early,
                is_bare,
                is_http10,
                knows_late,
                filler,
            },
        )
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        6 => Just(Ending::Closed),
        2 => (0..3000_usize).prop_map(Ending::CloseDelimited),
        1 => Just(Ending::WebSocket),
        1 => Just(Ending::Tunnel),
        1 => Just(Ending::Simple),
    ]
}

/// The packets as a capture has them, one each millisecond.
fn capture(packets: &[Sent], fates: &[Fate]) -> Vec<Sent> {
    let mut captured: Vec<Sent> = Vec::new();
    let mut overtaken = Vec::new();
    let mut again: Option<(usize, Sent)> = None;
    for (index, (packet, fate)) in packets.iter().zip(fates.iter().cycle()).enumerate() {
        let packet = packet.clone();
        match fate {
            _ if packet.flags.contains(SYN) => captured.push(packet),
            Fate::Captured => captured.push(packet),
            Fate::Twice => captured.extend([packet.clone(), packet]),
            Fate::SentAgain => {
                captured.push(packet.clone());
                again.get_or_insert((index + 3, joined(&packets[..index], packet)));
            }
            Fate::Overtaken => {
                overtaken.push(packet);
                continue;
            }
        }
        captured.append(&mut overtaken);
        if let Some((_, packet)) = again.take_if(|(due, _)| *due <= index) {
            captured.push(packet);
        }
    }
    captured.append(&mut overtaken);
    for (index, packet) in captured.iter_mut().enumerate() {
        packet.time = index as Nanos * MS;
    }
    captured
}

/// A packet with the payload of the one before it of its side.
fn joined(before: &[Sent], packet: Sent) -> Sent {
    let is_before = |other: &&Sent| {
        other.from_client == packet.from_client
            && !other.flags.contains(SYN)
            && other.seq.wrapping_add(other.payload_len) == packet.seq
    };
    match before.iter().rev().find(is_before) {
        Some(other) => Sent {
            seq: other.seq,
            payload: [&other.payload[..], &packet.payload].concat(),
            payload_len: other.payload_len + packet.payload_len,
            ..packet
        },
        None => packet,
    }
}

fn lossless() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        12 => Just(Fate::Captured),
        1 => Just(Fate::Twice),
        1 => Just(Fate::SentAgain),
        1 => Just(Fate::Overtaken),
    ];
    vec(fate, 1..60)
}

fn segment_lens() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        2 => Just(vec![1460]),
        2 => vec(1..1460_usize, 1..20),
        1 => vec(1..12_usize, 1..20),
    ]
}

proptest! {
    #[test]
    fn every_row_of_a_whole_capture_is_the_truth(
        turns in vec(turn(), 0..8),
        ending in ending(),
        segment_lens in segment_lens(),
        fates in lossless(),
    ) {
        let play = Play::of(&turns, ending, &segment_lens);
        let captured = capture(&play.packets, &fates);
        let expected: Vec<Truth> = play.truths(&captured);
        let rows = rows_of_wire(&captured);
        let mut told: Vec<Truth> = rows.http.iter().map(Truth::of_row).collect();
        told.sort_by_key(Truth::number);
        prop_assert_eq!(told, expected);
        let not_http = |loss: &&CaptureLoss| loss.stage.as_deref() == Some("http");
        let losses: Vec<_> = rows.losses.iter().filter(not_http).collect();
        // Packets of a tunnel may pass before the answer that opens it.
        prop_assert!(losses.is_empty() || ending.is_other_protocol(), "{losses:?}");
    }
}
