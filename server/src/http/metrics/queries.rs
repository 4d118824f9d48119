//! The queries under way, counted when it is asked for.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use weir_query::{Engine, QueryState};

/// States that last.
const STATES: [QueryState; 4] = [
    QueryState::Queued,
    QueryState::Planning,
    QueryState::Running,
    QueryState::Following,
];

pub(super) struct QueryCollector(pub(super) Arc<Engine>);

impl fmt::Debug for QueryCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryCollector")
    }
}

impl Collector for QueryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let queries = self.0.queries();
        let mut family = encoder.encode_descriptor(
            "queries",
            "Queries under way by what they do",
            None,
            MetricType::Gauge,
        )?;
        for state in STATES {
            let count = queries.iter().filter(|query| query.state == state).count();
            let labels = [("state", state.word())];
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
                .encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
