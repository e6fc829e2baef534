//! Samples of runs whose counts are made up.

use serde_json::{from_value, json};
use weir_results::ledger::Ledger;
use weir_service::ServerSummary;

use crate::experiment::{definition::Definition, record::*, schedule};

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

fn circumstances(failure: Option<&str>) -> Circumstances<'static> {
    Circumstances {
        experiment: "x",
        started_at: String::new(),
        steal_s: 0.0,
        surroundings: Surroundings::default(),
        ceiling: None,
        failure: failure.map(Into::into),
    }
}

fn sample_of(observed: Observed, failure: Option<&str>) -> Sample {
    sample(&scheduled(None), observed, circumstances(failure))
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
    slow_server.server.as_mut().unwrap().served.last_load_at = Some(Moment { ns: 5_000_000 });
    assert_eq!(sample_of(slow_server, None).wall_s, Some(0.004));
}

#[test]
fn of_an_external_client_what_it_was_told_to_send_counts_and_there_is_no_ledger() {
    let observed = Observed { clients: vec![], ..observed(&SOUND) };
    let sample = sample(&scheduled(Some("loud")), observed, circumstances(None));
    assert_eq!((sample.valid_sent, sample.invalid_sent, sample.ledger), (5, 5, None));
}
