//! Prepared statements: what clients made and have not closed, bounded in bytes and age.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prost::bytes::Bytes;
use tonic::Status;
use weir_query::QueryId;

use super::parameters::Parameters;

/// Most bytes of all statements and their parameters together.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What a statement counts beside its text and parameters: with it there are never more than a thousand.
const LEAST_BYTES: usize = 64 * 1024;
/// How long a statement is kept that nobody uses.
const AGE: Duration = Duration::from_hours(1);

/// The prepared statements of all clients.
#[derive(Debug, Default)]
pub(super) struct PreparedStatements {
    by_handle: Mutex<HashMap<Bytes, Prepared>>,
}

/// One of them.
#[derive(Debug, Clone)]
struct Prepared {
    sql: Arc<str>,
    parameters: Parameters,
    client: Arc<str>,
    used: Instant,
}

impl Prepared {
    fn bytes(&self) -> usize {
        LEAST_BYTES + self.sql.len() + self.parameters.bytes()
    }
}

impl PreparedStatements {
    /// Keeps a statement of this client; returns its handle.
    pub(super) fn create(&self, sql: &str, client: Arc<str>) -> Bytes {
        let handle = Bytes::from(QueryId::random().as_str().to_owned());
        let prepared = Prepared {
            sql: sql.into(),
            parameters: Parameters::default(),
            client,
            used: Instant::now(),
        };
        let mut by_handle = self.by_handle.lock();
        by_handle.insert(handle.clone(), prepared);
        make_room(&mut by_handle, &handle);
        handle
    }

    /// Sets the parameters of a statement.
    pub(super) fn bind(&self, handle: &Bytes, parameters: Parameters) -> Result<(), Status> {
        let mut by_handle = self.by_handle.lock();
        let prepared = by_handle.get_mut(handle).ok_or_else(unknown)?;
        prepared.parameters = parameters;
        prepared.used = Instant::now();
        make_room(&mut by_handle, handle);
        Ok(())
    }

    /// The text and the parameters of a statement.
    pub(super) fn get(&self, handle: &Bytes) -> Result<(Arc<str>, Parameters), Status> {
        let mut by_handle = self.by_handle.lock();
        let prepared = by_handle.get_mut(handle).ok_or_else(unknown)?;
        prepared.used = Instant::now();
        Ok((Arc::clone(&prepared.sql), prepared.parameters.clone()))
    }

    /// Forgets a statement; that it is not known is no error.
    pub(super) fn close(&self, handle: &Bytes) {
        self.by_handle.lock().remove(handle);
    }
}

fn unknown() -> Status {
    Status::not_found("there is no such prepared statement, or not any more; prepare it again")
}

/// Lets go of what is too old, and while there is too much, of the oldest of the client that has most. What was just
/// made or bound stays.
fn make_room(by_handle: &mut HashMap<Bytes, Prepared>, just_used: &Bytes) {
    by_handle.retain(|_, prepared| prepared.used.elapsed() < AGE);
    loop {
        let total: usize = by_handle.values().map(Prepared::bytes).sum();
        if total <= MOST_BYTES {
            return;
        }
        let mut by_client: HashMap<&Arc<str>, usize> = HashMap::new();
        for prepared in by_handle.values() {
            *by_client.entry(&prepared.client).or_default() += prepared.bytes();
        }
        let others = by_handle.iter().filter(|(handle, _)| *handle != just_used);
        let goes = others.max_by_key(|(_, prepared)| {
            (
                by_client.get(&prepared.client).copied(),
                prepared.used.elapsed(),
            )
        });
        let Some(handle) = goes.map(|(handle, _)| handle.clone()) else {
            return;
        };
        by_handle.remove(&handle);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn too_many_statements_cost_the_client_that_made_them() {
        let statements = PreparedStatements::default();
        let modest = statements.create("SELECT 1", "modest".into());
        let first = statements.create("SELECT 2", "greedy".into());
        let all: Vec<Bytes> = (0..2_000)
            .map(|_| statements.create("SELECT 3", "greedy".into()))
            .collect();
        assert!(statements.by_handle.lock().len() <= MOST_BYTES / LEAST_BYTES);
        assert_eq!(&*statements.get(&modest).unwrap().0, "SELECT 1");
        assert!(statements.get(&first).is_err(), "the oldest goes");
        assert!(
            statements.get(all.last().unwrap()).is_ok(),
            "the newest stays"
        );
    }

    #[test]
    fn a_closed_statement_is_not_known() {
        let statements = PreparedStatements::default();
        let handle = statements.create("SELECT 1", "a".into());
        statements.close(&handle);
        assert_eq!(
            statements.get(&handle).unwrap_err().code(),
            tonic::Code::NotFound
        );
    }
}
