//! weir's server: the command line, the HTTP API, Flight SQL and the service that joins capture, store and queries.
//!
//! Requests and commands come in; answers go out in the format that was asked for ([`formats`]). What is answered is
//! the business of `weir-query`, what is kept that of `weir-storage`, what is captured that of `weir-ingest`: this
//! crate only joins them, and never looks into a packet or a file itself.
//!
//! ```text
//!   weir serve  -> service -> Capture -> Store <- Engine <- http, flight
//!   weir import ------------> import --> Store
//!   weir sql    -> http of a server, or Engine over a Store opened for reading
//!   weir run    -> the same, with a script of weir-query's library
//! ```

#![deny(unsafe_code)]

mod capture;
pub mod cli;
mod config;
mod flight;
pub mod formats;
pub mod http;
mod instant;
mod scripts;
mod service;
mod sink;
