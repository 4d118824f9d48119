//! Reading the wire format: numbers, names with compression pointers, record headers.

use std::ops::Range;

/// A name is at most 255 bytes on the wire, with its length bytes and the root (RFC 1035, section 3.1).
const MAX_NAME_BYTES: usize = 255;
/// More jumps than a name can have labels lead nowhere.
const MAX_POINTERS: usize = 128;
/// Most names are not longer.
const USUAL_NAME_BYTES: usize = 64;

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end before the value does.
    Short,
    /// The bytes are no such value.
    Invalid,
}

/// What to do with the letters of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    /// ASCII letters to lower case: names that are compared.
    Lower,
    /// As they were sent: names that are data.
    AsSent,
}

/// A record without its name and data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    /// Where its data lies in the message.
    pub(super) data: Range<usize>,
}

/// A place in a message, with an end that reading does not pass (names may still point back before it).
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// At `range` of a message; a range past its end is cut.
    pub(super) fn new(message: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(message.len());
        Self {
            message,
            at: range.start.min(end),
            end,
        }
    }

    /// Bytes left.
    pub(super) fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let bytes = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.end)
            .and_then(|end| self.message.get(self.at..end))
            .ok_or(Fault::Short)?;
        self.at += count;
        Ok(bytes)
    }

    /// All bytes left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let bytes = self.message.get(self.at..self.end).unwrap_or_default();
        self.at = self.end;
        bytes
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Short)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, Fault> {
        self.array().map(u128::from_be_bytes)
    }

    /// Bytes behind a length byte (a character string of RFC 1035).
    pub(super) fn counted(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A name in presentation form (RFC 1035, section 5.1; RFC 4343, section 2.1) as dig prints it, but for the final
    /// dot: "." for the root, a backslash before what is special in a zone file (`.`, `\`, `"`, `;`, `@`, `$` and
    /// parentheses) inside a label, `\DDD` for bytes that are not printable ASCII.
    ///
    /// A compression pointer has to point before the run of labels it ends, so that following them comes to an end.
    pub(super) fn name(&mut self, letters: Letters) -> Result<String, Fault> {
        let mut text = Vec::with_capacity(USUAL_NAME_BYTES);
        // Where reading goes on behind the name: after its first pointer, or after its root label.
        let mut resume = None;
        let mut run_start = self.at;
        let mut at = self.at;
        let mut end = self.end;
        let mut wire_bytes = 1;
        let mut pointers = 0;
        loop {
            // What a pointer leads to was captured; if the name does not end there, it is no name.
            let fault = if resume.is_some() {
                Fault::Invalid
            } else {
                Fault::Short
            };
            let length = *self
                .message
                .get(at..end)
                .and_then(<[u8]>::first)
                .ok_or(fault)?;
            match length {
                0 => break,
                1..=63 => {
                    wire_bytes += 1 + usize::from(length);
                    if wire_bytes > MAX_NAME_BYTES {
                        return Err(Fault::Invalid);
                    }
                    let label_end = at + 1 + usize::from(length);
                    let label = self
                        .message
                        .get(at + 1..label_end)
                        .filter(|_| label_end <= end)
                        .ok_or(fault)?;
                    if !text.is_empty() {
                        text.push(b'.');
                    }
                    push_label(&mut text, label, letters);
                    at = label_end;
                }
                0xC0.. => {
                    let low = *self
                        .message
                        .get(at + 1..end)
                        .and_then(<[u8]>::first)
                        .ok_or(fault)?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3F, low]));
                    pointers += 1;
                    if target >= run_start || pointers > MAX_POINTERS {
                        return Err(Fault::Invalid);
                    }
                    resume.get_or_insert(at + 2);
                    // What a pointer leads to lies wholly before the labels it continues.
                    end = run_start;
                    run_start = target;
                    at = target;
                }
                _ => return Err(Fault::Invalid),
            }
        }
        self.at = resume.unwrap_or(at + 1);
        if text.is_empty() {
            text.push(b'.');
        }
        // It is ASCII.
        String::from_utf8(text).map_err(|_| Fault::Invalid)
    }

    /// The part of a record behind its name; the data is skipped.
    pub(super) fn record_header(&mut self) -> Result<RecordHeader, Fault> {
        let rtype = self.u16()?;
        let class = self.u16()?;
        let ttl = self.u32()?;
        let length = usize::from(self.u16()?);
        let start = self.at;
        self.take(length)?;
        Ok(RecordHeader {
            rtype,
            class,
            ttl,
            data: start..self.at,
        })
    }
}

fn push_label(text: &mut Vec<u8>, label: &[u8], letters: Letters) {
    if label.iter().all(|&byte| is_plain(byte)) {
        let start = text.len();
        text.extend_from_slice(label);
        if letters == Letters::Lower {
            text[start..].make_ascii_lowercase();
        }
        return;
    }
    for &byte in label {
        match byte {
            b'.' | b'\\' | b'"' | b';' | b'@' | b'$' | b'(' | b')' => text.extend([b'\\', byte]),
            0x21..=0x7E if letters == Letters::Lower => text.push(byte.to_ascii_lowercase()),
            0x21..=0x7E => text.push(byte),
            _ => text.extend(decimal_escape(byte)),
        }
    }
}

/// A byte that is shown as it is, but for its case.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// `\DDD`.
pub(super) const fn decimal_escape(byte: u8) -> [u8; 4] {
    [
        b'\\',
        b'0' + byte / 100,
        b'0' + byte / 10 % 10,
        b'0' + byte % 10,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_at(message: &[u8], at: usize) -> Result<(String, usize), Fault> {
        let mut cursor = Cursor::new(message, at..message.len());
        let name = cursor.name(Letters::Lower)?;
        Ok((name, message.len() - cursor.remaining()))
    }

    #[test]
    fn a_name_is_lower_case_without_the_final_dot() {
        assert_eq!(
            name_at(b"\x03wWw\x07Example\0!", 0),
            Ok(("www.example".into(), 13))
        );
    }

    #[test]
    fn the_root_is_a_dot() {
        assert_eq!(name_at(b"\0", 0), Ok((".".into(), 1)));
    }

    #[test]
    fn odd_bytes_of_a_label_are_escaped() {
        assert_eq!(
            name_at(b"\x08a.b\\ c\xC3\0\0", 0),
            Ok((r"a\.b\\\032c\195\000".into(), 10))
        );
        assert_eq!(
            name_at(b"\x09*_@$;\"()~\0", 0),
            Ok((r#"*_\@\$\;\"\(\)~"#.into(), 11))
        );
    }

    #[test]
    fn a_pointer_continues_with_an_earlier_name_and_reading_goes_on_behind_it() {
        // 0: "com.", 5: "example" + pointer to 0, 15: "www" + pointer to 5.
        let message = b"\x03com\0\x07example\xC0\x00\x03www\xC0\x05rest";
        assert_eq!(name_at(message, 15), Ok(("www.example.com".into(), 21)));
    }

    #[test]
    fn pointers_to_themselves_forward_or_in_a_circle_are_invalid() {
        assert_eq!(name_at(b"\xC0\x00", 0), Err(Fault::Invalid));
        assert_eq!(name_at(b"\xC0\x02\x01a\0", 0), Err(Fault::Invalid));
        // "a" then a pointer to that "a".
        assert_eq!(name_at(b"\x01a\xC0\x00", 0), Err(Fault::Invalid));
        assert_eq!(name_at(b"\xC0\x02\xC0\x00", 2), Err(Fault::Invalid));
    }

    #[test]
    fn a_name_may_be_255_bytes_long_but_not_more() {
        let label = |length: u8| {
            let mut bytes = vec![length];
            bytes.resize(usize::from(length) + 1, b'x');
            bytes
        };
        let mut longest = [label(63), label(63), label(63), label(61)].concat();
        longest.push(0);
        assert_eq!(longest.len(), MAX_NAME_BYTES);
        assert!(name_at(&longest, 0).is_ok());
        let mut too_long = [label(63), label(63), label(63), label(62)].concat();
        too_long.push(0);
        assert_eq!(name_at(&too_long, 0), Err(Fault::Invalid));
    }

    #[test]
    fn reserved_label_types_are_invalid_and_a_cut_name_is_short() {
        assert_eq!(name_at(b"\x40a\0", 0), Err(Fault::Invalid));
        assert_eq!(name_at(b"\x80a\0", 0), Err(Fault::Invalid));
        assert_eq!(name_at(b"\x03ab", 0), Err(Fault::Short));
        assert_eq!(name_at(b"\xC0", 0), Err(Fault::Short));
        assert_eq!(name_at(b"", 0), Err(Fault::Short));
    }
}
