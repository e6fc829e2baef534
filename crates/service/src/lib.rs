//! The bag server and its load client, and guards in front of services that run already.

#[macro_use(eprintln)]
extern crate weir_output;

mod bag;
pub mod client;
pub mod control;
mod control_group;
pub mod guarding;
mod memory;
pub mod page;
pub mod process;
pub mod server;
pub mod servers;
mod shards;
pub mod side_thread;
mod sleep;
mod sys;

pub use control_group::{ControlGroup, ControlGroupError};
pub use server::{AllowStop, Server, ServerConfig, ServerError, StopHandle};
pub use sys::socket_drops;
pub use weir_records::{
    Arrivals, AttachedPlace, ClientSummary, Cost, DecisionStatus, EndedBy, GetOutcome, GuardStatus,
    GuardSummary, GuardVerdict, Io, Latencies, LongestNap, LoopRecord, Mix, Moderation, Moment, Naps,
    Refused, Replaced, ReplyCounts, ReplyLedger, RequestCounts, SampleStatus, SentCounts, ServerSummary,
    ServiceDecisions, ServiceStatus, Unguarded, WorkerPick, WorkerRecord, monotonic_now,
};
