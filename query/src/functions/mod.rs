//! The SQL functions that `DataFusion` lacks and people who look at traffic miss.

mod duration;
mod header;
mod ip_in;
mod since;
mod time_bucket;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

/// Functions of the planner that make any amount of text or list out of a few bytes: what they make is outside the
/// memory that queries are held to.
pub(crate) const UNBOUNDED: [&str; 7] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "array_resize",
    "range",
    "generate_series",
];

/// All of them.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::new_from_impl(header::Header::new())),
        Arc::new(ScalarUDF::new_from_impl(ip_in::IpIn::new())),
        Arc::new(ScalarUDF::new_from_impl(since::Since::new())),
        Arc::new(ScalarUDF::new_from_impl(time_bucket::TimeBucket::new())),
    ]
}
