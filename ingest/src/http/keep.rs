//! What of an exchange goes into its row: the headers that are wanted, and bodies without secrets.

use std::fmt;
use std::sync::Arc;

use super::{Config, Exchange};

/// The headers that rows keep, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderList {
    /// In lower case; with `*` at its end, the beginning of names. `None` keeps all.
    names: Option<Vec<String>>,
}

/// Text that names no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderNameError(String);

impl fmt::Display for HeaderNameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} is no name of a header; `*` may only be its last character",
            self.0
        )
    }
}

impl std::error::Error for HeaderNameError {}

impl Default for HeaderList {
    /// Keeps all.
    fn default() -> Self {
        Self { names: None }
    }
}

impl HeaderList {
    /// Keeps the headers of these names (in any case; `x-*` for all that begin so, `*` for all), and no others.
    ///
    /// # Errors
    ///
    /// Where one is no name.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Result<Self, HeaderNameError> {
        let mut kept = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref();
            let beginning = name.strip_suffix('*').unwrap_or(name);
            let is_name =
                beginning.bytes().all(super::detect::is_token) && !beginning.contains('*');
            if name.is_empty() || !is_name {
                return Err(HeaderNameError(name.to_owned()));
            }
            kept.push(name.to_ascii_lowercase());
        }
        let is_all = kept.iter().any(|name| name == "*");
        Ok(Self {
            names: (!is_all).then_some(kept),
        })
    }

    /// Whether a header is kept, by its name in lower case.
    pub fn keeps(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| {
            names.iter().any(|kept| match kept.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => kept == name,
            })
        })
    }
}

impl Config {
    /// Takes out of an exchange what its row is not to have.
    pub fn keep_wanted(&self, exchange: &mut Exchange) {
        for (body, headers) in [
            (&mut exchange.req_body, &exchange.req_headers),
            (&mut exchange.resp_body, &exchange.resp_headers),
        ] {
            if let Some(bytes) = body.take() {
                let value = |name: &str| {
                    let headers = headers.as_ref();
                    headers.and_then(|it| it.get(name)).unwrap_or_default()
                };
                *body =
                    self.redaction
                        .body(value("content-type"), value("content-encoding"), bytes);
            }
        }
        if self.headers != HeaderList::default() {
            let both = [&mut exchange.req_headers, &mut exchange.resp_headers];
            for headers in both.into_iter().flatten() {
                let kept = headers.iter();
                let kept = kept.filter(|(name, _)| self.headers.keeps(name));
                *headers = Arc::new(kept.collect());
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use weir_storage::Pairs;

    use super::*;
    use crate::http::Outcome;

    #[test]
    fn headers_are_kept_by_name_or_by_its_beginning() {
        let list = HeaderList::new(&["Host", "x-*"]).unwrap();
        for (name, expected) in [
            ("host", true),
            ("x-a", true),
            ("accept", false),
            ("x", false),
        ] {
            assert_eq!(list.keeps(name), expected, "{name}");
        }
        assert!(HeaderList::new(&["a", "*"]).unwrap().keeps("anything"));
        assert!(!HeaderList::new::<&str>(&[]).unwrap().keeps("host"));
        for name in ["", "a b", "a*b", "a:"] {
            assert!(HeaderList::new(&[name]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_row_has_what_is_wanted_and_its_columns_all_the_same() {
        let config = Config {
            headers: HeaderList::new(&["host"]).unwrap(),
            ..Config::default()
        };
        let mut exchange = Exchange::unknown(Outcome::Ok);
        exchange.user_agent = Some("curl".into());
        let sent = [
            ("host", "h"),
            ("user-agent", "curl"),
            ("content-type", "application/json"),
        ];
        exchange.req_headers = Some(Arc::new(sent.into_iter().collect()));
        exchange.req_body = Some(br#"{"user": "u", "password": "p4ss"}"#.to_vec());
        exchange.resp_headers = Some(Arc::new(Pairs::from([("content-encoding", "gzip")])));
        exchange.resp_body = Some(vec![0x1f, 0x8b, 1, 2]);
        config.keep_wanted(&mut exchange);
        assert_eq!(
            exchange.req_headers,
            Some(Arc::new(Pairs::from([("host", "h")])))
        );
        assert_eq!(exchange.user_agent.as_deref(), Some("curl"));
        let body = String::from_utf8(exchange.req_body.unwrap()).unwrap();
        assert_eq!(body, r#"{"user": "u", "password": "[redacted]"}"#);
        assert_eq!(exchange.resp_body, None, "nobody can look into it");
    }
}
