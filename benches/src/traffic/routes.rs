//! What can be asked of a service: each route with its own latency, sizes and failures.

use std::fmt::Write as _;

use super::draw::{Draw, Zipf, push_hex, scramble};

const RESOURCES: [&str; 40] = [
    "users",
    "orders",
    "items",
    "carts",
    "products",
    "prices",
    "stock",
    "sessions",
    "tokens",
    "reviews",
    "ratings",
    "images",
    "thumbnails",
    "tiles",
    "routes",
    "places",
    "messages",
    "threads",
    "devices",
    "events",
    "batches",
    "exports",
    "invoices",
    "payments",
    "refunds",
    "cards",
    "coupons",
    "segments",
    "campaigns",
    "features",
    "flags",
    "profiles",
    "preferences",
    "addresses",
    "shipments",
    "parcels",
    "suppliers",
    "contracts",
    "documents",
    "jobs",
];
const ACTIONS: [&str; 12] = [
    "search",
    "summary",
    "count",
    "latest",
    "validate",
    "preview",
    "history",
    "status",
    "export",
    "recommended",
    "bulk",
    "lookup",
];
/// Media types of responses, the most frequent ones more than once.
const MEDIA_TYPES: [&str; 16] = [
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "application/json",
    "text/html",
    "text/html",
    "image/webp",
    "application/javascript",
    "text/plain",
    "application/x-protobuf",
];

/// One part of a path.
#[derive(Debug)]
enum Part {
    /// Always the same.
    Text(String),
    /// The number of a thing, popular ones more often.
    Number(Zipf),
    /// The UUID of a thing, popular ones more often.
    Uuid(Zipf),
    /// The hash of a thing, popular ones more often.
    Hash(Zipf),
}

/// What the query of a request holds.
#[derive(Debug, Clone, Copy)]
enum Query {
    None,
    Page,
    Filter,
    /// A secret that was redacted.
    Token,
}

/// A log-normal size or duration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    median: f64,
    spread: f64,
}

impl Shape {
    pub(super) fn draw(self, draw: &mut Draw) -> f64 {
        draw.log_normal(self.median, self.spread)
    }
}

/// One route of a service.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    /// The path with its variable parts replaced, as weir tells it.
    pub(super) pattern: String,
    parts: Vec<Part>,
    /// Tells the things of its resource from those of others: an order has the same number in every service.
    salt: u64,
    query: Query,
    /// Nanoseconds.
    pub(super) latency: Shape,
    pub(super) request_bytes: Option<Shape>,
    pub(super) response_bytes: Shape,
    pub(super) media_type: &'static str,
    pub(super) is_chunked: bool,
    /// Whether responses have an entity tag, and some requests find nothing new.
    pub(super) is_cacheable: bool,
    /// Share of requests that are the client's fault.
    pub(super) client_errors: f64,
}

impl Route {
    /// A route as services have them.
    pub(super) fn new(draw: &mut Draw) -> Self {
        let resource = draw.below(RESOURCES.len());
        let mut parts = vec![Part::Text(format!(
            "/{}v{}/{}",
            draw.one_of(&["api/", "api/", "", "internal/"]),
            1 + draw.below(3),
            RESOURCES[resource]
        ))];
        let names_a_thing = draw.chance(0.6);
        if names_a_thing {
            parts.push(match draw.below(10) {
                0..7 => Part::Number(Zipf::new(1_000_000, 0.9)),
                7..9 => Part::Uuid(Zipf::new(100_000, 0.9)),
                _ => Part::Hash(Zipf::new(10_000, 0.9)),
            });
            if draw.chance(0.4) {
                parts.push(Part::Text(format!("/{}", draw.one_of(&RESOURCES))));
            }
        }
        if draw.chance(if names_a_thing { 0.15 } else { 0.5 }) {
            parts.push(Part::Text(format!("/{}", draw.one_of(&ACTIONS))));
        }
        let method = *draw.one_of(&[
            "GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE",
        ]);
        let has_body = method == "POST" || method == "PUT";
        let is_constant = draw.chance(0.15);
        Self {
            method,
            pattern: parts.iter().map(Part::pattern).collect(),
            parts,
            salt: scramble(resource as u64),
            query: match draw.below(10) {
                0..2 if method == "GET" => Query::Page,
                2 if method == "GET" => Query::Filter,
                3 => Query::Token,
                _ => Query::None,
            },
            latency: Shape {
                median: draw.scale(300e3, 150e6),
                spread: draw.scale(0.3, 1.0),
            },
            request_bytes: has_body.then(|| Shape {
                median: draw.scale(80.0, 8_000.0),
                spread: draw.scale(0.05, 0.8),
            }),
            response_bytes: Shape {
                median: draw.scale(60.0, 30_000.0),
                spread: if is_constant {
                    0.0
                } else {
                    draw.scale(0.1, 1.2)
                },
            },
            media_type: *draw.one_of(&MEDIA_TYPES),
            is_chunked: draw.chance(0.25),
            is_cacheable: method == "GET" && draw.chance(0.3),
            client_errors: draw.scale(0.001, 0.05),
        }
    }

    /// A route with nothing variable in it, as probes and scrapes use.
    pub(super) fn fixed(path: &str, latency_ns: f64, response_bytes: f64, spread: f64) -> Self {
        Self {
            method: "GET",
            pattern: path.to_owned(),
            parts: vec![Part::Text(path.to_owned())],
            salt: 0,
            query: Query::None,
            latency: Shape {
                median: latency_ns,
                spread: 0.4,
            },
            request_bytes: None,
            response_bytes: Shape {
                median: response_bytes,
                spread,
            },
            media_type: "text/plain",
            is_chunked: false,
            is_cacheable: false,
            client_errors: 0.0,
        }
    }

    /// A path of this route.
    pub(super) fn path(&self, draw: &mut Draw) -> String {
        let mut path = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Number(things) => {
                    let thing = scramble(self.salt ^ things.rank(draw) as u64) % 10_000_000;
                    // Writing to a String cannot fail.
                    let _ = write!(path, "/{thing}");
                }
                Part::Uuid(things) => {
                    let thing = self.salt ^ things.rank(draw) as u64;
                    let (high, low) = (scramble(thing), scramble(!thing));
                    path.push('/');
                    for (number, digits, end) in [
                        (high >> 32, 8, "-"),
                        (high >> 16, 4, "-4"),
                        (high, 3, "-a"),
                        (low >> 48, 3, "-"),
                        (low, 12, ""),
                    ] {
                        push_hex(&mut path, number, digits);
                        path.push_str(end);
                    }
                }
                Part::Hash(things) => {
                    path.push('/');
                    let thing = self.salt ^ things.rank(draw) as u64;
                    push_hex(&mut path, scramble(thing), 16);
                    push_hex(&mut path, scramble(!thing), 16);
                }
            }
        }
        path
    }

    /// The query of a request of this route.
    pub(super) fn query(&self, draw: &mut Draw) -> Option<String> {
        match self.query {
            Query::None => None,
            Query::Page => {
                let page = Zipf::new(200, 1.2).rank(draw) + 1;
                let size = draw.one_of(&[20, 20, 50, 100]);
                Some(format!("page={page}&size={size}"))
            }
            Query::Filter => Some(format!(
                "from={}&sort={}&limit=100",
                1_699_000_000 + draw.below(1_000_000),
                draw.one_of(&["-created", "name", "price"])
            )),
            Query::Token => Some("access_token=[redacted]&v=2".to_owned()),
        }
    }
}

impl Part {
    fn pattern(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(_) => "/{id}",
            Self::Uuid(_) => "/{uuid}",
            Self::Hash(_) => "/{hex}",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_look_like_their_route() {
        let mut draw = Draw::new(3);
        for _ in 0..500 {
            let route = Route::new(&mut draw);
            let path = route.path(&mut draw);
            assert_eq!(
                path.matches('/').count(),
                route.pattern.matches('/').count(),
                "{path} {}",
                route.pattern
            );
            if let Some((start, _)) = route.pattern.split_once("{uuid}") {
                assert_eq!(
                    path[start.len()..].split('/').next().map(str::len),
                    Some(36),
                    "{path}"
                );
            }
        }
    }
}
