#![expect(
    clippy::unwrap_used,
    reason = "a failure to write a file fails the test"
)]

use std::io::Write;

use flate2::write::GzEncoder;
use proptest::prelude::*;
use weir_storage::Row;

use super::*;
use crate::decode::{LinkType, SkipReason};
use crate::tracker::{Settings, Tracker};

/// Builds files of either byte order.
#[derive(Clone, Copy)]
struct Order {
    is_big: bool,
}

const LITTLE: Order = Order { is_big: false };
const BIG: Order = Order { is_big: true };

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        if self.is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn pcap_header(self, magic: u32, link_type: u32) -> Vec<u8> {
        let mut file = self.u32(magic).to_vec();
        file.extend(self.u16(2));
        file.extend(self.u16(4));
        for field in [0, 0, 65_535, link_type] {
            file.extend(self.u32(field));
        }
        file
    }

    fn pcap_record(self, seconds: u32, fraction: u32, bytes: &[u8], original_len: u32) -> Vec<u8> {
        let mut record = Vec::new();
        for field in [seconds, fraction, bytes.len() as u32, original_len] {
            record.extend(self.u32(field));
        }
        record.extend(bytes);
        record
    }

    fn block(self, block_type: u32, content: &[u8]) -> Vec<u8> {
        let padding = vec![0; content.len().next_multiple_of(4) - content.len()];
        let len = (12 + content.len() + padding.len()) as u32;
        [
            &self.u32(block_type)[..],
            &self.u32(len),
            content,
            &padding,
            &self.u32(len),
        ]
        .concat()
    }

    fn section(self) -> Vec<u8> {
        let content = [
            &self.u32(0x1a2b_3c4d)[..],
            &self.u16(1),
            &self.u16(0),
            &self.u64(u64::MAX),
        ]
        .concat();
        self.block(0x0a0d_0d0a, &content)
    }

    fn interface(self, link_type: u16, snaplen: u32, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut content = [&self.u16(link_type)[..], &self.u16(0), &self.u32(snaplen)].concat();
        for (code, value) in options {
            content.extend(self.u16(*code));
            content.extend(self.u16(value.len() as u16));
            content.extend(value);
            content.resize(content.len().next_multiple_of(4), 0);
        }
        content.extend([0; 4]);
        self.block(1, &content)
    }

    fn enhanced(self, interface: u32, units: u64, bytes: &[u8], original_len: u32) -> Vec<u8> {
        let mut content = Vec::new();
        let fields = [
            interface,
            (units >> 32) as u32,
            units as u32,
            bytes.len() as u32,
            original_len,
        ];
        for field in fields {
            content.extend(self.u32(field));
        }
        content.extend(bytes);
        self.block(6, &content)
    }
}

/// The bytes of a file with one request over IPv4 and one ARP frame.
fn file_with_a_request(order: Order, seconds: u32, payload: &[u8], seq: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .tcp(40_000, 80, seq, 1000)
        .ack(1)
        .write(&mut frame, payload)
        .unwrap();
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    let mut file = order.pcap_header(0xa1b2_c3d4, 1);
    file.extend(order.pcap_record(seconds, 0, &frame, frame.len() as u32));
    file.extend(order.pcap_record(seconds, 1, &arp, 60));
    file
}

#[test]
fn files_of_one_import_are_one_recording() {
    let (one, other) = b"GET /split HTTP/1.1\r\nHost: h\r\n\r\n".split_at(10);
    let first = file_with_a_request(LITTLE, 100, one, 1);
    let mut second = file_with_a_request(BIG, 101, other, 11);
    second.extend([0; 7]);
    let readers = [&first, &second].map(|file| Reader::open(file.as_slice()).unwrap());
    let mut tracker = Tracker::new(Settings::new("node".into(), 0));
    let mut rows = Vec::new();
    let mut import = Import::new();
    let mut progress = Vec::new();
    for reader in readers {
        import.file(reader, &mut tracker, &mut rows, &mut |bytes| {
            progress.push(bytes);
        });
    }
    let report = import.finish(&mut tracker, &mut rows);
    assert_eq!(progress, [first.len() as u64, second.len() as u64]);
    assert_eq!(
        (report.files, report.frames, report.tcp_segments),
        (2, 4, 2)
    );
    assert_eq!(report.skipped, [(SkipReason::Arp, 2)].into());
    assert_eq!(report.times, Some((100_000_000_000, 101_000_001_000)));
    let damage = Damage {
        position: second.len() as u64 - 7,
        bytes: 7,
        kind: DamageKind::Cut,
    };
    assert_eq!(report.damages, [(1, damage)]);
    let tables: Vec<_> = rows.iter().map(|row| row.table().name()).collect();
    assert_eq!(tables, ["http_events", "flows", "capture_loss"]);
}

fn import(file: &[u8], start: Nanos) -> (ImportReport, Vec<Row>) {
    let mut tracker = Tracker::new(Settings::new("node".into(), start));
    let mut rows = Vec::new();
    let mut import = Import::new();
    let reader = Reader::open(file).unwrap();
    import.file(reader, &mut tracker, &mut rows, &mut |_| {});
    let report = import.finish(&mut tracker, &mut rows);
    (report, rows)
}

#[test]
fn a_loss_without_any_frame_has_the_time_of_the_import() {
    let mut pcap = LITTLE.pcap_header(0xa1b2_c3d4, 1);
    pcap.extend([7; 10]);
    let mut pcapng = LITTLE.section();
    pcapng.extend(LITTLE.enhanced(0, 1, b"of no interface", 15));
    for file in [pcap, pcapng] {
        let (report, rows) = import(&file, 1_700_000_000_000_000_000);
        assert!(report.read_nothing());
        let [Row::CaptureLoss(loss)] = rows.as_slice() else {
            panic!("not one loss: {rows:?}");
        };
        assert_eq!(loss.time, 1_700_000_000_000_000);
    }
}

type Seen = (Nanos, u16, Vec<u8>, u32);

fn read_all(file: &[u8]) -> (Vec<Seen>, Vec<(u64, u64, &'static str)>) {
    let mut reader = Reader::open(file).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame() {
        frames.push((
            frame.time,
            frame.link_type.0,
            frame.bytes.to_vec(),
            frame.original_len,
        ));
    }
    let damages = reader
        .damages()
        .iter()
        .map(|damage| (damage.position, damage.bytes, damage.kind.word()))
        .collect();
    (frames, damages)
}

fn small_pcap() -> (Vec<u8>, Vec<Seen>) {
    let mut file = LITTLE.pcap_header(0xa1b2_c3d4, 1);
    let mut seen = Vec::new();
    for index in 0..20_u8 {
        let bytes = vec![index; 40 + usize::from(index)];
        file.extend(LITTLE.pcap_record(1000, u32::from(index), &bytes, 100));
        seen.push((1_000_000_000_000 + i64::from(index) * 1000, 1, bytes, 100));
    }
    (file, seen)
}

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
    assert_eq!(damages[0].2, "unreadable");
}

#[test]
fn a_cut_file_gives_everything_before_the_cut() {
    let (file, seen) = small_pcap();
    let last_record = 16 + seen[19].2.len();
    let (frames, damages) = read_all(&file[..file.len() - 5]);
    assert_eq!(frames, seen[..19]);
    let start = (file.len() - last_record) as u64;
    assert_eq!(damages, [(start, last_record as u64 - 5, "cut")]);

    let mut pcapng = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    pcapng.extend(LITTLE.enhanced(0, 1, b"whole", 5));
    pcapng.extend(LITTLE.enhanced(0, 2, b"cut", 3));
    let (frames, damages) = read_all(&pcapng[..pcapng.len() - 3]);
    assert_eq!(frames.len(), 1);
    assert_eq!(damages[0].2, "cut");
}

#[test]
fn reading_goes_on_behind_a_corrupt_record() {
    let (mut file, seen) = small_pcap();
    // The captured length of the third record.
    let third = 24 + (16 + 40) + (16 + 41);
    file[third + 8..third + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let (frames, damages) = read_all(&file);
    assert_eq!(frames, [&seen[..2], &seen[3..]].concat());
    assert_eq!(damages, [(third as u64, 16 + 42, "corrupt")]);

    let mut pcapng = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    let second = pcapng.len() + LITTLE.enhanced(0, 1, b"one", 3).len();
    for (units, bytes) in [(1, b"one"), (2, b"two"), (3, b"six")] {
        pcapng.extend(LITTLE.enhanced(0, units, bytes, 3));
    }
    pcapng[second + 4..second + 8].copy_from_slice(&0x00ff_ffff_u32.to_le_bytes());
    let (frames, damages) = read_all(&pcapng);
    let payloads: Vec<_> = frames.iter().map(|frame| frame.2.as_slice()).collect();
    assert_eq!(payloads, [b"one", b"six"]);
    assert_eq!(damages, [(second as u64, 36, "corrupt")]);
}

#[test]
fn a_file_filled_up_with_zeros_is_corrupt_from_there_on() {
    let (mut file, seen) = small_pcap();
    let end = file.len();
    file.resize(end + 200_000, 0);
    assert_eq!(
        read_all(&file),
        (seen, vec![(end as u64, 200_000, "corrupt")])
    );
}

#[test]
fn an_empty_frame_is_no_damage() {
    let mut file = LITTLE.pcap_header(0xa1b2_c3d4, 1);
    for bytes in [&b""[..], b"one", b"", b"", b"two", b""] {
        file.extend(LITTLE.pcap_record(1_700_000_000, 5, bytes, bytes.len() as u32));
    }
    let (frames, damages) = read_all(&file);
    let lens: Vec<_> = frames.iter().map(|frame| frame.2.len()).collect();
    assert_eq!((lens, damages), (vec![0, 3, 0, 0, 3, 0], vec![]));

    let (report, _) = import(&file, 0);
    assert_eq!(report.skipped, [(SkipReason::TruncatedHeader, 6)].into());
    assert!(!report.read_nothing());
}

#[test]
fn an_interface_that_makes_no_sense_loses_its_own_packets_alone() {
    let absurd_resolution = LITTLE.interface(1, 0, &[(9, vec![0xff])]);
    let cut_short = LITTLE.block(1, &[1, 0]);
    for bad in [absurd_resolution, cut_short] {
        let mut file = [LITTLE.section(), bad, LITTLE.interface(101, 0, &[])].concat();
        for (interface, bytes) in [(0, b"bad"), (1, b"one"), (0, b"bad"), (1, b"two")] {
            file.extend(LITTLE.enhanced(interface, 1, bytes, 3));
        }
        let (frames, damages) = read_all(&file);
        let seen: Vec<_> = frames.iter().map(|frame| (frame.1, &frame.2[..])).collect();
        assert_eq!(seen, [(101, &b"one"[..]), (101, b"two")]);
        assert!(damages.len() >= 2 && damages.iter().all(|damage| damage.2 == "bad_block"));
    }
}

#[test]
fn a_packet_of_an_unknown_interface_is_passed_over() {
    let mut file = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    file.extend(LITTLE.enhanced(3, 1, b"bad", 3));
    file.extend(LITTLE.enhanced(0, 1, b"good", 4));
    let (frames, damages) = read_all(&file);
    assert_eq!(frames.len(), 1);
    assert_eq!(damages[0].2, "bad_block");
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

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_hang(
        is_pcapng in any::<bool>(),
        is_gzip in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        changes in prop::collection::vec((24_usize..2000, any::<u8>()), 0..12),
    ) {
        let mut file = if is_pcapng {
            let mut file = [LITTLE.section(), LITTLE.interface(1, 0, &[(9, vec![6])])].concat();
            for units in 0..20 {
                file.extend(LITTLE.enhanced(0, units, &[7; 30], 30));
            }
            file
        } else {
            small_pcap().0
        };
        for (at, value) in changes {
            if let Some(byte) = file.get_mut(at) {
                *byte = value;
            }
        }
        file.extend(&bytes);
        if is_gzip {
            file.splice(0..0, [0x1f, 0x8b]);
        }
        for file in [&file, &bytes] {
            if let Ok(mut reader) = Reader::open(file.as_slice()) {
                let mut frames = 0;
                while let Some(frame) = reader.next_frame() {
                    prop_assert!(frame.bytes.len() <= frame.original_len as usize);
                    prop_assert!((0..=MAX_TIME).contains(&frame.time));
                    frames += 1;
                }
                prop_assert!(frames <= file.len());
            }
        }
    }
}

#[test]
fn link_types_of_the_file_reach_the_frames() {
    let mut file = BIG.pcap_header(0xa1b2_c3d4, 276);
    file.extend(BIG.pcap_record(1, 0, &[0; 20], 20));
    assert_eq!(read_all(&file).0[0].1, LinkType::LINUX_SLL2.0);
}
