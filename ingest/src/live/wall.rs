//! From the tracker's steady time to the wall clock, and the count of the rows that leave.

use weir_ebpf::events::Tally;
use weir_storage::Row;

use crate::packet::Nanos;
use crate::sink::Sink;

/// Moves rows from the tracker's steady time to the wall clock, and counts them.
pub(super) struct WallSink {
    pub(super) sink: Box<dyn Sink + Send>,
    pub(super) shift: Nanos,
    pub(super) made: RowsMade,
}

/// The rows that were made since the start.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RowsMade {
    /// Rows of `http_events` with a request.
    pub(super) requests: Tally,
    /// Rows of `http_events` with a response.
    pub(super) responses: Tally,
    /// Rows of `dns_events`.
    pub(super) lookups: Tally,
    /// Rows of `flows`.
    pub(super) flows: Tally,
}

impl WallSink {
    pub(super) fn new(sink: Box<dyn Sink + Send>) -> Self {
        Self {
            sink,
            shift: 0,
            made: RowsMade::default(),
        }
    }
}

impl RowsMade {
    fn count(&mut self, row: &Row) {
        match row {
            Row::HttpEvent(row) => {
                self.requests.events += u64::from(row.outcome != Some("no_request"));
                self.responses.events += u64::from(row.status.is_some());
            }
            Row::DnsEvent(_) => self.lookups.events += 1,
            Row::Flow(_) => self.flows.events += 1,
            Row::CaptureLoss(_) | Row::CaptureCount(_) | Row::CaptureProgram(_) => {}
        }
    }
}

impl Sink for WallSink {
    fn push(&mut self, mut row: Row) {
        self.made.count(&row);
        if self.shift != 0 {
            row.shift_time(self.shift / 1_000);
        }
        self.sink.push(row);
    }
}
