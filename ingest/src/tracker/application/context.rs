//! What an application may use besides itself.

use std::net::SocketAddr;

use crate::dns;
use crate::http;
use crate::sink::Ledger;
use crate::tcp::{Counts, Side};
use crate::tracker::flow::index;
use crate::tracker::output::{Conversation, Dns};
use crate::tracker::{Settings, stage};

/// What an application may use besides itself.
pub(in crate::tracker) struct Context<'a> {
    pub(in crate::tracker) settings: &'a Settings,
    pub(in crate::tracker) ledger: &'a mut Ledger,
    pub(in crate::tracker) dns: &'a mut Dns,
    /// Takes finished exchanges.
    pub(in crate::tracker) exchanges: &'a mut Vec<http::Exchange>,
    /// Bytes that all connections together hold back.
    pub(in crate::tracker) held_bytes: &'a mut usize,
    pub(in crate::tracker) conversation: Conversation,
    pub(in crate::tracker) ends: [SocketAddr; 2],
    /// Whether its packets were captured on a wire, where nothing is left out on purpose.
    pub(in crate::tracker) is_wire: bool,
}

impl Context<'_> {
    /// Takes a DNS message that came over TCP.
    pub(super) fn dns_message(&mut self, side: Side, framed: dns::Framed<'_>) {
        let passage = dns::Passage {
            key: self.conversation,
            source: self.ends[index(side)],
            destination: self.ends[index(side.other())],
            transport: dns::Transport::Tcp,
            first_byte: framed.first_byte,
            last_byte: framed.last_byte,
        };
        self.dns
            .message(passage, framed.captured, framed.wire_len, self.ledger);
    }

    /// Counts what a stream did not take of a segment; `before` and `after` it.
    pub(super) fn count_dropped(&mut self, before: &Counts, after: &Counts) {
        let events = after.before_start_segments - before.before_start_segments;
        let bytes = after.before_start_bytes - before.before_start_bytes;
        self.ledger
            .count(stage::REASSEMBLY, "before_start", events, bytes);
        let events = after.conflicting_segments - before.conflicting_segments;
        let bytes = after.conflicting_bytes - before.conflicting_bytes;
        self.ledger
            .count(stage::REASSEMBLY, "conflicting_copy", events, bytes);
        let events = after.ignored_segments - before.ignored_segments;
        self.ledger
            .count(stage::REASSEMBLY, "outside_window", events, 0);
    }

    pub(super) fn count_unframed(&mut self, framer: &mut dns::Framer) {
        let bytes = framer.take_lost_bytes();
        self.ledger
            .count(stage::DNS, "no_framing", u64::from(bytes > 0), bytes);
    }
}
