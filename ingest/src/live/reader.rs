//! The loop of the capture thread.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use weir_ebpf::events::{ControlEvent, DIRECTION_RECEIVED, TcpEvent, UdpKey};
use weir_ebpf::{Kernel, LoadError, Outcome, ProgramStatus};
use weir_storage::{CaptureProgram, NodeIdentity, Row};

use super::clock::Clock;
use super::processes::Processes;
use super::reconcile::Reconciliation;
use super::state::State;
use super::stats::{CaptureStats, SharedStats};
use super::told::Told;
use super::wall::WallSink;
use super::{Choice, events};
use crate::packet::Nanos;
use crate::sink::Sink;
use crate::tracker::{Settings, SocketEvent, Tracker};

/// Pause between two drains of the rings.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);
const SECOND_NS: u64 = 1_000_000_000;
/// How often rows tell what the programs did.
const PROGRAMS_EVERY_NS: u64 = 60 * SECOND_NS;
/// Least time between two searches for new cgroups.
const CGROUPS_PAUSE_NS: u64 = SECOND_NS / 20;

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
    told: Told,
    /// Counters of connections whose opening is among those.
    early_counters: Vec<TcpEvent>,
    reconciliation: Reconciliation,
    counters_every_ns: u64,
    next_counters_ns: u64,
    udp_idle_ns: u64,
    client_ports: RangeInclusive<u16>,
    next_second_ns: u64,
    next_programs_ns: u64,
    next_cgroups_ns: u64,
    /// What went wrong in following cgroups, told once.
    cgroups_error: Option<String>,
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
        let now_ns = clock.now_ns();
        let settings = settings(clock.steady(now_ns));
        let node = Arc::clone(&settings.node);
        // Rows must not tell counters that are older than a fraction of their interval.
        let counters_every_ns =
            (settings.flow_interval.unsigned_abs() / 5).clamp(SECOND_NS / 5, 5 * SECOND_NS);
        let udp_idle_ns = settings.udp_idle_timeout.unsigned_abs();
        processes.find(kernel.targets().map(|target| target.path.as_path()));
        let keeps_flows = kernel.selection().protocols.flows;
        let mut reader = Self {
            kernel,
            clock,
            tracker: Tracker::new(settings),
            sink: WallSink::new(sink, keeps_flows),
            node,
            stats,
            state: State::new(processes),
            control: VecDeque::new(),
            told: Told::default(),
            early_counters: Vec::new(),
            reconciliation: Reconciliation::default(),
            counters_every_ns,
            next_counters_ns: now_ns + counters_every_ns,
            udp_idle_ns,
            client_ports: client_ports(),
            next_second_ns: now_ns + SECOND_NS,
            next_programs_ns: now_ns + PROGRAMS_EVERY_NS,
            next_cgroups_ns: now_ns + SECOND_NS,
            cgroups_error: None,
        };
        reader.tell_programs(now_ns);
        reader.find_sockets();
        reader.publish();
        reader
    }

    /// One turn: drains the rings, does what is due, and pauses.
    pub(super) fn cycle(&mut self) {
        let now_ns = self.clock.now_ns();
        self.drain(now_ns);
        self.use_early_counters();
        if now_ns >= self.next_counters_ns {
            self.next_counters_ns = now_ns + self.counters_every_ns;
            self.read_counters(now_ns);
        }
        if now_ns >= self.next_second_ns {
            self.next_second_ns = now_ns + SECOND_NS;
            self.clock.read_wall();
            self.sink.shift = self.clock.wall_minus_steady();
            self.watch_programs();
            self.count_kernel(now_ns);
            self.reconcile(now_ns);
            self.state.processes.second(self.tracker.ledger());
            if std::mem::take(&mut self.state.must_find_owners) {
                self.find_sockets();
            }
            if now_ns >= self.next_programs_ns {
                self.next_programs_ns = now_ns + PROGRAMS_EVERY_NS;
                self.tell_programs(now_ns);
            }
            self.publish();
        }
        if std::mem::take(&mut self.state.was_cgroup_made) {
            self.next_cgroups_ns = self.next_cgroups_ns.min(now_ns + CGROUPS_PAUSE_NS);
        }
        if now_ns >= self.next_cgroups_ns {
            self.next_cgroups_ns = now_ns + self.cgroups_interval_ns();
            self.follow_cgroups();
        }
        self.tracker.tick(self.clock.steady(now_ns), &mut self.sink);
        let spent = Duration::from_nanos(self.clock.now_ns().saturating_sub(now_ns));
        thread::sleep(DRAIN_INTERVAL.saturating_sub(spent));
    }

    /// Takes what is left and makes rows of everything that is pending.
    pub(super) fn finish(&mut self) {
        self.kernel.look_at_programs();
        self.tell_programs(self.clock.now_ns());
        // So that what the programs counted is what is in the ring, to the last record; one may still be running.
        self.kernel.stop_packets();
        thread::sleep(DRAIN_INTERVAL);
        let now_ns = self.clock.now_ns();
        self.drain(now_ns);
        self.use_early_counters();
        self.read_counters(now_ns);
        self.count_kernel(now_ns);
        // UDP flows and connections that live on get their last row from the tracker's end.
        let time = self.clock.steady(now_ns);
        self.tracker.finish(time, &mut self.sink);
        // And these rows are counted too.
        self.count_kernel(now_ns);
        self.tracker
            .ledger()
            .flush(time, &self.node, &mut self.sink);
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

    /// Reads the counters of all that is open; whether that worked.
    fn read_counters(&mut self, now_ns: u64) -> bool {
        let Self {
            kernel,
            clock,
            tracker,
            sink,
            state,
            early_counters,
            ..
        } = self;
        let outcome = kernel.read_counters(|event| {
            if event.was_told() && !tracker.knows_socket(event.cookie) {
                early_counters.push(*event);
            } else {
                state.use_counters(event, clock, tracker, sink);
            }
        });
        if let Err(error) = &outcome {
            tracing::warn!(%error, "cannot read the counters of open connections");
        }
        let keys: Vec<UdpKey> = self.state.udp.iter().copied().collect();
        for key in keys {
            self.read_udp(&key, false, now_ns);
        }
        outcome.is_ok()
    }

    /// Uses the counters of connections of which nothing was known when they were read.
    fn use_early_counters(&mut self) {
        for event in std::mem::take(&mut self.early_counters) {
            self.state
                .count(&event, &self.clock, &mut self.tracker, &mut self.sink);
        }
    }

    /// After control records were lost: finds out what is open, and ends what is not.
    fn reconcile(&mut self, now_ns: u64) {
        if !self.reconciliation.is_under_way() || !self.read_counters(now_ns) {
            return;
        }
        if let Some(since_ns) = self.reconciliation.all_was_read(now_ns) {
            let event = SocketEvent::Reconciled {
                time: self.clock.steady(now_ns),
                since: self.clock.steady(since_ns),
            };
            self.tracker.socket(event, &mut self.sink);
        }
    }

    /// Captures something else from now on; where that is refused, everything is as before.
    pub(super) fn change(&mut self, choice: Choice) -> Result<(), LoadError> {
        let Choice { selection, http } = choice;
        let before = self.kernel.selection().protocols;
        self.kernel.select(&selection)?;
        let now_ns = self.take_over();
        let now = self.clock.steady(now_ns);
        let protocols = selection.protocols;
        if before.http && !protocols.http {
            self.tracker.leave_out_http(now, &mut self.sink);
        }
        if before.dns && !protocols.dns {
            self.tracker.leave_out_dns(now, &mut self.sink);
        }
        self.tracker.set_http(&http);
        self.sink.keeps_flows = protocols.flows;
        self.publish();
        Ok(())
    }

    /// Lets what was captured before come out, ends what is not captured any more, and finds what is now.
    fn take_over(&mut self) -> u64 {
        let now_ns = self.clock.now_ns();
        self.drain(now_ns);
        self.use_early_counters();
        self.read_counters(now_ns);
        self.find_sockets();
        now_ns
    }

    fn follow_cgroups(&mut self) {
        match self.kernel.follow_cgroups() {
            Ok(has_changed) => {
                self.cgroups_error = None;
                if has_changed {
                    self.take_over();
                    self.publish();
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.cgroups_error.as_ref() != Some(&error) {
                    tracing::warn!(%error, "not every cgroup is captured that should be");
                }
                self.cgroups_error = Some(error);
            }
        }
    }

    /// How long until cgroups are looked for again if none is told.
    fn cgroups_interval_ns(&self) -> u64 {
        let is_told = self.kernel.programs().iter().any(|status| {
            status.program.name == "cgroup_create" && status.outcome == Outcome::Attached
        });
        if is_told && !self.kernel.selection().patterns.is_empty() {
            10 * SECOND_NS
        } else {
            SECOND_NS
        }
    }

    /// Marks the sockets that are open and not known yet, tells the tracker of their connections, and of those whose
    /// owner has ended, who has them now.
    fn find_sockets(&mut self) {
        let mut found: Vec<TcpEvent> = Vec::new();
        if let Err(error) = self.kernel.find_sockets(|event| found.push(*event)) {
            tracing::warn!(%error, "cannot look for sockets that are open already");
        }
        // Which connections were accepted is told by who listens.
        let (listeners, connections): (Vec<TcpEvent>, Vec<TcpEvent>) = found
            .into_iter()
            .partition(|event| event.state == events::TCP_LISTEN);
        for event in &listeners {
            self.state
                .remember_listener(event, &mut self.tracker, &mut self.sink);
        }
        for event in &connections {
            self.state
                .use_found(event, &self.clock, &mut self.tracker, &mut self.sink);
        }
    }

    /// Puts what the kernel side counted since the last time into the ledger: what it lost, and what passed it.
    fn count_kernel(&mut self, now_ns: u64) {
        let ledger = self.tracker.ledger();
        let were_control_records_lost = self.told.count(&self.kernel, &self.sink.made, ledger);
        if were_control_records_lost {
            self.reconciliation.is_needed(now_ns);
            self.state.udp.extend(self.kernel.udp_keys());
        }
    }

    /// Looks whether the programs are where they were, and tells if not.
    fn watch_programs(&mut self) {
        let is_detached = |status: &ProgramStatus| matches!(status.outcome, Outcome::Detached(_));
        let was_detached = self.kernel.programs().iter().any(is_detached);
        self.kernel.look_at_programs();
        if !was_detached && self.kernel.programs().iter().any(is_detached) {
            tracing::error!(
                "the cgroups that are captured were removed, and the programs with them; nothing is captured until \
                 they are made again"
            );
            self.tell_programs(self.clock.now_ns());
        }
    }

    fn tell_programs(&mut self, now_ns: u64) {
        let time = (self.clock.steady(now_ns) + self.sink.shift) / 1_000;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for status in self.kernel.programs() {
            let ProgramStatus {
                program,
                outcome,
                info,
            } = status;
            let (outcome, reason) = outcome.told();
            self.sink.sink.push(Row::from(CaptureProgram {
                time,
                identity: NodeIdentity {
                    node: Arc::clone(&self.node),
                },
                program: Some(program.name.into()),
                program_type: Some(program.kind.type_name().into()),
                hook: Some(program.hook.into()),
                outcome: Some(outcome),
                reason: reason.map(Arc::from),
                costs: Some(program.costs.into()),
                runs: info.runs.map(count),
                run_time_ns: info.run_time_ns.map(count),
                missed_runs: info.missed_runs.map(count),
                verified_instructions: info.verified_instructions.map(i64::from),
            }));
        }
    }

    fn publish(&mut self) {
        let rings = self.kernel.rings().to_vec();
        let ledger = self.tracker.ledger();
        let losses = ledger.totals().collect();
        let passed = ledger.passed_totals().collect();
        self.stats.store(Arc::new(CaptureStats {
            cgroups: self
                .kernel
                .targets()
                .map(|target| target.path.clone())
                .collect(),
            programs: self.kernel.programs().to_vec(),
            generation: self.kernel.generation(),
            left_out: self.kernel.left_out().collect(),
            losses,
            passed,
            rings,
            connections: self.tracker.connections(),
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
