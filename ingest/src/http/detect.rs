//! Telling HTTP/1.x from its first bytes.

/// What the first bytes of one side of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// An HTTP request begins here.
    Request,
    /// A request line begins here that breaks the rules, by a control character say, and can be nothing else.
    Malformed,
    /// An HTTP response begins here.
    Response,
    /// Too little to tell.
    NeedMore,
    /// Not HTTP/1.x.
    No,
}

impl Detection {
    /// What a message is, whether it keeps the rules or not.
    pub(super) fn kind(self) -> Self {
        match self {
            Self::Malformed => Self::Request,
            told => told,
        }
    }
}

/// The registered methods, but for that of the preface of HTTP/2.
const METHODS: [&str; 39] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Length of the longest one of these.
const LONGEST_USUAL: usize = 17;

/// Longest method by which a connection is recognised as HTTP; a known client may send any token.
const MAX_METHOD: usize = 256;

/// Longest start line.
const MAX_LINE: usize = 64 * 1024;

/// Tells by its bytes whether an HTTP/1.x message begins at the start of `prefix` (after empty lines).
///
/// A request line must end with a version ` HTTP/1.x`, or be a simple request of HTTP/0.9 (`GET /path`); a status line
/// must be `HTTP/x.y NNN`. One that begins with a usual method and names a version, but breaks the rules, is
/// [`Detection::Malformed`]. Other protocols of lines (SMTP, Redis, RTSP, SIP) are told apart at the end of their first
/// line at the latest.
pub fn detect(prefix: &[u8]) -> Detection {
    let bytes = prefix.get(empty_lines(prefix)..).unwrap_or_default();
    match detect_status_line(bytes) {
        Detection::No => detect_request_line(bytes, Sender::of(bytes)),
        told => told,
    }
}

/// Whether an HTTP/1.x message begins at the start of `prefix`, of which nothing more is known: its start line is cut.
pub fn begins_message(prefix: &[u8]) -> bool {
    detect_cut(None, prefix, Place::Packet) != Detection::No
}

/// Where bytes stand that may begin a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where one must begin.
    Start,
    /// At the first bytes that were seen.
    First,
    /// At the start of a packet, behind unknown bytes: the beginning of the line may be among those.
    Packet,
    /// In the middle of unknown bytes: more is asked for.
    Within,
}

/// Like [`detect`] for the messages of one side: `expected` is what they are, where that is known.
pub(super) fn detect_as(expected: Option<Detection>, bytes: &[u8], place: Place) -> Detection {
    let begin = bytes.get(empty_lines(bytes)..).unwrap_or_default();
    match (expected, place) {
        (Some(Detection::Response), _) if detect_status_line(begin) == Detection::No => {
            Detection::No
        }
        // Whatever it is, the client's server will take it for a request.
        (Some(Detection::Request), Place::Start) => detect_request_line(begin, Sender::Client),
        _ => {
            let told = match place {
                Place::Within => detect_within(bytes),
                Place::Packet => detect_in_packet(begin),
                Place::Start | Place::First => detect(bytes),
            };
            match (expected, told) {
                (None, _) | (_, Detection::NeedMore | Detection::No) => told,
                (Some(expected), _) if expected == told.kind() => told,
                _ => Detection::No,
            }
        }
    }
}

/// Like [`detect_as`] for bytes of which no more is known; never [`Detection::NeedMore`]. Where the start line is cut, the
/// method of a request must be whole, or the status of a response.
pub(super) fn detect_cut(expected: Option<Detection>, prefix: &[u8], place: Place) -> Detection {
    let told = detect_as(expected, prefix, place);
    if told != Detection::NeedMore {
        return told;
    }
    let bytes = prefix.get(empty_lines(prefix)..).unwrap_or_default();
    let is_client = expected == Some(Detection::Request);
    let is_response = detect_status_line(bytes) != Detection::No;
    let has_method =
        begins_target(bytes) || (is_client && place == Place::Start && bytes.contains(&b' '));
    match place {
        Place::Within => Detection::No,
        _ if is_response && !is_client && status_line(bytes).is_some() => Detection::Response,
        _ if !is_response && has_method => Detection::Request,
        _ => Detection::No,
    }
}

/// Whether a usual method stands there and what looks like its target.
fn begins_target(bytes: &[u8]) -> bool {
    const BEGINNINGS: [&str; 4] = ["/", "http://", "https://", "*"];
    let target = bytes
        .splitn(2, |byte| *byte == b' ')
        .nth(1)
        .unwrap_or_default();
    let is_target = |beginning: &str| target.starts_with(beginning.as_bytes());
    has_usual_method(bytes) && BEGINNINGS.iter().any(|beginning| is_target(beginning))
}

/// Like [`detect`], for the start of a packet behind unknown bytes: the method must be one that is known, not the rest of
/// one.
fn detect_in_packet(bytes: &[u8]) -> Detection {
    match detect(bytes) {
        Detection::Request if !has_usual_method(bytes) => Detection::No,
        told => told,
    }
}

/// Like [`detect`], for a place in the middle of unknown bytes: a header field or the end of the head must follow the
/// start line, and HTTP/0.9 is not considered.
fn detect_within(bytes: &[u8]) -> Detection {
    let told = match detect(bytes) {
        told @ (Detection::Request | Detection::Response) => told,
        Detection::Malformed => return Detection::No,
        told => return told,
    };
    let bytes = bytes.get(empty_lines(bytes)..).unwrap_or_default();
    let Some(line_len) = line_end(bytes) else {
        return Detection::NeedMore;
    };
    if told == Detection::Request && is_simple_request(trim_cr(&bytes[..line_len])) {
        return Detection::No;
    }
    let next_line = &bytes[line_len + 1..];
    let name_len = next_line.iter().take_while(|byte| is_token(**byte)).count();
    match next_line.get(name_len) {
        None => Detection::NeedMore,
        Some(b'\r' | b'\n') if name_len == 0 => told,
        Some(b':') if name_len > 0 => told,
        Some(_) => Detection::No,
    }
}

/// Whether a request line begins with a registered method.
pub(super) fn has_usual_method(bytes: &[u8]) -> bool {
    let mut first_bytes = bytes.iter().take(LONGEST_USUAL + 1);
    let method_len = first_bytes.position(|byte| *byte == b' ');
    method_len.is_some_and(|len| is_usual_method(&bytes[..len]))
}

fn is_usual_method(method: &[u8]) -> bool {
    METHODS.iter().any(|usual| usual.as_bytes() == method)
}

/// Length of the empty lines at the start.
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count()
}

/// Whether a line (without its end) is a simple request of HTTP/0.9.
pub(super) fn is_simple_request(line: &[u8]) -> bool {
    line.strip_prefix(b"GET ")
        .is_some_and(|target| target.first() == Some(&b'/') && !target.contains(&b' '))
}

/// Whether a byte may stand in a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether there is a control character.
pub(super) fn has_control(bytes: &[u8]) -> bool {
    // Without a way out of the inner loop, many bytes are compared at a time.
    bytes.chunks(32).any(|chunk| {
        chunk
            .iter()
            .fold(false, |found, byte| found | byte.is_ascii_control())
    })
}

/// Place of the first line feed.
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}

/// Places of the line feeds.
pub(super) fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'\n', bytes)
}

/// A line without the carriage return at its end.
pub(super) fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Version and status of a status line, as far as its status is there.
pub(super) fn status_line(line: &[u8]) -> Option<([u8; 2], u16)> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let ([major, b'.', minor, b' '], rest) = rest.split_first_chunk()? else {
        return None;
    };
    // One space is the rule; more are no reason to take it for something else (RFC 9112, section 4).
    let digits: [u8; 3] = *rest.trim_ascii_start().first_chunk()?;
    let is_status = digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0';
    let version = [*major, *minor];
    let status = digits
        .iter()
        .fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    (is_status && version.iter().all(u8::is_ascii_digit)).then_some((version, status))
}

fn detect_status_line(bytes: &[u8]) -> Detection {
    /// What it begins with; a zero stands for any digit.
    const BEGINNING: &[u8] = b"HTTP/0.0 ";
    /// Further spaces before the status that are put up with.
    const MAX_SPACES: usize = 8;
    for (index, expected) in BEGINNING.iter().enumerate() {
        match bytes.get(index) {
            None => return Detection::NeedMore,
            Some(byte) if byte == expected => {}
            Some(byte) if *expected == b'0' && byte.is_ascii_digit() => {}
            Some(_) => return Detection::No,
        }
    }
    let mut at = BEGINNING.len();
    let spaces = bytes[at..].iter().take_while(|byte| **byte == b' ').count();
    at += spaces;
    for index in 0..4 {
        let fits = match (index, bytes.get(at + index)) {
            (_, None) => return Detection::NeedMore,
            (0, Some(byte)) => matches!(byte, b'1'..=b'9'),
            (3, Some(byte)) => matches!(byte, b' ' | b'\r' | b'\n'),
            (_, Some(byte)) => byte.is_ascii_digit(),
        };
        if !fits || spaces > MAX_SPACES {
            return Detection::No;
        }
    }
    Detection::Response
}

/// Whose bytes may be a request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A client's: whatever it is, its server takes it for a request line.
    Client,
    /// Nobody knows, but it begins with a method that is registered.
    Asking,
    /// Nobody knows.
    Unknown,
}

impl Sender {
    fn of(bytes: &[u8]) -> Self {
        if has_usual_method(bytes) {
            Self::Asking
        } else {
            Self::Unknown
        }
    }
}

fn detect_request_line(bytes: &[u8], sender: Sender) -> Detection {
    let max_method = match sender {
        Sender::Client => MAX_LINE,
        Sender::Asking | Sender::Unknown => MAX_METHOD,
    };
    let method_len = bytes
        .iter()
        .take(max_method + 1)
        .take_while(|byte| is_token(**byte))
        .count();
    if method_len > max_method || bytes.starts_with(HTTP2_PREFACE) {
        return Detection::No;
    }
    let after_method = match bytes.get(method_len) {
        None => return Detection::NeedMore,
        Some(b' ') if method_len > 0 => b' ',
        Some(byte @ (b'\t' | b'\r' | b'\n')) if method_len > 0 && sender == Sender::Client => *byte,
        Some(_) => return Detection::No,
    };
    let line_len = line_end(bytes);
    let line = trim_cr(&bytes[..line_len.unwrap_or(bytes.len())]);
    let target = line.get(method_len + 1..).unwrap_or_default();
    let has_control = after_method != b' ' || has_control(target);
    if line.len() > MAX_LINE || (has_control && sender == Sender::Unknown) {
        return Detection::No;
    }
    let Some(line_len) = line_len else {
        return Detection::NeedMore;
    };
    let is_request = split_version(target).is_some_and(|(target, _)| !target.is_empty());
    // Whoever sends header fields does not speak HTTP/0.9.
    let is_simple = is_simple_request(line) && !begins_field(&bytes[line_len + 1..]);
    if !has_control && (is_request || is_simple) {
        return Detection::Request;
    }
    let is_asking = match sender {
        Sender::Client => names_version(target) || is_usual_method(&line[..method_len]),
        Sender::Asking => names_version(target) || (is_simple_request(line) && !has_control),
        Sender::Unknown => false,
    };
    if is_asking {
        Detection::Malformed
    } else {
        Detection::No
    }
}

/// The start of the preface of HTTP/2, which has the form of a request line so that nobody takes it for one.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// Whether a header field begins there.
fn begins_field(bytes: &[u8]) -> bool {
    let name_len = bytes.iter().take_while(|byte| is_token(**byte)).count();
    name_len > 0 && bytes.get(name_len) == Some(&b':')
}

/// Whether a version of HTTP stands anywhere in the rest of a request line.
fn names_version(rest: &[u8]) -> bool {
    rest.windows(6)
        .any(|window| window[..5].eq_ignore_ascii_case(b"HTTP/") && window[5].is_ascii_digit())
}

/// Splits ` HTTP/1.x` off the rest of a request line; the target is returned with the minor version.
pub(super) fn split_version(rest: &[u8]) -> Option<(&[u8], u8)> {
    let rest = rest.trim_ascii_end();
    let (&minor, rest) = rest.split_last()?;
    let target = rest.strip_suffix(b" HTTP/1.")?;
    minor
        .is_ascii_digit()
        .then(|| (target.trim_ascii(), minor - b'0'))
}

#[cfg(test)]
mod tests;
