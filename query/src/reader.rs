//! Reads the store's Parquet files: footers from the store's own cache, and errors that name the file.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use weir_storage::{DataFile, StoreError};

/// Makes readers for one store. Each file of a scan carries its [`DataFile`] as an extension.
#[derive(Debug)]
pub(crate) struct StoreReaderFactory {
    store: Arc<dyn ObjectStore>,
}

impl StoreReaderFactory {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// A reader of one file, which counts what it reads.
    pub(crate) fn reader(
        &self,
        partition_index: usize,
        file: &Arc<DataFile>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> StoreReader {
        StoreReader {
            metrics: ParquetFileMetrics::new(partition_index, file.path.as_ref(), metrics),
            store: Arc::clone(&self.store),
            file: Arc::clone(file),
        }
    }
}

impl ParquetFileReaderFactory for StoreReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let file = file
            .extension::<Arc<DataFile>>()
            .ok_or_else(|| internal_datafusion_err!("a file of a scan is not the store's"))?;
        Ok(Box::new(self.reader(partition_index, file, metrics)))
    }
}

/// Reads a file of the store.
pub(crate) struct StoreReader {
    metrics: ParquetFileMetrics,
    store: Arc<dyn ObjectStore>,
    file: Arc<DataFile>,
}

impl StoreReader {
    fn error(&self, source: object_store::Error) -> ParquetError {
        let error = match source {
            object_store::Error::NotFound { .. } => StoreError::Gone {
                path: self.file.path.to_string(),
            },
            source => StoreError::Object {
                action: "read",
                path: self.file.path.to_string(),
                source,
            },
        };
        ParquetError::External(Box::new(error))
    }
}

impl AsyncFileReader for StoreReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let length = range.end.saturating_sub(range.start);
            self.metrics.bytes_scanned.add(length as usize);
            let bytes = self.store.get_range(&self.file.path, range).await;
            bytes.map_err(|error| self.error(error))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            for range in &ranges {
                let length = range.end.saturating_sub(range.start);
                self.metrics.bytes_scanned.add(length as usize);
            }
            let bytes = self.store.get_ranges(&self.file.path, &ranges).await;
            bytes.map_err(|error| self.error(error))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let footer = self.file.metadata().await;
            let footer = footer.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(Arc::clone(footer.metadata()))
        }
        .boxed()
    }
}
