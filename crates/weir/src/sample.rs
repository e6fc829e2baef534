//! The sample: the raw record of one run, saved before anything is computed from it.

use serde::{Deserialize, Serialize};
use weir_filters::{FilterName, Hook, Toolkit};
use weir_service::{ClientSummary, Cost, Io, Monotonic, ServerSummary};

/// Version of the sample format; a results folder of another version is refused.
pub const SCHEMA: u32 = 1;

/// Where the decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// No program: the server decides.
    Plain,
    /// The accept-all program is attached and the server decides, as in the report.
    User,
    /// The program decides.
    Kernel,
}

/// Everything that makes one cell of an experiment's grid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Where the decision is made.
    pub placement: Placement,
    /// The filter that the server was started with.
    pub filter: FilterName,
    /// Its toolkit.
    pub toolkit: Toolkit,
    /// Its hook.
    pub hook: Hook,
    /// How the server reads and writes.
    pub io: Io,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Packets asked for: valid and invalid PUT-or-BAD packets of all clients together; GET and STOP come on top.
    pub packets: u64,
    /// Payload of an invalid packet, bytes; the behaviour's own where nothing is said.
    pub invalid_size: Option<u32>,
    /// Client behaviour, such as `frigg`.
    pub behaviour: String,
    /// Clients that send at the same time; each sends its share of `packets`.
    pub clients: u32,
    /// Name of an external server, or nothing for weir's own.
    pub external_server: Option<String>,
    /// Name of an external client, or nothing for weir's own.
    pub external_client: Option<String>,
}

/// Where every packet of a run went. Each term has its own source; none is what is left over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Datagrams that the clients' kernel took: the clients' counts, and the harness's own GET and STOP.
    pub sent: u64,
    /// Dropped by the program: its own counters.
    pub dropped_by_filter: u64,
    /// Dropped for a full receive buffer: the socket's drop count less the filter's.
    pub dropped_for_buffer: u64,
    /// Read by the server: its counts.
    pub read: u64,
    /// Drained unread when the server ended: its count.
    pub unread: u64,
}

impl Ledger {
    /// Sent less everything accounted for; zero when the ledger balances.
    pub fn difference(&self) -> i128 {
        i128::from(self.sent)
            - i128::from(self.dropped_by_filter)
            - i128::from(self.dropped_for_buffer)
            - i128::from(self.read)
            - i128::from(self.unread)
    }
}

/// Why a sample is left out of estimates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Flaw {
    /// The counts don't add up.
    Unbalanced {
        /// Sent less everything accounted for.
        difference: i64,
    },
    /// The final GET was never answered although valid packets had been sent.
    NoReply,
    /// The server or a client failed.
    Failed {
        /// What it said.
        message: String,
    },
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
    /// Packets that the server's socket dropped, by a filter and for a full buffer alike; nothing where it isn't known.
    #[serde(default)]
    pub socket_drops: Option<u64>,
    /// Where every packet went; nothing where an external server keeps no counts.
    pub ledger: Option<Ledger>,
    /// Our server's own record.
    pub server: Option<ServerSummary>,
    /// Our clients' own records.
    pub clients: Vec<ClientSummary>,
    /// What the server process spent in its whole life (wait4(2)).
    pub server_cost: Cost,
    /// What the client processes spent in their whole lives, together.
    pub client_cost: Cost,
    /// When the run's first packet was sent.
    pub first_sent_at: Option<Monotonic>,
    /// CPU time that the hypervisor took from this machine during the run, seconds (`steal` of /proc/stat).
    pub steal_s: f64,
    /// Why it is left out of estimates; empty for a sound sample.
    pub flaws: Vec<Flaw>,
}

impl Sample {
    /// Whether estimates may use it.
    pub fn is_sound(&self) -> bool {
        self.flaws.is_empty()
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
