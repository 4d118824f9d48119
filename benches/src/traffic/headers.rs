//! Header sets of requests and responses, as capture keeps them: names in lower case, secrets redacted.

use super::draw::{Draw, push_hex, scramble};
use super::routes::Route;

pub(super) type Headers = Vec<(String, String)>;

const BROWSERS: usize = 60;

/// How a request came here, which decides what headers it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// From another service.
    Mesh,
    /// From a browser, through the ingress.
    Ingress,
    /// A probe of the kubelet or a scrape of Prometheus.
    Machine,
}

/// What the headers of a request tell.
pub(super) struct RequestHead<'a> {
    pub(super) via: Via,
    pub(super) host: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) route: &'a Route,
    pub(super) body_bytes: i64,
    /// Of a request that is traced.
    pub(super) trace: Option<(&'a str, &'a str)>,
    /// Stands for the client: what it sends with every request depends on it.
    pub(super) client: u64,
}

/// What the headers of a response tell.
pub(super) struct ResponseHead<'a> {
    pub(super) via: Via,
    pub(super) server: Option<&'a str>,
    pub(super) status: u16,
    pub(super) route: &'a Route,
    pub(super) body_bytes: i64,
    pub(super) is_chunked: bool,
    /// Microseconds since 1970.
    pub(super) time: i64,
    pub(super) latency_ns: i64,
    pub(super) path: &'a str,
}

/// User agents of browsers.
pub(super) fn browsers() -> Vec<String> {
    const SYSTEMS: [&str; 6] = [
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
        "Linux; Android 10; K",
        "iPhone; CPU iPhone OS 17_1 like Mac OS X",
        "iPad; CPU OS 17_1 like Mac OS X",
    ];
    let agent = |place: usize| {
        let system = SYSTEMS[place % SYSTEMS.len()];
        let version = 119 - place / SYSTEMS.len();
        format!(
            "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        )
    };
    (0..BROWSERS).map(agent).collect()
}

fn add(headers: &mut Headers, name: &str, value: impl Into<String>) {
    headers.push((name.to_owned(), value.into()));
}

pub(super) fn of_request(head: &RequestHead<'_>, draw: &mut Draw) -> Headers {
    let mut headers = Vec::with_capacity(16);
    add(&mut headers, "host", head.host);
    add(&mut headers, "user-agent", head.user_agent);
    let trait_of_client = |number: u64| scramble(head.client ^ number);
    match head.via {
        Via::Machine => {
            add(&mut headers, "accept", "*/*");
            add(&mut headers, "connection", "close");
            return headers;
        }
        Via::Mesh => {
            add(&mut headers, "accept", "application/json");
            add(
                &mut headers,
                "accept-encoding",
                ["gzip", "gzip, deflate", "gzip, deflate, br"][trait_of_client(1) as usize % 3],
            );
            if trait_of_client(2).is_multiple_of(2) {
                add(&mut headers, "x-forwarded-proto", "http");
                add(&mut headers, "x-request-id", uuid(draw));
            }
            if trait_of_client(3).is_multiple_of(3) {
                add(&mut headers, "authorization", "Bearer [redacted]");
            }
            if trait_of_client(4).is_multiple_of(4) {
                add(
                    &mut headers,
                    "x-tenant-id",
                    format!("tenant-{}", draw.below(200)),
                );
            }
        }
        Via::Ingress => {
            add(
                &mut headers,
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            );
            add(&mut headers, "accept-encoding", "gzip, deflate, br");
            add(
                &mut headers,
                "accept-language",
                *draw.one_of(&[
                    "en-US,en;q=0.9",
                    "de-DE,de;q=0.9,en;q=0.8",
                    "fr-FR,fr;q=0.9",
                    "es-ES,es;q=0.9",
                ]),
            );
            add(&mut headers, "cookie", "[redacted]");
            add(
                &mut headers,
                "x-forwarded-for",
                format!(
                    "{}.{}.{}.{}",
                    11 + draw.below(180),
                    draw.below(256),
                    draw.below(256),
                    draw.below(256)
                ),
            );
            add(&mut headers, "x-forwarded-proto", "https");
            add(&mut headers, "x-request-id", uuid(draw));
        }
    }
    if head.route.request_bytes.is_some() {
        add(&mut headers, "content-type", "application/json");
        add(&mut headers, "content-length", head.body_bytes.to_string());
    }
    if let Some((trace, span)) = head.trace {
        add(&mut headers, "traceparent", format!("00-{trace}-{span}-01"));
    }
    headers
}

pub(super) fn of_response(head: &ResponseHead<'_>, draw: &mut Draw) -> Headers {
    let mut headers = Vec::with_capacity(12);
    if head.body_bytes > 0 {
        add(&mut headers, "content-type", head.route.media_type);
    }
    if head.is_chunked {
        add(&mut headers, "transfer-encoding", "chunked");
    } else if head.status != 304 && head.status != 204 {
        add(&mut headers, "content-length", head.body_bytes.to_string());
    }
    add(&mut headers, "date", date(head.time));
    if let Some(server) = head.server {
        add(&mut headers, "server", server);
        if server == "envoy" {
            let upstream = head.latency_ns / 1_000_000;
            add(
                &mut headers,
                "x-envoy-upstream-service-time",
                upstream.to_string(),
            );
        }
    }
    if head.route.is_cacheable && head.status < 400 {
        // The same for the same thing, until that changes.
        let thing = head
            .path
            .bytes()
            .fold(0, |sum, byte| scramble(sum ^ u64::from(byte)));
        let mut tag = String::from("W/\"");
        push_hex(&mut tag, thing, 16);
        tag.push('"');
        add(&mut headers, "etag", tag);
        add(&mut headers, "cache-control", "private, max-age=60");
        add(&mut headers, "vary", "Accept-Encoding");
    }
    match head.via {
        Via::Machine => add(&mut headers, "connection", "close"),
        Via::Mesh => {}
        Via::Ingress => {
            add(
                &mut headers,
                "strict-transport-security",
                "max-age=31536000; includeSubDomains",
            );
            add(&mut headers, "x-content-type-options", "nosniff");
            if draw.chance(0.1) {
                add(&mut headers, "set-cookie", "[redacted]");
            }
        }
    }
    headers
}

fn uuid(draw: &mut Draw) -> String {
    let mut text = String::with_capacity(36);
    for (place, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if place > 0 {
            text.push('-');
        }
        push_hex(&mut text, draw.bits(), digits);
    }
    text
}

/// The time as the `date` header has it. Its day stays the same, so that no calendar is needed: what counts is that it
/// changes once a second.
fn date(time: i64) -> String {
    let second = (time / 1_000_000).rem_euclid(86_400);
    format!(
        "Tue, 14 Nov 2023 {:02}:{:02}:{:02} GMT",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}
