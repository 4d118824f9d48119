//! Keeps secrets out of rows: header values, query parameters, userinfo in addresses.
//!
//! What is replaced becomes [`MARKER`], so that a reader sees that something was there. When in doubt, it is replaced:
//! names of parameters are kept, values only of parameters on an allow list, and what has no name is no name. Captured
//! bodies are not redacted; their capture is off unless asked for.

mod names;

use std::borrow::Cow;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    is_on: bool,
    allowed_parameters: Vec<String>,
    secret_headers: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self {
            is_on: true,
            allowed_parameters: Vec::new(),
            secret_headers: Vec::new(),
        }
    }
}

impl Redaction {
    /// Replaces nothing.
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

    /// The value of a header, by its name in lower case. Of `Basic abc` the scheme stays.
    pub fn header<'v>(&self, name: &str, value: &'v str) -> Cow<'v, str> {
        if !self.is_on {
            return Cow::Borrowed(value);
        }
        if self.is_secret_header(name) || is_challenge_with_secret(name, value) {
            return Cow::Owned(keep_scheme(value));
        }
        if !has_suspect_byte(value.as_bytes()) {
            return Cow::Borrowed(value);
        }
        if names::is_address_header(name) {
            return Cow::Owned(self.address(value));
        }
        if name == "host" {
            return match value.rsplit_once('@') {
                Some((_, host)) => Cow::Owned(format!("{MARKER}@{host}")),
                None => Cow::Borrowed(value),
            };
        }
        self.addresses_within(value)
    }

    /// A query, without its question mark: `a=1&b` becomes `a=[redacted]&[redacted]`.
    pub fn query(&self, query: &str) -> String {
        if !self.is_on {
            return query.to_owned();
        }
        let mut redacted = String::with_capacity(query.len() + MARKER.len());
        for parameter in query.split_inclusive(['&', ';']) {
            let bare = parameter.trim_end_matches(['&', ';']);
            self.parameter(bare, &mut redacted);
            redacted.push_str(&parameter[bare.len()..]);
        }
        redacted
    }

    /// A path: the values of path parameters that name a secret (`;jsessionid=...`), and what follows an encoded
    /// question mark, are replaced.
    pub fn path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        const SUSPECT: [bool; 256] = set_of(b";%@");
        if !path.bytes().any(|byte| SUSPECT[usize::from(byte)]) {
            return Cow::Borrowed(path);
        }
        let has_parameters = path.contains(';');
        let encoded_query = find_encoded_question_mark(path);
        let has_userinfo = !path.starts_with('/') && path.contains('@');
        if !self.is_on || !(has_parameters || encoded_query.is_some() || has_userinfo) {
            return Cow::Borrowed(path);
        }
        let (path, has_query) = match encoded_query {
            Some(at) => (&path[..at], true),
            None => (path, false),
        };
        let path = match path.rsplit_once('@') {
            Some((_, host)) if has_userinfo => format!("{MARKER}@{host}"),
            _ => path.to_owned(),
        };
        let mut redacted = String::with_capacity(path.len());
        for (index, segment) in path.split('/').enumerate() {
            if index > 0 {
                redacted.push('/');
            }
            for (index, part) in segment.split(';').enumerate() {
                if index > 0 {
                    redacted.push(';');
                }
                match part.split_once('=') {
                    Some((name, _)) if index > 0 && names::is_secret_parameter(name) => {
                        redacted.push_str(name);
                        redacted.push('=');
                        redacted.push_str(MARKER);
                    }
                    _ => redacted.push_str(part),
                }
            }
        }
        if has_query {
            redacted.push_str("%3F");
            redacted.push_str(MARKER);
        }
        Cow::Owned(redacted)
    }

    /// An address, absolute or relative: userinfo, query values and the fragment are replaced.
    pub fn address(&self, address: &str) -> String {
        if !self.is_on {
            return address.to_owned();
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
                None => redacted.push_str(authority),
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

/// The host of an authority or a Host header, with its port, without userinfo, in lower case; `None` if empty.
pub fn host_of(authority: &str) -> Option<String> {
    let host = authority.rsplit('@').next().unwrap_or_default().trim();
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Whether a value holds a character that begins or ends what may be secret in an address.
fn has_suspect_byte(value: &[u8]) -> bool {
    const SUSPECT: [bool; 256] = set_of(b"?@#;");
    value.iter().any(|byte| SUSPECT[usize::from(*byte)])
}

/// For each byte whether it is among these.
const fn set_of(bytes: &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    let mut index = 0;
    while index < bytes.len() {
        set[bytes[index] as usize] = true;
        index += 1;
    }
    set
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

fn find_encoded_question_mark(path: &str) -> Option<usize> {
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
            [scheme, MARKER].join(" ")
        }
        _ => MARKER.to_owned(),
    }
}

#[cfg(test)]
mod tests;
