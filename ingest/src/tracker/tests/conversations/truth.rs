//! What rows have to say.

use weir_storage::HttpEvent;

use super::super::Nanos;
use super::script::Place;

/// An exchange as it was held.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub(super) request: Place,
    pub(super) response: Place,
    pub(super) is_upgraded: bool,
    truth: Truth,
}

/// What a row says of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Truth {
    time: i64,
    ttfb_ns: Option<i64>,
    latency_ns: Option<i64>,
    version: Option<String>,
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    has_query: bool,
    status: Option<u16>,
    request_body: (Option<String>, Option<i64>),
    response_body: (Option<String>, Option<i64>),
    outcome: String,
}

impl Whole {
    pub(super) fn new(
        number: usize,
        method: &str,
        host: &str,
        version: &str,
        has_query: bool,
        (framing, len): (&str, usize),
    ) -> Self {
        let nowhere = Place { start: 0, end: 0 };
        let has_path = method != "CONNECT";
        Self {
            request: nowhere,
            response: nowhere,
            is_upgraded: false,
            truth: Truth {
                time: 0,
                ttfb_ns: None,
                latency_ns: None,
                version: Some(version.into()),
                method: Some(method.into()),
                host: (version != "0.9").then(|| host.into()),
                path: has_path.then(|| format!("/t/{number}")),
                has_query,
                status: None,
                request_body: (Some(framing.into()), Some(len as i64)),
                response_body: (Some("close".into()), Some(100)),
                outcome: "ok".into(),
            },
        }
    }

    pub(super) fn answer(&mut self, status: u16, framing: &str, len: usize) {
        self.truth.status = Some(status);
        self.truth.response_body = (Some(framing.into()), Some(len as i64));
    }

    /// What the row says, where the bytes of client and server passed at these times.
    pub(super) fn truth(&self, passed: &[Vec<Option<Nanos>>; 2]) -> Truth {
        let [client, server] = passed;
        let first =
            |bytes: &[Option<Nanos>], place: Place| bytes.get(place.start).copied().flatten();
        let asked = first(client, self.request);
        let last = server.get(self.response.start..self.response.end);
        let last = last.and_then(|bytes| bytes.iter().flatten().max().copied());
        let since = |then: Option<Nanos>| then?.checked_sub(asked?).filter(|passed| *passed >= 0);
        let outcome = if self.is_upgraded { "upgraded" } else { "ok" };
        Truth {
            time: asked.unwrap_or_default() / 1_000,
            ttfb_ns: since(first(server, self.response)),
            latency_ns: since(last),
            outcome: outcome.into(),
            ..self.truth.clone()
        }
    }
}

impl Truth {
    pub(super) fn of_row(row: &HttpEvent) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            time: row.time,
            ttfb_ns: row.ttfb_ns,
            latency_ns: row.latency_ns,
            version: text(row.version),
            method: text(row.method.as_deref()),
            host: text(row.host.as_deref()),
            path: text(row.path.as_deref()),
            has_query: row.query.is_some(),
            status: row.status,
            request_body: (text(row.req_body_framing), row.req_body_bytes),
            response_body: (text(row.resp_body_framing), row.resp_body_bytes),
            outcome: row.outcome.unwrap_or_default().into(),
        }
    }

    /// Which exchange of the conversation it is; a tunnel comes last.
    pub(super) fn number(&self) -> usize {
        let number = self.path.as_ref().and_then(|path| path.strip_prefix("/t/"));
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or(usize::MAX)
    }
}

impl std::fmt::Debug for Truth {
    /// In one line: many of them are shown together.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            time,
            ttfb_ns,
            latency_ns,
            version,
            method,
            host,
            path,
            has_query,
            status,
            request_body,
            response_body,
            outcome,
        } = self;
        write!(
            formatter,
            "{time} {ttfb_ns:?} {latency_ns:?} {version:?} {method:?} {host:?} {path:?} {has_query} {status:?} \
             {request_body:?} {response_body:?} {outcome}"
        )
    }
}
