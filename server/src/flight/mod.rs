//! Arrow Flight SQL: the same queries as over HTTP, for ADBC and JDBC drivers and whatever is built on them.
//!
//! ```text
//!   GetFlightInfo(SQL or prepared handle) -> plan -> schema, Ticket(id, SQL, parameters)
//!   DoGet(Ticket) -> Engine -> batches -> FlightData, the last with what there is to say of the answer
//! ```
//!
//! A ticket holds everything that its query needs, so nothing is kept between the two calls. Prepared statements are
//! kept, bounded in bytes and age.

mod answer;
mod calls;
mod error;
mod info;
mod metadata;
mod parameters;
mod prepared;
mod service;
mod ticket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::http::App;
use calls::FlightCalls;
use service::FlightSql;

/// Largest message that a client may send: a statement and its parameters are smaller.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// How often a client that says nothing is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The Flight SQL service, running.
pub(crate) struct FlightServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
    stop: oneshot::Sender<()>,
}

impl FlightServer {
    /// Starts to answer those who connect.
    pub(crate) fn start(listener: TcpListener, app: Arc<App>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let service = FlightServiceServer::new(FlightCalls(FlightSql::new(app)))
            .max_decoding_message_size(MESSAGE_BYTES)
            // Answers are cut to messages of a size that clients take, except for a single row that is larger.
            .max_encoding_message_size(usize::MAX);
        let (stop, stopped) = oneshot::channel();
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(service)
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                async {
                    // An error means that the sender is gone, which is a stop too.
                    let _ = stopped.await;
                },
            );
        Ok(Self {
            address,
            task: tokio::spawn(server),
            stop,
        })
    }

    /// Lets clients read their answers for so long, and ends.
    pub(crate) async fn stop(self, drain: Duration) {
        let Self {
            address: _,
            mut task,
            stop,
        } = self;
        // It may have ended by itself; there is nobody to tell then.
        let _ = stop.send(());
        if tokio::time::timeout(drain, &mut task).await.is_err() {
            task.abort();
        }
    }
}
