//! The Arrow IPC stream, its buffers compressed on request.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use weir_query::Summary;

use super::Encoder;

/// Compression of the buffers within an Arrow stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Zstandard.
    Zstd,
    /// LZ4 frames.
    Lz4,
}

/// Encoder of [`super::Format::Arrow`].
pub(super) struct ArrowStream(StreamWriter<Vec<u8>>);

impl ArrowStream {
    pub(super) fn new(schema: &SchemaRef, codec: Option<Codec>) -> Result<Self, ArrowError> {
        let compression = codec.map(|codec| match codec {
            Codec::Zstd => CompressionType::ZSTD,
            Codec::Lz4 => CompressionType::LZ4_FRAME,
        });
        let options = IpcWriteOptions::default().try_with_compression(compression)?;
        StreamWriter::try_new_with_options(Vec::new(), schema, options).map(Self)
    }
}

impl Encoder for ArrowStream {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.0.write(batch)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn finish(&mut self, _summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        self.0.finish()?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}
