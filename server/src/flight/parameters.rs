//! The values that a client binds to a statement's parameters: one row of Arrow.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::ipc::{RecordBatch as BatchHeader, root_as_message};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use tonic::Status;

/// Most bytes of the parameters of one statement.
const MOST_BYTES: usize = 1024 * 1024;

/// The parameters of a statement, as they were sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    messages: Vec<FlightData>,
    row: Option<RecordBatch>,
}

impl Parameters {
    /// Reads the messages that a client sends, to the end, and checks them.
    pub(super) async fn receive(
        mut messages: impl Stream<Item = Result<FlightData, Status>> + Unpin,
    ) -> Result<Self, Status> {
        let (mut received, mut bytes) = (Vec::new(), 0);
        while let Some(message) = messages.next().await {
            let mut message = message?;
            // It names the statement, and nothing about the values.
            message.flight_descriptor = None;
            bytes += message.encoded_len();
            if bytes > MOST_BYTES {
                return Err(Status::resource_exhausted(format!(
                    "the parameters are larger than {} KiB",
                    MOST_BYTES / 1024
                )));
            }
            received.push(message);
        }
        Self::new(received)
    }

    /// The parameters in these messages.
    pub(super) fn new(messages: Vec<FlightData>) -> Result<Self, Status> {
        for message in &messages {
            refuse_compressed(message)?;
        }
        let unreadable = || Status::invalid_argument("the parameters are no Arrow data");
        // A decoder that panics on nonsense must not take the connection of others with it.
        let batches = catch_unwind(AssertUnwindSafe(|| decode(messages.clone())))
            .ok()
            .flatten()
            .ok_or_else(unreadable)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows > 1 {
            return Err(Status::invalid_argument(format!(
                "a query takes one row of parameters, not {rows}; run it once for each row"
            )));
        }
        let row = batches.into_iter().find(|batch| batch.num_rows() == 1);
        Ok(Self { messages, row })
    }

    /// As they were sent.
    pub(super) fn messages(&self) -> &[FlightData] {
        &self.messages
    }

    /// The one row, if there is one.
    pub(super) fn row(&self) -> Option<RecordBatch> {
        self.row.clone()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.messages.iter().map(FlightData::encoded_len).sum()
    }
}

/// The batches, or nothing where the messages are not readable.
fn decode(messages: Vec<FlightData>) -> Option<Vec<RecordBatch>> {
    let messages = stream::iter(messages.into_iter().map(Ok));
    let batches = FlightRecordBatchStream::new_from_flight_data(messages).try_collect();
    // All of it is there, so nothing is waited for.
    batches.now_or_never()?.ok()
}

/// Compressed values tell their size before they are unpacked, and whoever believes it makes room for it.
fn refuse_compressed(message: &FlightData) -> Result<(), Status> {
    if message.data_header.is_empty() {
        return Ok(());
    }
    let header = root_as_message(&message.data_header)
        .map_err(|_| Status::invalid_argument("the parameters are no Arrow data"))?;
    let dictionary = header.header_as_dictionary_batch();
    let batch = dictionary.map_or_else(|| header.header_as_record_batch(), |batch| batch.data());
    if batch
        .and_then(|batch: BatchHeader<'_>| batch.compression())
        .is_some()
    {
        return Err(Status::invalid_argument(
            "the parameters are compressed; send them as they are",
        ));
    }
    Ok(())
}
