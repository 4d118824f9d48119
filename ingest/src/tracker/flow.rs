//! What passed on a connection, and how much of that is in rows already.

use super::event::Counters;
use super::round_trip;
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

    /// Where the sums stand once counters of the kernel say `now`.
    fn advance(&self, now: &Self) -> Self {
        let of_both = |ends: fn(&Self) -> [u64; 2], advance: fn(u64, u64) -> u64| {
            [0, 1].map(|end: usize| advance(ends(self)[end], ends(now)[end]))
        };
        Self {
            bytes: of_both(|totals| totals.bytes, u64::max),
            packets: of_both(|totals| totals.packets, advance_count),
            retransmits: advance_count(self.retransmits, now.retransmits),
        }
    }
}

/// Where a count stands that stood at `before`, once a counter says `now`: one of 64 bits, or the low 32 bits of it. An
/// older reading moves nothing.
fn advance_count(before: u64, now: u64) -> u64 {
    let Ok(now_low) = u32::try_from(now) else {
        return before.max(now);
    };
    let passed = now_low.wrapping_sub(before as u32);
    // Less than half of the range is ahead, more is behind.
    before.saturating_add(u64::try_from(passed.cast_signed()).unwrap_or(0))
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
    /// The ICMP echo that waits for its reply: its number, and when it passed.
    waiting_echo: Option<(u16, Nanos)>,
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
            waiting_echo: None,
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
        self.totals = self.totals.advance(&totals);
        self.rtt_ns = counters.rtt_ns.or(self.rtt_ns);
        self.rtt_min_ns = counters.rtt_min_ns.or(self.rtt_min_ns);
        self.tcp_flags |= counters.tcp_flags;
    }

    /// An ICMP echo passed: a round trip is measured where no other request passed before the reply.
    pub(super) fn echo(&mut self, time: Nanos, sequence: u16, is_reply: bool) {
        if !is_reply {
            self.waiting_echo = Some((sequence, time));
            return;
        }
        let waiting = self
            .waiting_echo
            .take_if(|(waiting, _)| *waiting == sequence);
        let Some(sample) = waiting.map(|(_, sent)| time.saturating_sub(sent)) else {
            return;
        };
        if sample >= 0 {
            self.rtt_ns = Some(round_trip::smooth(self.rtt_ns, sample));
            self.rtt_min_ns = Some(self.rtt_min_ns.map_or(sample, |least| least.min(sample)));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_where_the_counters_of_the_kernel_wrap() {
        const WRAP: u64 = 1 << 32;
        assert_eq!(advance_count(0, 5), 5);
        assert_eq!(advance_count(WRAP - 2, 3), WRAP + 3);
        assert_eq!(advance_count(3 * WRAP + 7, 9), 3 * WRAP + 9);
        // An older reading, before and across the wrap.
        assert_eq!(advance_count(9, 5), 9);
        assert_eq!(advance_count(WRAP + 1, WRAP - 1), WRAP + 1);
        // A counter of 64 bits (UDP).
        assert_eq!(advance_count(WRAP - 1, WRAP + 4), WRAP + 4);
        assert_eq!(advance_count(2 * WRAP, 2 * WRAP + 1), 2 * WRAP + 1);
    }
}
