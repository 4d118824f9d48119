//! The loaded programs and what is read from them.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use aya::maps::{HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::ProgramType;
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, Iter, ProgramError,
};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Btf, Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use zerocopy::FromBytes as _;

use crate::cgroup::{self, Target};
use crate::error::LoadError;
use crate::events::{
    ControlEvent, LOSS_REASONS, PayloadEvent, Tally, TcpEvent, UdpCounters, UdpKey,
};
use crate::iterator::{MapIterator, read_events};
use crate::programs::{Kind, Outcome, PROGRAMS, Program, ProgramStatus};

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
    /// The cgroups to watch; none means the root of the hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// Bytes of a message that are copied at most.
    pub message_prefix: u32,
    /// Bytes of the ring for payload; a power of two, at least a page.
    pub payload_ring_bytes: u32,
    /// Bytes of the ring for control records; a power of two, at least a page.
    pub control_ring_bytes: u32,
}

impl Default for KernelOptions {
    fn default() -> Self {
        Self {
            cgroups: Vec::new(),
            message_prefix: 16 * 1024,
            payload_ring_bytes: 16 * 1024 * 1024,
            control_ring_bytes: 4 * 1024 * 1024,
        }
    }
}

/// What the kernel side lost for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossCount {
    /// Why.
    pub reason: &'static str,
    /// Events and bytes since the start.
    pub tally: Tally,
}

/// The loaded and attached programs. Dropping it detaches them, and so does the end of the process, however it ends.
pub struct Kernel {
    ebpf: Ebpf,
    targets: Vec<Target>,
    programs: Vec<ProgramStatus>,
    control: RingBuf<MapData>,
    payload: RingBuf<MapData>,
    udp_flows: HashMap<MapData, UdpKey, UdpCounters>,
    losses: PerCpuArray<MapData, Tally>,
    totals: PerCpuArray<MapData, Tally>,
    counters: Option<MapIterator>,
    /// A payload record that was read too early.
    held: Vec<u8>,
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
        for ProgramStatus { program, outcome } in &kernel.programs {
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
        let targets = cgroup::targets(&options.cgroups)?;
        let btf = Btf::from_sys_fs().map_err(|error| LoadError::Btf(describe(&error)))?;
        let is_root = cgroup::mount_point()
            .is_some_and(|mount| targets.iter().any(|target| target.path == mount));
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("capture_all", &u8::from(is_root), true)
            .override_global("message_prefix", &options.message_prefix, true)
            .override_global("sender_is_known", &u8::from(can_tell_sender()), true)
            .map_max_entries("payload", options.payload_ring_bytes)
            .map_max_entries("control", options.control_ring_bytes)
            .load(OBJECT)
            .map_err(|error| LoadError::Object(describe(&error)))?;

        let mut target_ids: HashMap<_, u64, u8> = map(&mut ebpf, "targets")?;
        for target in &targets {
            target_ids
                .insert(target.id, 1, 0)
                .map_err(|error| LoadError::Object(describe(&error)))?;
        }
        let control = map(&mut ebpf, "control")?;
        let payload = map(&mut ebpf, "payload")?;
        let udp_flows = map(&mut ebpf, "udp_flows")?;
        let losses = map(&mut ebpf, "losses")?;
        let totals = map(&mut ebpf, "totals")?;

        let mut kernel = Self {
            ebpf,
            targets,
            programs: Vec::new(),
            control,
            payload,
            udp_flows,
            losses,
            totals,
            counters: None,
            held: Vec::new(),
        };
        for program in PROGRAMS {
            let outcome = match kernel.attach(program, &btf) {
                Ok(()) => Outcome::Attached,
                Err(reason) => Outcome::Refused(reason),
            };
            kernel.programs.push(ProgramStatus { program, outcome });
        }
        Ok(kernel)
    }

    fn attach(&mut self, program: &'static Program, btf: &Btf) -> Result<(), String> {
        let loaded = self
            .ebpf
            .program_mut(program.name)
            .ok_or("it is not in the object")?;
        // A link to a cgroup leaves the programs of others on it alone, without a flag (since 5.7).
        let mode = CgroupAttachMode::Single;
        let directories = self.targets.iter().map(|target| &target.directory);
        let attached: Result<(), ProgramError> = (|| {
            match program.kind {
                Kind::CgroupIngress | Kind::CgroupEgress => {
                    let direction = match program.kind {
                        Kind::CgroupIngress => CgroupSkbAttachType::Ingress,
                        _ => CgroupSkbAttachType::Egress,
                    };
                    let packets: &mut CgroupSkb = loaded.try_into()?;
                    packets.load()?;
                    for directory in directories {
                        packets.attach(directory, direction, mode)?;
                    }
                }
                Kind::CgroupSock => {
                    let sockets: &mut CgroupSock = loaded.try_into()?;
                    sockets.load()?;
                    for directory in directories {
                        sockets.attach(directory, mode)?;
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
        if program.kind == Kind::Iterator("bpf_sk_storage_map") {
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

    /// What became of each program.
    pub fn programs(&self) -> &[ProgramStatus] {
        &self.programs
    }

    /// The cgroups that are captured.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Takes every control record that is there.
    pub fn drain_control(&mut self, mut each: impl FnMut(ControlEvent)) {
        while let Some(record) = self.control.next() {
            if let Some(event) = ControlEvent::read(&record) {
                each(event);
            }
        }
    }

    /// Takes the payload records up to that time (monotonic clock, nanoseconds), with their captured bytes.
    ///
    /// What passed later stays: the control records that belong to it may not have been taken yet.
    pub fn drain_payload(&mut self, until_ns: u64, mut each: impl FnMut(&PayloadEvent, &[u8])) {
        if let Some((event, captured)) = read_payload(&self.held) {
            if event.time_ns > until_ns {
                return;
            }
            each(event, captured);
        }
        self.held.clear();
        while let Some(record) = self.payload.next() {
            let Some((event, captured)) = read_payload(&record) else {
                continue;
            };
            if event.time_ns > until_ns {
                self.held.extend_from_slice(&record);
                return;
            }
            each(event, captured);
        }
    }

    /// The counters of the UDP traffic between a socket and a peer; `None` once removed.
    pub fn udp_counters(&self, key: &UdpKey) -> Option<UdpCounters> {
        self.udp_flows.get(key, 0).ok()
    }

    /// Forgets the counters of the UDP traffic between a socket and a peer.
    pub fn remove_udp(&mut self, key: &UdpKey) {
        // Absent already: nothing to do.
        let _ = self.udp_flows.remove(key);
    }

    /// Reads the counters of every open TCP connection.
    pub fn read_counters(&self, each: impl FnMut(&TcpEvent)) -> io::Result<()> {
        match &self.counters {
            Some(iterator) => read_events(iterator.open()?, each),
            None => Ok(()),
        }
    }

    /// Looks through the open files of every process for sockets of the captured cgroups: marks them with their owner
    /// and tells of the TCP ones.
    pub fn find_sockets(&mut self, each: impl FnMut(&TcpEvent)) -> io::Result<()> {
        let Some(program) = self.ebpf.program_mut("find_sockets") else {
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

    /// What the kernel side lost since the start, by reason.
    pub fn losses(&self) -> impl Iterator<Item = LossCount> {
        LOSS_REASONS
            .into_iter()
            .zip(0..)
            .map(|(reason, index)| LossCount {
                reason,
                tally: sum(&self.losses, index),
            })
    }

    /// Packets that the programs looked at since the start.
    pub fn packets(&self) -> Tally {
        sum(&self.totals, 0)
    }

    /// Payload records handed over since the start, with their captured bytes.
    pub fn payload_records(&self) -> Tally {
        sum(&self.totals, 1)
    }

    /// Control records handed over since the start.
    pub fn control_records(&self) -> Tally {
        sum(&self.totals, 2)
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

fn map<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> Result<T, LoadError> {
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

fn read_payload(record: &[u8]) -> Option<(&PayloadEvent, &[u8])> {
    let (event, data) = PayloadEvent::ref_from_prefix(record).ok()?;
    let captured = data.get(..event.captured as usize)?;
    Some((event, captured))
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
