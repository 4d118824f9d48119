//! What the kernel side counts, brought into the ledger.

use weir_ebpf::events::{CONTROL_RING_FULL, Tally};
use weir_ebpf::{Kernel, LossCount, TotalCount};

use super::wall::RowsMade;
use crate::sink::{Ledger, LossKey, PassedKey};

/// Stage of what the programs count.
const KERNEL: &str = "kernel";
/// Stage of what is taken out of the rings.
const RING: &str = "ring";
/// Stage of the rows that were made.
const ROWS: &str = "rows";

/// How much of the kernel side's counts the ledger has been told; they count from the start.
#[derive(Debug, Default)]
pub(super) struct Told {
    losses: Vec<Tally>,
    totals: Vec<Tally>,
    payload: Tally,
    control: Tally,
    malformed: Tally,
    made: RowsMade,
}

impl Told {
    /// Tells the ledger what came since the last time; whether control records were lost among that.
    pub(super) fn count(&mut self, kernel: &Kernel, made: &RowsMade, ledger: &mut Ledger) -> bool {
        let mut were_control_records_lost = false;
        let losses: Vec<LossCount> = kernel.losses().collect();
        self.losses.resize(losses.len(), Tally::default());
        for (loss, told) in losses.iter().zip(&mut self.losses) {
            let key = LossKey {
                stage: KERNEL,
                reason: loss.reason,
                hook: Some(loss.hook),
                message: loss.message,
            };
            let new = since(told, loss.tally);
            ledger.count_at(key, new.events, new.bytes);
            were_control_records_lost |= loss.reason == CONTROL_RING_FULL && new.events > 0;
        }
        let totals: Vec<TotalCount> = kernel.totals().collect();
        self.totals.resize(totals.len(), Tally::default());
        for (total, told) in totals.iter().zip(&mut self.totals) {
            let key = PassedKey {
                stage: KERNEL,
                hook: Some(total.hook),
                kind: total.kind,
            };
            let new = since(told, total.tally);
            ledger.pass(key, new.events, new.bytes);
        }
        let taken = kernel.taken();
        for (stage, kind, told, now) in [
            (RING, "payload_records", &mut self.payload, taken.payload),
            (RING, "control_records", &mut self.control, taken.control),
            (
                ROWS,
                "http_requests",
                &mut self.made.requests,
                made.requests,
            ),
            (
                ROWS,
                "http_responses",
                &mut self.made.responses,
                made.responses,
            ),
            (ROWS, "dns_lookups", &mut self.made.lookups, made.lookups),
            (ROWS, "flows", &mut self.made.flows, made.flows),
        ] {
            let key = PassedKey {
                stage,
                hook: None,
                kind,
            };
            let new = since(told, now);
            ledger.pass(key, new.events, new.bytes);
        }
        let malformed = since(&mut self.malformed, taken.malformed);
        ledger.count(RING, "malformed", malformed.events, malformed.bytes);
        were_control_records_lost
    }
}

/// What came since the last look, which becomes this one.
fn since(told: &mut Tally, now: Tally) -> Tally {
    let before = std::mem::replace(told, now);
    Tally {
        events: now.events.saturating_sub(before.events),
        bytes: now.bytes.saturating_sub(before.bytes),
    }
}
