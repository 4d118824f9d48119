//! The few bytes-level things of the index: counts of any size, a reader that never runs off the end, a checksum.

use twox_hash::XxHash64;

/// Appends a number in seven bits a byte, lowest first; the highest bit says that more follow.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes with their length before them.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The hash of a value, and the checksum of what is read on its own. The same on every machine and in every version.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// The short form of [`hash`] that stands beside each chunk.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    hash(bytes) as u32
}

/// The level at which bytes are packed; higher ones take longer and won next to nothing.
const PACK_LEVEL: i32 = 1;
/// No writer packs more bytes than this at once, and no reader takes more.
pub(super) const LARGEST_PART: usize = 64 << 20;

/// Compresses parts of an index, each on its own.
pub(super) struct Packer(Option<zstd::bulk::Compressor<'static>>);

impl Packer {
    pub(super) fn new() -> Self {
        Self(zstd::bulk::Compressor::new(PACK_LEVEL).ok())
    }

    /// The compressed bytes.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        put_varint(&mut packed, bytes.len() as u64);
        let compressor = self.0.as_mut();
        // Compressing in memory fails only where there is none left; what is missing then is refused by the reader.
        packed.extend(
            compressor
                .and_then(|compressor| compressor.compress(bytes).ok())
                .unwrap_or_default(),
        );
        packed
    }
}

/// What [`Packer`] compressed; `None` if it is broken.
pub(super) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(packed);
    let length = reader.count().filter(|&length| length <= LARGEST_PART)?;
    let bytes = zstd::bulk::decompress(reader.rest(), length).ok()?;
    (bytes.len() == length).then_some(bytes)
}

/// Reads what may be broken: everything is `None` beyond the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read yet.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that counts or places something in memory.
    pub(super) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    /// Bytes with their length before them.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(numbers: Vec<u64>, bytes: Vec<u8>) {
            let mut out = Vec::new();
            for &number in &numbers {
                put_varint(&mut out, number);
            }
            put_bytes(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            for &number in &numbers {
                prop_assert_eq!(reader.varint(), Some(number));
            }
            prop_assert_eq!(reader.bytes(), Some(bytes.as_slice()));
            prop_assert_eq!(reader.rest(), &[] as &[u8]);
            prop_assert_eq!(reader.varint(), None);
            prop_assert_eq!(unpack(&Packer::new().pack(&out)), Some(out));
        }

        #[test]
        fn packed_bytes_of_any_kind_are_read_or_refused(bytes: Vec<u8>, place: prop::sample::Index, byte: u8) {
            let _ = unpack(&bytes);
            let mut packed = Packer::new().pack(&bytes);
            let place = place.index(packed.len());
            packed[place] = byte;
            let _ = unpack(&packed);
        }

        #[test]
        fn a_number_of_any_bytes_is_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_some() {}
        }
    }
}
