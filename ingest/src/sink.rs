//! Where rows go, and where losses are counted on their way.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_storage::{CaptureCount, CaptureLoss, NodeIdentity, Row};

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

/// What was not captured, parsed or kept since the last flush, by stage and reason; and what passed, by stage and kind.
///
/// Stages, reasons and kinds are words of a small fixed set; `docs/losses.md` lists them.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: BTreeMap<LossKey, Loss>,
    totals: BTreeMap<LossKey, Loss>,
    passed: BTreeMap<PassedKey, Loss>,
    passed_totals: BTreeMap<PassedKey, Loss>,
}

/// What is counted together in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LossKey {
    /// Where it was lost.
    pub stage: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Where in the kernel, as the kernel names the hook.
    pub hook: Option<&'static str>,
    /// What the lost packets began, where the kernel told.
    pub message: Option<&'static str>,
}

/// What is counted together of what passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PassedKey {
    /// Where it passed.
    pub stage: &'static str,
    /// Where in the kernel, as the kernel names the hook.
    pub hook: Option<&'static str>,
    /// What.
    pub kind: &'static str,
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
    #[inline]
    pub fn count(&mut self, stage: &'static str, reason: &'static str, events: u64, bytes: u64) {
        let key = LossKey {
            stage,
            reason,
            hook: None,
            message: None,
        };
        self.count_at(key, events, bytes);
    }

    /// As [`Self::count`], with the hook and what was lost.
    #[inline]
    pub fn count_at(&mut self, key: LossKey, events: u64, bytes: u64) {
        // It is asked for each packet, and mostly nothing was lost.
        if events == 0 && bytes == 0 {
            return;
        }
        add(&mut self.counts, key, events, bytes);
        add(&mut self.totals, key, events, bytes);
    }

    /// Counts what passed.
    pub fn pass(&mut self, key: PassedKey, events: u64, bytes: u64) {
        if events == 0 && bytes == 0 {
            return;
        }
        add(&mut self.passed, key, events, bytes);
        add(&mut self.passed_totals, key, events, bytes);
    }

    /// Writes what was counted since the last flush as rows of `capture_loss` and `capture_counts`.
    pub fn flush(&mut self, time: Nanos, node: &Arc<str>, sink: &mut dyn Sink) {
        let identity = NodeIdentity {
            node: Arc::clone(node),
        };
        for (key, loss) in std::mem::take(&mut self.counts) {
            sink.push(Row::from(CaptureLoss {
                time: time / 1_000,
                identity: identity.clone(),
                stage: Some(key.stage.into()),
                reason: Some(key.reason.into()),
                events: Some(saturate(loss.events)),
                bytes: Some(saturate(loss.bytes)),
                hook: key.hook.map(Arc::from),
                message: key.message,
            }));
        }
        for (key, passed) in std::mem::take(&mut self.passed) {
            sink.push(Row::from(CaptureCount {
                time: time / 1_000,
                identity: identity.clone(),
                stage: Some(key.stage.into()),
                hook: key.hook.map(Arc::from),
                kind: Some(key.kind.into()),
                events: Some(saturate(passed.events)),
                bytes: Some(saturate(passed.bytes)),
            }));
        }
    }

    /// Everything lost since the start.
    pub fn totals(&self) -> impl Iterator<Item = (LossKey, Loss)> {
        self.totals.iter().map(|(key, loss)| (*key, *loss))
    }

    /// Everything that passed since the start.
    pub fn passed_totals(&self) -> impl Iterator<Item = (PassedKey, Loss)> {
        self.passed_totals
            .iter()
            .map(|(key, passed)| (*key, *passed))
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, Loss>, key: K, events: u64, bytes: u64) {
    let loss = counts.entry(key).or_default();
    loss.events = loss.events.saturating_add(events);
    loss.bytes = loss.bytes.saturating_add(bytes);
}

fn saturate(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
