//! Request lines: whole ones, and what can be known of those that are cut or malformed.

use std::borrow::Cow;

use super::detect::{is_simple_request, is_token, split_version};
use super::head::text;
use crate::redact::Redaction;

/// Protocol version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http09,
    Http10,
    Http11,
}

impl Version {
    /// A higher minor version is treated as the highest one known (RFC 9110, section 2.5).
    pub(super) const fn of_minor(minor: u8) -> Self {
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

/// A request line in its parts.
#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Cow<'a, str>,
    pub(super) target: Target,
    /// `None`: cut off, or malformed.
    pub(super) version: Option<Version>,
    pub(super) flaw: Option<LineFlaw>,
}

/// What is wrong with a request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFlaw {
    /// Its end is unknown, and so may be that of its path.
    Cut,
    /// It breaks the rules: nothing but its method is known.
    Malformed,
}

/// A request target (RFC 9112, section 3.2) in its parts, secrets redacted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Host and port, of the absolute and the authority form.
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    /// Whether the path may go on.
    pub(super) is_path_cut: bool,
    pub(super) query: Option<String>,
}

/// Parses a request line without its end. `is_alone`: no header section follows.
pub(super) fn parse_line<'a>(
    line: &'a [u8],
    is_alone: bool,
    redaction: &Redaction,
) -> Option<RequestLine<'a>> {
    let (method, rest) = split_method(line)?;
    let (target, version) = match split_version(rest) {
        Some((target, minor)) => (target, Version::of_minor(minor)),
        None if is_alone && is_simple_request(line) => (rest, Version::Http09),
        None => return Some(malformed(method, rest, redaction)),
    };
    if target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return Some(malformed(method, &[], redaction));
    }
    Some(RequestLine {
        target: parse_target(&method, &text(target), false, redaction),
        method,
        version: Some(version),
        flaw: None,
    })
}

/// Parses the beginning of a request line: as far as that goes, nothing is guessed.
pub(super) fn parse_cut_line<'a>(line: &'a [u8], redaction: &Redaction) -> Option<RequestLine<'a>> {
    let (method, rest) = split_method(line)?;
    if let (Some((target, _)), Some(b'\r')) = (split_version(rest), rest.last())
        && !target.is_empty()
    {
        // Only the line feed is missing.
        return parse_line(line, false, redaction);
    }
    let target = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    if target.iter().any(u8::is_ascii_control) {
        return Some(malformed(method, &[], redaction));
    }
    let is_cut = target.len() == rest.len();
    Some(RequestLine {
        target: parse_target(&method, &whole_characters(target), is_cut, redaction),
        method,
        version: None,
        flaw: Some(LineFlaw::Cut),
    })
}

fn split_method(line: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let method_len = line.iter().take_while(|byte| is_token(**byte)).count();
    let method = line.get(..method_len)?;
    let rest = line.get(method_len + 1..).unwrap_or_default();
    Some((text(method), rest))
}

/// Of a line that breaks the rules the target is told where there can be no doubt about it: one word, after one space,
/// that may be the whole rest or is followed by what would be a version (`HTTP/2.0`).
fn malformed<'a>(method: Cow<'a, str>, rest: &[u8], redaction: &Redaction) -> RequestLine<'a> {
    let mut words = rest.splitn(2, |byte| *byte == b' ');
    let word = words.next().unwrap_or_default();
    let is_version = |bytes: &[u8]| {
        bytes
            .get(..5)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
    };
    let is_certain = !word.is_empty()
        && !word.iter().any(u8::is_ascii_control)
        && !is_version(word)
        && words.next().is_none_or(is_version);
    let target = if is_certain {
        parse_target(&method, &text(word), false, redaction)
    } else {
        Target::default()
    };
    RequestLine {
        method,
        target,
        version: None,
        flaw: Some(LineFlaw::Malformed),
    }
}

/// `is_cut`: whether the target may go on. Then only those of its parts are told whose beginning is known for sure.
fn parse_target(method: &str, target: &str, is_cut: bool, redaction: &Redaction) -> Target {
    let unknown = Target {
        is_path_cut: is_cut,
        ..Target::default()
    };
    if method == "CONNECT" {
        return Target {
            authority: redaction.host(target).filter(|_| !is_cut),
            ..Target::default()
        };
    }
    let absolute = match target.as_bytes() {
        [b'/', ..] => None,
        _ => target.split_once("://"),
    };
    let (authority, rest) = match absolute {
        Some((scheme, rest))
            if !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) =>
        {
            let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(authority_end);
            (redaction.host(authority), rest)
        }
        _ => (None, target),
    };
    let begins_path = rest.starts_with(['/', '*', '?', '#']);
    if is_cut && !begins_path {
        // It may be half of a host, or of a password.
        return unknown;
    }
    let is_path_cut = is_cut && !rest.contains(['?', '#']);
    // A fragment is not sent; where a client does, it may hold anything.
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(redaction.query(query))),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    Target {
        authority,
        path: Some(if is_path_cut {
            redaction.cut_path(path).into_owned()
        } else {
            redaction.path(path).into_owned()
        }),
        is_path_cut,
        query,
    }
}

/// Text without the first bytes of a character whose others are cut off.
fn whole_characters(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            text(bytes.get(..error.valid_up_to()).unwrap_or_default())
        }
        _ => text(bytes),
    }
}
