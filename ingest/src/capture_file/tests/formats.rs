//! Files as they should be.

use std::io::Write;

use flate2::write::GzEncoder;

use super::*;
use crate::decode::LinkType;

#[test]
fn pcap_of_either_byte_order_and_resolution() {
    for order in [LITTLE, BIG] {
        for (magic, nanos) in [(0xa1b2_c3d4, 7_000), (0xa1b2_3c4d, 7)] {
            let mut file = order.pcap_header(magic, 0x1400_0001);
            file.extend(order.pcap_record(5, 7, b"abc", 9));
            let expected = (5_000_000_000 + nanos, 1, b"abc".to_vec(), 9);
            assert_eq!(read_all(&file), (vec![expected], vec![]));
        }
    }
}

#[test]
fn pcapng_with_sections_interfaces_and_every_kind_of_packet() {
    let mut file = Vec::new();
    for order in [LITTLE, BIG] {
        file.extend(order.section());
        file.extend(order.interface(1, 4, &[(2, b"eth0".to_vec())]));
        let offset = order.u64(100).to_vec();
        file.extend(order.interface(101, 0, &[(9, vec![9]), (14, offset)]));
        file.extend(order.interface(113, 0, &[(9, vec![0x8a])]));
        file.extend(order.block(0x0bad, b"unknown"));
        file.extend(order.enhanced(0, 2_000_001, b"micro", 50));
        file.extend(order.enhanced(1, 3_000_000_001, b"nano", 4));
        file.extend(order.enhanced(2, 1024 + 512, b"binary", 6));
        let simple = [&order.u32(9)[..], b"simple"].concat();
        file.extend(order.block(3, &simple));
        let mut obsolete = [order.u16(0), order.u16(3)].concat();
        for field in [0, 8_000_000, 3, 3] {
            obsolete.extend(order.u32(field));
        }
        obsolete.extend(b"old");
        file.extend(order.block(2, &obsolete));
    }
    let one_section: Vec<Seen> = vec![
        (2_000_001_000, 1, b"micro".to_vec(), 50),
        (103_000_000_001, 101, b"nano".to_vec(), 4),
        (1_500_000_000, 113, b"binary".to_vec(), 6),
        (1_500_000_000, 1, b"simp".to_vec(), 9),
        (8_000_000_000, 1, b"old".to_vec(), 3),
    ];
    let expected = [one_section.clone(), one_section].concat();
    assert_eq!(read_all(&file), (expected, vec![]));
}

#[test]
fn gzip_in_several_members_reads_as_one_file() {
    let (file, seen) = small_pcap();
    let (one, other) = file.split_at(100);
    let mut compressed = Vec::new();
    for part in [one, other] {
        let mut encoder = GzEncoder::new(&mut compressed, flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap();
    }
    assert_eq!(read_all(&compressed), (seen.clone(), vec![]));

    let mut reader = Reader::open(compressed.as_slice()).unwrap();
    while reader.next_frame().is_some() {}
    assert_eq!(reader.bytes_read(), compressed.len() as u64);

    let (frames, damages) = read_all(&compressed[..compressed.len() - 10]);
    assert!(seen.starts_with(&frames));
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].2, "cut");
}

#[test]
fn what_is_no_capture_is_refused_with_its_beginning() {
    let message = |file: &[u8]| Reader::open(file).err().unwrap().to_string();
    assert_eq!(message(b""), "the file is empty");
    assert!(message(b"GET / HTTP/1.1\r\n").contains("not a capture file"));
    assert!(message(b"id,name,value,x\n12").contains("69 64 2c"));
    assert!(message(b"\x1f\x8b\x08\x00").contains("nothing that can be read"));
    assert!(message(&LITTLE.pcap_header(0xa1b2_c3d4, 1)[..20]).contains("pcap header"));
    assert!(message(&LITTLE.section()[..20]).contains("pcapng header"));
}

#[test]
fn link_types_of_the_file_reach_the_frames() {
    let mut file = BIG.pcap_header(0xa1b2_c3d4, 276);
    file.extend(BIG.pcap_record(1, 0, &[0; 20], 20));
    assert_eq!(read_all(&file).0[0].1, LinkType::LINUX_SLL2.0);
}
