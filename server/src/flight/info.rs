//! What clients are told before they fetch: the schema, and the ticket to fetch with.

use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{Any, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use prost::Message as _;
use prost::bytes::Bytes;
use tonic::{Request, Response, Status};

use super::error::internal;
use super::ticket::QueryTicket;

/// Answers with the schema and this message as the ticket.
pub(super) fn info(
    ticket: &impl ProstMessageExt,
    schema: &Schema,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(internal)?
        .with_descriptor(request.into_inner())
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_ordered(true);
    Ok(Response::new(info))
}

/// Answers with the ticket of a query.
pub(super) fn query_info(
    ticket: QueryTicket,
    schema: &Schema,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let ticket = TicketStatementQuery {
        statement_handle: ticket.encode()?,
    };
    info(&ticket, schema, request)
}

/// The query for which this was answered.
pub(super) fn query_of(info: &FlightInfo) -> Result<QueryTicket, Status> {
    let ticket = info.endpoint.first().and_then(|end| end.ticket.as_ref());
    let any = ticket.and_then(|ticket| Any::decode(&*ticket.ticket).ok());
    let query = any.and_then(|any| any.unpack::<TicketStatementQuery>().ok().flatten());
    match query {
        Some(query) => QueryTicket::decode(&query.statement_handle),
        None => Err(Status::invalid_argument(
            "the flight info has no ticket of a query",
        )),
    }
}

/// A schema on its own, as an IPC message.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message: IpcMessage = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(internal)?;
    Ok(message.0)
}
