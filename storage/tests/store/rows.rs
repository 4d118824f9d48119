//! Rows that carry a number, and looking which numbers a snapshot holds.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_storage::table::column::DnsAnswer;
use weir_storage::{
    CaptureCount, CaptureLoss, CaptureProgram, DataFile, DnsEvent, Flow, HttpEvent, Identity,
    NodeIdentity, Pairs, Process, Row, Snapshot, Store, StoreError, StoreOptions, TableId,
};

/// The table of the numbered rows.
pub(crate) const TABLE: TableId = TableId::CaptureLoss;
/// 2023-11-14 22:00 UTC.
pub(crate) const TEN_PM: i64 = 1_699_999_200_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A row with a number.
pub(crate) fn numbered(number: i64, time: i64) -> Row {
    CaptureLoss {
        time,
        identity: NodeIdentity {
            node: "node-a".into(),
        },
        stage: Some("test".into()),
        reason: None,
        events: Some(number),
        bytes: Some(number * 3),
        hook: None,
        message: None,
    }
    .into()
}

/// Small batches, and everything due at once.
pub(crate) fn options(directory: &Path) -> StoreOptions {
    StoreOptions {
        batch_rows: 8,
        spill_age: Duration::ZERO,
        ..StoreOptions::new(directory, "node-a")
    }
}

fn place(name: &str) -> usize {
    TABLE.schema().index_of(name).unwrap()
}

fn numbers_of(batch: &RecordBatch) -> Vec<i64> {
    let numbers = batch.column_by_name("events").unwrap();
    numbers.as_primitive::<Int64Type>().values().to_vec()
}

/// All rows of a file.
pub(crate) async fn read_file(store: &Store, file: &DataFile) -> Vec<RecordBatch> {
    let object = store.object_store().get(&file.path).await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(object.bytes().await.unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// The times of a file's rows, in its order.
pub(crate) async fn times_of_file(store: &Store, file: &DataFile) -> Vec<i64> {
    let batches = read_file(store, file).await;
    let times = |batch: &RecordBatch| {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        times.values().to_vec()
    };
    batches.iter().flat_map(times).collect()
}

/// Reads snapshots, each file once.
#[derive(Default)]
pub(crate) struct Reader {
    files: HashMap<String, Vec<i64>>,
}

impl Reader {
    /// The numbers of the rows in a snapshot, in order.
    pub(crate) async fn numbers(&mut self, store: &Store, snapshot: &Snapshot) -> Vec<i64> {
        let mut numbers: Vec<i64> = snapshot.batches.iter().flat_map(numbers_of).collect();
        for file in snapshot.files.iter() {
            if !self.files.contains_key(file.path.as_ref()) {
                // As a query does, which leaves out what is no file of weir's.
                let stats = match file.load_stats().await {
                    Err(StoreError::Unreadable { .. }) => continue,
                    stats => stats.unwrap(),
                };
                let batches = read_file(store, file).await;
                let read: Vec<i64> = batches.iter().flat_map(numbers_of).collect();
                assert_eq!(read.len() as u64, stats.rows);
                self.files.insert(file.path.to_string(), read);
            }
            numbers.extend(&self.files[file.path.as_ref()]);
        }
        numbers.sort_unstable();
        numbers
    }
}

/// The numbers of the rows in the store now, in order.
pub(crate) async fn numbers(store: &Store) -> Vec<i64> {
    let snapshot = store.snapshot(TABLE, Some(&[place("events")]));
    Reader::default().numbers(store, &snapshot).await
}

pub(crate) async fn open(directory: &Path) -> Arc<Store> {
    Store::open(options(directory)).await.unwrap()
}

/// The paths of the table's files, in order.
pub(crate) fn paths(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot(TABLE, Some(&[]));
    let paths = snapshot.files.iter().map(|file| file.path.to_string());
    paths.collect()
}

/// A row of every table, with values in every column that has an unusual type.
pub(crate) fn one_of_each() -> Vec<Row> {
    let node: Arc<str> = "node-a".into();
    let identity = Identity {
        node: Arc::clone(&node),
        process: Some(Arc::new(Process {
            pid: 7,
            name: Some("nginx".into()),
            ..Process::default()
        })),
    };
    let http = HttpEvent {
        time: TEN_PM,
        identity: identity.clone(),
        latency_ns: Some(-1),
        ttfb_ns: None,
        role: Some("server"),
        conn_id: Some(1 << 52),
        client_ip: Some("2001:db8::1".parse().unwrap()),
        client_port: Some(u16::MAX),
        server_ip: None,
        server_port: None,
        tls: Some(true),
        version: Some("1.1"),
        method: Some("GET".into()),
        host: None,
        path: Some("/a".into()),
        query: None,
        route: None,
        status: Some(200),
        req_headers: Some(Arc::new(Pairs::from([("host", "a"), ("b", "")]))),
        resp_headers: Some(Arc::default()),
        req_body_bytes: Some(0),
        resp_body_bytes: None,
        req_body_framing: Some("none"),
        resp_body_framing: None,
        req_body: Some(vec![0, 255]),
        resp_body: None,
        content_type: None,
        user_agent: None,
        trace_id: None,
        span_id: None,
        outcome: Some("ok"),
    };
    let dns = DnsEvent {
        time: TEN_PM,
        identity: identity.clone(),
        latency_ns: None,
        role: None,
        conn_id: None,
        client_ip: None,
        client_port: None,
        server_ip: None,
        server_port: None,
        transport: Some("udp"),
        dns_id: Some(65_535),
        opcode: Some("QUERY"),
        qname: Some(".".into()),
        qtype: Some("TXT".into()),
        qclass: None,
        rcode: None,
        answers: Some(vec![DnsAnswer {
            name: "a".into(),
            r#type: "TXT".into(),
            ttl: 30,
            data: "\"é\"".into(),
        }]),
        answer_ips: Some(vec!["10.0.0.1".into()]),
        flags: None,
        edns_udp_size: Some(1232),
        client_subnet: None,
        updates: Some(vec!["update delete a".into()]),
        retransmits: Some(2),
        outcome: Some("ok"),
    };
    let flow = Flow {
        time: TEN_PM,
        identity,
        start_time: Some(TEN_PM - 1),
        conn_id: Some(1),
        role: None,
        protocol: Some("tcp"),
        src_ip: None,
        src_port: None,
        dst_ip: None,
        dst_port: None,
        bytes_sent: Some(i64::MAX),
        bytes_received: Some(0),
        packets_sent: Some(1),
        packets_received: Some(0),
        retransmits: None,
        rtt_ns: None,
        rtt_min_ns: None,
        connect_ns: None,
        state: Some("open"),
        tcp_flags: Some("syn".into()),
        l7: None,
        dst_name: None,
    };
    let program = CaptureProgram {
        time: TEN_PM,
        identity: NodeIdentity { node },
        program: Some("payload".into()),
        program_type: None,
        hook: None,
        outcome: Some("refused"),
        reason: Some("no rights".into()),
        costs: None,
        runs: None,
        run_time_ns: None,
        missed_runs: None,
        verified_instructions: None,
    };
    let count = CaptureCount {
        time: TEN_PM,
        identity: NodeIdentity {
            node: "node-a".into(),
        },
        stage: Some("kernel".into()),
        hook: Some("cgroup_skb/ingress".into()),
        kind: Some("records".into()),
        events: Some(1),
        bytes: Some(2),
    };
    let loss = numbered(1, TEN_PM);
    vec![
        http.into(),
        dns.into(),
        flow.into(),
        loss,
        count.into(),
        program.into(),
    ]
}
