//! The bag protocol: what its messages look like, and where in a UDP packet a filter finds them.
//!
//! `no_std` and free of dependencies, because the BPF programs share it with the server and the client. All
//! integers of the protocol are little-endian; the UDP header around it is big-endian (RFC 768).
#![no_std]
#![forbid(unsafe_code)]

pub mod chain;
mod command;
pub mod context;
pub mod endpoint;
pub mod headers;
pub mod maps;
mod request;
pub mod udp;
mod worker;

pub use command::Command;
pub use request::{Invalid, MAX_REQUEST_LEN, Request, RequestBytes};
pub use worker::{MOST_WORKERS, SPREAD, WORKER_COUNT, worker_of};

/// The UDP port that a bag server listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 12345;

/// How many different keys a bag holds unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 100_000;

/// Longest reply in bytes: an `i64` in ASCII decimal, sign included.
pub const MAX_REPLY_LEN: usize = 20;
