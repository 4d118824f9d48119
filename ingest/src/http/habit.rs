//! How a client asks, as far as it has shown.
//!
//! | the client sends | |
//! |---|---|
//! | a request, and the next after its response | one after the other |
//! | several at once, and the next when all are answered | pipelined, in batches |
//! | a request after a response, while others wait | pipelined, in a window |
//!
//! After a loss this tells what can still wait for a response when the client asks again: nothing, of a client that has
//! shown to wait for everything; of one with a window, there is no end to the doubt.

use super::pending::Unseen;

/// So often a client has to show what it waits for until it is believed to do so always: the first of several requests
/// that are sent at once comes after a response too, and the others may be lost.
const TIMES_TO_SHOW: u8 = 3;

/// What a client has shown.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// Whether it has sent a request before the response to the one before.
    pub(super) is_pipelined: bool,
    /// Whether it has sent a request after a response, while another request waited.
    pub(super) is_windowed: bool,
    /// Times that it has sent a request after the response to the one before.
    sequential: u8,
    /// Times that it has asked after it had received everything.
    waits: u8,
    /// What it had received when it sent the newest request.
    newest_received: Option<u64>,
}

impl Habit {
    /// Notes a request, sent when the client had `received` so many bytes of the server.
    pub(super) fn note_request(&mut self, received: Option<u64>) {
        // It had nothing new from the server since it sent the one before.
        self.is_pipelined |= received.is_some() && received == self.newest_received;
        self.newest_received = received;
    }

    /// Notes a request, sent when the client had `received` so many bytes of the server, while others certainly wait.
    pub(super) fn note_request_beside(&mut self, received: u64) {
        let has_more = self.newest_received.is_some_and(|newest| received > newest);
        self.is_windowed |= has_more;
    }

    /// Notes a request that was sent after the response to the one before.
    pub(super) fn note_sequential(&mut self) {
        self.sequential = self.sequential.saturating_add(1);
    }

    /// Notes a request that was sent when the client had received every byte of the server so far.
    pub(super) fn note_wait(&mut self) {
        self.waits = self.waits.saturating_add(1);
    }

    /// Whether it asks one after the other.
    pub(super) const fn is_sequential(&self) -> bool {
        self.sequential >= TIMES_TO_SHOW
    }

    /// What is left of a doubt when the client asks after it has received everything.
    pub(super) fn doubt_after_wait(&self, doubt: Unseen) -> Unseen {
        match doubt {
            Unseen::Smuggled => doubt,
            _ if self.is_windowed => doubt,
            _ if self.is_pipelined && self.waits > TIMES_TO_SHOW => Unseen::Nothing,
            Unseen::Lost if !self.is_pipelined => Unseen::Hidden,
            _ => doubt,
        }
    }

    /// Whether nothing was sent where `unseen` leaves room for something.
    pub(super) fn is_believed(&self, unseen: Unseen) -> bool {
        unseen == Unseen::Nothing || (unseen == Unseen::Hidden && !self.is_pipelined)
    }
}
