//! Tests of the way in and out of columns.

use arrow::array::Int64Builder;
use arrow::array::{ListBuilder, StringBuilder, StructBuilder};

use super::*;
use crate::functions::dns_name::by_process::ByProcess;

const SECOND: i64 = 1_000_000;

/// Type, TTL and data.
type Record = (Option<&'static str>, Option<i64>, Option<&'static str>);

/// Pid, name, time in seconds and records.
type Row<'a> = (
    Option<i64>,
    Option<&'static str>,
    Option<i64>,
    Option<&'a [Record]>,
);

fn columns(rows: &[Row<'_>]) -> Vec<ArrayRef> {
    let DataType::List(item) = records_type() else {
        panic!("a list");
    };
    let DataType::Struct(fields) = item.data_type().clone() else {
        panic!("of records");
    };
    let mut answers = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for (.., records) in rows {
        for (kind, ttl, data) in records.iter().copied().flatten() {
            let record = answers.values();
            record
                .field_builder::<StringBuilder>(0)
                .unwrap()
                .append_option(*kind);
            record
                .field_builder::<Int64Builder>(1)
                .unwrap()
                .append_option(*ttl);
            record
                .field_builder::<StringBuilder>(2)
                .unwrap()
                .append_option(*data);
            record.append(kind.is_some());
        }
        answers.append(records.is_some());
    }
    let names: StringArray = rows.iter().map(|(_, name, ..)| *name).collect();
    let pids: Int64Array = rows.iter().map(|(pid, ..)| *pid).collect();
    let times: TimestampMicrosecondArray = rows
        .iter()
        .map(|(_, _, time, _)| time.map(|time| time * SECOND))
        .collect();
    vec![
        Arc::new(answers.finish()),
        Arc::new(names),
        Arc::new(pids),
        Arc::new(times.with_timezone("UTC")),
    ]
}

fn answered(accumulator: &mut Answers) -> ByProcess {
    let value = accumulator.evaluate().unwrap();
    assert_eq!(value.data_type(), list_type());
    let ScalarValue::List(list) = value else {
        panic!("a list");
    };
    ByProcess::of(&list).unwrap()
}

const ROWS: [Row<'static>; 7] = [
    (
        Some(7),
        Some("a.example"),
        Some(100),
        Some(&[
            (Some("CNAME"), Some(60), Some("alias.example")),
            (Some("A"), Some(300), Some("192.0.2.1")),
            (Some("A"), Some(300), Some("no address")),
            (Some("A"), None, Some("192.0.2.2")),
            (Some("TXT"), Some(300), Some("192.0.2.3")),
            (None, Some(300), Some("192.0.2.4")),
            (Some("A"), Some(300), None),
        ]),
    ),
    (
        Some(8),
        Some("b.example"),
        Some(150),
        Some(&[
            (Some("AAAA"), Some(30), Some("::ffff:192.0.2.1")),
            (Some("AAAA"), Some(100), Some("2001:db8::1")),
        ]),
    ),
    // Asked and was told nothing.
    (Some(9), Some("c.example"), Some(150), None),
    (Some(10), None, Some(150), Some(&[])),
    (
        Some(11),
        Some("d.example"),
        None,
        Some(&[(Some("A"), Some(60), Some("192.0.2.5"))]),
    ),
    (
        None,
        Some("e.example"),
        Some(160),
        Some(&[(Some("A"), Some(60), Some("192.0.2.5"))]),
    ),
    (
        Some(12),
        None,
        Some(160),
        Some(&[(Some("A"), Some(60), Some("192.0.2.6"))]),
    ),
];

fn check(told: &ByProcess) {
    for (ip, pid, time, expected) in [
        ("192.0.2.1", Some(7), 99, None),
        ("192.0.2.1", Some(7), 100, Some("a.example")),
        ("192.0.2.1", Some(7), 399, Some("a.example")),
        ("192.0.2.1", Some(7), 400, None),
        ("::ffff:192.0.2.1", Some(7), 160, Some("a.example")),
        ("192.0.2.2", Some(7), 159, Some("a.example")),
        ("192.0.2.2", Some(7), 160, None),
        ("192.0.2.3", Some(7), 110, None),
        ("192.0.2.4", Some(7), 110, None),
        ("192.0.2.1", Some(8), 149, None),
        ("192.0.2.1", Some(8), 160, Some("b.example")),
        ("192.0.2.1", Some(8), 210, None),
        ("2001:DB8:0::1", Some(8), 249, Some("b.example")),
        ("2001:db8::1", Some(7), 249, None),
        // Those that asked for something else.
        ("192.0.2.1", Some(9), 120, None),
        ("192.0.2.1", Some(10), 120, None),
        ("192.0.2.6", Some(12), 170, None),
        // Those that asked nothing, or when is not known.
        ("192.0.2.1", None, 120, Some("a.example")),
        ("192.0.2.1", None, 150, Some("b.example")),
        ("192.0.2.1", None, 210, Some("a.example")),
        ("192.0.2.1", Some(6), 160, Some("b.example")),
        ("192.0.2.1", Some(11), 160, Some("b.example")),
        ("192.0.2.5", Some(i64::MAX), 160, Some("e.example")),
        ("192.0.2.5", Some(i64::MIN), 159, None),
        ("no address", None, 160, None),
        ("", None, 160, None),
    ] {
        let found = told.look_up(ip, pid, time * SECOND);
        assert_eq!(found, expected, "{ip} {pid:?} {time}");
    }
}

#[test]
fn each_process_is_told_what_its_answers_held() {
    let mut all = Answers::default();
    all.update_batch(&columns(&ROWS)).unwrap();
    check(&answered(&mut all));
    assert!(all.size() > Answers::default().size());
}

#[test]
fn slices_and_parts_come_to_the_same() {
    for turn in 0..ROWS.len() {
        let mut whole = Answers::default();
        for part in 0..ROWS.len() {
            let row = (part + turn) % ROWS.len();
            let slices: Vec<ArrayRef> = columns(&ROWS)
                .iter()
                .map(|column| column.slice(row, 1))
                .collect();
            let mut part = Answers::default();
            part.update_batch(&slices).unwrap();
            let state: Vec<ArrayRef> = part
                .state()
                .unwrap()
                .iter()
                .map(|value| value.to_array().unwrap())
                .collect();
            whole.merge_batch(&state).unwrap();
        }
        check(&answered(&mut whole));
    }
}

#[test]
fn of_no_rows_nobody_knows_anything() {
    let mut none = Answers::default();
    none.update_batch(&columns(&[])).unwrap();
    let state: Vec<ArrayRef> = none
        .state()
        .unwrap()
        .iter()
        .map(|value| value.to_array().unwrap())
        .collect();
    none.merge_batch(&state).unwrap();
    assert_eq!(answered(&mut none).look_up("192.0.2.1", None, 0), None);
}
