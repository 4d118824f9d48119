//! Packets inside of packets.

use super::*;

const GRE: u8 = 47;

/// An IPv4 packet of `protocol` with this payload.
fn ip_with(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Header::new(
        payload.len() as u16,
        64,
        IpNumber(protocol),
        [198, 51, 100, 1],
        [198, 51, 100, 2],
    )
    .unwrap();
    let mut bytes = Vec::new();
    header.write(&mut bytes).unwrap();
    bytes.extend(payload);
    bytes
}

fn gre(header: &[u8], payload: &[u8]) -> Vec<u8> {
    ip_with(GRE, &with_header(header, payload))
}

/// A datagram to the port of an overlay.
fn overlay(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([198, 51, 100, 1], [198, 51, 100, 2], 64)
        .udp(40_000, port)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

#[test]
fn datagrams_to_the_port_of_an_overlay_may_be_others() {
    let ip = udp_v4(b"abc");
    let frame = ethernet(0x0800, &ip);
    for (port, payload) in [
        (4789, b"hello, world, hello".to_vec()),
        // No number, something where nothing may be, another port.
        (4789, with_header(&[0, 0, 0, 0, 0, 0, 7, 0], &frame)),
        (4789, with_header(&[8, 0, 0, 0, 0, 0, 7, 1], &frame)),
        (4789, with_header(&[8, 0, 1, 0, 0, 0, 7, 0], &frame)),
        (4790, with_header(&[8, 0, 0, 0, 0, 0, 7, 0], &frame)),
        // Another version, unknown bits, another protocol.
        (6081, with_header(&[0x40, 0, 8, 0, 0, 0, 7, 0], &ip)),
        (6081, with_header(&[0, 0x20, 8, 0, 0, 0, 7, 0], &ip)),
        (6081, with_header(&[0, 0, 8, 6, 0, 0, 7, 0], &ip)),
    ] {
        let seen = decode(LinkType::RAW, &overlay(port, &payload)).unwrap();
        assert_eq!((seen.destination.port(), seen.payload), (port, payload));
    }
}

#[test]
fn what_is_inside_counts() {
    let ip = udp_v4(b"abc");
    let frame = ethernet(0x0800, &ip);
    let mut tagged = ethernet(0x8100, &[0, 5, 8, 0]);
    tagged.extend(&ip);
    let erspan_iii = |type_and_flags: [u8; 2], rest: &[u8]| {
        let mut header = vec![0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
        header.extend([0; 10]);
        header.extend(type_and_flags);
        gre(&header, rest)
    };
    for packet in [
        ip_with(4, &ip),
        gre(&[0, 0, 8, 0], &ip),
        // Checksum, key and sequence number.
        gre(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 8], &ip),
        gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], &frame),
        // PPTP: key, sequence number and acknowledgment; PPP with and without its address and all of its protocol.
        gre(
            &[0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
            &with_header(&[0xff, 3, 0, 0x21], &ip),
        ),
        gre(
            &[0x20, 0x01, 0x88, 0x0b, 0, 9, 0, 1],
            &with_header(&[0x21], &ip),
        ),
        // ERSPAN of the first, the second and the third version.
        gre(&[0, 0, 0x88, 0xbe], &frame),
        gre(&[0, 0, 0x88, 0xbe], &tagged),
        gre(
            &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1],
            &with_header(&[0x10, 5, 0, 1, 0, 0, 0, 0], &frame),
        ),
        erspan_iii([0, 0], &frame),
        erspan_iii([0, 1], &with_header(&[0; 8], &frame)),
        erspan_iii([2 << 2, 0], &ip),
        overlay(4789, &with_header(&[0x08, 0, 0, 0, 0, 0, 7, 0], &frame)),
        overlay(8472, &with_header(&[0x88, 0, 0, 9, 0, 0, 7, 0], &tagged)),
        // Geneve with an option of one word and without.
        overlay(
            6081,
            &with_header(&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4], &frame),
        ),
        overlay(6081, &with_header(&[0, 0, 8, 0, 0, 0, 7, 0], &ip)),
        // One in another.
        gre(&[0, 0, 8, 0], &ip_with(4, &ip_with(4, &ip))),
    ] {
        assert_eq!(
            decode(LinkType::RAW, &packet),
            Ok(expected_udp_v4(b"abc")),
            "{packet:02x?}"
        );
    }
    let six_in_four = ip_with(41, &tcp_v6(b"hello"));
    let seen = decode(LinkType::RAW, &six_in_four).unwrap();
    assert_eq!(seen, decode(LinkType::RAW, &tcp_v6(b"hello")).unwrap());
}

#[test]
fn what_cannot_be_opened_is_lost_and_what_holds_no_ip_is_not() {
    let ip = udp_v4(b"abc");
    let five = (0..4).fold(ip.clone(), |inner, _| ip_with(4, &inner));
    for (reason, packet) in [
        ("tunnel", five),
        // Source routes, and versions that are not known.
        ("tunnel", gre(&[0x40, 0, 8, 0], &ip)),
        ("tunnel", gre(&[0, 2, 8, 0], &ip)),
        ("tunnel", gre(&[0x20, 1, 8, 0, 0, 0, 0, 0], &ip)),
        ("truncated_header", gre(&[0x20, 0, 8, 0], &[])),
        ("truncated_header", ip_with(4, &[])),
        ("malformed", ip_with(4, &[0x15; 40])),
        ("tunnel", gre(&[0, 0, 0x90, 0], &[0; 28])),
        ("not_ip", gre(&[0, 0, 0, 0], &[])),
        // Discovery in a mirrored frame and beside it, of the next hop too.
        (
            "not_ip",
            gre(&[0, 0, 0x65, 0x58], &ethernet(0x88cc, &[0; 28])),
        ),
        ("not_ip", gre(&[0, 0, 0x20, 0x00], &[2; 28])),
        ("not_ip", gre(&[0, 0, 0x20, 0x01], &[2; 28])),
        // What an overlay carries besides IP, and what was cut.
        (
            "arp",
            overlay(
                4789,
                &with_header(&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(0x0806, &[0; 28])),
            ),
        ),
        ("truncated_header", overlay(4789, &[8, 0, 0, 0, 0, 0, 7, 0])),
        ("not_ip", overlay(6081, &[0, 0x80, 8, 0, 0, 0, 7, 0])),
        (
            "truncated_header",
            overlay(6081, &with_header(&[0x3F, 0, 8, 0, 0, 0, 7, 0], &ip)),
        ),
        ("arp", gre(&[0, 0, 8, 6], &[0; 28])),
        // An acknowledgment of PPTP, and LCP.
        (
            "not_ip",
            gre(&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1], &[]),
        ),
        (
            "not_ip",
            gre(&[0, 0, 0x88, 0x0b], &[0xff, 3, 0xc0, 0x21, 1]),
        ),
    ] {
        assert_eq!(decode(LinkType::RAW, &packet), Err(reason), "{packet:02x?}");
    }
}

#[test]
fn a_cut_packet_inside_still_tells_its_length() {
    let whole = gre(&[0, 0, 0x86, 0xdd], &tcp_v6(&[1; 1000]));
    let seen = decode_with(
        &mut Decoder::new(),
        LinkType::RAW,
        &whole[..24 + 70],
        whole.len(),
    )
    .unwrap();
    assert_eq!((seen.payload.len(), seen.payload_len), (10, 1000));
}

#[test]
fn fragments_within_fragments_come_together() {
    let inner = fragments_v4(&udp_v4(&[7; 100]), 64);
    let mut decoder = Decoder::new();
    let mut decode = |bytes: &[u8]| decode_with(&mut decoder, LinkType::RAW, bytes, bytes.len());
    let mut seen = Vec::new();
    for (number, piece) in inner.iter().enumerate() {
        let mut outer = fragments_v4(&ip_with(4, piece), 48);
        for packet in &mut outer {
            // Of its own, and with the protocol of what it carries.
            packet[5] = number as u8;
            packet[9] = 4;
            seen.push(decode(packet));
        }
    }
    let last = seen.pop().unwrap();
    assert_eq!(last, Ok(expected_udp_v4(&[7; 100])));
    assert!(seen.iter().all(|earlier| *earlier == Err("fragment")));
}

#[test]
fn the_same_addresses_in_two_overlays_are_not_the_same() {
    let whole = udp_v4(&[7; 100]);
    let pieces = fragments_v4(&whole, 64);
    let in_network = |number: u8, packet: &[u8]| {
        overlay(
            4789,
            &with_header(&[8, 0, 0, 0, 0, 0, number, 0], &ethernet(0x0800, packet)),
        )
    };
    let mut decoder = Decoder::new();
    let mut vantages = Vec::new();
    for (number, piece) in [(7, 0), (8, 1), (8, 0), (7, 1)] {
        let bytes = in_network(number, &pieces[piece]);
        let frame = Frame {
            time: 0,
            is_timed: true,
            link_type: LinkType::RAW,
            bytes: &bytes,
            original_len: bytes.len() as u32,
        };
        if let Decoded::Packet(packet) = decoder.decode(&frame, &mut Ledger::default()) {
            assert_eq!(packet.payload, [7; 100]);
            vantages.push(packet.vantage);
        }
    }
    assert_eq!(vantages, [Vantage::Overlay(8), Vantage::Overlay(7)]);
}
