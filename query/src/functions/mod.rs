//! The SQL functions that `DataFusion` lacks and people who look at traffic miss.

mod catalogue;
mod dns_name;
mod docs;
mod duration;
mod header;
mod histogram;
mod ip_in;
mod is_private;
mod peer_ip;
mod port_name;
mod quantile;
mod route;
mod since;
mod summary;
mod texts;
mod time_bucket;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use weir_storage::Store;

pub use catalogue::{FunctionInfo, FunctionKind, functions};
pub(crate) use dns_name::{Range, complete};

/// `quantile_sketch(x)`
pub(crate) fn quantile_sketch() -> AggregateUDF {
    AggregateUDF::new_from_impl(quantile::Quantile::sketch())
}

/// A quantile of one sketch, which plans that were rewritten take, and nobody by name.
pub(crate) fn quantile_of() -> ScalarUDF {
    ScalarUDF::new_from_impl(quantile::QuantileOf::new())
}

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

/// Adds weir's functions to those of the planner, and takes away [`UNBOUNDED`].
pub(crate) fn register(functions: &mut dyn FunctionRegistry, store: &Arc<Store>) -> Result<()> {
    register_pure(functions)?;
    let start = dns_name::Start::new(Arc::clone(store));
    functions.register_udf(Arc::new(ScalarUDF::new_from_impl(start)))?;
    Ok(())
}

/// Those that people call.
fn register_pure(functions: &mut dyn FunctionRegistry) -> Result<()> {
    for function in scalars() {
        functions.register_udf(Arc::new(function))?;
    }
    for function in aggregates() {
        functions.register_udaf(Arc::new(function))?;
    }
    for function in UNBOUNDED {
        functions.deregister_udf(function)?;
    }
    Ok(())
}

fn scalars() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(dns_name::DnsName::new()),
        ScalarUDF::new_from_impl(header::Header::new()),
        ScalarUDF::new_from_impl(ip_in::IpIn::new()),
        ScalarUDF::new_from_impl(is_private::IsPrivate::new()),
        ScalarUDF::new_from_impl(peer_ip::PeerIp::new()),
        ScalarUDF::new_from_impl(port_name::PortName::new()),
        ScalarUDF::new_from_impl(route::Route::new()),
        ScalarUDF::new_from_impl(since::Since::new()),
        ScalarUDF::new_from_impl(time_bucket::TimeBucket::new()),
    ]
}

fn aggregates() -> Vec<AggregateUDF> {
    vec![
        AggregateUDF::new_from_impl(dns_name::DnsAnswers::new()),
        AggregateUDF::new_from_impl(dns_name::DnsNames::new()),
        AggregateUDF::new_from_impl(histogram::Histogram::new()),
        AggregateUDF::new_from_impl(quantile::Quantile::of_numbers()),
        quantile_sketch(),
        AggregateUDF::new_from_impl(quantile::Quantile::of_sketches()),
    ]
}
