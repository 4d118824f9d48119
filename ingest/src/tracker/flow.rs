//! What passed on a connection, and how much of that is in rows already.

use super::event::Counters;
use crate::packet::Nanos;
use crate::tcp::Side;

/// Place of a side in an array of two.
pub(super) const fn index(side: Side) -> usize {
    match side {
        Side::Initiator => 0,
        Side::Responder => 1,
    }
}

/// Sums since the connection began; of two, the first is what the initiator sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) bytes: [u64; 2],
    pub(super) packets: [u64; 2],
    pub(super) retransmits: u64,
}

impl Totals {
    /// What came since `earlier`.
    fn since(&self, earlier: &Self) -> Self {
        let subtract = |now: [u64; 2], then: [u64; 2]| {
            [0, 1].map(|end: usize| now[end].saturating_sub(then[end]))
        };
        Self {
            bytes: subtract(self.bytes, earlier.bytes),
            packets: subtract(self.packets, earlier.packets),
            retransmits: self.retransmits.saturating_sub(earlier.retransmits),
        }
    }

    fn max(&self, other: &Self) -> Self {
        let max =
            |one: [u64; 2], other: [u64; 2]| [0, 1].map(|end: usize| one[end].max(other[end]));
        Self {
            bytes: max(self.bytes, other.bytes),
            packets: max(self.packets, other.packets),
            retransmits: self.retransmits.max(other.retransmits),
        }
    }
}

/// What becomes the rows of `flows` of one connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) totals: Totals,
    /// The part of `totals` that is in rows already.
    reported: Totals,
    pub(super) rtt_ns: Option<i64>,
    pub(super) rtt_min_ns: Option<i64>,
    pub(super) connect_ns: Option<i64>,
    /// TCP flags since the last row.
    pub(super) tcp_flags: u8,
    /// Whether its opening was seen, so that its first row says `open`.
    pub(super) was_opened: bool,
    pub(super) rows: u64,
    /// When its next row is due.
    pub(super) next_row: Nanos,
}

impl Flow {
    /// A flow without traffic.
    pub(super) fn new(was_opened: bool, next_row: Nanos) -> Self {
        Self {
            totals: Totals::default(),
            reported: Totals::default(),
            rtt_ns: None,
            rtt_min_ns: None,
            connect_ns: None,
            tcp_flags: 0,
            was_opened,
            rows: 0,
            next_row,
        }
    }

    /// Takes the kernel's counters; `local` is the end that they are of. They may come out of order, so none goes back.
    pub(super) fn set_counters(&mut self, counters: &Counters, local: Side) {
        let of_ends = |sent: u64, received: u64| match local {
            Side::Initiator => [sent, received],
            Side::Responder => [received, sent],
        };
        let totals = Totals {
            bytes: of_ends(counters.bytes_sent, counters.bytes_received),
            packets: of_ends(counters.packets_sent, counters.packets_received),
            retransmits: counters.retransmits,
        };
        self.totals = self.totals.max(&totals);
        self.rtt_ns = counters.rtt_ns.or(self.rtt_ns);
        self.rtt_min_ns = counters.rtt_min_ns.or(self.rtt_min_ns);
        self.tcp_flags |= counters.tcp_flags;
    }

    /// Counts from here: what passed before this capture is not in its rows.
    pub(super) fn start_from_totals(&mut self) {
        self.reported = self.totals;
    }

    /// What no row tells yet.
    pub(super) fn unreported(&self) -> Totals {
        self.totals.since(&self.reported)
    }

    /// What no row tells yet, which a row tells now.
    pub(super) fn report(&mut self) -> Totals {
        let unreported = self.unreported();
        self.reported = self.totals;
        self.rows += 1;
        unreported
    }
}
