//! The SQL functions that `DataFusion` lacks and people who look at traffic miss.

mod duration;
mod header;
mod ip_in;
mod since;
mod time_bucket;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

/// All of them.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::new_from_impl(header::Header::new())),
        Arc::new(ScalarUDF::new_from_impl(ip_in::IpIn::new())),
        Arc::new(ScalarUDF::new_from_impl(since::Since::new())),
        Arc::new(ScalarUDF::new_from_impl(time_bucket::TimeBucket::new())),
    ]
}
