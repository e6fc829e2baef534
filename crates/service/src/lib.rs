//! The bag server, its load client, and the records that both leave of a run.

mod bag;
pub mod client;
mod cost;
pub mod process;
pub mod server;
pub mod servers;
mod summary;
mod sys;

pub use bag::{Bag, PutError};
pub use cost::{Cost, Monotonic};
pub use server::{AllowStop, Server, ServerConfig, ServerError, StopHandle};
pub use summary::{
    ClientSummary, EndedBy, GetOutcome, Io, LoopRecord, Refused, ReplyCounts, RequestCounts, SentCounts,
    ServerSummary,
};
pub use weir_hooks::{ProgramRuns, VerdictCounts};
