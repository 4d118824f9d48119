#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use proptest::prelude::*;

use super::*;

/// A query: id, flags (RD), one question, "example.com A IN".
const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";

fn is_dns(payload: &[u8]) -> bool {
    looks_like_dns(payload, payload.len() as u32, false)
}

/// [`QUERY`] with some bytes replaced.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut query = QUERY.to_vec();
    query[at..at + bytes.len()].copy_from_slice(bytes);
    query
}

#[test]
fn a_query_is_dns_on_any_port() {
    assert!(is_dns(QUERY));
    // With OPT behind it.
    let mut with_opt = changed(11, b"\x01");
    with_opt.extend(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    assert!(is_dns(&with_opt));
}

#[test]
fn a_query_with_something_wrong_is_not_dns_on_any_port() {
    let wrong = [
        ("code in a query", changed(3, b"\x03")),
        ("reserved bit", changed(3, b"\x40")),
        ("opcode 2", changed(2, b"\x11")),
        ("no question", changed(5, b"\0")),
        ("two questions", changed(5, b"\x02")),
        ("a record that is not there", changed(11, b"\x01")),
        ("type 0", changed(26, b"\0")),
        ("class 2", changed(28, b"\x02")),
        ("unprintable name", changed(13, b"\x01")),
        ("byte behind the end", [QUERY, b"\0"].concat()),
        ("byte missing", QUERY[..QUERY.len() - 1].to_vec()),
    ];
    for (what, payload) in wrong {
        assert!(!is_dns(&payload), "{what}");
        // A header alone announces nothing, so what follows is none of it.
        assert_eq!(
            looks_like_dns(&payload, payload.len() as u32, true),
            what != "no question",
            "{what}"
        );
    }
}

#[test]
fn other_protocols_on_a_dns_port_are_not_dns() {
    let http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    // WireGuard: a handshake of 148 bytes, data of 96 bytes.
    let handshake = [&b"\x01\0\0\0\x8A\x21\x07\xF3"[..], &[0xC7; 140]].concat();
    let data = [
        &b"\x04\0\0\0\x5B\x90\x11\xE2\x07\0\0\0\0\0\0\0"[..],
        &[0x9D; 80],
    ]
    .concat();
    let openvpn = [&b"\x38\x81\x38\x14\x62\x1D\x67\x46\x2D"[..], &[0; 5]].concat();
    let zeros = vec![0; 64];
    let noise = vec![0xAB; 64];
    for (index, payload) in [http, handshake, data, openvpn, zeros, noise, vec![0; 11]]
        .iter()
        .enumerate()
    {
        assert!(
            !looks_like_dns(payload, payload.len() as u32, true),
            "{index}"
        );
    }
}

#[test]
fn broken_dns_on_a_dns_port_is_dns() {
    let circle = [&QUERY[..12], b"\xC0\x0C\0\x01\0\x01"].concat();
    let formerr = b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0".to_vec();
    let unassigned_opcode = changed(2, b"\x49");
    let forged_counts = changed(6, b"\xFF\xFF\xFF\xFF");
    let many = [&changed(5, b"\x02"), &QUERY[12..]].concat();
    let cut_label = [&QUERY[..12], b"\x03a"].concat();
    for payload in [
        circle,
        formerr,
        unassigned_opcode,
        forged_counts,
        many,
        cut_label,
    ] {
        assert!(looks_like_dns(&payload, payload.len() as u32, true));
        let stream = [&(payload.len() as u16).to_be_bytes(), &payload[..]].concat();
        assert_eq!(looks_like_dns_over_tcp(&stream, true), Detection::Yes);
    }
}

#[test]
fn a_prefix_is_dns_when_its_question_is_there() {
    let response = [
        &changed(2, b"\x81\x80\0\x01\0\x01"),
        &b"\xC0\x0C\0\x01\0\x01\0\0\0\x05\0\x04\x01\x02\x03\x04"[..],
    ]
    .concat();
    let wire_len = response.len() as u32;
    assert!(looks_like_dns(&response, wire_len, false));
    assert!(looks_like_dns(&response[..35], wire_len, false));
    assert!(!looks_like_dns(&response[..20], wire_len, false));
}

#[test]
fn other_protocols_are_not_dns() {
    let ntp = [
        &b"\x23\x02\x06\xE8\0\0\x03\xFF\0\0\x03\x7D\x0A\x34\x34\x01"[..],
        &[0; 32],
    ]
    .concat();
    let stun = b"\x00\x01\x00\x08\x21\x12\xA4\x42aaaaaaaaaaaa\x00\x03\x00\x04\0\0\0\x02".to_vec();
    let quic = [
        &b"\xC3\0\0\0\x01\x08\x83\x94\xC8\xF0\x3E\x51\x57\x08\0\0\x44\x9E"[..],
        &[0x7B; 1182],
    ]
    .concat();
    let rtp = [&b"\x80\x60\x12\x34\0\0\x01\x40\0\0\0\x01"[..], &[0x55; 160]].concat();
    let syslog = b"<34>1 2003-10-11T22:14:15.003Z host su - ID47 - failed".to_vec();
    // NetBIOS: a question for a name of 32 letters, type NB.
    let netbios = [
        &b"\x82\x28\x01\x10\0\x01\0\0\0\0\0\0\x20"[..],
        b"FHEPFCELEHFCEPFFFACACACACACACAAA",
        b"\0\0\x20\0\x01",
    ]
    .concat();
    let zeros = vec![0; 64];
    let others = [ntp, stun, quic, rtp, syslog, netbios, zeros];
    for (index, payload) in others.iter().enumerate() {
        assert!(!is_dns(payload), "{index}");
    }
}

#[test]
fn over_tcp_the_length_and_then_the_question_are_needed() {
    let stream = [&(QUERY.len() as u16).to_be_bytes(), QUERY].concat();
    assert_eq!(looks_like_dns_over_tcp(&stream, false), Detection::Yes);
    let pipelined = stream.repeat(2);
    assert_eq!(looks_like_dns_over_tcp(&pipelined, false), Detection::Yes);
    for length in 0..stream.len() {
        assert_eq!(
            looks_like_dns_over_tcp(&stream[..length], false),
            Detection::NeedMore,
            "{length}"
        );
    }
    assert_eq!(looks_like_dns_over_tcp(&stream[..14], true), Detection::Yes);
    assert_eq!(looks_like_dns_over_tcp(b"\0\x05hello", true), Detection::No);
    for other in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03\0\0\0\0\0\0\0",
    ] {
        assert_eq!(looks_like_dns_over_tcp(other, false), Detection::No);
        assert_eq!(looks_like_dns_over_tcp(other, true), Detection::No);
    }
}

proptest! {
    #[test]
    fn random_bytes_are_not_dns(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!is_dns(&payload));
    }

    #[test]
    fn random_bytes_behind_a_right_header_are_not_dns(rest in proptest::collection::vec(any::<u8>(), 5..100)) {
        let payload = [&QUERY[..12], &rest[..]].concat();
        // Only a printable question may pass, and those five bytes that make a root question do not occur here.
        prop_assert!(!is_dns(&payload) || rest.get(1).unwrap().is_ascii_graphic());
    }
}
