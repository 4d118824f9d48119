//! Rows to the bytes of a Parquet file that weir, `DuckDB`, pyarrow, Polars and Spark read.

use std::io::Write;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnDescriptor;

use crate::layout::FileName;
use crate::tables::TableId;

/// Rows of a row group: what is skipped or read at once.
const ROW_GROUP_ROWS: usize = 131_072;
/// Encoded bytes of a row group, where rows are so large that fewer of them fill it: a writer keeps one in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Version of the files' layout ([`FORMAT_KEY`]). A column more or less does not change it.
pub(crate) const FORMAT: &str = "1";

/// Metadata: the table whose rows a file holds.
pub(crate) const TABLE_KEY: &str = "weir.table";
/// Metadata: the name under which a file was written ([`FileName::stem`]), by which copies are recognised.
pub(crate) const NAME_KEY: &str = "weir.file";
/// Metadata: the version of the layout.
pub(crate) const FORMAT_KEY: &str = "weir.format";

/// Encodes batches of one table, which are ordered by time across each other, into the file of this name.
pub(crate) fn encode<W: Write + Send, E: From<ParquetError>>(
    table: TableId,
    name: &FileName,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
    sink: W,
) -> Result<W, E> {
    let properties = properties(table, name)?;
    let mut writer = ArrowWriter::try_new(sink, table.schema(), Some(properties))?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    Ok(writer.into_inner()?)
}

fn properties(table: TableId, name: &FileName) -> Result<WriterProperties, ParquetError> {
    static BASE: LazyLock<WriterPropertiesBuilder> = LazyLock::new(|| {
        WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            // Encodings do most of the work; level 3 won nothing in the design's trial.
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by(concat!("weir version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_sorting_columns(Some(vec![SortingColumn {
                column_idx: 0,
                descending: false,
                nulls_first: false,
            }]))
    });
    let columns = ArrowSchemaConverter::new().convert(&table.schema())?;
    let metadata = [
        (FORMAT_KEY, FORMAT),
        (TABLE_KEY, table.name()),
        (NAME_KEY, &name.stem()),
    ]
    .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let builder = BASE.clone().set_key_value_metadata(Some(metadata.to_vec()));
    let schema = table.schema();
    Ok(columns
        .columns()
        .iter()
        .fold(builder, |builder, column| {
            let root = column.path().parts().first().map_or("", String::as_str);
            match schema.field_with_name(root) {
                Ok(field) => encode_column(builder, column, field.data_type()),
                Err(_) => builder,
            }
        })
        .build())
}

/// Chooses how a leaf column is written by the Arrow type of the column it belongs to.
fn encode_column(
    builder: WriterPropertiesBuilder,
    column: &ColumnDescriptor,
    data_type: &DataType,
) -> WriterPropertiesBuilder {
    let path = column.path().clone();
    match data_type {
        // A few processes, whose numbers lie far apart: a dictionary takes half the bytes.
        DataType::Int64 if column.name() == "pid" => builder,
        // Neighbours in time are near each other in value.
        DataType::Timestamp(..) | DataType::Int64 => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        // Neighbours share their beginnings.
        DataType::Utf8 => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
        // Nobody looks for a range of bodies.
        DataType::Binary => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None),
        // Header names, values and answers repeat; their least and greatest say nothing.
        DataType::Map(..) | DataType::List(_) => {
            builder.set_column_statistics_enabled(path, EnabledStatistics::None)
        }
        // Ports, status codes, words, addresses and names repeat: a dictionary, the default.
        _ => builder,
    }
}
