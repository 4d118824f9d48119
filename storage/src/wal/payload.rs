//! What a rows frame holds: one batch as an Arrow IPC stream of its own, with its schema and dictionaries.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

/// Padding of buffers: the least that Arrow allows, since a log is written often and read rarely.
const ALIGNMENT: usize = 8;

/// Encodes a batch at the end of `out`.
pub(super) fn encode(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let mut writer = StreamWriter::try_new_with_options(out, &rows.schema(), options)?;
    writer.write(rows)?;
    writer.finish()
}

/// Reads back what [`encode`] wrote, as a batch of this schema: columns go by name, those that the log of an older
/// version lacks are NULL, those that only a newer version has are left out.
pub(super) fn decode(payload: Vec<u8>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut bytes = Buffer::from_vec(payload);
    let batch = StreamDecoder::new()
        .decode(&mut bytes)?
        .ok_or_else(|| ArrowError::IpcError("there is no batch in it".to_owned()))?;
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| {
            batch.column_by_name(field.name()).map_or_else(
                || new_null_array(field.data_type(), batch.num_rows()),
                Arc::clone,
            )
        })
        .collect();
    // Refuses a column whose type is another.
    RecordBatch::try_new(Arc::clone(schema), columns)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use arrow::array::{AsArray as _, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn batch(columns: &[(&str, i64)]) -> RecordBatch {
        RecordBatch::try_from_iter(columns.iter().map(|&(name, value)| {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![value, value + 1]));
            (name, values)
        }))
        .unwrap()
    }

    #[test]
    fn rows_of_an_older_version_get_null_for_what_it_did_not_know() {
        let mut payload = Vec::new();
        encode(&batch(&[("dropped", 1), ("kept", 5)]), &mut payload).unwrap();
        let schema = Schema::new(vec![
            Field::new("kept", DataType::Int64, true),
            Field::new("added", DataType::Utf8, true),
        ]);
        let read = decode(payload, &Arc::new(schema)).unwrap();
        assert_eq!(read.column(0).as_primitive::<Int64Type>().values(), &[5, 6]);
        assert_eq!((read.num_columns(), read.column(1).null_count()), (2, 2));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let schema = batch(&[("a", 1)]).schema();
        assert!(decode(Vec::new(), &schema).is_err());
        let mut payload = Vec::new();
        encode(&batch(&[("a", 1)]), &mut payload).unwrap();
        let other = Schema::new(vec![Field::new("a", DataType::Utf8, true)]);
        assert!(decode(payload, &Arc::new(other)).is_err());
    }
}
