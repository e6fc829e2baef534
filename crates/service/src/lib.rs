//! The bag server, its load client, and the records that both leave of a run.

mod cost;
pub mod process;
mod summary;

pub use cost::{Cost, Monotonic};
pub use summary::{
    ClientSummary, EndedBy, GetOutcome, Io, LoopRecord, ProgramRuns, Refused, ReplyCounts, RequestCounts,
    SentCounts, ServerSummary, VerdictCounts,
};
