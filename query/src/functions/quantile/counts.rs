//! Counts of neighbouring buckets.

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
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (narrow, wide): (&[u32], &[u64]) = match self {
            Self::Narrow(counts) => (counts, &[]),
            Self::Wide(counts) => (&[], counts),
        };
        let narrow = narrow.iter().map(|count| u64::from(*count)).enumerate();
        let wide = wide.iter().copied().enumerate();
        narrow.chain(wide).filter(|(_, count)| *count > 0)
    }

    pub(super) fn add(&mut self, index: usize, more: u64) {
        match self {
            Self::Narrow(counts) => {
                let sum = u64::from(counts[index]).saturating_add(more);
                if let Ok(sum) = u32::try_from(sum) {
                    counts[index] = sum;
                } else {
                    let mut wide: Vec<u64> = counts.iter().copied().map(u64::from).collect();
                    wide[index] = sum;
                    *self = Self::Wide(wide);
                }
            }
            Self::Wide(counts) => counts[index] = counts[index].saturating_add(more),
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
