//! Who asks: the other end of the connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Its address, without the port: what queries share their slots by.
    pub(super) client: Arc<str>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let client = connection.map_or_else(
            || "unknown".into(),
            |ConnectInfo(address)| address.ip().to_canonical().to_string().into(),
        );
        Ok(Self { client })
    }
}
