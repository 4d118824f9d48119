//! What the capture counts: what passed, what was lost, what its programs did.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use weir_ebpf::{Outcome, ProgramStatus};
use weir_ingest::live::CaptureStats;

use super::collectors::gauge;
use crate::capture::CaptureState;
use crate::sink::LossTotals;

#[derive(Debug)]
pub(super) struct LossCollector(pub(super) Arc<LossTotals>);

impl Collector for LossCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let totals = self.0.totals();
        let mut family = |name, help, unit: Option<&Unit>, bytes: bool| {
            let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
            for loss in &totals {
                let labels = [
                    ("stage", &*loss.stage),
                    ("reason", &*loss.reason),
                    ("hook", loss.hook.as_deref().unwrap_or_default()),
                    ("message", loss.message.unwrap_or_default()),
                ];
                let value = if bytes { loss.bytes } else { loss.events };
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        };
        family(
            "lost_events",
            "What was not captured, parsed, stored or kept",
            None,
            false,
        )?;
        family(
            "lost",
            "Bytes of what was lost, where known",
            Some(&Unit::Bytes),
            true,
        )
    }
}

#[derive(Debug)]
pub(super) struct CaptureCollector(pub(super) CaptureState);

impl Collector for CaptureCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(stats) = self.0.stats() else {
            return Ok(());
        };
        passed(&mut encoder, &stats)?;
        programs(&mut encoder, &stats.programs)?;
        rings(&mut encoder, &stats)?;
        left_out(&mut encoder, &stats)?;
        let connections = encoder.encode_descriptor(
            "capture_connections",
            "Connections that are followed at the moment",
            None,
            MetricType::Gauge,
        )?;
        gauge(connections, stats.connections as u64)
    }
}

fn left_out(encoder: &mut DescriptorEncoder<'_>, stats: &CaptureStats) -> fmt::Result {
    let mut family = |name, help, unit: Option<&Unit>, bytes: bool| {
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (reason, tally) in &stats.left_out {
            let value = if bytes { tally.bytes } else { tally.events };
            ConstCounter::new(value).encode(family.encode_family(&[("reason", *reason)])?)?;
        }
        Ok(())
    };
    family(
        "capture_left_out_packets",
        "Packets that were left out by choice, which is no loss",
        None,
        false,
    )?;
    family(
        "capture_left_out",
        "Bytes of the packets that were left out by choice",
        Some(&Unit::Bytes),
        true,
    )?;
    let generation = encoder.encode_descriptor(
        "capture_generation",
        "Counts the changes of what is captured",
        None,
        MetricType::Gauge,
    )?;
    gauge(generation, u64::from(stats.generation))
}

fn passed(encoder: &mut DescriptorEncoder<'_>, stats: &CaptureStats) -> fmt::Result {
    let mut family = |name, help, unit: Option<&Unit>, bytes: bool| {
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (key, passed) in &stats.passed {
            let labels = [
                ("stage", key.stage),
                ("hook", key.hook.unwrap_or_default()),
                ("kind", key.kind),
            ];
            let value = if bytes { passed.bytes } else { passed.events };
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    };
    family(
        "capture_events",
        "What passed the programs and the rings, as in capture_counts",
        None,
        false,
    )?;
    family(
        "capture_event",
        "Bytes of what passed the programs and the rings",
        Some(&Unit::Bytes),
        true,
    )
}

/// A number of a program: its name, what it means, its unit, and how it is read where the kernel tells it.
type ProgramMetric = (
    &'static str,
    &'static str,
    Option<Unit>,
    MetricType,
    fn(&ProgramStatus) -> Option<f64>,
);

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating point numbers; 2^53 runs take years"
)]
const PROGRAM_METRICS: [ProgramMetric; 4] = [
    (
        "program_runs",
        "Runs of an eBPF program while the kernel counts them (kernel.bpf_stats_enabled)",
        None,
        MetricType::Counter,
        |status| status.info.runs.map(|runs| runs as f64),
    ),
    (
        "program_run_time",
        "Time that these runs took",
        Some(Unit::Seconds),
        MetricType::Counter,
        |status| status.info.run_time_ns.map(|nanos| nanos as f64 / 1e9),
    ),
    (
        "program_missed_runs",
        "Runs of an eBPF program that the kernel left out, since it ran on that processor already",
        None,
        MetricType::Counter,
        |status| status.info.missed_runs.map(|runs| runs as f64),
    ),
    (
        "program_verified_instructions",
        "Instructions that the verifier followed to accept an eBPF program",
        None,
        MetricType::Gauge,
        |status| status.info.verified_instructions.map(f64::from),
    ),
];

fn programs(encoder: &mut DescriptorEncoder<'_>, programs: &[ProgramStatus]) -> fmt::Result {
    for (name, help, unit, kind, read) in PROGRAM_METRICS {
        let is_counter = matches!(kind, MetricType::Counter);
        let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for status in programs {
            let Some(value) = read(status) else {
                continue;
            };
            let labels = labels(status);
            let one = family.encode_family(&labels)?;
            if is_counter {
                ConstCounter::new(value).encode(one)?;
            } else {
                ConstGauge::new(value).encode(one)?;
            }
        }
    }
    let mut family = encoder.encode_descriptor(
        "program_attached",
        "Whether an eBPF program is attached: 1 or 0",
        None,
        MetricType::Gauge,
    )?;
    for status in programs {
        let is_attached = status.outcome == Outcome::Attached;
        gauge(
            family.encode_family(&labels(status))?,
            u64::from(is_attached),
        )?;
    }
    Ok(())
}

fn labels(status: &ProgramStatus) -> [(&'static str, &'static str); 2] {
    [
        ("program", status.program.name),
        ("hook", status.program.hook),
    ]
}

fn rings(encoder: &mut DescriptorEncoder<'_>, stats: &CaptureStats) -> fmt::Result {
    let mut family = |name, help, is_peak: bool| {
        let mut family =
            encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for ring in &stats.rings {
            let value = if is_peak {
                ring.peak_bytes
            } else {
                ring.capacity_bytes
            };
            gauge(family.encode_family(&[("ring", ring.ring)])?, value)?;
        }
        Ok(())
    };
    family("ring_capacity", "Size of a ring", false)?;
    family(
        "ring_peak",
        "The most that was found in a ring in the last second",
        true,
    )
}
