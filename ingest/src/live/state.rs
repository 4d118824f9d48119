//! What the capture knows of processes and sockets, kept up by the records of both rings.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use weir_ebpf::events::{ControlEvent, Owner, PayloadEvent, TcpEvent, UdpKey};
use weir_storage::Process;

use super::clock::Clock;
use super::events;
use super::processes::Processes;
use super::wall::WallSink;
use crate::tracker::{SocketEvent, Tracker};

/// Sockets whose owner is remembered, so that it is told to the tracker only when it changes.
const SOCKETS_REMEMBERED: usize = 65_536;

/// What is known of processes and sockets.
#[derive(Default)]
pub(super) struct State {
    pub(super) processes: Processes,
    /// The owner that the tracker was told, by socket.
    pub(super) told_owners: FxHashMap<u64, (u32, u64)>,
    pub(super) udp: FxHashSet<UdpKey>,
    /// Processes whose end makes another one the owner of a socket that lives on.
    pub(super) long_lived_owners: FxHashSet<(u32, u64)>,
    pub(super) must_find_owners: bool,
}

impl State {
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
                    let owner = self.owner_of(event.cookie, &event.owner);
                    tracker.socket(events::opened(&event, owner, clock), sink);
                }
                ControlEvent::TcpClose(event) => {
                    let owner = self.processes.resolve(&event.owner);
                    self.told_owners.remove(&event.cookie);
                    tracker.socket(events::closed(&event, owner, clock), sink);
                }
                ControlEvent::TcpListen(event) => {
                    let owner = self.processes.resolve(&event.owner);
                    self.remember_listener(&event, owner, tracker, sink);
                }
                ControlEvent::UdpOpen(event) => {
                    self.udp.insert(event.key);
                }
                ControlEvent::SocketRelease(event) => ended_udp.push(event.cookie),
                ControlEvent::ProcessExec(event) => self.processes.executed(&event),
                ControlEvent::ProcessExit(owner) => {
                    self.must_find_owners |=
                        self.long_lived_owners.remove(&(owner.pid, owner.start_ns));
                    self.processes.ended(&owner);
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
        let is_told =
            self.told_owners.get(&event.cookie) == Some(&(event.owner.pid, event.owner.start_ns));
        if !is_told && let Some(owner) = self.owner_of(event.cookie, &event.owner) {
            tracker.socket(
                SocketEvent::Owner {
                    cookie: event.cookie,
                    owner,
                },
                sink,
            );
        }
        if let Some(packet) = events::packet(event, payload, clock) {
            tracker.packet(&packet, sink);
        }
    }

    /// The owner of a socket, remembered as told.
    fn owner_of(&mut self, cookie: u64, owner: &Owner) -> Option<Arc<Process>> {
        if self.told_owners.len() >= SOCKETS_REMEMBERED {
            self.told_owners.clear();
        }
        self.told_owners.insert(cookie, (owner.pid, owner.start_ns));
        self.processes.resolve(owner)
    }

    pub(super) fn remember_listener(
        &mut self,
        event: &TcpEvent,
        owner: Option<Arc<Process>>,
        tracker: &mut Tracker,
        sink: &mut WallSink,
    ) {
        if event.state != events::TCP_LISTEN {
            return;
        }
        self.long_lived_owners
            .insert((event.owner.pid, event.owner.start_ns));
        if let Some(owner) = owner {
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
