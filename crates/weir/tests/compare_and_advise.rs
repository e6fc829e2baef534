//! `weir compare` and `weir advise` on made-up results whose truth is known.

#[allow(dead_code)]
mod synthetic;

use std::{io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use weir_results::sample::Sample;
use weir_testing::Ended;

use synthetic::Experiment;

fn weir(arguments: &[&str], dir: &Path) -> Ended {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(dir).output().unwrap().into()
}

fn write(dir: &tempfile::TempDir, name: &str, samples: &[Sample]) {
    let dir = dir.path().join(name);
    std::fs::create_dir(&dir).unwrap();
    synthetic::write(&dir, samples);
}

/// Two results `a` and `b` of the same grid; in `b` the server takes `factor` times as long.
fn two_results(factor: f64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "a", &Experiment::quick().samples());
    let slower = |mut sample: Sample| {
        sample.server_cost.user_us = (sample.server_cost.user_us as f64 * factor) as u64;
        sample.server_cost.system_us = (sample.server_cost.system_us as f64 * factor) as u64;
        sample
    };
    let again = Experiment { seed: 9, ..Experiment::quick() };
    let samples: Vec<_> = again.samples().into_iter().map(slower).collect();
    write(&dir, "b", &samples);
    dir
}

fn server_cpu(json: &str) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(json).unwrap();
    rows.into_iter().filter(|row| row["figure"] == "Server CPU time per packet sent").collect()
}

fn check_comparison(factor: f64, shown: bool) {
    let dir = two_results(factor);
    let ended = weir(&["compare", "a", "b", "--json"], dir.path());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let rows = server_cpu(&ended.stdout);
    assert_eq!(rows.len(), 6);
    for row in rows {
        let (low, high) = (row["interval"][0].as_f64().unwrap(), row["interval"][1].as_f64().unwrap());
        assert!(low < factor * 1.1 && high > factor * 0.9, "{row}");
        assert!(row["change_shown"] == shown || !shown, "{row}");
    }
}

#[test]
fn a_change_is_found_with_its_size() {
    check_comparison(1.5, true);
    check_comparison(0.5, true);
    check_comparison(1.0, false);
}

#[test]
fn people_get_a_table_with_both_sides() {
    let dir = two_results(2.0);
    let check = |arguments: &[&str], expected: &[&str]| {
        let ended = weir(arguments, dir.path());
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        for expected in expected {
            assert!(ended.stdout.contains(expected), "{expected} in {}", ended.stdout);
        }
        ended.stdout
    };
    let shown =
        check(&["compare", "a", "b"], &["Of ", "B is better in", "B is higher: worse", "Hodges-Lehmann"]);
    let all = check(&["compare", "a", "b", "--all"], &["A against B", "no difference shown"]);
    assert!(all.lines().count() > shown.lines().count() && shown.starts_with("Of "), "{shown}");
    check(&["compare", "a", "a"], &["hold the same runs", "No difference was shown"]);
}

fn check_refused(arguments: &[&str], status: i32, expected: &str) {
    let ended = weir(arguments, two_results(1.0).path());
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    assert!(ended.stderr.contains(expected), "'{expected}' in {}", ended.stderr);
    assert!(ended.stdout.is_empty());
}

#[test]
fn results_without_a_common_cell_are_refused() {
    let dir = two_results(1.0);
    let other = Experiment { packets: vec![7], ..Experiment::quick() };
    write(&dir, "c", &other.samples());
    let ended = weir(&["compare", "a", "c"], dir.path());
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("no cell in common"), "{}", ended.stderr);
}

#[test]
fn what_can_not_be_answered_is_refused_with_the_reason() {
    check_refused(&["compare", "a", "nowhere"], 1, "is this a results folder?");
    check_refused(&["advise", "--invalid", "101", "--rate", "1", "--from", "a"], 2, "between 0 and 100");
    check_refused(&["advise", "--invalid", "NaN", "--rate", "1", "--from", "a"], 2, "between 0 and 100");
    check_refused(&["advise", "--invalid", "5", "--rate", "0", "--from", "a"], 2, "a number above 0");
    check_refused(&["advise", "--invalid", "-3", "--rate", "1", "--from", "a"], 2, "between 0 and 100");
    check_refused(&["advise", "--invalid", "5", "--rate", "100k", "--from", "a"], 2, "'100k' is no number");
    check_refused(
        &["advise", "--invalid", "99.5", "--rate", "1", "--from", "a"],
        1,
        "nothing is extrapolated",
    );
}

fn advise(invalid: &str, rate: &str) -> Value {
    let arguments = ["advise", "--invalid", invalid, "--rate", rate, "--from", "a", "--json"];
    let ended = weir(&arguments, two_results(1.0).path());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn advice_scales_with_the_rate_and_lies_between_the_measured_shares() {
    let (at_50, at_99) = (advise("50", "100000"), advise("99", "100000"));
    let between = advise("74.5", "100000");
    let saved = |advice: &Value| advice["saved_cores"]["median"].as_f64().unwrap();
    assert!(saved(&at_50) < saved(&between) && saved(&between) < saved(&at_99));
    assert_eq!(between["between"], serde_json::json!([50, 99]));
    let twice = saved(&advise("50", "200000"));
    assert!((twice / saved(&at_50) - 2.0).abs() < 1e-9);
}

#[test]
fn advice_for_people_begins_with_the_answer() {
    let arguments = ["advise", "--invalid", "99", "--rate", "100000", "--from", "a"];
    let ended = weir(&arguments, two_results(1.0).path());
    assert!(ended.stdout.starts_with("Filter in the kernel: it saves"), "{}", ended.stdout);
    assert!(ended.stdout.contains("the kernel saves"), "{}", ended.stdout);
}

#[test]
fn advice_beyond_the_rates_measured_says_so() {
    let check = |rate: &str, expected: bool| {
        let arguments = ["advise", "--invalid", "50%", "--rate", rate, "--from", "a"];
        let ended = weir(&arguments, two_results(1.0).path());
        assert_eq!(ended.stdout.contains("is extrapolated"), expected, "{}{}", ended.stdout, ended.stderr);
    };
    check("1000000000", true);
    check("1000", false);
}

#[test]
fn results_that_are_kept_packed_are_read_as_they_are() {
    let dir = two_results(1.0);
    let arguments = ["advise", "--invalid", "99", "--rate", "100000", "--from", "a"];
    let unpacked = weir(&arguments, dir.path());
    let samples = dir.path().join("a/samples.jsonl");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&std::fs::read(&samples).unwrap()).unwrap();
    std::fs::write(dir.path().join("a/samples.jsonl.gz"), packed.finish().unwrap()).unwrap();
    std::fs::remove_file(samples).unwrap();
    let packed = weir(&arguments, dir.path());
    assert_eq!((packed.status, packed.stdout), (Some(0), unpacked.stdout), "{}", packed.stderr);
}
