//! What a result's columns are called, in SQL's and in readers' eyes.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// The schema with a name of its own for every column.
///
/// SQL lets two columns of a result share a name (`SELECT a.time, b.time`); JSON objects and data frames do not. The
/// second `time` becomes `time_1`, the third `time_2`.
pub fn distinct_names(schema: &SchemaRef) -> SchemaRef {
    let mut taken: HashSet<&str> = HashSet::new();
    if schema
        .fields()
        .iter()
        .all(|field| taken.insert(field.name()))
    {
        return Arc::clone(schema);
    }
    let mut taken: HashSet<String> = HashSet::new();
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| {
            if taken.insert(field.name().clone()) {
                return Arc::clone(field);
            }
            let is_elsewhere =
                |name: &String| schema.fields().iter().any(|other| other.name() == name);
            // No more names than that can be taken.
            let name = (1..=schema.fields().len() * 2)
                .map(|number| format!("{}_{number}", field.name()))
                .find(|name| !is_elsewhere(name) && !taken.contains(name))
                .unwrap_or_default();
            taken.insert(name.clone());
            Arc::new(Field::clone(field).with_name(name))
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The rows of a batch under the names of this schema, as [`distinct_names`] gave it.
pub fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
}

/// A type in the words of SQL: `BIGINT`, `TIMESTAMP WITH TIME ZONE`, `MAP(VARCHAR, VARCHAR)`.
///
/// How the values are encoded (dictionaries, views, offsets) does not show.
pub fn sql_type(data_type: &DataType) -> String {
    let word = match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Duration(_) | DataType::Interval(_) => "INTERVAL",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "VARBINARY",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Dictionary(_, value) => return sql_type(value),
        DataType::RunEndEncoded(_, value) => return sql_type(value.data_type()),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            return format!("DECIMAL({precision}, {scale})");
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => return format!("{}[]", sql_type(item.data_type())),
        DataType::Struct(fields) => return format!("STRUCT({})", members(fields.iter())),
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return "MAP".to_owned();
            };
            let types: Vec<String> = fields
                .iter()
                .map(|field| sql_type(field.data_type()))
                .collect();
            return format!("MAP({})", types.join(", "));
        }
        DataType::Union(fields, _) => {
            return format!("UNION({})", members(fields.iter().map(|(_, field)| field)));
        }
    };
    word.to_owned()
}

fn members<'a>(fields: impl Iterator<Item = &'a FieldRef>) -> String {
    let members: Vec<String> = fields
        .map(|field| format!("{} {}", field.name(), sql_type(field.data_type())))
        .collect();
    members.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_of(names: &[&str]) -> SchemaRef {
        let fields: Vec<Field> = names
            .iter()
            .map(|name| Field::new(*name, DataType::Int64, true))
            .collect();
        Arc::new(Schema::new(fields))
    }

    #[test]
    fn a_repeated_name_gets_a_number_that_no_other_column_has() {
        let distinct = distinct_names(&schema_of(&["time", "time", "time_1", "time"]));
        let names: Vec<&str> = distinct
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        assert_eq!(names, ["time", "time_2", "time_1", "time_3"]);
    }

    #[test]
    fn encodings_do_not_show_in_sql_types() {
        for (data_type, expected) in [
            (
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                "VARCHAR",
            ),
            (
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
                "VARCHAR[]",
            ),
            (DataType::UInt16, "SMALLINT UNSIGNED"),
        ] {
            assert_eq!(sql_type(&data_type), expected);
        }
    }
}
