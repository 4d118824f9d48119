#![expect(clippy::unwrap_used, reason = "a test")]

use arrow::array::{Int64Array, StringArray, UInt16Array, UInt32Array, new_null_array};
use arrow::compute::{cast, interleave};
use proptest::prelude::*;

use super::*;

/// Values of each kind that is packed, the ends of its range among them.
fn values(part: Part) -> ArrayRef {
    let texts: &[&str] = match part.kind {
        Kind::Boolean => &["false", "true"],
        Kind::Int8 => &["-128", "-1", "0", "1", "127"],
        Kind::Int16 => &["-32768", "-1", "0", "32767"],
        Kind::Int32 => &["-2147483648", "-1", "0", "2147483647"],
        Kind::Int64 => &["-9223372036854775808", "-1", "0", "9223372036854775807"],
        Kind::UInt8 => &["0", "1", "255"],
        Kind::UInt16 => &["0", "80", "65535"],
        Kind::UInt32 => &["0", "1", "4294967295"],
        // The last number is that of no text.
        Kind::Text => &["0", "1", "4294967294"],
    };
    let values = StringArray::from(texts.to_vec());
    cast(&values, &part.data_type()).unwrap()
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let kinds = [
        Kind::Text,
        Kind::Boolean,
        Kind::Int8,
        Kind::Int16,
        Kind::Int32,
        Kind::Int64,
        Kind::UInt8,
        Kind::UInt16,
        Kind::UInt32,
    ];
    let part = (prop::sample::select(kinds.to_vec()), any::<bool>())
        .prop_map(|(kind, is_nullable)| Part { kind, is_nullable });
    prop::collection::vec(part, 2..6)
}

/// As many rows of values of these parts as there are seeds.
fn columns(parts: &[Part], seeds: &[Vec<usize>]) -> Vec<ArrayRef> {
    let column = |(place, part): (usize, &Part)| {
        let values = values(*part);
        let null = new_null_array(values.data_type(), 1);
        let indices: Vec<(usize, usize)> = seeds
            .iter()
            .map(|row| {
                let seed = row[place];
                if part.is_nullable && seed % 5 == 0 {
                    (1, 0)
                } else {
                    (0, seed % values.len())
                }
            })
            .collect();
        interleave(&[&*values, &*null], &indices).unwrap()
    };
    parts.iter().enumerate().map(column).collect()
}

fn is_same(array: &dyn Array, one: usize, other: usize) -> bool {
    *array.slice(one, 1) == *array.slice(other, 1)
}

proptest! {
    #[test]
    fn values_come_back_and_are_told_apart(
        parts in parts(),
        seeds in prop::collection::vec(prop::collection::vec(0usize..1000, 6), 1..40),
    ) {
        let Some(layout) = Layout::of(parts.clone()) else {
            return Ok(());
        };
        let columns = columns(&parts, &seeds);
        let packed = layout.pack(&columns, None).unwrap();
        prop_assert_eq!(packed.data_type(), &layout.data_type());
        prop_assert_eq!(packed.null_count(), 0);
        for (place, column) in columns.iter().enumerate() {
            prop_assert_eq!(&layout.unpack(&packed, place).unwrap(), column);
        }
        for one in 0..seeds.len() {
            for other in 0..seeds.len() {
                let are_same = columns.iter().all(|column| is_same(column, one, other));
                prop_assert_eq!(is_same(&packed, one, other), are_same);
            }
        }
    }
}

#[test]
fn what_does_not_fit_or_is_alone_is_left() {
    let int64 = Part::of(&DataType::Int64, false).unwrap();
    let nullable = Part::of(&DataType::Int64, true).unwrap();
    assert!(Layout::of(vec![int64]).is_none());
    assert_eq!(Layout::of(vec![int64, int64]).unwrap().bits(), 128);
    assert!(Layout::of(vec![int64, nullable]).is_none());
    assert!(Part::of(&DataType::Utf8, true).is_none());
}

#[test]
fn a_key_with_null_is_null() {
    let parts = vec![
        Part::of(&DataType::UInt32, false).unwrap(),
        Part::of(&DataType::UInt16, false).unwrap(),
        Part::of(&DataType::Int64, false).unwrap(),
    ];
    let layout = Layout::of(parts).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![Some(1), None, Some(1), Some(1)])),
        Arc::new(UInt16Array::from(vec![Some(2), Some(2), None, Some(2)])),
        Arc::new(Int64Array::from(vec![3, 3, 3, 3])),
    ];
    let fields = columns
        .iter()
        .map(|column| Arc::new(Field::new("key", column.data_type().clone(), true)) as FieldRef);
    let arguments = ScalarFunctionArgs {
        arg_fields: fields.collect(),
        args: columns.into_iter().map(ColumnarValue::Array).collect(),
        number_rows: 4,
        return_field: Arc::new(Field::new("packed", layout.data_type(), true)),
        config_options: Arc::default(),
    };
    let packed = Packing::pack_known(&layout)
        .invoke_with_args(arguments)
        .unwrap();
    let packed = packed.into_array(4).unwrap();
    let nulls: Vec<bool> = (0..4).map(|row| packed.is_null(row)).collect();
    assert_eq!(nulls, [false, true, true, false]);
    assert!(is_same(&packed, 0, 3));
}
