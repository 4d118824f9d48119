//! Telling HTTP/1.x from its first bytes.

/// What the first bytes of one side of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// An HTTP request begins here.
    Request,
    /// An HTTP response begins here.
    Response,
    /// Too little to tell.
    NeedMore,
    /// Not HTTP/1.x.
    No,
}

/// Longest method that is taken for one. The longest registered one has 17 letters.
const MAX_METHOD: usize = 32;

/// Longest start line.
const MAX_LINE: usize = 64 * 1024;

/// Tells by its bytes whether an HTTP/1.x message begins at the start of `prefix` (after empty lines).
///
/// A request line must end with a version ` HTTP/1.x`, or be a simple request of HTTP/0.9 (`GET /path`); a status line
/// must be `HTTP/1.x NNN`. Other protocols of lines (SMTP, Redis, RTSP, SIP) are told apart at the end of their first
/// line at the latest.
pub fn detect(prefix: &[u8]) -> Detection {
    let bytes = prefix.get(empty_lines(prefix)..).unwrap_or_default();
    match detect_status_line(bytes) {
        Detection::No => detect_request_line(bytes),
        told => told,
    }
}

/// Like [`detect`] for the messages of one side: `expected` is what they are, where that is known. `is_within`: the bytes
/// begin in the middle of unknown ones, so that more is asked for.
pub(super) fn detect_as(expected: Option<Detection>, bytes: &[u8], is_within: bool) -> Detection {
    if expected == Some(Detection::Response) {
        let begin = bytes.get(empty_lines(bytes)..).unwrap_or_default();
        if detect_status_line(begin) == Detection::No {
            return Detection::No;
        }
    }
    let told = if is_within {
        detect_within(bytes)
    } else {
        detect(bytes)
    };
    match expected {
        Some(expected) if told != expected && told != Detection::NeedMore => Detection::No,
        _ => told,
    }
}

/// Like [`detect`], for a place in the middle of unknown bytes: a header field or the end of the head must follow the
/// start line, and HTTP/0.9 is not considered.
fn detect_within(bytes: &[u8]) -> Detection {
    let told = detect(bytes);
    if !matches!(told, Detection::Request | Detection::Response) {
        return told;
    }
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

/// Whether a request line begins with one of the methods of RFC 9110 (or PATCH).
pub(super) fn has_usual_method(bytes: &[u8]) -> bool {
    const METHODS: [&str; 9] = [
        "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ",
    ];
    METHODS
        .iter()
        .any(|method| bytes.starts_with(method.as_bytes()))
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

/// Place of the first line feed.
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Places of the line feeds.
pub(super) fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let is_line_feed = |(at, byte): (usize, &u8)| (*byte == b'\n').then_some(at);
    bytes.iter().enumerate().filter_map(is_line_feed)
}

/// A line without the carriage return at its end.
pub(super) fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn detect_status_line(bytes: &[u8]) -> Detection {
    for (index, &byte) in bytes.iter().take(13).enumerate() {
        let fits = match index {
            0..7 => byte == b"HTTP/1."[index],
            7 | 10 | 11 => byte.is_ascii_digit(),
            8 => byte == b' ',
            9 => matches!(byte, b'1'..=b'9'),
            _ => matches!(byte, b' ' | b'\r' | b'\n'),
        };
        if !fits {
            return Detection::No;
        }
    }
    if bytes.len() < 13 {
        Detection::NeedMore
    } else {
        Detection::Response
    }
}

fn detect_request_line(bytes: &[u8]) -> Detection {
    let method_len = bytes
        .iter()
        .take(MAX_METHOD + 1)
        .take_while(|byte| is_token(**byte))
        .count();
    if method_len > MAX_METHOD {
        return Detection::No;
    }
    match bytes.get(method_len) {
        None => return Detection::NeedMore,
        Some(b' ') if method_len > 0 => {}
        Some(_) => return Detection::No,
    }
    let line_len = line_end(bytes);
    let line = &bytes[..line_len.unwrap_or(bytes.len())];
    let target = trim_cr(line).get(method_len + 1..).unwrap_or_default();
    if line.len() > MAX_LINE || target.iter().any(u8::is_ascii_control) {
        return Detection::No;
    }
    if line_len.is_none() {
        return Detection::NeedMore;
    }
    let is_request = split_version(target).is_some_and(|(target, _)| !target.is_empty());
    if is_request || is_simple_request(trim_cr(line)) {
        Detection::Request
    } else {
        Detection::No
    }
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
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_their_version_whatever_the_method() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.0\n",
            "PROPFIND /a HTTP/1.1\r\n",
            "x-y!z * HTTP/1.1\r\n",
            "CONNECT example.org:443 HTTP/1.1\r\n",
            "GET http://example.org/ HTTP/1.1\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n",
            "GET /a b HTTP/1.1\r\n",
            "GET /old\r\n",
            "GET /old\n",
        ] {
            assert_eq!(detect(line.as_bytes()), Detection::Request, "{line:?}");
        }
    }

    #[test]
    fn responses_are_told_by_their_status_line() {
        for line in ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404\r\n", "HTTP/1.1 599 \n"] {
            assert_eq!(detect(line.as_bytes()), Detection::Response, "{line:?}");
        }
    }

    #[test]
    fn other_protocols_are_not_http() {
        for line in [
            "EHLO example.org\r\n",
            "220 mail ESMTP\r\n",
            "GET key\r\n",
            "SET key value\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "OPTIONS rtsp://example.org/a RTSP/1.0\r\n",
            "INVITE sip:bob@example.org SIP/2.0\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "HTTP/2 200\r\n",
            "HTTP/1.1 20\r\n",
            "HTTP/1.1 2000\r\n",
            "SSH-2.0-OpenSSH_9.6\r\n",
            "\x16\x03\x01\x02",
            "get /lower\r\n",
            "GET  HTTP/1.1\r\n",
            "GET /a\x00b HTTP/1.1\r\n",
        ] {
            assert_eq!(detect(line.as_bytes()), Detection::No, "{line:?}");
        }
    }

    #[test]
    fn every_prefix_of_a_start_line_needs_more() {
        for (line, told) in [
            ("DELETE /a?b=c HTTP/1.1\r\n", Detection::Request),
            ("HTTP/1.1 204 ", Detection::Response),
            ("GET /simple\r\n", Detection::Request),
        ] {
            for cut in 0..line.len() - 1 {
                assert_eq!(
                    detect(&line.as_bytes()[..cut]),
                    Detection::NeedMore,
                    "{line:?} cut at {cut}"
                );
            }
            assert_eq!(detect(line.as_bytes()), told);
        }
    }

    #[test]
    fn within_unknown_bytes_a_header_must_follow() {
        assert_eq!(
            detect_within(b"GET / HTTP/1.1\r\nHost: a\r\n"),
            Detection::Request
        );
        assert_eq!(detect_within(b"GET / HTTP/1.1\r\n\r\n"), Detection::Request);
        assert_eq!(detect_within(b"GET / HTTP/1.1\r\nHo"), Detection::NeedMore);
        assert_eq!(
            detect_within(b"GET / HTTP/1.1\r\nGET / HTTP/1.1\r\n"),
            Detection::No
        );
        assert_eq!(detect_within(b"GET /a\r\n\r\n"), Detection::No);
    }
}
