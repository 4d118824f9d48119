//! The chunked transfer coding (RFC 9112, section 7.1), piece by piece.

use super::detect::line_end;

/// Longest line of a chunk's size with its extensions.
const MAX_SIZE_LINE: u32 = 64 * 1024;

/// Hexadecimal digits of the largest size.
const MAX_DIGITS: u8 = 15;

/// A chunked body that is being received.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    ends: LineEnds,
    /// Whether lines end so that recipients may read the chunks differently.
    is_ambiguous: bool,
}

/// How the lines of the chunks have ended so far.
#[derive(Debug, Default)]
struct LineEnds {
    has_bare: bool,
    has_whole: bool,
}

impl LineEnds {
    /// Notes another one; whether there were both kinds.
    fn note(&mut self, is_bare: bool) -> bool {
        self.has_bare |= is_bare;
        self.has_whole |= !is_bare;
        self.has_bare && self.has_whole
    }
}

#[derive(Debug, Default)]
enum State {
    /// In the line of a chunk's size.
    Size {
        size: u64,
        digits: u8,
        line_len: u32,
        part: Part,
    },
    Data {
        left: u64,
    },
    /// In the line end after a chunk's data.
    DataEnd {
        has_return: bool,
    },
    /// In the trailer section; whether the current line is empty so far.
    Trailer {
        is_empty_line: bool,
    },
    #[default]
    Begin,
    Done,
}

impl State {
    const SIZE: Self = Self::Size {
        size: 0,
        digits: 0,
        line_len: 0,
        part: Part::Digits,
    };
    const DATA_END: Self = Self::DataEnd { has_return: false };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Digits,
    Space,
    Extension,
    /// Behind a carriage return.
    End {
        has_extension: bool,
    },
}

/// The bytes are not chunked; `used` of them were taken before that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) used: usize,
}

impl Chunked {
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether recipients may read the chunks differently: lines end in different ways, or within an extension there is
    /// what some take for the end of the line (RFC 9112, sections 7.1.1 and 11.2).
    pub(super) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Takes bytes up to the end of the body at most; returns how many. Decoded bytes go to `decoded`.
    pub(super) fn take(
        &mut self,
        data: &[u8],
        mut decoded: impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        let mut used = 0;
        while let Some(&byte) = data.get(used) {
            match &mut self.state {
                State::Begin => self.state = State::SIZE,
                State::Size {
                    size,
                    digits,
                    line_len,
                    part,
                } => {
                    *line_len += 1;
                    if *line_len > MAX_SIZE_LINE {
                        return Err(Malformed { used });
                    }
                    match (byte, *part) {
                        (b'\n', _) if *digits > 0 => {
                            let is_bare = !matches!(part, Part::End { .. });
                            self.is_ambiguous |=
                                self.ends.note(is_bare) || (is_bare && *part == Part::Extension);
                            self.state = match *size {
                                0 => State::Trailer {
                                    is_empty_line: true,
                                },
                                left => State::Data { left },
                            };
                        }
                        (_, Part::End { has_extension }) => {
                            if !has_extension {
                                return Err(Malformed { used });
                            }
                            self.is_ambiguous = true;
                            *part = Part::Extension;
                        }
                        (b'\r', _) if *digits > 0 => {
                            let has_extension = *part == Part::Extension;
                            *part = Part::End { has_extension };
                        }
                        (b';', Part::Digits | Part::Space) if *digits > 0 => {
                            *part = Part::Extension;
                        }
                        (b' ' | b'\t', Part::Digits | Part::Space) if *digits > 0 => {
                            *part = Part::Space;
                        }
                        (_, Part::Extension) if byte != b'\n' => {}
                        (_, Part::Digits) => {
                            let Some(digit) = char::from(byte).to_digit(16) else {
                                return Err(Malformed { used });
                            };
                            // Leading zeros do not make a size larger.
                            *digits = if *size == 0 { 1 } else { *digits + 1 };
                            if *digits > MAX_DIGITS {
                                return Err(Malformed { used });
                            }
                            *size = *size * 16 + u64::from(digit);
                        }
                        _ => return Err(Malformed { used }),
                    }
                    used += 1;
                }
                State::Data { left } => {
                    let rest = data.get(used..).unwrap_or_default();
                    let run = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    decoded(&rest[..run]);
                    *left -= run as u64;
                    if *left == 0 {
                        self.state = State::DATA_END;
                    }
                    used += run;
                }
                State::DataEnd { has_return } => {
                    match byte {
                        b'\r' => {
                            self.is_ambiguous |= *has_return;
                            *has_return = true;
                        }
                        b'\n' => {
                            self.is_ambiguous |= self.ends.note(!*has_return);
                            self.state = State::Begin;
                        }
                        _ => return Err(Malformed { used }),
                    }
                    used += 1;
                }
                State::Trailer { is_empty_line } => match byte {
                    b'\n' if *is_empty_line => {
                        self.state = State::Done;
                        return Ok(used + 1);
                    }
                    b'\r' if *is_empty_line => used += 1,
                    _ => {
                        let rest = data.get(used..).unwrap_or_default();
                        let line_len = line_end(rest);
                        *is_empty_line = line_len.is_some();
                        used += line_len.map_or(rest.len(), |line_len| line_len + 1);
                    }
                },
                State::Done => return Ok(used),
            }
        }
        Ok(used)
    }

    /// Passes a gap that lies wholly inside a chunk's data; false where it does not.
    pub(super) fn skip(&mut self, gap: u64) -> bool {
        let State::Data { left } = &mut self.state else {
            return false;
        };
        if gap > *left {
            return false;
        }
        *left -= gap;
        if *left == 0 {
            self.state = State::DATA_END;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(parts: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let mut chunked = Chunked::default();
        let mut decoded = Vec::new();
        let mut used = 0;
        for part in parts {
            used += chunked.take(part, |bytes| decoded.extend_from_slice(bytes))?;
        }
        Ok((decoded, used, chunked.is_done()))
    }

    #[test]
    fn extensions_and_trailers_are_not_content() {
        let body = b"5;a=b;c=\"d\"\r\nhello\r\n6 \r\n world\r\n0;x\r\nA: b\r\nC: d\r\n\r\nNEXT";
        let (decoded, used, done) = decode(&[body]).expect("valid");
        assert_eq!(decoded, b"hello world");
        assert_eq!(used, body.len() - 4);
        assert!(done);
    }

    #[test]
    fn any_split_decodes_the_same() {
        let body = b"5;a=b\r\nhello\r\n0000A\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
        for at in 0..body.len() {
            let (decoded, used, done) = decode(&[&body[..at], &body[at..]]).expect("valid");
            assert_eq!(decoded, b"hello0123456789", "split at {at}");
            assert_eq!(used, body.len(), "split at {at}");
            assert!(done, "split at {at}");
        }
    }

    #[test]
    fn bare_line_feeds_end_lines_too() {
        let (decoded, _, done) = decode(&[b"3\nabc\n0\n\n"]).expect("valid");
        assert_eq!(decoded, b"abc");
        assert!(done);
    }

    #[test]
    fn lines_that_some_end_elsewhere_are_told() {
        for (body, is_ambiguous) in [
            (&b"3;e\r\nabc\r\n0\r\n\r\n"[..], false),
            (b"3\nabc\n0\n\n", false),
            (b"3;e\nabc\r\n0\r\n\r\n", true),
            (b"3;a\rb\r\nabc\r\n0\r\n\r\n", true),
            (b"3\r\nabc\n0\r\n\r\n", true),
            (b"3\r\nabc\r\r\n0\r\n\r\n", true),
        ] {
            for at in 0..body.len() {
                let mut chunked = Chunked::default();
                let mut decoded = Vec::new();
                for part in [&body[..at], &body[at..]] {
                    let taken = chunked.take(part, |bytes| decoded.extend_from_slice(bytes));
                    assert_eq!(taken, Ok(part.len()), "{body:?} at {at}");
                }
                assert_eq!(decoded, b"abc");
                assert!(chunked.is_done());
                assert_eq!(chunked.is_ambiguous(), is_ambiguous, "{body:?} at {at}");
            }
        }
        assert!(decode(&[b"3\rx\nabc"]).is_err());
    }

    #[test]
    fn a_size_must_be_hexadecimal_and_not_too_large() {
        for body in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"5 5\r\n",
            b"fffffffffffffffff\r\n",
            b"3\r\nabcX",
        ] {
            assert!(decode(&[body]).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_gap_inside_a_chunk_is_exact_and_any_other_is_not() {
        let mut chunked = Chunked::default();
        assert!(!chunked.skip(1));
        chunked.take(b"a\r\n01", |_| {}).expect("valid");
        assert!(!chunked.skip(9));
        assert!(chunked.skip(8));
        assert!(!chunked.skip(1));
        chunked.take(b"\r\n0\r\n\r\n", |_| {}).expect("valid");
        assert!(chunked.is_done());
    }
}
