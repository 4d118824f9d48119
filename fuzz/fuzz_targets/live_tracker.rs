//! What the kernel tells, in any order: packets of sockets, openings, counters and ends. No panic, bounded memory, and
//! every connection gone at the end.

#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use weir_ingest::packet::{Direction, Packet, TcpFlags, Transport, Vantage};
use weir_ingest::tracker::{
    Counters, FlowEnd, Opening, Protocol, Role, Settings, Socket, SocketEvent, Tracker,
};
use weir_storage::Row;

// A step is: what, which socket, four numbers, length, then so many bytes.
fuzz_target!(|data: &[u8]| {
    let mut settings = Settings::new("fuzz".into(), 0);
    settings.max_connections = 4;
    settings.max_dns_queries = 4;
    settings.max_held_bytes = 16 * 1024;
    settings.max_names = 4;
    let mut tracker = Tracker::new(settings);
    let mut rows: Vec<Row> = Vec::new();
    let mut rest = data;
    let mut time = 0_i64;
    while let Some(([what, which, a, b, c, d, length], bytes)) = rest.split_first_chunk::<7>() {
        let (payload, left) = bytes.split_at(usize::from(*length).min(bytes.len()));
        rest = left;
        time += i64::from(*d) * 1_000_000;
        let cookie = u64::from(which & 0x0f);
        let port = match which >> 4 & 0x03 {
            0 => 53,
            1 => 80,
            _ => 5353,
        };
        let socket = Socket {
            netns: 1,
            cookie,
            local: SocketAddr::from(([127, 0, 0, 1], 40_000 + u16::from(which & 0x07))),
            remote: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        let counters = Counters {
            bytes_sent: u64::from(*a) * u64::from(*b),
            bytes_received: u64::from(*c),
            packets_sent: u64::from(*a),
            packets_received: u64::from(*b),
            tcp_flags: *c,
            ..Counters::default()
        };
        let opening = Opening {
            start_time: time - i64::from(*a),
            role: [None, Some(Role::Client), Some(Role::Server)][usize::from(b % 3)],
            was_seen: c & 8 == 0,
            connect_ns: Some(i64::from(*c)),
        };
        let seq = u32::from(*a) * 8;
        match what % 11 {
            0 => tracker.socket(
                SocketEvent::Opened {
                    time,
                    socket,
                    opening,
                    counters,
                    sent_seq: (a & 1 == 0).then_some(seq),
                    received_seq: (a & 2 == 0).then_some(0),
                    owner: None,
                },
                &mut rows,
            ),
            1 => tracker.socket(SocketEvent::Counters { time, cookie, counters }, &mut rows),
            2 => tracker.socket(
                SocketEvent::Closed {
                    time,
                    socket,
                    opening,
                    counters,
                    end: [FlowEnd::Closed, FlowEnd::Reset, FlowEnd::Refused, FlowEnd::Timeout][usize::from(c % 4)],
                    was_told: c & 16 == 0,
                    owner: None,
                },
                &mut rows,
            ),
            3 => tracker.socket(
                SocketEvent::DatagramCounters {
                    time,
                    protocol: if c & 2 == 0 { Protocol::Udp } else { Protocol::Icmp },
                    socket,
                    opening,
                    counters,
                    closed: c & 1 == 0,
                    owner: None,
                },
                &mut rows,
            ),
            4 => tracker.tick(time, &mut rows),
            5 => tracker.socket(
                SocketEvent::Reconciled { time, since: time - i64::from(*a) * 1_000_000 },
                &mut rows,
            ),
            6 => tracker.leave_out(time, cookie, &mut rows),
            7 => tracker.leave_out_http(time, &mut rows),
            kind => {
                let direction = if c & 1 == 0 { Direction::Sent } else { Direction::Received };
                let (source, destination) = match direction {
                    Direction::Sent => (socket.local, socket.remote),
                    Direction::Received => (socket.remote, socket.local),
                };
                let transport = if kind == 8 {
                    Transport::Udp
                } else {
                    Transport::Tcp {
                        seq,
                        ack: (b & 1 == 0).then_some(u32::from(*b) * 8),
                        flags: TcpFlags(c >> 1),
                    }
                };
                let packet = Packet {
                    time,
                    is_timed: true,
                    vantage: Vantage::Socket { netns: 1, cookie, direction },
                    source,
                    destination,
                    transport,
                    payload,
                    payload_len: payload.len() as u32 + u32::from(*d & 0x0f) * 100,
                };
                tracker.packet(&packet, &mut rows);
            }
        }
        assert!(tracker.connections() <= 4);
    }
    tracker.finish(time, &mut rows);
    assert_eq!(tracker.connections(), 0);
});
