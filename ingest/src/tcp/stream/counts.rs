//! Sums over a stream.

/// What a [`Stream`](super::Stream) has seen so far, in bytes of payload unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given out with their content.
    pub data_bytes: u64,
    /// Given out as [`NotCopied`](crate::tcp::GapCause::NotCopied).
    pub not_copied_bytes: u64,
    /// Given out as [`Missing`](crate::tcp::GapCause::Missing).
    pub missing_bytes: u64,
    /// Segments that repeated at least one byte.
    pub retransmitted_segments: u64,
    /// Bytes that were repeated.
    pub retransmitted_bytes: u64,
    /// Segments that repeated bytes with other content than the first copy (which wins).
    pub conflicting_segments: u64,
    /// Keep-alive probes: one old byte.
    pub keep_alives: u64,
    /// Bytes of those segments that differ from the first copy.
    pub conflicting_bytes: u64,
    /// Segments with bytes beyond the FIN or far outside of any window.
    pub ignored_segments: u64,
    /// Segments with bytes before the start, which is that of the first segment seen where the stream was joined late.
    pub before_start_segments: u64,
    /// Those bytes.
    pub before_start_bytes: u64,
}

impl Counts {
    /// Payload bytes of the stream, each counted once, by sequence number: given out with or without content.
    pub const fn stream_bytes(&self) -> u64 {
        self.data_bytes + self.not_copied_bytes + self.missing_bytes
    }
}
