//! Counting what one end of a connection sent, by sequence numbers.

use crate::packet::Nanos;
use crate::tcp::Starts;

/// Holes that are remembered; with more, a segment that fills a forgotten one counts as retransmitted.
const MAX_HOLES: usize = 64;

/// The largest window of TCP (RFC 7323). A segment that begins further ahead cannot belong to the connection.
const MAX_AHEAD: i64 = 1 << 30;

/// How far before the first segment seen a later one can begin that was overtaken by it.
const MAX_BEFORE_JOIN: i64 = 1 << 20;

/// A segment that fills a hole later than this, and than a round trip, was sent again; before, it was overtaken on its
/// way. (The bounds that Wireshark uses.)
const REORDER_WINDOW: Nanos = 3_000_000;

/// What is further ahead than this is believed when something else shows it too.
const DOUBTFUL: i64 = 1 << 24;

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
    /// Where a segment ended that was too far ahead to be believed alone.
    doubted: Option<u32>,
    /// Where SYNs said that it starts.
    starts: Starts,
    is_closed: bool,
}

impl Sequence {
    /// Starts at `seq`: the number after a SYN's, or what the kernel tells. Ignored once data has come; what came before
    /// without data may have been of an earlier connection.
    ///
    /// Of several numbers the last counts, until [`Self::acknowledged`] or data tells which it is.
    pub(super) fn start(&mut self, seq: u32) {
        if self.next.is_none() || self.is_empty() {
            self.starts.note(seq);
            self.next = Some(seq);
            self.joined = None;
        }
    }

    /// Takes what the other end acknowledges, and tells how many bytes that has shown to have passed.
    pub(super) fn acknowledged(&mut self, ack: u32) -> u64 {
        if self.is_empty() && self.starts.may_be(ack) {
            self.next = Some(ack);
        }
        // Nobody acknowledges what was not sent.
        if let (Some(next), Some(doubted)) = (self.next, self.doubted)
            && distance(doubted, ack) == 0
        {
            self.doubted = None;
            return self.pass(distance(next, ack));
        }
        0
    }

    fn is_empty(&self) -> bool {
        self.total == 0 && self.earliest == 0 && !self.is_closed
    }

    /// Goes on by so many bytes.
    fn pass(&mut self, bytes: i64) -> u64 {
        let bytes = bytes.max(0);
        self.total = self.total.saturating_add(bytes);
        self.next = self.next.map(|next| next.wrapping_add(bytes as u32));
        bytes as u64
    }

    /// Sequence number of the next byte, once known.
    pub(super) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Takes a segment of `len` payload bytes that begins at `seq`. `rtt`: the least round trip so far, 0 where it is not
    /// known.
    pub(super) fn add(&mut self, time: Nanos, seq: u32, len: u32, rtt: Nanos) -> Added {
        if self.next.is_none() {
            self.joined = Some(time);
        } else if len > 0 && self.is_empty() && self.starts.may_be(seq) {
            self.next = Some(seq);
        }
        let next = *self.next.get_or_insert(seq);
        let ahead = distance(next, seq);
        if ahead > MAX_AHEAD {
            return Added::default();
        }
        let is_confirmed = |doubted| (0..DOUBTFUL).contains(&distance(doubted, seq));
        if ahead > DOUBTFUL && !self.doubted.is_some_and(is_confirmed) {
            self.doubted = Some(seq.wrapping_add(len));
            return Added::default();
        }
        self.doubted = None;
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
            is_retransmission = !self.fill(time, start, end.min(self.total), rtt);
        }
        if ahead > 0 {
            self.remember_hole(self.total, start, time);
        }
        Added {
            new_bytes: self.pass(end.saturating_sub(self.total)),
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
    fn fill(&mut self, time: Nanos, start: i64, end: i64, rtt: Nanos) -> bool {
        let window = REORDER_WINDOW.max(rtt);
        let mut is_late = false;
        let mut left = Vec::new();
        self.holes.retain(|&(from, to, found)| {
            if end <= from || to <= start {
                return true;
            }
            is_late |= time.saturating_sub(found) <= window;
            left.extend([(from, start.min(to), found), (end.max(from), to, found)]);
            false
        });
        left.retain(|(from, to, _)| from < to);
        self.holes.extend(left);
        self.holes.truncate(MAX_HOLES);
        is_late
    }
}

/// How far a number is ahead of another, which is right as long as they are less than 2^31 apart.
fn distance(from: u32, to: u32) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(sequence: &mut Sequence, seq: u32, len: u32) -> (u64, bool) {
        let added = sequence.add(0, seq, len, 0);
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
        assert!(sequence.add(much_later, 40, 20, 0).is_retransmission);
        assert_eq!(add(&mut sequence, 90, 10), (30, false));
        assert!(
            !sequence
                .add(much_later, 80, 10, much_later)
                .is_retransmission
        );
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
        let added = sequence.add(much_later, 0, 10, 0);
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
    fn of_several_starts_that_counts_which_was_acknowledged_or_has_data() {
        for is_acknowledged in [true, false] {
            let mut sequence = Sequence::default();
            for start in [10, 99_000_000, 3_000_000_000] {
                sequence.start(start);
            }
            assert_eq!(sequence.next(), Some(3_000_000_000));
            if is_acknowledged {
                assert_eq!(sequence.acknowledged(99_000_000), 0);
                assert_eq!(sequence.next(), Some(99_000_000));
            }
            assert_eq!(add(&mut sequence, 99_000_000, 7), (7, false));
            sequence.start(10);
            assert_eq!(sequence.acknowledged(10), 0);
            assert_eq!(add(&mut sequence, 99_000_007, 3), (3, false));
        }
    }

    #[test]
    fn what_is_far_ahead_counts_when_something_else_shows_it() {
        const FAR: u32 = 1 << 29;
        let begun = || {
            let mut sequence = Sequence::default();
            assert_eq!(add(&mut sequence, 0, 10), (10, false));
            assert_eq!(add(&mut sequence, FAR, 10), (0, false));
            sequence
        };
        let mut goes_on = begun();
        assert_eq!(add(&mut goes_on, 10, 10), (10, false));
        assert_eq!(add(&mut goes_on, FAR + 10, 10), (0, false));
        assert_eq!(
            add(&mut goes_on, FAR + 20, 10),
            (u64::from(FAR) + 10, false)
        );
        let mut follows = begun();
        assert_eq!(add(&mut follows, FAR + 10, 5), (u64::from(FAR) + 5, false));
        let mut acknowledged = begun();
        assert_eq!(acknowledged.acknowledged(FAR + 10), u64::from(FAR));
        assert_eq!(acknowledged.next(), Some(FAR + 10));
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
