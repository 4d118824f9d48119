//! The loaded programs and what is read from them.

use std::io;
use std::os::fd::AsFd as _;

use aya::maps::{HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::ProgramType;
use aya::programs::{BtfTracePoint, Iter, ProgramError};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Btf, Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use serde::Serialize;

use crate::attachment::{self, Attached};
use crate::cgroup::{self, Missing, Target};
use crate::error::LoadError;
use crate::events::{
    ControlEvent, HOOKS, LEFT_OUT_REASONS, LOSS_REASONS, MESSAGE_KINDS, PayloadEvent, TOTAL_KINDS,
    Tally, TcpEvent, UdpCounters, UdpKey,
};
use crate::iterator::{MapIterator, read_events};
use crate::maps::SelectionMaps;
use crate::program_info::ProgramInfo;
use crate::programs::{
    Kind, Outcome, PROGRAMS, Program, ProgramStatus, READ_COUNTERS_BY_FILE, WALKS_OVER_SOCKETS,
};
use crate::selection::Selection;

/// The compiled kernel side.
pub(crate) static OBJECT: &[u8] = include_bytes_aligned!(env!("WEIR_BPF_OBJECT"));

// SAFETY: plain integers and byte arrays, `repr(C)`, without padding (their sizes are asserted beside them).
unsafe impl Pod for UdpKey {}
// SAFETY: as above.
unsafe impl Pod for UdpCounters {}
// SAFETY: as above.
unsafe impl Pod for Tally {}

/// What to capture, and with how much memory.
#[derive(Debug, Clone)]
pub struct KernelOptions {
    /// What to capture at first.
    pub selection: Selection,
    /// Bytes of the ring for payload; a power of two, at least a page.
    pub payload_ring_bytes: u32,
    /// Bytes of the ring for control records; a power of two, at least a page.
    pub control_ring_bytes: u32,
}

impl Default for KernelOptions {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            payload_ring_bytes: 16 * 1024 * 1024,
            control_ring_bytes: 4 * 1024 * 1024,
        }
    }
}

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

/// The loaded and attached programs. Dropping it detaches them, and so does the end of the process, however it ends.
pub struct Kernel {
    ebpf: Ebpf,
    selection: Selection,
    maps: SelectionMaps,
    target_ids: HashMap<MapData, u64, u8>,
    targets: Vec<Attached>,
    programs: Vec<ProgramStatus>,
    control: RingBuf<MapData>,
    payload: RingBuf<MapData>,
    udp_flows: HashMap<MapData, UdpKey, UdpCounters>,
    losses: PerCpuArray<MapData, Tally>,
    left_out: PerCpuArray<MapData, Tally>,
    totals: PerCpuArray<MapData, Tally>,
    counters: Option<MapIterator>,
    /// A payload record that was read too early.
    held: Vec<u8>,
    taken: Taken,
    payload_fill: RingFill,
    control_fill: RingFill,
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
    const fn empty(ring: &'static str, capacity_bytes: u32) -> Self {
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

impl std::fmt::Debug for Kernel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Kernel")
            .field("targets", &self.targets)
            .field("programs", &self.programs)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// Loads and attaches every program; one that the kernel refuses is told by [`Self::programs`].
    ///
    /// # Errors
    ///
    /// Where the cgroups cannot be opened, the maps are refused, or a program without which there is no capture is.
    pub fn load(options: &KernelOptions) -> Result<Self, LoadError> {
        let kernel = Self::load_what_works(options)?;
        for ProgramStatus {
            program, outcome, ..
        } in &kernel.programs
        {
            if let (true, Outcome::Refused(reason)) = (program.required, outcome) {
                return Err(LoadError::Program {
                    program: program.name,
                    hook: program.hook,
                    reason: reason.clone(),
                });
            }
        }
        Ok(kernel)
    }

    /// As [`Self::load`], also where a program is refused without which there is no capture.
    pub(crate) fn load_what_works(options: &KernelOptions) -> Result<Self, LoadError> {
        let KernelOptions {
            selection,
            payload_ring_bytes,
            control_ring_bytes,
        } = options;
        selection.check()?;
        let targets = cgroup::targets(&selection.cgroups, &selection.patterns, Missing::Refuse)?;
        let btf = Btf::from_sys_fs().map_err(|error| LoadError::Btf(describe(&error)))?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("sender_is_known", &u8::from(can_tell_sender()), true)
            .map_max_entries("payload", *payload_ring_bytes)
            .map_max_entries("control", *control_ring_bytes)
            .load(OBJECT)
            .map_err(|error| LoadError::Object(describe(&error)))?;

        let mut kernel = Self {
            selection: selection.clone(),
            maps: SelectionMaps::take(&mut ebpf)?,
            target_ids: map(&mut ebpf, "targets")?,
            targets: Vec::new(),
            programs: Vec::new(),
            control: map(&mut ebpf, "control")?,
            payload: map(&mut ebpf, "payload")?,
            udp_flows: map(&mut ebpf, "udp_flows")?,
            losses: map(&mut ebpf, "losses")?,
            left_out: map(&mut ebpf, "left_out")?,
            totals: map(&mut ebpf, "totals")?,
            counters: None,
            held: Vec::new(),
            taken: Taken::default(),
            payload_fill: RingFill::empty("payload", *payload_ring_bytes),
            control_fill: RingFill::empty("control", *control_ring_bytes),
            ebpf,
        };
        let written = kernel.maps.write(selection, is_whole_machine(&targets))?;
        kernel.maps.put_in_force(written)?;
        for target in &targets {
            kernel.name_target(target.id)?;
        }
        kernel.targets = targets.into_iter().map(Attached::new).collect();
        for program in PROGRAMS {
            kernel.try_program(program, &btf);
        }
        if kernel.counters.is_none() {
            kernel.try_program(READ_COUNTERS_BY_FILE, &btf);
            kernel.leave_out_replaced();
        }
        kernel.look_at_programs();
        Ok(kernel)
    }

    /// Leaves out what was refused where another program does the same: nothing is missed.
    fn leave_out_replaced(&mut self) {
        let stand_in = self.programs.last();
        if stand_in.is_some_and(|status| status.outcome == Outcome::Attached) {
            self.programs
                .retain(|status| status.program.kind != WALKS_OVER_SOCKETS);
        }
    }

    fn try_program(&mut self, program: &'static Program, btf: &Btf) {
        let outcome = match self.attach(program, btf) {
            Ok(()) => Outcome::Attached,
            Err(reason) => Outcome::Refused(reason),
        };
        self.programs.push(ProgramStatus {
            program,
            outcome,
            info: ProgramInfo::default(),
        });
    }

    fn name_target(&mut self, id: u64) -> Result<(), LoadError> {
        self.target_ids
            .insert(id, 1, 0)
            .map_err(|error| LoadError::Object(describe(&error)))
    }

    fn attach(&mut self, program: &'static Program, btf: &Btf) -> Result<(), String> {
        let loaded = self
            .ebpf
            .program_mut(program.name)
            .ok_or("it is not in the object")?;
        let attached: Result<(), ProgramError> = (|| {
            match program.kind {
                Kind::CgroupIngress | Kind::CgroupEgress | Kind::CgroupSock => {
                    attachment::load(loaded)?;
                    for target in &mut self.targets {
                        target.attach(program.kind, loaded)?;
                    }
                }
                Kind::Tracepoint(name) => {
                    let tracepoint: &mut BtfTracePoint = loaded.try_into()?;
                    tracepoint.load(name, btf)?;
                    tracepoint.attach()?;
                }
                Kind::Iterator(name) => {
                    let iterator: &mut Iter = loaded.try_into()?;
                    iterator.load(name, btf)?;
                }
            }
            Ok(())
        })();
        attached.map_err(|error| describe(&error))?;
        if program.kind == WALKS_OVER_SOCKETS {
            self.counters = Some(
                self.link_counters(program.name)
                    .map_err(|error| error.to_string())?,
            );
        }
        Ok(())
    }

    /// Captures this from now on. Where it cannot be done, what was captured before goes on.
    ///
    /// # Errors
    ///
    /// Where the selection makes no sense, names a cgroup that is not there, or the programs cannot be attached to one.
    pub fn select(&mut self, selection: &Selection) -> Result<(), LoadError> {
        selection.check()?;
        let targets = cgroup::targets(&selection.cgroups, &selection.patterns, Missing::Refuse)?;
        self.change(selection, targets)
    }

    /// Looks whether the cgroups that are meant have gone or come since; returns whether that is so. One that cannot be
    /// attached to is an error, and the others are captured all the same as before.
    pub fn follow_cgroups(&mut self) -> Result<bool, LoadError> {
        let Selection {
            cgroups, patterns, ..
        } = &self.selection;
        let targets = cgroup::targets(cgroups, patterns, Missing::LeaveOut)?;
        let is_same = targets.len() == self.targets.len()
            && targets
                .iter()
                .zip(&self.targets)
                .all(|(found, attached)| found.id == attached.target.id);
        if is_same {
            return Ok(false);
        }
        if targets.len() == cgroup::MAX_TARGETS {
            tracing::warn!(
                "no more than {} cgroups are captured; name one above them",
                cgroup::MAX_TARGETS
            );
        }
        let selection = self.selection.clone();
        self.change(&selection, targets)?;
        Ok(true)
    }

    /// Attaches to what is new before anything is detached, and takes everything back where that fails. `targets` are in
    /// order of their paths.
    fn change(&mut self, selection: &Selection, targets: Vec<Target>) -> Result<(), LoadError> {
        let written = self.maps.write(selection, is_whole_machine(&targets))?;
        let ids: Vec<u64> = targets.iter().map(|target| target.id).collect();
        let before = self.maps.put_in_force(written)?;
        let added = match self.attach_new(targets) {
            Ok(added) => added,
            Err(error) => {
                let failed = self.maps.put_in_force(before)?;
                self.maps.forget(&failed);
                return Err(error);
            }
        };
        self.maps.forget(&before);
        let (kept, gone): (Vec<Attached>, Vec<Attached>) = std::mem::take(&mut self.targets)
            .into_iter()
            .partition(|attached| ids.contains(&attached.target.id));
        for attached in gone {
            // Absent already: nothing to do. Its links end with it.
            let _ = self.target_ids.remove(&attached.target.id);
        }
        self.targets = kept.into_iter().chain(added).collect();
        self.targets
            .sort_by(|one, other| one.target.path.cmp(&other.target.path));
        self.selection = selection.clone();
        Ok(())
    }

    fn attach_new(&mut self, targets: Vec<Target>) -> Result<Vec<Attached>, LoadError> {
        let mut added: Vec<Attached> = Vec::new();
        for target in targets {
            let id = target.id;
            let is_known = |attached: &Attached| attached.target.id == id;
            if self.targets.iter().any(is_known) {
                continue;
            }
            let attached = self.name_target(id).and_then(|()| {
                let mut attached = Attached::new(target);
                attached.attach_all(&mut self.ebpf, &self.programs)?;
                Ok(attached)
            });
            match attached {
                Ok(attached) => added.push(attached),
                Err(error) => {
                    let taken_back = added.iter().map(|attached| attached.target.id);
                    for id in taken_back.chain([id]) {
                        let _ = self.target_ids.remove(&id);
                    }
                    return Err(error);
                }
            }
        }
        Ok(added)
    }

    fn link_counters(&self, program: &str) -> io::Result<MapIterator> {
        let fd = self
            .ebpf
            .program(program)
            .and_then(|program| program.fd().ok());
        let (Some(program), Some(Map::SkStorage(sockets))) = (fd, self.ebpf.map("sockets")) else {
            return Err(io::Error::other(
                "the map of the sockets is not in the object",
            ));
        };
        MapIterator::new(program.as_fd(), sockets.fd().as_fd())
    }

    /// Asks the kernel about each program, and looks whether the cgroups are still there.
    pub fn look_at_programs(&mut self) {
        // A pattern waits for cgroups to come.
        let are_gone = self.selection.patterns.is_empty() && !self.targets().any(Target::is_there);
        for status in &mut self.programs {
            let loaded = self.ebpf.program(status.program.name);
            let fd = loaded.and_then(|program| program.fd().ok());
            let info = fd.and_then(|fd| ProgramInfo::read(fd.as_fd()).ok());
            status.info = info.unwrap_or_default();
            let is_at_cgroup = status.program.kind.is_at_cgroup();
            match &status.outcome {
                Outcome::Attached if are_gone && is_at_cgroup => {
                    status.outcome = Outcome::Detached("its cgroups were removed".to_owned());
                }
                Outcome::Detached(_) if !are_gone => status.outcome = Outcome::Attached,
                _ => {}
            }
        }
    }

    /// Takes the programs away that look at packets; what they handed over stays in the ring.
    pub fn stop_packets(&mut self) {
        for target in &mut self.targets {
            target.detach_packets();
        }
    }

    /// What became of each program, as [`Self::look_at_programs`] found it last.
    pub fn programs(&self) -> &[ProgramStatus] {
        &self.programs
    }

    /// The cgroups that the programs are attached to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().map(|attached| &attached.target)
    }

    /// What is captured.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Counts the changes of what is captured.
    pub fn generation(&self) -> u32 {
        self.maps.generation()
    }

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

/// Whether the programs at packets may ask which process sends: then the owner of an accepted connection is the process
/// that serves it, else the one that listens.
pub(crate) fn can_tell_sender() -> bool {
    [
        BpfHelper::BPF_FUNC_get_current_task_btf,
        BpfHelper::BPF_FUNC_skc_to_tcp_sock,
    ]
    .into_iter()
    .all(|helper| is_helper_supported(ProgramType::CgroupSkb, helper).unwrap_or(false))
}

/// Whether the root of the hierarchy is among them.
fn is_whole_machine(targets: &[Target]) -> bool {
    cgroup::mount_point().is_some_and(|mount| targets.iter().any(|target| target.path == mount))
}

/// Takes a map out of the object.
pub(crate) fn map<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> Result<T, LoadError> {
    ebpf.take_map(name)
        .and_then(|map| T::try_from(map).ok())
        .ok_or_else(|| LoadError::Object(format!("the map {name} is not what it should be")))
}

fn sum(array: &PerCpuArray<MapData, Tally>, index: u32) -> Tally {
    let mut total = Tally::default();
    for tally in array.get(&index, 0).iter().flat_map(|values| values.iter()) {
        total.events += tally.events;
        total.bytes += tally.bytes;
    }
    total
}

/// An error with its causes, in one line; of a verifier log only the end, where it says what is wrong.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    const LONGEST: usize = 600;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > LONGEST {
        let mut start = line.len() - LONGEST;
        while !line.is_char_boundary(start) {
            start += 1;
        }
        line = format!("... {}", &line[start..]);
    }
    line
}
