//! Keeps secrets out of rows: header values, query parameters, userinfo in addresses, fields of bodies.
//!
//! What is replaced becomes [`MARKER`], so that a reader sees that something was there. When in doubt, it is replaced:
//! names of parameters are kept, values only of parameters on an allow list, and what has no name is no name. Of bodies
//! that nobody can look into (compressed ones) nothing is kept.

mod body;
mod names;
mod scrub;

use std::borrow::Cow;

use regex::Regex;

use scrub::Form;

/// Stands for a value that was left out.
pub const MARKER: &str = "[redacted]";

/// Longest value of an allowed parameter that is kept.
const MAX_ALLOWED_VALUE: usize = 64;

/// Longest name of a parameter that is taken for one.
const MAX_NAME: usize = 64;

/// Authentication schemes: the first word of a value that is kept.
const SCHEMES: &[&str] = &[
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hoba",
    "key",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "scram-sha-1",
    "scram-sha-256",
    "sharedkey",
    "token",
    "vapid",
];

/// What is replaced, and what is not.
#[derive(Debug, Clone)]
pub struct Redaction {
    is_on: bool,
    allowed_parameters: Vec<String>,
    secret_headers: Vec<String>,
    secret_fields: Vec<String>,
    patterns: Vec<Regex>,
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error("the pattern {pattern:?} is no regular expression: {reason}")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// It matches the empty text, and so everywhere.
    #[error("the pattern {0:?} matches nothing at all too; let it ask for a character at least")]
    Empty(String),
}

/// Bytes of memory that a compiled pattern takes at most.
const MAX_PATTERN_BYTES: usize = 1 << 20;

impl Default for Redaction {
    fn default() -> Self {
        Self {
            is_on: true,
            allowed_parameters: Vec::new(),
            secret_headers: Vec::new(),
            secret_fields: Vec::new(),
            patterns: Vec::new(),
        }
    }
}

impl Redaction {
    /// Replaces nothing but what [`Self::with_patterns`] names.
    pub fn off() -> Self {
        Self {
            is_on: false,
            ..Self::default()
        }
    }

    /// Keeps the values of these query parameters (names in any case); by default none is kept.
    #[must_use]
    pub fn with_allowed_parameters<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let lower = |name: S| name.as_ref().to_ascii_lowercase();
        self.allowed_parameters = names.into_iter().map(lower).collect();
        self
    }

    /// Replaces the values of these headers (names in any case) too.
    #[must_use]
    pub fn with_secret_headers<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let lower = |name: S| name.as_ref().to_ascii_lowercase();
        self.secret_headers.extend(names.into_iter().map(lower));
        self
    }

    /// Replaces the values of fields of these names (in any case) too, wherever they stand: in bodies, in headers, in
    /// paths.
    #[must_use]
    pub fn with_secret_fields<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let lower = |name: S| name.as_ref().to_ascii_lowercase();
        self.secret_fields.extend(names.into_iter().map(lower));
        self
    }

    /// Replaces what these regular expressions match too, wherever it stands.
    ///
    /// # Errors
    ///
    /// Where one is no regular expression, too large, or matches the empty text.
    pub fn with_patterns<S: AsRef<str>>(mut self, patterns: &[S]) -> Result<Self, PatternError> {
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let compiled = regex::RegexBuilder::new(pattern)
                .size_limit(MAX_PATTERN_BYTES)
                .build()
                .map_err(|error| PatternError::Syntax {
                    pattern: pattern.to_owned(),
                    reason: error.to_string(),
                })?;
            if compiled.is_match("") {
                return Err(PatternError::Empty(pattern.to_owned()));
            }
            self.patterns.push(compiled);
        }
        Ok(self)
    }

    /// The value of a header, by its name in lower case. Of `Basic abc` the scheme stays.
    pub fn header<'v>(&self, name: &str, value: &'v str) -> Cow<'v, str> {
        if !self.is_on {
            return self.without_matches(Cow::Borrowed(value));
        }
        if self.is_secret_header(name) || is_challenge_with_secret(name, value) {
            return Cow::Owned(keep_scheme(value));
        }
        let redacted = if names::is_address_header(name) {
            if may_hold_secret_of_address(value) {
                Cow::Owned(self.address(value))
            } else {
                Cow::Borrowed(value)
            }
        } else if name == "host" {
            host_header(value)
        } else if may_hold_secret_of_address(value) {
            self.addresses_within(value)
        } else {
            Cow::Borrowed(value)
        };
        self.without_matches(self.scrubbed(redacted, Form::Text))
    }

    /// The host of an authority or a Host header, with its port, without userinfo, in lower case; `None` if empty.
    pub fn host(&self, authority: &str) -> Option<String> {
        // A pattern may name capital letters, which the column has not.
        let host = self.without_matches(Cow::Borrowed(host_of(authority)?));
        let host = host.to_ascii_lowercase();
        Some(self.without_matches(Cow::Owned(host)).into_owned())
    }

    fn scrubbed<'v>(&self, text: Cow<'v, str>, form: Form) -> Cow<'v, str> {
        if !scrub::is_suspect(text.as_bytes()) {
            return text;
        }
        match scrub::scrub(text.as_bytes(), form, |name| self.is_secret_field(name)) {
            Some(scrubbed) => Cow::Owned(String::from_utf8_lossy(&scrubbed).into_owned()),
            None => text,
        }
    }

    fn is_secret_field(&self, name: &[u8]) -> bool {
        self.secret_fields
            .iter()
            .any(|field| field.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The text without what the patterns match.
    fn without_matches<'v>(&self, mut text: Cow<'v, str>) -> Cow<'v, str> {
        for pattern in &self.patterns {
            if let Cow::Owned(replaced) = pattern.replace_all(&text, regex::NoExpand(MARKER)) {
                text = Cow::Owned(replaced);
            }
        }
        text
    }

    /// A query, without its question mark: `a=1&b` becomes `a=[redacted]&[redacted]`.
    pub fn query(&self, query: &str) -> String {
        if !self.is_on {
            return self.without_matches(Cow::Borrowed(query)).into_owned();
        }
        let mut redacted = String::with_capacity(query.len() + MARKER.len());
        let mut start = 0;
        for end in memchr::memchr2_iter(b'&', b';', query.as_bytes()) {
            self.parameter(&query[start..end], &mut redacted);
            redacted.push_str(&query[end..=end]);
            start = end + 1;
        }
        self.parameter(&query[start..], &mut redacted);
        self.without_matches(Cow::Owned(redacted)).into_owned()
    }

    /// A path: userinfo and fields whose name tells of a secret (`;jsessionid=...`) are replaced, and what follows an
    /// encoded question mark.
    pub fn path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if !self.is_on {
            return self.without_matches(Cow::Borrowed(path));
        }
        let has_userinfo = !path.starts_with('/') && path.contains('@');
        let redacted = match (find_encoded_question_mark(path), has_userinfo) {
            (None, false) => Cow::Borrowed(path),
            (encoded_query, _) => {
                let path = encoded_query.map_or(path, |at| &path[..at]);
                let mut redacted = match path.rsplit_once('@') {
                    Some((_, host)) if has_userinfo => format!("{MARKER}@{host}"),
                    _ => path.to_owned(),
                };
                if encoded_query.is_some() {
                    redacted.push_str("%3F");
                    redacted.push_str(MARKER);
                }
                Cow::Owned(redacted)
            }
        };
        self.without_matches(self.scrubbed(redacted, Form::Path))
    }

    /// The beginning of a path that may go on: as [`Self::path`], and an authority that may go on as userinfo is replaced.
    pub fn cut_path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let is_begun = |authority: &str| !authority.contains(['/', '?', '#', '@']);
        match path.rfind("//") {
            Some(slashes) if self.is_on && is_begun(&path[slashes + 2..]) => {
                let mut redacted = self.path(&path[..slashes + 2]).into_owned();
                redacted.push_str(MARKER);
                Cow::Owned(redacted)
            }
            _ => self.path(path),
        }
    }

    /// An address, absolute or relative: userinfo, query values and the fragment are replaced.
    pub fn address(&self, address: &str) -> String {
        if !self.is_on {
            return self.without_matches(Cow::Borrowed(address)).into_owned();
        }
        let (address, fragment) = match address.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (address, None),
        };
        let (address, query) = match address.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (address, None),
        };
        let authority_start = address.find("//").map_or(0, |at| at + 2);
        let (scheme, rest) = address.split_at(authority_start);
        let mut redacted = String::with_capacity(address.len() + 2 * MARKER.len());
        redacted.push_str(scheme);
        if authority_start > 0 {
            let authority_end = rest.find(['/', '\\']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(authority_end);
            match authority.rsplit_once('@') {
                Some((_, host)) => {
                    redacted.push_str(MARKER);
                    redacted.push('@');
                    redacted.push_str(host);
                }
                // A slash in a password ends the authority before its `@`.
                None if has_port_or_none(authority) => redacted.push_str(authority),
                None => redacted.push_str(MARKER),
            }
            redacted.push_str(&self.path(path));
        } else {
            redacted.push_str(&self.path(rest));
        }
        if let Some(query) = query {
            redacted.push('?');
            redacted.push_str(&self.query(query));
        }
        if let Some(fragment) = fragment {
            redacted.push('#');
            if !fragment.is_empty() {
                redacted.push_str(MARKER);
            }
        }
        redacted
    }

    fn is_secret_header(&self, name: &str) -> bool {
        self.secret_headers.iter().any(|secret| secret == name) || names::is_secret_header(name)
    }

    /// A value that holds addresses among other words (`Link`, `Refresh`, `User-Agent`).
    fn addresses_within<'v>(&self, value: &'v str) -> Cow<'v, str> {
        if !value.contains('/') {
            return Cow::Borrowed(value);
        }
        let is_delimiter = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'');
        let mut redacted = String::with_capacity(value.len());
        for part in value.split_inclusive(is_delimiter) {
            let word = part.trim_end_matches(is_delimiter);
            let is_relative = word
                .find('/')
                .is_some_and(|path| path == 0 || word.find('?').is_some_and(|query| path < query));
            let is_address = is_relative || word.contains("://");
            if is_address {
                redacted.push_str(&self.address(word));
            } else {
                redacted.push_str(word);
            }
            redacted.push_str(&part[word.len()..]);
        }
        Cow::Owned(redacted)
    }

    fn parameter(&self, parameter: &str, redacted: &mut String) {
        if parameter.is_empty() {
            return;
        }
        let (name, value) = match parameter.split_once('=') {
            // Without a value, the name is the value (`?token`); `dG9rZW4=` is no name either.
            Some((_, "" | "=")) | None => {
                redacted.push_str(MARKER);
                return;
            }
            Some(named) => named,
        };
        let is_name = name.len() <= MAX_NAME && name.bytes().all(is_name_byte);
        let is_allowed = is_name
            && value.len() <= MAX_ALLOWED_VALUE
            && value.bytes().all(is_plain_byte)
            && self
                .allowed_parameters
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name));
        redacted.push_str(if is_name { name } else { MARKER });
        redacted.push('=');
        redacted.push_str(if is_allowed { value } else { MARKER });
    }
}

/// Whether what follows the last colon of an authority is a port, or nothing does.
fn has_port_or_none(authority: &str) -> bool {
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    after_address
        .split_once(':')
        .is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The host of an authority or a Host header, with its port, without userinfo; `None` if empty.
fn host_of(authority: &str) -> Option<&str> {
    let host = authority.rsplit('@').next().unwrap_or_default().trim();
    // Neither a host nor a port has these; what follows one of them is no part of it.
    let end = host
        .find(['/', '?', '#', '\\', ' ', '\t', ',', ';', '='])
        .unwrap_or(host.len());
    let host = &host[..end];
    let host = if has_port_or_none(host) {
        host
    } else {
        host.rsplit_once(':').map_or(host, |(host, _)| host)
    };
    (!host.is_empty()).then_some(host)
}

/// The value of a Host header: what is no host is replaced.
fn host_header(value: &str) -> Cow<'_, str> {
    let host = value.trim();
    match host_of(host) {
        Some(known) if known.eq_ignore_ascii_case(host) => Cow::Borrowed(value),
        Some(known) if host.ends_with(known) => {
            Cow::Owned(format!("{MARKER}@{}", known.to_ascii_lowercase()))
        }
        Some(known) => Cow::Owned(format!("{}{MARKER}", known.to_ascii_lowercase())),
        None if host.is_empty() => Cow::Borrowed(value),
        None => Cow::Borrowed(MARKER),
    }
}

/// Names of parameters are kept as they are written; an encoded one may hide a separator and what follows it.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'-' | b'.' | b'[' | b']' | b'$' | b':' | b'*' | b'~'
        )
}

const fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b',' | b':')
}

/// Whether there is a byte that begins or ends what may be secret in an address.
fn may_hold_secret_of_address(value: &str) -> bool {
    scrub::holds_any(value.as_bytes(), *b"?@#", *b";%")
}

fn find_encoded_question_mark(path: &str) -> Option<usize> {
    // Looking for one byte is much less work than for three.
    memchr::memchr(b'%', path.as_bytes())?;
    path.find("%3F").or_else(|| path.find("%3f"))
}

/// `Negotiate` and `NTLM` carry tokens in their challenges too.
fn is_challenge_with_secret(name: &str, value: &str) -> bool {
    if !matches!(name, "www-authenticate" | "proxy-authenticate") {
        return false;
    }
    let scheme = value.split(' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("negotiate") || scheme.eq_ignore_ascii_case("ntlm")
}

fn keep_scheme(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, _))
            if SCHEMES
                .iter()
                .any(|known| known.eq_ignore_ascii_case(scheme)) =>
        {
            format!("{scheme} {MARKER}")
        }
        _ => MARKER.to_owned(),
    }
}

#[cfg(test)]
mod tests;
