//! Bodies: what of them is kept, and without which fields.

use std::borrow::Cow;

use super::scrub::{Form, find, scrub};
use super::{MARKER, Redaction, names};

/// Media types whose bodies are no text: secrets in them have no names to be found by.
const BINARY: [&str; 6] = [
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/octet-stream",
    "application/zip",
];

impl Redaction {
    /// The captured beginning of a body, by its headers; `None` where it cannot be looked into.
    pub fn body(
        &self,
        content_type: &str,
        content_encoding: &str,
        body: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let is_encoded = content_encoding
            .split(',')
            .any(|coding| !matches!(coding.trim().to_ascii_lowercase().as_str(), "" | "identity"));
        let has_rules = self.is_on || !self.patterns.is_empty();
        if is_encoded && has_rules {
            return None;
        }
        let body = if self.is_on && !is_binary(content_type) {
            let body = self.form_data(without_cut_authority(body));
            scrub(&body, Form::Text, |name| self.is_secret_field(name)).unwrap_or(body)
        } else {
            body
        };
        Some(self.bytes_without_matches(body))
    }

    /// The parts of `multipart/form-data` whose name tells of a secret lose their content.
    fn form_data(&self, body: Vec<u8>) -> Vec<u8> {
        const NAME: &[u8] = b"name=";
        let Some(mut at) = find(&body, b"form-data") else {
            return body;
        };
        let mut kept = Vec::with_capacity(body.len());
        let mut done = 0;
        while let Some(found) = find(&body[at..], NAME) {
            let start = at + found + NAME.len();
            let is_quoted = body.get(start) == Some(&b'"');
            let start = start + usize::from(is_quoted);
            let name_end = body[start..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b';' | b'\r' | b'\n'))
                .map_or(body.len(), |len| start + len);
            at = name_end;
            let name = &body[start..name_end];
            if !(names::is_secret_name(name) || self.is_secret_field(name)) {
                continue;
            }
            let Some(content) = find(&body[at..], b"\r\n\r\n").map(|head| at + head + 4) else {
                continue;
            };
            let end = find(&body[content..], b"\r\n--").map_or(body.len(), |len| content + len);
            kept.extend_from_slice(&body[done..content]);
            kept.extend_from_slice(MARKER.as_bytes());
            (done, at) = (end, end);
        }
        kept.extend_from_slice(&body[done..]);
        kept
    }

    fn bytes_without_matches(&self, body: Vec<u8>) -> Vec<u8> {
        if self.patterns.is_empty() {
            return body;
        }
        // Bytes that are no UTF-8 are matched as the characters of ISO-8859-1, which are as many.
        let (text, is_utf8): (Cow<'_, str>, bool) = match std::str::from_utf8(&body) {
            Ok(text) => (Cow::Borrowed(text), true),
            Err(_) => (body.iter().map(|byte| char::from(*byte)).collect(), false),
        };
        let replaced = self.without_matches(text);
        if is_utf8 {
            replaced.into_owned().into_bytes()
        } else {
            replaced.chars().map(|character| character as u8).collect()
        }
    }
}

/// A body that ends within an authority may have been cut within userinfo.
fn without_cut_authority(mut body: Vec<u8>) -> Vec<u8> {
    let is_end = |byte: &u8| {
        byte.is_ascii_whitespace()
            || matches!(
                byte,
                b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b')' | b',' | b'\\'
            )
    };
    let start = body.iter().rposition(is_end).map_or(0, |at| at + 1);
    if start < body.len() && body[..start].ends_with(b"//") {
        body.truncate(start);
        body.extend_from_slice(MARKER.as_bytes());
    }
    body
}

fn is_binary(content_type: &str) -> bool {
    let content_type = content_type.trim().to_ascii_lowercase();
    BINARY.iter().any(|binary| content_type.starts_with(binary)) && !content_type.contains("xml")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    fn body(content_type: &str, text: &str) -> String {
        let kept = Redaction::default().body(content_type, "", text.into());
        String::from_utf8(kept.unwrap()).unwrap()
    }

    #[test]
    fn forms_json_and_parts_lose_secret_fields_and_nothing_else() {
        assert_eq!(
            body(
                "application/x-www-form-urlencoded",
                "user=u&password=p+q&n=1"
            ),
            "user=u&password=[redacted]&n=1"
        );
        assert_eq!(
            body(
                "application/json",
                r#"{"user":"u","refresh_token":"x","n":1}"#
            ),
            r#"{"user":"u","refresh_token":"[redacted]","n":1}"#
        );
        assert_eq!(
            body(
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu\r\n--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\np\r\nq\r\n--b--\r\n"
            ),
            "--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu\r\n--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted]\r\n--b--\r\n"
        );
        // Cut within the value, and of a type that says nothing.
        assert_eq!(body("", "a=1&secret=beginn"), "a=1&secret=[redacted]");
        assert_eq!(body("", "see https://user:pa"), "see https://[redacted]");
        assert_eq!(body("text/plain", "nothing here"), "nothing here");
    }

    #[test]
    fn what_cannot_be_looked_into_is_not_kept() {
        let redaction = Redaction::default();
        assert_eq!(redaction.body("text/plain", "gzip", vec![1]), None);
        assert_eq!(redaction.body("text/plain", "identity, br", vec![1]), None);
        assert_eq!(
            redaction.body("text/plain", "identity", vec![1]),
            Some(vec![1])
        );
        assert_eq!(
            Redaction::off().body("text/plain", "gzip", vec![1]),
            Some(vec![1])
        );
    }

    #[test]
    fn patterns_work_on_bytes_that_are_no_utf_8() {
        let redaction = Redaction::off().with_patterns(&["[0-9]{4}"]).unwrap();
        let kept = redaction.body("image/png", "", b"\xff1234\xfe".to_vec());
        assert_eq!(kept.unwrap(), b"\xff[redacted]\xfe");
    }
}
