//! What a matcher made no lookup of.

use crate::dns::STAGE;
use crate::sink::Ledger;

/// Messages that made no lookup of their own, and what else was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Responses to a query that was answered before.
    pub duplicate_responses: u64,
    /// Responses to a query that had timed out before.
    pub late_responses: u64,
    /// Queries that gave way to newer ones while waiting; each is a lookup with [`Outcome::Unanswered`].
    pub evicted_queries: u64,
    /// Further messages of a zone transfer, and multicast queries that only go on with known answers.
    pub continuations: u64,
    /// Questions after the first of their message.
    pub extra_questions: u64,
    /// Messages of which only a prefix was captured.
    pub cut_by_capture: u64,
    /// Answers that were too much text to keep.
    pub answers_left_out: u64,
}

impl Counters {
    /// Counts them in the ledger, under [`STAGE`], and starts again from 0.
    pub fn flush(&mut self, ledger: &mut Ledger) {
        let Self {
            duplicate_responses,
            late_responses,
            evicted_queries,
            continuations,
            extra_questions,
            cut_by_capture,
            answers_left_out,
        } = std::mem::take(self);
        for (reason, events) in [
            ("duplicate_response", duplicate_responses),
            ("late_response", late_responses),
            ("evicted_query", evicted_queries),
            ("continuation", continuations),
            ("extra_question", extra_questions),
            ("cut_by_capture", cut_by_capture),
            ("answers_left_out", answers_left_out),
        ] {
            ledger.count(STAGE, reason, events, 0);
        }
    }
}
