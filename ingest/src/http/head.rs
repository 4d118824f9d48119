//! Heads: the start line and the header section of a message become what the row says and how the body is delimited.

use std::sync::Arc;

use super::Config;
use super::body::{Framing, OtherReading};
use super::detect::{
    Detection, empty_lines, is_simple_request, line_end, line_ends, status_line, trim_cr,
};
use super::request_line::{RequestLine, Version};
use super::section::{Coding, Fields, Length};

/// The head of a request.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) line: RequestLine,
    pub(super) fields: Arc<Fields>,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) version: Version,
    /// Whether it names a version that is not HTTP/1.x.
    pub(super) is_other_version: bool,
    pub(super) status: u16,
    pub(super) fields: Arc<Fields>,
}

/// Length of the head at the start of `bytes` with the empty line that ends it; `None` while it is incomplete.
/// A simple request of HTTP/0.9 is one line. `told` is what begins there.
pub(super) fn head_len(bytes: &[u8], told: Detection) -> Option<usize> {
    let begin = empty_lines(bytes);
    let head = bytes.get(begin..)?;
    let first_end = line_end(head)?;
    let line = trim_cr(&head[..first_end]);
    if line.is_empty() || (told == Detection::Request && is_simple_request(line)) {
        return Some(begin + first_end + 1);
    }
    line_ends(&head[first_end..]).find_map(|at| {
        let end = begin + first_end + at;
        match bytes.get(end + 1..)? {
            [b'\n', ..] => Some(end + 2),
            [b'\r', b'\n', ..] => Some(end + 3),
            _ => None,
        }
    })
}

/// The start line and the header section of a head: the whole lines of one that was cut, or the beginning of its first.
struct Parts<'a> {
    line: &'a [u8],
    is_line_cut: bool,
    section: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(head: &'a [u8]) -> Self {
        let head = head.get(empty_lines(head)..).unwrap_or_default();
        match line_end(head) {
            Some(line_len) => Self {
                line: trim_cr(&head[..line_len]),
                is_line_cut: false,
                section: &head[line_len + 1..],
            },
            None => Self {
                line: head,
                is_line_cut: true,
                section: &[],
            },
        }
    }
}

/// Parses the head of a request, or what is known of one that was cut.
pub(super) fn parse_request(head: &[u8], config: &Config) -> Option<RequestHead> {
    let parts = Parts::of(head);
    let mut known = config.known.lock();
    let redaction = &config.redaction;
    let line = if parts.is_line_cut {
        RequestLine::parse_cut(parts.line, redaction, &mut known)?
    } else {
        RequestLine::parse(parts.line, parts.section.is_empty(), redaction, &mut known)?
    };
    Some(RequestHead {
        line,
        fields: Fields::parse(parts.section, redaction, &mut known),
    })
}

/// Parses the head of a response, or what is known of one that was cut.
pub(super) fn parse_response(head: &[u8], config: &Config) -> Option<ResponseHead> {
    let Parts { line, section, .. } = Parts::of(head);
    let ([major, minor], status) = status_line(line)?;
    Some(ResponseHead {
        version: Version::of_minor(minor.wrapping_sub(b'0')),
        is_other_version: major != b'1',
        status,
        fields: Fields::parse(section, &config.redaction, &mut config.known.lock()),
    })
}

impl RequestHead {
    /// How the body is delimited, and whether the head is at fault there (RFC 9112, section 6.3).
    pub(super) fn framing(&self) -> (Framing, bool) {
        let fields = &self.fields;
        let is_faulty = fields.is_faulty(self.line.version == Some(Version::Http11));
        match (fields.coding, fields.length) {
            (Coding::Other | Coding::AfterChunked, _)
            | (Coding::Absent | Coding::Nothing, Length::Invalid) => (Framing::Unknown, true),
            (Coding::Chunked | Coding::ChunkedAgain, _) => (Framing::Chunked, is_faulty),
            (Coding::Absent | Coding::Nothing, Length::Of(length)) => {
                (Framing::Length(length), is_faulty)
            }
            (Coding::Absent | Coding::Nothing, Length::Absent) => (Framing::None, is_faulty),
        }
    }

    /// How a recipient may read a head at fault who does not read it as [`Self::framing`] does.
    pub(super) fn other_reading(&self) -> OtherReading {
        match (self.fields.coding, self.fields.length) {
            (Coding::Chunked, Length::Of(length)) => OtherReading::Length(length),
            (Coding::Chunked, Length::Absent)
            | (Coding::Absent | Coding::Nothing, Length::Of(_)) => OtherReading::Length(0),
            _ => OtherReading::Unknown,
        }
    }
}

impl ResponseHead {
    /// How the body is delimited, and whether the head is at fault there (RFC 9112, section 6.3). `to_head`: the
    /// request was HEAD.
    pub(super) fn framing(&self, to_head: bool) -> (Framing, bool) {
        let fields = &self.fields;
        if to_head || matches!(self.status, 100..=199 | 204 | 304) {
            return (Framing::None, false);
        }
        let is_faulty = fields.is_faulty(self.version == Version::Http11);
        match (fields.coding, fields.length) {
            (Coding::Absent | Coding::Nothing, Length::Invalid) => (Framing::Unknown, true),
            (Coding::Chunked | Coding::ChunkedAgain, _) => (Framing::Chunked, is_faulty),
            (Coding::Absent | Coding::Nothing, Length::Of(length)) => {
                (Framing::Length(length), is_faulty)
            }
            (Coding::Other | Coding::AfterChunked, _)
            | (Coding::Absent | Coding::Nothing, Length::Absent) => (Framing::Close, is_faulty),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As [`head_len`], line by line.
    fn len_by_lines(bytes: &[u8]) -> Option<usize> {
        let begin = empty_lines(bytes);
        let mut end = begin;
        for line in bytes[begin..].split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            let line = line.strip_suffix(b"\n")?;
            if trim_cr(line).is_empty() {
                return Some(end);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn a_head_ends_with_its_first_empty_line(bytes in "[a\r\n]{0,20}") {
            let bytes = bytes.as_bytes();
            prop_assert_eq!(head_len(bytes, Detection::Response), len_by_lines(bytes));
        }
    }
}
