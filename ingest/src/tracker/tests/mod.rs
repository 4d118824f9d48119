#![expect(clippy::unwrap_used, reason = "a missing row fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use weir_storage::{CaptureLoss, DnsEvent, Flow, HttpEvent, Process, Row};

use super::*;

mod conversations;
mod datagrams;
mod endings;
mod limits;
mod live;
mod losses;
mod names;
mod pairs;
mod wire;

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
            is_timed: true,
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
                Row::CaptureCount(_) | Row::CaptureProgram(_) => {}
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
        is_timed: true,
        vantage,
        source,
        destination,
        transport: Transport::Udp,
        payload,
        payload_len: payload.len() as u32,
    }
}
