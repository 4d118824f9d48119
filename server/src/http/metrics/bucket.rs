//! How bringing files to a bucket goes; nothing where there is none.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use weir_storage::{BucketStatus, Store};

pub(super) struct BucketCollector(pub(super) Arc<Store>);

impl fmt::Debug for BucketCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BucketCollector")
    }
}

/// A number of the bucket: its name, what it means, its unit, and how it is read.
type BucketMetric = (
    &'static str,
    &'static str,
    Option<Unit>,
    fn(&BucketStatus) -> u64,
);

const COUNTERS: [BucketMetric; 6] = [
    (
        "bucket_uploaded_files",
        "Files brought to the bucket",
        None,
        |bucket| bucket.uploaded_files,
    ),
    (
        "bucket_uploaded",
        "Size of the files brought to the bucket",
        Some(Unit::Bytes),
        |bucket| bucket.uploaded_bytes,
    ),
    (
        "bucket_evicted_files",
        "Files that left the disk, since the bucket has them",
        None,
        |bucket| bucket.evicted_files,
    ),
    (
        "bucket_deleted_files",
        "Files deleted from the bucket",
        None,
        |bucket| bucket.deleted_files,
    ),
    (
        "bucket_conflicting_files",
        "Files that the bucket has not, since it has another of that name",
        None,
        |bucket| bucket.conflicting_files,
    ),
    (
        "bucket_failures",
        "Attempts to list or change the bucket that failed",
        None,
        |bucket| bucket.failures,
    ),
];

const GAUGES: [BucketMetric; 4] = [
    (
        "bucket_waiting_files",
        "Files on the disk that are not in the bucket yet",
        None,
        |bucket| bucket.waiting_files,
    ),
    (
        "bucket_waiting",
        "Size of the files that are not in the bucket yet",
        Some(Unit::Bytes),
        |bucket| bucket.waiting_bytes,
    ),
    (
        "bucket_files",
        "Files of all nodes in the bucket",
        None,
        |bucket| bucket.files,
    ),
    (
        "bucket",
        "Size of the files of all nodes in the bucket",
        Some(Unit::Bytes),
        |bucket| bucket.bytes,
    ),
];

impl Collector for BucketCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(status) = self.0.status().bucket else {
            return Ok(());
        };
        for (name, help, unit, read) in COUNTERS {
            let metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
            ConstCounter::new(read(&status)).encode(metric)?;
        }
        for (name, help, unit, read) in GAUGES {
            let metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(read(&status)).unwrap_or(i64::MAX)).encode(metric)?;
        }
        Ok(())
    }
}
