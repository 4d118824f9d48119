//! The one place where failures become gRPC statuses.

use std::fmt::Display;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use weir_query::{QueryError, QueryErrorKind};

/// When to ask again where too many ask at a time.
const RETRY_MILLIS: &str = "1000";

/// A query's failure: its message with place and hint, and in the metadata its kind as in the HTTP API.
pub(super) fn status_of(error: &QueryError) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("weir-code", MetadataValue::from_static(error.kind.code()));
    if let Some(position) = error.position {
        insert(&mut metadata, "weir-line", position.line);
        insert(&mut metadata, "weir-column", position.column);
    }
    if error.kind == QueryErrorKind::Busy {
        // gRPC clients that retry by themselves wait this long.
        metadata.insert(
            "grpc-retry-pushback-ms",
            MetadataValue::from_static(RETRY_MILLIS),
        );
    }
    Status::with_metadata(code_of(error.kind), error.to_string(), metadata)
}

/// A fault of weir.
pub(super) fn internal(error: impl Display) -> Status {
    tracing::warn!(%error, "a Flight SQL call failed");
    Status::internal(error.to_string())
}

fn insert(metadata: &mut MetadataMap, name: &'static str, number: u64) {
    metadata.insert(name, MetadataValue::from(number));
}

const fn code_of(kind: QueryErrorKind) -> Code {
    match kind {
        QueryErrorKind::Syntax
        | QueryErrorKind::NotFound
        | QueryErrorKind::Invalid
        | QueryErrorKind::NotAllowed
        | QueryErrorKind::Execution => Code::InvalidArgument,
        QueryErrorKind::Deadline => Code::DeadlineExceeded,
        QueryErrorKind::TooLarge => Code::ResourceExhausted,
        QueryErrorKind::Cancelled => Code::Cancelled,
        QueryErrorKind::Busy => Code::Unavailable,
        QueryErrorKind::Internal => Code::Internal,
    }
}
