//! Round trip times as a point on the wire can see them.
//!
//! Such a point sees how long one end takes to acknowledge: half of the trip for each end, and their sum is the whole,
//! wherever the point is.

use crate::packet::Nanos;

/// The half of the round trip between the point of capture and one end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HalfTrip {
    /// The end of a segment, sent towards this end, whose acknowledgment is waited for; and when it passed.
    waiting: Option<(u32, Nanos)>,
    smoothed: Option<i64>,
    smallest: Option<i64>,
}

impl HalfTrip {
    /// A segment up to `end` passed towards this end.
    pub(super) fn sent(&mut self, time: Nanos, end: u32) {
        self.waiting.get_or_insert((end, time));
    }

    /// Something was sent again: its acknowledgment could be for either (Karn's rule).
    pub(super) fn sent_again(&mut self) {
        self.waiting = None;
    }

    /// This end acknowledged everything before `ack`.
    pub(super) fn acknowledged(&mut self, time: Nanos, ack: u32) {
        let Some((end, sent)) = self.waiting else {
            return;
        };
        if ack.wrapping_sub(end).cast_signed() < 0 {
            return;
        }
        self.waiting = None;
        let sample = time.saturating_sub(sent);
        if sample < 0 {
            return;
        }
        self.smoothed = Some(smooth(self.smoothed, sample));
        self.smallest = Some(
            self.smallest
                .map_or(sample, |smallest| smallest.min(sample)),
        );
    }
}

/// The smoothed round trip time after another sample, as RFC 6298 smooths.
pub(super) fn smooth(smoothed: Option<i64>, sample: i64) -> i64 {
    match smoothed {
        Some(smoothed) => smoothed - smoothed / 8 + sample / 8,
        None => sample,
    }
}

/// Smoothed and smallest round trip time from both halves, in nanoseconds.
pub(super) fn whole(halves: [&HalfTrip; 2]) -> (Option<i64>, Option<i64>) {
    let [one, other] = halves;
    let add = |one: Option<i64>, other: Option<i64>| Some(one?.saturating_add(other?));
    (
        add(one.smoothed, other.smoothed),
        add(one.smallest, other.smallest),
    )
}
