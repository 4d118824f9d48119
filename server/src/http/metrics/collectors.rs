//! What others count already, read when it is asked for.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use weir_storage::{Store, TableStatus};

use super::bucket::BucketCollector;
use super::capture::{CaptureCollector, LossCollector};
use crate::capture::CaptureState;
use crate::http::process::{Usage, usage};
use crate::sink::LossTotals;

pub(super) fn register(
    registry: &mut Registry,
    store: &Arc<Store>,
    losses: &Arc<LossTotals>,
    capture: &CaptureState,
) {
    registry.register_collector(Box::new(StoreCollector(Arc::clone(store))));
    registry.register_collector(Box::new(BucketCollector(Arc::clone(store))));
    registry.register_collector(Box::new(LossCollector(Arc::clone(losses))));
    registry.register_collector(Box::new(CaptureCollector(capture.clone())));
    registry.register_collector(Box::new(ProcessCollector));
}

struct StoreCollector(Arc<Store>);

impl fmt::Debug for StoreCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreCollector")
    }
}

/// A number of a table: its name, what it means, its unit, and how it is read.
type TableMetric = (
    &'static str,
    &'static str,
    Option<Unit>,
    fn(&TableStatus) -> u64,
);

const TABLE_COUNTERS: [TableMetric; 10] = [
    ("rows_appended", "Rows taken in", None, |table| {
        table.rows_appended
    }),
    (
        "rows_dropped",
        "Rows lost for want of room",
        None,
        |table| table.rows_dropped,
    ),
    ("files_written", "Parquet files written", None, |table| {
        table.spills
    }),
    (
        "file_failures",
        "Attempts to write a Parquet file that failed",
        None,
        |table| table.spill_failures,
    ),
    (
        "file_merges",
        "Parquet files made by merging others",
        None,
        |table| table.merges,
    ),
    (
        "files_merged",
        "Parquet files merged into others",
        None,
        |table| table.merged_files,
    ),
    (
        "rows_merged",
        "Rows written once more by merging files",
        None,
        |table| table.merged_rows,
    ),
    (
        "files_expired",
        "Parquet files deleted because their time was over",
        None,
        |table| table.expired_files,
    ),
    (
        "rows_expired",
        "Rows in the files deleted because their time was over",
        None,
        |table| table.expired_rows,
    ),
    (
        "expired",
        "Size of the files deleted because their time was over",
        Some(Unit::Bytes),
        |table| table.expired_bytes,
    ),
];

const TABLE_GAUGES: [TableMetric; 7] = [
    ("window_rows", "Rows in memory", None, |table| {
        table.window_rows
    }),
    (
        "window",
        "Memory of the rows in memory",
        Some(Unit::Bytes),
        |table| table.window_bytes,
    ),
    ("files", "Parquet files", None, |table| table.files),
    ("file_rows", "Rows in Parquet files", None, |table| {
        table.file_rows
    }),
    (
        "file",
        "Size of the Parquet files",
        Some(Unit::Bytes),
        |table| table.file_bytes,
    ),
    (
        "unlogged_rows",
        "Rows in memory that are not in the write-ahead log yet",
        None,
        |table| table.unlogged_rows,
    ),
    (
        "log",
        "Size of the write-ahead log",
        Some(Unit::Bytes),
        |table| table.log_bytes,
    ),
];

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let status = self.0.status();
        for (name, help, unit, read) in TABLE_COUNTERS {
            let mut family =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
            for table in &status.tables {
                let labels = [("table", table.table)];
                ConstCounter::new(read(table)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, unit, read) in TABLE_GAUGES {
            let mut family =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for table in &status.tables {
                let labels = [("table", table.table)];
                gauge(family.encode_family(&labels)?, read(table))?;
            }
        }
        let budget = encoder.encode_descriptor(
            "window_budget",
            "Memory that the rows in memory may take",
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?;
        gauge(budget, status.budget_bytes)
    }
}

#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Usage {
            resident_bytes,
            cpu,
        } = usage();
        if let Some(bytes) = resident_bytes {
            let metric = encoder.encode_descriptor(
                "process_resident_memory",
                "Resident memory of this process",
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?;
            gauge(metric, bytes)?;
        }
        if let Some(cpu) = cpu {
            let metric = encoder.encode_descriptor(
                "process_cpu",
                "Processor time of this process, user and system",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?;
            ConstCounter::new(cpu.as_secs_f64()).encode(metric)?;
        }
        Ok(())
    }
}

pub(super) fn gauge(encoder: MetricEncoder, value: u64) -> fmt::Result {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
}
