//! From what a run showed to its sample: the ledger, the flaws and the times.

use std::collections::BTreeMap;

use weir_filters::{FilterName, Hook};
use weir_hooks::Drops;
use weir_service::{ClientSummary, Monotonic, ServerSummary};

use super::{
    ceiling::Ceiling,
    one_run::Observed,
    schedule::{Scheduled, shares},
};
use crate::{
    cell::{Cell, Placement, ReceiveWork},
    ledger::{Ledger, ReplyLedger},
    sample::{Flaw, SCHEMA, Sample},
    surroundings::Surroundings,
};

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
        flaws.extend(
            ledger
                .as_ref()
                .and_then(|ledger| unbalanced(scheduled.cell.hook, ledger, observed.server.as_ref())),
        );
        flaws.extend(
            ledger
                .as_ref()
                .zip(observed.audit.as_ref())
                .and_then(|(ledger, audit)| disagreement(cell, ledger, audit)),
        );
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
fn handled_at(observed: &Observed) -> Option<Monotonic> {
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

/// Where the replies went; nothing where the server or a client keeps no counts.
fn replies(cell: &Cell, observed: &Observed) -> Option<ReplyLedger> {
    let server = observed.server.as_ref()?;
    if cell.external_client.is_some() {
        return None;
    }
    let to_steps =
        |client: &ClientSummary| client.gets.iter().filter(|get| get.reply.is_some()).count() as u64;
    let to_load = |client: &ClientSummary| {
        let answers = client.replies.as_ref().map_or(0, |got| got.answered + got.duplicates + got.unexpected);
        answers + client.prepared_replies
    };
    Some(ReplyLedger {
        sent: server.served.replies.sent,
        refused: server.served.replies.failed,
        received: observed.clients.iter().map(|client| to_steps(client) + to_load(client)).sum::<u64>()
            + u64::from(observed.replied_at.is_some()),
        undelivered: observed.reply_audit.as_ref().map(Drops::total),
    })
}

/// Where every packet went; nothing where the server or a client keeps no counts.
fn ledger(cell: &Cell, observed: &Observed, surroundings: &Surroundings) -> Option<Ledger> {
    let server = observed.server.as_ref()?;
    if cell.external_client.is_some() {
        return None;
    }
    let dropped_by_filter = match (observed.sender_verdicts.or(server.verdicts), &observed.audit) {
        (Some(verdicts), _) => verdicts.dropped,
        (None, _) if cell.hook == Hook::User || cell.filter == FilterName::Simple => 0,
        (None, Some(audit)) => dropped_at(cell, audit),
        (None, None) => return None,
    };
    let refused = observed.clients.iter().map(|client| client.refused).sum::<u64>();
    let taken = observed.clients.iter().map(|client| client.sent.total()).sum::<u64>();
    Some(Ledger {
        sent: taken + refused + observed.harness_sent,
        refused,
        dropped_by_filter,
        dropped_for_buffer: server
            .served
            .socket_drops
            .saturating_sub(if cell.hook.is_counted_by_the_socket() { dropped_by_filter } else { 0 }),
        dropped_elsewhere: dropped_elsewhere(cell, observed, surroundings),
        read: server.served.requests.total(),
        unread: server.served.unread + observed.audit.as_ref().and_then(|audit| audit.unread).unwrap_or(0),
    })
}

/// What the audit saw dropped by the filter of `cell`.
fn dropped_at(cell: &Cell, audit: &Drops) -> u64 {
    drop_reasons(cell).iter().map(|reason| audit.reason(reason)).sum()
}

/// The kernel's reasons for what the filter of `cell` drops.
fn drop_reasons(cell: &Cell) -> &'static [&'static str] {
    match cell.placement {
        Placement::Sender => &["TC_EGRESS"],
        _ => cell.hook.drop_reasons(),
    }
}

/// What was dropped neither by the filter nor for a full receive buffer, by reason.
fn dropped_elsewhere(cell: &Cell, observed: &Observed, surroundings: &Surroundings) -> BTreeMap<String, u64> {
    if let Some(audit) = &observed.audit {
        let has_its_term = |reason: &str| reason == "SOCKET_RCVBUFF" || drop_reasons(cell).contains(&reason);
        let by_reason = audit.by_reason.iter().filter(|(reason, _)| !has_its_term(reason));
        return by_reason.map(|(reason, &count)| (reason.clone(), count)).collect();
    }
    let (reason, count) = match observed.site.dropped_by_link {
        Some(count) => ("LINK", count),
        None => ("CPU_BACKLOG", surroundings.backlog_drops),
    };
    if count > 0 { BTreeMap::from([(reason.to_owned(), count)]) } else { BTreeMap::new() }
}

/// Why an audit can't speak against exact counts, where it can't.
fn set_aside(cell: &Cell) -> Option<&'static str> {
    (cell.conditions.receive_work == ReceiveWork::Server).then_some(
        "receive work is steered to another core, and in some soft interrupts that find that core idle \
         the kernel starts no program: some drops are not traced",
    )
}

/// What the audit counted otherwise than the filter and the socket, where it judges.
fn disagreement(cell: &Cell, ledger: &Ledger, audit: &Drops) -> Option<Flaw> {
    if set_aside(cell).is_some() {
        return None;
    }
    [
        ("the filter's drops", ledger.dropped_by_filter, dropped_at(cell, audit)),
        ("drops for a full buffer", ledger.dropped_for_buffer, audit.receive_buffer()),
    ]
    .into_iter()
    .find(|(_, counted, traced)| counted != traced)
    .map(|(what, counted, traced)| Flaw::AuditDisagrees {
        what: format!("{what}: {counted}, and {traced} traced"),
    })
}

/// The flaw of replies that don't balance.
fn lost_replies(replies: &ReplyLedger) -> Option<Flaw> {
    let difference = replies.difference().filter(|&difference| difference != 0)?;
    Some(Flaw::RepliesUnbalanced { difference: difference.clamp(i64::MIN.into(), i64::MAX.into()) as i64 })
}

/// The flaw of a ledger that doesn't balance. That the socket dropped less than its filter is one too: then
/// `dropped_for_buffer` is no count.
fn unbalanced(hook: Hook, ledger: &Ledger, server: Option<&ServerSummary>) -> Option<Flaw> {
    let drops = server.map_or(0, |server| server.served.socket_drops);
    let counted = if hook.is_counted_by_the_socket() { ledger.dropped_by_filter } else { 0 };
    let short = i128::from(counted.saturating_sub(drops));
    let difference = ledger.difference() + short;
    (difference != 0 || short != 0).then(|| Flaw::Unbalanced {
        difference: difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::experiment::{definition::Definition, schedule};

    fn scheduled(external_client: Option<&str>) -> Scheduled {
        let text = "name = 'x'\ntitle = ''\nquestion = ''\nruns = 1\n\
                    [grid]\ninvalid_percent = [50]\npackets = [10]\n\
                    [[placements]]\nplacement = 'kernel'\nfilter = 'valid-command'\ntoolkit = 'aya'\nhook = 'socket'\n";
        let mut scheduled = schedule::of(&Definition::parse(text, "a test").unwrap(), 0).remove(0);
        scheduled.cell.external_client = external_client.map(Into::into);
        scheduled
    }

    /// Five valid and five invalid packets and a GET, sent from 1 to 3 ms.
    fn client() -> ClientSummary {
        from_value(json!({
            "version": "", "behaviour": "frigg", "server": "127.0.0.1:1", "io": "batch", "gso": true,
            "sent": {"put": 5, "get": 1, "delete": 0, "stop": 0, "invalid": 5},
            "bytes": 0, "refused": 0, "unreachable": 0, "offered_rate": null, "achieved_rate": null,
            "first_sent_at": 1_000_000, "last_sent_at": 3_000_000, "gets": [], "seed": 0,
            "cost": weir_service::Cost::default(),
        }))
        .unwrap()
    }

    /// What the server counts; the STOP is read as well.
    struct Counts {
        verdict_drops: Option<u64>,
        socket_drops: u64,
        put: u64,
        invalid: u64,
        unread: u64,
    }

    const SOUND: Counts = Counts { verdict_drops: Some(5), socket_drops: 5, put: 5, invalid: 0, unread: 0 };

    fn server(counts: &Counts) -> ServerSummary {
        from_value(json!({
            "version": "", "server": "simple-server", "filter": "valid-command", "toolkit": "aya", "hook": "socket",
            "verdicts": counts.verdict_drops.map(|dropped| json!({"accepted": 7, "dropped": dropped})),
            "runs": null, "listen": "127.0.0.1:1", "io": "batch", "ended_by": "stop",
            "requests": {
                "put": counts.put, "get": 1, "delete": 0, "stop": 1, "stop_refused": 0, "invalid": counts.invalid,
                "filtered": 0, "refused": {"capacity": 0, "overflow": 0},
            },
            "bytes": 0, "replies": {"sent": 1, "failed": 0, "bytes": 1}, "unread": counts.unread,
            "socket_drops": counts.socket_drops, "receive_buffer": 212_992, "ready_at": 0,
            "first_read_at": 1_100_000, "last_handled_at": 9_000_000, "last_load_at": 2_000_000,
            "ready_rss_kib": 0, "cost": weir_service::Cost::default(),
        }))
        .unwrap()
    }

    fn observed(counts: &Counts) -> Observed {
        Observed {
            clients: vec![client()],
            get_value: Some(counts.put as i64),
            harness_sent: 1,
            server: Some(server(counts)),
            ..Observed::default()
        }
    }

    fn sample_of(observed: Observed, failure: Option<&str>) -> Sample {
        let failure = failure.map(Into::into);
        let circumstances = Circumstances {
            experiment: "x",
            started_at: String::new(),
            steal_s: 0.0,
            surroundings: Surroundings::default(),
            ceiling: None,
            failure,
        };
        sample(&scheduled(None), observed, circumstances)
    }

    fn check_flaws(counts: Counts, expected: &[Flaw]) {
        assert_eq!(sample_of(observed(&counts), None).flaws, expected);
    }

    #[test]
    fn a_ledger_balances_wherever_the_packets_went() {
        check_flaws(SOUND, &[]);
        check_flaws(Counts { socket_drops: 7, put: 3, ..SOUND }, &[]);
        check_flaws(Counts { put: 4, unread: 1, ..SOUND }, &[]);
        check_flaws(Counts { verdict_drops: Some(0), socket_drops: 0, invalid: 5, ..SOUND }, &[]);
    }

    #[test]
    fn packets_that_are_not_accounted_for_are_a_flaw() {
        check_flaws(Counts { put: 4, ..SOUND }, &[Flaw::Unbalanced { difference: 1 }]);
        check_flaws(Counts { put: 6, ..SOUND }, &[Flaw::Unbalanced { difference: -1 }]);
    }

    #[test]
    fn a_socket_that_dropped_less_than_its_filter_is_a_flaw() {
        let counts = Counts { verdict_drops: Some(6), ..SOUND };
        check_flaws(counts, &[Flaw::Unbalanced { difference: 0 }]);
    }

    #[test]
    fn the_drops_of_filter_and_buffer_are_told_apart() {
        let ledger = sample_of(observed(&Counts { socket_drops: 7, put: 3, ..SOUND }), None).ledger.unwrap();
        let expected =
            Ledger { sent: 12, dropped_by_filter: 5, dropped_for_buffer: 2, read: 5, ..Ledger::default() };
        assert_eq!(ledger, expected);
    }

    #[test]
    fn a_filter_that_drops_and_keeps_no_counts_leaves_no_ledger() {
        let sample = sample_of(observed(&Counts { verdict_drops: None, ..SOUND }), None);
        assert_eq!((sample.ledger, sample.flaws), (None, vec![]));
    }

    #[test]
    fn silence_after_valid_packets_is_a_flaw_and_silence_after_none_is_not() {
        let silent = Observed { get_value: None, ..observed(&SOUND) };
        assert_eq!(sample_of(silent.clone(), None).flaws, [Flaw::NoReply]);
        let mut nothing_valid = silent;
        nothing_valid.clients[0].sent.put = 0;
        nothing_valid.clients[0].sent.invalid = 10;
        assert_eq!(sample_of(nothing_valid, None).flaws, []);
    }

    #[test]
    fn a_failure_is_the_only_flaw_of_its_sample() {
        let flaws = sample_of(Observed::default(), Some("it broke")).flaws;
        assert_eq!(flaws, [Flaw::Failed { message: "it broke".into() }]);
    }

    #[test]
    fn the_wall_time_ends_with_the_load_and_not_with_the_asking() {
        assert_eq!(sample_of(observed(&SOUND), None).wall_s, Some(0.002));
        let mut slow_server = observed(&SOUND);
        slow_server.server.as_mut().unwrap().served.last_load_at = Some(Monotonic { ns: 5_000_000 });
        assert_eq!(sample_of(slow_server, None).wall_s, Some(0.004));
    }

    #[test]
    fn of_an_external_client_what_it_was_told_to_send_counts_and_there_is_no_ledger() {
        let observed = Observed { clients: vec![], ..observed(&SOUND) };
        let circumstances = Circumstances {
            experiment: "x",
            started_at: String::new(),
            steal_s: 0.0,
            surroundings: Surroundings::default(),
            ceiling: None,
            failure: None,
        };
        let sample = sample(&scheduled(Some("loud")), observed, circumstances);
        assert_eq!((sample.valid_sent, sample.invalid_sent, sample.ledger), (5, 5, None));
    }
}
