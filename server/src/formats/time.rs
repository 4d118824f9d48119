//! How times are written as text: RFC 3339 with microseconds, `Z` for UTC.

use arrow::datatypes::{DataType, Field, Schema};

/// Format of a timestamp without a time zone.
pub(super) const WITHOUT_ZONE: &str = "%Y-%m-%dT%H:%M:%S%.6f";

const UTC: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
const WITH_OFFSET: &str = "%Y-%m-%dT%H:%M:%S%.6f%:z";

/// Format of the timestamps with a time zone in results of this schema.
///
/// `Z` is right only where every zone is UTC; with another zone among them all of them carry their offset.
pub(super) fn with_zone(schema: &Schema) -> &'static str {
    if schema.fields().iter().all(|field| is_utc(field)) {
        UTC
    } else {
        WITH_OFFSET
    }
}

fn is_utc(field: &Field) -> bool {
    match field.data_type() {
        DataType::Timestamp(_, Some(zone)) => {
            matches!(
                zone.as_ref(),
                "UTC" | "utc" | "Z" | "+00:00" | "+00" | "Etc/UTC"
            )
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_utc(item)
        }
        DataType::Map(entries, _) => is_utc(entries),
        DataType::Struct(fields) => fields.iter().all(|field| is_utc(field)),
        _ => true,
    }
}
