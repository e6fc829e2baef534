//! From what a run showed to its sample: the ledger, the flaws and the times.

use weir_filters::{FilterName, Hook};
use weir_service::{ClientSummary, ServerSummary};

use super::{
    one_run::Observed,
    schedule::{Scheduled, shares},
};
use crate::sample::{Cell, Flaw, Ledger, SCHEMA, Sample};

/// What is known of a run besides what it showed.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// CPU time that the hypervisor took during the run, seconds.
    pub steal_s: f64,
    /// What went wrong.
    pub failure: Option<String>,
}

/// The sample of the run `scheduled`.
pub fn sample(scheduled: &Scheduled, observed: Observed, circumstances: Circumstances<'_>) -> Sample {
    let Circumstances { experiment, started_at, steal_s, failure } = circumstances;
    let cell = &scheduled.cell;
    let valid_sent = valid_sent(cell, &observed.clients);
    let ledger = ledger(cell, &observed);
    let mut flaws: Vec<_> = failure.into_iter().map(|message| Flaw::Failed { message }).collect();
    if flaws.is_empty() {
        flaws.extend(ledger.as_ref().and_then(|ledger| unbalanced(ledger, observed.server.as_ref())));
        if valid_sent > 0 && observed.get_value.is_none() {
            flaws.push(Flaw::NoReply);
        }
    }
    let first_sent_at = observed.clients.iter().filter_map(|client| client.first_sent_at).min();
    let first_sent_at = first_sent_at.or(observed.clients_started_at);
    // A packet that a program drops is handled inside its send; one that the server reads, when the server is done
    // with it. A GET that had to be asked again would add its timeout, which is no work.
    let last_sent_at = observed.clients.iter().filter_map(|client| client.last_sent_at).max();
    let last_handled_at = match &observed.server {
        Some(server) => server.served.last_load_at.max(last_sent_at),
        None => observed.replied_at,
    };
    Sample {
        schema: SCHEMA,
        experiment: experiment.to_owned(),
        index: scheduled.index,
        repetition: scheduled.repetition,
        cell: cell.clone(),
        seed: scheduled.seed,
        started_at,
        valid_sent,
        invalid_sent: invalid_sent(cell, &observed.clients),
        get_value: observed.get_value,
        expected_value: i64::try_from(valid_sent).unwrap_or(i64::MAX),
        wall_s: first_sent_at.zip(last_handled_at).map(|(first, last)| last.since(first).as_secs_f64()),
        ledger,
        socket_drops: observed.server.as_ref().map(|s| s.served.socket_drops).or(observed.external_drops),
        server: observed.server,
        clients: observed.clients,
        server_cost: observed.server_cost,
        client_cost: observed.client_cost,
        first_sent_at,
        steal_s,
        flaws,
    }
}

/// Valid packets sent: what weir's own clients counted, and for other clients what they were told to send.
pub fn valid_sent(cell: &Cell, clients: &[ClientSummary]) -> u64 {
    match cell.external_client {
        None => clients.iter().map(|client| client.sent.put).sum(),
        Some(_) => shares(cell).iter().map(|share| share.packets - share.invalid).sum(),
    }
}

fn invalid_sent(cell: &Cell, clients: &[ClientSummary]) -> u64 {
    match cell.external_client {
        None => clients.iter().map(|client| client.sent.invalid).sum(),
        Some(_) => shares(cell).iter().map(|share| share.invalid).sum(),
    }
}

/// Where every packet went; nothing where the server or a client keeps no counts.
fn ledger(cell: &Cell, observed: &Observed) -> Option<Ledger> {
    let server = observed.server.as_ref()?;
    if cell.external_client.is_some() {
        return None;
    }
    let dropped_by_filter = match server.verdicts {
        Some(verdicts) => verdicts.dropped,
        None if cell.hook == Hook::User || cell.filter == FilterName::Simple => 0,
        None => return None,
    };
    Some(Ledger {
        sent: observed.clients.iter().map(|client| client.sent.total()).sum::<u64>() + observed.harness_sent,
        dropped_by_filter,
        dropped_for_buffer: server.served.socket_drops.saturating_sub(dropped_by_filter),
        read: server.served.requests.total(),
        unread: server.served.unread,
    })
}

/// The flaw of a ledger that doesn't balance. That the socket dropped less than its filter is one too: then
/// `dropped_for_buffer` is no count.
fn unbalanced(ledger: &Ledger, server: Option<&ServerSummary>) -> Option<Flaw> {
    let drops = server.map_or(0, |server| server.served.socket_drops);
    let short = i128::from(ledger.dropped_by_filter.saturating_sub(drops));
    let difference = ledger.difference() + short;
    (difference != 0 || short != 0).then(|| Flaw::Unbalanced {
        difference: difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
    })
}
