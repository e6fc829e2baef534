//! What a run showed, before it is a sample.

use weir_hooks::{Drops, VerdictCounts};
use weir_results::sample::TestRun;
use weir_service::{ClientSummary, Cost, Moment, ServerSummary};

use super::site::SiteRecord;

/// What a run showed; after a failure, as much as there was until then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// When the first client was started.
    pub clients_started_at: Option<Moment>,
    /// The records of weir's own clients.
    pub clients: Vec<ClientSummary>,
    /// What all clients spent.
    pub client_cost: Cost,
    /// The final value: the client's own GET or the harness's.
    pub get_value: Option<i64>,
    /// When the harness's own final GET was answered.
    pub replied_at: Option<Moment>,
    /// The port that the server listened on, once it was ready.
    pub port: Option<u16>,
    /// GETs and STOPs that the harness sent.
    pub harness_sent: u64,
    /// Where it took place.
    pub site: SiteRecord,
    /// The kernel's drops by reason, where the run was audited.
    pub audit: Option<Drops>,
    /// The same of the replies.
    pub reply_audit: Option<Drops>,
    /// The socket's drop count, for a server that doesn't tell it.
    pub external_drops: Option<u64>,
    /// What test runs of the program took.
    pub test_run: Option<TestRun>,
    /// The record of weir's own server.
    pub server: Option<ServerSummary>,
    /// What the server spent.
    pub server_cost: Cost,
    /// What the sender's own kernel decided, where it did.
    pub sender_verdicts: Option<VerdictCounts>,
}
