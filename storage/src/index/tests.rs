//! Selections against what the rows themselves say.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, DictionaryArray, Int64Array, RecordBatch,
    StringArray, UInt16Array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, UInt16Type};
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::file::metadata::KeyValue;
use proptest::prelude::*;

use super::*;
use crate::tables::TableId;

/// Rows of a block and of a segment in most of these tests.
const BLOCK: usize = 8;
const SEGMENT: usize = 64;
/// So many bytes of rows that everything fits.
const PLENTY: usize = 1 << 24;

/// The columns that vary; all others are NULL.
#[derive(Debug, Clone)]
struct TestRow {
    host: Option<String>,
    path: Option<String>,
    trace_id: Option<String>,
    status: Option<u16>,
    conn_id: Option<i64>,
    tls: Option<bool>,
}

fn batch(rows: &[TestRow]) -> RecordBatch {
    let schema = TableId::HttpEvent.schema();
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let arrays = fields
        .iter()
        .map(|field| -> ArrayRef {
            match field.name().as_str() {
                "host" => {
                    let hosts = rows.iter().map(|row| row.host.as_deref());
                    Arc::new(hosts.collect::<DictionaryArray<Int32Type>>())
                }
                "path" => collect::<_, StringArray>(rows, |row| row.path.clone()),
                "trace_id" => collect::<_, StringArray>(rows, |row| row.trace_id.clone()),
                "status" => collect::<_, UInt16Array>(rows, |row| row.status),
                "conn_id" => collect::<_, Int64Array>(rows, |row| row.conn_id),
                "tls" => collect::<_, BooleanArray>(rows, |row| row.tls),
                _ => new_null_array(field.data_type(), rows.len()),
            }
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn collect<T, A: Array + FromIterator<Option<T>> + 'static>(
    rows: &[TestRow],
    value: impl Fn(&TestRow) -> Option<T>,
) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<A>())
}

/// A value of a row as the predicates know it.
fn value(batch: &RecordBatch, column: &str, row: usize) -> Option<Value> {
    let array = batch.column_by_name(column)?;
    if array
        .logical_nulls()
        .is_some_and(|nulls| nulls.is_null(row))
    {
        return None;
    }
    Some(match array.data_type() {
        DataType::Dictionary(..) => {
            let texts = array.as_dictionary::<Int32Type>();
            let texts = texts.downcast_dict::<StringArray>().unwrap();
            Value::Text(texts.into_iter().nth(row).unwrap().unwrap().into())
        }
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).into()),
        DataType::UInt16 => Value::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        other => panic!("no values of {other}"),
    })
}

/// What SQL says of a row: -1 for false, 0 for unknown, 1 for true. [`Predicate::Unknown`] is anything.
fn truth(batch: &RecordBatch, row: usize, predicate: &Predicate) -> i8 {
    let of = |one| truth(batch, row, one);
    match predicate {
        Predicate::Unknown => [1, 0, -1][row % 3],
        Predicate::Not(inner) => -of(inner),
        Predicate::And(all) => all.iter().map(of).min().unwrap_or(1),
        Predicate::Or(any) => any.iter().map(of).max().unwrap_or(-1),
        Predicate::Column { name, test } => match (value(batch, name, row), test) {
            (value, Test::IsNull) => {
                if value.is_none() {
                    1
                } else {
                    -1
                }
            }
            (None, _) => 0,
            (Some(value), _) if passes(&value, test) => 1,
            (Some(_), _) => -1,
        },
    }
}

fn passes(value: &Value, test: &Test) -> bool {
    match test {
        Test::IsNull => false,
        Test::In(any) => any.contains(value),
        Test::Prefix(prefix) => {
            matches!(value, Value::Text(whole) if whole.starts_with(&**prefix))
        }
        Test::Range(lower, upper) => {
            (match lower {
                Bound::Included(lower) => !is_less(value, lower),
                Bound::Excluded(lower) => is_less(lower, value),
                Bound::Unbounded => true,
            }) && (match upper {
                Bound::Included(upper) => !is_less(upper, value),
                Bound::Excluded(upper) => is_less(value, upper),
                Bound::Unbounded => true,
            })
        }
    }
}

fn is_less(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => one < other,
        (Value::Int(one), Value::Int(other)) => one < other,
        (Value::Bool(one), Value::Bool(other)) => one < other,
        _ => panic!("{one:?} and {other:?} are of two kinds"),
    }
}

/// A file with nothing but an index.
struct IndexFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    cache: IndexCache,
    state: IndexState,
    rows: u64,
}

impl IndexFile {
    async fn new(bytes: Bytes, entry: KeyValue, rows: usize) -> Self {
        let file = Self {
            store: Arc::new(InMemory::new()),
            path: Path::from("file"),
            cache: IndexCache::new(1 << 20),
            state: IndexState::new(&IndexCache::new(0)),
            rows: rows as u64,
        };
        file.state.learn(Some(&vec![entry]), bytes.len() as u64);
        file.store.put(&file.path, bytes.into()).await.unwrap();
        file
    }

    async fn open(&self) -> Option<FileIndex<'_>> {
        let place = Place {
            store: &self.store,
            path: &self.path,
            cache: &self.cache,
            state: &self.state,
        };
        place.open(self.rows).await
    }

    /// For each row whether the index selects it.
    async fn selected(&self, predicate: &Predicate) -> Vec<bool> {
        let mut selected = vec![false; self.rows as usize];
        match self.open().await {
            None => selected.fill(true),
            Some(index) => {
                for rows in index.select(predicate).await.row_ranges() {
                    selected[rows.start as usize..rows.end as usize].fill(true);
                }
            }
        }
        selected
    }
}

/// The index of these rows, of a file that would have so many bytes without it; added in batches of some rows.
fn build(
    rows: &[TestRow],
    batch_rows: usize,
    file_bytes: usize,
    head_column_bytes: usize,
) -> Option<(Bytes, KeyValue)> {
    let cut = Cut {
        block_rows: BLOCK,
        segment_rows: SEGMENT,
        head_column_bytes,
    };
    let mut builder = IndexBuilder::with_cut(TableId::HttpEvent, cut);
    for (number, rows) in (1..).zip(rows.chunks(batch_rows)) {
        builder.add(&batch(rows), file_bytes.min(number * file_bytes / 8));
    }
    let index = builder.finish(file_bytes)?;
    let entry = index.entry(0);
    Some((index.bytes.into(), entry))
}

async fn check(rows: &[TestRow], file: &IndexFile, predicate: &Predicate) {
    let batch = batch(rows);
    let selected = file.selected(predicate).await;
    for (row, is_selected) in selected.into_iter().enumerate() {
        if truth(&batch, row, predicate) == 1 {
            assert!(is_selected, "row {row} {:?} is missing", rows[row]);
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{1,2}\\.[xy]".prop_map(String::from),
        Just(String::new()),
        Just("a\u{10ffff}".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    (0..30_u32).prop_map(|number| format!("/items/{number}/of/a/long/path"))
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![Just(200), Just(204), Just(404), Just(500), Just(503)]
}

fn conn_id() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -2..2_i64, Just(i64::MAX), Just(i64::MIN)]
}

fn trace_id() -> impl Strategy<Value = String> {
    (0..60_u64).prop_map(|number| format!("{:032x}", u128::from(number) * 0x9e37_79b9_7f4a_7c15))
}

fn rows() -> impl Strategy<Value = Vec<TestRow>> {
    let row = (
        prop::option::of(host()),
        prop::option::of(path()),
        prop::option::of(trace_id()),
        prop::option::of(status()),
        prop::option::of(conn_id()),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(host, path, trace_id, status, conn_id, tls)| TestRow {
            host,
            path,
            trace_id,
            status,
            conn_id,
            tls,
        });
    // Runs of one row make blocks that have a value everywhere, or nothing but NULLs.
    prop::collection::vec((row, 1..20_usize), 1..30).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(row, count)| std::iter::repeat_n(row, count))
            .collect()
    })
}

fn test_of(value: BoxedStrategy<Value>) -> BoxedStrategy<Test> {
    let bound = prop_oneof![
        value.clone().prop_map(Bound::Included),
        value.clone().prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ];
    prop_oneof![
        1 => Just(Test::IsNull),
        4 => prop::collection::vec(value, 0..4).prop_map(Test::In),
        2 => (bound.clone(), bound).prop_map(|(lower, upper)| Test::Range(lower, upper)),
    ]
    .boxed()
}

fn predicate() -> impl Strategy<Value = Predicate> {
    fn text(strategy: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Test> {
        let strategy = strategy.boxed();
        let value = strategy.clone().prop_map(|text| Value::Text(text.into()));
        prop_oneof![
            3 => test_of(value.boxed()),
            1 => (strategy, 0..12_usize).prop_map(|(text, length)| {
                let prefix: String = text.chars().take(length).collect();
                Test::Prefix(prefix.into())
            }),
        ]
        .boxed()
    }
    fn on(name: &'static str, test: BoxedStrategy<Test>) -> BoxedStrategy<Predicate> {
        let column = move |test| Predicate::Column {
            name: name.into(),
            test,
        };
        test.prop_map(column).boxed()
    }
    let status = prop_oneof![status().prop_map(i64::from), any::<i64>()];
    let leaf = prop_oneof![
        on("host", text(host())),
        on("path", text(path())),
        on("trace_id", text(trace_id())),
        on("status", test_of(status.prop_map(Value::Int).boxed())),
        on("conn_id", test_of(conn_id().prop_map(Value::Int).boxed())),
        on("tls", test_of(any::<bool>().prop_map(Value::Bool).boxed())),
        // Always NULL.
        on("user_agent", text(host())),
        // Without an index, since it is a measure.
        on(
            "latency_ns",
            test_of(conn_id().prop_map(Value::Int).boxed())
        ),
        Just(Predicate::Unknown).boxed(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Or),
            inner.prop_map(|inner| Predicate::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn no_matching_row_is_ever_missing(
        rows in rows(),
        batch_rows in 1..70_usize,
        file_bytes in prop_oneof![Just(PLENTY), 0..60_000_usize],
        head_column_bytes in head_column_bytes(),
        predicates in prop::collection::vec(predicate(), 1..8),
    ) {
        let Some((bytes, entry)) = build(&rows, batch_rows, file_bytes, head_column_bytes) else {
            return Ok(());
        };
        block_on(async {
            let file = IndexFile::new(bytes, entry, rows.len()).await;
            assert!(file.open().await.is_some());
            for predicate in &predicates {
                check(&rows, &file, predicate).await;
            }
        });
    }

    #[test]
    fn a_broken_index_loses_no_row(
        rows in rows(),
        predicates in prop::collection::vec(predicate(), 1..4),
        place: prop::sample::Index,
        flip in 1..=255_u8,
        is_cut: bool,
        head_column_bytes in head_column_bytes(),
    ) {
        let Some((bytes, entry)) = build(&rows, 16, PLENTY, head_column_bytes) else {
            return Ok(());
        };
        let place = place.index(bytes.len());
        let mut broken = bytes.to_vec();
        broken[place] ^= flip;
        if is_cut {
            broken.truncate(place);
        }
        block_on(async {
            let file = IndexFile::new(broken.into(), entry, rows.len()).await;
            for predicate in &predicates {
                check(&rows, &file, predicate).await;
            }
        });
    }

    /// As above, but with checksums that fit: what is read may be wrong, but it does no harm.
    #[test]
    fn a_hostile_index_is_read_or_refused(
        rows in rows(),
        predicates in prop::collection::vec(predicate(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        head_column_bytes in head_column_bytes(),
    ) {
        let Some((bytes, entry)) = build(&rows, 16, PLENTY, head_column_bytes) else {
            return Ok(());
        };
        let (hostile, entry) = changed(&bytes, &entry, &changes);
        block_on(async {
            let file = IndexFile::new(hostile, entry, rows.len()).await;
            for predicate in &predicates {
                file.selected(predicate).await;
            }
        });
    }
}

/// Everything in the head, or nothing but the directory.
fn head_column_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(4_096)]
}

/// The index with some bytes of its unpacked head changed.
fn changed(
    bytes: &Bytes,
    entry: &KeyValue,
    changes: &[(prop::sample::Index, u8)],
) -> (Bytes, KeyValue) {
    let Entry::At(location) = Location::find(Some(&vec![entry.clone()]), bytes.len() as u64) else {
        panic!("{entry:?}");
    };
    let start = location.head_start() as usize;
    let mut head = codec::unpack(&bytes[start..]).unwrap();
    for (place, byte) in changes {
        let place = place.index(head.len());
        head[place] = *byte;
    }
    let head = codec::Packer::new().pack(&head);
    let hostile = [&bytes[..start], &head].concat();
    let location = Location {
        length: hostile.len() as u64,
        head_length: head.len() as u64,
        checksum: codec::hash(&head),
        ..location
    };
    (hostile.into(), location.to_entry())
}

fn equals(column: &str, value: Value) -> Predicate {
    Predicate::Column {
        name: column.into(),
        test: Test::In(vec![value]),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Row `number` of many: every trace of its own, every 1,000 rows another host, seldom a status of 500.
fn telling(number: usize) -> TestRow {
    TestRow {
        host: Some(format!("host-{}", number / 1_000)),
        path: Some(format!("/items/{number}")),
        trace_id: Some(format!(
            "{:032x}",
            number as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060
        )),
        status: Some(if number % 5_000 == 1 { 500 } else { 200 }),
        conn_id: Some(number as i64),
        tls: number.is_multiple_of(2).then_some(true),
    }
}

#[test]
fn a_needle_leaves_one_block() {
    let rows: Vec<TestRow> = (0..20_000).map(telling).collect();
    let cut = Cut {
        block_rows: 2_048,
        segment_rows: 1 << 20,
        ..Cut::default()
    };
    let mut builder = IndexBuilder::with_cut(TableId::HttpEvent, cut);
    for rows in rows.chunks(3_000) {
        builder.add(&batch(rows), 0);
    }
    let index = builder.finish(PLENTY).unwrap();
    let entry = index.entry(0);
    let of = |predicate: Predicate| {
        let (bytes, entry) = (Bytes::from(index.bytes.clone()), entry.clone());
        block_on(async move {
            let file = IndexFile::new(bytes, entry, 20_000).await;
            file.open().await.unwrap().select(&predicate).await
        })
    };
    let blocks = |predicate: Predicate| -> Vec<u64> {
        let ranges = of(predicate).row_ranges().collect::<Vec<_>>();
        let starts = ranges.into_iter().flat_map(|rows| rows.step_by(2_048));
        starts.map(|row| row / 2_048).collect()
    };
    let host = |number: usize| equals("host", text(&format!("host-{number}")));
    let status = |status| equals("status", Value::Int(status));

    let trace = rows[7_000].trace_id.clone().unwrap();
    assert_eq!(blocks(equals("trace_id", text(&trace))), [3]);
    assert_eq!(blocks(equals("path", text("/items/19999"))), [9]);
    assert_eq!(blocks(host(5)), [2]);
    assert!(of(host(20)).is_nothing());
    assert_eq!(blocks(status(500)), [0, 2, 4, 7]);
    assert_eq!(blocks(Predicate::And(vec![host(5), status(500)])), [2]);
    assert!(of(Predicate::And(vec![host(7), status(500)])).is_nothing());
    assert_eq!(blocks(Predicate::Or(vec![host(1), host(9)])), [0, 4]);
    // A block with both values has rows of either kind.
    let not_ok = Predicate::Not(Box::new(status(200)));
    assert_eq!(blocks(not_ok), blocks(status(500)));
    assert!(of(Predicate::Not(Box::new(status(500)))).is_everything());
    let range = |lower, upper| Predicate::Column {
        name: "status".into(),
        test: Test::Range(lower, upper),
    };
    let two_hundred = || Bound::Excluded(Value::Int(200));
    assert_eq!(
        blocks(range(two_hundred(), Bound::Unbounded)),
        blocks(status(500))
    );
    assert!(of(range(Bound::Unbounded, two_hundred())).is_nothing());
    let prefix = Predicate::Column {
        name: "host".into(),
        test: Test::Prefix("host-1".into()),
    };
    assert_eq!(blocks(prefix), [0, 4, 5, 6, 7, 8, 9]);
    let selection = of(equals("path", text("/items/19999")));
    assert_eq!(
        (
            selection.blocks(),
            selection.total_blocks(),
            selection.rows()
        ),
        (1, 10, 1_568)
    );
    assert_eq!(selection.row_selection().row_count(), 1_568);
    // What the index does not know, or of another kind, it says nothing about.
    assert!(of(Predicate::Unknown).is_everything());
    assert!(of(equals("host", Value::Int(5))).is_everything());
    assert!(of(equals("latency_ns", Value::Int(5))).is_everything());
    assert!(of(equals("no_such_column", Value::Int(5))).is_everything());
}
