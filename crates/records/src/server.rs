//! The record that a server leaves of a run: what `--summary FILE` writes, as JSON.

use std::{iter::Sum, net::SocketAddr};

use serde::{Deserialize, Serialize};
use weir_filters::names;

use crate::{Cost, DecisionCount, Moderation, Moment, Naps, ProgramRuns, VerdictCounts};

/// How datagrams cross the system call boundary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Io {
    /// Many a call: `recvmmsg` and `sendmmsg`, and UDP GSO in the client.
    #[default]
    Batch,
    /// One a call: the yardstick.
    Simple,
}

names! {
    /// The name on the command line and in samples.
    "I/O mode", Io::as_str { Batch = "batch", Simple = "simple" }
}

/// Datagrams that the server read, by what they were. Every datagram read is in exactly one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// PUTs that were served.
    pub put: u64,
    /// GETs, answered or not.
    pub get: u64,
    /// DELETEs, of present and absent keys.
    pub delete: u64,
    /// STOPs that were obeyed.
    pub stop: u64,
    /// STOPs that `--allow-stop` forbids.
    pub stop_refused: u64,
    /// Datagrams that are no request.
    pub invalid: u64,
    /// Datagrams that the filter dropped in the server's own loop (hook `user`).
    pub filtered: u64,
    /// PUTs that were refused.
    pub refused: Refused,
}

/// PUTs that the bag refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The key is new and the bag is full.
    pub capacity: u64,
    /// The sum does not fit an `i64`.
    pub overflow: u64,
}

add_up! {
    RequestCounts { put, get, delete, stop, stop_refused, invalid, filtered, refused }
    Refused { capacity, overflow }
    ReplyCounts { sent, failed, bytes }
    WorkerRecord { requests, bytes, replies, naps, unread, socket_drops }
}

impl RequestCounts {
    /// All datagrams read.
    pub const fn total(&self) -> u64 {
        self.put
            + self.get
            + self.delete
            + self.stop
            + self.stop_refused
            + self.invalid
            + self.filtered
            + self.refused.capacity
            + self.refused.overflow
    }
}

/// Replies of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyCounts {
    /// Replies that the kernel took.
    pub sent: u64,
    /// Replies that the kernel refused.
    pub failed: u64,
    /// Payload bytes of the replies sent.
    pub bytes: u64,
}

/// What ended a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// A STOP request.
    Stop,
    /// SIGINT or SIGTERM.
    Signal,
}

/// What the server's loop did, from ready to ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopRecord {
    /// Where it listened.
    pub listen: SocketAddr,
    /// How it read and wrote.
    pub io: Io,
    /// How its reading was moderated; where a record says nothing, not at all.
    #[serde(default)]
    pub moderation: Moderation,
    /// What ended it.
    pub ended_by: EndedBy,
    /// Datagrams read, by kind.
    pub requests: RequestCounts,
    /// Payload bytes of the datagrams read.
    pub bytes: u64,
    /// Replies.
    pub replies: ReplyCounts,
    /// Naps before reads.
    #[serde(default)]
    pub naps: Naps,
    /// Datagrams that still waited in the receive buffer when the loop ended, and were drained.
    pub unread: u64,
    /// Packets that the socket dropped: by a socket filter and for a full buffer alike (`SO_MEMINFO`).
    pub socket_drops: u64,
    /// Size of the receive buffer, bytes, as the kernel accounts it; each worker has one.
    pub receive_buffer: u64,
    /// When the server was ready.
    pub ready_at: Moment,
    /// When the first datagram was read.
    pub first_read_at: Option<Moment>,
    /// When the last request other than STOP was handled.
    pub last_handled_at: Option<Moment>,
    /// When the last datagram other than a GET or STOP was handled: unlike `last_handled_at`, what a client's
    /// waiting for a reply does not move.
    #[serde(default)]
    pub last_load_at: Option<Moment>,
    /// Resident set when the server was ready, KiB; not known where /proc isn't mounted.
    #[serde(default)]
    pub ready_rss_kib: Option<u64>,
    /// What the process spent from ready to ended.
    pub cost: Cost,
    /// What of it each worker did, in their order, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerRecord>,
}

/// What one of several workers did: fields as in [`LoopRecord`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Datagrams read, by kind.
    pub requests: RequestCounts,
    /// Payload bytes of the datagrams read.
    pub bytes: u64,
    /// Replies.
    pub replies: ReplyCounts,
    /// Naps before reads.
    #[serde(default)]
    pub naps: Naps,
    /// Datagrams that still waited when the loop ended.
    pub unread: u64,
    /// Packets that the worker's socket dropped.
    pub socket_drops: u64,
}

impl Sum for WorkerRecord {
    fn sum<I: Iterator<Item = Self>>(workers: I) -> Self {
        workers.fold(Self::default(), |mut total, worker| {
            total += worker;
            total
        })
    }
}

/// What picks the worker that gets a request, where several share a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerPick {
    /// A program, by the request's key.
    Key,
    /// The kernel's hash of both addresses and ports.
    Hash,
}

/// A filter that was replaced by another while the server ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The filter, with the source checks before it.
    pub filter: String,
    /// Toolkit that it was written with.
    pub toolkit: String,
    /// What it decided up to its last packet; nothing where it kept no counts.
    pub verdicts: Option<VerdictCounts>,
}

/// A server's record of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSummary {
    /// The weir version that wrote this.
    pub version: String,
    /// Server of the catalogue, such as `simple-server`.
    pub server: String,
    /// Filter of the catalogue, or a guard's service.
    pub filter: String,
    /// Toolkit that the filter is written with; `guard` of a guard.
    pub toolkit: String,
    /// Hook that the filter runs at.
    pub hook: String,
    /// What picks among several workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_pick: Option<WorkerPick>,
    /// What the program was attached to, where that isn't the server's socket: interfaces with XDP's mode, or a control
    /// group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached_to: Vec<String>,
    /// The hook where the filter decides, where that isn't `hook`: a program there wouldn't know packets that are several
    /// datagrams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides_at: Option<String>,
    /// The program's own verdict counts, where it and those before it keep them.
    pub verdicts: Option<VerdictCounts>,
    /// What of `verdicts` a guard decided how; only decisions that there were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionCount>,
    /// The programs that ran before the last one; `verdicts` has theirs too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
    /// The program's runs, where BPF statistics were on.
    pub runs: Option<ProgramRuns>,
    /// The loop.
    #[serde(flatten)]
    pub served: LoopRecord,
}
