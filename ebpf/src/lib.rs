//! weir's kernel side and everything that talks to it.
//!
//! In goes what to capture ([`Selection`], which can be changed while it runs); out come events: control records
//! (connections, sockets, processes) and payload records (packets of HTTP and DNS), exact counters on request, and a
//! report of what this kernel allowed. The C programs stand in `bpf/`, one file for each concern, their Rust mirror in
//! [`events`]. This crate knows nothing of protocols, rows or files, and is the only one with unsafe code: it speaks to
//! the kernel.

mod attachment;
pub mod cgroup;
pub mod doctor;
mod error;
pub mod events;
mod iterator;
mod kernel;
mod maps;
mod pattern;
mod program_info;
mod programs;
mod selection;

pub use error::LoadError;
pub use kernel::{Kernel, KernelOptions, LossCount, RingFill, Taken, TotalCount};
pub use pattern::{PathPattern, PatternError, matches_wildcards};
pub use program_info::{ProgramInfo, RunStatistics};
pub use programs::{Outcome, PROGRAMS, Program, ProgramStatus};
pub use selection::{Lists, Network, PortRange, ProcessName, Protocols, Selection, SelectionError};
