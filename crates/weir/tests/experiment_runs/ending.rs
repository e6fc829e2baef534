//! Experiments that are ended before they are done, and gone on with.

use std::{fs, os::unix::process::CommandExt as _, process::Command};

use nix::sys::signal::Signal;
use weir_results::sample::Sample;
use weir_testing::{Ended, end, wait_until};

use crate::{
    Test,
    bench::{Bench, OWN},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_interrupt_ends_cleanly_and_the_rest_can_be_made", interrupt),
    ("a_termination_ends_like_an_interrupt", terminate),
    ("a_kill_loses_the_run_in_flight_and_leaves_nobody_behind", kill),
    ("a_half_written_line_is_made_again", half_written),
    ("a_full_disk_keeps_the_samples_before_it", full_disk),
    ("going_on_with_what_is_done_makes_no_run", nothing_missing),
    ("two_harnesses_cannot_share_a_folder", locked),
];

/// An experiment whose second run's client sleeps: the third start, after the warm-up's and the first run's.
fn asleep_in_the_second_run() -> Bench {
    Bench::of_stand_ins("runs = 3", "good", "sleeps@3")
}

fn end_in_the_second_run(bench: &Bench, signal: Signal) -> Ended {
    let harness = bench.spawn();
    wait_until("the second run's client is started", || bench.pids("clients").len() == 3);
    let ended = end(harness, signal);
    bench.assert_nobody_is_left();
    assert_eq!(bench.samples().len(), 1, "{}", ended.stderr);
    ended
}

fn resume_to_the_end(bench: &Bench) {
    let ended = bench.resume();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    assert_eq!(samples.iter().map(|sample| sample.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(samples.iter().all(Sample::is_sound));
    bench.assert_nobody_is_left();
}

fn interrupt() {
    let bench = asleep_in_the_second_run();
    let ended = end_in_the_second_run(&bench, Signal::SIGINT);
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    assert!(ended.stdout.contains("Report: out"), "the tables so far: {}", ended.stdout);
    assert!(ended.stderr.contains("go on with: weir experiment --resume out"), "{}", ended.stderr);
    resume_to_the_end(&bench);
}

fn terminate() {
    let bench = asleep_in_the_second_run();
    let ended = end_in_the_second_run(&bench, Signal::SIGTERM);
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
}

fn kill() {
    let bench = asleep_in_the_second_run();
    end_in_the_second_run(&bench, Signal::SIGKILL);
    resume_to_the_end(&bench);
}

fn half_written() {
    let bench = Bench::of_stand_ins("runs = 3", "good", "good");
    assert_eq!(bench.begin().status, Some(0));
    let path = bench.out().join("samples.jsonl");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert_eq!(bench.samples().len(), 2);
    let before = bench.pids("servers").len();
    resume_to_the_end(&bench);
    assert_eq!(bench.pids("servers").len(), before + 2, "a warm-up and the run that was lost");
}

/// A limit on the size of files stands for the disk: it needs no privilege, and writing fails in the same way.
fn full_disk() {
    let bench = Bench::new("runs = 9", "invalid_percent = [0]\npackets = [1]", OWN);
    let limited = r#"trap '' XFSZ; ulimit -f 16; exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_weir"), "experiment", "./mine.toml", "--out", "out"]);
    let output = command.arg0("sh").current_dir(bench.path(".")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("samples.jsonl") && stderr.contains("File too large"), "{stderr}");
    assert!(stderr.contains("go on with: weir experiment --resume out"), "{stderr}");
    let kept = bench.samples();
    assert!(!kept.is_empty() && kept.len() < 9, "{} samples", kept.len());

    let ended = bench.resume();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    assert_eq!((samples.len(), &samples[..kept.len()]), (9, &kept[..]));
}

fn nothing_missing() {
    let bench = Bench::of_stand_ins("runs = 1", "good", "good");
    assert_eq!(bench.begin().status, Some(0));
    let (samples, starts) = (bench.samples(), bench.pids("servers"));
    let ended = bench.run(&["./mine.toml", "--resume", "out"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!((bench.samples(), bench.pids("servers")), (samples, starts));
}

fn locked() {
    let bench = asleep_in_the_second_run();
    let harness = bench.spawn();
    wait_until("the second run's client is started", || bench.pids("clients").len() == 3);
    let second = bench.resume();
    assert_eq!(second.status, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("another weir writes to it"), "{}", second.stderr);
    end(harness, Signal::SIGTERM);
}
