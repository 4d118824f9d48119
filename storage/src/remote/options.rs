//! How a store uses a bucket.

use super::bucket::Bucket;

/// How a store uses a bucket.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The bucket.
    pub bucket: Bucket,
    /// Bytes of files that may stay on the local disk; beyond that the oldest go that are in the bucket. Default 10 GiB.
    pub local_bytes: u64,
    /// Memory for what was read lately from the bucket, in bytes, beside [`crate::StoreOptions::footer_bytes`]. Default
    /// 64 MiB.
    pub cache_bytes: usize,
}

impl RemoteOptions {
    /// The defaults for this bucket.
    pub const fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            local_bytes: 10 << 30,
            cache_bytes: 64 << 20,
        }
    }
}
