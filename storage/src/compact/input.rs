//! One file that is merged, read a small batch at a time, with the columns that its table has now.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use super::merge::MergeError;
use crate::encode::{FORMAT, FORMAT_KEY};
use crate::error::StoreError;
use crate::file::DataFile;
use crate::order::{RowOrder, order_of};
use crate::tables::TableId;

/// Encoded bytes of the rows that are decoded at once, which takes several times as many.
const BATCH_BYTES: usize = 128 << 10;
const LEAST_BATCH_ROWS: usize = 16;
const MOST_BATCH_ROWS: usize = 8_192;

/// A file that is being read for a merge.
pub(super) struct Input {
    file: Arc<DataFile>,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// For each column of the table its place in the file.
    places: Vec<Option<usize>>,
    /// The rows that are next.
    batch: RecordBatch,
    order: Vec<RowOrder>,
    /// How many of them have been taken.
    taken: usize,
    /// Rows that are still to be read, as the footer says.
    unread: usize,
    /// Encoded bytes of a row, in the part of the file where rows are largest.
    row_bytes: usize,
}

impl Input {
    /// Opens a file and reads its first rows. The open file stays readable if it is deleted meanwhile.
    pub(super) fn open(
        root: &Path,
        table: TableId,
        data_file: &Arc<DataFile>,
    ) -> Result<Self, MergeError> {
        let unfit = |reason: String| MergeError::input(data_file, reason);
        let path = root.join(data_file.path.as_ref());
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| unfit(error.to_string()))?;
        let metadata = Arc::clone(builder.metadata());
        check_format(&metadata).map_err(unfit)?;
        let schema = table.schema();
        let places = places(&schema, builder.schema()).map_err(unfit)?;
        let row_bytes = row_bytes(&metadata);
        let batch_rows = (BATCH_BYTES / row_bytes).clamp(LEAST_BATCH_ROWS, MOST_BATCH_ROWS);
        let reader = builder
            .with_batch_size(batch_rows)
            .build()
            .map_err(|error| unfit(error.to_string()))?;
        let mut input = Self {
            file: Arc::clone(data_file),
            reader,
            batch: RecordBatch::new_empty(Arc::clone(&schema)),
            schema,
            places,
            order: Vec::new(),
            taken: 0,
            unread: usize::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
            row_bytes,
        };
        input.advance()?;
        Ok(input)
    }

    /// The rows that are next, with those that have been taken.
    pub(super) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// About how many bytes a row takes, before it is decoded; at least one.
    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// How many rows of the batch have been taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Where the rows of the batch stand that have not been taken.
    pub(super) fn order(&self) -> &[RowOrder] {
        &self.order[self.taken..]
    }

    /// Takes so many rows of the batch; reads the next one once it is used up, and returns whether it did.
    pub(super) fn take(&mut self, rows: usize) -> Result<bool, MergeError> {
        self.taken += rows;
        let is_used_up = self.taken >= self.batch.num_rows();
        if is_used_up {
            self.advance()?;
        }
        Ok(is_used_up)
    }

    /// Reads the next batch; an empty one at the end.
    fn advance(&mut self) -> Result<(), MergeError> {
        let last = self.order.last().copied();
        self.taken = 0;
        let read = self.reader.next().transpose();
        let batch = read
            .and_then(|batch| batch.map(|batch| self.adapt(&batch)).transpose())
            .map_err(|error| MergeError::input(&self.file, error.to_string()))?;
        let is_end = batch.is_none();
        self.batch = batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&self.schema)));
        let left = self.unread.checked_sub(self.batch.num_rows());
        self.unread = left.filter(|&left| left == 0 || !is_end).ok_or_else(|| {
            MergeError::input(&self.file, "it has not as many rows as it says".to_owned())
        })?;
        self.order.clear();
        self.order.extend(order_of(&self.batch));
        let follows = |first: &RowOrder| last.is_none_or(|last| last <= *first);
        if !(self.order.is_sorted() && self.order.first().is_none_or(follows)) {
            let reason = "its rows are not in the order of its layout".to_owned();
            return Err(MergeError::input(&self.file, reason));
        }
        Ok(())
    }

    /// The batch with the columns of the table: NULL where the file has none.
    fn adapt(&self, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let columns: Result<Vec<ArrayRef>, _> = self
            .schema
            .fields()
            .iter()
            .zip(&self.places)
            .map(
                |(field, place)| match place.map(|place| batch.column(place)) {
                    Some(column) if column.data_type() == field.data_type() => {
                        Ok(Arc::clone(column))
                    }
                    Some(column) => cast(column, field.data_type()),
                    None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                },
            )
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns?)
    }
}

/// A file of another version of the layout may mean something that is not known here.
fn check_format(metadata: &ParquetMetaData) -> Result<(), String> {
    let entries = metadata.file_metadata().key_value_metadata();
    let mut entries = entries.into_iter().flatten();
    let format = entries.find(|entry| entry.key == FORMAT_KEY);
    match format.map(|entry| entry.value.as_deref().unwrap_or_default()) {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(format!("it is of version {other} of the files' layout")),
        None => Err("it does not say of which version of the files' layout it is".to_owned()),
    }
}

/// Where the table's columns are in the file, if the merged file can hold all that is in it.
fn places(table: &Schema, file: &Schema) -> Result<Vec<Option<usize>>, String> {
    for field in file.fields() {
        let name = field.name();
        let Ok(wanted) = table.field_with_name(name) else {
            return Err(format!(
                "it has a column `{name}`, which this version of weir does not know"
            ));
        };
        if values_of(wanted.data_type()) != values_of(field.data_type()) {
            return Err(format!("its column `{name}` is of another type"));
        }
    }
    let places = table.fields().iter().map(|field| {
        let place = file.index_of(field.name()).ok();
        if place.is_none() && !field.is_nullable() {
            return Err(format!("it lacks the column `{}`", field.name()));
        }
        Ok(place)
    });
    places.collect()
}

/// The type without the dictionary around it, which is a matter of how values are kept.
fn values_of(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// Encoded bytes of a row, where rows are largest: large ones are read and passed on a few at a time.
fn row_bytes(metadata: &ParquetMetaData) -> usize {
    let groups = metadata.row_groups().iter();
    let row_bytes = groups.map(|group| group.total_byte_size() / group.num_rows().max(1));
    usize::try_from(row_bytes.max().unwrap_or(0)).map_or(1, |bytes| bytes.max(1))
}
