//! Rows to the bytes of a Parquet file that weir, `DuckDB`, pyarrow, Polars and Spark read.

use std::io::Write;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};

use crate::index::{BLOCK_ROWS, IndexBuilder};
use crate::layout::FileName;
use crate::tables::TableId;

/// Rows of a row group: what is skipped or read at once.
const ROW_GROUP_ROWS: usize = 131_072;
/// Encoded bytes of a row group, where rows are so large that fewer of them fill it: a writer keeps one in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Level of zstd: encodings do most of the work, and higher levels win nothing in most columns.
const LEVEL: i32 = 1;
/// Level of zstd where what repeats lies far apart.
const LONG_LEVEL: i32 = 3;
/// Version of the files' layout ([`FORMAT_KEY`]). A column more or less does not change it. Rows of version 1 are in order
/// of time alone; such a file is read as any other, but cannot be merged.
pub(crate) const FORMAT: &str = "2";

/// Metadata: the table whose rows a file holds.
pub(crate) const TABLE_KEY: &str = "weir.table";
/// Metadata: the name under which a file was written ([`FileName::stem`]), by which copies are recognised.
pub(crate) const NAME_KEY: &str = "weir.file";
/// Metadata: the version of the layout.
pub(crate) const FORMAT_KEY: &str = "weir.format";

/// Encodes batches of one table, whose rows are in [order](crate::order) across each other, into the file of this name.
pub(crate) fn encode<W: Write + Send, E: From<ParquetError>>(
    table: TableId,
    name: &FileName,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
    sink: W,
) -> Result<W, E> {
    let properties = properties(table, name)?;
    let mut writer = ArrowWriter::try_new(sink, table.schema(), Some(properties))?;
    let mut index = IndexBuilder::new(table);
    for batch in batches {
        let batch = batch?;
        writer.write(&batch)?;
        index.add(&batch, writer.bytes_written());
    }
    writer.flush()?;
    // Between the last row group and the footer, where other readers never look.
    let offset = writer.bytes_written();
    if let Some(index) = index.finish(offset) {
        writer.write_all(&index.bytes).map_err(ParquetError::from)?;
        writer.append_key_value_metadata(index.entry(offset));
    }
    Ok(writer.into_inner()?)
}

fn properties(table: TableId, name: &FileName) -> Result<WriterProperties, ParquetError> {
    static BASE: LazyLock<WriterPropertiesBuilder> = LazyLock::new(|| {
        WriterProperties::builder()
            // Pages of version 2 hold uncompressed which values are NULL and where lists end: a twelfth of a DNS row.
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::ZSTD(
                ZstdLevel::try_new(LEVEL).unwrap_or_default(),
            ))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            // A block of the index is a page, so that what it leaves out need not be read.
            .set_data_page_row_count_limit(BLOCK_ROWS)
            .set_created_by(concat!("weir version ", env!("CARGO_PKG_VERSION")).to_owned())
    });
    let schema = table.schema();
    let columns = ArrowSchemaConverter::new().convert(&schema)?;
    let metadata = [
        (FORMAT_KEY, FORMAT),
        (TABLE_KEY, table.name()),
        (NAME_KEY, &name.stem()),
    ]
    .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let mut builder = BASE.clone().set_key_value_metadata(Some(metadata.to_vec()));
    for leaf in columns.columns() {
        let column = leaf.path().parts().first().map_or("", String::as_str);
        let path = || leaf.path().clone();
        let data_type = schema.field_with_name(column)?.data_type();
        let layout = layout(table, column, data_type, leaf.physical_type());
        if let Some(encoding) = layout.encoding {
            builder = builder
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), encoding);
        }
        if layout.level != LEVEL {
            let level = ZstdLevel::try_new(layout.level)?;
            builder = builder.set_column_compression(path(), Compression::ZSTD(level));
        }
        builder = builder.set_column_statistics_enabled(path(), statistics(data_type));
    }
    Ok(builder.build())
}

/// What a column's statistics are about.
fn statistics(data_type: &DataType) -> EnabledStatistics {
    match data_type {
        // Of headers, answers and bodies the least and the greatest say nothing.
        DataType::Map(..) | DataType::List(_) | DataType::Binary => EnabledStatistics::None,
        // In which pages a text is, the index knows better; and of the footer, which is kept in memory whole, what they
        // say of pages would be a third.
        DataType::Utf8 | DataType::Dictionary(..) => EnabledStatistics::Chunk,
        _ => EnabledStatistics::Page,
    }
}

/// How the values of a column are written.
struct Layout {
    /// `None` is a dictionary: each different value once, and plain from there on where they are too many.
    encoding: Option<Encoding>,
    /// Level of zstd.
    level: i32,
}

/// Chooses how a leaf of a column is written. `docs/storage.md` has what each alternative takes.
///
/// `BYTE_STREAM_SPLIT` would save a thirtieth, but Spark 3.5 cannot read it, and some releases of Spark fail on
/// `DELTA_LENGTH_BYTE_ARRAY`.
fn layout(table: TableId, column: &str, data_type: &DataType, leaf: PhysicalType) -> Layout {
    use DataType::{Binary, Int64, List, Timestamp, UInt16, Utf8};
    let is_dns = table == TableId::DnsEvent;
    let is_flow = table == TableId::Flow;
    let encoding = match (data_type, column) {
        // Connections that live have a row every interval, in the same order: a level that looks further back finds the
        // last interval in whole bytes.
        (
            Timestamp(..) | Int64 | UInt16,
            "start_time" | "conn_id" | "src_port" | "connect_ns" | "packets_sent"
            | "packets_received",
        ) if is_flow => {
            return Layout {
                encoding: Some(Encoding::PLAIN),
                level: LONG_LEVEL,
            };
        }
        // Times rise from row to row; durations are hardly ever the same, only their size can be made use of.
        (Timestamp(..), "time") | (Int64, "latency_ns" | "ttfb_ns") => {
            Some(Encoding::DELTA_BINARY_PACKED)
        }
        // Every lookup has a connection of its own, so they rise too, and a port, the same in both of its queries.
        (Int64, "conn_id") if is_dns => Some(Encoding::DELTA_BINARY_PACKED),
        (UInt16, "client_port") if is_dns => Some(Encoding::PLAIN),
        // A few processes; whole microseconds, of which there are not many.
        (Int64, "pid" | "rtt_ns" | "rtt_min_ns") => None,
        // Ids and sizes: zstd finds in whole bytes that they are small or come again.
        (Timestamp(..) | Int64, _) => Some(Encoding::PLAIN),
        // The time to live in DNS answers.
        (List(_), _) if leaf == PhysicalType::INT64 => Some(Encoding::PLAIN),
        // Nothing in them repeats.
        (Utf8, "trace_id" | "span_id") | (Binary, _) => Some(Encoding::DELTA_BYTE_ARRAY),
        // Words, names, addresses, ports, status codes, headers and half of the paths repeat.
        _ => None,
    };
    Layout {
        encoding,
        level: LEVEL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Hour;

    fn of(table: TableId) -> WriterProperties {
        let name = FileName {
            hour: Hour::of(0),
            node: "a".to_owned(),
            first_sequence: 0,
            last_sequence: 9,
            level: 0,
        };
        properties(table, &name).expect("the schema is one of Parquet")
    }

    #[test]
    fn every_column_is_written_as_all_readers_understand() {
        for &table in TableId::ALL {
            let properties = of(table);
            let columns = ArrowSchemaConverter::new()
                .convert(&table.schema())
                .expect("the schema is one of Parquet");
            for leaf in columns.columns() {
                let encoding = properties.encoding(leaf.path()).unwrap_or(Encoding::PLAIN);
                assert!(
                    matches!(
                        encoding,
                        Encoding::PLAIN
                            | Encoding::DELTA_BINARY_PACKED
                            | Encoding::DELTA_BYTE_ARRAY
                    ),
                    "{}: {} is {encoding}",
                    table.name(),
                    leaf.path()
                );
            }
        }
    }

    #[test]
    fn statistics_are_kept_where_they_tell_something() {
        let properties = of(TableId::HttpEvent);
        let statistics = |column: &str| {
            let path = column.split('.').map(str::to_owned).collect::<Vec<_>>();
            properties.statistics_enabled(&path.into())
        };
        assert_eq!(
            statistics("req_headers.entries.value"),
            EnabledStatistics::None
        );
        assert_eq!(statistics("resp_body"), EnabledStatistics::None);
        assert_eq!(statistics("time"), EnabledStatistics::Page);
        assert_eq!(statistics("latency_ns"), EnabledStatistics::Page);
        assert_eq!(statistics("path"), EnabledStatistics::Chunk);
        assert_eq!(statistics("service"), EnabledStatistics::Chunk);
    }
}
