//! Request lines: whole ones, and what can be known of those that are cut or malformed.

use std::borrow::Cow;
use std::sync::Arc;

use weir_storage::route;

use super::detect::{has_control, is_simple_request, is_token, split_version};
use super::known::Memory;
use super::section::text;
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
pub(super) struct RequestLine {
    pub(super) method: Arc<str>,
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
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Host and port, of the absolute and the authority form.
    pub(super) authority: Option<Arc<str>>,
    pub(super) path: Option<Arc<str>>,
    /// Whether the path may go on.
    pub(super) is_path_cut: bool,
    pub(super) query: Option<Arc<str>>,
    /// The route of a whole path.
    pub(super) route: Option<Arc<str>>,
}

/// A whole path that holds no secret, and its route.
#[derive(Debug, Clone)]
pub(super) struct KnownPath {
    path: Arc<str>,
    route: Arc<str>,
}

impl RequestLine {
    /// Parses a request line without its end. `is_alone`: no header section follows.
    pub(super) fn parse(
        line: &[u8],
        is_alone: bool,
        redaction: &Redaction,
        known: &mut Memory,
    ) -> Option<Self> {
        let (method, rest) = split_method(line)?;
        let (target, version) = match split_version(rest) {
            Some((target, minor)) => (target, Version::of_minor(minor)),
            None if is_alone && is_simple_request(line) => (rest, Version::Http09),
            None => return Some(Self::malformed(&method, rest, redaction, known)),
        };
        if target.is_empty() || has_control(target) {
            return Some(Self::malformed(&method, &[], redaction, known));
        }
        Some(Self {
            target: Target::parse(&method, &text(target), false, redaction, known),
            method: known.texts.share(&method),
            version: Some(version),
            flaw: None,
        })
    }

    /// Parses the beginning of a request line: as far as that goes, nothing is guessed.
    pub(super) fn parse_cut(
        line: &[u8],
        redaction: &Redaction,
        known: &mut Memory,
    ) -> Option<Self> {
        let (method, rest) = split_method(line)?;
        if let (Some((target, _)), Some(b'\r')) = (split_version(rest), rest.last())
            && !target.is_empty()
        {
            // Only the line feed is missing.
            return Self::parse(line, false, redaction, known);
        }
        let target = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
        if has_control(target) {
            return Some(Self::malformed(&method, &[], redaction, known));
        }
        let is_cut = target.len() == rest.len();
        Some(Self {
            target: Target::parse(&method, &whole_characters(target), is_cut, redaction, known),
            method: known.texts.share(&method),
            version: None,
            flaw: Some(LineFlaw::Cut),
        })
    }

    /// Of a line that breaks the rules the target is told where there can be no doubt about it: one word, after one
    /// space, that may be the whole rest or is followed by what would be a version (`HTTP/2.0`).
    fn malformed(method: &str, rest: &[u8], redaction: &Redaction, known: &mut Memory) -> Self {
        let mut words = rest.splitn(2, |byte| *byte == b' ');
        let word = words.next().unwrap_or_default();
        let is_version = |bytes: &[u8]| {
            bytes
                .get(..5)
                .is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
        };
        let is_certain = !word.is_empty()
            && !has_control(word)
            && !is_version(word)
            && words.next().is_none_or(is_version);
        let target = if is_certain {
            Target::parse(method, &text(word), false, redaction, known)
        } else {
            Target::default()
        };
        Self {
            method: known.texts.share(method),
            target,
            version: None,
            flaw: Some(LineFlaw::Malformed),
        }
    }
}

impl Target {
    /// `is_cut`: whether the target may go on. Then only those of its parts are told whose beginning is known for sure.
    fn parse(
        method: &str,
        target: &str,
        is_cut: bool,
        redaction: &Redaction,
        known: &mut Memory,
    ) -> Self {
        let unknown = Self {
            is_path_cut: is_cut,
            ..Self::default()
        };
        // What may be half of a password is not remembered.
        let mut share = |host: String| known.texts.share(&host);
        if method == "CONNECT" {
            let host = redaction.host(target).filter(|_| !is_cut);
            return Self {
                authority: host.map(share),
                ..Self::default()
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
        let authority = authority.map(&mut share);
        let is_path_cut = is_cut && !rest.contains(['?', '#']);
        // A fragment is not sent; where a client does, it may hold anything.
        let rest = memchr::memchr(b'#', rest.as_bytes()).map_or(rest, |end| &rest[..end]);
        let (path, query) = match memchr::memchr(b'?', rest.as_bytes()) {
            Some(mark) => (
                &rest[..mark],
                Some(redaction.query(&rest[mark + 1..]).into()),
            ),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        let (path, route) = if is_path_cut {
            (redaction.cut_path(path).into(), None)
        } else {
            let KnownPath { path, route } = KnownPath::of(path, redaction, known);
            (path, Some(route))
        };
        Self {
            authority,
            path: Some(path),
            is_path_cut,
            query,
            route,
        }
    }
}

impl KnownPath {
    /// A whole path, redacted, with its route.
    fn of(path: &str, redaction: &Redaction, known: &mut Memory) -> Self {
        let (same, hash) = known.paths.get(path.as_bytes());
        if let Some(same) = same {
            return same.clone();
        }
        let redacted = redaction.path(path);
        let made = Self {
            route: known.texts.share(&route(&redacted)),
            path: redacted.as_ref().into(),
        };
        if *redacted == *path {
            let bytes = path.as_bytes();
            known.paths.keep(bytes, hash, || made.clone());
        }
        made
    }
}

fn split_method(line: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let method_len = line.iter().take_while(|byte| is_token(**byte)).count();
    let method = line.get(..method_len)?;
    let rest = line.get(method_len + 1..).unwrap_or_default();
    Some((text(method), rest))
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
