//! What to capture and to keep: `[capture]` in the configuration file, and the body of `PUT /api/v1/capture`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_ebpf::{Lists, PortRange, Protocols, Selection, SelectionError};
use weir_ingest::http;
use weir_ingest::live::Choice;
use weir_ingest::redact::Redaction;

/// Every protocol that can be chosen.
const PROTOCOLS: [&str; 3] = ["http", "dns", "flows"];
/// Bytes that the head of a message takes at most of what is copied of it, where its body is wanted too.
const HEAD_SHARE: u32 = 4096;

/// What to capture and to keep, as written. What is not written is as it is below: in the file, the default; in `PUT`, as
/// the service was started; in `PATCH`, as it is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// Directories of cgroups, each with all below it. With neither cgroups nor pods, the whole machine.
    pub cgroups: Option<Vec<PathBuf>>,
    /// Patterns of cgroup paths, also of cgroups that are made later.
    pub pods: Option<Vec<String>>,
    /// Names of processes.
    pub processes: Option<OnlyExcept<String>>,
    /// Ports of servers.
    pub ports: Option<OnlyExcept<Port>>,
    /// Networks to leave out, at either end.
    #[serde(alias = "exclude-cidrs")]
    pub exclude_cidrs: Option<Vec<String>>,
    /// Networks to leave out where they are the other end's.
    #[serde(alias = "exclude-peer-cidrs")]
    pub exclude_peer_cidrs: Option<Vec<String>>,
    /// Of `http`, `dns`, `flows`.
    pub protocols: Option<Vec<String>>,
    /// Bytes of each message that are copied at most.
    #[serde(alias = "prefix-bytes")]
    pub prefix_bytes: Option<u32>,
    /// Headers that are kept in rows: names, `x-*` for all that begin so, `*` for all.
    pub headers: Option<Vec<String>>,
    /// Bytes of each body that are kept in rows; 0 keeps none.
    #[serde(alias = "body-bytes")]
    pub body_bytes: Option<u32>,
    /// What is kept out of rows.
    pub redact: Option<Redact>,
}

/// Only these, and not those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OnlyExcept<T> {
    /// Only these; without any, all.
    pub only: Vec<T>,
    /// Not these.
    pub except: Vec<T>,
}

impl<T> Default for OnlyExcept<T> {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            except: Vec::new(),
        }
    }
}

/// A port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a port such as 8080 or a range such as \"8000-8099\""
)]
pub(crate) enum Port {
    /// `8080`
    Number(u16),
    /// `"8000-8099"`
    Range(String),
}

/// What is kept out of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redact {
    /// Whether the usual rules hold: secret headers, userinfo, query values, fields with secret names.
    pub usual: bool,
    /// Query parameters whose values are kept.
    #[serde(alias = "allow-query")]
    pub allow_query: Vec<String>,
    /// Headers whose values are replaced, beside the usual ones.
    pub headers: Vec<String>,
    /// Names of fields in bodies, headers and paths whose values are replaced, beside the usual ones.
    pub fields: Vec<String>,
    /// Regular expressions: what they match is replaced, wherever it stands.
    pub patterns: Vec<String>,
}

impl Default for Redact {
    fn default() -> Self {
        Self {
            usual: true,
            allow_query: Vec::new(),
            headers: Vec::new(),
            fields: Vec::new(),
            patterns: Vec::new(),
        }
    }
}

/// What to capture makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{member}: {message}")]
pub(crate) struct CaptureSettingsError {
    member: &'static str,
    message: String,
}

fn unfit(member: &'static str, message: &impl ToString) -> CaptureSettingsError {
    CaptureSettingsError {
        member,
        message: message.to_string(),
    }
}

fn parse<T>(member: &'static str, texts: &[String]) -> Result<Vec<T>, CaptureSettingsError>
where
    T: FromStr<Err: ToString>,
{
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error: T::Err| unfit(member, &error.to_string()))
        })
        .collect()
}

impl CaptureSettings {
    /// The defaults, every member written.
    pub(crate) fn usual() -> Self {
        let Selection { message_prefix, .. } = Selection::default();
        Self {
            cgroups: Some(Vec::new()),
            pods: Some(Vec::new()),
            processes: Some(OnlyExcept::default()),
            ports: Some(OnlyExcept::default()),
            exclude_cidrs: Some(Vec::new()),
            exclude_peer_cidrs: Some(Vec::new()),
            protocols: Some(PROTOCOLS.map(str::to_owned).to_vec()),
            prefix_bytes: Some(message_prefix),
            headers: Some(vec!["*".to_owned()]),
            body_bytes: Some(0),
            redact: Some(Redact::default()),
        }
    }

    /// What is written here, and what is not, as it is in `below`.
    pub(crate) fn over(self, below: &Self) -> Self {
        let Self {
            cgroups,
            pods,
            processes,
            ports,
            exclude_cidrs,
            exclude_peer_cidrs,
            protocols,
            prefix_bytes,
            headers,
            body_bytes,
            redact,
        } = self;
        let below = below.clone();
        Self {
            cgroups: cgroups.or(below.cgroups),
            pods: pods.or(below.pods),
            processes: processes.or(below.processes),
            ports: ports.or(below.ports),
            exclude_cidrs: exclude_cidrs.or(below.exclude_cidrs),
            exclude_peer_cidrs: exclude_peer_cidrs.or(below.exclude_peer_cidrs),
            protocols: protocols.or(below.protocols),
            prefix_bytes: prefix_bytes.or(below.prefix_bytes),
            headers: headers.or(below.headers),
            body_bytes: body_bytes.or(below.body_bytes),
            redact: redact.or(below.redact),
        }
    }

    /// As the capture takes it; what is not written has its default.
    ///
    /// # Errors
    ///
    /// Where a member makes no sense; it is named.
    pub(crate) fn choice(&self) -> Result<Choice, CaptureSettingsError> {
        Ok(Choice {
            selection: self.selection()?,
            http: Arc::new(self.http()?),
        })
    }

    fn selection(&self) -> Result<Selection, CaptureSettingsError> {
        let whole = self.clone().over(&Self::usual());
        let processes = whole.processes.unwrap_or_default();
        let ports = whole.ports.unwrap_or_default();
        let protocols = whole.protocols.unwrap_or_default();
        for word in &protocols {
            if !PROTOCOLS.contains(&word.as_str()) {
                let names = PROTOCOLS.join(", ");
                return Err(unfit("protocols", &format!("{word:?} is none of {names}")));
            }
        }
        let is_chosen = |word: &str| protocols.iter().any(|it| it == word);
        let selection = Selection {
            cgroups: whole.cgroups.unwrap_or_default(),
            patterns: parse("pods", &whole.pods.unwrap_or_default())?,
            processes: Lists {
                only: parse("processes", &processes.only)?,
                except: parse("processes", &processes.except)?,
            },
            ports: Lists {
                only: port_ranges(&ports.only)?,
                except: port_ranges(&ports.except)?,
            },
            exclude: parse("exclude_cidrs", &whole.exclude_cidrs.unwrap_or_default())?,
            exclude_peers: parse(
                "exclude_peer_cidrs",
                &whole.exclude_peer_cidrs.unwrap_or_default(),
            )?,
            protocols: Protocols {
                http: is_chosen("http"),
                dns: is_chosen("dns"),
                flows: is_chosen("flows"),
            },
            message_prefix: whole.prefix_bytes.unwrap_or_default(),
        };
        selection.check().map_err(|error| {
            let member = match &error {
                SelectionError::Prefix(_) => "prefix_bytes",
                SelectionError::Nothing => "protocols",
                SelectionError::Name(_) => "processes",
                SelectionError::Port(_) => "ports",
                SelectionError::Network(..) => "exclude_cidrs",
                SelectionError::TooMany(..) => "lists",
            };
            unfit(member, &error)
        })?;
        Ok(selection)
    }

    /// What is kept of HTTP; this alone matters to an import.
    pub(crate) fn http(&self) -> Result<http::Config, CaptureSettingsError> {
        let whole = self.clone().over(&Self::usual());
        let redact = whole.redact.unwrap_or_default();
        let body_bytes = whole.body_bytes.unwrap_or_default();
        let prefix_bytes = whole.prefix_bytes.unwrap_or_default();
        if body_bytes > 0 && body_bytes.saturating_add(HEAD_SHARE) > prefix_bytes {
            return Err(unfit(
                "body_bytes",
                &format!(
                    "{body_bytes} bytes of bodies do not fit into the {prefix_bytes} bytes that are copied of a message, \
                     {HEAD_SHARE} of which are for its head; raise prefix_bytes"
                ),
            ));
        }
        let base = if redact.usual {
            Redaction::default()
        } else {
            Redaction::off()
        };
        let redaction = base
            .with_allowed_parameters(&redact.allow_query)
            .with_secret_headers(&redact.headers)
            .with_secret_fields(&redact.fields)
            .with_patterns(&redact.patterns)
            .map_err(|error| unfit("redact", &error))?;
        Ok(http::Config {
            max_body_capture: body_bytes as usize,
            redaction,
            headers: http::HeaderList::new(&whole.headers.unwrap_or_default())
                .map_err(|error| unfit("headers", &error))?,
            ..http::Config::default()
        })
    }

    /// What it watches, for people.
    pub(crate) fn describe(&self) -> String {
        let cgroups = self
            .cgroups
            .iter()
            .flatten()
            .map(|path| path.display().to_string());
        let pods = self.pods.iter().flatten().cloned();
        let paths: Vec<String> = cgroups.chain(pods).collect();
        if paths.is_empty() {
            "capturing the whole machine".to_owned()
        } else {
            format!("capturing {}", paths.join(", "))
        }
    }
}

fn port_ranges(ports: &[Port]) -> Result<Vec<PortRange>, CaptureSettingsError> {
    let texts: Vec<String> = ports
        .iter()
        .map(|port| match port {
            Port::Number(port) => port.to_string(),
            Port::Range(range) => range.clone(),
        })
        .collect();
    parse("ports", &texts)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    fn from_json(text: &str) -> CaptureSettings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn nothing_written_is_everything_captured_and_redacted() {
        let choice = CaptureSettings::default().choice().unwrap();
        assert_eq!(choice.selection, Selection::default());
        assert_eq!(choice.http.max_body_capture, 0);
        assert_eq!(
            CaptureSettings::usual().choice().unwrap().selection,
            Selection::default()
        );
    }

    #[test]
    fn json_and_toml_say_the_same() {
        let json = from_json(
            r#"{"pods": ["/kubepods.slice/**"], "processes": {"only": ["nginx"]}, "ports": {"except": [22, "8000-8099"]},
                "exclude_cidrs": ["10.0.0.0/8"], "protocols": ["http"], "prefix_bytes": 8192, "body_bytes": 512,
                "redact": {"allow_query": ["page"], "patterns": ["[0-9]{16}"]}}"#,
        );
        let toml: CaptureSettings = toml::from_str(
            "pods = ['/kubepods.slice/**']\nprocesses = {only = ['nginx']}\nports = {except = [22, '8000-8099']}\n\
             exclude-cidrs = ['10.0.0.0/8']\nprotocols = ['http']\nprefix-bytes = 8192\nbody-bytes = 512\n\
             [redact]\nallow-query = ['page']\npatterns = ['[0-9]{16}']\n",
        )
        .unwrap();
        assert_eq!(json, toml);
        let selection = json.choice().unwrap().selection;
        assert_eq!(
            selection.ports.except,
            parse("", &["22".into(), "8000-8099".into()]).unwrap()
        );
        assert!(!selection.protocols.dns && selection.protocols.http);
    }

    #[test]
    fn what_is_written_lies_over_what_is_not() {
        let base =
            from_json(r#"{"cgroups": ["/a"], "body_bytes": 7}"#).over(&CaptureSettings::usual());
        let change = from_json(r#"{"body_bytes": 0, "cgroups": null}"#).over(&base);
        assert_eq!(change.cgroups, Some(vec!["/a".into()]));
        assert_eq!(change.body_bytes, Some(0));
        assert_eq!(change.prefix_bytes, CaptureSettings::usual().prefix_bytes);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_the_member() {
        for (text, member) in [
            (r#"{"pods": ["kubepods"]}"#, "pods"),
            (r#"{"processes": {"only": ["a*b"]}}"#, "processes"),
            (r#"{"ports": {"only": ["http"]}}"#, "ports"),
            (r#"{"ports": {"only": [0]}}"#, "ports"),
            (r#"{"exclude_cidrs": ["10.0.0.1/8"]}"#, "exclude_cidrs"),
            (r#"{"exclude_peer_cidrs": ["x"]}"#, "exclude_peer_cidrs"),
            (r#"{"protocols": ["tls"]}"#, "protocols"),
            (r#"{"protocols": []}"#, "protocol"),
            (r#"{"prefix_bytes": 1}"#, "prefix_bytes"),
            (r#"{"body_bytes": 16384}"#, "body_bytes"),
            (r#"{"headers": ["a b"]}"#, "headers"),
            (r#"{"redact": {"patterns": ["("]}}"#, "redact"),
            (r#"{"redact": {"patterns": ["a*"]}}"#, "redact"),
        ] {
            let error = from_json(text)
                .choice()
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains(member), "{text}: {error}");
        }
        for text in [
            r#"{"cgroup": []}"#,
            r#"{"processes": ["nginx"]}"#,
            r#"{"redact": {"pattern": []}}"#,
            r#"{"body_bytes": -1}"#,
            r#"{"ports": {"only": [65536]}}"#,
        ] {
            assert!(
                serde_json::from_str::<CaptureSettings>(text).is_err(),
                "{text}"
            );
        }
    }
}
