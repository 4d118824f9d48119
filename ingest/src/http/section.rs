//! Header sections: the fields of a message, redacted, and what they say of its body.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use httparse::Header;
use rustc_hash::FxBuildHasher;
use weir_storage::Pairs;

use super::detect::line_ends;
use super::known::Memory;
use super::mend::mend;
use super::trace::TraceContext;
use crate::redact::{MARKER, Redaction};

/// Header fields that a row keeps at most; repeated ones count once.
const MAX_FIELDS: usize = 4096;

/// Among more fields than this, those that are repeated are looked for by an index.
const FEW_FIELDS: usize = 32;

/// Fields that are parsed without an allocation.
const USUAL_FIELDS: usize = 32;

/// Length of names that are put into lower case with one allocation for all.
const USUAL_NAME: usize = 64;

/// What a header section says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Name in lower case and redacted value of each field.
    pub(super) map: Arc<Pairs>,
    pub(super) host: Option<Arc<str>>,
    pub(super) user_agent: Option<Arc<str>>,
    /// Media type without parameters, lower case.
    pub(super) content_type: Option<Arc<str>>,
    pub(super) trace_id: Option<Arc<str>>,
    pub(super) span_id: Option<Arc<str>>,
    pub(super) expects_continue: bool,
    pub(super) length: Length,
    pub(super) coding: Coding,
    /// Whether a framing field was written so that recipients may read it differently.
    is_ambiguous: bool,
    /// Fields left out of the map since there were too many.
    pub(super) dropped: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    #[default]
    Absent,
    Of(u64),
    Invalid,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
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

/// A field that holds no secret, as it is in the map.
#[derive(Debug)]
pub(super) struct KnownField {
    name: Box<str>,
    value: Box<str>,
    says: Says,
}

/// What a field says beside what it is.
#[derive(Debug, Clone)]
enum Says {
    Nothing,
    Host(Option<Arc<str>>),
    MediaType(Option<Arc<str>>),
    /// What has to be read again in each section, so that the field is not kept.
    More,
}

impl Fields {
    /// What a section says, the fields of which may be written in any way.
    pub(super) fn parse(section: &[u8], redaction: &Redaction, known: &mut Memory) -> Arc<Self> {
        if section.is_empty() {
            return Arc::default();
        }
        let (same, hash) = known.sections.get(section);
        if let Some(same) = same {
            return Arc::clone(same);
        }
        let parser = Parser::new(section, redaction, known);
        let (fields, is_as_sent) = parser.parse();
        let fields = Arc::new(fields);
        if is_as_sent {
            known.sections.keep(section, hash, || Arc::clone(&fields));
        }
        fields
    }

    /// Whether recipients may read the framing fields differently.
    pub(super) fn is_faulty(&self, is_http11: bool) -> bool {
        let has_length = self.length != Length::Absent;
        let is_coding_faulty = match self.coding {
            Coding::Absent => false,
            Coding::Nothing | Coding::Other => has_length,
            Coding::Chunked => has_length || !is_http11,
            Coding::ChunkedAgain | Coding::AfterChunked => true,
        };
        self.is_ambiguous || is_coding_faulty
    }

    /// Takes what a field says; of several that say the same, the first counts.
    fn hear(&mut self, says: &Says) {
        let (place, text) = match says {
            Says::Host(host) => (&mut self.host, host),
            Says::MediaType(media_type) => (&mut self.content_type, media_type),
            Says::Nothing | Says::More => return,
        };
        if place.is_none() {
            place.clone_from(text);
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

/// Parses one section.
struct Parser<'a> {
    section: &'a [u8],
    redaction: &'a Redaction,
    known: &'a mut Memory,
    fields: Fields,
    map: Pairs,
    trace: TraceContext,
    /// What follows the first of repeated fields, by its place in the map, until all are read.
    repeated: Vec<(usize, String)>,
    /// Places in the map by name, where there are many fields.
    places: HashMap<Box<str>, usize, FxBuildHasher>,
    /// The lengths of the names in the map: mostly they tell that a name is new.
    lens: u64,
    /// For names in lower case.
    buffer: String,
    /// Whether the fields hold all that the section does: nothing was cut or mended, nor replaced since it may be secret.
    is_as_sent: bool,
}

impl<'a> Parser<'a> {
    fn new(section: &'a [u8], redaction: &'a Redaction, known: &'a mut Memory) -> Self {
        Self {
            section,
            redaction,
            known,
            fields: Fields::default(),
            map: Pairs::default(),
            trace: TraceContext::default(),
            repeated: Vec::new(),
            places: HashMap::default(),
            lens: 0,
            buffer: String::new(),
            is_as_sent: true,
        }
    }

    /// The fields, and whether they hold all that the section does.
    fn parse(mut self) -> (Fields, bool) {
        let section = self.section;
        let mut usual = [httparse::EMPTY_HEADER; USUAL_FIELDS];
        if let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(section, &mut usual)
        {
            self.map = Pairs::with_capacity(headers.len(), section.len());
            for header in headers {
                self.add(header);
            }
            return self.finish();
        }
        self.is_as_sent = false;
        let (mended, is_ambiguous) = mend(section);
        self.fields.is_ambiguous = is_ambiguous;
        let mut many = vec![httparse::EMPTY_HEADER; line_ends(&mended).count()];
        if let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(&mended, &mut many)
        {
            for header in headers {
                self.add(header);
            }
        }
        self.finish()
    }

    fn finish(mut self) -> (Fields, bool) {
        if !self.repeated.is_empty() {
            self.map.extend_values(std::mem::take(&mut self.repeated));
        }
        let agent = self.map.get("user-agent");
        self.fields.user_agent = agent.map(|agent| self.known.texts.share(agent));
        self.fields.map = Arc::new(self.map);
        (self.fields.trace_id, self.fields.span_id) = self.trace.ids();
        (self.fields, self.is_as_sent)
    }

    /// Takes a field.
    fn add(&mut self, header: &Header<'_>) {
        // Of a field as it was sent, name and value are told apart by what lies between.
        let bytes = self.bytes_of(header);
        let (same, hash) = bytes.map_or((None, 0), |bytes| self.known.fields.get(bytes));
        if let Some(KnownField { name, value, says }) = same
            && self.map.len() < FEW_FIELDS
            && (self.lens & len_bit(name) == 0 || self.map.place_of(name).is_none())
        {
            self.lens |= len_bit(name);
            self.map.push(name, value);
            return self.fields.hear(says);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let name = lower_case(header.name, &mut buffer);
        let value = text(header.value);
        let redacted = self.redaction.header(name, &value);
        let is_as_sent = *redacted == *value;
        self.is_as_sent &= is_as_sent;
        let says = self.note(name, &value, &redacted, is_as_sent);
        self.fields.hear(&says);
        if let Some(bytes) = bytes.filter(|_| is_as_sent && !matches!(says, Says::More)) {
            self.known.fields.keep(bytes, hash, || KnownField {
                name: name.into(),
                value: redacted.as_ref().into(),
                says,
            });
        }
        if let Some(place) = self.place_of(name) {
            self.repeated.push((place, format!(", {redacted}")));
        } else if self.map.len() < MAX_FIELDS {
            self.push(name, &redacted);
        } else {
            self.fields.dropped += 1;
        }
        self.buffer = buffer;
    }

    /// The bytes of a field from its name to the end of its value, where it stands in the section as it was sent.
    fn bytes_of(&self, header: &Header<'_>) -> Option<&'a [u8]> {
        let section = self.section.as_ptr() as usize;
        let start = (header.name.as_ptr() as usize).checked_sub(section)?;
        let end = (header.value.as_ptr() as usize).checked_sub(section)? + header.value.len();
        self.section.get(start..end)
    }

    /// What a field says beside what it is. What has to be read in each section is taken at once.
    fn note(&mut self, name: &str, value: &str, redacted: &str, is_as_sent: bool) -> Says {
        let texts = &mut self.known.texts;
        // What may hold a secret is not remembered.
        let mut share = |text: &str| {
            if is_as_sent {
                texts.share(text)
            } else {
                text.into()
            }
        };
        let fields = &mut self.fields;
        match name {
            "content-length" => fields.add_length(value),
            "transfer-encoding" => fields.add_codings(value),
            "host" => {
                // Whoever hides the header hides the column; and what is encoded there may be anything.
                let host = self
                    .redaction
                    .host(value)
                    .filter(|host| is_as_sent || (redacted != MARKER && !host.contains('%')));
                return Says::Host(host.map(|host| share(&host)));
            }
            "content-type" => {
                let media_type = redacted.split(';').next().unwrap_or_default().trim();
                let lower = media_type.to_ascii_lowercase();
                return Says::MediaType((!lower.is_empty()).then(|| share(&lower)));
            }
            "expect" => fields.expects_continue |= value.eq_ignore_ascii_case("100-continue"),
            _ if self.trace.add(name, value) => {}
            _ => return Says::Nothing,
        }
        Says::More
    }

    /// The place of a field in the map.
    fn place_of(&self, name: &str) -> Option<usize> {
        if self.lens & len_bit(name) == 0 {
            None
        } else if self.places.is_empty() {
            self.map.place_of(name)
        } else {
            self.places.get(name).copied()
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        self.lens |= len_bit(name);
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
}

/// A bit for the length of a name.
const fn len_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

/// A name in lower case, in `buffer` where it is not so already.
fn lower_case<'n>(name: &'n str, buffer: &'n mut String) -> &'n str {
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return name;
    }
    buffer.clear();
    buffer.reserve(USUAL_NAME);
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
