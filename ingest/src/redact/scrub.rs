//! Secrets inside texts of any kind: header values, paths, bodies.
//!
//! What gives a secret away is looked for byte by byte, so that one rule holds for forms, JSON, XML, YAML, cookies and
//! whatever else: a name that tells of a secret before `=`, `:` or within `<...>`, the word of an authentication scheme,
//! userinfo before `@`. What follows it, up to where it must end, is replaced. Every cut is at an ASCII byte, so UTF-8
//! stays UTF-8.

use super::{MARKER, names};

/// Bytes that a name has at most.
const MAX_NAME: usize = 64;
/// Schemes after whose word a credential stands wherever it stands.
const SCHEMES: [&[u8]; 5] = [b"basic", b"bearer", b"negotiate", b"ntlm", b"dpop"];

/// Whether a text may hold anything that [`scrub`] replaces: the quick way.
pub(super) fn is_suspect(text: &[u8]) -> bool {
    holds_any(text, *b"=:@", *b"%>")
        || memchr::memchr2_iter(b' ', b'\t', text)
            .any(|space| space > 0 && ends_scheme(text[space - 1]))
}

/// Whether a word that ends so may be one of [`SCHEMES`].
fn ends_scheme(byte: u8) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| scheme.last() == Some(&byte.to_ascii_lowercase()))
}

/// Whether a text holds one of some bytes.
pub(super) fn holds_any(text: &[u8], three: [u8; 3], two: [u8; 2]) -> bool {
    let [first, second, third] = three;
    let [fourth, fifth] = two;
    memchr::memchr3(first, second, third, text).is_some()
        || memchr::memchr2(fourth, fifth, text).is_some()
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A path: a slash ends a value.
    Path,
    /// Anything else: a value may be base64, which has slashes.
    Text,
}

/// The text with its secrets replaced; `None` where it has none. `is_secret` knows further names of fields.
pub(super) fn scrub(text: &[u8], form: Form, is_secret: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut scrubber = Scrubber {
        text,
        form,
        is_secret,
        done: 0,
        out: Vec::new(),
        has_changed: false,
    };
    let mut at = 0;
    while at < text.len() {
        at = scrubber.look_at(at);
    }
    if !scrubber.has_changed {
        return None;
    }
    let Scrubber { done, mut out, .. } = scrubber;
    out.extend_from_slice(&text[done..]);
    Some(out)
}

struct Scrubber<'t, F> {
    text: &'t [u8],
    form: Form,
    is_secret: F,
    /// Up to here the text stands in `out`.
    done: usize,
    out: Vec<u8>,
    has_changed: bool,
}

impl<F: Fn(&[u8]) -> bool> Scrubber<'_, F> {
    /// Looks at one byte; returns where to go on.
    fn look_at(&mut self, at: usize) -> usize {
        match self.text[at] {
            b'=' => self.after_name(at, at + 1),
            b':' => self.after_colon(at),
            b'%' => self.encoded(at),
            b'@' => self.before_at(at, at + 1),
            b'>' => self.element(at),
            b' ' | b'\t' => self.after_scheme(at),
            _ => at + 1,
        }
    }

    fn replace(&mut self, from: usize, to: usize) -> usize {
        // What was replaced already may reach further than where a later rule begins.
        let from = from.max(self.done);
        let to = to.max(from);
        if to > from {
            self.out.extend_from_slice(&self.text[self.done..from]);
            self.out.extend_from_slice(MARKER.as_bytes());
            self.done = to;
            self.has_changed = true;
        }
        to
    }

    /// `name=value`, also with spaces and quotes around; `sign` is where the sign stands, `next` what follows it.
    fn after_name(&mut self, sign: usize, next: usize) -> usize {
        let (name, _) = self.name_before(sign);
        if !self.tells_of_secret(name) {
            return next;
        }
        let (from, to) = self.value_at(next);
        self.replace(from, to).max(next)
    }

    /// `"name": value`, `name: the rest of the line`.
    fn after_colon(&mut self, colon: usize) -> usize {
        let (name, start) = self.name_before(colon);
        if name.contains(&b'.') || !self.tells_of_secret(name) {
            return colon + 1;
        }
        let is_quoted = self.text[..colon].trim_ascii_end().ends_with(b"\"")
            || self.text[..colon].trim_ascii_end().ends_with(b"'");
        let before = start.checked_sub(1).map(|before| self.text[before]);
        let begins = before.is_none_or(|before| {
            before.is_ascii_whitespace()
                || matches!(before, b'{' | b'[' | b',' | b';' | b'&' | b'-')
        });
        if is_quoted {
            let (from, to) = self.value_at(colon + 1);
            return self.replace(from, to).max(colon + 1);
        }
        if !begins {
            return colon + 1;
        }
        let from = self.skip_spaces(colon + 1);
        let line = self.text[from..]
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'));
        self.replace(from, line.map_or(self.text.len(), |line| from + line))
            .max(colon + 1)
    }

    /// `%3D` and `%3A` for `=` and `:`, `%40` for `@`.
    fn encoded(&mut self, at: usize) -> usize {
        match self.text.get(at + 1..at + 3) {
            Some([b'3', b'D' | b'd' | b'A' | b'a']) => self.after_name(at, at + 3),
            Some(b"40") => self.before_at(at, at + 3),
            _ => at + 1,
        }
    }

    /// `//userinfo@`, `user:password@`.
    fn before_at(&mut self, at: usize, next: usize) -> usize {
        let before = &self.text[self.done.min(at)..at];
        let start = before
            .iter()
            .rposition(|byte| {
                byte.is_ascii_whitespace()
                    || matches!(
                        byte,
                        b'/' | b'\\'
                            | b'"'
                            | b'\''
                            | b'<'
                            | b'>'
                            | b'='
                            | b','
                            | b'('
                            | b'?'
                            | b'&'
                    )
            })
            .map_or(0, |place| place + 1);
        let encoded_slash = before[start..]
            .windows(3)
            .rposition(|window| window.eq_ignore_ascii_case(b"%2f"));
        let start = encoded_slash.map_or(start, |place| start + place + 3);
        let userinfo = &before[start..];
        let follows_slashes = before[..start].ends_with(b"//")
            || before[..start].len() >= 6
                && before[start - 6..start].eq_ignore_ascii_case(b"%2f%2f");
        let has_password = userinfo.contains(&b':')
            || userinfo
                .windows(3)
                .any(|window| window.eq_ignore_ascii_case(b"%3a"));
        if userinfo.is_empty() || !(follows_slashes || has_password) {
            return next;
        }
        let from = at - userinfo.len();
        self.replace(from, at);
        next
    }

    /// `<name>text<`.
    fn element(&mut self, end: usize) -> usize {
        let Some(start) = self.text[..end].iter().rposition(|byte| *byte == b'<') else {
            return end + 1;
        };
        let tag = &self.text[start + 1..end];
        let name_len = tag
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(tag.len());
        let name = &tag[..name_len];
        if name.len() > MAX_NAME
            || name.starts_with(b"/")
            || tag.ends_with(b"/")
            || !self.tells_of_secret(name)
        {
            return end + 1;
        }
        let text = &self.text[end + 1..];
        // What stands in CDATA has angle brackets of its own.
        let to = if text.starts_with(b"<![CDATA[") {
            find(text, b"]]>").map_or(text.len(), |at| at + 3)
        } else {
            text.iter()
                .position(|byte| *byte == b'<')
                .unwrap_or(text.len())
        };
        self.replace(end + 1, end + 1 + to).max(end + 1)
    }

    /// `Bearer credential`.
    fn after_scheme(&mut self, space: usize) -> usize {
        let is_scheme = SCHEMES.iter().any(|scheme| {
            let Some(start) = space.checked_sub(scheme.len()) else {
                return false;
            };
            self.text[start..space].eq_ignore_ascii_case(scheme)
                && start
                    .checked_sub(1)
                    .is_none_or(|before| !self.text[before].is_ascii_alphanumeric())
        });
        if !is_scheme {
            return space + 1;
        }
        let from = self.skip_spaces(space);
        let credential = &self.text[from..];
        let len = credential
            .iter()
            .position(|byte| !is_credential_byte(*byte))
            .unwrap_or(credential.len());
        // A parameter of a challenge (`Basic realm="x"`) is none.
        let is_parameter = credential[..len].contains(&b'=') && credential.get(len) == Some(&b'"');
        if is_parameter {
            return space + 1;
        }
        self.replace(from, from + len).max(space + 1)
    }

    /// The name that ends before a sign, without spaces and quotes around it, and where it begins.
    fn name_before(&self, sign: usize) -> (&[u8], usize) {
        let mut end = sign;
        while end > 0 && matches!(self.text[end - 1], b' ' | b'\t' | b'"' | b'\'' | b'\\') {
            end -= 1;
        }
        let mut start = end;
        while start > 0 && end - start < MAX_NAME && is_name_byte(self.text[start - 1]) {
            start -= 1;
        }
        (&self.text[start..end], start)
    }

    fn tells_of_secret(&self, name: &[u8]) -> bool {
        if name.is_empty() {
            return false;
        }
        if name.contains(&b'%') {
            let decoded = decode(name);
            return names::is_secret_name(&decoded) || (self.is_secret)(&decoded);
        }
        names::is_secret_name(name) || (self.is_secret)(name)
    }

    fn skip_spaces(&self, from: usize) -> usize {
        let spaces = self.text[from..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'));
        from + spaces.count()
    }

    /// Where the value begins and ends that stands at a place.
    fn value_at(&self, at: usize) -> (usize, usize) {
        let from = at
            + self.text[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
        let value = &self.text[from..];
        match value.first() {
            Some(quote @ (b'"' | b'\'')) => {
                let inside = &value[1..];
                (from + 1, from + 1 + quoted_len(inside, *quote))
            }
            // A quote within a text that is quoted itself.
            Some(b'\\') if matches!(value.get(1), Some(b'"')) => {
                let inside = &value[2..];
                (
                    from + 2,
                    from + 2 + find(inside, b"\\\"").unwrap_or(inside.len()),
                )
            }
            Some(open @ (b'[' | b'{')) => (from, from + nested_len(value, *open)),
            _ => {
                let len = value.iter().position(|byte| {
                    byte.is_ascii_whitespace()
                        || matches!(
                            byte,
                            b'&' | b';' | b',' | b'"' | b'\'' | b'<' | b'>' | b'}' | b']' | b'/'
                        )
                });
                let len = len.unwrap_or(value.len());
                let slashes = match self.form {
                    Form::Path => 0,
                    Form::Text => slashes_len(&value[len..]),
                };
                (from, from + len + slashes)
            }
        }
    }
}

/// Bytes after a `/` that still belong to the value: all up to the next sign that ends one.
fn slashes_len(rest: &[u8]) -> usize {
    if rest.first() != Some(&b'/') {
        return 0;
    }
    rest.iter()
        .position(|byte| {
            byte.is_ascii_whitespace()
                || matches!(
                    byte,
                    b'&' | b';' | b',' | b'"' | b'\'' | b'<' | b'>' | b'}' | b']'
                )
        })
        .unwrap_or(rest.len())
}

fn quoted_len(inside: &[u8], quote: u8) -> usize {
    let mut is_escaped = false;
    for (at, byte) in inside.iter().enumerate() {
        if *byte == quote && !is_escaped {
            return at;
        }
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    inside.len()
}

/// Length of a list or an object of JSON up to the bracket that closes it.
fn nested_len(value: &[u8], open: u8) -> usize {
    let close = if open == b'[' { b']' } else { b'}' };
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in value.iter().enumerate() {
        if is_text {
            is_text = is_escaped || *byte != b'"';
            is_escaped = *byte == b'\\' && !is_escaped;
            continue;
        }
        if *byte == b'"' {
            is_text = true;
        } else if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    value.len()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'[' | b']' | b'%')
}

fn is_credential_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':')
}

/// Percent-encoding undone.
fn decode(name: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let pair = (after.first().and_then(digit), after.get(1).and_then(digit));
        if let (b'%', (Some(high), Some(low))) = (first, pair) {
            decoded.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    decoded
}

pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrubbed(text: &str) -> String {
        match scrub(text.as_bytes(), Form::Text, |_| false) {
            Some(scrubbed) => String::from_utf8_lossy(&scrubbed).into_owned(),
            None => text.to_owned(),
        }
    }

    #[test]
    fn fields_with_secret_names_lose_their_values() {
        for (text, expected) in [
            ("a=1&password=x&b=2", "a=1&password=[redacted]&b=2"),
            (
                "user=u; sessionid=x/y==; b",
                "user=u; sessionid=[redacted]; b",
            ),
            ("passw%6frd=x&a=1", "passw%6frd=[redacted]&a=1"),
            (
                r#"{"a": 1, "password": "x\"y", "b": 2}"#,
                r#"{"a": 1, "password": "[redacted]", "b": 2}"#,
            ),
            (r#"{"apiKey":123,"b":2}"#, r#"{"apiKey":[redacted],"b":2}"#),
            (
                r#"{"tokens": ["x", "]"], "b": 2}"#,
                r#"{"tokens": [redacted], "b": 2}"#,
            ),
            (
                r#"{"t": "{\"secret\":\"x\"}"}"#,
                r#"{"t": "{\"secret\":\"[redacted]\"}"}"#,
            ),
            (
                "<a><password>x</password><b>y</b></a>",
                "<a><password>[redacted]</password><b>y</b></a>",
            ),
            ("<auth token=\"x\"/>", "<auth token=\"[redacted]\"/>"),
            (
                "<secret><![CDATA[a<b]]></secret>",
                "<secret>[redacted]</secret>",
            ),
            ("password: x y\nuser: u", "password: [redacted]\nuser: u"),
            (
                "text Authorization: Basic dTpw",
                "text Authorization: [redacted]",
            ),
            ("x Cookie: a=b; c=d", "x Cookie: [redacted]"),
            ("pin=1234", "pin=[redacted]"),
        ] {
            assert_eq!(scrubbed(text), expected, "{text}");
        }
    }

    #[test]
    fn credentials_after_a_scheme_and_userinfo_are_replaced_anywhere() {
        for (text, expected) in [
            ("see Bearer abc.def", "see Bearer [redacted]"),
            ("Basic dTpw==, x", "Basic [redacted], x"),
            ("https://u:p@h/a", "https://[redacted]@h/a"),
            ("https://u@h/a", "https://[redacted]@h/a"),
            ("(u:p@h)", "([redacted]@h)"),
            ("http%3A%2F%2Fu%3Ap%40h", "http%3A%2F%2F[redacted]%40h"),
            ("/a/http://u:p@h/b", "/a/http://[redacted]@h/b"),
        ] {
            assert_eq!(scrubbed(text), expected, "{text}");
        }
    }

    #[test]
    fn harmless_texts_stay_as_they_are() {
        for text in [
            "text/html; charset=utf-8",
            "Fri, 27 Nov 2026 15:23:12 GMT",
            "token.example.org:8080",
            "https://auth.example.org:8443/a",
            "Basic realm=\"a b\"",
            "max-age=0, no-cache",
            "mail alice@example.org about it",
            "/@scope/package@1.2.3",
            "/v1/projects/p:generateToken",
            "{\"passenger\": \"x\", \"author\": \"y\", \"keyboard\": 1}",
            "<p>a</p><author>b</author>",
        ] {
            assert_eq!(scrubbed(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scrub(&text, Form::Path, |_| true);
            let _ = scrub(&text, Form::Text, |_| true);
        }

        #[test]
        fn utf_8_stays_utf_8(text in "[\\PC=:@%><\"/ ]{0,60}(token|pin)[=:\" ]{1,3}\\PC{0,20}") {
            if let Some(scrubbed) = scrub(text.as_bytes(), Form::Text, |_| false) {
                prop_assert!(String::from_utf8(scrubbed).is_ok());
            }
        }
    }
}
