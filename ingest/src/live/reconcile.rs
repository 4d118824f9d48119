//! What is open, after records of the ends of connections were lost.

/// Readings of all open connections that show which are open no more. The walk over the sockets can miss one while others
/// come and go, so several in a row have to have missed it.
const READINGS: u8 = 3;

/// Whether all open connections have to be read, and how often they were. Times are of the kernel's monotonic clock, in
/// nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Reconciliation {
    under_way: Option<UnderWay>,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    since_ns: u64,
    readings: u8,
    /// Whether more was lost since the first reading.
    is_needed_again: bool,
}

impl UnderWay {
    const fn beginning_at(now_ns: u64) -> Self {
        Self {
            since_ns: now_ns,
            readings: 0,
            is_needed_again: false,
        }
    }
}

impl Reconciliation {
    /// Control records were lost up to `now_ns`.
    pub(super) fn is_needed(&mut self, now_ns: u64) {
        let under_way = self.under_way.get_or_insert(UnderWay::beginning_at(now_ns));
        under_way.is_needed_again |= under_way.readings > 0;
    }

    /// Whether all that is open has to be read.
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// All that is open was read at `now_ns`: since when something was told of each, if that was often enough.
    pub(super) fn all_was_read(&mut self, now_ns: u64) -> Option<u64> {
        let under_way = self.under_way.as_mut()?;
        under_way.readings += 1;
        if under_way.readings < READINGS {
            return None;
        }
        let UnderWay {
            since_ns,
            is_needed_again,
            ..
        } = *under_way;
        self.under_way = is_needed_again.then(|| UnderWay::beginning_at(now_ns));
        Some(since_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_readings_are_enough_also_while_losses_go_on() {
        let mut reconciliation = Reconciliation::default();
        assert!(!reconciliation.is_under_way());
        let mut told = Vec::new();
        for second in 1..=7 {
            if second <= 4 {
                reconciliation.is_needed(second);
            }
            if reconciliation.is_under_way() {
                told.extend(reconciliation.all_was_read(second));
            }
        }
        // The second round reads what was lost after the first reading of the first.
        assert_eq!(told, [1, 3]);
        assert!(!reconciliation.is_under_way());
    }
}
