//! What the kernel side hands over, mirrored from `bpf/events.h`. A test compares both with the object's BTF.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use zerocopy::{FromBytes, Immutable, KnownLayout};

/// The process that a socket belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Owner {
    /// Start of the process in nanoseconds since boot; with the pid it names the process for ever.
    pub start_ns: u64,
    /// Id of the cgroup v2 it is in.
    pub cgroup_id: u64,
    /// Process id (thread group id) in the init pid namespace; 0 where unknown.
    pub pid: u32,
    /// Which of the programs that the process executed one after the other; a child begins with its parent's.
    pub exec_id: u32,
    /// Name of the process (`comm`), zero padded.
    pub comm: [u8; 16],
}

impl Owner {
    /// The name of the process.
    pub fn name(&self) -> String {
        let length = self
            .comm
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(self.comm.len());
        String::from_utf8_lossy(&self.comm[..length]).into_owned()
    }
}

/// The two ends of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Endpoints {
    local: [u8; 16],
    remote: [u8; 16],
    local_port: u16,
    remote_port: u16,
    /// Low half of the cookie of the network namespace.
    pub netns: u32,
}

impl Endpoints {
    /// This machine's end.
    pub fn local(&self) -> SocketAddr {
        socket_address(self.local, self.local_port)
    }

    /// The other end.
    pub fn remote(&self) -> SocketAddr {
        socket_address(self.remote, self.remote_port)
    }
}

fn socket_address(address: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)).to_canonical(), port)
}

/// A packet, or a run of bytes inside a large one. The captured bytes of its payload follow it in the ring.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PayloadEvent {
    /// When it passed, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// The socket's owner.
    pub owner: Owner,
    /// The socket's ends.
    pub endpoints: Endpoints,
    /// TCP sequence number of the first byte.
    pub seq: u32,
    /// TCP acknowledgment number.
    pub ack: u32,
    /// Bytes of payload on the wire that this record stands for.
    pub payload_len: u32,
    /// Bytes of payload that follow.
    pub captured: u32,
    /// [`DIRECTION_SENT`] or [`DIRECTION_RECEIVED`].
    pub direction: u8,
    /// [`IPPROTO_TCP`] or [`IPPROTO_UDP`].
    pub protocol: u8,
    /// Flags of the TCP header.
    pub tcp_flags: u8,
    /// [`ROLE_CLIENT`], [`ROLE_SERVER`] or neither.
    pub role: u8,
    reserved: u32,
}

impl PayloadEvent {
    /// Reads a record of the payload ring: the event, and its captured bytes; `None` where it is shorter than it says.
    pub fn read(record: &[u8]) -> Option<(&Self, &[u8])> {
        let (event, data) = Self::ref_from_prefix(record).ok()?;
        let captured = data.get(..event.captured as usize)?;
        Some((event, captured))
    }
}

/// The socket sent it.
pub const DIRECTION_SENT: u8 = 0;
/// The socket received it.
pub const DIRECTION_RECEIVED: u8 = 1;
/// TCP.
pub const IPPROTO_TCP: u8 = 6;
/// UDP.
pub const IPPROTO_UDP: u8 = 17;
/// ICMP.
pub const IPPROTO_ICMP: u8 = 1;
/// `ICMPv6`.
pub const IPPROTO_ICMPV6: u8 = 58;
/// The socket connected.
pub const ROLE_CLIENT: u8 = 1;
/// The socket was accepted.
pub const ROLE_SERVER: u8 = 2;

/// A TCP connection: opened, closed, or its counters so far.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TcpEvent {
    kind: u32,
    /// [`ROLE_CLIENT`], [`ROLE_SERVER`] or neither.
    pub role: u8,
    /// TCP flags seen since they were read last, both ways.
    pub tcp_flags: u8,
    /// State before the change, as the kernel numbers them.
    pub old_state: u8,
    /// State now.
    pub state: u8,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// The socket's owner.
    pub owner: Owner,
    /// The socket's ends.
    pub endpoints: Endpoints,
    /// When it opened, monotonic clock, nanoseconds; 0 where not seen.
    pub start_ns: u64,
    /// From the SYN to the established connection in nanoseconds; 0 where not seen.
    pub connect_ns: u64,
    /// Payload bytes sent, each once.
    pub bytes_sent: u64,
    /// Payload bytes received, each once.
    pub bytes_received: u64,
    /// Segments sent, the low 32 bits.
    pub packets_sent: u64,
    /// Segments received, the low 32 bits.
    pub packets_received: u64,
    /// Segments retransmitted.
    pub retransmits: u32,
    /// Smoothed round trip time in microseconds; 0 where unknown.
    pub rtt_us: u32,
    /// Smallest round trip time in microseconds; 0 or all ones where unknown.
    pub rtt_min_us: u32,
    /// Error of the socket (errno), 0 for none; ECONNABORTED where this end has reset the connection.
    pub error: u16,
    was_opened: u8,
    was_told: u8,
    /// Next sequence number to send.
    pub snd_nxt: u32,
    /// Next sequence number to receive.
    pub rcv_nxt: u32,
}

impl TcpEvent {
    /// Whether the opening of the connection was seen.
    pub fn was_opened(&self) -> bool {
        self.was_opened != 0
    }

    /// Whether a record before this one has told of the connection.
    pub fn was_told(&self) -> bool {
        self.was_told != 0
    }
}

/// Names the UDP traffic between one socket and one peer, or the ICMP echoes, of which the local port is the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct UdpKey {
    /// The socket's cookie.
    pub cookie: u64,
    /// The socket's ends.
    pub endpoints: Endpoints,
}

/// Counters of the UDP traffic between one socket and one peer.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct UdpCounters {
    /// First datagram, monotonic clock, nanoseconds.
    pub start_ns: u64,
    /// Latest datagram, monotonic clock, nanoseconds.
    pub last_ns: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// Smoothed round trip time of ICMP echo in nanoseconds; 0 where unknown.
    pub rtt_ns: u64,
    /// Smallest round trip time of ICMP echo in nanoseconds; 0 where unknown.
    pub rtt_min_ns: u64,
    echo_sent_ns: u64,
    /// The socket's owner.
    pub owner: Owner,
    announced: u32,
    echo_sequence: u16,
    /// Direction of the first datagram.
    pub first_direction: u8,
    /// [`IPPROTO_UDP`], [`IPPROTO_ICMP`] or [`IPPROTO_ICMPV6`].
    pub protocol: u8,
}

/// The first datagram between a UDP socket and a peer.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct UdpEvent {
    kind: u32,
    reserved: u32,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// Names its counters.
    pub key: UdpKey,
}

/// A UDP socket was closed by its last owner.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ReleaseEvent {
    kind: u32,
    reserved: u32,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// The socket's cookie.
    pub cookie: u64,
}

/// What to capture, as the programs read it.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct CaptureSettings {
    /// Counts the changes, from 1.
    pub generation: u32,
    /// Bytes of a message that are copied at most.
    pub message_prefix: u32,
    /// `PROTOCOL_...`
    pub protocols: u8,
    /// `CHECK_...`: which lists are not empty.
    pub checks: u8,
    /// Whether every cgroup is captured.
    pub capture_all: u8,
    /// Whether new cgroups are told.
    pub tell_cgroups: u8,
    /// Zero.
    pub reserved: u32,
}

/// A process began to run a program.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ExecEvent {
    kind: u32,
    filename_len: u32,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// The process.
    pub process: Owner,
    exe_len: u32,
    reserved: u32,
    filename: [u8; 256],
    exe: [u8; 512],
}

impl ExecEvent {
    /// The path that was executed, as it was given to execve(2) (at most 255 bytes).
    pub fn filename(&self) -> String {
        let length = (self.filename_len as usize).min(self.filename.len());
        String::from_utf8_lossy(&self.filename[..length]).into_owned()
    }

    /// The path of the executable, as `/proc/<pid>/exe` has it; `None` where it is too long to be told.
    pub fn exe(&self) -> Option<String> {
        path_of_names(self.exe.get(..self.exe_len as usize)?)
    }
}

/// The path whose names, the last first, each end with a 0.
fn path_of_names(names: &[u8]) -> Option<String> {
    let names = names.strip_suffix(&[0])?;
    let mut path = String::with_capacity(names.len() + 1);
    for name in names.rsplit(|byte| *byte == 0) {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(name));
    }
    Some(path)
}

/// A process ended.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ExitEvent {
    kind: u32,
    reserved: u32,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// The process.
    pub process: Owner,
}

/// A process began, as a copy of another.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ForkEvent {
    kind: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// The new process.
    pub process: Owner,
    /// Start of the parent, as [`Owner::start_ns`].
    pub parent_start_ns: u64,
    /// Which program the parent runs, as [`Owner::exec_id`].
    pub parent_exec_id: u32,
    reserved: u32,
}

/// A cgroup was made.
#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CgroupEvent {
    kind: u32,
    path_len: u32,
    /// When, monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// Its id.
    pub id: u64,
    path: [u8; 512],
}

impl CgroupEvent {
    /// Its path from the root of the hierarchy; `None` where it is too long to be told.
    pub fn path(&self) -> Option<String> {
        let path = self.path.get(..self.path_len as usize)?;
        (!path.is_empty()).then(|| String::from_utf8_lossy(path).into_owned())
    }
}

const _: () = {
    assert!(size_of::<Owner>() == 40);
    assert!(size_of::<Endpoints>() == 40);
    assert!(size_of::<PayloadEvent>() == 120);
    assert!(size_of::<TcpEvent>() == 176);
    assert!(size_of::<UdpKey>() == 48);
    assert!(size_of::<UdpCounters>() == 120);
    assert!(size_of::<UdpEvent>() == 64);
    assert!(size_of::<ReleaseEvent>() == 24);
    assert!(size_of::<ExecEvent>() == 832);
    assert!(size_of::<ExitEvent>() == 56);
    assert!(size_of::<ForkEvent>() == 72);
    assert!(size_of::<CgroupEvent>() == 536);
    assert!(size_of::<CaptureSettings>() == 16);
};

/// A record of the control ring.
#[derive(Debug, Clone)]
pub enum ControlEvent {
    /// A connection was established.
    TcpOpen(TcpEvent),
    /// A connection ended.
    TcpClose(TcpEvent),
    /// A socket listens.
    TcpListen(TcpEvent),
    /// A UDP socket met a new peer.
    UdpOpen(UdpEvent),
    /// A UDP socket was closed.
    SocketRelease(ReleaseEvent),
    /// A process began to run a program.
    ProcessExec(Box<ExecEvent>),
    /// A process began, as a copy of another.
    ProcessFork(ForkEvent),
    /// A process ended.
    ProcessExit(ExitEvent),
    /// A cgroup was made.
    CgroupCreate(Box<CgroupEvent>),
}

/// A record of an iterator over sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The counters of a connection.
    Counters,
    /// A connection that is open, or a socket that listens, and whose it is.
    Found,
    /// A connection that was told, and is not captured any more.
    LeftOut,
}

impl TcpEvent {
    /// What it is where an iterator has written it.
    pub fn reading(&self) -> Option<Reading> {
        match self.kind {
            3 => Some(Reading::Counters),
            8 => Some(Reading::Found),
            12 => Some(Reading::LeftOut),
            _ => None,
        }
    }
}

impl ControlEvent {
    /// Reads a record of the control ring; `None` for one of unknown kind or of the wrong size.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, _) = u32::read_from_prefix(bytes).ok()?;
        Some(match kind {
            1 => Self::TcpOpen(TcpEvent::read_from_prefix(bytes).ok()?.0),
            2 => Self::TcpClose(TcpEvent::read_from_prefix(bytes).ok()?.0),
            9 => Self::TcpListen(TcpEvent::read_from_prefix(bytes).ok()?.0),
            4 => Self::UdpOpen(UdpEvent::read_from_prefix(bytes).ok()?.0),
            5 => Self::SocketRelease(ReleaseEvent::read_from_prefix(bytes).ok()?.0),
            6 => Self::ProcessExec(Box::new(ExecEvent::read_from_prefix(bytes).ok()?.0)),
            7 => Self::ProcessExit(ExitEvent::read_from_prefix(bytes).ok()?.0),
            10 => Self::ProcessFork(ForkEvent::read_from_prefix(bytes).ok()?.0),
            11 => Self::CgroupCreate(Box::new(CgroupEvent::read_from_prefix(bytes).ok()?.0)),
            _ => return None,
        })
    }

    /// When it happened, monotonic clock, nanoseconds; `None` for the events whose order does not matter.
    pub fn time_ns(&self) -> Option<u64> {
        match self {
            Self::TcpOpen(event) | Self::TcpClose(event) | Self::TcpListen(event) => {
                Some(event.time_ns)
            }
            Self::UdpOpen(event) => Some(event.time_ns),
            Self::SocketRelease(event) => Some(event.time_ns),
            Self::ProcessExec(_)
            | Self::ProcessFork(_)
            | Self::ProcessExit(_)
            | Self::CgroupCreate(_) => None,
        }
    }
}

/// Where programs are attached, in the order of `enum hook`.
pub const HOOKS: [&str; 10] = [
    "cgroup_skb/egress",
    "cgroup_skb/ingress",
    "cgroup/sock_create",
    "cgroup/sock_release",
    "tp_btf/inet_sock_set_state",
    "tp_btf/sched_process_exec",
    "tp_btf/sched_process_exit",
    "iter/task_file",
    "tp_btf/sched_process_fork",
    "tp_btf/cgroup_mkdir",
];

/// The reason for lost control records.
pub const CONTROL_RING_FULL: &str = "control_ring_full";

/// Reasons of the kernel's losses, in the order of `enum loss_reason`.
pub const LOSS_REASONS: [&str; 5] = [
    "payload_ring_full",
    CONTROL_RING_FULL,
    "packet_unreadable",
    "udp_table_full",
    "socket_state_full",
];

/// What lost bytes began, in the order of `enum message_kind`; `None` where they were inside a message or of none.
pub const MESSAGE_KINDS: [Option<&str>; 4] = [None, Some("request"), Some("response"), Some("dns")];

/// What passed at a hook, in the order of `enum total_kind`: packets by what they were, and records handed over.
pub const TOTAL_KINDS: [&str; 10] = [
    "packets_continued",
    "packets_request",
    "packets_response",
    "packets_dns",
    "packets_empty",
    "packets_other_protocol",
    "packets_other_transport",
    "packets_lost",
    "packets_left_out",
    "records",
];

/// Why traffic was left out by choice, in the order of `enum choice` from 1 on. Cgroups that are not chosen cost nothing,
/// and their traffic is not counted.
pub const LEFT_OUT_REASONS: [&str; 4] = ["process", "port", "address", "protocol"];

/// Events and bytes of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Tally {
    /// How many.
    pub events: u64,
    /// How many bytes they held.
    pub bytes: u64,
}

impl Tally {
    /// Counts one event of so many bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_up_to_the_root_make_a_path() {
        assert_eq!(
            path_of_names(b"python3.11\0bin\0usr\0").as_deref(),
            Some("/usr/bin/python3.11")
        );
        assert_eq!(path_of_names(b""), None);
        assert_eq!(path_of_names(b"cut"), None);
    }
}
