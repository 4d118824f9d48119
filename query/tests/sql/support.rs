//! A store with rows whose values are told by their number, and short ways to ask it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::StreamExt as _;
use tempfile::TempDir;
use weir_query::{Engine, EngineOptions, QueryError, QueryRequest, Summary};
use weir_storage::{DnsEvent, HttpEvent, Identity, Pairs, Process, Row, Store, StoreOptions};

/// 2026-11-20T10:00:00Z in microseconds.
pub(crate) const TEN_OCLOCK: i64 = 1_795_168_800_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;

/// A store, an engine over it, and the directory they live in.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) directory: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        })
        .await
    }

    pub(crate) async fn with(options: EngineOptions) -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), options).await
    }

    /// Over a directory that another bench left.
    pub(crate) async fn over(directory: TempDir) -> Self {
        Self::in_directory(directory, EngineOptions::default()).await
    }

    async fn in_directory(directory: TempDir, options: EngineOptions) -> Self {
        let store = Store::open(StoreOptions::new(directory.path(), "node-a"))
            .await
            .unwrap();
        let engine = Engine::new(Arc::clone(&store), options).unwrap();
        Self {
            store,
            engine,
            directory,
        }
    }

    /// Appends `count` HTTP events from 10 o'clock on, one a second.
    pub(crate) fn append_http(&self, count: i64) {
        for number in 0..count {
            self.store
                .append(http(number, TEN_OCLOCK + number * SECOND).into());
        }
    }

    pub(crate) async fn run(
        &self,
        request: QueryRequest,
    ) -> Result<(Vec<RecordBatch>, Summary), QueryError> {
        let mut answer = self.engine.query(request).await?;
        let mut batches = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            let batch = batch?;
            assert_eq!(batch.schema(), answer.schema);
            batches.push(batch);
        }
        Ok((batches, answer.batches.summary()))
    }

    /// The answer as lines of `value, value`.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        match self.run(QueryRequest::new(sql)).await {
            Ok((batches, _)) => lines(&batches),
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }

    pub(crate) async fn error(&self, sql: &str) -> QueryError {
        match self.run(QueryRequest::new(sql)).await {
            Ok((batches, _)) => panic!("{sql} gave {:?}", lines(&batches)),
            Err(error) => error,
        }
    }

    /// The physical plan as text.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        self.rows(&format!("EXPLAIN ANALYZE {sql}"))
            .await
            .join("\n")
    }
}

pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).unwrap().to_string();
    table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            cells.join(", ")
        })
        .collect()
}

fn identity(number: i64) -> Identity {
    Identity {
        node: "node-a".into(),
        process: Some(Arc::new(Process {
            pid: 100 + number % 3,
            name: Some("nginx".into()),
            ..Process::default()
        })),
    }
}

/// Event `number`: status 500 for every tenth, else 200; `number` milliseconds; client 10.0.x.y.
pub(crate) fn http(number: i64, time: i64) -> HttpEvent {
    let [.., high, low] = number.to_be_bytes();
    HttpEvent {
        time,
        identity: identity(number),
        latency_ns: Some(number * 1_000_000),
        ttfb_ns: None,
        role: Some("server"),
        conn_id: Some(number),
        client_ip: Some(IpAddr::V4(Ipv4Addr::new(10, 0, high, low))),
        client_port: Some(40_000),
        server_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        server_port: Some(80),
        tls: Some(false),
        version: Some("1.1"),
        method: Some("GET".into()),
        host: Some("example.org".into()),
        path: Some(format!("/items/{number}").into()),
        query: None,
        route: Some("/items/{id}".into()),
        status: Some(if number % 10 == 0 { 500 } else { 200 }),
        req_headers: Some(Arc::new(Pairs::from([
            ("accept", "*/*"),
            ("x-number", number.to_string().as_str()),
        ]))),
        resp_headers: None,
        req_body_bytes: Some(0),
        resp_body_bytes: Some(number),
        req_body_framing: Some("none"),
        resp_body_framing: Some("content_length"),
        req_body: None,
        resp_body: None,
        content_type: Some("text/plain".into()),
        user_agent: None,
        trace_id: None,
        span_id: None,
        outcome: Some("ok"),
    }
}

/// A query for `number.example.org`, answered.
pub(crate) fn dns(number: i64, time: i64) -> Row {
    dns_event(number, time).into()
}

/// The same as an event.
pub(crate) fn dns_event(number: i64, time: i64) -> DnsEvent {
    DnsEvent {
        time,
        identity: identity(number),
        latency_ns: Some(1_000),
        role: Some("client"),
        conn_id: Some(number),
        client_ip: None,
        client_port: None,
        server_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        server_port: Some(53),
        transport: Some("udp"),
        dns_id: Some(number),
        opcode: Some("QUERY"),
        qname: Some(format!("{number}.example.org").into()),
        qtype: Some("A".into()),
        qclass: Some("IN".into()),
        rcode: Some("NOERROR".into()),
        answers: None,
        answer_ips: Some(vec!["192.0.2.1".to_owned()]),
        flags: None,
        edns_udp_size: None,
        client_subnet: None,
        updates: None,
        retransmits: Some(0),
        outcome: Some("ok"),
    }
}
