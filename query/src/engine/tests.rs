#![expect(clippy::unwrap_used, reason = "a test")]

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use futures::StreamExt as _;
use weir_storage::StoreOptions;

use super::*;

async fn failure(engine: &Engine, sql: &str) -> QueryError {
    let mut answer = match engine.query(QueryRequest::new(sql)).await {
        Ok(answer) => answer,
        Err(error) => return error,
    };
    loop {
        let batch = answer.batches.next().await;
        if let Err(error) = batch.expect("it fails before it ends") {
            return error;
        }
    }
}

#[tokio::test]
async fn a_step_that_panics_fails_its_query_only() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path(), "node-a");
    let store = Store::open(options).await.unwrap();
    let mut engine = Engine::new(store, EngineOptions::default()).unwrap();
    let shared = Arc::get_mut(&mut Arc::get_mut(&mut engine).unwrap().shared).unwrap();
    let overflow = create_udf(
        "overflow",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(
            |_: &[ColumnarValue]| -> Result<ColumnarValue, DataFusionError> {
                panic!("byte array offset overflow")
            },
        ),
    );
    let mut state = (shared.state)();
    state.register_udf(Arc::new(overflow)).unwrap();
    shared.state = Box::new(move || state.clone());
    for sql in [
        // While it is planned, at one place, and on many threads.
        "SELECT overflow(1)",
        "SELECT overflow(value) FROM generate_series(1, 10)",
        "SELECT value % 7, max(overflow(value)) FROM generate_series(1, 100000) GROUP BY value % 7",
    ] {
        assert_eq!(failure(&engine, sql).await, panicked(), "{sql}");
    }
    let answer = engine.query(QueryRequest::new("SELECT 1")).await.unwrap();
    assert_eq!(answer.batches.count().await, 1);
}
