//! The frames of a log: a header with a checksum of its own, then the payload.
//!
//! All numbers are little-endian:
//!
//! ```text
//!   0  magic "WLOG"            4  version 1     5  kind     6  zero (2 bytes)
//!   8  frame number (8)       16  first row (8)            24  rows (8)
//!  32  payload bytes (8)      40  payload CRC-32           44  CRC-32 of bytes 0 to 43
//! ```
//!
//! The header's own checksum lets a reader step over a damaged payload, and tells it how many rows that held.

const MAGIC: [u8; 4] = *b"WLOG";
const VERSION: u8 = 1;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 48;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A batch of rows, as an Arrow IPC stream.
    Rows,
    /// A [`super::Commit`], as JSON.
    Commit,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Counts the frames of a table's log, through all its segments.
    pub(super) number: u64,
    /// How many rows the table had accepted before the first of this frame.
    pub(super) first_row: u64,
    /// Rows in this frame.
    pub(super) rows: u64,
    pub(super) payload_bytes: u64,
    pub(super) payload_crc: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = match self.kind {
            Kind::Rows => 1,
            Kind::Commit => 2,
        };
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_row.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.rows.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`; `None` where there is none that is whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let long = |at: usize| {
            let mut long = [0; 8];
            long.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(long)
        };
        let short = |at: usize| (long(at - 4) >> 32) as u32;
        if bytes[0..4] != MAGIC || bytes[4] != VERSION || crc32fast::hash(&bytes[..44]) != short(44)
        {
            return None;
        }
        Some(Self {
            kind: match bytes[5] {
                1 => Kind::Rows,
                2 => Kind::Commit,
                _ => return None,
            },
            number: long(8),
            first_row: long(16),
            rows: long(24),
            payload_bytes: long(32),
            payload_crc: short(40),
        })
    }

    /// Whether this is the payload that the header was written for.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.payload_bytes && crc32fast::hash(payload) == self.payload_crc
    }
}

/// Where the next whole header begins in `bytes`.
pub(super) fn find_header(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(HEADER_BYTES)
        .position(|window| window.starts_with(&MAGIC) && Header::decode(window).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = Header> {
        let kind = prop_oneof![Just(Kind::Rows), Just(Kind::Commit)];
        (kind, any::<[u64; 4]>(), any::<u32>()).prop_map(|(kind, numbers, payload_crc)| Header {
            kind,
            number: numbers[0],
            first_row: numbers[1],
            rows: numbers[2],
            payload_bytes: numbers[3],
            payload_crc,
        })
    }

    proptest! {
        #[test]
        fn a_header_reads_back_wherever_it_stands(header in header(), before: Vec<u8>) {
            let mut bytes = before.clone();
            bytes.extend(header.encode());
            prop_assert_eq!(find_header(&bytes), Some(before.len()));
            prop_assert_eq!(Header::decode(&bytes[before.len()..]), Some(header));
        }

        #[test]
        fn no_flipped_bit_passes(header in header(), bit in 0..HEADER_BYTES * 8) {
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Header::decode(&bytes), None);
        }

        #[test]
        fn noise_is_no_header(bytes: Vec<u8>) {
            prop_assert_eq!(find_header(&bytes), None);
        }
    }
}
