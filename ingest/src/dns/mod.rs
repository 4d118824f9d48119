//! DNS: payloads come in, [`Lookup`]s (rows of `dns_events`) go out.
//!
//! ```text
//!   UDP datagram --- looks_like_dns ------------------+
//!                                                     +--> Message --> Matcher --> Lookup --> DnsEvent
//!   TCP chunks ----- looks_like_dns_over_tcp, Framer -+                               |
//!                                                                                     +--> AddressNames
//! ```
//!
//! The wire walk is our own, not that of a DNS library: a library for resolvers refuses the whole message where one
//! record is odd (unknown type or class, a reserved bit, a record cut off by TC or by the capture), and a recorder has
//! to keep what is right in it. It also reserves memory by the header's counts, which anyone can forge. `simple-dns`
//! is the independent encoder that the tests compare with.
//!
//! The class of a record is not shown; that of its question is.

mod aged;
mod aliases;
mod detect;
mod edns;
mod encode;
mod framer;
mod lookup;
mod matcher;
mod message;
mod names;
mod rdata;
mod service;
mod update;
mod wire;
mod words;

pub use detect::{Detection, is_well_known_port, looks_like_dns, looks_like_dns_over_tcp};
pub use edns::Edns;
pub use framer::{Framed, Framer};
pub use lookup::{Lookup, Outcome, Transport};
pub use matcher::{Counters, Matcher, Passage, Settings};
pub use message::{Completeness, Counts, Flags, Message, NoHeader, Question};
pub use names::AddressNames;

/// The stage under which the ledger counts what is lost here.
pub const STAGE: &str = "dns";
