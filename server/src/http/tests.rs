//! The API as clients see it: a real store and engine, over real TCP.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod errors;
mod following;
mod formats;
mod observing;
mod scripts;
mod streaming;
mod watching;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use ureq::Agent;
use ureq::http::Response;
use weir_query::scripts::Library;
use weir_query::{Engine, EngineOptions};
use weir_storage::{HttpEvent, Identity, Pairs, Process, Row, Store, StoreOptions};

use super::{App, Metrics, router};
use crate::capture::CaptureState;
use crate::sink::LossTotals;

/// 2026-01-31T10:00:00Z
const START: i64 = 1_769_853_600_000_000;

/// A server with rows in `http_events`, one a second from [`START`] on.
struct Server {
    address: SocketAddr,
    store: Arc<Store>,
    runtime: Runtime,
    directory: TempDir,
}

impl Server {
    fn with_rows(rows: i64) -> Self {
        Self::with_options(rows, EngineOptions::default())
    }

    fn with_options(rows: i64, options: EngineOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let store_options = StoreOptions::new(directory.path(), "node-a");
        let store = runtime.block_on(Store::open(store_options)).unwrap();
        for number in 0..rows {
            store.append(Row::from(event(number)));
        }
        let engine = Engine::new(Arc::clone(&store), options).unwrap();
        let losses = Arc::new(LossTotals::default());
        let capture = CaptureState::Off;
        let app = App {
            node: "node-a".into(),
            metrics: Metrics::new(&engine, &store, &losses, &capture),
            engine,
            scripts: Arc::new(
                Library::shipped().with_optional_directory(directory.path().join("scripts")),
            ),
            store: Arc::clone(&store),
            capture,
            losses,
            started: Instant::now(),
            started_at: Utc::now(),
        };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = router(Arc::new(app)).into_make_service_with_connect_info::<SocketAddr>();
        runtime.spawn(axum::serve(listener, routes).into_future());
        Self {
            address,
            store,
            runtime,
            directory,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn get(&self, path: &str) -> Response<ureq::Body> {
        agent().get(self.url(path)).call().unwrap()
    }

    /// Asks for `sql` with these further parameters of the query string.
    fn ask(&self, sql: &str, parameters: &[(&str, &str)]) -> Response<ureq::Body> {
        let request = agent()
            .get(self.url("/api/v1/sql"))
            .query("q", sql)
            .query_pairs(parameters.iter().copied());
        request.call().unwrap()
    }

    fn post(&self, content_type: &str, body: &str) -> Response<ureq::Body> {
        agent()
            .post(self.url("/api/v1/sql"))
            .header("content-type", content_type)
            .send(body)
            .unwrap()
    }

    /// The value of a metric's sample, 0 where there is none.
    fn metric(&self, sample: &str) -> f64 {
        let text = self.get("/metrics").into_body().read_to_string().unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
            .unwrap_or(0.0)
    }
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

fn json(response: Response<ureq::Body>) -> Value {
    let text = response.into_body().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn event(number: i64) -> HttpEvent {
    let process = Process {
        pid: 42,
        name: Some("nginx".into()),
        ..Process::default()
    };
    HttpEvent {
        time: START + number * 1_000_000 + 123,
        identity: Identity {
            node: "node-a".into(),
            process: Some(Arc::new(process)),
        },
        latency_ns: Some(number * 1_000),
        ttfb_ns: None,
        role: Some("server"),
        conn_id: Some(number / 10),
        client_ip: Some("10.0.0.1".parse().unwrap()),
        client_port: Some(50_000),
        server_ip: Some("2001:db8::1".parse().unwrap()),
        server_port: Some(80),
        tls: Some(false),
        version: Some("1.1"),
        method: Some("GET".into()),
        host: Some("shop.example".into()),
        path: Some(format!("/items/{number}, \"new\"").into()),
        query: None,
        route: Some("/items/{id}".into()),
        status: Some(if number % 10 == 9 { 500 } else { 200 }),
        req_headers: Some(Arc::new(Pairs::from([("accept", "*/*")]))),
        resp_headers: None,
        req_body_bytes: Some(0),
        resp_body_bytes: Some(9_007_199_254_740_993),
        req_body_framing: Some("none"),
        resp_body_framing: Some("content_length"),
        req_body: None,
        resp_body: None,
        content_type: None,
        user_agent: None,
        trace_id: None,
        span_id: None,
        outcome: Some("ok"),
    }
}
