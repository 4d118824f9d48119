#![expect(clippy::unwrap_used, reason = "a missing row fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use weir_storage::{CaptureLoss, DnsEvent, Flow, HttpEvent, Process, Row};

use super::*;

const MS: Nanos = 1_000_000;
const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;

fn client() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

fn server() -> SocketAddr {
    "192.0.2.2:8080".parse().unwrap()
}

fn tracker() -> Tracker {
    Tracker::new(Settings::new("node".into(), 1_800_000_000 * SECOND))
}

/// A packet that a test gives to a tracker.
#[derive(Debug, Clone)]
struct Sent {
    time: Nanos,
    from_client: bool,
    seq: u32,
    ack: u32,
    flags: TcpFlags,
    payload: Vec<u8>,
    payload_len: u32,
}

impl Sent {
    fn packet(&self, vantage: Vantage) -> Packet<'_> {
        let (source, destination) = if self.from_client {
            (client(), server())
        } else {
            (server(), client())
        };
        Packet {
            time: self.time,
            vantage,
            source,
            destination,
            transport: Transport::Tcp {
                seq: self.seq,
                ack: self.flags.contains(ACK).then_some(self.ack),
                flags: self.flags,
            },
            payload: &self.payload,
            payload_len: self.payload_len,
        }
    }
}

/// Writes the packets of a connection with right sequence numbers, one each millisecond.
struct Talk {
    packets: Vec<Sent>,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
    time: Nanos,
}

impl Talk {
    fn new(time: Nanos, client_seq: u32, server_seq: u32) -> Self {
        Self {
            packets: Vec::new(),
            next: [client_seq, server_seq],
            time,
        }
    }

    fn send(&mut self, from_client: bool, flags: TcpFlags, payload: &[u8]) -> &mut Self {
        let (me, other) = if from_client { (0, 1) } else { (1, 0) };
        self.packets.push(Sent {
            time: self.time,
            from_client,
            seq: self.next[me],
            ack: self.next[other],
            flags,
            payload: payload.to_vec(),
            payload_len: payload.len() as u32,
        });
        let numbered = u32::from(flags.contains(SYN)) + u32::from(flags.contains(FIN));
        self.next[me] = self.next[me].wrapping_add(payload.len() as u32 + numbered);
        self.time += MS;
        self
    }

    fn handshake(&mut self) -> &mut Self {
        self.send(true, SYN, b"")
            .send(false, SYN.union(ACK), b"")
            .send(true, ACK, b"")
    }

    fn exchange(&mut self) -> &mut Self {
        self.send(true, ACK, REQUEST).send(false, ACK, RESPONSE)
    }

    fn close(&mut self) -> &mut Self {
        self.send(true, FIN.union(ACK), b"")
            .send(false, FIN.union(ACK), b"")
            .send(true, ACK, b"")
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Rows {
    http: Vec<HttpEvent>,
    dns: Vec<DnsEvent>,
    flows: Vec<Flow>,
    losses: Vec<CaptureLoss>,
}

impl Rows {
    fn of(rows: Vec<Row>) -> Self {
        let mut sorted = Self::default();
        for row in rows {
            match row {
                Row::HttpEvent(row) => sorted.http.push(*row),
                Row::DnsEvent(row) => sorted.dns.push(*row),
                Row::Flow(row) => sorted.flows.push(*row),
                Row::CaptureLoss(row) => sorted.losses.push(*row),
                Row::CaptureProgram(_) => {}
            }
        }
        sorted
    }

    fn states(&self) -> Vec<&'static str> {
        self.flows.iter().filter_map(|flow| flow.state).collect()
    }
}

fn rows_of_wire(packets: &[Sent]) -> Rows {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for packet in packets {
        tracker.packet(&packet.packet(Vantage::Wire), &mut rows);
    }
    tracker.finish(0, &mut rows);
    Rows::of(rows)
}

#[test]
fn a_connection_on_a_wire_makes_one_flow_and_a_row_each_request() {
    let mut talk = Talk::new(0, 100, 900);
    talk.handshake().exchange().exchange().close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http.len(), 2);
    let http = &rows.http[0];
    assert_eq!((http.status, http.role), (Some(200), None));
    assert_eq!(http.client_port, Some(40_000));
    assert_eq!(http.latency_ns, Some(MS));
    assert_eq!(rows.states(), ["closed"]);
    let flow = &rows.flows[0];
    assert_eq!(flow.conn_id, http.conn_id);
    assert_eq!(flow.src_port, Some(40_000));
    assert_eq!(flow.bytes_sent, Some(2 * REQUEST.len() as i64));
    assert_eq!(flow.bytes_received, Some(2 * RESPONSE.len() as i64));
    assert_eq!(
        (flow.packets_sent, flow.packets_received),
        (Some(6), Some(4))
    );
    assert_eq!(flow.connect_ns, Some(2 * MS));
    assert_eq!(flow.rtt_min_ns, Some(2 * MS));
    assert_eq!(flow.retransmits, Some(0));
    assert_eq!(flow.l7, Some("http"));
    assert_eq!(flow.tcp_flags.as_deref(), Some("syn ack fin"));
    assert_eq!(rows.losses, []);
}

#[test]
fn order_and_repetition_change_no_row_of_http() {
    let mut talk = Talk::new(0, u32::MAX - 30, 900);
    talk.handshake().exchange().exchange().close();
    let expected = rows_of_wire(&talk.packets);
    let mut packets = talk.packets.clone();
    packets.swap(3, 4);
    packets.swap(5, 6);
    packets.insert(6, packets[3].clone());
    let rows = rows_of_wire(&packets);
    assert_eq!(rows.http, expected.http);
    assert_eq!(rows.flows[0].bytes_sent, expected.flows[0].bytes_sent);
    assert_eq!(
        rows.flows[0].bytes_received,
        expected.flows[0].bytes_received
    );
}

#[test]
fn refused_reset_and_unanswered_connections_are_told_apart() {
    let mut refused = Talk::new(0, 1, 0);
    refused
        .send(true, SYN, b"")
        .send(false, RST.union(ACK), b"");
    assert_eq!(rows_of_wire(&refused.packets).states(), ["refused"]);

    let mut reset = Talk::new(0, 1, 9);
    reset
        .handshake()
        .send(true, ACK, REQUEST)
        .send(false, RST, b"");
    let rows = rows_of_wire(&reset.packets);
    assert_eq!(rows.states(), ["reset"]);
    assert_eq!(rows.http[0].outcome, Some("reset"));

    let mut unanswered = Talk::new(0, 1, 9);
    unanswered.send(true, SYN, b"");
    let mut tracker = tracker();
    let mut rows = Vec::new();
    tracker.packet(&unanswered.packets[0].packet(Vantage::Wire), &mut rows);
    tracker.tick(400 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.states().last(), Some(&"timeout"));
    assert_eq!(rows.flows.last().unwrap().time, 300_000_000);
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn a_reset_after_both_ends_finished_is_a_normal_end() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange().close().send(true, RST, b"");
    assert_eq!(rows_of_wire(&talk.packets).states(), ["closed"]);
}

#[test]
fn a_long_connection_shows_each_interval_and_its_sums_are_right() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange();
    talk.time = 35 * SECOND;
    talk.exchange().close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.states(), ["open", "active", "active", "closed"]);
    let times: Vec<i64> = rows.flows.iter().map(|flow| flow.time).collect();
    assert_eq!(times, [10_000_000, 20_000_000, 30_000_000, 35_003_000]);
    let sent: i64 = rows.flows.iter().filter_map(|flow| flow.bytes_sent).sum();
    assert_eq!(sent, 2 * REQUEST.len() as i64);
}

#[test]
fn a_syn_with_another_number_begins_another_connection() {
    let mut first = Talk::new(0, 1, 9);
    first.handshake().exchange().close();
    let mut second = Talk::new(first.time, 5000, 7000);
    second.handshake().exchange();
    second.packets.insert(1, second.packets[0].clone());
    let rows = rows_of_wire(&[first.packets, second.packets].concat());
    assert_eq!(rows.http.len(), 2);
    assert_ne!(rows.http[0].conn_id, rows.http[1].conn_id);
    assert_eq!(rows.states(), ["closed", "open"]);
}

#[test]
fn a_connection_joined_late_is_told_by_its_http() {
    let mut talk = Talk::new(0, 1, 9);
    // The client has the lower port here: only HTTP tells who it is.
    talk.send(false, ACK, b"the end of a body\r\n")
        .send(false, ACK, b"")
        .exchange();
    for packet in &mut talk.packets {
        packet.from_client = !packet.from_client;
    }
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http.len(), 1);
    assert_eq!(rows.http[0].client_port, Some(8080));
    assert_eq!(rows.flows[0].src_port, Some(8080));
    assert_eq!(rows.states(), ["active"]);
}

#[test]
fn a_lost_segment_of_http_is_in_the_ledger_and_a_byte_count_is_still_right() {
    let mut talk = Talk::new(0, 1, 9);
    let body = vec![b'x'; 1000];
    talk.handshake()
        .send(true, ACK, REQUEST)
        .send(
            false,
            ACK,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n",
        )
        .send(false, ACK, &body)
        .send(false, ACK, &body)
        .send(false, ACK, &body)
        .close();
    talk.packets.remove(6);
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http[0].resp_body_bytes, Some(3000));
    assert_eq!(rows.flows[0].bytes_received, Some(3041));
    let losses: Vec<_> = rows
        .losses
        .iter()
        .map(|loss| (loss.reason.as_deref(), loss.bytes))
        .collect();
    assert_eq!(losses, [(Some("missing_segment"), Some(1000))]);
}

#[test]
fn other_protocols_are_not_reassembled() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(false, ACK, b"220 mail ready\r\n")
        .send(true, ACK, b"EHLO me\r\n")
        .send(true, ACK, REQUEST);
    let rows = rows_of_wire(&talk.packets);
    assert_eq!((rows.http.len(), rows.flows[0].l7), (0, None));

    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(true, ACK, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(rows_of_wire(&talk.packets).flows[0].l7, Some("tls"));
}

/// A query for `name` A, or the answer 192.0.2.2 to it.
fn dns_message(id: u16, is_response: bool) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([if is_response { 0x81 } else { 0x01 }, 0, 0, 1]);
    message.extend([0, u8::from(is_response), 0, 0, 0, 0]);
    message.extend(b"\x04weir\x04test\x00\x00\x01\x00\x01");
    if is_response {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2]);
    }
    message
}

fn datagram(time: Nanos, payload: &[u8], is_response: bool, vantage: Vantage) -> Packet<'_> {
    let [asking, asked]: [SocketAddr; 2] =
        ["192.0.2.1:5000", "192.0.2.53:53"].map(|end| end.parse().unwrap());
    let (source, destination) = if is_response {
        (asked, asking)
    } else {
        (asking, asked)
    };
    Packet {
        time,
        vantage,
        source,
        destination,
        transport: Transport::Udp,
        payload,
        payload_len: payload.len() as u32,
    }
}

#[test]
fn dns_over_udp_makes_lookups_flows_and_names() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let [query, response] = [dns_message(7, false), dns_message(7, true)];
    tracker.packet(&datagram(0, &query, false, Vantage::Wire), &mut rows);
    tracker.packet(&datagram(MS, &response, true, Vantage::Wire), &mut rows);
    let late = dns_message(8, false);
    tracker.packet(&datagram(2 * MS, &late, false, Vantage::Wire), &mut rows);
    let mut talk = Talk::new(3 * MS, 1, 9);
    talk.handshake().exchange().close();
    for packet in &talk.packets {
        tracker.packet(&packet.packet(Vantage::Wire), &mut rows);
    }
    tracker.tick(60 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    let outcomes: Vec<_> = rows.dns.iter().filter_map(|row| row.outcome).collect();
    assert_eq!(outcomes, ["ok", "timeout"]);
    assert_eq!(rows.dns[0].latency_ns, Some(MS));
    let [udp, tcp] = ["udp", "tcp"].map(|word| {
        let is_of = |flow: &&Flow| flow.protocol == Some(word);
        let flows: Vec<&Flow> = rows.flows.iter().filter(is_of).collect();
        assert_eq!(flows.len(), 1, "{word}");
        flows[0]
    });
    assert_eq!((udp.src_port, udp.l7), (Some(5000), Some("dns")));
    assert_eq!((udp.packets_sent, udp.packets_received), (Some(2), Some(1)));
    assert_eq!(tcp.dst_name.as_deref(), Some("weir.test"));
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn dns_over_tcp_makes_lookups_too() {
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let mut talk = Talk::new(0, 1, 9);
    let query = framed(dns_message(3, false));
    talk.handshake()
        .send(true, ACK, &query[..10])
        .send(true, ACK, &query[10..])
        .send(false, ACK, &framed(dns_message(3, true)))
        .close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.dns.len(), 1);
    assert_eq!(rows.dns[0].transport, Some("tcp"));
    assert_eq!(rows.dns[0].latency_ns, Some(2 * MS));
    assert_eq!(rows.flows[0].l7, Some("dns"));
}

fn socket(cookie: u64, is_client: bool) -> Socket {
    let (local, remote) = if is_client {
        (client(), server())
    } else {
        (server(), client())
    };
    Socket {
        netns: 1,
        cookie,
        local,
        remote,
    }
}

fn opening(time: Nanos, role: Role) -> Opening {
    Opening {
        start_time: time,
        role: Some(role),
        connect_ns: Some(5),
    }
}

fn process(name: &str) -> Arc<Process> {
    Arc::new(Process {
        pid: name.len() as i64,
        name: Some(name.into()),
        ..Process::default()
    })
}

/// How a packet of the client's looks at the socket of one end.
fn at_socket(packet: &Sent, cookie: u64, is_client: bool) -> Vantage {
    let direction = if packet.from_client == is_client {
        Direction::Sent
    } else {
        Direction::Received
    };
    Vantage::Socket {
        netns: 1,
        cookie,
        direction,
    }
}

#[test]
fn both_local_ends_have_their_rows_with_role_and_owner() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for (cookie, owner) in [(1, "curl"), (2, "nginx"), (9, "listener")] {
        let owner = process(owner);
        tracker.socket(SocketEvent::Owner { cookie, owner }, &mut rows);
    }
    let mut talk = Talk::new(1000, 50, 60);
    talk.handshake().exchange();
    for (index, packet) in talk.packets.iter().enumerate() {
        if index == 3 {
            for (cookie, role) in [(1, Role::Client), (2, Role::Server)] {
                let event = SocketEvent::Opened {
                    time: packet.time,
                    socket: socket(cookie, role == Role::Client),
                    opening: opening(1000, role),
                    counters: Counters::default(),
                    sent_seq: None,
                    received_seq: None,
                    owner: None,
                };
                tracker.socket(event, &mut rows);
            }
        }
        let server_cookie = if index < 3 { 9 } else { 2 };
        tracker.packet(&packet.packet(at_socket(packet, 1, true)), &mut rows);
        tracker.packet(
            &packet.packet(at_socket(packet, server_cookie, false)),
            &mut rows,
        );
    }
    let counters = Counters {
        bytes_sent: 28,
        bytes_received: 40,
        packets_sent: 3,
        packets_received: 2,
        rtt_ns: Some(77),
        ..Counters::default()
    };
    for (cookie, role) in [(1, Role::Client), (2, Role::Server)] {
        let event = SocketEvent::Closed {
            time: talk.time,
            socket: socket(cookie, role == Role::Client),
            opening: opening(1000, role),
            counters,
            end: FlowEnd::Closed,
            owner: None,
        };
        tracker.socket(event, &mut rows);
    }
    tracker.tick(talk.time + SECOND, &mut rows);
    assert_eq!(tracker.connections(), 0);
    let rows = Rows::of(rows);
    let name = |process: &Option<Arc<Process>>| process.as_ref().unwrap().name.clone().unwrap();
    let http: Vec<_> = rows
        .http
        .iter()
        .map(|row| {
            (
                row.role.unwrap(),
                name(&row.identity.process),
                row.client_port.unwrap(),
            )
        })
        .collect();
    assert_eq!(
        http,
        [
            ("client", "curl".into(), 40_000),
            ("server", "nginx".into(), 40_000)
        ]
    );
    let flows: Vec<_> = rows
        .flows
        .iter()
        .map(|row| {
            (
                row.role.unwrap(),
                row.bytes_sent.unwrap(),
                row.src_port.unwrap(),
                row.l7,
            )
        })
        .collect();
    assert_eq!(
        flows,
        [
            ("client", 28, 40_000, Some("http")),
            // At the server's socket, what it received is what the source sent.
            ("server", 40, 40_000, Some("http"))
        ]
    );
    assert_eq!(rows.flows[0].conn_id, rows.http[0].conn_id);
    assert_ne!(rows.http[0].conn_id, rows.http[1].conn_id);
}

#[test]
fn what_passed_before_the_capture_is_in_no_row() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let counters = |bytes_sent| Counters {
        bytes_sent,
        ..Counters::default()
    };
    let opened = SocketEvent::Opened {
        time: 100 * SECOND,
        socket: socket(1, true),
        opening: opening(0, Role::Client),
        counters: counters(1_000_000),
        sent_seq: Some(5),
        received_seq: Some(5),
        owner: Some(process("old")),
    };
    tracker.socket(opened, &mut rows);
    let later = SocketEvent::Counters {
        time: 101 * SECOND,
        cookie: 1,
        counters: counters(1_000_500),
    };
    tracker.socket(later, &mut rows);
    tracker.tick(111 * SECOND, &mut rows);
    tracker.tick(121 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    let sent: Vec<_> = rows
        .flows
        .iter()
        .map(|flow| flow.bytes_sent.unwrap())
        .collect();
    assert_eq!(sent, [500, 0]);
    assert_eq!(rows.states(), ["active", "active"]);
}

#[test]
fn live_datagrams_are_counted_by_the_kernel_alone() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let query = dns_message(1, false);
    let vantage = Vantage::Socket {
        netns: 1,
        cookie: 4,
        direction: Direction::Sent,
    };
    tracker.packet(&datagram(0, &query, false, vantage), &mut rows);
    let packet = datagram(0, &query, false, vantage);
    let event = SocketEvent::UdpCounters {
        time: MS,
        socket: Socket {
            netns: 1,
            cookie: 4,
            local: packet.source,
            remote: packet.destination,
        },
        opening: opening(0, Role::Client),
        counters: Counters {
            bytes_sent: 27,
            packets_sent: 1,
            ..Counters::default()
        },
        closed: true,
        owner: Some(process("dig")),
    };
    tracker.socket(event, &mut rows);
    tracker.tick(6 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 1);
    assert_eq!(rows.flows[0].bytes_sent, Some(27));
    assert_eq!(rows.dns[0].role, Some("client"));
    assert_eq!(rows.dns[0].outcome, Some("timeout"));
    assert_eq!(rows.dns[0].conn_id, rows.flows[0].conn_id);
    assert!(rows.dns[0].identity.process.is_some());
}

#[test]
fn the_connection_idle_for_longest_makes_room_and_is_counted() {
    let mut settings = Settings::new("node".into(), 0);
    settings.max_connections = 10;
    let mut tracker = Tracker::new(settings);
    let mut rows = Vec::new();
    for port in 1..=100_u16 {
        let mut packet = Talk::new(i64::from(port) * MS, 1, 1);
        packet.send(true, ACK, b"x");
        let mut packet = packet.packets[0].packet(Vantage::Wire);
        packet.source.set_port(port);
        tracker.packet(&packet, &mut rows);
        assert!(tracker.connections() <= 10);
    }
    tracker.finish(0, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 100);
    assert_eq!(rows.losses[0].reason.as_deref(), Some("connection_evicted"));
    let evicted: i64 = rows.losses.iter().filter_map(|loss| loss.events).sum();
    assert_eq!(evicted, 90);
}

#[test]
fn ids_of_two_runs_differ_and_are_exact_numbers_everywhere() {
    let now = 1_800_000_000 * SECOND;
    let mut one = ConnIds::starting_at(now);
    let mut other = ConnIds::starting_at(now + SECOND);
    let last_of_one = (0..16_000).map(|_| one.next()).last().unwrap();
    assert!(last_of_one < other.next());
    assert!(last_of_one < 1 << 53);
    assert!(ConnIds::starting_at(i64::MAX).next() > 0);
    assert!(ConnIds::starting_at(i64::MIN).next() > 0);
}

fn any_packet() -> impl Strategy<Value = (Sent, bool)> {
    let payload = prop_oneof![
        Just(REQUEST.to_vec()),
        Just(RESPONSE.to_vec()),
        Just(dns_message(1, true)),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let time = prop_oneof![0..60 * SECOND, any::<i64>()];
    let seq = prop_oneof![0..200_u32, any::<u32>()];
    let numbers = (seq.clone(), seq);
    (
        time,
        any::<bool>(),
        numbers,
        any::<u8>(),
        payload,
        0..3000_u32,
        any::<bool>(),
    )
        .prop_map(
            |(time, from_client, (seq, ack), flags, payload, uncaptured, is_live)| {
                let payload_len = payload.len() as u32 + uncaptured;
                let sent = Sent {
                    time,
                    from_client,
                    seq,
                    ack,
                    flags: TcpFlags(flags),
                    payload,
                    payload_len,
                };
                (sent, is_live)
            },
        )
}

proptest! {
    #[test]
    fn no_packets_make_the_tracker_panic(packets in prop::collection::vec(any_packet(), 0..60)) {
        let mut settings = Settings::new("node".into(), 0);
        settings.max_held_bytes = 200;
        let mut tracker = Tracker::new(settings);
        let mut rows = Vec::new();
        for (sent, is_live) in &packets {
            let vantage = if *is_live { at_socket(sent, 1, true) } else { Vantage::Wire };
            let mut packet = sent.packet(vantage);
            if sent.seq % 5 == 0 {
                packet.transport = Transport::Udp;
            }
            tracker.packet(&packet, &mut rows);
        }
        tracker.finish(i64::MAX, &mut rows);
        prop_assert_eq!(tracker.connections(), 0);
        for row in Rows::of(rows).flows {
            prop_assert!(row.bytes_sent >= Some(0) && row.bytes_received >= Some(0));
        }
    }

    #[test]
    fn swaps_and_repetitions_keep_the_rows(
        swaps in prop::collection::vec(3_usize..14, 0..6),
        repeats in prop::collection::vec(0_usize..14, 0..6),
    ) {
        let mut talk = Talk::new(0, 100, u32::MAX - 50);
        talk.handshake();
        for _ in 0..6 {
            talk.exchange();
        }
        let expected = rows_of_wire(&talk.packets);
        let mut packets = talk.packets.clone();
        for index in repeats {
            packets.insert(index, packets[index].clone());
        }
        for index in swaps {
            // Only neighbours of one time window: a network does not reorder further.
            packets.swap(index, index + 1);
        }
        let rows = rows_of_wire(&packets);
        let essence = |rows: &Rows| -> Vec<_> {
            let of_row = |row: &HttpEvent| (row.status, row.path.clone(), row.outcome);
            rows.http.iter().map(of_row).collect()
        };
        prop_assert_eq!(essence(&rows), essence(&expected));
        prop_assert_eq!(rows.flows[0].bytes_sent, expected.flows[0].bytes_sent);
        prop_assert_eq!(rows.flows[0].bytes_received, expected.flows[0].bytes_received);
        prop_assert_eq!(rows.flows.len(), 1);
    }
}
