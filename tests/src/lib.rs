//! weir's end-to-end tests: real programs, real eBPF, the real binary.
//!
//! In: the built `weir`, and the programs whose traffic it watches (nginx, curl, dig, dnsmasq, wrk and the Python peers
//! of `tests/peers`), each put into a cgroup, and where needed into a network namespace, of the test's own. Out: what
//! weir answers over HTTP and on its command line. It never looks into weir's crates: whatever a test claims, a user
//! could see.
//!
//! ```text
//!   Lab = Cgroup + Weir + a directory
//!     lab.place() -> Place (cgroup, netns) -> Peer: nginx, curl, ...   traffic
//!     lab.weir    -> sql over HTTP -> Row                              answers
//! ```
//!
//! Everything a test makes is taken down when it goes out of scope, also when the test fails: processes by their ids,
//! then namespaces, then the cgroup. Declare peers after the [`Lab`] they run in.

#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    reason = "all of this runs inside tests, where a panic is the failure message"
)]

mod answer;
mod binary;
mod bucket;
mod cgroup;
mod dnsmasq;
mod flight;
pub mod http;
mod lab;
mod netns;
mod nginx;
mod peer;
mod place;
mod planted;
mod readers;
mod recording;
mod requirement;
mod small_disk;
mod tcpdump;
mod wait;
mod weir;

pub use answer::{Row, assert_column, lines};
pub use binary::{Finished, weir, weir_in};
pub use bucket::BucketServer;
pub use cgroup::Cgroup;
pub use dnsmasq::Dnsmasq;
pub use flight::FlightClient;
pub use lab::{Lab, offline};
pub use netns::{NetNs, V4, V6};
pub use nginx::Nginx;
pub use peer::Peer;
pub use place::{Place, free_port};
pub use planted::{HARMLESS, Planted, SECRET};
pub use readers::{ParquetReader, Read};
pub use recording::Recording;
pub use requirement::skip;
pub use small_disk::SmallDisk;
pub use tcpdump::Tcpdump;
pub use wait::wait_until;
pub use weir::Weir;
