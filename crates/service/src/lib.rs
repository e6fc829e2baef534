//! The bag server, its load client, and the records that both leave of a run.

#[macro_use]
mod stderr;

mod bag;
pub mod client;
pub mod control;
mod control_group;
mod cost;
mod latencies;
mod moderation;
pub mod process;
pub mod server;
pub mod servers;
mod shards;
mod sleep;
mod summary;
mod sys;

pub use bag::{Bag, PutError};
pub use client::{ClientSummary, GetOutcome, SentCounts};
pub use control_group::{ControlGroup, ControlGroupError};
pub use cost::{Cost, Monotonic};
pub use latencies::{Latencies, LatenciesError};
pub use moderation::{LongestNap, Moderation, Naps};
pub use server::{AllowStop, Server, ServerConfig, ServerError, StopHandle};
pub use stderr::Visible;
pub use summary::{
    EndedBy, Io, LoopRecord, Refused, Replaced, ReplyCounts, RequestCounts, ServerSummary, WorkerPick,
    WorkerRecord,
};
pub use sys::socket_drops;
pub use weir_hooks::{ProgramRuns, VerdictCounts};
