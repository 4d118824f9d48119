//! The bytes of summaries: small numbers in few of them, and nothing believed when they are read back.

use datafusion::common::{Result, exec_datafusion_err};
use datafusion::error::DataFusionError;

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(in crate::functions) fn push_count(mut count: u64, bytes: &mut Vec<u8>) {
    while count >= 0x80 {
        bytes.push((count as u8) | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
}

pub(in crate::functions) fn push_number(number: f64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Reads what the functions above wrote, from bytes that may hold anything.
#[derive(Debug)]
pub(in crate::functions) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::functions) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(in crate::functions) fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.rest.split_first().ok_or_else(broken)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(in crate::functions) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(broken)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline]
    pub(in crate::functions) fn count(&mut self) -> Result<u64> {
        if let Some((byte, rest)) = self.rest.split_first()
            && *byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_count()
    }

    fn long_count(&mut self) -> Result<u64> {
        let mut count = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            count |= bits << shift;
            if byte < 0x80 {
                return Ok(count);
            }
        }
        Err(broken())
    }

    pub(in crate::functions) fn number(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// There must be nothing left.
    pub(in crate::functions) fn end(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(broken())
        }
    }
}

/// The bytes are no summary.
pub(in crate::functions) fn broken() -> DataFusionError {
    exec_datafusion_err!("these bytes are no sketch: give what quantile_sketch answered, as it was")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_as_it_was_written() {
        for count in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            push_count(count, &mut bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.count().unwrap(), count);
            reader.end().unwrap();
        }
    }

    #[test]
    fn what_is_too_long_or_too_short_is_refused() {
        for bytes in [&[][..], &[0x80], &[0xff; 9], &[0xff; 10], &[0x80; 11]] {
            Reader::new(bytes).count().unwrap_err();
        }
        Reader::new(&[0; 7]).number().unwrap_err();
        Reader::new(&[0]).end().unwrap_err();
    }
}
