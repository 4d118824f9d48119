//! The connections that are kept, by id, key and cookie, and when each has to be looked at again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hashbrown::HashMap;
use rustc_hash::FxHashMap;

use super::Settings;
use super::connection::Connection;
use super::key::{ConnIds, Key};
use crate::packet::Nanos;

/// So many are looked at for one that has ended, before one that has not is given up.
const NEAR_THE_FRONT: usize = 16;

/// Connections and their timers.
pub(super) struct Table {
    connections: FxHashMap<i64, Box<Connection>>,
    /// Hashed with a random seed: whoever sends packets chooses the addresses.
    by_key: HashMap<Key, i64>,
    by_cookie: FxHashMap<u64, i64>,
    /// Every connection once, and ids of some that are gone. Second chance: one that was active since it came to the
    /// front goes to the back again.
    queue: VecDeque<i64>,
    /// Times at which to look at a connection; only the one that the connection itself knows counts.
    wakes: BinaryHeap<Reverse<(Nanos, i64)>>,
    conn_ids: ConnIds,
}

impl Table {
    pub(super) fn new(conn_ids: ConnIds) -> Self {
        Self {
            connections: FxHashMap::default(),
            by_key: HashMap::new(),
            by_cookie: FxHashMap::default(),
            queue: VecDeque::new(),
            wakes: BinaryHeap::new(),
            conn_ids,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.connections.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.conn_ids.next()
    }

    pub(super) fn find(&self, key: &Key) -> Option<i64> {
        self.by_key.get(key).copied()
    }

    pub(super) fn find_cookie(&self, cookie: u64) -> Option<i64> {
        self.by_cookie.get(&cookie).copied()
    }

    pub(super) fn name_cookie(&mut self, cookie: u64, id: i64) {
        self.by_cookie.insert(cookie, id);
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Connection> {
        self.connections.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn insert(&mut self, connection: Connection) {
        let id = connection.id;
        self.by_key.insert(connection.key, id);
        self.connections.insert(id, Box::new(connection));
        self.queue.push_back(id);
        if self.queue.len() > 1024 + 2 * self.connections.len() {
            let connections = &self.connections;
            self.queue.retain(|id| connections.contains_key(id));
        }
    }

    pub(super) fn remove(&mut self, id: i64) -> Option<Box<Connection>> {
        let connection = self.connections.remove(&id)?;
        if self.by_key.get(&connection.key) == Some(&id) {
            self.by_key.remove(&connection.key);
        }
        if let Some(cookie) = connection.cookie()
            && self.by_cookie.get(&cookie) == Some(&id)
        {
            self.by_cookie.remove(&cookie);
        }
        Some(connection)
    }

    /// A connection that was not active lately; one that has ended, where there is one near the front.
    pub(super) fn idle_longest(&mut self) -> Option<i64> {
        let ended = self.queue.iter().take(NEAR_THE_FRONT).position(|id| {
            let connection = self.connections.get(id);
            connection.is_some_and(|connection| connection.ending.is_some())
        });
        if let Some(place) = ended {
            return self.queue.remove(place);
        }
        while let Some(id) = self.queue.pop_front() {
            match self.connections.get_mut(&id) {
                Some(connection) if connection.was_active => {
                    connection.was_active = false;
                    self.queue.push_back(id);
                }
                Some(_) => return Some(id),
                None => {}
            }
        }
        None
    }

    /// Sees to it that a connection is looked at when something of it is due.
    pub(super) fn schedule(&mut self, id: i64, now: Nanos, settings: &Settings) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let due = connection.next_due(settings).max(now);
        // A later time needs no new entry: the connection is looked at early once, and put off then.
        if connection.wake_at.is_none_or(|wake_at| due < wake_at) {
            connection.wake_at = Some(due);
            self.wakes.push(Reverse((due, id)));
        }
    }

    /// A connection to look at, and when that was due, if before or at `now`.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<(Nanos, i64)> {
        loop {
            let Reverse((due, _)) = self.wakes.peek()?;
            if *due > now {
                return None;
            }
            let Reverse((due, id)) = self.wakes.pop()?;
            let connection = self.connections.get_mut(&id);
            if let Some(connection) = connection.filter(|it| it.wake_at == Some(due)) {
                connection.wake_at = None;
                return Some((due, id));
            }
        }
    }
}
