//! Writes made-up traffic of a service mesh through the store and says what it took: bytes a row in memory and on
//! disk, and rows a second into the window and into files.
//!
//! The traffic: 200 services on 40 nodes' worth of pods, 2,000 routes, both by a Zipf-like law, log-normal latencies,
//! a header set of 12 names, a random trace id in each request; DNS queries for the services; a flow row for every
//! fifth request.
//!
//! With a number of spills, the rows go to files in as many portions, and the files are merged: what that took is said
//! too, with the memory it took at most.
//!
//! ```text
//! cargo run -p weir-storage --example write_traffic -- DIR ROWS [headers] [SPILLS]
//! ```

use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use weir_storage::table::column::DnsAnswer;
use weir_storage::{DnsEvent, Flow, HttpEvent, Identity, Process, Row, Store, StoreOptions};

const USAGE: &str = "usage: write_traffic DIR ROWS [headers] [SPILLS]";
/// 2023-11-14 22:13:20 UTC.
const START: i64 = 1_700_000_000_000_000;

/// A small generator of numbers (splitmix64), so that a run can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A rank below `count`, small ones far more often (1/x).
    fn rank(&mut self, count: u64) -> u64 {
        ((count as f64).powf(self.unit()) - 1.0) as u64
    }

    /// Log-normal with this median.
    fn around(&mut self, median: f64) -> i64 {
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        (median * normal.exp()) as i64
    }
}

struct Mesh {
    numbers: Numbers,
    node: Arc<str>,
    processes: Vec<Arc<Process>>,
    headers: bool,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it makes the values of nullable columns"
)]
fn text(text: impl AsRef<str>) -> Option<Arc<str>> {
    Some(text.as_ref().into())
}

fn pod_ip(service: u64, pod: u64) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 42, (service % 250) as u8, pod as u8 + 2))
}

impl Mesh {
    fn new(headers: bool) -> Self {
        let processes = (0..200)
            .map(|service| {
                Arc::new(Process {
                    pid: 10_000 + 37 * service,
                    name: text(["envoy", "java", "node", "nginx"][service as usize % 4]),
                    exe: text(
                        [
                            "/usr/local/bin/envoy",
                            "/usr/bin/java",
                            "/usr/local/bin/node",
                            "/usr/sbin/nginx",
                        ][service as usize % 4],
                    ),
                    cgroup: text(format!(
                        "/kubepods.slice/kubepods-burstable.slice/cri-containerd-{:064x}.scope",
                        service * 7_919
                    )),
                    container_id: text(format!("{:064x}", service * 7_919)),
                    pod: text(format!("service-{service}-6d4cf56db6-x2x7k")),
                    namespace: text(format!("team-{}", service % 17)),
                    workload: text(format!("service-{service}")),
                    service: text(format!("service-{service}")),
                })
            })
            .collect();
        Self {
            numbers: Numbers(42),
            node: "node-a".into(),
            processes,
            headers,
        }
    }

    fn http(&mut self, time: i64) -> (HttpEvent, Flow) {
        let numbers = &mut self.numbers;
        let service = numbers.rank(200);
        let route = numbers.rank(2_000);
        let latency_ns = numbers.around(4e6);
        let client_ip = pod_ip(numbers.rank(200), numbers.below(20));
        let server_ip = pod_ip(service, numbers.below(20));
        let client_port = 32_768 + numbers.below(28_000) as u16;
        let conn_id = (time - START) / 700 + numbers.below(50) as i64;
        let status = [200, 200, 200, 200, 200, 200, 201, 204, 304, 404, 500, 503]
            [numbers.rank(12) as usize % 12];
        let method = ["GET", "POST", "PUT", "DELETE"][numbers.rank(4) as usize % 4];
        let trace_id = format!("{:016x}{:016x}", numbers.next(), numbers.next());
        let resp_body_bytes = numbers.around(2_000.0);
        let identity = Identity {
            node: Arc::clone(&self.node),
            process: self.processes.get(service as usize).cloned(),
        };
        let host = format!("service-{service}.team-{}.svc.cluster.local", service % 17);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let req_headers = self.headers.then(|| {
            vec![
                header("host", &host),
                header("user-agent", "okhttp/4.12.0"),
                header("accept", "application/json"),
                header("accept-encoding", "gzip"),
                header("x-request-id", &format!("{:032x}", numbers.next())),
                header("x-forwarded-proto", "http"),
                header("traceparent", &format!("00-{trace_id}-00f067aa0ba902b7-01")),
            ]
        });
        let resp_headers = self.headers.then(|| {
            vec![
                header("content-type", "application/json"),
                header("content-length", &resp_body_bytes.to_string()),
                header("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
                header("server", "envoy"),
                header(
                    "x-envoy-upstream-service-time",
                    &(latency_ns / 1_000_000).to_string(),
                ),
            ]
        });
        let event = HttpEvent {
            time,
            identity: identity.clone(),
            latency_ns: Some(latency_ns),
            ttfb_ns: Some(latency_ns - latency_ns / 16),
            role: Some("server"),
            conn_id: Some(conn_id),
            client_ip: Some(client_ip),
            client_port: Some(client_port),
            server_ip: Some(server_ip),
            server_port: Some(8080),
            tls: Some(false),
            version: Some("1.1"),
            method: text(method),
            host: text(&host),
            path: Some(format!(
                "/api/v{}/resource-{route}/{}",
                route % 3,
                numbers.below(100_000)
            )),
            query: route
                .is_multiple_of(4)
                .then(|| format!("page={}&size=50", numbers.rank(40))),
            route: text(format!("/api/v{}/resource-{route}/{{id}}", route % 3)),
            status: Some(status),
            req_headers,
            resp_headers,
            req_body_bytes: Some(if method == "GET" {
                0
            } else {
                numbers.around(600.0)
            }),
            resp_body_bytes: Some(resp_body_bytes),
            req_body_framing: Some(if method == "GET" {
                "none"
            } else {
                "content_length"
            }),
            resp_body_framing: Some("content_length"),
            req_body: None,
            resp_body: None,
            content_type: text("application/json"),
            user_agent: text("okhttp/4.12.0"),
            trace_id: self.headers.then_some(trace_id),
            span_id: self.headers.then(|| format!("{:016x}", numbers.next())),
            outcome: Some("ok"),
        };
        let flow = Flow {
            time: time + latency_ns / 1_000,
            identity,
            start_time: Some(time - numbers.around(5e6)),
            conn_id: Some(conn_id),
            role: Some("server"),
            protocol: Some("tcp"),
            src_ip: Some(client_ip),
            src_port: Some(client_port),
            dst_ip: Some(server_ip),
            dst_port: Some(8080),
            bytes_sent: Some(numbers.around(1_500.0)),
            bytes_received: Some(resp_body_bytes + 300),
            packets_sent: Some(4 + numbers.rank(30) as i64),
            packets_received: Some(4 + numbers.rank(30) as i64),
            retransmits: Some(i64::from(numbers.below(100) == 0)),
            rtt_ns: Some(numbers.around(200_000.0)),
            rtt_min_ns: Some(numbers.around(100_000.0)),
            connect_ns: Some(numbers.around(250_000.0)),
            state: Some(["active", "closed", "open"][numbers.rank(3) as usize % 3]),
            tcp_flags: text("ack psh"),
            l7: Some("http"),
            dst_name: text(host),
        };
        (event, flow)
    }

    fn dns(&mut self, time: i64) -> DnsEvent {
        let numbers = &mut self.numbers;
        let service = numbers.rank(200);
        let qname = format!("service-{service}.team-{}.svc.cluster.local", service % 17);
        let answer = DnsAnswer {
            name: qname.clone(),
            r#type: "A".to_owned(),
            ttl: 30,
            data: pod_ip(service, 0).to_string(),
        };
        let found = numbers.below(4) > 0;
        DnsEvent {
            time,
            identity: Identity {
                node: Arc::clone(&self.node),
                process: self.processes.get(numbers.rank(200) as usize).cloned(),
            },
            latency_ns: Some(numbers.around(300_000.0)),
            role: Some("client"),
            conn_id: Some((time - START) / 400),
            client_ip: Some(pod_ip(numbers.rank(200), numbers.below(20))),
            client_port: Some(32_768 + numbers.below(28_000) as u16),
            server_ip: Some(IpAddr::V4(Ipv4Addr::new(10, 43, 0, 10))),
            server_port: Some(53),
            transport: Some("udp"),
            dns_id: Some(numbers.below(65_536) as i64),
            qname: text(qname),
            qtype: text(["A", "AAAA"][numbers.below(2) as usize]),
            rcode: text(if found { "NOERROR" } else { "NXDOMAIN" }),
            answer_ips: Some(if found {
                vec![answer.data.clone()]
            } else {
                Vec::new()
            }),
            answers: Some(if found { vec![answer] } else { Vec::new() }),
            flags: text("rd ra aa"),
            outcome: Some("ok"),
        }
    }
}

/// Writes the rows in portions, a file each, and merges the files.
async fn merge(store: &Store, traffic: Vec<Row>, spills: usize) -> Result<(), Box<dyn Error>> {
    let portion = traffic.len().div_ceil(spills);
    let mut traffic = traffic.into_iter();
    while traffic.len() > 0 {
        traffic
            .by_ref()
            .take(portion)
            .for_each(|row| store.append(row));
        store.flush().await?;
    }
    drop(traffic);
    let before = store.status();
    // From here on the highest memory is that of merging.
    fs::write("/proc/self/clear_refs", "5")?;
    let resident = memory("VmRSS:")?;
    let (started, busy) = (Instant::now(), processor_time()?);
    store.compact().await?;
    let (elapsed, busy) = (started.elapsed().as_secs_f64(), processor_time()? - busy);
    let highest = memory("VmHWM:")?;
    store.maintain().await;
    let after = store.status();
    let rows: u64 = after.tables.iter().map(|table| table.merged_rows).sum();
    let bytes: u64 = before.tables.iter().map(|table| table.file_bytes).sum();
    println!(
        "merge   {:>9.0} rows/s  {:.1} MB/s of files  {:.1} s of a processor in {elapsed:.1} s  {} MiB of memory at most",
        rows as f64 / busy,
        bytes as f64 / 1e6 / busy,
        busy,
        highest.saturating_sub(resident) >> 10,
    );
    for (before, after) in before.tables.iter().zip(&after.tables) {
        if before.files > 0 {
            println!(
                "{:<12} {:>8} rows  {:>6.1} B/row in {} files  {:>6.1} B/row in {} merged",
                after.table,
                after.file_rows,
                before.file_bytes as f64 / before.file_rows as f64,
                before.files,
                after.file_bytes as f64 / after.file_rows as f64,
                after.files,
            );
        }
    }
    Ok(())
}

/// Seconds that this process kept processors busy.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name in brackets; in hundredths of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: Result<Vec<f64>, _> = times.map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

/// A number of KiB from what the kernel says of this process.
fn memory(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("the kernel does not say")?.parse()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let rows: usize = arguments.next().ok_or(USAGE)?.parse()?;
    let (mut headers, mut spills) = (false, 1);
    for argument in arguments {
        match argument.as_str() {
            "headers" => headers = true,
            number => spills = number.parse()?,
        }
    }
    let mut mesh = Mesh::new(headers);
    let mut traffic: Vec<Row> = Vec::with_capacity(rows * 2);
    let mut time = START;
    for row in 0..rows {
        time += mesh.numbers.around(300.0);
        let (event, flow) = mesh.http(time);
        traffic.push(event.into());
        if row % 5 == 0 {
            traffic.push(flow.into());
            traffic.push(mesh.dns(time).into());
        }
    }

    let options = StoreOptions {
        memory_bytes: 8 << 30,
        ..StoreOptions::new(directory, "node-a")
    };
    let store = Store::open(options).await?;
    let total = traffic.len() as f64;
    if spills > 1 {
        return merge(&store, traffic, spills).await;
    }
    let started = Instant::now();
    for row in &traffic {
        // The caller's cost of making a row is not the store's.
        store.append(row.clone());
    }
    let cloned_and_appended = started.elapsed();
    let started = Instant::now();
    for row in &traffic {
        std::hint::black_box(row.clone());
    }
    let appended = cloned_and_appended.saturating_sub(started.elapsed());
    let window = store.status();
    let started = Instant::now();
    store.flush().await?;
    let flushed = started.elapsed();

    println!("append  {:>9.0} rows/s", total / appended.as_secs_f64());
    println!("spill   {:>9.0} rows/s", total / flushed.as_secs_f64());
    for (before, after) in window.tables.iter().zip(&store.status().tables) {
        if before.window_rows > 0 {
            println!(
                "{:<12} {:>8} rows  {:>6.1} B/row in memory  {:>6.1} B/row in {} file(s)",
                after.table,
                after.file_rows,
                before.window_bytes as f64 / before.window_rows as f64,
                after.file_bytes as f64 / after.file_rows as f64,
                after.files,
            );
        }
    }
    Ok(())
}
