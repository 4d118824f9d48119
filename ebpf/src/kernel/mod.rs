//! The loaded programs: how they come to be attached.

mod follow;
mod read;

use std::io;
use std::os::fd::AsFd as _;

use aya::maps::{HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::ProgramType;
use aya::programs::{BtfTracePoint, Iter, ProgramError};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Btf, Ebpf, EbpfLoader, Pod, include_bytes_aligned};

use crate::attachment::{self, Attached};
use crate::cgroup::{self, Missing, Target};
use crate::error::LoadError;
use crate::events::{Tally, UdpCounters, UdpKey};
use crate::iterator::MapIterator;
use crate::maps::SelectionMaps;
use crate::program_info::ProgramInfo;
use crate::programs::{
    Kind, Outcome, PROGRAMS, Program, ProgramStatus, READ_COUNTERS_BY_FILE, WALKS_OVER_SOCKETS,
};
use crate::selection::Selection;

pub use read::{LossCount, RingFill, Taken, TotalCount};

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

/// Takes a map out of the object.
pub(crate) fn map<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> Result<T, LoadError> {
    ebpf.take_map(name)
        .and_then(|map| T::try_from(map).ok())
        .ok_or_else(|| LoadError::Object(format!("the map {name} is not what it should be")))
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

/// Whether the root of the hierarchy is among them.
fn is_whole_machine(targets: &[Target]) -> bool {
    cgroup::mount_point().is_some_and(|mount| targets.iter().any(|target| target.path == mount))
}
