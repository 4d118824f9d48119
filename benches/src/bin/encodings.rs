//! Tries ways to write each column of a table as Parquet: what a row takes, and how long encoding it takes.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch, RecordBatchReader as _, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use clap::Parser;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, Type as PhysicalType, ZstdLevel};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use weir_benches::measure::Stopwatch;
use weir_benches::traffic::{Settings, Traffic};
use weir_storage::{Store, StoreOptions, TableId};

/// Rows that are handed to the writer at a time.
const CHUNK_ROWS: usize = 16_384;

/// Tries ways to write each column of a table as Parquet.
#[derive(Debug, Parser)]
struct Arguments {
    /// The table.
    #[arg(long, default_value = "http_events")]
    table: String,
    /// Rows of traffic, of all tables together.
    #[arg(long, default_value_t = 600_000)]
    rows: u64,
    /// Rows have headers.
    #[arg(long)]
    headers: bool,
    /// Rows have the first bytes of bodies.
    #[arg(long)]
    bodies: bool,
    /// Only columns whose name holds this.
    #[arg(long, default_value = "")]
    column: String,
    /// Rows of a row group.
    #[arg(long, default_value_t = 131_072)]
    group_rows: usize,
    /// Rows of a page.
    #[arg(long, default_value_t = 20_000)]
    page_rows: usize,
    /// Bytes of a dictionary beyond which values are written without one.
    #[arg(long, default_value_t = 1 << 20)]
    dictionary_bytes: usize,
    /// Version of data pages: the second does not compress which values are NULL and where lists end.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    page_version: u8,
    /// How often each way is timed; the fastest counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Levels of zstd that are tried.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    levels: Vec<i32>,
    /// Rows are ordered as in the files, but with slices of so many milliseconds; 1 is the order of time.
    #[arg(long)]
    slice_ms: Option<i64>,
}

/// A way to write a column.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    /// `None` is a dictionary.
    encoding: Option<Encoding>,
}

const DICTIONARY: Way = Way {
    name: "dictionary",
    encoding: None,
};
const PLAIN: Way = Way {
    name: "plain",
    encoding: Some(Encoding::PLAIN),
};
const NUMBERS: [Way; 4] = [
    DICTIONARY,
    PLAIN,
    Way {
        name: "delta_binary_packed",
        encoding: Some(Encoding::DELTA_BINARY_PACKED),
    },
    Way {
        name: "byte_stream_split",
        encoding: Some(Encoding::BYTE_STREAM_SPLIT),
    },
];
const TEXTS: [Way; 4] = [
    DICTIONARY,
    PLAIN,
    Way {
        name: "delta_length_byte_array",
        encoding: Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
    },
    Way {
        name: "delta_byte_array",
        encoding: Some(Encoding::DELTA_BYTE_ARRAY),
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let table = TableId::by_name(&arguments.table).ok_or("there is no such table")?;
    let directory = tempfile::tempdir()?;
    write_rows(table, &arguments, directory.path()).await?;
    let mut rows = read_rows(&directory.path().join(table.name()))?;
    if let Some(slice_ms) = arguments.slice_ms {
        rows = order_in_slices(&rows, slice_ms)?;
    }
    println!("{} rows of {}", rows.num_rows(), table.name());
    let mut best_together = 0.0;
    for place in 0..rows.num_columns() {
        let column = rows.project(&[place])?;
        if !column.schema().field(0).name().contains(&arguments.column) {
            continue;
        }
        let leaves = ArrowSchemaConverter::new().convert(&column.schema())?;
        for leaf in leaves.columns() {
            let mut best = f64::MAX;
            for way in ways(leaf.physical_type()) {
                for &level in &arguments.levels {
                    let tried = Trial::of(&column, leaf.path(), *way, level, &arguments)?;
                    let bytes = tried.bytes as f64 / rows.num_rows() as f64;
                    println!(
                        "{:<32} {:<24} zstd {level} {bytes:>8.3} B/row {:>6.0} ns/row",
                        leaf.path().string(),
                        way.name,
                        tried.took.as_nanos() as f64 / rows.num_rows() as f64
                    );
                    best = bytes.min(best);
                }
            }
            best_together += best;
        }
    }
    println!("the best of each together {best_together:.3} B/row");
    Ok(())
}

fn ways(physical_type: PhysicalType) -> &'static [Way] {
    match physical_type {
        PhysicalType::INT32 | PhysicalType::INT64 => &NUMBERS,
        PhysicalType::BYTE_ARRAY => &TEXTS,
        _ => &[PLAIN],
    }
}

/// What came of a way to write a leaf of a column.
struct Trial {
    bytes: i64,
    took: Duration,
}

impl Trial {
    /// Writes the whole column, of which the other leaves are written as usual.
    fn of(
        column: &RecordBatch,
        leaf: &ColumnPath,
        way: Way,
        level: i32,
        arguments: &Arguments,
    ) -> Result<Self, Box<dyn Error>> {
        let mut properties = WriterProperties::builder()
            .set_writer_version(match arguments.page_version {
                1 => WriterVersion::PARQUET_1_0,
                _ => WriterVersion::PARQUET_2_0,
            })
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
            .set_max_row_group_row_count(Some(arguments.group_rows))
            .set_data_page_row_count_limit(arguments.page_rows)
            .set_dictionary_page_size_limit(arguments.dictionary_bytes)
            .set_statistics_enabled(EnabledStatistics::Page);
        if let Some(encoding) = way.encoding {
            properties = properties
                .set_column_dictionary_enabled(leaf.clone(), false)
                .set_column_encoding(leaf.clone(), encoding);
        }
        let properties = properties.build();
        let mut trial = Self {
            bytes: 0,
            took: Duration::MAX,
        };
        for _ in 0..arguments.runs.max(1) {
            let started = Stopwatch::start();
            let mut writer =
                ArrowWriter::try_new(Vec::new(), column.schema(), Some(properties.clone()))?;
            // As a spill hands rows to the writer.
            for start in (0..column.num_rows()).step_by(CHUNK_ROWS) {
                let rows = CHUNK_ROWS.min(column.num_rows() - start);
                writer.write(&column.slice(start, rows))?;
            }
            let metadata = writer.finish()?;
            trial.took = trial.took.min(started.took().processor);
            let chunks = metadata
                .row_groups()
                .iter()
                .flat_map(RowGroupMetaData::columns);
            trial.bytes = chunks
                .filter(|chunk| chunk.column_path() == leaf)
                .map(ColumnChunkMetaData::compressed_size)
                .sum();
        }
        Ok(trial)
    }
}

/// Writes the rows of one table through the store.
async fn write_rows(
    table: TableId,
    arguments: &Arguments,
    directory: &Path,
) -> Result<(), Box<dyn Error>> {
    let store = Store::open(StoreOptions {
        memory_bytes: 64 << 30,
        ..StoreOptions::new(directory, "node-a")
    });
    let store = store.await?;
    let settings = Settings {
        headers: arguments.headers,
        bodies: arguments.bodies,
        ..Settings::new(arguments.rows)
    };
    for row in Traffic::new(&settings).filter(|row| row.table() == table) {
        store.append(row);
    }
    store.flush().await?;
    Ok(())
}

/// The rows of the one file below a directory.
fn read_rows(directory: &Path) -> Result<RecordBatch, Box<dyn Error>> {
    let mut path = directory.to_path_buf();
    while path.is_dir() {
        let mut entries = path.read_dir()?;
        path = entries.next().ok_or("there is no file")??.path();
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Orders rows by time within a slice's precision, then by process and connection.
fn order_in_slices(rows: &RecordBatch, slice_ms: i64) -> Result<RecordBatch, Box<dyn Error>> {
    let numbers = |name: &str| {
        let column = rows.column_by_name(name).ok_or("a column is missing")?;
        Ok::<_, &str>(column.as_primitive::<Int64Type>())
    };
    let times = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    let (pids, connections) = (numbers("pid")?, numbers("conn_id")?);
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|&row| {
        let row = row as usize;
        (
            times.value(row) / 1_000 / slice_ms,
            pids.value(row),
            connections.value(row),
        )
    });
    Ok(take_record_batch(rows, &UInt32Array::from(order))?)
}
