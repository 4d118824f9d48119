//! Heads: the start line and the header section of a message become what the row says and how the body is delimited.

use std::borrow::Cow;

use super::body::Framing;
use super::detect::{
    empty_lines, is_simple_request, is_token, line_end, line_ends, split_version, trim_cr,
};
use super::trace::TraceContext;
use crate::redact::{Redaction, host_of};
use httparse::Header;

/// Header fields that a row keeps at most; repeated ones count once.
const MAX_FIELDS: usize = 512;

/// Fields that are parsed without an allocation.
const USUAL_FIELDS: usize = 64;

/// Protocol version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http09,
    Http10,
    Http11,
}

impl Version {
    /// A higher minor version is treated as the highest one known (RFC 9110, section 2.5).
    const fn of_minor(minor: u8) -> Self {
        if minor == 0 {
            Self::Http10
        } else {
            Self::Http11
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Http09 => "0.9",
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
        }
    }
}

/// The head of a request.
#[derive(Debug)]
pub(super) struct RequestHead<'a> {
    pub(super) version: Version,
    pub(super) method: Cow<'a, str>,
    pub(super) target: Target,
    pub(super) fields: Fields,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) fields: Fields,
}

/// A request target (RFC 9112, section 3.2) in its parts, secrets redacted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Host and port, of the absolute and the authority form.
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) query: Option<String>,
}

/// What a header section says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Name in lower case and redacted value of each field.
    pub(super) map: Vec<(String, String)>,
    pub(super) host: Option<String>,
    /// Media type without parameters, lower case.
    pub(super) content_type: Option<String>,
    pub(super) trace: TraceContext,
    pub(super) expects_continue: bool,
    length: Length,
    coding: Coding,
    /// Whether a framing field was written so that recipients may read it differently.
    is_ambiguous: bool,
    /// Fields left out of the map since there were too many.
    pub(super) dropped: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Of(u64),
    Invalid,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Coding {
    #[default]
    Absent,
    /// The last coding is chunked, applied once.
    Chunked,
    Other,
}

/// Length of the head at the start of `bytes` with the empty line that ends it; `None` while it is incomplete.
/// A simple request of HTTP/0.9 is one line.
pub(super) fn head_len(bytes: &[u8]) -> Option<usize> {
    let begin = empty_lines(bytes);
    let head = bytes.get(begin..)?;
    let mut line_start = 0;
    for line_end in line_ends(head) {
        let line = trim_cr(head.get(line_start..line_end)?);
        if line.is_empty() || (line_start == 0 && is_simple_request(line)) {
            return Some(begin + line_end + 1);
        }
        line_start = line_end + 1;
    }
    None
}

/// Splits a head into its start line and its header section.
fn split_start_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = head.get(empty_lines(head)..)?;
    let line_len = line_end(head)?;
    Some((trim_cr(&head[..line_len]), &head[line_len + 1..]))
}

/// Parses the head of a request: a whole one, or the whole lines of one that was cut.
pub(super) fn parse_request<'a>(head: &'a [u8], redaction: &Redaction) -> Option<RequestHead<'a>> {
    let (line, section) = split_start_line(head)?;
    let method_len = line.iter().take_while(|byte| is_token(**byte)).count();
    let method = text(line.get(..method_len)?);
    let rest = line.get(method_len + 1..)?;
    let (target, version) = match split_version(rest) {
        Some((target, minor)) => (target, Version::of_minor(minor)),
        None if is_simple_request(line) => (rest, Version::Http09),
        None => return None,
    };
    let target = parse_target(&method, &text(target), redaction);
    Some(RequestHead {
        version,
        target,
        fields: parse_fields(section, redaction),
        method,
    })
}

/// Parses the head of a response: a whole one, or the whole lines of one that was cut.
pub(super) fn parse_response(head: &[u8], redaction: &Redaction) -> Option<ResponseHead> {
    let (line, section) = split_start_line(head)?;
    let minor = line.get(7)?.wrapping_sub(b'0');
    let status = std::str::from_utf8(line.get(9..12)?).ok()?.parse().ok()?;
    Some(ResponseHead {
        version: Version::of_minor(minor),
        status,
        fields: parse_fields(section, redaction),
    })
}

impl RequestHead<'_> {
    /// How the body is delimited, and whether the head is at fault there (RFC 9112, section 6.3).
    pub(super) fn framing(&self) -> (Framing, bool) {
        let fields = &self.fields;
        match (fields.coding, fields.length) {
            (Coding::Other, _) | (Coding::Absent, Length::Invalid) => (Framing::Unknown, true),
            (Coding::Chunked, length) => (
                Framing::Chunked,
                fields.is_ambiguous || length != Length::Absent || self.version != Version::Http11,
            ),
            (Coding::Absent, Length::Of(length)) => (Framing::Length(length), fields.is_ambiguous),
            (Coding::Absent, Length::Absent) => (Framing::None, fields.is_ambiguous),
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
        match (fields.coding, fields.length) {
            (Coding::Absent, Length::Invalid) => (Framing::Unknown, true),
            (Coding::Chunked, length) => (
                Framing::Chunked,
                fields.is_ambiguous || length != Length::Absent || self.version != Version::Http11,
            ),
            (Coding::Other, length) => (Framing::Close, length != Length::Absent),
            (Coding::Absent, Length::Of(length)) => (Framing::Length(length), fields.is_ambiguous),
            (Coding::Absent, Length::Absent) => (Framing::Close, fields.is_ambiguous),
        }
    }
}

impl Fields {
    /// The value of a field by its name in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.map
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn add(&mut self, header: &Header<'_>, redaction: &Redaction) {
        let name = header.name.to_ascii_lowercase();
        let value = text(header.value);
        match name.as_str() {
            "content-length" => self.add_length(&value),
            "transfer-encoding" => self.add_codings(&value),
            "host" if self.host.is_none() => self.host = host_of(&value),
            "content-type" if self.content_type.is_none() => {
                let media_type = value.split(';').next().unwrap_or_default().trim();
                self.content_type =
                    (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase());
            }
            "expect" => self.expects_continue |= value.eq_ignore_ascii_case("100-continue"),
            _ => self.trace.add(&name, &value),
        }
        let redacted = redaction.header(&name, &value);
        if let Some((_, values)) = self.map.iter_mut().find(|(key, _)| *key == name) {
            values.push_str(", ");
            values.push_str(&redacted);
        } else if self.map.len() < MAX_FIELDS {
            let redacted = redacted.into_owned();
            self.map.push((name, redacted));
        } else {
            self.dropped += 1;
        }
    }

    /// Several lengths are one where they are the same (RFC 9110, section 8.6).
    fn add_length(&mut self, value: &str) {
        for part in value.split(',') {
            let part = part.trim();
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let length = match part.parse() {
                Ok(length) if is_number => Length::Of(length),
                _ => Length::Invalid,
            };
            self.length = if self.length == Length::Absent || self.length == length {
                length
            } else {
                Length::Invalid
            };
        }
    }

    fn add_codings(&mut self, value: &str) {
        for coding in value.split(',') {
            let name = coding.split(';').next().unwrap_or_default().trim();
            self.coding = match self.coding {
                // "identity" was a coding that does nothing (RFC 2616), and some still send it.
                before if name.is_empty() || name.eq_ignore_ascii_case("identity") => before,
                Coding::Absent | Coding::Other if name.eq_ignore_ascii_case("chunked") => {
                    Coding::Chunked
                }
                // Chunked must be the last one, and once.
                _ => Coding::Other,
            };
        }
    }
}

fn parse_fields(section: &[u8], redaction: &Redaction) -> Fields {
    let mut fields = Fields::default();
    if section.is_empty() {
        return fields;
    }
    let mut usual = [httparse::EMPTY_HEADER; USUAL_FIELDS];
    if let Ok(httparse::Status::Complete((_, headers))) =
        httparse::parse_headers(section, &mut usual)
    {
        fields.map.reserve(headers.len());
        for header in headers {
            fields.add(header, redaction);
        }
        return fields;
    }
    let (mended, is_ambiguous) = mend(section);
    fields.is_ambiguous = is_ambiguous;
    let mut many = vec![httparse::EMPTY_HEADER; line_ends(&mended).count()];
    if let Ok(httparse::Status::Complete((_, headers))) =
        httparse::parse_headers(&mended, &mut many)
    {
        for header in headers {
            fields.add(header, redaction);
        }
    }
    fields
}

/// Writes a header section so that it parses: folded lines in one line (RFC 9112, section 5.2), no space before the
/// colon, no control characters in values, no lines that are no fields, an empty line at the end. Tells whether a field
/// that delimits the body was among the odd ones.
fn mend(section: &[u8]) -> (Vec<u8>, bool) {
    let mut mended = Vec::with_capacity(section.len() + 2);
    let mut is_ambiguous = false;
    let mut is_field = false;
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            // A line that was cut.
            break;
        };
        let line = trim_cr(line);
        if line.is_empty() {
            break;
        }
        let printable = |byte: &u8| {
            if byte.is_ascii_control() && *byte != b'\t' {
                b' '
            } else {
                *byte
            }
        };
        if matches!(line[0], b' ' | b'\t') {
            if is_field {
                mended.truncate(mended.len() - 2);
                mended.push(b' ');
                mended.extend(line.trim_ascii().iter().map(printable));
                mended.extend_from_slice(b"\r\n");
            }
            continue;
        }
        let name_end = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let name = line[..name_end].trim_ascii();
        is_field = name_end < line.len() && !name.is_empty() && name.iter().all(|b| is_token(*b));
        let delimits = |field: &[u8]| {
            name.get(..field.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(field))
        };
        let is_odd = !is_field
            || name.len() != name_end
            || line
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t');
        is_ambiguous |= is_odd && (delimits(b"transfer-encoding") || delimits(b"content-length"));
        if is_field {
            mended.extend_from_slice(name);
            mended.push(b':');
            mended.extend(line[name_end + 1..].iter().map(printable));
            mended.extend_from_slice(b"\r\n");
        }
    }
    mended.extend_from_slice(b"\r\n");
    (mended, is_ambiguous)
}

fn parse_target(method: &str, target: &str, redaction: &Redaction) -> Target {
    if method == "CONNECT" {
        return Target {
            authority: host_of(target),
            ..Target::default()
        };
    }
    let (authority, rest) = match target.split_once("://") {
        Some((scheme, rest))
            if !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) =>
        {
            let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(authority_end);
            (host_of(authority), rest)
        }
        _ => (None, target),
    };
    // A fragment is not sent; where a client does, it may hold anything.
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(redaction.query(query))),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    Target {
        authority,
        path: Some(redaction.path(path).into_owned()),
        query,
    }
}

/// Bytes as text: UTF-8, or else each byte as a character (ISO-8859-1, what older software sends).
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}
