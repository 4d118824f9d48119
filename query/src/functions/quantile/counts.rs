//! Counts of neighbouring buckets.

use std::iter::Enumerate;
use std::slice::Iter;

/// Counts that are 32 bits wide until one of them needs more: there are thousands in a sketch, and hardly ever so many
/// values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counts {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self::Narrow(Vec::new())
    }

    /// Those that are not 0, with their places.
    pub(super) fn filled(&self) -> Filled<'_> {
        match self {
            Self::Narrow(counts) => Filled::Narrow(counts.iter().enumerate()),
            Self::Wide(counts) => Filled::Wide(counts.iter().enumerate()),
        }
    }

    #[inline]
    pub(super) fn add(&mut self, index: usize, more: u64) {
        match self {
            Self::Narrow(counts) => {
                let sum = u64::from(counts[index]).saturating_add(more);
                if let Ok(sum) = u32::try_from(sum) {
                    counts[index] = sum;
                } else {
                    self.widen();
                    self.add(index, more);
                }
            }
            Self::Wide(counts) => counts[index] = counts[index].saturating_add(more),
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Self::Narrow(counts) = self {
            *self = Self::Wide(counts.iter().copied().map(u64::from).collect());
        }
    }

    /// Puts `many` zeros before what stands at `index`.
    pub(super) fn insert_zeros(&mut self, index: usize, many: usize) {
        match self {
            Self::Narrow(counts) => {
                counts.splice(index..index, std::iter::repeat_n(0, many));
            }
            Self::Wide(counts) => {
                counts.splice(index..index, std::iter::repeat_n(0, many));
            }
        }
    }

    /// Makes one bucket of every two.
    pub(super) fn halve(&mut self) {
        let wide = match self {
            Self::Narrow(counts) => counts
                .chunks(2)
                .map(|pair| pair.iter().copied().map(u64::from).sum())
                .collect(),
            Self::Wide(counts) => counts
                .chunks(2)
                .map(|pair| pair.iter().copied().fold(0, u64::saturating_add))
                .collect::<Vec<u64>>(),
        };
        let narrow: Result<Vec<u32>, _> = wide.iter().copied().map(u32::try_from).collect();
        *self = narrow.map_or(Self::Wide(wide), Self::Narrow);
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Narrow(counts) => counts.capacity() * size_of::<u32>(),
            Self::Wide(counts) => counts.capacity() * size_of::<u64>(),
        }
    }
}

/// The counts that are not 0, with their places.
pub(super) enum Filled<'a> {
    Narrow(Enumerate<Iter<'a, u32>>),
    Wide(Enumerate<Iter<'a, u64>>),
}

impl Iterator for Filled<'_> {
    type Item = (usize, u64);

    #[inline]
    fn next(&mut self) -> Option<(usize, u64)> {
        match self {
            Self::Narrow(counts) => counts
                .find(|(_, count)| **count > 0)
                .map(|(place, count)| (place, u64::from(*count))),
            Self::Wide(counts) => counts
                .find(|(_, count)| **count > 0)
                .map(|(place, count)| (place, *count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_beyond_32_bits_is_kept_and_one_beyond_64_stays_at_the_end() {
        let mut counts = Counts::new();
        counts.insert_zeros(0, 2);
        counts.add(1, u64::from(u32::MAX));
        assert!(matches!(counts, Counts::Narrow(_)));
        counts.add(1, 1);
        counts.add(0, 5);
        let filled = |counts: &Counts| counts.filled().collect::<Vec<_>>();
        assert_eq!(filled(&counts), [(0, 5), (1, 1 << 32)]);
        counts.halve();
        assert_eq!(filled(&counts), [(0, (1 << 32) + 5)]);
        counts.add(0, u64::MAX);
        assert_eq!(filled(&counts), [(0, u64::MAX)]);
    }

    #[test]
    fn halving_adds_neighbours() {
        let mut counts = Counts::new();
        counts.insert_zeros(0, 4);
        for index in 0..4 {
            counts.add(index, 1 << index);
        }
        counts.halve();
        assert_eq!(counts, Counts::Narrow(vec![3, 12]));
    }
}
