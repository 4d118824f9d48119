//! What the capture knows of processes and sockets, kept up by the records of both rings.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use weir_ebpf::events::{
    ControlEvent, IPPROTO_TCP, Owner, PayloadEvent, ROLE_SERVER, Reading, TcpEvent, UdpKey,
};
use weir_storage::Process;

use super::clock::Clock;
use super::events;
use super::processes::{Processes, ProgramKey};
use super::wall::WallSink;
use crate::tracker::{Role, SocketEvent, Tracker};

/// Sockets whose owner is remembered, so that it is told to the tracker only when it changes.
const SOCKETS_REMEMBERED: usize = 65_536;

/// Owners of sockets that others use after their end, remembered at most.
const LONG_LIVED_OWNERS: usize = 65_536;

/// What is known of processes and sockets.
pub(super) struct State {
    pub(super) processes: Processes,
    /// The owner that the tracker was told, by socket, and in which version.
    pub(super) told_owners: FxHashMap<u64, (ProgramKey, u64)>,
    pub(super) udp: FxHashSet<UdpKey>,
    /// Processes whose end makes another one the owner of a socket that lives on.
    pub(super) long_lived_owners: FxHashSet<(u32, u64)>,
    pub(super) must_find_owners: bool,
    /// Who listens, or listened, on a port of a namespace.
    listening: FxHashMap<(u32, u16), Owner>,
    pub(super) was_cgroup_made: bool,
}

impl State {
    pub(super) fn new(processes: Processes) -> Self {
        Self {
            processes,
            told_owners: FxHashMap::default(),
            udp: FxHashSet::default(),
            long_lived_owners: FxHashSet::default(),
            must_find_owners: false,
            listening: FxHashMap::default(),
            was_cgroup_made: false,
        }
    }

    /// Uses the control records up to a time.
    pub(super) fn use_control(
        &mut self,
        control: &mut VecDeque<ControlEvent>,
        until_ns: u64,
        clock: &Clock,
        tracker: &mut Tracker,
        sink: &mut WallSink,
        ended_udp: &mut Vec<u64>,
    ) {
        while control
            .front()
            .is_some_and(|event| event.time_ns().is_none_or(|time_ns| time_ns <= until_ns))
        {
            let Some(event) = control.pop_front() else {
                return;
            };
            match event {
                ControlEvent::TcpOpen(event) => {
                    let owner = self.owner_of(event.cookie, &event.owner, served_port(&event));
                    tracker.socket(events::opened(&event, owner, clock), sink);
                }
                ControlEvent::TcpClose(event) => {
                    let owner = self.owner_of(event.cookie, &event.owner, served_port(&event));
                    self.told_owners.remove(&event.cookie);
                    tracker.socket(events::closed(&event, owner, clock), sink);
                }
                ControlEvent::TcpListen(event) => {
                    self.remember_listener(&event, tracker, sink);
                }
                ControlEvent::UdpOpen(event) => {
                    self.udp.insert(event.key);
                }
                ControlEvent::SocketRelease(event) => ended_udp.push(event.cookie),
                ControlEvent::ProcessExec(event) => self.processes.executed(&event),
                ControlEvent::ProcessFork(event) => self.processes.forked(&event),
                ControlEvent::ProcessExit(event) => {
                    let owner = &event.process;
                    self.must_find_owners |=
                        self.long_lived_owners.remove(&(owner.pid, owner.start_ns));
                    self.processes.ended(owner);
                }
                ControlEvent::CgroupCreate(event) => {
                    self.was_cgroup_made = true;
                    self.processes.cgroup_created(&event);
                }
            }
        }
    }

    pub(super) fn use_payload(
        &mut self,
        event: &PayloadEvent,
        payload: &[u8],
        clock: &Clock,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        let is_served = event.protocol == IPPROTO_TCP && event.role == ROLE_SERVER;
        let port = is_served.then(|| event.endpoints.local().port());
        self.tell_owner(event.cookie, &event.owner, port, tracker, sink);
        if let Some(packet) = events::packet(event, payload, clock) {
            tracker.packet(&packet, sink);
        }
    }

    /// Tells the tracker of the owner of a socket, unless it was told before and nothing is new.
    pub(super) fn tell_owner(
        &mut self,
        cookie: u64,
        owner: &Owner,
        served_port: Option<u16>,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        let now = (ProgramKey::of(owner), self.processes.version());
        if self.told_owners.get(&cookie) == Some(&now) {
            return;
        }
        if let Some(owner) = self.owner_of(cookie, owner, served_port) {
            tracker.socket(SocketEvent::Owner { cookie, owner }, sink);
        }
    }

    /// The owner of a socket, remembered as told; it serves on that port, if there is one.
    pub(super) fn owner_of(
        &mut self,
        cookie: u64,
        owner: &Owner,
        served_port: Option<u16>,
    ) -> Option<Arc<Process>> {
        if let Some(port) = served_port {
            self.processes.serves(owner, port);
        }
        let process = self.processes.resolve(owner);
        if self.told_owners.len() >= SOCKETS_REMEMBERED {
            self.told_owners.clear();
        }
        let now = (ProgramKey::of(owner), self.processes.version());
        self.told_owners.insert(cookie, now);
        process
    }

    /// A process whose sockets others may go on using after its end.
    pub(super) fn remember_long_lived(&mut self, owner: &Owner) {
        if self.long_lived_owners.len() >= LONG_LIVED_OWNERS {
            // Looking for new owners now and again does no harm, and one that lives is remembered anew.
            self.long_lived_owners.clear();
            self.must_find_owners = true;
        }
        self.long_lived_owners.insert((owner.pid, owner.start_ns));
    }

    /// Uses what was read of a connection that is open.
    pub(super) fn use_counters(
        &mut self,
        event: &TcpEvent,
        clock: &Clock,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        if event.was_told() {
            self.tell_owner(
                event.cookie,
                &event.owner,
                served_port(event),
                tracker,
                sink,
            );
        } else {
            self.use_found(event, clock, tracker, sink);
        }
        self.count(event, clock, tracker, sink);
    }

    /// Counts what was read of a connection, and ends it where it is captured no more.
    pub(super) fn count(
        &mut self,
        event: &TcpEvent,
        clock: &Clock,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        tracker.socket(events::counted(event, clock), sink);
        if event.reading() == Some(Reading::LeftOut) {
            self.told_owners.remove(&event.cookie);
            tracker.leave_out(clock.steady(event.time_ns), event.cookie, sink);
        }
    }

    /// Uses what was read of a socket that a process holds.
    pub(super) fn use_found(
        &mut self,
        event: &TcpEvent,
        clock: &Clock,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        let place = (event.endpoints.netns, event.endpoints.local().port());
        let listener = self.listening.get(&place).copied();
        let mut owner = event.owner;
        if owner.pid == 0 {
            // No process holds it yet: it waits to be accepted.
            self.must_find_owners = true;
            owner = listener.unwrap_or_default();
        }
        let role = match listener {
            Some(_) => Role::Server,
            None => Role::Client,
        };
        let port = match (served_port(event), listener) {
            (None, Some(_)) => Some(place.1),
            (port, _) => port,
        };
        if event.was_told() {
            self.tell_owner(event.cookie, &owner, port, tracker, sink);
            return;
        }
        let owner = self.owner_of(event.cookie, &owner, port);
        tracker.socket(events::found(event, role, owner, clock), sink);
    }

    pub(super) fn remember_listener(
        &mut self,
        event: &TcpEvent,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        if self.listening.len() >= SOCKETS_REMEMBERED {
            self.listening.clear();
        }
        let port = event.endpoints.local().port();
        self.listening
            .insert((event.endpoints.netns, port), event.owner);
        self.remember_long_lived(&event.owner);
        self.processes.serves(&event.owner, port);
        if let Some(owner) = self.processes.resolve(&event.owner) {
            tracker.socket(
                SocketEvent::Owner {
                    cookie: event.cookie,
                    owner,
                },
                sink,
            );
        }
    }
}

/// The port of a connection that was accepted.
fn served_port(event: &TcpEvent) -> Option<u16> {
    (event.role == ROLE_SERVER).then(|| event.endpoints.local().port())
}
