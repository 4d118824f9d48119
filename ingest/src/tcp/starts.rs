//! Where one side's stream may begin, by its SYNs.

/// Numbers that are remembered; the oldest gives way.
const MOST: usize = 4;

/// The first numbers that the SYNs of one side gave its stream, where they said different ones: a server that was asked
/// again, or a device on the way, answers with other numbers, and the peer takes one. Which one shows when the peer
/// acknowledges it, or when data begins there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Starts {
    newest: Option<u32>,
    older: Vec<u32>,
}

impl Starts {
    /// Notes where a SYN says that the stream begins.
    pub(crate) fn note(&mut self, seq: u32) {
        let Some(newest) = self.newest.replace(seq) else {
            return;
        };
        if newest != seq && !self.older.contains(&newest) {
            if self.older.len() >= MOST {
                self.older.remove(0);
            }
            self.older.push(newest);
        }
    }

    /// Whether a number is one of several that SYNs have told.
    pub(crate) fn may_be(&self, seq: u32) -> bool {
        // Nearly every side says one.
        !self.older.is_empty() && (self.newest == Some(seq) || self.older.contains(&seq))
    }
}
