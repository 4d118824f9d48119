//! Rows that the store had to let go.

use parking_lot::Mutex;

use crate::tables::TableId;

/// Why rows were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The memory budget was full and files could not be written (full disk, missing rights).
    NotPersisted,
    /// The memory budget was full because rows came faster than they could be written.
    Overload,
    /// The store was opened for reading only.
    ReadOnly,
    /// weir was killed before the rows reached the log: those of the last moments.
    NotLogged,
    /// The end of the log was not written whole when weir was killed or the power failed.
    LogTorn,
    /// A part of the log was damaged.
    LogDamaged,
}

impl LossReason {
    /// The word for `capture_loss.reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotPersisted => "not_persisted",
            Self::Overload => "overload",
            Self::ReadOnly => "read_only",
            Self::NotLogged => "not_logged",
            Self::LogTorn => "log_torn",
            Self::LogDamaged => "log_damaged",
        }
    }
}

/// Rows of one table that were lost for one reason since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLoss {
    /// The table.
    pub table: TableId,
    /// Why.
    pub reason: LossReason,
    /// How many rows.
    pub rows: u64,
    /// Bytes they took in memory; 0 where that is not known.
    pub bytes: u64,
}

/// The losses nobody has looked at yet.
#[derive(Default)]
pub(crate) struct Losses(Mutex<Vec<StoreLoss>>);

impl Losses {
    pub(crate) fn add(&self, loss: StoreLoss) {
        let mut losses = self.0.lock();
        let known = losses
            .iter_mut()
            .find(|known| known.table == loss.table && known.reason == loss.reason);
        if let Some(known) = known {
            known.rows += loss.rows;
            known.bytes += loss.bytes;
        } else {
            losses.push(loss);
        }
    }

    /// Rows that nobody has taken the loss of yet.
    pub(crate) fn waiting_rows(&self) -> u64 {
        self.0.lock().iter().map(|loss| loss.rows).sum()
    }

    pub(crate) fn take(&self) -> Vec<StoreLoss> {
        std::mem::take(&mut *self.0.lock())
    }
}
