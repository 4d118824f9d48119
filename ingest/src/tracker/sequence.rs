//! Counting what one end of a connection sent, by sequence numbers.

use crate::packet::Nanos;

/// Holes that are remembered; with more, a segment that fills a forgotten one counts as retransmitted.
const MAX_HOLES: usize = 64;

/// The largest window of TCP (RFC 7323). A segment that begins further ahead cannot belong to the connection.
const MAX_AHEAD: i64 = 1 << 30;

/// How far before the first segment seen a later one can begin that was overtaken by it.
const MAX_BEFORE_JOIN: i64 = 1 << 20;

/// A segment that fills a hole later than this was sent again; before, it was overtaken on its way. (The bound that
/// Wireshark uses where it knows no round trip time.)
const REORDER_WINDOW: Nanos = 3_000_000;

/// What a segment added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Added {
    /// Bytes that passed since the last segment, those of lost packets included.
    pub(super) new_bytes: u64,
    /// Whether it was sent before.
    pub(super) is_retransmission: bool,
}

/// How far one end has come in its sequence space. Every byte of it counts once, whether its packet was captured or
/// not, since later sequence numbers prove that it passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    /// Sequence number of the next byte.
    next: Option<u32>,
    /// Bytes since the start, up to `next`.
    total: i64,
    /// Where the earliest byte was that counts: before the start, where that is only the first segment seen.
    earliest: i64,
    /// When the first segment was seen of an end whose start was not.
    joined: Option<Nanos>,
    /// Runs below `total` that no packet held: from, to, and when they were found.
    holes: Vec<(i64, i64, Nanos)>,
    is_closed: bool,
}

impl Sequence {
    /// Starts at `seq`: the number after a SYN's, or what the kernel tells. Ignored once data has come; what came before
    /// without data may have been of an earlier connection.
    pub(super) fn start(&mut self, seq: u32) {
        let is_empty = self.total == 0 && self.earliest == 0 && !self.is_closed;
        if self.next.is_none() || (is_empty && self.joined.is_some()) {
            self.next = Some(seq);
            self.joined = None;
        }
    }

    /// Sequence number of the next byte, once known.
    pub(super) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Takes a segment of `len` payload bytes that begins at `seq`.
    pub(super) fn add(&mut self, time: Nanos, seq: u32, len: u32) -> Added {
        if self.next.is_none() {
            self.joined = Some(time);
        }
        let next = *self.next.get_or_insert(seq);
        // The signed distance of two sequence numbers is right as long as they are less than 2^31 apart.
        let ahead = i64::from(seq.wrapping_sub(next).cast_signed());
        if ahead > MAX_AHEAD {
            return Added::default();
        }
        let start = self.total + i64::from(self.is_closed) + ahead;
        let end = start + i64::from(len);
        if self.is_closed && ahead >= 0 {
            return Added::default();
        }
        // Behind a FIN that was lost, or is yet to come: it takes a number and is no byte. Data behind that number would
        // show that it was one.
        if ahead == 1 && len == 0 {
            return Added::default();
        }
        if let Some(before) = self.before_join(time, start, len) {
            return before;
        }
        let is_keep_alive = len <= 1 && ahead == -1;
        let mut is_retransmission = false;
        if len > 0 && start < self.total && !is_keep_alive {
            is_retransmission = !self.fill(time, start, end.min(self.total));
        }
        if ahead > 0 {
            self.remember_hole(self.total, start, time);
        }
        let new_bytes = end.saturating_sub(self.total).max(0);
        self.total = self.total.saturating_add(new_bytes);
        self.next = Some(next.wrapping_add(new_bytes as u32));
        Added {
            new_bytes: new_bytes as u64,
            is_retransmission,
        }
    }

    /// What a segment adds that stands before the first one seen, but came so shortly after it that it was overtaken.
    fn before_join(&mut self, time: Nanos, start: i64, len: u32) -> Option<Added> {
        let joined = self.joined?;
        let is_late = time.saturating_sub(joined) <= REORDER_WINDOW;
        let is_before = start < self.earliest && self.earliest - start <= MAX_BEFORE_JOIN;
        if len <= 1 || !is_late || !is_before {
            return None;
        }
        let end = start + i64::from(len);
        if end < self.earliest {
            self.remember_hole(end, self.earliest, time);
        }
        let new_bytes = (self.earliest - start) as u64;
        self.earliest = start;
        Some(Added {
            new_bytes,
            is_retransmission: false,
        })
    }

    /// A FIN stands behind everything so far: it takes a number, but is no byte.
    pub(super) fn close(&mut self) {
        if let Some(next) = &mut self.next
            && !self.is_closed
        {
            *next = next.wrapping_add(1);
            self.is_closed = true;
        }
    }

    fn remember_hole(&mut self, from: i64, to: i64, time: Nanos) {
        if self.holes.len() >= MAX_HOLES {
            self.holes.remove(0);
        }
        self.holes.push((from, to, time));
    }

    /// Takes what a late segment holds out of the holes; whether it only came late, and was not sent again.
    fn fill(&mut self, time: Nanos, start: i64, end: i64) -> bool {
        let mut is_late = false;
        let mut left = Vec::new();
        self.holes.retain(|&(from, to, found)| {
            if end <= from || to <= start {
                return true;
            }
            is_late |= time.saturating_sub(found) <= REORDER_WINDOW;
            left.extend([(from, start.min(to), found), (end.max(from), to, found)]);
            false
        });
        left.retain(|(from, to, _)| from < to);
        self.holes.extend(left);
        self.holes.truncate(MAX_HOLES);
        is_late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(sequence: &mut Sequence, seq: u32, len: u32) -> (u64, bool) {
        let added = sequence.add(0, seq, len);
        (added.new_bytes, added.is_retransmission)
    }

    #[test]
    fn each_byte_counts_once_across_the_wrap() {
        let mut sequence = Sequence::default();
        sequence.start(u32::MAX - 9);
        assert_eq!(add(&mut sequence, u32::MAX - 9, 20), (20, false));
        assert_eq!(add(&mut sequence, u32::MAX - 9, 20), (0, true));
        assert_eq!(add(&mut sequence, 5, 10), (5, true));
        assert_eq!(sequence.next(), Some(15));
    }

    #[test]
    fn lost_bytes_count_when_later_numbers_prove_them() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 100, 10), (10, false));
        assert_eq!(add(&mut sequence, 160, 0), (50, false));
    }

    #[test]
    fn a_late_segment_is_no_retransmission_and_the_same_again_is() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 0, 10), (10, false));
        assert_eq!(add(&mut sequence, 30, 10), (30, false));
        assert_eq!(add(&mut sequence, 20, 10), (0, false));
        assert_eq!(add(&mut sequence, 20, 10), (0, true));
        assert_eq!(add(&mut sequence, 10, 10), (0, false));
        let much_later = REORDER_WINDOW + 1;
        assert_eq!(add(&mut sequence, 60, 10), (30, false));
        assert!(sequence.add(much_later, 40, 20).is_retransmission);
    }

    #[test]
    fn what_was_overtaken_by_the_first_segment_seen_counts() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 30, 10), (10, false));
        assert_eq!(add(&mut sequence, 10, 10), (20, false));
        assert_eq!(add(&mut sequence, 20, 10), (0, false));
        assert_eq!(add(&mut sequence, 10, 10), (0, true));
        assert_eq!(add(&mut sequence, 40, 10), (10, false));
        let much_later = REORDER_WINDOW + 1;
        let added = sequence.add(much_later, 0, 10);
        assert_eq!((added.new_bytes, added.is_retransmission), (0, true));

        let mut sequence = Sequence::default();
        sequence.start(30);
        assert_eq!(add(&mut sequence, 30, 10), (10, false));
        assert_eq!(add(&mut sequence, 20, 10), (0, true));
    }

    #[test]
    fn what_came_before_the_start_without_data_tells_no_number() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 3_738_406_957, 0), (0, false));
        sequence.start(4_081_086_535);
        assert_eq!(add(&mut sequence, 4_081_086_535, 10), (10, false));
        sequence.start(7);
        assert_eq!(add(&mut sequence, 4_081_086_545, 10), (10, false));
    }

    #[test]
    fn a_fin_is_no_byte() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 1, 10), (10, false));
        sequence.close();
        sequence.close();
        assert_eq!(add(&mut sequence, 12, 0), (0, false));
        assert_eq!(add(&mut sequence, 1, 10), (0, true));
    }

    #[test]
    fn a_number_that_is_skipped_without_data_behind_it_is_a_fin() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 1, 10), (10, false));
        assert_eq!(add(&mut sequence, 12, 0), (0, false));
        assert_eq!(add(&mut sequence, 11, 0), (0, false));
        sequence.close();
        assert_eq!(add(&mut sequence, 12, 0), (0, false));

        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 1, 10), (10, false));
        assert_eq!(add(&mut sequence, 12, 0), (0, false));
        assert_eq!(add(&mut sequence, 12, 5), (6, false));
    }

    #[test]
    fn a_keep_alive_is_no_retransmission() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 1, 10), (10, false));
        assert_eq!(add(&mut sequence, 10, 1), (0, false));
    }

    #[test]
    fn a_number_beyond_every_window_is_not_believed() {
        let mut sequence = Sequence::default();
        assert_eq!(add(&mut sequence, 0, 10), (10, false));
        assert_eq!(add(&mut sequence, 1 << 31, 10), (0, false));
        assert_eq!(add(&mut sequence, 10, 10), (10, false));
    }
}
