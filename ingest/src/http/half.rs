//! One side of a connection: where in its messages it is.

use super::body::Body;
use super::detect::Place;
use super::pending::Loss;
use crate::packet::Nanos;
use crate::tcp::Stamp;

/// Where in its messages a side is.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing was seen: a message begins here, unless the connection was joined in the middle.
    First,
    /// A message begins here, or has begun: `buffer` holds its head so far.
    Start,
    /// The place of the next message is unknown; `buffer` holds what may be its head.
    Hunt,
    /// In a body.
    Body(Body),
    /// Nothing more is read.
    Ignore,
}

/// One side of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) state: State,
    /// The head so far, where it lies over several chunks.
    pub(super) buffer: Vec<u8>,
    /// The stamp of the head's first byte.
    pub(super) started: Stamp,
    /// The newest time of the head so far.
    pub(super) newest: Nanos,
    /// Where the head was found.
    pub(super) place: Place,
    /// How far in the stream this side is.
    pub(super) passed: u64,
    /// What was lost last before it was known which side this is.
    pub(super) lost_early: Option<Loss>,
    /// Whether a message ended in the packet that is being read.
    pub(super) ended_in_packet: bool,
    /// Whether the head in `buffer` is a request that was answered before it was whole.
    pub(super) is_answered_early: bool,
    /// Whether nothing more comes.
    pub(super) is_closed: bool,
}

impl Half {
    /// A side of which nothing was seen: it may have been joined in the middle.
    pub(super) const fn new() -> Self {
        Self {
            state: State::First,
            buffer: Vec::new(),
            started: Stamp {
                time: 0,
                place: 0,
                received: None,
            },
            newest: Nanos::MIN,
            place: Place::Packet,
            passed: 0,
            lost_early: None,
            ended_in_packet: false,
            is_answered_early: false,
            is_closed: false,
        }
    }

    /// The body that is being received.
    pub(super) const fn body(&self) -> Option<&Body> {
        match &self.state {
            State::Body(body) => Some(body),
            _ => None,
        }
    }

    /// The body that is being received.
    pub(super) const fn body_mut(&mut self) -> Option<&mut Body> {
        match &mut self.state {
            State::Body(body) => Some(body),
            _ => None,
        }
    }

    /// Ends the body that is being received, and goes on with `next`.
    pub(super) fn take_body(&mut self, next: State) -> Option<Body> {
        match std::mem::replace(&mut self.state, next) {
            State::Body(body) => Some(body),
            _ => None,
        }
    }

    /// Bytes of memory held beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity() + self.body().map_or(0, Body::held_bytes)
    }
}
