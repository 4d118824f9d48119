//! From the tracker to the sink: its steady time becomes the wall clock's, rows that nobody wants stay out, and the others
//! are counted.

use weir_ebpf::events::Tally;
use weir_storage::Row;

use crate::packet::Nanos;
use crate::sink::Sink;

/// Moves rows from the tracker's steady time to the wall clock, and counts them.
pub(super) struct WallSink {
    pub(super) sink: Box<dyn Sink + Send>,
    pub(super) shift: Nanos,
    pub(super) made: RowsMade,
    /// Whether rows of `flows` are wanted.
    pub(super) keeps_flows: bool,
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
    pub(super) fn new(sink: Box<dyn Sink + Send>, keeps_flows: bool) -> Self {
        Self {
            sink,
            shift: 0,
            made: RowsMade::default(),
            keeps_flows,
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
        if matches!(row, Row::Flow(_)) && !self.keeps_flows {
            return;
        }
        self.made.count(&row);
        if self.shift != 0 {
            row.shift_time(self.shift / 1_000);
        }
        self.sink.push(row);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a missing row fails the test")]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::packet::{Direction, Packet, TcpFlags, Transport, Vantage};
    use crate::tracker::{Settings, Tracker};

    const SECOND: Nanos = 1_000_000_000;
    const START: Nanos = 1_800_000_000 * SECOND;

    struct Channel(Sender<Row>);

    impl Sink for Channel {
        fn push(&mut self, row: Row) {
            // The test waits for rows no more.
            let _ = self.0.send(row);
        }
    }

    fn packet(time: Nanos, is_request: bool, payload: &[u8]) -> Packet<'_> {
        let ends = ["192.0.2.1:40000", "192.0.2.2:80"].map(|end| end.parse().unwrap());
        let [source, destination] = if is_request { ends } else { [ends[1], ends[0]] };
        let (seq, ack, direction) = if is_request {
            (1, 1, Direction::Sent)
        } else {
            (1, 1 + REQUEST.len() as u32, Direction::Received)
        };
        Packet {
            time,
            is_timed: true,
            vantage: Vantage::Socket {
                netns: 1,
                cookie: 1,
                direction,
            },
            source,
            destination,
            transport: Transport::Tcp {
                seq,
                ack: Some(ack),
                flags: TcpFlags::ACK,
            },
            payload,
            payload_len: payload.len() as u32,
        }
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

    #[test]
    fn a_request_during_which_the_clock_is_set_has_its_true_latency() {
        for shift in [-3_600 * SECOND, 3_600 * SECOND] {
            let (sender, rows) = channel();
            let mut sink = WallSink::new(Box::new(Channel(sender)), true);
            let mut tracker = Tracker::new(Settings::new("node".into(), START));
            tracker.packet(&packet(START, true, REQUEST), &mut sink);
            tracker.tick(START + SECOND, &mut sink);
            sink.shift = shift;
            tracker.packet(&packet(START + 2 * SECOND, false, RESPONSE), &mut sink);
            tracker.finish(START + 3 * SECOND, &mut sink);
            let http = rows.try_iter().find_map(|row| match row {
                Row::HttpEvent(row) => Some(row),
                _ => None,
            });
            let http = http.unwrap();
            assert_eq!(http.time, (START + shift) / 1_000);
            assert_eq!(http.latency_ns, Some(2 * SECOND));
            assert_eq!(http.ttfb_ns, Some(2 * SECOND));
        }
    }
}
