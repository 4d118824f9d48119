#![expect(
    clippy::unwrap_used,
    reason = "a failure to build a frame fails the test"
)]

mod tunnels;

use std::net::SocketAddr;

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, VlanId,
};
use proptest::prelude::*;

use super::*;
use crate::packet::{TcpFlags, Transport, Vantage};

const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [192, 0, 2, 2]);
const V6: ([u8; 16], [u8; 16]) = ([0xfd; 16], [0xfe; 16]);

/// What a test compares of a packet.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    source: SocketAddr,
    destination: SocketAddr,
    transport: Transport,
    payload: Vec<u8>,
    payload_len: u32,
}

fn decode_with(
    decoder: &mut Decoder,
    link_type: LinkType,
    bytes: &[u8],
    original_len: usize,
) -> Result<Seen, &'static str> {
    let frame = Frame {
        time: 0,
        is_timed: true,
        link_type,
        bytes,
        original_len: original_len as u32,
    };
    match decoder.decode(&frame, &mut Ledger::default()) {
        Decoded::Packet(packet) => {
            assert!(matches!(
                packet.vantage,
                Vantage::Wire | Vantage::Overlay(7)
            ));
            Ok(Seen {
                source: packet.source,
                destination: packet.destination,
                transport: packet.transport,
                payload: packet.payload.to_vec(),
                payload_len: packet.payload_len,
            })
        }
        Decoded::Undelivered(_) => Err("undelivered"),
        Decoded::Fragment => Err("fragment"),
        Decoded::Skipped(reason) => Err(reason.word()),
    }
}

fn decode(link_type: LinkType, bytes: &[u8]) -> Result<Seen, &'static str> {
    decode_with(&mut Decoder::new(), link_type, bytes, bytes.len())
}

fn udp_v4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64)
        .udp(1000, 53)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

fn tcp_v6(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(V6.0, V6.1, 64)
        .tcp(1000, 80, 7, 1024)
        .ack(9)
        .psh()
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

fn expected_udp_v4(payload: &[u8]) -> Seen {
    Seen {
        source: "192.0.2.1:1000".parse().unwrap(),
        destination: "192.0.2.2:53".parse().unwrap(),
        transport: Transport::Udp,
        payload: payload.to_vec(),
        payload_len: payload.len() as u32,
    }
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [MACS.1, MACS.0].concat();
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

fn with_header(header: &[u8], payload: &[u8]) -> Vec<u8> {
    [header, payload].concat()
}

#[test]
fn every_link_type_leads_to_the_same_datagram() {
    let ip = udp_v4(b"abc");
    let mut cooked = vec![0_u8; 16];
    cooked[2..4].copy_from_slice(&0xfffe_u16.to_be_bytes());
    cooked[14..16].copy_from_slice(&0x0800_u16.to_be_bytes());
    let mut cooked_2 = vec![0_u8; 20];
    cooked_2[..2].copy_from_slice(&0x0800_u16.to_be_bytes());
    let fddi = [&[0x50; 13][..], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    // The kind of the packet, a prefix of five bytes with its padding, then the packet.
    let nflog = |order: fn(u16) -> [u8; 2]| {
        let mut bytes = vec![2, 0, 0, 30];
        for (length, kind, value) in [
            (8, 0x8014, &[0; 4][..]),
            (8, 1, &[8, 0, 1, 0]),
            (9, 10, b"drop\0\0\0\0"),
            (4 + ip.len() as u16, 9, &[]),
        ] {
            bytes.extend(order(length));
            bytes.extend(order(kind));
            bytes.extend(value);
        }
        bytes
    };
    let frames = [
        (LinkType::ETHERNET, ethernet(0x0800, &ip)),
        (LinkType::LINUX_SLL, with_header(&cooked, &ip)),
        (LinkType::LINUX_SLL2, with_header(&cooked_2, &ip)),
        (LinkType::RAW, ip.clone()),
        (LinkType::RAW_12, ip.clone()),
        (LinkType::RAW_14, ip.clone()),
        (LinkType::IPV4, ip.clone()),
        (LinkType::NULL, with_header(&2_u32.to_le_bytes(), &ip)),
        (LinkType::NULL, with_header(&2_u32.to_be_bytes(), &ip)),
        (LinkType::LOOP, with_header(&2_u32.to_be_bytes(), &ip)),
        (LinkType::PPP, with_header(&[0, 0x21], &ip)),
        (LinkType::PPP, with_header(&[0xff, 3, 0, 0x21], &ip)),
        (LinkType::PPP_HDLC, with_header(&[0xff, 3, 0x21], &ip)),
        (LinkType::PPP, with_header(&[2, 0x81, 0, 1, 1, 64], &ip)),
        (LinkType::PPP_HDLC, with_header(&[0x8f, 0, 8, 0], &ip)),
        (LinkType::C_HDLC, with_header(&[0x0f, 0, 8, 0], &ip)),
        (
            LinkType::PPP_ETHER,
            with_header(&[0x11, 0, 0, 1, 0, 0, 0, 0x21], &ip),
        ),
        (LinkType::FDDI, with_header(&fddi, &ip)),
        (LinkType::NFLOG, with_header(&nflog(u16::to_le_bytes), &ip)),
        (LinkType::NFLOG, with_header(&nflog(u16::to_be_bytes), &ip)),
    ];
    for (link_type, frame) in frames {
        assert_eq!(
            decode(link_type, &frame),
            Ok(expected_udp_v4(b"abc")),
            "{link_type:?}"
        );
    }
}

#[test]
fn tags_and_labels_before_ip_are_passed() {
    let ip = udp_v4(b"abc");
    let vlan = |inner: u16, payload: &[u8]| {
        with_header(&[&[0, 5][..], &inner.to_be_bytes()].concat(), payload)
    };
    let mut double_tagged = Vec::new();
    PacketBuilder::ethernet2(MACS.0, MACS.1)
        .double_vlan(VlanId::try_new(7).unwrap(), VlanId::try_new(0).unwrap())
        .ipv4(V4.0, V4.1, 64)
        .udp(1000, 53)
        .write(&mut double_tagged, b"abc")
        .unwrap();
    let mpls = with_header(&[0, 1, 0x00, 64, 0, 2, 0x01, 64], &ip);
    let pseudowire = with_header(&[0, 1, 0x01, 64, 0, 0, 0, 0], &ethernet(0x0800, &ip));
    let bare_pseudowire = with_header(&[0, 1, 0x01, 64], &{
        let mut inner = ethernet(0x0800, &ip);
        inner[0] = 0xa2;
        inner
    });
    let pppoe = with_header(&[0x11, 0, 0, 1, 0, 0, 0, 0x21], &ip);
    let short_pppoe = with_header(&[0x11, 0, 0, 1, 0, 0, 0x21], &ip);
    let snap = with_header(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip);
    for frame in [
        double_tagged,
        ethernet(0x8100, &vlan(0x0800, &ip)),
        ethernet(0x88a8, &vlan(0x8100, &vlan(0x8847, &mpls))),
        ethernet(0x8926, &with_header(&[0, 0, 0, 0, 8, 0], &ip)),
        ethernet(0x893f, &with_header(&[0, 0, 0, 0, 0, 0, 8, 0], &ip)),
        ethernet(0x8847, &mpls),
        ethernet(0x8847, &pseudowire),
        ethernet(0x8847, &bare_pseudowire),
        ethernet(0x8864, &pppoe),
        ethernet(0x8864, &short_pppoe),
        ethernet(snap.len() as u16, &snap),
    ] {
        assert_eq!(
            decode(LinkType::ETHERNET, &frame),
            Ok(expected_udp_v4(b"abc"))
        );
    }
}

#[test]
fn a_tcp_segment_has_its_numbers_and_flags() {
    let seen = decode(LinkType::IPV6, &tcp_v6(b"hello")).unwrap();
    assert_eq!(
        seen.transport,
        Transport::Tcp {
            seq: 7,
            ack: Some(9),
            flags: TcpFlags::ACK.union(TcpFlags::PSH)
        }
    );
    assert_eq!(
        (seen.payload.as_slice(), seen.payload_len),
        (&b"hello"[..], 5)
    );
}

#[test]
fn padding_of_the_link_is_no_payload() {
    let mut frame = ethernet(0x0800, &udp_v4(b"a"));
    frame.resize(60, 0);
    assert_eq!(
        decode(LinkType::ETHERNET, &frame),
        Ok(expected_udp_v4(b"a"))
    );
}

#[test]
fn a_cut_frame_still_tells_how_long_its_payload_was() {
    let whole = tcp_v6(&[1; 1000]);
    let seen = decode_with(
        &mut Decoder::new(),
        LinkType::RAW,
        &whole[..70],
        whole.len(),
    )
    .unwrap();
    assert_eq!((seen.payload.len(), seen.payload_len), (10, 1000));
    let seen = decode_with(
        &mut Decoder::new(),
        LinkType::RAW,
        &whole[..60],
        whole.len(),
    )
    .unwrap();
    assert_eq!((seen.payload.len(), seen.payload_len), (0, 1000));
    let cut = decode_with(
        &mut Decoder::new(),
        LinkType::RAW,
        &whole[..59],
        whole.len(),
    );
    assert_eq!(cut, Err("truncated_header"));
}

#[test]
fn a_segment_for_offloading_has_the_length_of_its_frame() {
    let mut ip = udp_v4(b"abcdef");
    ip[2..4].copy_from_slice(&[0, 0]);
    assert_eq!(decode(LinkType::RAW, &ip), Ok(expected_udp_v4(b"abcdef")));
}

#[test]
fn what_weir_does_not_follow_has_a_reason() {
    let mut icmp = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64)
        .icmpv4_raw(11, 0, [0; 4])
        .write(&mut icmp, &[])
        .unwrap();
    let mut nflog_arp = vec![7, 0, 0, 1, 8, 0, 1, 0, 8, 6, 1, 0, 32, 0, 9, 0];
    nflog_arp.extend([0; 28]);
    let mut sctp = udp_v4(b"");
    sctp[9] = 132;
    for (reason, link_type, frame) in [
        ("arp", LinkType::ETHERNET, ethernet(0x0806, &[0; 28])),
        ("not_ip", LinkType::ETHERNET, ethernet(0x88cc, &[0; 28])),
        ("icmp", LinkType::RAW, icmp),
        ("malformed", LinkType::NFLOG, vec![0; 40]),
        ("arp", LinkType::NFLOG, nflog_arp),
        ("truncated_header", LinkType::PPP, vec![0xff, 3, 0]),
        // LCP says nothing of anybody; a piece of a packet holds something that is not seen.
        ("not_ip", LinkType::PPP, vec![0xff, 3, 0xc0, 0x21, 1, 1]),
        ("tunnel", LinkType::PPP, vec![0xff, 3, 0, 0x3d, 1, 1]),
        ("other_ip_protocol", LinkType::RAW, sctp),
        ("malformed", LinkType::RAW, vec![0x15; 40]),
        ("truncated_header", LinkType::ETHERNET, vec![0; 10]),
        ("unsupported_link_type", LinkType(9999), vec![0; 40]),
    ] {
        assert_eq!(decode(link_type, &frame), Err(reason));
    }
}

fn fragments_v4(datagram: &[u8], piece_len: usize) -> Vec<Vec<u8>> {
    let payload = &datagram[20..];
    let mut pieces = Vec::new();
    for (index, piece) in payload.chunks(piece_len).enumerate() {
        let offset = index * piece_len;
        let mut header =
            Ipv4Header::new(piece.len() as u16, 64, IpNumber::UDP, V4.0, V4.1).unwrap();
        header.identification = 77;
        header.fragment_offset = IpFragOffset::try_new((offset / 8) as u16).unwrap();
        header.more_fragments = offset + piece.len() < payload.len();
        let mut bytes = Vec::new();
        header.write(&mut bytes).unwrap();
        bytes.extend(piece);
        pieces.push(bytes);
    }
    pieces
}

fn fragments_v6(datagram: &[u8], piece_len: usize) -> Vec<Vec<u8>> {
    let payload = &datagram[40..];
    let mut pieces = Vec::new();
    for (index, piece) in payload.chunks(piece_len).enumerate() {
        let offset = index * piece_len;
        let header = Ipv6Header {
            payload_length: (piece.len() + 8) as u16,
            next_header: IpNumber(44),
            source: V6.0,
            destination: V6.1,
            ..Ipv6Header::default()
        };
        let fragment = Ipv6FragmentHeader {
            next_header: IpNumber::TCP,
            fragment_offset: IpFragOffset::try_new((offset / 8) as u16).unwrap(),
            more_fragments: offset + piece.len() < payload.len(),
            identification: 78,
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes).unwrap();
        fragment.write(&mut bytes).unwrap();
        bytes.extend(piece);
        pieces.push(bytes);
    }
    pieces
}

/// Decodes all `frames`; the packets that came of them.
fn decode_all(decoder: &mut Decoder, frames: &[Vec<u8>]) -> Vec<Seen> {
    let decode_one = |frame: &Vec<u8>| decode_with(decoder, LinkType::RAW, frame, frame.len()).ok();
    frames.iter().filter_map(decode_one).collect()
}

#[test]
fn fragments_in_any_order_and_twice_make_one_datagram() {
    let payload: Vec<u8> = (0..3000).map(|index| index as u8).collect();
    let datagram = udp_v4(&payload);
    let mut fragments = fragments_v4(&datagram, 800);
    fragments.reverse();
    fragments.insert(1, fragments[0].clone());
    let mut decoder = Decoder::new();
    let seen = decode_all(&mut decoder, &fragments);
    assert_eq!(seen, [expected_udp_v4(&payload)]);

    let segment = tcp_v6(&payload);
    let seen = decode_all(&mut decoder, &fragments_v6(&segment, 1000));
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].payload, payload);

    let mut ledger = Ledger::default();
    decoder.finish(&mut ledger);
    assert_eq!(ledger.totals().count(), 0);
}

#[test]
fn a_fragment_that_comes_again_after_its_datagram_is_no_loss() {
    let payload: Vec<u8> = (0..3000).map(|index| index as u8).collect();
    let fragments = fragments_v4(&udp_v4(&payload), 800);
    let other = fragments_v4(&udp_v4(&[9; 3000]), 800);
    let late = fragments_v6(&tcp_v6(&payload), 1000);
    let mut decoder = Decoder::new();
    for whole in [&fragments, &late] {
        assert_eq!(decode_all(&mut decoder, whole).len(), 1);
        assert_eq!(decode_all(&mut decoder, &whole[1..]), []);
    }
    let mut ledger = Ledger::default();
    decoder.finish(&mut ledger);
    assert_eq!(ledger.totals().count(), 0);

    // A fragment of other bytes belongs to another datagram, which never was whole.
    assert_eq!(decode_all(&mut decoder, &fragments).len(), 1);
    assert_eq!(decode_all(&mut decoder, &other[1..2]), []);
    decoder.finish(&mut ledger);
    let totals: Vec<_> = ledger.totals().collect();
    assert_eq!(totals.len(), 1, "{totals:?}");
    assert_eq!(totals[0].0.reason, "fragment_incomplete");
    assert_eq!((totals[0].1.events, totals[0].1.bytes), (1, 800));

    // A datagram that repeats another one's identifier is taken as it is.
    assert_eq!(
        decode_all(&mut decoder, &other),
        [expected_udp_v4(&[9; 3000])]
    );
}

#[test]
fn overlapping_fragments_of_other_bytes_give_up_the_datagram() {
    let datagram = udp_v4(&[1; 64]);
    let other = udp_v4(&[2; 64]);
    for piece_len in [24, 32] {
        let mut fragments = fragments_v4(&datagram, 24);
        fragments.insert(2, fragments_v4(&other, piece_len)[1].clone());
        let mut decoder = Decoder::new();
        assert_eq!(decode_all(&mut decoder, &fragments), []);
    }
}

#[test]
fn overlapping_fragments_of_the_same_bytes_make_one_datagram_of_ipv4() {
    let payload: Vec<u8> = (0..200).collect();
    let datagram = udp_v4(&payload);
    let [small, large] = [24, 64].map(|piece_len| fragments_v4(&datagram, piece_len));
    // All but the first, the fourth and the last of the small ones, then the large ones around them.
    let mut fragments = [&small[1..3], &small[4..8], &large].concat();
    for _ in 0..2 {
        let seen = decode_all(&mut Decoder::new(), &fragments);
        assert_eq!(seen, [expected_udp_v4(&payload)]);
        fragments.reverse();
    }
}

#[test]
fn overlapping_fragments_of_ipv6_give_up_the_datagram() {
    let segment = tcp_v6(&[1; 100]);
    let mut fragments = fragments_v6(&segment, 24);
    fragments.insert(1, fragments_v6(&segment, 32)[1].clone());
    assert_eq!(decode_all(&mut Decoder::new(), &fragments), []);
}

#[test]
fn an_incomplete_datagram_is_counted_after_its_time_and_memory_is_bounded() {
    let mut ledger = Ledger::default();
    let mut decoder = Decoder::new();
    let fragments = fragments_v4(&udp_v4(&[0; 3000]), 1400);
    let mut time = 0;
    for id in 0..20_000_u16 {
        let mut bytes = fragments[0].clone();
        bytes[4..6].copy_from_slice(&id.to_be_bytes());
        let frame = Frame {
            time,
            is_timed: true,
            link_type: LinkType::RAW,
            original_len: bytes.len() as u32,
            bytes: &bytes,
        };
        decoder.decode(&frame, &mut ledger);
        time += 1;
    }
    decoder.fragments.expire(time + 60_000_000_000, &mut ledger);
    let totals: Vec<_> = ledger.totals().collect();
    let events: u64 = totals.iter().map(|(_, loss)| loss.events).sum();
    assert_eq!(events, 20_000);
    let reasons: Vec<_> = totals.iter().map(|(key, _)| key.reason).collect();
    assert_eq!(reasons, ["fragment_evicted", "fragment_incomplete"]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        link_type in prop::sample::select(vec![0_u16, 1, 101, 113, 276, 108, 229]),
        frames in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..120), any::<u32>(), any::<i64>()), 0..20),
    ) {
        let mut decoder = Decoder::new();
        let mut ledger = Ledger::default();
        for (bytes, original_len, time) in &frames {
            let frame = Frame { time: *time, is_timed: true, link_type: LinkType(link_type), bytes, original_len: *original_len };
            if let Decoded::Packet(packet) = decoder.decode(&frame, &mut ledger) {
                prop_assert!(packet.payload.len() <= packet.payload_len as usize);
            }
        }
        decoder.finish(&mut ledger);
    }

    #[test]
    fn no_change_of_a_real_frame_makes_the_decoder_panic(
        changes in prop::collection::vec((0_usize..90, any::<u8>()), 0..8),
        cut in 0_usize..100,
        is_v6 in any::<bool>(),
    ) {
        let segment = tcp_v6(&[7; 40]);
        let datagram = udp_v4(&[7; 40]);
        let frames = if is_v6 { fragments_v6(&segment, 32) } else { fragments_v4(&datagram, 24) };
        let mut decoder = Decoder::new();
        let mut ledger = Ledger::default();
        for mut bytes in frames {
            for (at, value) in &changes {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte = *value;
                }
            }
            bytes.truncate(cut);
            let frame = Frame { time: 0, is_timed: true, link_type: LinkType::RAW, bytes: &bytes, original_len: 100 };
            if let Decoded::Packet(packet) = decoder.decode(&frame, &mut ledger) {
                prop_assert!(packet.payload.len() <= packet.payload_len as usize);
            }
        }
    }
}

#[test]
fn echoes_have_their_identifier_and_number() {
    let mut request = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64)
        .icmpv4_echo_request(77, 3)
        .write(&mut request, b"ping")
        .unwrap();
    let mut reply = Vec::new();
    PacketBuilder::ipv6(V6.0, V6.1, 64)
        .icmpv6_echo_reply(78, 4)
        .write(&mut reply, b"ping")
        .unwrap();
    for (bytes, id, sequence, is_reply) in [(request, 77, 3, false), (reply, 78, 4, true)] {
        let seen = decode(LinkType::RAW, &bytes).unwrap();
        assert_eq!(seen.transport, Transport::Echo { sequence, is_reply });
        assert_eq!((seen.source.port(), seen.destination.port()), (id, id));
        assert_eq!(seen.payload, b"ping");
        // Cut behind the header, its size is still known.
        let cut = bytes.len() - 4;
        let cut = decode_with(
            &mut Decoder::new(),
            LinkType::RAW,
            &bytes[..cut],
            bytes.len(),
        );
        assert_eq!(cut.unwrap().payload_len, 4);
    }
}

#[test]
fn an_unreachable_message_names_the_segment_that_it_quotes() {
    let segment = tcp_v6(b"");
    for (code, is_refusal) in [(4, true), (0, false), (3, false)] {
        let mut bytes = Vec::new();
        PacketBuilder::ipv6([9; 16], V6.0, 64)
            .icmpv6_raw(1, code, [0; 4])
            .write(&mut bytes, &segment[..48])
            .unwrap();
        let frame = Frame {
            time: 5,
            is_timed: true,
            link_type: LinkType::RAW,
            bytes: &bytes,
            original_len: bytes.len() as u32,
        };
        let mut decoder = Decoder::new();
        let Decoded::Undelivered(undelivered) = decoder.decode(&frame, &mut Ledger::default())
        else {
            panic!("it is no such message");
        };
        assert_eq!(undelivered.source, SocketAddr::from((V6.0, 1000)));
        assert_eq!(undelivered.destination, SocketAddr::from((V6.1, 80)));
        assert_eq!((undelivered.seq, undelivered.is_refusal), (7, is_refusal));
    }
}
