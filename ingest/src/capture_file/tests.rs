#![expect(
    clippy::unwrap_used,
    reason = "a failure to write a file fails the test"
)]

mod damage;
mod formats;
mod import;

use super::*;

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
