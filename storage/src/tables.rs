//! The tables, each declared once.
//!
//! A new table is a new block here: its row type, its builder, its Arrow schema, its directory and what
//! `GET /api/v1/tables` says all come from it. Names follow OpenTelemetry, Hubble and Pixie; times are microseconds
//! UTC, durations nanoseconds of the kernel's clock (suffix `_ns`), sizes bytes; unknown is NULL, never "" or 0.

#![expect(
    clippy::doc_markdown,
    reason = "the docs of tables and columns are shown to users as they are, and backticks would stand there too"
)]
#![allow(
    rustdoc::invalid_html_tags,
    reason = "as above; only rustdoc knows this lint, so it cannot be expected"
)]

use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use crate::table::column::{
    Bool, Bytes, Column, DnsAnswers, Int64, Ip, OptionalTime, Text, TextList, TextMap, Time,
    UInt16, UniqueText, Word,
};
use crate::table::{
    ColumnDef, ColumnGroup, IdentityColumns, NodeColumns, TableBuilder, TableDef, tables,
};

tables! {
    /// One row an HTTP/1.x request, with its response where one was seen. Its `time` is that of the request's first byte.
    HttpEvent(HttpEventBuilder) = "http_events", identity: IdentityColumns {
        /// From the first byte of the request to the last byte of the response.
        latency_ns: Int64("ns"),
        /// From the first byte of the request to the first byte of the response (the final one, not a 1xx).
        ttfb_ns: Int64("ns"),
        /// Which end this machine's process is: client or server; NULL for imported traffic.
        role: Word,
        /// The connection; unique on its node. Joins with flows.
        conn_id: Int64,
        /// Address of the client.
        client_ip: Ip,
        /// Port of the client.
        client_port: UInt16,
        /// Address of the server.
        server_ip: Ip,
        /// Port of the server.
        server_port: UInt16,
        /// Whether the request travelled inside TLS.
        tls: Bool,
        /// Version of the request: 0.9, 1.0 or 1.1.
        version: Word,
        /// Request method.
        method: Text,
        /// Host and port the request was for, from an absolute target or else the Host header.
        host: Text,
        /// Path of the request target, without the query.
        path: UniqueText,
        /// Query of the request target, without the question mark; values of parameters are redacted.
        query: UniqueText,
        /// The path with its variable parts (numbers, ids, hashes) replaced by {id} and the like.
        route: Text,
        /// Status code of the final response.
        status: UInt16,
        /// Request headers: names in lower case, repeated ones joined by a comma, secrets redacted.
        req_headers: TextMap,
        /// Response headers: names in lower case, repeated ones joined by a comma, secrets redacted.
        resp_headers: TextMap,
        /// True size of the request body; see req_body_framing.
        req_body_bytes: Int64("bytes"),
        /// True size of the response body; see resp_body_framing.
        resp_body_bytes: Int64("bytes"),
        /// How the request body's size is known: none, content_length, chunked (decoded size), chunked_wire (size on the wire with chunk framing, since its inside was not captured).
        req_body_framing: Word,
        /// How the response body's size is known: none, content_length, chunked (decoded size), chunked_wire (size on the wire with chunk framing, since its inside was not captured), close (ended by the end of the connection).
        resp_body_framing: Word,
        /// First bytes of the request body; NULL unless body capture is on.
        req_body: Bytes,
        /// First bytes of the response body; NULL unless body capture is on.
        resp_body: Bytes,
        /// Media type of the response, without parameters.
        content_type: Text,
        /// User-Agent of the request.
        user_agent: Text,
        /// Trace id from traceparent or B3 headers.
        trace_id: UniqueText,
        /// Span id from traceparent or B3 headers.
        span_id: UniqueText,
        /// How it ended: ok, no_response (closed before a response), reset (connection reset before the end), timeout (connection timed out), truncated (the response ended early, or a part of a head or an end was not captured: headers may be missing, and the path may be only its beginning, without a route then), upgraded (another protocol follows), no_request (a response whose request was not captured), error (not valid HTTP; of a request line that breaks the rules only the method is kept).
        outcome: Word,
    }

    /// One row a DNS question, with its response where one was seen. Its `time` is that of the query (when it was sent first).
    DnsEvent(DnsEventBuilder) = "dns_events", identity: IdentityColumns {
        /// From the query to its response; NULL without response.
        latency_ns: Int64("ns"),
        /// Which end this machine's process is: client or server; NULL for imported traffic.
        role: Word,
        /// The connection or pair of UDP sockets; unique on its node. Joins with flows.
        conn_id: Int64,
        /// Address that asked.
        client_ip: Ip,
        /// Port that asked.
        client_port: UInt16,
        /// Address of the DNS server.
        server_ip: Ip,
        /// Port of the DNS server.
        server_port: UInt16,
        /// udp or tcp.
        transport: Word,
        /// Identifier in the DNS header.
        dns_id: Int64,
        /// Kind of query as the usual word: QUERY, NOTIFY, UPDATE, STATUS, IQUERY, DSO, or OPCODE<n>.
        opcode: Word,
        /// Name asked for (of an update: its zone), lower case, without the final dot; "." for the root.
        qname: Text,
        /// Type asked for as the usual word (A, AAAA, MX), TYPE<n> where it has none.
        qtype: Text,
        /// Class asked for as the usual word (IN, CH, ANY), CLASS<n> where it has none.
        qclass: Text,
        /// Response code as the usual word (NOERROR, NXDOMAIN, SERVFAIL); NULL without response.
        rcode: Text,
        /// Records of the answer section.
        answers: DnsAnswers,
        /// Addresses in the answer section (A and AAAA).
        answer_ips: TextList,
        /// Flags of the response (of the query without one), lower case, separated by spaces: aa tc rd ra ad cd, and do where EDNS asks for DNSSEC records; of LLMNR: c tc t.
        flags: Text,
        /// Largest UDP payload that the client takes (the server, where the query was not captured), as EDNS says; NULL without EDNS.
        edns_udp_size: Int64("bytes"),
        /// Subnet of the client that EDNS tells, with the prefix lengths of source and scope: 192.0.2.0/24/0.
        client_subnet: Text,
        /// Of a dynamic update, its prerequisites and then its updates in the words of nsupdate: prereq nxdomain a.example, update add a.example 60 A 192.0.2.1; else NULL.
        updates: TextList,
        /// How often the query was sent again before its response came or it was given up; NULL where the query was not captured.
        retransmits: Int64,
        /// How it ended: ok (answered, whatever the rcode), timeout (no answer in time), no_query (a response whose query was not captured), error (not valid DNS), unanswered (capture ended while waiting).
        outcome: Word,
    }

    /// One row a connection and interval, with what passed in that interval: sums over rows are plain SUM. Its `time` is the end of the interval.
    Flow(FlowBuilder) = "flows", identity: IdentityColumns {
        /// When the connection opened (or was first seen).
        start_time: OptionalTime,
        /// The connection; unique on its node. Joins with http_events and dns_events.
        conn_id: Int64,
        /// Which end this machine's process is: client or server; NULL where unknown and for imported traffic.
        role: Word,
        /// tcp, udp, or icmp and icmpv6 for echoes (ping).
        protocol: Word,
        /// Address of the end that opened the connection.
        src_ip: Ip,
        /// Port of the end that opened the connection; NULL for ICMP.
        src_port: UInt16,
        /// Address of the other end.
        dst_ip: Ip,
        /// Port of the other end; NULL for ICMP.
        dst_port: UInt16,
        /// Payload bytes from src to dst in this interval, each counted once (no headers, no retransmissions).
        bytes_sent: Int64("bytes"),
        /// Payload bytes from dst to src in this interval, each counted once.
        bytes_received: Int64("bytes"),
        /// Packets from src to dst in this interval (live: wire segments as the kernel counts them; import: captured packets).
        packets_sent: Int64,
        /// Packets from dst to src in this interval.
        packets_received: Int64,
        /// TCP segments retransmitted in this interval by this machine's process (import: by either end).
        retransmits: Int64,
        /// Smoothed round trip time at the end of the interval; NULL where unknown.
        rtt_ns: Int64("ns"),
        /// Smallest round trip time seen; NULL where unknown.
        rtt_min_ns: Int64("ns"),
        /// From the first SYN to the established connection, where this side saw both.
        connect_ns: Int64("ns"),
        /// open (opened in this interval and still open), active (open throughout), closed (ended normally), reset, refused, timeout (nobody answered, or nothing came any more), unreachable (the network said that there is no way); NULL where it ended and the record of how was lost.
        state: Word,
        /// TCP flags seen in this interval, both directions, lower case, separated by spaces; NULL for UDP and ICMP.
        tcp_flags: Text,
        /// Application protocol where it was recognised: http, dns, tls.
        l7: Word,
        /// Name by which the process that opened the connection knew the dst address then, from the DNS answers that it saw itself; see docs/capture.md.
        dst_name: Text,
    }

    /// The ledger: whatever was not captured, parsed, stored or kept. Its `time` is the end of the interval counted.
    CaptureLoss(CaptureLossBuilder) = "capture_loss", identity: NodeColumns {
        /// Where it was lost: kernel, ring, decode, reassembly, http, dns, flow, import, store.
        stage: Text,
        /// Why it was lost.
        reason: Text,
        /// How many events (packets, segments, messages, rows) were lost.
        events: Int64,
        /// How many bytes they held, where known.
        bytes: Int64("bytes"),
        /// Where in the kernel it was lost, as the kernel names the hook; NULL for the other stages.
        hook: Text,
        /// What the lost packets began: request, response or dns; NULL where they were inside a message or it is not known.
        message: Word,
    }

    /// What passed each stage of the capture: the other side of the ledger, counted over the same intervals.
    CaptureCount(CaptureCountBuilder) = "capture_counts", identity: NodeColumns {
        /// Where it passed: kernel (the programs), ring (the records read), rows (the rows made).
        stage: Text,
        /// Where in the kernel, as the kernel names the hook; NULL for the other stages.
        hook: Text,
        /// What: packets_request and others for packets by what they were; records handed over and read; rows by what they tell.
        kind: Text,
        /// How many.
        events: Int64,
        /// How many bytes they held.
        bytes: Int64("bytes"),
    }

    /// The eBPF programs of each start of the capture, what became of them and, once a minute and at the end, what they did.
    CaptureProgram(CaptureProgramBuilder) = "capture_programs", identity: NodeColumns {
        /// Name of the program.
        program: Text,
        /// Its type as the kernel names it.
        program_type: Text,
        /// Where it attaches.
        hook: Text,
        /// attached, refused, not_needed, or detached (every cgroup that it was attached to was removed).
        outcome: Word,
        /// Why it was refused, not needed or detached.
        reason: Text,
        /// What stays empty or unknown without it.
        costs: Text,
        /// Its runs since it was attached, as far as the kernel counted them (kernel.bpf_stats_enabled); NULL where it did not.
        runs: Int64,
        /// Time that these runs took; NULL where the kernel did not measure it.
        run_time_ns: Int64("ns"),
        /// Times that the kernel did not run it, since it was running on that processor already; NULL where it does not tell.
        missed_runs: Int64,
        /// Instructions that the verifier followed to accept it; NULL where the kernel does not tell (before 5.16).
        verified_instructions: Int64,
    }
}

impl TableId {
    /// The table of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|table| table.name() == name)
    }

    /// The table's Arrow schema.
    pub fn schema(self) -> SchemaRef {
        Arc::clone(&self.def().schema)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_column_has_docs_and_a_name_of_its_own() {
        for table in TableId::ALL {
            let def = table.def();
            assert_eq!(def.columns[0].name, "time");
            let mut names = HashSet::new();
            for column in &def.columns {
                assert!(
                    !column.doc.is_empty(),
                    "{}.{} has no docs",
                    def.name,
                    column.name
                );
                assert!(
                    !column.name.contains('#'),
                    "{}.{} is a raw identifier",
                    def.name,
                    column.name
                );
                assert!(
                    names.insert(column.name),
                    "{}.{} stands twice",
                    def.name,
                    column.name
                );
            }
        }
    }

    #[test]
    fn an_empty_builder_yields_the_declared_schema() {
        for table in TableId::ALL {
            let mut builder = table.builder();
            assert_eq!(builder.finish().schema(), table.schema());
        }
    }
}
