//! Runs that go well, and runs that go wrong without ending the experiment.

use std::{
    fs,
    net::UdpSocket,
    sync::atomic::{AtomicU16, Ordering},
};

use weir_results::sample::{Flaw, Sample};

use crate::{
    Test,
    bench::{Bench, OWN},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_own_server_and_an_own_client_leave_balanced_samples", own),
    ("ten_clients_send_exactly_the_packets_of_the_cell", ten_clients),
    ("a_behaviour_that_stops_the_server_needs_no_stop_of_the_harness", frey),
    ("without_valid_packets_silence_is_expected", nothing_valid),
    ("runs_are_added_until_intervals_are_narrow_or_the_most_are_made", precision),
    ("external_server_and_client_take_their_place_in_a_cell", external),
    ("a_report_shows_the_four_pairings_of_servers_and_clients", pairings),
    ("an_own_client_can_send_to_an_external_server", external_server_only),
    ("an_own_server_can_serve_an_external_client", external_client_only),
    ("a_client_that_always_sends_to_the_same_port_reaches_the_server_that_is_given_it", fixed_port),
    ("a_server_that_never_answers_gives_a_sample_without_reply", mute),
    ("an_experiment_without_a_valid_run_ends_with_1_and_says_why_before_the_tables", nothing_valid_at_all),
    ("a_later_run_that_fails_is_marked_and_the_experiment_goes_on", later_failure),
    ("programs_get_an_object_a_line", events),
    ("the_manifest_tells_what_surrounded_the_runs", manifest),
    ("without_out_results_go_below_results_and_latest_points_there", latest),
];

fn values(samples: &[Sample]) -> Vec<(u64, u64, Option<i64>)> {
    samples.iter().map(|sample| (sample.valid_sent, sample.invalid_sent, sample.get_value)).collect()
}

fn begin_well(bench: &Bench) -> Vec<Sample> {
    let ended = bench.begin();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    assert!(samples.iter().all(Sample::is_sound), "{samples:?}");
    samples
}

fn own() {
    let bench = Bench::new("runs = 2", "invalid_percent = [0, 25]\npackets = [20]", OWN);
    let samples = begin_well(&bench);
    assert_eq!(samples.iter().map(|sample| sample.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for sample in samples {
        let invalid = u64::from(sample.cell.invalid_percent) * 20 / 100;
        assert_eq!(
            values(std::slice::from_ref(&sample)),
            [(20 - invalid, invalid, Some(20 - invalid as i64))]
        );
        let ledger = sample.ledger.clone().unwrap();
        assert_eq!((ledger.sent, ledger.read, ledger.difference()), (22, 22, 0));
        assert!(sample.wall_s.unwrap() > 0.0);
        assert!(sample.server_cost.peak_rss_kib > 0 && sample.client_cost.peak_rss_kib > 0);
    }
}

fn precision() {
    let head = |within: &str| format!("runs = 6\nprecision = {{ within = '{within}', max_runs = 8 }}");
    let narrow = Bench::new(&head("0.01%"), "invalid_percent = [0]\npackets = [20]", OWN);
    let ended = narrow.begin();
    assert_eq!((ended.status, narrow.samples().len()), (Some(0), 8), "{}", ended.stderr);
    assert!(ended.stderr.contains("0.01% after 8 runs of 'plain"), "{}", ended.stderr);

    let resumed = narrow.resume();
    assert_eq!((resumed.status, narrow.samples().len()), (Some(0), 8), "{}", resumed.stderr);
}

fn events() {
    let bench = Bench::new("runs = 2", "invalid_percent = [0]\npackets = [20]", OWN);
    let ended = bench.run(&["./mine.toml", "--out", "out", "--json"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let events: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["begun", "ran", "ran", "ended"]);
    let sample: Sample = serde_json::from_value(events[1]["sample"].clone()).unwrap();
    assert_eq!(sample, bench.samples()[0]);
}

fn ten_clients() {
    let bench = Bench::new("runs = 1\nclients = 10", "invalid_percent = [50]\npackets = [103, 4]", OWN);
    for sample in begin_well(&bench) {
        assert_eq!(sample.clients.len() as u64, sample.cell.packets.min(10));
        assert_eq!(sample.valid_sent + sample.invalid_sent, sample.cell.packets);
        assert_eq!(sample.get_value, Some(sample.expected_value));
        // Each client's GET, and the harness's GET and STOP.
        assert_eq!(
            sample.ledger.clone().unwrap().sent,
            sample.cell.packets + sample.clients.len() as u64 + 2
        );
    }
}

fn frey() {
    let bench = Bench::new("runs = 1\nbehaviour = 'frey'", "invalid_percent = [50]\npackets = [20]", OWN);
    let samples = begin_well(&bench);
    assert_eq!(values(&samples), [(10, 10, Some(10))]);
    assert_eq!(samples[0].ledger.clone().unwrap().sent, 22);
}

fn nothing_valid() {
    let head = "runs = 1\nget_timeout_ms = 10";
    let bench = Bench::new(head, "invalid_percent = [100]\npackets = [20]", OWN);
    assert_eq!(values(&begin_well(&bench)), [(0, 20, None)]);
}

fn external() {
    let bench = Bench::of_stand_ins("runs = 3", "good", "good");
    let samples = begin_well(&bench);
    assert_eq!(values(&samples), [(10, 10, Some(10)); 3]);
    for sample in samples {
        assert_eq!((sample.ledger.clone(), sample.socket_drops), (None, Some(0)));
        assert!(sample.wall_s.unwrap() > 0.0);
        assert!(sample.server_cost.peak_rss_kib > 0 && sample.client_cost.peak_rss_kib > 0);
    }
    assert_eq!(bench.pids("servers").len(), 4, "a warm-up and three runs");
    bench.assert_nobody_is_left();
}

fn pairings() {
    let bench = Bench::of_four_pairings("runs = 2");
    let samples = begin_well(&bench);
    assert_eq!(values(&samples), [(10, 10, Some(10)); 8]);
    let csv = fs::read_to_string(bench.out().join("tables/pairings.csv")).unwrap();
    let pairs: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').take(2).collect()).collect();
    let four = [["weir's", "weir's"], ["weir's", "theirs"], ["theirs", "weir's"], ["theirs", "theirs"]];
    assert_eq!(pairs[0], ["server", "client"]);
    assert_eq!(pairs[1..], four);
    assert!(!csv.contains("not run") && !csv.contains("no sound run"), "{csv}");
    let page = fs::read_to_string(bench.out().join("report.html")).unwrap();
    assert!(page.contains("Who served whom"));
    bench.assert_nobody_is_left();
}

fn without(bench: &Bench, line: &str) {
    with(bench, line, "");
}

fn with(bench: &Bench, old: &str, new: &str) {
    let path = bench.path("mine.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "'{old}' in {text}");
    fs::write(&path, text.replace(old, new)).unwrap();
}

/// A port that nobody has, below those that the kernel hands out (net.ipv4.ip_local_port_range).
fn fixed() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let is_free = |port: &u16| UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..2000).map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed) % 2000);
    ports.find(is_free).expect("one of 2000 ports is free")
}

fn fixed_port() {
    let port = fixed();
    let bench = Bench::of_four_pairings(&format!("runs = 2\nport = {port}"));
    with(&bench, "{address}:{port}", &format!("127.0.0.1:{port}"));
    with(&bench, "'server', '{port}'", &format!("'server', '{port}'"));
    let samples = begin_well(&bench);
    assert_eq!(values(&samples), [(10, 10, Some(10)); 8]);
    assert!(samples.iter().all(|sample| sample.port == Some(port)), "{samples:?}");
    let manifest = fs::read_to_string(bench.out().join("manifest.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&manifest).unwrap()["port"], port);
    let resumed = bench.resume();
    assert_eq!(resumed.status, Some(0), "{}", resumed.stderr);
    bench.assert_nobody_is_left();
}

fn external_server_only() {
    let bench = Bench::of_stand_ins("runs = 1", "good", "good");
    without(&bench, "external_client = 'theirs'");
    let samples = begin_well(&bench);
    assert_eq!(values(&samples), [(10, 10, Some(10))]);
    assert_eq!((samples[0].clients.len(), samples[0].ledger.clone()), (1, None));
}

fn external_client_only() {
    let bench = Bench::of_stand_ins("runs = 1", "good", "good");
    without(&bench, "external_server = 'theirs'");
    let samples = begin_well(&bench);
    assert_eq!(values(&samples), [(10, 10, Some(10))]);
    assert_eq!((samples[0].server.is_some(), samples[0].ledger.clone()), (true, None));
}

fn mute() {
    let bench = Bench::of_stand_ins("runs = 2", "mute@2", "good");
    let ended = bench.begin();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    assert_eq!(samples[0].flaws, [Flaw::NoReply]);
    assert!(samples[1].is_sound(), "{samples:?}");
    assert!(ended.stderr.contains("the final GET was never answered"), "{}", ended.stderr);
}

/// The client has a port built in that is not the one that the definition says.
fn nothing_valid_at_all() {
    let bench = Bench::of_stand_ins(&format!("runs = 2\nport = {}", fixed()), "good", "good");
    without(&bench, "external_server = 'theirs'");
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    with(&bench, "{address}:{port}", &nobody.local_addr().unwrap().to_string());
    let ended = bench.begin();
    let why = "No run is valid, so nothing can be said of this experiment. 2 of 2: the final GET was never answered. \
               No PUT of an external client came to weir's server";
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.starts_with(why), "{}", ended.stdout);
    assert!(ended.stderr.contains(&format!("weir: {why}")), "{}", ended.stderr);
    let report = bench.report();
    assert_eq!(report.status, Some(0), "{}", report.stderr);
    assert!(report.stdout.starts_with(why), "{}", report.stdout);
    for (file, before) in [("report.md", "## Tables"), ("report.html", "<table")] {
        let text = fs::read_to_string(bench.out().join(file)).unwrap();
        let tables = text.find(before).unwrap();
        assert!(text[..tables].contains("2 of 2: the final GET was never answered"), "{text}");
    }
}

/// The third start is the second run, after the warm-up and the first.
fn later_failure() {
    let bench = Bench::of_stand_ins("runs = 3", "dies@3", "good");
    let ended = bench.begin();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("run 1 failed: external server 'theirs' ended before it was ready"));
    assert!(ended.stderr.contains("weir experiment --resume out"), "{}", ended.stderr);
    let sound: Vec<_> = bench.samples().iter().map(Sample::is_sound).collect();
    assert_eq!(sound, [true, false, true]);

    let ended = bench.resume();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(values(&bench.samples()), [(10, 10, Some(10)); 3]);
    let aside = fs::read_to_string(bench.out().join("failed.jsonl")).unwrap();
    assert_eq!(aside.lines().count(), 1, "the failed run's sample is kept beside");
    bench.assert_nobody_is_left();
}

fn manifest() {
    let bench = Bench::new("runs = 1", "invalid_percent = [0]\npackets = [1]", OWN);
    let ended = bench.run(&["./mine.toml", "--out", "out", "--seed", "77", "--no-pin"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let text = fs::read_to_string(bench.out().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["seed"], 77);
    assert_eq!(manifest["planned_samples"], 1);
    assert_eq!(manifest["pinning"]["note"], "--no-pin was given");
    assert_eq!(manifest["build"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(manifest["machine"]["sysctls"]["net.core.rmem_default"].is_string());
    assert_eq!(manifest["command_line"][1], "experiment");
}

fn latest() {
    let bench = Bench::new("runs = 1", "invalid_percent = [0]\npackets = [1]", OWN);
    for _ in 0..2 {
        let ended = bench.run(&["./mine.toml"]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let results = bench.path("results");
    let pointed_to = results.join(fs::read_link(results.join("latest")).unwrap());
    assert!(pointed_to.join("samples.jsonl").is_file());
    assert_eq!(fs::read_dir(&results).unwrap().count(), 3, "two results and the link");
}
