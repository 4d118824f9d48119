//! Frames of every link type, with fragments: no panic, and a packet lies within its frame.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ingest::decode::{Decoded, Decoder, Frame, LinkType};
use weir_ingest::sink::Ledger;

const LINK_TYPES: [LinkType; 14] = [
    LinkType::ETHERNET,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::RAW,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::PPP,
    LinkType::FDDI,
    LinkType::C_HDLC,
    LinkType::NFLOG,
    LinkType::PPP_ETHER,
    LinkType::RAW_12,
];

// A frame is: link type, bytes cut by the capture, length, then so many bytes.
fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new();
    let mut ledger = Ledger::default();
    let mut rest = data;
    let mut time = 0;
    while let Some(([kind, cut, length], bytes)) = rest.split_first_chunk::<3>() {
        let (frame, left) = bytes.split_at(usize::from(*length).min(bytes.len()));
        rest = left;
        time += 1_000_000;
        let frame = Frame {
            time,
            is_timed: true,
            link_type: LINK_TYPES[usize::from(*kind) % LINK_TYPES.len()],
            bytes: frame,
            original_len: frame.len() as u32 + u32::from(*cut),
        };
        if let Decoded::Packet(packet) = decoder.decode(&frame, &mut ledger) {
            assert!(packet.payload.len() <= packet.payload_len as usize);
            assert!(packet.payload_len <= 65_535);
        }
    }
    decoder.finish(&mut ledger);
});
