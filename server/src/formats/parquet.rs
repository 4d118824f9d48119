//! A Parquet file, written row group by row group.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};
use weir_query::Summary;

use super::{Encoder, stats};

/// Rows of a row group, at most.
const GROUP_ROWS: usize = 128 * 1024;
/// Encoded bytes after which a row group ends even with fewer rows: what a result holds in memory.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Encoder of [`super::Format::Parquet`].
pub(super) struct Parquet(ArrowWriter<Vec<u8>>);

impl Parquet {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let schema = SchemaRef::clone(schema);
        Ok(Self(ArrowWriter::try_new(
            Vec::new(),
            schema,
            Some(properties),
        )?))
    }

    /// What has reached the writer; it keeps count of its own position, so that taking bytes away is safe.
    fn take(&mut self) -> Result<Vec<u8>, ArrowError> {
        self.0.sync()?;
        Ok(std::mem::take(self.0.inner_mut()))
    }
}

impl Encoder for Parquet {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.0.write(batch)?;
        if self.0.memory_size() > GROUP_BYTES {
            self.0.flush()?;
        }
        self.take()
    }

    fn finish(&mut self, summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        let mut stats = stats(summary);
        if let Some(stats) = stats.as_object_mut() {
            // The same rows make the same file, however long that took.
            stats.remove("elapsed_ms");
        }
        for (key, value) in [
            ("weir.truncated", summary.truncated.is_some().to_string()),
            ("weir.stats", stats.to_string()),
        ] {
            let entry = KeyValue::new(key.to_owned(), value);
            self.0.append_key_value_metadata(entry);
        }
        self.0.finish()?;
        self.take()
    }
}
