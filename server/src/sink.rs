//! From ingest into the store, with the losses counted on their way.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use weir_ingest::sink::Sink;
use weir_storage::{CaptureLoss, NodeIdentity, Row, Store};

/// Puts rows into the store.
pub(crate) struct StoreSink {
    store: Arc<Store>,
    losses: Arc<LossTotals>,
}

impl StoreSink {
    pub(crate) fn new(store: &Arc<Store>, losses: &Arc<LossTotals>) -> Self {
        Self {
            store: Arc::clone(store),
            losses: Arc::clone(losses),
        }
    }

    /// Writes what the store itself had to let go into the ledger. `time` is in microseconds since 1970 UTC.
    pub(crate) fn record_store_losses(&mut self, node: &Arc<str>, time: i64) {
        for loss in self.store.take_losses() {
            self.push(Row::from(CaptureLoss {
                time,
                identity: NodeIdentity {
                    node: Arc::clone(node),
                },
                stage: Some("store".into()),
                reason: Some(loss.reason.as_str().into()),
                events: Some(i64::try_from(loss.rows).unwrap_or(i64::MAX)),
                bytes: Some(i64::try_from(loss.bytes).unwrap_or(i64::MAX)),
                hook: None,
                message: None,
            }));
        }
    }
}

impl Sink for StoreSink {
    fn push(&mut self, row: Row) {
        if let Row::CaptureLoss(loss) = &row {
            self.losses.add(loss);
        }
        self.store.append(row);
    }
}

/// What was lost since the start, by stage and reason, and in the kernel by hook and message.
#[derive(Debug, Default)]
pub struct LossTotals(Mutex<BTreeMap<LossKey, (u64, u64)>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LossKey {
    stage: Arc<str>,
    reason: Arc<str>,
    hook: Option<Arc<str>>,
    message: Option<&'static str>,
}

/// Losses of one stage and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LossTotal {
    /// Where.
    pub(crate) stage: Arc<str>,
    /// Why.
    pub(crate) reason: Arc<str>,
    /// Where in the kernel, as the kernel names the hook.
    pub(crate) hook: Option<Arc<str>>,
    /// What the lost packets began, where the kernel told.
    pub(crate) message: Option<&'static str>,
    /// How many events.
    pub(crate) events: u64,
    /// How many bytes they held, where known.
    pub(crate) bytes: u64,
}

impl LossTotals {
    fn add(&self, loss: &CaptureLoss) {
        let word = |word: &Option<Arc<str>>| word.clone().unwrap_or_else(|| "unknown".into());
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let key = LossKey {
            stage: word(&loss.stage),
            reason: word(&loss.reason),
            hook: loss.hook.clone(),
            message: loss.message,
        };
        let mut totals = self.0.lock();
        let (events, bytes) = totals.entry(key).or_default();
        *events = events.saturating_add(count(loss.events).unwrap_or(0));
        *bytes = bytes.saturating_add(count(loss.bytes).unwrap_or(0));
    }

    /// Everything so far, ordered by stage and reason.
    pub(crate) fn totals(&self) -> Vec<LossTotal> {
        let totals = self.0.lock();
        totals
            .iter()
            .map(|(key, (events, bytes))| LossTotal {
                stage: Arc::clone(&key.stage),
                reason: Arc::clone(&key.reason),
                hook: key.hook.clone(),
                message: key.message,
                events: *events,
                bytes: *bytes,
            })
            .collect()
    }
}
