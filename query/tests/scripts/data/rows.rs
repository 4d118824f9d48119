//! The programs of the machine, and rows with what most of them have in common.

use std::net::IpAddr;
use std::sync::Arc;

use weir_storage::{DnsEvent, Flow, HttpEvent, Identity, Process};

use super::SECOND;

/// Address of the machine.
pub(super) const MACHINE: &str = "10.0.0.10";

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn program(pid: i64, name: &str, exe: &str) -> Process {
    Process {
        pid,
        name: Some(name.into()),
        exe: Some(exe.into()),
        ..Process::default()
    }
}

pub(super) fn nginx() -> Process {
    program(100, "nginx", "/usr/sbin/nginx")
}

/// The one process that a cluster has given names to.
pub(super) fn shop() -> Process {
    Process {
        namespace: Some("store".into()),
        workload: Some("shop-deployment".into()),
        service: Some("shop".into()),
        ..program(200, "python3", "/usr/bin/python3")
    }
}

pub(super) fn bash() -> Process {
    program(300, "bash", "/usr/bin/bash")
}

pub(super) fn curl() -> Process {
    program(400, "curl", "/usr/bin/curl")
}

pub(super) fn resolver() -> Process {
    program(500, "systemd-resolve", "/usr/lib/systemd/systemd-resolved")
}

pub(super) fn of(process: &Process) -> Identity {
    Identity {
        node: "node-a".into(),
        process: Some(Arc::new(process.clone())),
    }
}

/// A request to shop.example with an answer of 1,000 bytes, seen by nobody in particular.
pub(super) fn request(
    time: i64,
    method: &str,
    path: &str,
    status: u16,
    latency_ms: i64,
) -> HttpEvent {
    HttpEvent {
        time,
        identity: Identity {
            node: "node-a".into(),
            process: None,
        },
        latency_ns: Some(latency_ms * 1_000_000),
        ttfb_ns: None,
        role: None,
        conn_id: None,
        client_ip: None,
        client_port: Some(50_000),
        server_ip: None,
        server_port: None,
        tls: Some(false),
        version: Some("1.1"),
        method: Some(method.into()),
        host: Some("shop.example".into()),
        path: Some(path.into()),
        query: None,
        route: Some(
            path.trim_end_matches(|letter: char| letter.is_ascii_digit())
                .replace("items/", "items/{id}")
                .into(),
        ),
        status: Some(status),
        req_headers: Some(Arc::default()),
        resp_headers: Some(Arc::default()),
        req_body_bytes: Some(0),
        resp_body_bytes: Some(1_000),
        req_body_framing: None,
        resp_body_framing: None,
        req_body: None,
        resp_body: None,
        content_type: Some("text/html".into()),
        user_agent: None,
        trace_id: None,
        span_id: None,
        outcome: Some("ok"),
    }
}

/// The request as the process that served it saw it.
pub(super) fn served(
    event: HttpEvent,
    process: &Process,
    client: &str,
    client_port: u16,
    port: u16,
) -> HttpEvent {
    HttpEvent {
        identity: of(process),
        role: Some("server"),
        conn_id: Some(i64::from(client_port) * 10 + 1),
        client_ip: Some(ip(client)),
        client_port: Some(client_port),
        server_ip: Some(ip(MACHINE)),
        server_port: Some(port),
        ..event
    }
}

/// The request as the process that sent it saw it.
pub(super) fn sent(
    event: HttpEvent,
    process: &Process,
    client: &str,
    client_port: u16,
    server: &str,
    port: u16,
) -> HttpEvent {
    HttpEvent {
        identity: of(process),
        role: Some("client"),
        conn_id: Some(i64::from(client_port) * 10),
        client_ip: Some(ip(client)),
        client_port: Some(client_port),
        server_ip: Some(ip(server)),
        server_port: Some(port),
        ..event
    }
}

pub(super) fn lookup(
    time: i64,
    qname: &str,
    qtype: &str,
    rcode: Option<&str>,
    latency_ms: i64,
) -> DnsEvent {
    DnsEvent {
        time,
        identity: of(&bash()),
        latency_ns: Some(latency_ms * 1_000_000),
        role: None,
        conn_id: None,
        client_ip: Some(ip("127.0.0.1")),
        client_port: None,
        server_ip: Some(ip("127.0.0.53")),
        server_port: Some(53),
        transport: Some("udp"),
        dns_id: Some(1),
        opcode: Some("QUERY"),
        qname: Some(qname.into()),
        qtype: Some(qtype.into()),
        qclass: Some("IN".into()),
        rcode: rcode.map(Into::into),
        answers: None,
        answer_ips: Some(Vec::new()),
        flags: Some("rd ra".into()),
        edns_udp_size: None,
        client_subnet: None,
        updates: None,
        retransmits: Some(0),
        outcome: Some("ok"),
    }
}

/// The lookup as the process that sent it saw it.
pub(super) fn asked(event: DnsEvent, process: &Process, port: u16) -> DnsEvent {
    DnsEvent {
        identity: of(process),
        role: Some("client"),
        client_port: Some(port),
        ..event
    }
}

/// A closed TCP connection that HTTP was spoken on.
pub(super) fn flow(
    time: i64,
    conn_id: i64,
    src: &str,
    src_port: u16,
    dst: &str,
    dst_port: u16,
) -> Flow {
    Flow {
        time,
        identity: of(&bash()),
        start_time: Some(time - SECOND),
        conn_id: Some(conn_id),
        role: None,
        protocol: Some("tcp"),
        src_ip: Some(ip(src)),
        src_port: Some(src_port),
        dst_ip: Some(ip(dst)),
        dst_port: Some(dst_port),
        bytes_sent: Some(0),
        bytes_received: Some(0),
        packets_sent: Some(10),
        packets_received: Some(20),
        retransmits: Some(0),
        rtt_ns: None,
        rtt_min_ns: None,
        connect_ns: None,
        state: Some("closed"),
        tcp_flags: Some("syn ack fin".into()),
        l7: Some("http"),
        dst_name: None,
    }
}

pub(super) fn bytes(flow: Flow, sent: i64, received: i64) -> Flow {
    Flow {
        bytes_sent: Some(sent),
        bytes_received: Some(received),
        ..flow
    }
}

pub(super) fn opened(flow: Flow, process: &Process) -> Flow {
    Flow {
        identity: of(process),
        role: Some("client"),
        ..flow
    }
}

pub(super) fn taken(flow: Flow, process: &Process) -> Flow {
    Flow {
        identity: of(process),
        role: Some("server"),
        ..flow
    }
}
