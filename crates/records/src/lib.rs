//! What programs, servers and clients leave of a run: counts, costs and latencies, as `--summary FILE` and samples hold them.

/// Adds records up, each field to the other's.
macro_rules! add_up {
    ($($type:ident { $($field:ident),+ })+) => {$(
        impl std::ops::AddAssign for $type {
            fn add_assign(&mut self, more: Self) {
                $(self.$field += more.$field;)+
            }
        }
    )+};
}

mod arrivals;
mod client;
mod cost;
mod drops;
mod guard;
mod latencies;
mod mix;
mod moderation;
mod program;
mod server;

pub use arrivals::Arrivals;
pub use client::{ClientSummary, GetOutcome, PaceRecord, ReplyLedger, SentCounts, ThreadRecord};
pub use cost::{Cost, monotonic_now};
pub use drops::Drops;
pub use guard::{
    AttachedPlace, DecisionStatus, GuardStatus, GuardSummary, GuardVerdict, SampleStatus, ServiceDecisions,
    ServiceStatus, Unguarded,
};
pub use latencies::{Latencies, LatenciesError, nanoseconds};
pub use mix::Mix;
pub use moderation::{LongestNap, Moderation, Naps};
pub use program::{DecisionCount, ProgramRuns, VerdictCounts};
pub use server::{
    EndedBy, Io, LoopRecord, Refused, Replaced, ReplyCounts, RequestCounts, ServerSummary, WorkerPick,
    WorkerRecord,
};
pub use weir_filters::Moment;
