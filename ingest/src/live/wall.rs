//! From the tracker's steady time to the wall clock.

use weir_storage::Row;

use crate::packet::Nanos;
use crate::sink::Sink;

/// Moves rows from the tracker's steady time to the wall clock.
pub(super) struct WallSink {
    pub(super) sink: Box<dyn Sink + Send>,
    pub(super) shift: Nanos,
}

impl Sink for WallSink {
    fn push(&mut self, mut row: Row) {
        if self.shift != 0 {
            row.shift_time(self.shift / 1_000);
        }
        self.sink.push(row);
    }
}
