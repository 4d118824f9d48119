#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use proptest::prelude::*;
use simple_dns::rdata::{self as simple, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, ResourceRecord, TYPE};

use super::*;

fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes, bytes.len() as u32).unwrap()
}

/// A header with these flags and counts, and what follows it.
fn message(flags: u16, counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    for number in [flags].into_iter().chain(counts) {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(rest.concat());
    bytes
}

/// The question "Example.com IN A"; its name is at offset 12.
const QUESTION: &[u8] = b"\x07Example\x03com\0\x00\x01\x00\x01";
/// An answer: pointer to the question's name, A, IN, TTL 300, 192.0.2.1.
const ADDRESS: &[u8] = b"\xC0\x0C\x00\x01\x00\x01\x00\x00\x01\x2C\x00\x04\xC0\x00\x02\x01";

#[test]
fn a_response_has_header_question_and_answers() {
    let bytes = message(0x8580, [1, 1, 0, 0], &[QUESTION, ADDRESS]);
    let message = parse(&bytes);
    assert_eq!(message.id, 0x1234);
    assert!(message.is_response);
    assert_eq!(message.opcode, 0);
    assert_eq!(message.rcode, 0);
    assert_eq!(message.flags.words(), "aa rd ra");
    assert_eq!(message.completeness, Completeness::Whole);
    assert_eq!(message.trailing_bytes, 0);
    assert_eq!(message.questions.len(), 1);
    assert_eq!(&*message.questions[0].name, "example.com");
    assert_eq!(
        (message.questions[0].qtype, message.questions[0].class),
        (1, 1)
    );
    let answer = DnsAnswer {
        name: "example.com".into(),
        r#type: "A".into(),
        ttl: 300,
        data: "192.0.2.1".into(),
    };
    assert_eq!(message.answers, [answer]);
}

#[test]
fn eleven_bytes_are_no_message() {
    assert_eq!(Message::parse(&[0; 11], 11), Err(NoHeader { captured: 11 }));
}

#[test]
fn an_opt_record_extends_the_response_code_and_is_no_answer() {
    // The root, OPT, 1232 bytes, upper code 1 (1 << 4 | 0 = 16), version 0, flags, no options.
    let opt = b"\0\x00\x29\x04\xD0\x01\x00\x00\x00\x00\x00";
    let message = parse(&message(0x8180, [1, 0, 0, 1], &[QUESTION, opt]));
    assert_eq!(message.edns.as_ref().map(|edns| edns.udp_size), Some(1232));
    assert_eq!(message.rcode, 16);
    assert_eq!(message.answers, []);
}

#[test]
fn unknown_types_and_classes_are_kept() {
    // Type 65280, class 9, TTL 5, three bytes.
    let odd = b"\xC0\x0C\xFF\x00\x00\x09\x00\x00\x00\x05\x00\x03\x01\xAB\xFF";
    let message = parse(&message(0x8180, [1, 2, 0, 0], &[QUESTION, odd, ADDRESS]));
    assert_eq!(message.completeness, Completeness::Whole);
    assert_eq!(message.answers[0].r#type, "TYPE65280");
    assert_eq!(message.answers[0].data, r"\# 3 01ABFF");
    assert_eq!(message.answers[1].data, "192.0.2.1");
}

#[test]
fn the_cache_flush_bit_and_the_reserved_bit_do_no_harm() {
    let flushed = b"\xC0\x0C\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xC0\x00\x02\x02";
    let message = parse(&message(0x8440, [1, 1, 0, 0], &[QUESTION, flushed]));
    assert_eq!(message.answers[0].data, "192.0.2.2");
    assert_eq!(message.completeness, Completeness::Whole);
}

#[test]
fn data_that_is_not_what_its_type_says_is_shown_as_unknown() {
    let three_byte_address = b"\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x05\x00\x03\x01\x02\x03";
    let message = parse(&message(
        0x8180,
        [1, 1, 0, 0],
        &[QUESTION, three_byte_address],
    ));
    assert_eq!(message.answers[0].r#type, "A");
    assert_eq!(message.answers[0].data, r"\# 3 010203");
}

#[test]
fn what_cut_a_message_is_told_and_what_came_before_is_kept() {
    let cut = &ADDRESS[..9];
    let bytes = message(0x8180, [1, 2, 0, 0], &[QUESTION, ADDRESS, cut]);
    let by_capture = Message::parse(&bytes, bytes.len() as u32 + 7).unwrap();
    assert_eq!(by_capture.completeness, Completeness::CutByCapture);
    let malformed = parse(&bytes);
    assert_eq!(malformed.completeness, Completeness::Malformed);
    let by_sender = parse(&message(0x8380, [1, 2, 0, 0], &[QUESTION, ADDRESS, cut]));
    assert_eq!(by_sender.completeness, Completeness::CutBySender);
    for message in [by_capture, malformed, by_sender] {
        assert_eq!(message.answers.len(), 1);
    }
}

#[test]
fn a_pointer_circle_ends_the_message_and_keeps_what_came_before() {
    // The answer's name points to itself: the question is 17 bytes after the header, the first answer 16 more.
    let circle = b"\xC0\x2D\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04";
    let message = parse(&message(0x8180, [1, 2, 0, 0], &[QUESTION, ADDRESS, circle]));
    assert_eq!(message.completeness, Completeness::Malformed);
    assert_eq!(message.answers.len(), 1);
}

#[test]
fn an_update_has_a_zone_and_no_answers() {
    // Opcode 5: one zone, one prerequisite (class NONE, no data), two updates (add an address, delete a set).
    let prerequisite = b"\xC0\x0C\x00\x01\x00\xFE\x00\x00\x00\x00\x00\x00";
    let zone = b"\x07Example\x03com\0\x00\x06\x00\x01";
    let delete = b"\xC0\x0C\x00\x10\x00\xFF\x00\x00\x00\x00\x00\x00";
    let message = parse(&message(
        0x2800,
        [1, 1, 2, 0],
        &[zone, prerequisite, ADDRESS, delete],
    ));
    assert_eq!(message.opcode, 5);
    assert_eq!(message.questions[0].qtype, 6);
    assert_eq!(message.answers, []);
    assert_eq!(
        message.updates,
        [
            "prereq nxrrset example.com A",
            "update add example.com 300 A 192.0.2.1",
            "update delete example.com TXT"
        ]
    );
    assert_eq!(message.completeness, Completeness::Whole);
}

#[test]
fn no_question_and_too_many_questions_are_read() {
    let none = parse(&message(0x8181, [0; 4], &[]));
    assert_eq!((none.questions.len(), none.rcode), (0, 1));
    let many = parse(&message(0x0000, [300, 0, 0, 0], &[QUESTION; 300]));
    assert_eq!(many.questions.len(), MAX_QUESTIONS);
    assert_eq!(many.questions_left_out, 300 - MAX_QUESTIONS as u32);
    assert_eq!(many.completeness, Completeness::Whole);
}

#[test]
fn forged_counts_cost_nothing() {
    let message = parse(&message(0x8180, [65_535; 4], &[]));
    assert_eq!(message.completeness, Completeness::Malformed);
    assert_eq!(message.questions.capacity() + message.answers.capacity(), 0);
}

#[test]
fn the_text_of_all_answers_is_bounded() {
    // Four labels of 63 bytes or nearly so, each byte shown as four characters; then NS records that point to it.
    let mut question = [
        [&[63][..], &[0xFF; 63]].concat(),
        [&[63][..], &[0xFF; 63]].concat(),
    ]
    .concat();
    question.extend(
        [
            [&[63][..], &[0xFF; 63]].concat(),
            [&[60][..], &[0xFF; 60]].concat(),
        ]
        .concat(),
    );
    question.extend(b"\0\x00\x02\x00\x01");
    let answer = b"\xC0\x0C\x00\x02\x00\x01\x00\x00\x00\x05\x00\x02\xC0\x0C";
    let count = 4_600;
    let message = parse(&message(
        0x8180,
        [1, count, 0, 0],
        &[&question, &answer.repeat(usize::from(count))],
    ));
    assert_eq!(message.completeness, Completeness::Whole);
    let text: usize = message
        .answers
        .iter()
        .map(|answer| answer.name.len() + answer.data.len())
        .sum();
    assert!(text < MAX_ANSWER_TEXT + 4_096, "{text}");
    assert_eq!(
        message.answers.len() as u32 + message.answers_left_out,
        u32::from(count)
    );
}

/// The data of a record for `simple-dns` to write, and how it is shown.
fn record_data() -> impl Strategy<Value = (RData<'static>, String)> {
    let name =
        || proptest::collection::vec("[a-z0-9_-]{1,12}", 1..4).prop_map(|labels| labels.join("."));
    prop_oneof![
        any::<u32>().prop_map(|bits| {
            let shown = std::net::Ipv4Addr::from(bits).to_string();
            (RData::A(simple::A { address: bits }), shown)
        }),
        any::<u128>().prop_map(|bits| {
            let shown = std::net::Ipv6Addr::from(bits).to_string();
            (RData::AAAA(simple::AAAA { address: bits }), shown)
        }),
        name().prop_map(|name| (RData::CNAME(simple::CNAME(owned(&name))), name)),
        name().prop_map(|name| (RData::PTR(simple::PTR(owned(&name))), name)),
        (any::<u16>(), name()).prop_map(|(preference, name)| {
            let shown = format!("{preference} {name}");
            let exchange = owned(&name);
            (
                RData::MX(simple::MX {
                    preference,
                    exchange,
                }),
                shown,
            )
        }),
        (any::<[u16; 3]>(), name()).prop_map(|([priority, weight, port], name)| {
            let shown = format!("{priority} {weight} {port} {name}");
            let target = owned(&name);
            (
                RData::SRV(simple::SRV {
                    priority,
                    weight,
                    port,
                    target,
                }),
                shown,
            )
        }),
        proptest::collection::vec("[a-z =;]{0,30}", 1..4).prop_map(|strings| {
            let shown: Vec<String> = strings
                .iter()
                .map(|string| format!("\"{string}\""))
                .collect();
            let mut txt = simple::TXT::new();
            for string in &strings {
                txt.add_char_string(string.clone().try_into().unwrap());
            }
            (RData::TXT(txt.into_owned()), shown.join(" "))
        }),
    ]
}

fn owned(name: &str) -> Name<'static> {
    Name::new(name).unwrap().into_owned()
}

proptest! {
    #[test]
    fn what_an_independent_encoder_writes_is_read_back(
        id: u16,
        question in "[a-zA-Z0-9]{1,20}\\.[A-Za-z]{2,9}",
        records in proptest::collection::vec(("[a-z0-9]{1,9}\\.example\\.org", 0..=i32::MAX as u32, record_data()), 0..12),
        compressed: bool,
    ) {
        let mut packet = Packet::new_reply(id);
        packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
        let qtype = QTYPE::TYPE(TYPE::SRV);
        packet.questions.push(simple_dns::Question::new(owned(&question), qtype, QCLASS::CLASS(CLASS::IN), false));
        for (name, ttl, (data, _)) in &records {
            packet.answers.push(ResourceRecord::new(owned(name), CLASS::IN, *ttl, data.clone()));
        }
        let bytes = if compressed { packet.build_bytes_vec_compressed() } else { packet.build_bytes_vec() }.unwrap();
        let message = parse(&bytes);
        prop_assert_eq!(message.completeness, Completeness::Whole);
        prop_assert_eq!(message.trailing_bytes, 0);
        prop_assert_eq!(message.id, id);
        prop_assert_eq!(&*message.questions[0].name, question.to_ascii_lowercase());
        prop_assert_eq!(message.questions[0].qtype, 33);
        let read: Vec<_> = message.answers.iter().map(|answer| (&answer.name, answer.ttl, &answer.data)).collect();
        let written: Vec<_> = records.iter().map(|(name, ttl, (_, shown))| (name, i64::from(*ttl), shown)).collect();
        prop_assert_eq!(read, written);
        prop_assert!(super::super::looks_like_dns(&bytes, bytes.len() as u32, false));
        // Cut anywhere behind the question, it is still DNS, and what is read is a prefix.
        let cut = bytes.len() - (bytes.len() - 12 - question.len() - 6) / 2;
        prop_assert!(super::super::looks_like_dns(&bytes[..cut], bytes.len() as u32, false));
        let prefix = Message::parse(&bytes[..cut], bytes.len() as u32).unwrap();
        prop_assert_eq!(&prefix.answers[..], &message.answers[..prefix.answers.len()]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), more: u16) {
        let wire_len = bytes.len() as u32 + u32::from(more);
        let _ = Message::parse(&bytes, wire_len);
        let _ = super::super::looks_like_dns(&bytes, wire_len, false);
    }

    #[test]
    fn arbitrary_records_never_panic(
        records in proptest::collection::vec((0..300u16, proptest::collection::vec(any::<u8>(), 0..40)), 1..8),
    ) {
        let mut bytes = message(0x8180, [1, records.len() as u16, 0, 0], &[QUESTION]);
        for (rtype, data) in &records {
            bytes.extend(b"\xC0\x0C");
            bytes.extend(rtype.to_be_bytes());
            bytes.extend(b"\x00\x01\x00\x00\x00\x05");
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(data);
        }
        let message = parse(&bytes);
        prop_assert_eq!(message.completeness, Completeness::Whole);
        let opts = records.iter().filter(|(rtype, _)| *rtype == rtype::OPT).count();
        prop_assert_eq!(message.answers.len(), records.len() - opts);
    }
}
