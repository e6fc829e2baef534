//! All that a client did, added up: what its record is made of.

use std::ops::AddAssign;

use nix::errno::Errno;

use super::{
    ClientConfig, ClientSummary, GetOutcome, PaceRecord, Pacing, SentCounts, ThreadRecord,
    record::{LATE_AFTER, Lag, Record},
    replies::ReplyTally,
};
use crate::Cost;

/// What steps, threads or sockets did together.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) record: Record,
    pub(super) prepared: SentCounts,
    /// Packets that were asked for: tried or left unsent.
    pub(super) intended: u64,
    pub(super) unsent: u64,
    pub(super) unreachable: u64,
    pub(super) lag: Option<Lag>,
    pub(super) replies: Option<ReplyTally>,
    pub(super) segmented: bool,
    pub(super) fell_back: bool,
    pub(super) threads: Vec<ThreadRecord>,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.record += other.record;
        self.prepared += other.prepared;
        self.intended += other.intended;
        self.unsent += other.unsent;
        self.unreachable += other.unreachable;
        join(&mut self.lag, other.lag);
        join(&mut self.replies, other.replies);
        self.segmented |= other.segmented;
        self.fell_back |= other.fell_back;
        self.threads.extend(other.threads);
    }
}

/// Adds `more` to a sum that may not have begun.
pub(super) fn join<T: AddAssign>(sum: &mut Option<T>, more: Option<T>) {
    match (sum.as_mut(), more) {
        (Some(sum), Some(more)) => *sum += more,
        (None, more) => *sum = more,
        (Some(_), None) => {}
    }
}

impl Totals {
    pub(super) fn summary(
        self,
        behaviour: &str,
        config: &ClientConfig,
        gets: Vec<GetOutcome>,
        cost: Cost,
    ) -> ClientSummary {
        let burst = config.pacing.map_or(1, |pacing| pacing.burst.get());
        let achieved_rate = self.record.achieved_rate(burst.into());
        let pace = config.pacing.zip(self.lag).map(|(pacing, lag)| pace(pacing, achieved_rate, &lag));
        let record = self.record;
        let named = |(errno, packets)| (format!("{:?}", Errno::from_raw(errno)), packets);
        ClientSummary {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            behaviour: behaviour.to_owned(),
            mix: None,
            server: config.server,
            io: config.io,
            gso: self.segmented && !self.fell_back,
            halted: config.halt.is_asked(),
            intended: self.intended,
            sent: record.sent,
            prepared: self.prepared,
            prepared_replies: record.prepared_replies,
            bytes: record.bytes,
            refused: record.refused.total(),
            refused_kinds: record.refused,
            refused_by: record.refused_by.into_iter().map(named).collect(),
            refused_in_gso: record.refused_in_gso,
            unsent: self.unsent,
            unreachable: self.unreachable,
            offered_rate: config.pacing.map(|pacing| pacing.rate.get()),
            achieved_rate,
            pace,
            first_sent_at: record.first_sent_at,
            load_started_at: record.first_load_at,
            last_sent_at: record.last_load_at,
            gets,
            replies: self.replies.map(ReplyTally::ledger),
            seed: config.seed,
            threads: self.threads,
            cost,
        }
    }
}

fn pace(pacing: Pacing, achieved_rate: Option<f64>, lag: &Lag) -> PaceRecord {
    PaceRecord {
        arrivals: pacing.arrivals,
        burst: pacing.burst.get(),
        achieved_ratio: achieved_rate.map(|rate| rate / pacing.rate.get()),
        late: lag.late,
        late_after_ns: LATE_AFTER.as_nanos() as u64,
        lag: lag.latencies(),
    }
}
