//! What is read from the kernel side: records, counters, losses.

use std::io;

use aya::maps::{MapData, PerCpuArray};
use aya::programs::Iter;
use serde::Serialize;

use crate::events::{
    ControlEvent, HOOKS, LEFT_OUT_REASONS, LOSS_REASONS, MESSAGE_KINDS, PayloadEvent, TOTAL_KINDS,
    Tally, TcpEvent, UdpCounters, UdpKey,
};
use crate::iterator::read_events;
use crate::programs::{Outcome, ProgramStatus, READ_COUNTERS_BY_FILE};

use super::{Kernel, describe};

/// What the kernel side lost at one hook for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossCount {
    /// Where: one of [`HOOKS`].
    pub hook: &'static str,
    /// Why: one of [`LOSS_REASONS`].
    pub reason: &'static str,
    /// What the lost bytes began: one of [`MESSAGE_KINDS`].
    pub message: Option<&'static str>,
    /// Events and bytes since the start.
    pub tally: Tally,
}

/// What passed at one hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalCount {
    /// Where: one of [`HOOKS`].
    pub hook: &'static str,
    /// What: one of [`TOTAL_KINDS`].
    pub kind: &'static str,
    /// Events and bytes since the start.
    pub tally: Tally,
}

/// How full a ring was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RingFill {
    /// Its name: payload or control.
    pub ring: &'static str,
    /// Bytes that it holds at most.
    pub capacity_bytes: u64,
    /// The most bytes that one drain found in it since the last look.
    pub peak_bytes: u64,
}

impl RingFill {
    pub(super) const fn empty(ring: &'static str, capacity_bytes: u32) -> Self {
        Self {
            ring,
            capacity_bytes: capacity_bytes as u64,
            peak_bytes: 0,
        }
    }

    /// Keeps what a drain found; more than fits means that records came while it was under way.
    fn drained(&mut self, bytes: u64) {
        self.peak_bytes = self.peak_bytes.max(bytes).min(self.capacity_bytes);
    }
}

/// Bytes that a record takes in a ring: a header of 8 bytes before it, and the length rounded up.
const fn ring_bytes(record: usize) -> u64 {
    (record as u64).next_multiple_of(8) + 8
}

/// The records that were taken out of the rings since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Payload records, with their captured bytes.
    pub payload: Tally,
    /// Control records, with their bytes.
    pub control: Tally,
    /// Records of both that are not as the programs make them: a bug.
    pub malformed: Tally,
}

impl Kernel {
    /// Packets that were left out by choice since the start, by reason.
    pub fn left_out(&self) -> impl Iterator<Item = (&'static str, Tally)> {
        LEFT_OUT_REASONS
            .into_iter()
            .zip(1..)
            .map(|(reason, index)| (reason, sum(&self.left_out, index)))
    }

    /// Takes every control record that is there.
    pub fn drain_control(&mut self, mut each: impl FnMut(ControlEvent)) {
        let mut found = 0;
        while let Some(record) = self.control.next() {
            found += ring_bytes(record.len());
            self.taken.control.add(record.len());
            match ControlEvent::read(&record) {
                Some(event) => each(event),
                None => self.taken.malformed.add(record.len()),
            }
        }
        self.control_fill.drained(found);
    }

    /// Takes the payload records up to that time (monotonic clock, nanoseconds), with their captured bytes.
    ///
    /// What passed later stays: the control records that belong to it may not have been taken yet.
    pub fn drain_payload(&mut self, until_ns: u64, mut each: impl FnMut(&PayloadEvent, &[u8])) {
        if !self.held.is_empty() {
            match PayloadEvent::read(&self.held) {
                Some((event, _)) if event.time_ns > until_ns => return,
                Some((event, captured)) => {
                    self.taken.payload.add(captured.len());
                    each(event, captured);
                }
                None => self.taken.malformed.add(self.held.len()),
            }
            self.held.clear();
        }
        let mut found = 0;
        while let Some(record) = self.payload.next() {
            found += ring_bytes(record.len());
            let Some((event, captured)) = PayloadEvent::read(&record) else {
                self.taken.payload.add(record.len());
                self.taken.malformed.add(record.len());
                continue;
            };
            if event.time_ns > until_ns {
                self.held.extend_from_slice(&record);
                break;
            }
            self.taken.payload.add(captured.len());
            each(event, captured);
        }
        self.payload_fill.drained(found);
    }

    /// The counters of the UDP traffic between a socket and a peer; `None` once removed.
    pub fn udp_counters(&self, key: &UdpKey) -> Option<UdpCounters> {
        self.udp_flows.get(key, 0).ok()
    }

    /// Names the UDP traffic of which there are counters.
    pub fn udp_keys(&self) -> impl Iterator<Item = UdpKey> {
        // One that goes meanwhile can end the walk early: whoever misses a key asks again.
        self.udp_flows.keys().filter_map(Result::ok)
    }

    /// Forgets the counters of the UDP traffic between a socket and a peer.
    pub fn remove_udp(&mut self, key: &UdpKey) {
        // Absent already: nothing to do.
        let _ = self.udp_flows.remove(key);
    }

    /// Reads the counters of every open TCP connection.
    pub fn read_counters(&mut self, each: impl FnMut(&TcpEvent)) -> io::Result<()> {
        match &self.counters {
            Some(iterator) => read_events(iterator.open()?, each),
            None => self.walk_files(READ_COUNTERS_BY_FILE.name, each),
        }
    }

    /// Looks through the open files of every process for sockets of the captured cgroups: marks them with their owner
    /// and tells of the TCP ones.
    pub fn find_sockets(&mut self, each: impl FnMut(&TcpEvent)) -> io::Result<()> {
        self.walk_files("find_sockets", each)
    }

    /// Runs a program for every open file. One that was refused tells nothing.
    fn walk_files(&mut self, name: &str, each: impl FnMut(&TcpEvent)) -> io::Result<()> {
        let is_attached = |status: &ProgramStatus| {
            status.program.name == name && status.outcome == Outcome::Attached
        };
        let program = self.ebpf.program_mut(name);
        let Some(program) = program.filter(|_| self.programs.iter().any(is_attached)) else {
            return Ok(());
        };
        let mut open = || -> Result<std::fs::File, Box<dyn std::error::Error>> {
            let iterator: &mut Iter = program.try_into()?;
            let link = iterator.attach()?;
            Ok(iterator.take_link(link)?.into_file()?)
        };
        let file = open().map_err(|error| io::Error::other(describe(error.as_ref())))?;
        read_events(file, each)
    }

    /// How full the rings were since the last look.
    pub fn rings(&mut self) -> [RingFill; 2] {
        let fills = [self.payload_fill, self.control_fill];
        for fill in [&mut self.payload_fill, &mut self.control_fill] {
            fill.peak_bytes = 0;
        }
        fills
    }

    /// What was taken out of the rings since the start.
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// What the kernel side lost since the start, by hook, reason and message; always the same list.
    pub fn losses(&self) -> impl Iterator<Item = LossCount> {
        let each = HOOKS.into_iter().flat_map(|hook| {
            LOSS_REASONS.into_iter().flat_map(move |reason| {
                MESSAGE_KINDS
                    .into_iter()
                    .map(move |message| (hook, reason, message))
            })
        });
        each.zip(0..)
            .map(|((hook, reason, message), index)| LossCount {
                hook,
                reason,
                message,
                tally: sum(&self.losses, index),
            })
    }

    /// What passed since the start, by hook and kind; always the same list.
    pub fn totals(&self) -> impl Iterator<Item = TotalCount> {
        let each = HOOKS
            .into_iter()
            .flat_map(|hook| TOTAL_KINDS.into_iter().map(move |kind| (hook, kind)));
        each.zip(0..).map(|((hook, kind), index)| TotalCount {
            hook,
            kind,
            tally: sum(&self.totals, index),
        })
    }
}

fn sum(array: &PerCpuArray<MapData, Tally>, index: u32) -> Tally {
    let mut total = Tally::default();
    for tally in array.get(&index, 0).iter().flat_map(|values| values.iter()) {
        total.events += tally.events;
        total.bytes += tally.bytes;
    }
    total
}
