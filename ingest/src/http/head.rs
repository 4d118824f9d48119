//! Heads: the start line and the header section of a message become what the row says and how the body is delimited.

use std::borrow::Cow;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::body::{Framing, OtherReading};
use super::detect::{
    Detection, empty_lines, is_simple_request, line_end, line_ends, status_line, trim_cr,
};
use super::mend::mend;
use super::request_line::{RequestLine, Version, parse_cut_line, parse_line};
use super::trace::TraceContext;
use crate::redact::Redaction;
use httparse::Header;
use weir_storage::Pairs;

/// Header fields that a row keeps at most; repeated ones count once.
const MAX_FIELDS: usize = 4096;

/// Among more fields than this, those that are repeated are looked for by an index.
const FEW_FIELDS: usize = 32;

/// Fields that are parsed without an allocation.
const USUAL_FIELDS: usize = 32;

/// Length of names that are put into lower case with one allocation for all.
const USUAL_NAME: usize = 64;

/// The head of a request.
#[derive(Debug)]
pub(super) struct RequestHead<'a> {
    pub(super) line: RequestLine<'a>,
    pub(super) fields: Fields,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) version: Version,
    /// Whether it names a version that is not HTTP/1.x.
    pub(super) is_other_version: bool,
    pub(super) status: u16,
    pub(super) fields: Fields,
}

/// What a header section says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Name in lower case and redacted value of each field.
    pub(super) map: Pairs,
    pub(super) host: Option<String>,
    /// Media type without parameters, lower case.
    pub(super) content_type: Option<String>,
    pub(super) trace: TraceContext,
    pub(super) expects_continue: bool,
    length: Length,
    coding: Coding,
    /// Whether a framing field was written so that recipients may read it differently.
    is_ambiguous: bool,
    /// What follows the first of repeated fields, by its place in the map, until all are read.
    repeated: Vec<(usize, String)>,
    /// Places in the map by name, where there are many fields.
    places: HashMap<Box<str>, usize, FxBuildHasher>,
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
    /// A Transfer-Encoding without any coding that changes something.
    Nothing,
    /// The last coding is chunked, applied once.
    Chunked,
    /// The last coding is chunked, and so was one before.
    ChunkedAgain,
    /// Another one came after chunked.
    AfterChunked,
    Other,
}

/// Length of the head at the start of `bytes` with the empty line that ends it; `None` while it is incomplete.
/// A simple request of HTTP/0.9 is one line. `told` is what begins there.
pub(super) fn head_len(bytes: &[u8], told: Detection) -> Option<usize> {
    let begin = empty_lines(bytes);
    let head = bytes.get(begin..)?;
    let mut line_start = 0;
    for line_end in line_ends(head) {
        let line = trim_cr(head.get(line_start..line_end)?);
        let is_simple = || told == Detection::Request && is_simple_request(line);
        if line.is_empty() || (line_start == 0 && is_simple()) {
            return Some(begin + line_end + 1);
        }
        line_start = line_end + 1;
    }
    None
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
pub(super) fn parse_request<'a>(head: &'a [u8], redaction: &Redaction) -> Option<RequestHead<'a>> {
    let parts = Parts::of(head);
    let line = if parts.is_line_cut {
        parse_cut_line(parts.line, redaction)?
    } else {
        parse_line(parts.line, parts.section.is_empty(), redaction)?
    };
    Some(RequestHead {
        line,
        fields: parse_fields(parts.section, redaction),
    })
}

/// Parses the head of a response, or what is known of one that was cut.
pub(super) fn parse_response(head: &[u8], redaction: &Redaction) -> Option<ResponseHead> {
    let Parts { line, section, .. } = Parts::of(head);
    let ([major, minor], status) = status_line(line)?;
    Some(ResponseHead {
        version: Version::of_minor(minor.wrapping_sub(b'0')),
        is_other_version: major != b'1',
        status,
        fields: parse_fields(section, redaction),
    })
}

impl RequestHead<'_> {
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

impl Fields {
    /// The value of a field by its name in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.map.get(name)
    }

    /// Whether recipients may read the framing fields differently.
    fn is_faulty(&self, is_http11: bool) -> bool {
        let has_length = self.length != Length::Absent;
        let is_coding_faulty = match self.coding {
            Coding::Absent => false,
            Coding::Nothing | Coding::Other => has_length,
            Coding::Chunked => has_length || !is_http11,
            Coding::ChunkedAgain | Coding::AfterChunked => true,
        };
        self.is_ambiguous || is_coding_faulty
    }

    /// The place of a field in the map.
    fn place_of(&self, name: &str) -> Option<usize> {
        if self.places.is_empty() {
            self.map.place_of(name)
        } else {
            self.places.get(name).copied()
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        self.map.push(name, value);
        let place = self.map.len() - 1;
        if place > FEW_FIELDS {
            self.places.insert(name.into(), place);
        } else if place == FEW_FIELDS {
            let fields = self.map.iter().enumerate();
            self.places = fields
                .map(|(place, (key, _))| (key.into(), place))
                .collect();
        }
    }

    /// Takes a field; `buffer` is for its name.
    fn add(&mut self, header: &Header<'_>, buffer: &mut String, redaction: &Redaction) {
        let name = lower_case(header.name, buffer);
        let value = text(header.value);
        match name {
            "content-length" => self.add_length(&value),
            "transfer-encoding" => self.add_codings(&value),
            "host" if self.host.is_none() => self.host = redaction.host(&value),
            "content-type" if self.content_type.is_none() => {
                let media_type = value.split(';').next().unwrap_or_default().trim();
                self.content_type =
                    (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase());
            }
            "expect" => self.expects_continue |= value.eq_ignore_ascii_case("100-continue"),
            _ => self.trace.add(name, &value),
        }
        let redacted = redaction.header(name, &value);
        if let Some(place) = self.place_of(name) {
            self.repeated.push((place, format!(", {redacted}")));
        } else if self.map.len() < MAX_FIELDS {
            self.push(name, &redacted);
        } else {
            self.dropped += 1;
        }
    }

    /// Puts the values of repeated fields behind those of the first ones.
    fn join_repeated(&mut self) {
        if !self.repeated.is_empty() {
            self.map.extend_values(std::mem::take(&mut self.repeated));
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
        if self.coding == Coding::Absent {
            self.coding = Coding::Nothing;
        }
        for coding in value.split(',') {
            let name = coding.split(';').next().unwrap_or_default().trim();
            let is_chunked = name.eq_ignore_ascii_case("chunked");
            self.coding = match self.coding {
                // "identity" was a coding that does nothing (RFC 2616), and some still send it.
                before if name.is_empty() || name.eq_ignore_ascii_case("identity") => before,
                Coding::Absent | Coding::Nothing | Coding::Other if is_chunked => Coding::Chunked,
                Coding::Absent | Coding::Nothing | Coding::Other => Coding::Other,
                // Chunked must be the last one, and once (RFC 9112, section 6.1).
                _ if is_chunked => Coding::ChunkedAgain,
                _ => Coding::AfterChunked,
            };
        }
    }
}

fn parse_fields(section: &[u8], redaction: &Redaction) -> Fields {
    let mut fields = Fields::default();
    if section.is_empty() {
        return fields;
    }
    let mut buffer = String::with_capacity(USUAL_NAME);
    let mut usual = [httparse::EMPTY_HEADER; USUAL_FIELDS];
    if let Ok(httparse::Status::Complete((_, headers))) =
        httparse::parse_headers(section, &mut usual)
    {
        fields.map = Pairs::with_capacity(headers.len(), section.len());
        for header in headers {
            fields.add(header, &mut buffer, redaction);
        }
        fields.join_repeated();
        return fields;
    }
    let (mended, is_ambiguous) = mend(section);
    fields.is_ambiguous = is_ambiguous;
    let mut many = vec![httparse::EMPTY_HEADER; line_ends(&mended).count()];
    if let Ok(httparse::Status::Complete((_, headers))) =
        httparse::parse_headers(&mended, &mut many)
    {
        for header in headers {
            fields.add(header, &mut buffer, redaction);
        }
    }
    fields.join_repeated();
    fields
}

/// A name in lower case, in `buffer` where it is not so already.
fn lower_case<'n>(name: &'n str, buffer: &'n mut String) -> &'n str {
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return name;
    }
    buffer.clear();
    buffer.push_str(name);
    buffer.make_ascii_lowercase();
    buffer
}

/// Bytes as text: UTF-8, or else each byte as a character (ISO-8859-1, what older software sends).
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}
