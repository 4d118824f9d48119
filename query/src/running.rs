//! The queries under way: what each does, how far it is, and how to stop it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::Utc;
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;

use crate::answer::Summary;
use crate::error::{QueryError, QueryErrorKind};
use crate::interest::Interest;
use crate::progress::Progress;

/// Ended queries that can still be asked about.
const REMEMBERED: usize = 1_000;
/// Characters of a statement that are kept to be shown.
const SHOWN_SQL: usize = 4_096;
/// Longest id.
const MAX_ID: usize = 64;

/// What a query is known by: up to 64 letters, digits and `.`, `_`, `-`, `:`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(Arc<str>);

impl QueryId {
    /// A new one, at random.
    pub fn random() -> Self {
        // Where there is no randomness, the clock tells queries apart well enough.
        let number = getrandom::u64().unwrap_or_else(|_| Utc::now().timestamp_micros() as u64);
        Self(format!("{number:016x}").into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueryId {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
        if text.is_empty() || text.len() > MAX_ID || !text.bytes().all(is_fine) {
            let message =
                format!("a query's id is 1 to {MAX_ID} letters, digits and `.`, `_`, `-`, `:`");
            return Err(QueryError::new(QueryErrorKind::Invalid, message));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum QueryState {
    /// It waits until others have ended.
    Queued,
    /// Its plan is being made.
    Planning,
    /// Its rows are being made and read.
    Running,
    /// It follows new rows.
    Following,
    /// All its rows were read.
    Done,
    /// It failed or was refused.
    Failed,
    /// It was cancelled, or whoever asked left.
    Cancelled,
}

impl QueryState {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Planning,
        Self::Running,
        Self::Following,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name in an answer for machines.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Following => "following",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A query as those who watch over them see it.
#[derive(Debug, Clone)]
pub struct QueryStatus {
    /// What it is known by.
    pub id: QueryId,
    /// Its statement, cut if it is very long.
    pub sql: Arc<str>,
    /// Who asked.
    pub client: Arc<str>,
    /// When it came, in microseconds since 1970-01-01 UTC.
    pub started: i64,
    /// Time since then, until it ended.
    pub elapsed: Duration,
    /// How far it is.
    pub state: QueryState,
    /// Rows of the answer made so far.
    pub rows: u64,
    /// What was read for it so far.
    pub progress: Progress,
    /// What there is to say about the answer, once it has ended well.
    pub summary: Option<Summary>,
    /// What it failed with.
    pub error: Option<QueryError>,
}

/// All queries under way, and the last that ended.
#[derive(Default)]
pub(crate) struct Registry {
    running: Mutex<BTreeMap<QueryId, Weak<Tracked>>>,
    ended: Mutex<VecDeque<QueryStatus>>,
}

/// A query under way. It leaves the list when nothing works on it and nobody reads it any more.
pub(crate) struct Tracked {
    registry: Arc<Registry>,
    pub(crate) id: QueryId,
    pub(crate) client: Arc<str>,
    pub(crate) interest: Arc<Interest>,
    sql: Arc<str>,
    started: Instant,
    started_at: i64,
    state: AtomicU8,
    rows: AtomicU64,
    plan: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    end: Mutex<End>,
}

#[derive(Default)]
struct End {
    progress: Progress,
    elapsed: Option<Duration>,
    summary: Option<Summary>,
    error: Option<QueryError>,
}

impl Registry {
    /// Adds a query, under its own id if it brings one.
    pub(crate) fn begin(
        self: &Arc<Self>,
        id: Option<QueryId>,
        sql: &str,
        client: Arc<str>,
    ) -> Result<Arc<Tracked>, QueryError> {
        let mut running = self.running.lock();
        let id = match id {
            Some(id) if running.contains_key(&id) => {
                let message = format!("a query with the id `{id}` is under way; choose another");
                return Err(QueryError::new(QueryErrorKind::Invalid, message));
            }
            Some(id) => id,
            None => QueryId::random(),
        };
        let shown = match sql.char_indices().nth(SHOWN_SQL) {
            Some((end, _)) => format!("{}...", &sql[..end]).into(),
            None => sql.into(),
        };
        let tracked = Arc::new(Tracked {
            registry: Arc::clone(self),
            id: id.clone(),
            client,
            interest: Arc::default(),
            sql: shown,
            started: Instant::now(),
            started_at: Utc::now().timestamp_micros(),
            state: AtomicU8::new(QueryState::Queued as u8),
            rows: AtomicU64::new(0),
            plan: Mutex::new(None),
            end: Mutex::default(),
        });
        running.insert(id, Arc::downgrade(&tracked));
        Ok(tracked)
    }

    /// The queries under way, the oldest first. One whose reader has left is among them until nothing works on it.
    pub(crate) fn running(&self) -> Vec<QueryStatus> {
        let tracked: Vec<Arc<Tracked>> = {
            let running = self.running.lock();
            running.values().filter_map(Weak::upgrade).collect()
        };
        let mut statuses: Vec<QueryStatus> = tracked.iter().map(|query| query.status()).collect();
        statuses.retain(|status| !matches!(status.state, QueryState::Done | QueryState::Failed));
        statuses.sort_by_key(|status| status.started);
        statuses
    }

    /// A query under way, or one of the last that ended.
    pub(crate) fn status(&self, id: &str) -> Option<QueryStatus> {
        if let Some(tracked) = self.tracked(id) {
            return Some(tracked.status());
        }
        let ended = self.ended.lock();
        let mut newest_first = ended.iter().rev();
        newest_first
            .find(|status| status.id.as_str() == id)
            .cloned()
    }

    /// Stops a query under way; false where there is none of that id, or where it is over already.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        self.tracked(id)
            .is_some_and(|tracked| tracked.interest.cancel())
    }

    fn tracked(&self, id: &str) -> Option<Arc<Tracked>> {
        let id = QueryId(id.into());
        self.running.lock().get(&id).and_then(Weak::upgrade)
    }
}

impl Tracked {
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn enter(&self, state: QueryState) {
        // Nothing comes after an end.
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (!state_of(now).is_final()).then_some(state as u8)
            });
    }

    pub(crate) fn add_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Watches how far this plan is.
    pub(crate) fn runs(&self, plan: Arc<dyn ExecutionPlan>) {
        self.enter(QueryState::Running);
        *self.plan.lock() = Some(plan);
    }

    /// The plan is done with: keeps its counts and lets go of what it holds.
    pub(crate) fn rests(&self) {
        if let Some(plan) = self.plan.lock().take() {
            self.end.lock().progress = Progress::of(&*plan);
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        match &*self.plan.lock() {
            Some(plan) => Progress::of(&**plan),
            None => self.end.lock().progress,
        }
    }

    pub(crate) fn succeed(&self, summary: &Summary) {
        let mut end = self.end.lock();
        end.elapsed.get_or_insert(summary.elapsed);
        end.summary.get_or_insert_with(|| summary.clone());
        drop(end);
        self.enter(QueryState::Done);
    }

    /// It ended with all that it was asked for.
    pub(crate) fn end_well(&self) {
        let mut end = self.end.lock();
        end.elapsed.get_or_insert(self.started.elapsed());
        drop(end);
        self.enter(QueryState::Done);
        self.interest.lose();
    }

    pub(crate) fn fail(&self, error: &QueryError) {
        let mut end = self.end.lock();
        end.elapsed.get_or_insert(self.started.elapsed());
        end.error.get_or_insert_with(|| error.clone());
        drop(end);
        self.enter(match error.kind {
            QueryErrorKind::Cancelled => QueryState::Cancelled,
            _ => QueryState::Failed,
        });
    }

    /// Whoever asked has left, unless it has ended before.
    pub(crate) fn abandon(&self) {
        self.interest.lose();
        self.end
            .lock()
            .elapsed
            .get_or_insert(self.started.elapsed());
        self.enter(QueryState::Cancelled);
    }

    fn status(&self) -> QueryStatus {
        let progress = self.progress();
        let end = self.end.lock();
        QueryStatus {
            id: self.id.clone(),
            sql: Arc::clone(&self.sql),
            client: Arc::clone(&self.client),
            started: self.started_at,
            elapsed: end.elapsed.unwrap_or_else(|| self.started.elapsed()),
            state: state_of(self.state.load(Ordering::Acquire)),
            rows: self.rows.load(Ordering::Relaxed),
            progress,
            summary: end.summary.clone(),
            error: end.error.clone(),
        }
    }
}

fn state_of(number: u8) -> QueryState {
    let state = QueryState::ALL.get(usize::from(number));
    state.copied().unwrap_or(QueryState::Cancelled)
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.abandon();
        self.registry.running.lock().remove(&self.id);
        let mut ended = self.registry.ended.lock();
        ended.push_back(self.status());
        if ended.len() > REMEMBERED {
            ended.pop_front();
        }
    }
}
