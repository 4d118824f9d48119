//! The calls of Flight SQL, each handed to whom it concerns.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementIngest, CommandStatementQuery, CommandStatementUpdate,
    DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket,
};
use futures::future::{BoxFuture, ready};
use futures::{Stream, stream};
use prost::Message as _;
use prost::bytes::Bytes;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};
use weir_query::{Description, QueryRequest};

use super::answer::{self, Messages, sent};
use super::error::{internal, status_of};
use super::info::{info, query_info, query_of, schema_bytes};
use super::metadata;
use super::parameters::Parameters;
use super::prepared::PreparedStatements;
use super::ticket::QueryTicket;
use crate::http::App;

/// The action that stops a query by the flight info that was answered for it.
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
/// The token of everybody: some clients ask for one before anything else.
const TOKEN: &str = "Bearer nobody";

/// Answers Flight SQL.
pub(super) struct FlightSql {
    app: Arc<App>,
    prepared: PreparedStatements,
}

impl FlightSql {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            prepared: PreparedStatements::default(),
        }
    }

    /// Plans a query, and answers with its columns and a ticket.
    async fn plan(
        &self,
        sql: String,
        parameters: Parameters,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let asked = QueryRequest {
            row: parameters.row(),
            ..asked(&sql, &request)
        };
        let description = self.describe(asked).await?;
        let ticket = QueryTicket::new(sql, parameters);
        query_info(ticket, &sent(&description.schema), request)
    }

    async fn describe(&self, request: QueryRequest) -> Result<Description, Status> {
        let described = self.app.engine.describe(request).await;
        described.map_err(|error| status_of(&error))
    }

    fn cancel(&self, info: &FlightInfo) -> Result<CancelStatus, Status> {
        let query = query_of(info)?;
        if self.app.engine.cancel(query.id.as_str()) {
            Ok(CancelStatus::Cancelled)
        } else {
            Err(Status::not_found("the query is not running"))
        }
    }

    /// Why a statement that is to change something is not run.
    async fn refusal(&self, request: QueryRequest) -> Status {
        match self.describe(request).await {
            Ok(_) => Status::invalid_argument(
                "the statement changes nothing; run it as a query, not as an update",
            ),
            Err(status) => status,
        }
    }
}

/// The query of a client, with the time that the client gives it.
fn asked<T>(sql: &str, request: &Request<T>) -> QueryRequest {
    QueryRequest {
        client: Some(client_of(request)),
        timeout: timeout_of(request),
        ..QueryRequest::new(sql)
    }
}

/// Who asks: its address, without the port.
fn client_of<T>(request: &Request<T>) -> Arc<str> {
    let address = request.remote_addr();
    address.map_or_else(
        || "unknown".into(),
        |address| address.ip().to_canonical().to_string().into(),
    )
}

/// What `grpc-timeout` says: up to eight digits and a unit.
fn timeout_of<T>(request: &Request<T>) -> Option<Duration> {
    let value = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number = digits.parse::<u32>().ok()?;
    let unit = match unit {
        "H" => Duration::from_hours(1),
        "M" => Duration::from_mins(1),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
        .filter(|timeout| !timeout.is_zero())
}

/// The parameters as drivers are told of them. What is not known is a text, which fits where it has to.
fn parameter_schema(description: &Description) -> Schema {
    let sent = sent(&description.parameters);
    let fields = sent.fields().iter();
    let fields: Vec<Field> = fields
        .map(|field| match field.data_type() {
            DataType::Null => Field::clone(field).with_data_type(DataType::Utf8),
            _ => Field::clone(field),
        })
        .collect();
    Schema::new(fields)
}

fn read_only(what: &str) -> Status {
    Status::unimplemented(format!("weir is read-only: it has no {what}"))
}

/// A call that says what is there: the flight info, and the rows.
fn told(
    command: &impl ProstMessageExt,
    rows: Result<RecordBatch, FlightError>,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let schema = rows.map_err(internal)?.schema();
    info(command, &schema, request)
}

fn rows(rows: Result<RecordBatch, FlightError>) -> Result<Response<Messages>, Status> {
    rows.map(answer::rows).map_err(internal)
}

/// The pair of methods by which a client asks what is there: for the flight info, then for the rows. They are written as
/// `async_trait` writes methods, since it does not look into macros.
macro_rules! tell {
    ($($info:ident, $get:ident: $Command:ty => $rows:expr;)*) => {
        $(
            fn $info<'life0, 'async_trait>(
                &'life0 self,
                command: $Command,
                request: Request<FlightDescriptor>,
            ) -> BoxFuture<'async_trait, Result<Response<FlightInfo>, Status>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(ready(told(&command, $rows(command.clone()), request)))
            }

            fn $get<'life0, 'async_trait>(
                &'life0 self,
                command: $Command,
                _request: Request<Ticket>,
            ) -> BoxFuture<'async_trait, Result<Response<Messages>, Status>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(ready(rows($rows(command))))
            }
        )*
    };
}

#[tonic::async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = Self;

    /// Nobody is asked who they are, but those who say it get an answer.
    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<
        Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>,
        Status,
    > {
        let answer = HandshakeResponse {
            protocol_version: 0,
            payload: Bytes::from_static(TOKEN.as_bytes()),
        };
        let mut response: Response<Pin<Box<dyn Stream<Item = _> + Send>>> =
            Response::new(Box::pin(stream::iter([Ok(answer)])));
        let metadata = response.metadata_mut();
        metadata.insert("authorization", MetadataValue::from_static(TOKEN));
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.plan(query.query, Parameters::default(), request).await
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let (sql, parameters) = self.prepared.get(&query.prepared_statement_handle)?;
        self.plan(sql.to_string(), parameters, request).await
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<Messages>, Status> {
        let query = QueryTicket::decode(&ticket.statement_handle)?;
        let asked = QueryRequest {
            id: Some(query.id),
            row: query.parameters.row(),
            ..asked(&query.sql, &request)
        };
        answer::respond(&self.app, asked).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let description = self.describe(asked(&query.query, &request)).await?;
        Ok(ActionCreatePreparedStatementResult {
            dataset_schema: schema_bytes(&sent(&description.schema))?,
            parameter_schema: schema_bytes(&parameter_schema(&description))?,
            prepared_statement_handle: self.prepared.create(&query.query, client_of(&request)),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        self.prepared.close(&query.prepared_statement_handle);
        Ok(())
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let parameters = Parameters::receive(request.into_inner()).await?;
        let handle = query.prepared_statement_handle;
        self.prepared.bind(&handle, parameters)?;
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(handle),
        })
    }

    async fn do_put_statement_update(
        &self,
        command: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(self.refusal(asked(&command.query, &request)).await)
    }

    async fn do_put_prepared_statement_update(
        &self,
        command: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let (sql, _) = self.prepared.get(&command.prepared_statement_handle)?;
        Err(self.refusal(asked(&sql, &request)).await)
    }

    async fn do_put_statement_ingest(
        &self,
        _command: CommandStatementIngest,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only("ingest"))
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        _request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let info = FlightInfo::decode(&*query.info);
        let info = info.map_err(|_| Status::invalid_argument("that is no flight info"))?;
        // Both enumerations have the same numbers.
        let result = self.cancel(&info)? as i32;
        Ok(ActionCancelQueryResult { result })
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Result<Response<<Self as FlightService>::DoActionStream>, Status> {
        let action = request.into_inner();
        if action.r#type != CANCEL_FLIGHT_INFO {
            return Err(Status::unimplemented(format!(
                "there is no action {:?}",
                action.r#type
            )));
        }
        let asked = CancelFlightInfoRequest::decode(&*action.body).ok();
        let info = asked.and_then(|asked| asked.info);
        let info = info.ok_or_else(|| Status::invalid_argument("there is no flight info"))?;
        let result = CancelFlightInfoResult {
            status: self.cancel(&info)? as i32,
        };
        let result = arrow_flight::Result {
            body: result.encode_to_vec().into(),
        };
        Ok(Response::new(Box::pin(stream::iter([Ok(result)]))))
    }

    async fn list_custom_actions(&self) -> Option<Vec<Result<ActionType, Status>>> {
        Some(vec![Ok(ActionType {
            r#type: CANCEL_FLIGHT_INFO.to_owned(),
            description: "Stops the query of a flight info".to_owned(),
        })])
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}

    tell! {
        get_flight_info_catalogs, do_get_catalogs: CommandGetCatalogs => metadata::catalogs;
        get_flight_info_schemas, do_get_schemas: CommandGetDbSchemas => metadata::schemas;
        get_flight_info_tables, do_get_tables: CommandGetTables => metadata::tables;
        get_flight_info_table_types, do_get_table_types: CommandGetTableTypes => metadata::table_types;
        get_flight_info_sql_info, do_get_sql_info: CommandGetSqlInfo => metadata::sql_info;
        get_flight_info_xdbc_type_info, do_get_xdbc_type_info: CommandGetXdbcTypeInfo => metadata::types;
        get_flight_info_primary_keys, do_get_primary_keys: CommandGetPrimaryKeys =>
            |_| Ok(metadata::no_primary_keys());
        get_flight_info_exported_keys, do_get_exported_keys: CommandGetExportedKeys =>
            |_| Ok(metadata::no_foreign_keys());
        get_flight_info_imported_keys, do_get_imported_keys: CommandGetImportedKeys =>
            |_| Ok(metadata::no_foreign_keys());
        get_flight_info_cross_reference, do_get_cross_reference: CommandGetCrossReference =>
            |_| Ok(metadata::no_foreign_keys());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_client_gives_has_a_unit() {
        for (text, expected) in [
            ("5S", Some(Duration::from_secs(5))),
            ("00000100m", Some(Duration::from_millis(100))),
            ("2H", Some(Duration::from_hours(2))),
            ("0S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-1S", None),
        ] {
            let mut request = Request::new(());
            let value = text.parse().expect("a header's value");
            request.metadata_mut().insert("grpc-timeout", value);
            assert_eq!(timeout_of(&request), expected, "{text:?}");
        }
        assert_eq!(timeout_of(&Request::new(())), None);
    }
}
