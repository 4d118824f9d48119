//! Files that are cut, corrupt or hostile.

use proptest::prelude::*;

use super::import::import;
use super::*;
use crate::decode::SkipReason;

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
    assert_eq!(report.failures, []);
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
