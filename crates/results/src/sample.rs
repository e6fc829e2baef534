//! The sample: the raw record of one run, saved before anything is computed from it.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use weir_records::{ClientSummary, Cost, Drops, Moment, ServerSummary};

use crate::{
    cell::Cell,
    ledger::{Ledger, RunReplies},
    neighbour::NeighbourRecord,
    net::NetRecord,
    surroundings::Surroundings,
};

/// Version of the sample format; a results folder of another version is refused.
pub const SCHEMA: u32 = 1;

/// Why a sample is left out of estimates.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Flaw {
    /// The counts don't add up.
    #[error("the counts don't add up: {difference} packets sent are not accounted for")]
    Unbalanced {
        /// Sent less everything accounted for.
        difference: i64,
    },
    /// The replies don't add up.
    #[error("the replies don't add up: {difference} of those sent are not accounted for")]
    RepliesUnbalanced {
        /// Replies that the server sent less those that the clients got.
        difference: i64,
    },
    /// The audit counted other drops than the ledger.
    #[error("the audit disagrees with the ledger: {what}")]
    AuditDisagrees {
        /// What was counted twice, and both counts.
        what: String,
    },
    /// The final GET was never answered although valid packets had been sent.
    #[error("the final GET was never answered")]
    NoReply,
    /// The server or a client failed.
    #[error("failed: {message}")]
    Failed {
        /// What it said.
        message: String,
    },
}

/// Test runs of a program in the kernel (`BPF_PROG_TEST_RUN`) on a PUT, as many of the accept-all program by the same
/// toolkit in turn with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRun {
    /// Runs of a program in a batch.
    pub runs_a_batch: u32,
    /// Mean time of a run in each batch of the accept-all program, ns: the kernel tells whole ones.
    pub accept_all_ns: Vec<u64>,
    /// The same of the program.
    pub program_ns: Vec<u64>,
}

impl TestRun {
    /// Time that the program takes longer than the accept-all program, ns a run; nothing without a batch.
    pub fn over_accept_all_ns(&self) -> Option<f64> {
        let mean = |times: &[u64]| {
            (!times.is_empty()).then(|| times.iter().sum::<u64>() as f64 / times.len() as f64)
        };
        Some(mean(&self.program_ns)? - mean(&self.accept_all_ns)?)
    }
}

/// The raw record of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// [`SCHEMA`] of the weir that wrote it.
    pub schema: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// Position in the schedule, from 0; unique in a results folder.
    pub index: u64,
    /// Which repetition of its cell, from 0: runs of different placements with the same repetition are a pair.
    pub repetition: u32,
    /// The cell.
    pub cell: Cell,
    /// Seed of the run, given to its clients.
    pub seed: u64,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// Valid packets sent (PUTs).
    pub valid_sent: u64,
    /// Invalid packets sent.
    pub invalid_sent: u64,
    /// What the final GET returned.
    pub get_value: Option<i64>,
    /// What the bag would hold had every valid packet arrived.
    pub expected_value: i64,
    /// From the first packet sent to the last packet handled, seconds.
    pub wall_s: Option<f64>,
    /// The UDP port that the server listened on; nothing where it was never ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Packets that the server's socket dropped, by a filter and for a full buffer alike; nothing where it isn't known.
    #[serde(default)]
    pub socket_drops: Option<u64>,
    /// Where every packet went; nothing where an external server keeps no counts.
    pub ledger: Option<Ledger>,
    /// The kernel's drops by reason, in a run made to account for packets: it times nothing, since tracing costs time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Drops>,
    /// Why the audit doesn't judge the ledger of this run: it is known to miss drops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_set_aside: Option<String>,
    /// Where the replies went; nothing where the server or a client isn't weir's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies: Option<RunReplies>,
    /// Our server's own record.
    pub server: Option<ServerSummary>,
    /// Our clients' own records.
    pub clients: Vec<ClientSummary>,
    /// What the server process spent in its whole life (wait4(2)).
    pub server_cost: Cost,
    /// What the client processes spent in their whole lives, together.
    pub client_cost: Cost,
    /// When the run's first packet was sent.
    pub first_sent_at: Option<Moment>,
    /// CPU time that the hypervisor took from this machine during the run, seconds (`steal` of /proc/stat).
    pub steal_s: f64,
    /// How client and server were joined, where that was not the loopback device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<NetRecord>,
    /// What the busy neighbours of the run did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<NeighbourRecord>,
    /// What else of the machine changed during the run.
    #[serde(default)]
    pub surroundings: Surroundings,
    /// Whether the clients could hardly send what was asked of them, or fell behind: what is lost then may be their
    /// doing.
    #[serde(default)]
    pub limited_by_generator: bool,
    /// What test runs of the cell's program took beside the run, where the definition asks for statistics of programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_run: Option<TestRun>,
    /// Why it is left out of estimates; empty for a sound sample.
    pub flaws: Vec<Flaw>,
}

impl Sample {
    /// Whether estimates may use it.
    pub fn is_sound(&self) -> bool {
        self.flaws.is_empty()
    }

    /// Whether it counts for times and costs: sound, and not slowed by tracing.
    pub fn is_timed(&self) -> bool {
        self.is_sound() && self.audit.is_none()
    }

    /// What failed, if the run came to no good end.
    pub fn failure(&self) -> Option<&str> {
        self.flaws.iter().find_map(|flaw| match flaw {
            Flaw::Failed { message } => Some(message.as_str()),
            _ => None,
        })
    }

    /// Share of valid requests that were lost, percent; nothing where none was sent or none was answered.
    pub fn loss_percent(&self) -> Option<f64> {
        let value = self.get_value?;
        (self.expected_value > 0)
            .then(|| (self.expected_value - value) as f64 / self.expected_value as f64 * 100.0)
    }

    /// CPU time of the server per packet sent, microseconds: from ready to ended where the server says so, else
    /// of its whole life.
    pub fn server_cpu_us_per_packet(&self) -> f64 {
        let cpu = self.server.as_ref().map_or(self.server_cost, |server| server.served.cost).cpu();
        cpu.as_secs_f64() * 1e6 / (self.valid_sent + self.invalid_sent).max(1) as f64
    }
}
