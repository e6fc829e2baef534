//! Every behaviour against the real server loop, each way of sending with each way of reading.

use weir_service::{
    ClientSummary, Io, LoopRecord, RequestCounts, SentCounts,
    client::{self, Behaviour, ClientConfig, Percent, Step, Workload},
};

use crate::harness::{BOTH, Running, config};

/// Most packets of one burst in these tests: two bursts fit the smallest receive buffer, so nothing is lost however
/// slow the server's thread gets to run. The table's own counts are tested beside the table.
const MOST: u64 = 40;

/// What a client and its server say of one run.
struct Run {
    client: ClientSummary,
    server: LoopRecord,
}

fn run(behaviour: &Behaviour, workload: &Workload, sending: Io, reading: Io) -> Run {
    let steps: Vec<_> = behaviour
        .steps(workload)
        .into_iter()
        .map(|step| match step {
            Step::Burst { payload, count } => Step::Burst { payload, count: count.min(MOST) },
            other => other,
        })
        .collect();
    let server = Running::start(config(reading));
    let client_config = ClientConfig { io: sending, ..ClientConfig::new(server.addr) };
    let client = client::run(behaviour.name, &steps, &client_config, &mut |_| {}).unwrap();
    let server = if steps.contains(&Step::Stop) { server.join() } else { server.end() };
    Run { client, server }
}

/// Runs a behaviour in all four combinations and compares what the server counted and what the GETs returned. The
/// STOP, which every run ends with, comes on top.
fn check(name: &str, workload: &Workload, expected: RequestCounts, replies: &[Option<i64>]) {
    let behaviour: &Behaviour = name.parse().unwrap();
    for (sending, reading) in BOTH.into_iter().flat_map(|sending| BOTH.map(|reading| (sending, reading))) {
        let case = format!("{name} sent {sending}, read {reading}");
        let Run { client, server } = run(behaviour, workload, sending, reading);
        assert_eq!(server.requests, RequestCounts { stop: 1, ..expected }, "{case}");
        assert_eq!((server.unread, server.socket_drops), (0, 0), "{case}");
        let replied: Vec<_> = client.gets.iter().map(|get| get.reply).collect();
        assert_eq!(replied, replies, "{case}");
        assert_eq!((client.missing_replies(), client.refused, client.unreachable), (0, 0, 0), "{case}");
        let RequestCounts { put, get, delete, invalid, .. } = expected;
        assert_eq!(client.sent, SentCounts { put, get, delete, invalid, stop: client.sent.stop }, "{case}");
        assert_eq!(client.bytes + 4 * (1 - client.sent.stop), server.bytes, "{case}");
    }
}

fn workload(packets: u64, percent: u8) -> Workload {
    Workload { packets, invalid_share: Percent::new(percent).unwrap(), ..Workload::default() }
}

fn counts(put: u64, get: u64, delete: u64, invalid: u64) -> RequestCounts {
    RequestCounts { put, get, delete, invalid, ..RequestCounts::default() }
}

#[test]
fn thor_puts_twice_and_stops() {
    check("thor", &workload(0, 0), counts(8, 0, 0, 0), &[]);
}

#[test]
fn odin_reads_7_and_14() {
    check("odin", &workload(0, 0), counts(8, 2, 0, 0), &[Some(7), Some(14)]);
}

#[test]
fn loki_reads_on_after_invalid_packets() {
    check("loki", &workload(0, 0), counts(8, 2, 0, MOST), &[Some(7), Some(14)]);
}

#[test]
fn njord_starts_anew_after_its_deletes() {
    check("njord", &workload(0, 0), counts(8, 2, 6, 1), &[Some(7), Some(7)]);
}

#[test]
fn sylvie_puts_many_and_stops() {
    check("sylvie", &workload(0, 0), counts(MOST, 0, 0, 0), &[]);
}

#[test]
fn sif_finds_the_keys_that_it_put_and_no_others() {
    check("sif", &workload(0, 0), counts(11, 5, 1, 0), &[None, Some(10), Some(10), Some(10), None]);
}

#[test]
fn frey_sends_its_valid_packets_and_reads_their_number() {
    check("frey", &workload(50, 30), counts(35, 1, 0, 15), &[Some(35)]);
    check("frey2", &workload(1, 0), counts(1, 1, 0, 0), &[Some(1)]);
}

#[test]
fn frigg_below_100_packets_sends_them_all() {
    check("frigg", &workload(50, 30), counts(35, 1, 0, 15), &[Some(35)]);
}

#[test]
fn silence_is_expected_where_no_packet_is_valid() {
    for name in ["frey", "frigg"] {
        check(name, &workload(20, 100), counts(0, 1, 0, 20), &[None]);
        check(name, &workload(0, 0), counts(0, 1, 0, 0), &[None]);
    }
}

#[test]
fn stop_only_stops() {
    check("stop", &workload(0, 0), counts(0, 0, 0, 0), &[]);
}

#[test]
fn getstop_reads_what_an_earlier_client_put() {
    for io in BOTH {
        let server = Running::start(config(io));
        crate::harness::Peer::of(server.addr).put(10, 42);
        let behaviour: &Behaviour = "getstop".parse().unwrap();
        let steps = behaviour.steps(&workload(0, 0));
        let client = client::run("getstop", &steps, &ClientConfig::new(server.addr), &mut |_| {}).unwrap();
        assert_eq!(client.gets[0].reply, Some(42));
        assert_eq!(server.join().requests, RequestCounts { stop: 1, ..counts(1, 1, 0, 0) });
    }
}
