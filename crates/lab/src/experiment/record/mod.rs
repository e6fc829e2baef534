//! From what a run showed to its sample: the ledger, the flaws and the times.

mod accounts;
mod flaws;
#[cfg(test)]
mod tests;

use weir_results::{
    cell::Cell,
    sample::{Flaw, SCHEMA, Sample},
    surroundings::Surroundings,
};
use weir_service::{ClientSummary, Moment};

use super::{
    ceiling::Ceiling,
    observed::Observed,
    schedule::{Scheduled, shares},
};
use accounts::{ledger, replies};
use flaws::{disagreement, lost_replies, set_aside, unbalanced};

/// What is known of a run besides what it showed.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// CPU time that the hypervisor took during the run, seconds.
    pub steal_s: f64,
    /// What else changed of the machine during the run.
    pub surroundings: Surroundings,
    /// How fast the clients could send, where it was measured.
    pub ceiling: Option<Ceiling>,
    /// What went wrong.
    pub failure: Option<String>,
}

/// The sample of the run `scheduled`.
pub fn sample(scheduled: &Scheduled, observed: Observed, circumstances: Circumstances<'_>) -> Sample {
    let Circumstances { experiment, started_at, steal_s, surroundings, ceiling, failure } = circumstances;
    let cell = &scheduled.cell;
    let valid_sent = valid_sent(cell, &observed.clients);
    let limited_by_generator = limited_by_generator(cell, &observed.clients, ceiling);
    let ledger = ledger(cell, &observed, &surroundings);
    let replies = replies(cell, &observed);
    let mut flaws: Vec<_> = failure.into_iter().map(|message| Flaw::Failed { message }).collect();
    if flaws.is_empty() {
        if let Some(ledger) = &ledger {
            flaws.extend(unbalanced(cell.hook, ledger, observed.server.as_ref()));
            flaws.extend(observed.audit.as_ref().and_then(|audit| disagreement(cell, ledger, audit)));
        }
        flaws.extend(replies.as_ref().and_then(lost_replies));
        if valid_sent > 0 && observed.get_value.is_none() {
            flaws.push(Flaw::NoReply);
        }
    }
    let audit_set_aside = observed.audit.as_ref().and_then(|_| set_aside(cell)).map(str::to_owned);
    let first_sent_at = observed.clients.iter().filter_map(|client| client.first_sent_at).min();
    let first_sent_at = first_sent_at.or(observed.clients_started_at);
    let handled_at = handled_at(&observed);
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
        wall_s: first_sent_at.zip(handled_at).map(|(first, last)| last.since(first).as_secs_f64()),
        ledger,
        audit: observed.audit,
        audit_set_aside,
        replies,
        port: observed.port,
        socket_drops: observed.server.as_ref().map(|s| s.served.socket_drops).or(observed.external_drops),
        server: observed.server,
        clients: observed.clients,
        server_cost: observed.server_cost,
        client_cost: observed.client_cost,
        first_sent_at,
        steal_s,
        net: observed.site.net,
        neighbours: observed.site.neighbours,
        test_run: observed.test_run,
        surroundings,
        limited_by_generator,
        flaws,
    }
}

/// Share of the rate asked for below which the clients fell behind.
const KEPT_UP_FROM: f64 = 0.95;

fn limited_by_generator(cell: &Cell, clients: &[ClientSummary], ceiling: Option<Ceiling>) -> bool {
    let Some(rate) = cell.conditions.rate else { return false };
    let fell_behind = |client: &ClientSummary| {
        let achieved = client.pace.as_ref().and_then(|pace| pace.achieved_ratio);
        client.unsent > 0 || achieved.is_some_and(|ratio| ratio < KEPT_UP_FROM)
    };
    ceiling.is_some_and(|ceiling| ceiling.limits(rate)) || clients.iter().any(fell_behind)
}

/// When the last packet of the load was handled: read by the server, or dropped by the kernel while its client sent it.
/// Requests for the count are no load: one that is lost is repeated after a timeout, which would then be measured.
/// Of a server that doesn't tell, it is known when it answers the final GET, which comes after all others.
fn handled_at(observed: &Observed) -> Option<Moment> {
    let sent = observed.clients.iter().filter_map(|client| client.last_sent_at);
    match &observed.server {
        Some(server) => sent.chain(server.served.last_load_at).max(),
        None => observed.replied_at,
    }
}

/// Valid packets sent: what weir's own clients counted, and for other clients what they were told to send.
pub fn valid_sent(cell: &Cell, clients: &[ClientSummary]) -> u64 {
    match cell.external_client {
        None => clients.iter().map(|client| client.sent.put - client.prepared.put).sum(),
        Some(_) => shares(cell).iter().map(|share| share.packets - share.invalid).sum(),
    }
}

fn invalid_sent(cell: &Cell, clients: &[ClientSummary]) -> u64 {
    match cell.external_client {
        None => clients.iter().map(|client| client.sent.invalid).sum(),
        Some(_) => shares(cell).iter().map(|share| share.invalid).sum(),
    }
}
