//! What a client hands back to get its rows: everything that the query needs.
//!
//! ```text
//!   {"id":"...","sql":"..."} \n FlightData of the parameters, each with its length before it
//! ```
//!
//! A ticket is not signed: whoever can forge one could as well send its SQL.

use arrow_flight::FlightData;
use prost::Message as _;
use prost::bytes::{Buf as _, Bytes};
use serde::{Deserialize, Serialize};
use tonic::Status;
use weir_query::QueryId;

use super::error::{internal, status_of};
use super::parameters::Parameters;

/// A query that waits to be run.
#[derive(Debug, Clone)]
pub(super) struct QueryTicket {
    /// What the query will be known by.
    pub(super) id: QueryId,
    /// The statement.
    pub(super) sql: String,
    /// The values of its parameters.
    pub(super) parameters: Parameters,
}

#[derive(Serialize, Deserialize)]
struct Head {
    id: String,
    sql: String,
}

impl QueryTicket {
    /// A ticket for this statement, under a new id.
    pub(super) fn new(sql: String, parameters: Parameters) -> Self {
        Self {
            id: QueryId::random(),
            sql,
            parameters,
        }
    }

    pub(super) fn encode(self) -> Result<Bytes, Status> {
        let head = Head {
            id: self.id.to_string(),
            sql: self.sql,
        };
        // JSON has no line break within it.
        let mut bytes = serde_json::to_vec(&head).map_err(internal)?;
        bytes.push(b'\n');
        for message in self.parameters.messages() {
            message
                .encode_length_delimited(&mut bytes)
                .map_err(internal)?;
        }
        Ok(bytes.into())
    }

    pub(super) fn decode(ticket: &Bytes) -> Result<Self, Status> {
        let not_ours =
            || Status::invalid_argument("the ticket is none of weir's; ask for a new one");
        let end = ticket.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(not_ours)?;
        let head: Head = serde_json::from_slice(&ticket[..end]).map_err(|_| not_ours())?;
        let mut rest = ticket.slice(end + 1..);
        let mut messages = Vec::new();
        while rest.has_remaining() {
            let message = FlightData::decode_length_delimited(&mut rest);
            messages.push(message.map_err(|_| not_ours())?);
        }
        Ok(Self {
            id: head.id.parse().map_err(|error| status_of(&error))?,
            sql: head.sql,
            parameters: Parameters::new(messages)?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_comes_back_as_it_was() {
        let sql = "SELECT 'ä\n\"', 1".to_owned();
        let ticket = QueryTicket::new(sql.clone(), Parameters::default());
        let id = ticket.id.clone();
        let decoded = QueryTicket::decode(&ticket.encode().unwrap()).unwrap();
        assert_eq!((decoded.id, decoded.sql), (id, sql));
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        for bytes in [
            &b""[..],
            b"{}",
            b"{}\n",
            b"\n\n",
            b"{\"id\":\"\",\"sql\":\"\"}\n",
            b"{\"id\":\"a\",\"sql\":\"\"}\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"{\"id\":\"a\",\"sql\":\"\"}\n\x03\x01\x02\x03",
        ] {
            let error = QueryTicket::decode(&Bytes::from_static(bytes)).unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument, "{bytes:?}");
        }
    }
}
