//! From the kernel side's records to what the tracker takes.

use std::sync::Arc;

use weir_ebpf::events::{
    DIRECTION_SENT, Endpoints, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP,
    PayloadEvent, ROLE_CLIENT, ROLE_SERVER, TcpEvent, UdpCounters, UdpKey,
};
use weir_storage::Process;

use super::clock::Clock;
use crate::packet::{Direction, Packet, TcpFlags, Transport, Vantage};
use crate::tracker::{Counters, FlowEnd, Opening, Protocol, Role, Socket, SocketEvent};

/// TCP states as the kernel numbers them, in `include/net/tcp_states.h`.
const TCP_SYN_SENT: u8 = 2;
pub(super) const TCP_LISTEN: u8 = 10;

/// Errors of sockets, in `include/uapi/asm-generic/errno.h`.
mod errno {
    pub(super) const EPIPE: u16 = 32;
    pub(super) const ECONNABORTED: u16 = 103;
    pub(super) const ECONNRESET: u16 = 104;
    pub(super) const ETIMEDOUT: u16 = 110;
    pub(super) const ECONNREFUSED: u16 = 111;
}

const MICROSECOND: i64 = 1_000;

/// The packet of a payload record; `None` for a protocol that the tracker does not follow.
pub(super) fn packet<'a>(
    event: &PayloadEvent,
    payload: &'a [u8],
    clock: &Clock,
) -> Option<Packet<'a>> {
    let (local, remote) = (event.endpoints.local(), event.endpoints.remote());
    let (direction, source, destination) = if event.direction == DIRECTION_SENT {
        (Direction::Sent, local, remote)
    } else {
        (Direction::Received, remote, local)
    };
    let transport = match event.protocol {
        IPPROTO_TCP => {
            let flags = TcpFlags(event.tcp_flags);
            let ack = flags.contains(TcpFlags::ACK).then_some(event.ack);
            Transport::Tcp {
                seq: event.seq,
                ack,
                flags,
            }
        }
        IPPROTO_UDP => Transport::Udp,
        _ => return None,
    };
    Some(Packet {
        time: clock.steady(event.time_ns),
        is_timed: true,
        vantage: Vantage::Socket {
            netns: event.endpoints.netns,
            cookie: event.cookie,
            direction,
        },
        source,
        destination,
        transport,
        payload,
        payload_len: event.payload_len.max(event.captured),
    })
}

fn socket(cookie: u64, endpoints: &Endpoints) -> Socket {
    Socket {
        netns: endpoints.netns,
        cookie,
        local: endpoints.local(),
        remote: endpoints.remote(),
    }
}

fn role(role: u8) -> Option<Role> {
    match role {
        ROLE_CLIENT => Some(Role::Client),
        ROLE_SERVER => Some(Role::Server),
        _ => None,
    }
}

fn opening(event: &TcpEvent, clock: &Clock) -> Opening {
    // A connection without a start was found by one of its packets.
    let start_ns = if event.start_ns == 0 {
        event.time_ns
    } else {
        event.start_ns
    };
    let connect_ns =
        (event.connect_ns != 0).then(|| i64::try_from(event.connect_ns).unwrap_or(i64::MAX));
    Opening {
        start_time: clock.steady(start_ns),
        role: role(event.role),
        was_seen: event.was_opened(),
        connect_ns,
    }
}

fn counters(event: &TcpEvent) -> Counters {
    let nanos =
        |micros: u32| (micros != 0 && micros != u32::MAX).then(|| i64::from(micros) * MICROSECOND);
    Counters {
        bytes_sent: event.bytes_sent,
        bytes_received: event.bytes_received,
        packets_sent: event.packets_sent,
        packets_received: event.packets_received,
        retransmits: u64::from(event.retransmits),
        rtt_ns: nanos(event.rtt_us),
        rtt_min_ns: nanos(event.rtt_min_us),
        tcp_flags: event.tcp_flags,
    }
}

/// A connection was established, and both its sequence numbers are known from the start.
pub(super) fn opened(event: &TcpEvent, owner: Option<Arc<Process>>, clock: &Clock) -> SocketEvent {
    SocketEvent::Opened {
        time: clock.steady(event.time_ns),
        socket: socket(event.cookie, &event.endpoints),
        opening: opening(event, clock),
        counters: Counters::default(),
        sent_seq: Some(event.snd_nxt),
        received_seq: Some(event.rcv_nxt),
        owner,
    }
}

/// A connection is open of which nothing was told before: it was open when the capture began or when it was chosen, or the
/// record of its opening was lost. The next bytes are somewhere inside its messages; the kernel side counts from the first
/// that count.
pub(super) fn found(
    event: &TcpEvent,
    guess: Role,
    owner: Option<Arc<Process>>,
    clock: &Clock,
) -> SocketEvent {
    let opening = opening(event, clock);
    SocketEvent::Opened {
        time: clock.steady(event.time_ns),
        socket: socket(event.cookie, &event.endpoints),
        opening: Opening {
            role: opening.role.or(Some(guess)),
            ..opening
        },
        counters: Counters::default(),
        sent_seq: None,
        received_seq: None,
        owner,
    }
}

/// The counters of a connection now.
pub(super) fn counted(event: &TcpEvent, clock: &Clock) -> SocketEvent {
    SocketEvent::Counters {
        time: clock.steady(event.time_ns),
        cookie: event.cookie,
        counters: counters(event),
    }
}

/// A connection ended.
pub(super) fn closed(event: &TcpEvent, owner: Option<Arc<Process>>, clock: &Clock) -> SocketEvent {
    let end = end_of(event.old_state, event.error);
    let mut counters = counters(event);
    if end == FlowEnd::Reset && event.error == errno::ECONNABORTED {
        // The kernel sends it after the connection has ended.
        counters.tcp_flags |= TcpFlags::RST.0;
    }
    SocketEvent::Closed {
        time: clock.steady(event.time_ns),
        socket: socket(event.cookie, &event.endpoints),
        opening: opening(event, clock),
        counters,
        end,
        was_told: event.was_told(),
        owner,
    }
}

/// How a connection ended, from the state before the end and the socket's error.
fn end_of(old_state: u8, error: u16) -> FlowEnd {
    match (old_state, error) {
        (TCP_SYN_SENT, errno::ECONNREFUSED) => FlowEnd::Refused,
        // The program gave up waiting, or its connection was killed: nobody had answered.
        (TCP_SYN_SENT, 0 | errno::ECONNABORTED) | (_, errno::ETIMEDOUT) => FlowEnd::Timeout,
        (_, 0) => FlowEnd::Closed,
        (_, errno::ECONNRESET | errno::EPIPE | errno::ECONNABORTED | errno::ECONNREFUSED) => {
            FlowEnd::Reset
        }
        // The others are what ICMP errors say.
        _ => FlowEnd::Unreachable,
    }
}

/// The counters of a flow of datagrams now.
pub(super) fn udp_counted(
    key: &UdpKey,
    udp: &UdpCounters,
    is_closed: bool,
    now_ns: u64,
    owner: Option<Arc<Process>>,
    clock: &Clock,
) -> SocketEvent {
    let role = if udp.first_direction == DIRECTION_SENT {
        Role::Client
    } else {
        Role::Server
    };
    let protocol = match udp.protocol {
        IPPROTO_ICMP => Protocol::Icmp,
        IPPROTO_ICMPV6 => Protocol::Icmpv6,
        _ => Protocol::Udp,
    };
    let nanos = |nanos: u64| (nanos != 0).then(|| i64::try_from(nanos).unwrap_or(i64::MAX));
    SocketEvent::DatagramCounters {
        time: clock.steady(now_ns),
        protocol,
        socket: socket(key.cookie, &key.endpoints),
        opening: Opening {
            start_time: clock.steady(udp.start_ns),
            role: Some(role),
            was_seen: true,
            connect_ns: None,
        },
        counters: Counters {
            bytes_sent: udp.bytes_sent,
            bytes_received: udp.bytes_received,
            packets_sent: udp.packets_sent,
            packets_received: udp.packets_received,
            rtt_ns: nanos(udp.rtt_ns),
            rtt_min_ns: nanos(udp.rtt_min_ns),
            ..Counters::default()
        },
        closed: is_closed,
        owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_by_the_state_before_it_and_the_error() {
        const TCP_ESTABLISHED: u8 = 1;
        const TCP_FIN_WAIT2: u8 = 5;
        const TCP_CLOSE_WAIT: u8 = 8;
        const TCP_LAST_ACK: u8 = 9;
        const EHOSTUNREACH: u16 = 113;
        assert_eq!(end_of(TCP_SYN_SENT, errno::ECONNREFUSED), FlowEnd::Refused);
        assert_eq!(end_of(TCP_SYN_SENT, errno::ETIMEDOUT), FlowEnd::Timeout);
        assert_eq!(end_of(TCP_SYN_SENT, 0), FlowEnd::Timeout);
        assert_eq!(end_of(TCP_SYN_SENT, EHOSTUNREACH), FlowEnd::Unreachable);
        assert_eq!(end_of(TCP_ESTABLISHED, errno::ETIMEDOUT), FlowEnd::Timeout);
        assert_eq!(end_of(TCP_ESTABLISHED, EHOSTUNREACH), FlowEnd::Unreachable);
        assert_eq!(end_of(TCP_ESTABLISHED, errno::ECONNABORTED), FlowEnd::Reset);
        assert_eq!(end_of(TCP_CLOSE_WAIT, errno::EPIPE), FlowEnd::Reset);
        assert_eq!(end_of(TCP_FIN_WAIT2, errno::ECONNRESET), FlowEnd::Reset);
        assert_eq!(end_of(TCP_FIN_WAIT2, 0), FlowEnd::Closed);
        assert_eq!(end_of(TCP_LAST_ACK, 0), FlowEnd::Closed);
    }
}
