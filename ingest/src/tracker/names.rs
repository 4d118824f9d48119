//! Who knows an address by which name.
//!
//! A connection's name is that which its own process was told by DNS before it connected. Some processes ask no DNS
//! themselves: their C library hands the question to a resolver daemon over a Unix socket (nscd, nss-resolve). Such a
//! process gets the names that a daemon of its network namespace was told. One that has been seen to ask itself does
//! not: what it did not ask, it did not learn by name.
//!
//! On a wire the client's address stands for the process, and any other client for the daemon.

use std::net::IpAddr;
use std::sync::Arc;

use weir_storage::Process;

use super::connection::Connection;
use crate::dns::{AddressNames, Lookup};
use crate::packet::Nanos;
use crate::sink::Ledger;

/// Resolvers that others ask by other ways than DNS, by the names of their processes (15 bytes at most).
const DAEMONS: [&str; 6] = [
    "systemd-resolve",
    "nscd",
    "unscd",
    "nsncd",
    "sssd_be",
    "avahi-daemon",
];

/// Who knows an address by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    /// A process of this machine: its pid and when it started.
    Process(i64, u64),
    /// A resolver daemon in a network namespace.
    Daemon(u32),
    /// A client on a wire.
    Client(IpAddr),
    /// Any client on a wire.
    Anybody,
}

impl Asker {
    const fn of(process: &Process) -> Self {
        Self::Process(process.pid, process.start_ns)
    }
}

/// The names of addresses.
#[derive(Debug)]
pub(super) struct Names {
    names: AddressNames<Asker>,
}

impl Names {
    /// For at most `capacity` addresses.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            names: AddressNames::new(capacity),
        }
    }

    /// Takes over a lookup that was answered at `now`, seen at a socket of `process` in `netns`, or on a wire.
    pub(super) fn learn<K>(
        &mut self,
        lookup: &Lookup<K>,
        netns: Option<u32>,
        process: Option<&Process>,
        now: Nanos,
    ) {
        let Some(netns) = netns else {
            self.names
                .insert(&Asker::Client(lookup.client.ip()), lookup, now);
            self.names.insert(&Asker::Anybody, lookup, now);
            return;
        };
        let Some(process) = process else {
            return;
        };
        self.names.insert(&Asker::of(process), lookup, now);
        if is_daemon(process) {
            self.names.insert(&Asker::Daemon(netns), lookup, now);
        }
    }

    /// The name of the end that a connection was opened to, by which `process` (whose socket it is) knew it when it
    /// was opened. Once found it stays.
    pub(super) fn of(
        &self,
        connection: &mut Connection,
        process: Option<&Process>,
    ) -> Option<Arc<str>> {
        if connection.dst_name.is_none() {
            connection.dst_name = self.find(connection, process);
        }
        connection.dst_name.clone()
    }

    fn find(&self, connection: &Connection, process: Option<&Process>) -> Option<Arc<str>> {
        let source = connection.source_side();
        let (asker, other) = match (connection.local, process) {
            (None, _) => {
                let client = connection.end_of(source).ip();
                (Some(Asker::Client(client)), Asker::Anybody)
            }
            // The other end has opened it, and knows why.
            (Some(local), _) if local.side != source => return None,
            (Some(local), process) => (process.map(Asker::of), Asker::Daemon(local.netns)),
        };
        let address = connection.end_of(source.other()).ip();
        let lookup = |asker| self.names.lookup(asker, address, connection.start_time);
        match &asker {
            Some(asker) if self.names.has_asked(asker) => lookup(asker),
            _ => lookup(&other),
        }
    }

    /// Counts in the ledger what was forgotten too early.
    pub(super) fn flush(&mut self, ledger: &mut Ledger) {
        self.names.flush(ledger);
    }
}

fn is_daemon(process: &Process) -> bool {
    process
        .name
        .as_deref()
        .is_some_and(|name| DAEMONS.contains(&name))
}
