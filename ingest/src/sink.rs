//! Where rows go, and where losses are counted on their way.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_storage::{CaptureLoss, NodeIdentity, Row};

use crate::packet::Nanos;

/// Takes the rows that ingest makes.
pub trait Sink {
    /// Takes one row.
    fn push(&mut self, row: Row);
}

impl Sink for Vec<Row> {
    fn push(&mut self, row: Row) {
        Self::push(self, row);
    }
}

/// What was not captured, parsed or kept since the last flush, by stage and reason.
///
/// Stages and reasons are words of a small fixed set; `docs/losses.md` lists them.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: BTreeMap<(&'static str, &'static str), Loss>,
    totals: BTreeMap<(&'static str, &'static str), Loss>,
}

/// Events and bytes of one stage and reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// How many events (packets, segments, messages) were lost.
    pub events: u64,
    /// How many bytes they held, as far as known.
    pub bytes: u64,
}

impl Ledger {
    /// Counts `events` losses of `bytes` bytes together.
    pub fn count(&mut self, stage: &'static str, reason: &'static str, events: u64, bytes: u64) {
        if events == 0 && bytes == 0 {
            return;
        }
        for counts in [&mut self.counts, &mut self.totals] {
            let loss = counts.entry((stage, reason)).or_default();
            loss.events = loss.events.saturating_add(events);
            loss.bytes = loss.bytes.saturating_add(bytes);
        }
    }

    /// Writes what was counted since the last flush as rows of `capture_loss`.
    pub fn flush(&mut self, time: Nanos, node: &Arc<str>, sink: &mut dyn Sink) {
        for ((stage, reason), loss) in std::mem::take(&mut self.counts) {
            sink.push(Row::from(CaptureLoss {
                time: time / 1_000,
                identity: NodeIdentity {
                    node: Arc::clone(node),
                },
                stage: Some(stage.into()),
                reason: Some(reason.into()),
                events: Some(i64::try_from(loss.events).unwrap_or(i64::MAX)),
                bytes: Some(i64::try_from(loss.bytes).unwrap_or(i64::MAX)),
            }));
        }
    }

    /// Everything counted since the start, by stage and reason.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, &'static str, Loss)> {
        self.totals
            .iter()
            .map(|((stage, reason), loss)| (*stage, *reason, *loss))
    }
}
