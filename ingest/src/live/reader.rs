//! The loop of the capture thread.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustc_hash::FxHashSet;
use weir_ebpf::events::{ControlEvent, DIRECTION_RECEIVED, Tally, TcpEvent, UdpKey};
use weir_ebpf::{Kernel, Outcome};
use weir_storage::{CaptureProgram, NodeIdentity, Row};

use super::clock::Clock;
use super::events;
use super::processes::Processes;
use super::state::{State, served_port};
use super::stats::{CaptureStats, CountedLoss, SharedStats};
use super::wall::WallSink;
use crate::packet::Nanos;
use crate::sink::Sink;
use crate::tracker::{Role, Settings, Tracker};

/// Pause between two drains of the rings.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);
const SECOND_NS: u64 = 1_000_000_000;
/// Stage of the losses on the kernel side.
const KERNEL_STAGE: &str = "kernel";

/// Reads the kernel side and feeds the tracker.
pub(super) struct Reader {
    kernel: Kernel,
    clock: Clock,
    tracker: Tracker,
    sink: WallSink,
    node: Arc<str>,
    stats: SharedStats,
    state: State,
    /// Control records that are not used yet, in the order of the ring.
    control: VecDeque<ControlEvent>,
    kernel_losses: Vec<Tally>,
    counters_every_ns: u64,
    next_counters_ns: u64,
    udp_idle_ns: u64,
    client_ports: RangeInclusive<u16>,
    next_second_ns: u64,
}

impl Reader {
    pub(super) fn new(
        kernel: Kernel,
        settings: impl FnOnce(Nanos) -> Settings,
        mut processes: Processes,
        sink: Box<dyn Sink + Send>,
        stats: SharedStats,
    ) -> Self {
        let clock = Clock::new();
        let now_ns = Clock::now_ns();
        let settings = settings(clock.steady(now_ns));
        let node = Arc::clone(&settings.node);
        // Rows must not tell counters that are older than a fraction of their interval.
        let counters_every_ns =
            (settings.flow_interval.unsigned_abs() / 5).clamp(SECOND_NS / 5, 5 * SECOND_NS);
        let udp_idle_ns = settings.udp_idle_timeout.unsigned_abs();
        processes.find(kernel.targets().iter().map(|target| target.path.as_path()));
        let mut reader = Self {
            kernel,
            clock,
            tracker: Tracker::new(settings),
            sink: WallSink { sink, shift: 0 },
            node,
            stats,
            state: State::new(processes),
            control: VecDeque::new(),
            kernel_losses: Vec::new(),
            counters_every_ns,
            next_counters_ns: now_ns + counters_every_ns,
            udp_idle_ns,
            client_ports: client_ports(),
            next_second_ns: now_ns + SECOND_NS,
        };
        reader.tell_programs(now_ns);
        reader.find_open_connections();
        reader.publish();
        reader
    }

    /// One turn: drains the rings, does what is due, and pauses.
    pub(super) fn cycle(&mut self) {
        let now_ns = Clock::now_ns();
        self.drain(now_ns);
        if now_ns >= self.next_counters_ns {
            self.next_counters_ns = now_ns + self.counters_every_ns;
            self.read_counters(now_ns);
        }
        if now_ns >= self.next_second_ns {
            self.next_second_ns = now_ns + SECOND_NS;
            self.clock.read_wall();
            self.sink.shift = self.clock.wall_minus_steady();
            self.count_kernel_losses();
            self.state.processes.second(self.tracker.ledger());
            if std::mem::take(&mut self.state.must_find_owners) {
                self.find_owners();
            }
            self.publish();
        }
        self.tracker.tick(self.clock.steady(now_ns), &mut self.sink);
        let spent = Duration::from_nanos(Clock::now_ns().saturating_sub(now_ns));
        thread::sleep(DRAIN_INTERVAL.saturating_sub(spent));
    }

    /// Takes what is left and makes rows of everything that is pending.
    pub(super) fn finish(&mut self) {
        let now_ns = Clock::now_ns();
        self.drain(now_ns);
        self.read_counters(now_ns);
        self.count_kernel_losses();
        // UDP flows and connections that live on get their last row from the tracker's end.
        self.tracker
            .finish(self.clock.steady(now_ns), &mut self.sink);
        self.publish();
    }

    /// Takes the records of both rings up to `now_ns`, merged by time: a connection's opening comes before its packets
    /// and its end after them.
    fn drain(&mut self, now_ns: u64) {
        let Self {
            kernel,
            clock,
            tracker,
            sink,
            state,
            control,
            ..
        } = self;
        kernel.drain_control(|event| control.push_back(event));
        let mut ended_udp = Vec::new();
        kernel.drain_payload(now_ns, |event, payload| {
            state.use_control(control, event.time_ns, clock, tracker, sink, &mut ended_udp);
            state.use_payload(event, payload, clock, tracker, sink);
        });
        state.use_control(control, now_ns, clock, tracker, sink, &mut ended_udp);
        for cookie in ended_udp {
            self.end_udp(cookie, now_ns);
        }
    }

    /// A UDP socket was closed: its flows are over.
    fn end_udp(&mut self, cookie: u64, now_ns: u64) {
        let keys: Vec<UdpKey> = self
            .state
            .udp
            .iter()
            .filter(|key| key.cookie == cookie)
            .copied()
            .collect();
        for key in keys {
            self.read_udp(&key, true, now_ns);
        }
        self.state.told_owners.remove(&cookie);
    }

    fn read_udp(&mut self, key: &UdpKey, is_closed: bool, now_ns: u64) {
        let Some(counters) = self.kernel.udp_counters(key) else {
            self.state.udp.remove(key);
            return;
        };
        // A server's socket can outlive the process that made it.
        if counters.first_direction == DIRECTION_RECEIVED {
            self.state.remember_long_lived(&counters.owner);
            // What comes to a port that Linux gives to clients may be an answer to what was sent before the capture began.
            let port = key.endpoints.local().port();
            if !self.client_ports.contains(&port) {
                self.state.processes.serves(&counters.owner, port);
            }
        }
        let is_over = is_closed || now_ns.saturating_sub(counters.last_ns) > self.udp_idle_ns;
        let owner = self.state.processes.resolve(&counters.owner);
        let event = events::udp_counted(key, &counters, is_over, now_ns, owner, &self.clock);
        self.tracker.socket(event, &mut self.sink);
        if is_over {
            self.kernel.remove_udp(key);
            self.state.udp.remove(key);
        }
    }

    fn read_counters(&mut self, now_ns: u64) {
        let Self {
            kernel,
            clock,
            tracker,
            sink,
            state,
            ..
        } = self;
        let outcome = kernel.read_counters(|event| {
            state.tell_owner(
                event.cookie,
                &event.owner,
                served_port(event),
                tracker,
                sink,
            );
            tracker.socket(events::counted(event, clock), sink);
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot read the counters of open connections");
        }
        let keys: Vec<UdpKey> = self.state.udp.iter().copied().collect();
        for key in keys {
            self.read_udp(&key, false, now_ns);
        }
    }

    /// Tells the tracker of the connections that were open before the capture began.
    fn find_open_connections(&mut self) {
        let mut found: Vec<TcpEvent> = Vec::new();
        if let Err(error) = self.kernel.find_sockets(|event| found.push(*event)) {
            tracing::warn!(%error, "cannot look for sockets that are open already");
        }
        let listening: FxHashSet<(u32, u16)> = found
            .iter()
            .filter(|event| event.state == events::TCP_LISTEN)
            .map(|event| (event.endpoints.netns, event.endpoints.local().port()))
            .collect();
        for event in &found {
            if event.state == events::TCP_LISTEN {
                self.state
                    .remember_listener(event, &mut self.tracker, &mut self.sink);
                continue;
            }
            let is_accepted =
                listening.contains(&(event.endpoints.netns, event.endpoints.local().port()));
            let role = if is_accepted {
                Role::Server
            } else {
                Role::Client
            };
            let port = is_accepted.then(|| event.endpoints.local().port());
            let owner = self.state.owner_of(event.cookie, &event.owner, port);
            self.tracker.socket(
                events::found(event, role, owner, &self.clock),
                &mut self.sink,
            );
        }
    }

    /// Finds the processes that hold the sockets of others that ended.
    fn find_owners(&mut self) {
        let Self {
            kernel,
            state,
            tracker,
            sink,
            ..
        } = self;
        let outcome = kernel.find_sockets(|event| {
            state.remember_listener(event, tracker, sink);
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot look for the owners of sockets");
        }
    }

    fn count_kernel_losses(&mut self) {
        let losses: Vec<_> = self.kernel.losses().collect();
        self.kernel_losses.resize(losses.len(), Tally::default());
        for (loss, counted) in losses.iter().zip(&mut self.kernel_losses) {
            let events = loss.tally.events.saturating_sub(counted.events);
            let bytes = loss.tally.bytes.saturating_sub(counted.bytes);
            self.tracker
                .ledger()
                .count(KERNEL_STAGE, loss.reason, events, bytes);
            *counted = loss.tally;
        }
    }

    fn tell_programs(&mut self, now_ns: u64) {
        for status in self.kernel.programs() {
            let program = status.program;
            let (outcome, reason) = match &status.outcome {
                Outcome::Attached => ("attached", None),
                Outcome::Refused(reason) => ("refused", Some(reason.as_str().into())),
            };
            self.sink.push(Row::from(CaptureProgram {
                time: self.clock.steady(now_ns) / 1_000,
                identity: NodeIdentity {
                    node: Arc::clone(&self.node),
                },
                program: Some(program.name.into()),
                program_type: Some(program.kind.type_name().into()),
                hook: Some(program.hook.into()),
                outcome: Some(outcome),
                reason,
                costs: Some(program.costs.into()),
            }));
        }
    }

    fn publish(&mut self) {
        let (packets, payload) = (self.kernel.packets(), self.kernel.payload_records());
        let losses = self
            .tracker
            .ledger()
            .totals()
            .map(|(stage, reason, loss)| CountedLoss {
                stage,
                reason,
                events: loss.events,
                bytes: loss.bytes,
            })
            .collect();
        self.stats.store(Arc::new(CaptureStats {
            cgroups: self
                .kernel
                .targets()
                .iter()
                .map(|target| target.path.clone())
                .collect(),
            programs: self.kernel.programs().to_vec(),
            packets: packets.events,
            packet_bytes: packets.bytes,
            payload_records: payload.events,
            payload_bytes: payload.bytes,
            control_records: self.kernel.control_records().events,
            losses,
        }));
    }
}

/// The ports that Linux gives to clients.
fn client_ports() -> RangeInclusive<u16> {
    /// What Linux has unless told otherwise.
    const DEFAULT: RangeInclusive<u16> = 32_768..=60_999;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let ends = range.and_then(|range| {
        let mut ends = range.split_whitespace().map(str::parse);
        Some(ends.next()?.ok()?..=ends.next()?.ok()?)
    });
    ends.unwrap_or(DEFAULT)
}
