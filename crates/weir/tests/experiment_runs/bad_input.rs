//! What is refused: before anything is run, when a server can't be started, and when a folder can't be gone on with.

use std::fs;

use crate::{
    Test,
    bench::{Bench, OWN},
};

pub(crate) const TESTS: &[Test] = &[
    ("usage_that_makes_no_sense_ends_with_status_2", usage),
    ("a_folder_with_something_in_it_is_not_written_to", used_folder),
    ("a_folder_that_cannot_be_made_is_named", unwritable),
    ("a_server_that_is_never_ready_ends_the_experiment", never_ready),
    ("a_server_that_dies_is_quoted", server_dies),
    ("a_client_that_dies_is_quoted", client_dies),
    ("a_client_that_never_ends_is_ended", client_never_ends),
    ("a_program_that_is_not_there_is_named", no_program),
    ("flags_that_the_server_refuses_are_quoted", bad_flags),
    ("a_port_in_use_is_named_before_anything_is_run", port_in_use),
    ("what_the_harness_says_itself_is_refused_in_server_flags", own_flags),
    ("a_folder_without_manifest_cannot_be_gone_on_with", no_manifest),
    ("a_damaged_manifest_is_named", damaged_manifest),
    ("another_sample_format_is_refused", other_schema),
    ("a_changed_definition_is_refused", changed_definition),
    ("samples_of_another_schedule_are_refused", other_schedule),
    ("a_folder_of_capacity_is_left_to_capacity", folder_of_capacity),
];

fn small() -> Bench {
    Bench::new("runs = 1", "invalid_percent = [0]\npackets = [1]", OWN)
}

fn check(bench: &Bench, arguments: &[&str], status: i32, expected: &str) {
    let ended = bench.run(arguments);
    assert_eq!(ended.status, Some(status), "{arguments:?}: {}", ended.stderr);
    assert!(ended.stderr.contains(expected), "'{expected}' in: {}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
}

fn usage() {
    let bench = small();
    check(&bench, &[], 2, "<NAME>");
    check(&bench, &["nothing"], 2, "kernel-or-user, mix, wake-ups, hooks, toolkits, guard, rate, size");
    check(&bench, &["kernel-or-user", "--profile", "huge"], 2, "quick, standard, paper");
    check(&bench, &["kernel-or-user", "--profile", "paper"], 2, "there are: quick, standard");
    check(&bench, &["./mine.toml", "--profile", "quick"], 2, "leave --profile out");
    check(&bench, &["./mine.toml", "--runs", "0"], 2, "--runs");
    check(&bench, &["./nothing.toml"], 2, "No such file");
    check(&bench, &["./mine.toml", "--resume", "out", "--seed", "1"], 2, "cannot be used with");
    assert!(!bench.path("results").exists(), "nothing is made before all is understood");
}

/// Nothing is measured for a folder that can't be used.
fn check_out(bench: &Bench, out: &str, status: i32, expected: &str) {
    let ended = bench.run(&["./mine.toml", "--out", out]);
    assert_eq!(ended.status, Some(status), "{out}: {}", ended.stderr);
    assert!(ended.stderr.contains(expected), "'{expected}' in: {}", ended.stderr);
    assert!(!ended.stderr.contains("ceiling"), "{out}: {}", ended.stderr);
}

fn used_folder() {
    let bench = small();
    fs::create_dir(bench.out()).unwrap();
    fs::write(bench.out().join("thesis.txt"), "mine").unwrap();
    check_out(&bench, "out", 2, "out is not empty");
    assert_eq!(fs::read_dir(bench.out()).unwrap().count(), 1);
}

fn unwritable() {
    let bench = small();
    check_out(&bench, "mine.toml", 1, "looking into mine.toml: it must be a folder");
    check_out(&bench, "mine.toml/out", 1, "mine.toml/out");
    check_out(&bench, "/proc/out", 1, "making the folder /proc/out");
}

/// The first run fails: status 1, a sample that says so, and nobody left.
fn check_first_run_fails(bench: &Bench, expected: &[&str]) {
    let ended = bench.begin();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for part in expected {
        assert!(ended.stderr.contains(part), "'{part}' in: {}", ended.stderr);
    }
    assert!(ended.stderr.contains("weir experiment --resume out"), "{}", ended.stderr);
    let samples = bench.samples();
    assert_eq!((samples.len(), samples[0].is_sound()), (1, false));
    bench.assert_nobody_is_left();
}

fn never_ready() {
    let bench = Bench::of_stand_ins("runs = 2\nready_within_s = 1", "sleeps@0", "good");
    check_first_run_fails(&bench, &["external server 'theirs' was not ready within 1 s"]);
}

fn server_dies() {
    let bench = Bench::of_stand_ins("runs = 2", "dies@0", "good");
    let quoted = "a line before | the stand-in has no wish to live";
    check_first_run_fails(&bench, &["external server 'theirs' ended before it was ready", quoted]);
}

fn client_dies() {
    let bench = Bench::of_stand_ins("runs = 2", "good", "dies@0");
    check_first_run_fails(&bench, &["external client 'theirs' failed (exit status: 3)", "no wish to live"]);
}

fn client_never_ends() {
    let bench = Bench::of_stand_ins("runs = 2\nclients_within_s = 1", "good", "sleeps@0");
    check_first_run_fails(&bench, &["external client 'theirs' had not ended after 1 s"]);
}

fn no_program() {
    let tail =
        format!("{OWN}external_server = 'x'\n[external_server.x]\ncommand = ['./not-there', '{{port}}']\n");
    let bench = Bench::new("runs = 1", "invalid_percent = [0]\npackets = [1]", &tail);
    check_first_run_fails(&bench, &["starting external server 'x' (./not-there): No such file"]);
}

fn bad_flags() {
    let head = "runs = 1\nserver_flags = ['--capacity', 'many']";
    let bench = Bench::new(head, "invalid_percent = [0]\npackets = [1]", OWN);
    check_first_run_fails(&bench, &["weir serve ended before it was ready", "--capacity"]);
}

fn port_in_use() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let grid = "invalid_percent = [0]\npackets = [1]";
    let theirs = "external_server = 'x'\n[external_server.x]\ncommand = ['sleep', '60']\n";
    for (head, tail, server) in [
        (format!("port = {port}"), OWN.to_owned(), "weir serve"),
        (format!("port = {port}"), format!("{OWN}{theirs}"), "external server 'x'"),
        (String::new(), format!("{OWN}{theirs}port = {port}\n"), "external server 'x'"),
    ] {
        let bench = Bench::new(&format!("runs = 1\n{head}"), grid, &tail);
        let expected = format!("{server} is to listen on port {port} of 127.0.0.1, and can't: ");
        check_out(&bench, "out", 1, &expected);
        assert!(!bench.out().exists(), "nothing is made for it");
    }
    drop(taken);
}

fn own_flags() {
    let grid = "invalid_percent = [0]\npackets = [1]";
    for (flags, expected) in [
        ("'--listen', '127.0.0.1:12345'", "--listen is the harness's own; port = 12345"),
        ("'-c', '5', '--listen=127.0.0.1:12345'", "port = 12345 gives every server that port"),
        ("'--filter', 'valid-command'", "a placement has its filter"),
    ] {
        let bench = Bench::new(&format!("runs = 1\nserver_flags = [{flags}]"), grid, OWN);
        check(&bench, &["./mine.toml", "--out", "out"], 2, expected);
    }
}

/// A finished experiment, for what is then done to its folder.
fn finished() -> Bench {
    let bench = small();
    let ended = bench.begin();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    bench
}

fn edit(bench: &Bench, file: &str, old: &str, new: &str) {
    let path = bench.out().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "'{old}' in {text}");
    fs::write(path, text.replacen(old, new, 1)).unwrap();
}

fn no_manifest() {
    let bench = finished();
    fs::remove_file(bench.out().join("manifest.json")).unwrap();
    check(&bench, &["--resume", "out"], 1, "reading out/manifest.json");
    check(&bench, &["--resume", "nowhere"], 1, "reading nowhere/manifest.json");
}

fn damaged_manifest() {
    let bench = finished();
    edit(&bench, "manifest.json", "\"seed\"", "\"sead\"");
    check(&bench, &["--resume", "out"], 1, "it is damaged");
    fs::write(bench.out().join("manifest.json"), "{\"schema\": 1, ").unwrap();
    check(&bench, &["--resume", "out"], 1, "it is damaged");
}

fn other_schema() {
    let bench = finished();
    edit(&bench, "samples.jsonl", "\"schema\":1", "\"schema\":999");
    check(&bench, &["--resume", "out"], 1, "sample format 999");
    edit(&bench, "manifest.json", "\"schema\": 1", "\"schema\": 999");
    check(&bench, &["--resume", "out"], 1, "sample format 999");
}

fn changed_definition() {
    let bench = finished();
    let text = fs::read_to_string(bench.path("mine.toml")).unwrap();
    fs::write(bench.path("other.toml"), text.replace("packets = [1]", "packets = [2]")).unwrap();
    check(
        &bench,
        &["./other.toml", "--resume", "out"],
        1,
        "the definition of 'mine' differs from out/definition.toml",
    );
    edit(&bench, "definition.toml", "packets = [1]", "packets = [2]");
    check(&bench, &["--resume", "out"], 1, "is not the definition that the runs so far were made with");
}

fn folder_of_capacity() {
    let bench = finished();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/results/capacity");
    for file in ["definition.toml", "manifest.json"] {
        fs::copy(format!("{kept}/{file}"), bench.out().join(file)).unwrap();
    }
    check(&bench, &["--resume", "out"], 2, "out is a folder of `weir capacity`: weir capacity --resume out");
}

fn other_schedule() {
    let bench = finished();
    edit(&bench, "samples.jsonl", "\"repetition\":0", "\"repetition\":5");
    check(&bench, &["--resume", "out"], 1, "sample 0 of out/samples.jsonl is not what seed");
}
