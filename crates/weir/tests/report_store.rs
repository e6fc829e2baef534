//! Results folders: whole, half-written, damaged, from another version, not writable.

#[allow(dead_code)]
mod synthetic;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use weir_results::{
    sample::Sample,
    store::{self, SAMPLES, Samples},
};

use synthetic::Experiment;

fn folder() -> (TempDir, PathBuf, Vec<Sample>) {
    let dir = tempfile::tempdir().unwrap();
    let samples = Experiment { percents: vec![50], repetitions: 2, ..Experiment::quick() }.samples();
    synthetic::write(dir.path(), &samples);
    let file = dir.path().join(SAMPLES);
    (dir, file, samples)
}

/// Reading `dir` fails, and the error has each of `parts`.
fn check_error(dir: &Path, parts: &[&str]) {
    let error = format!("{:#}", weir_report::write_all(dir).unwrap_err());
    for part in parts {
        assert!(error.contains(part), "'{part}' is not in: {error}");
    }
}

fn append(file: &Path, text: &str) {
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn samples_survive_the_folder() {
    let (dir, _, samples) = folder();
    let saved = store::read(dir.path()).unwrap();
    assert_eq!(saved.samples, samples);
    assert_eq!(saved.warnings, Vec::<String>::new());
}

#[test]
fn a_sample_is_in_the_file_when_append_returns() {
    let (dir, _, samples) = folder();
    let mut next = samples[0].clone();
    next.index = 100;
    let mut log = Samples::open(dir.path()).unwrap();
    assert_eq!(log.saved().samples, samples);
    log.append(&next).unwrap();
    assert_eq!(store::read(dir.path()).unwrap().samples.last(), Some(&next));
}

#[test]
fn a_last_line_cut_off_anywhere_is_left_out_with_a_warning_and_repaired() {
    let (dir, file, samples) = folder();
    let whole = fs::read(&file).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for end in (last + 1..whole.len() - 1).step_by(37) {
        fs::write(&file, &whole[..end]).unwrap();
        let saved = store::read(dir.path()).unwrap();
        assert_eq!(saved.samples, samples[..samples.len() - 1], "cut at {end}");
        assert_eq!(saved.warnings.len(), 1);
        assert_eq!(fs::read(&file).unwrap().len(), end, "reading changes nothing");
        assert!(weir_report::Report::read(dir.path()).unwrap().remarks().join("").contains("cut off"));

        Samples::open(dir.path()).unwrap().append(samples.last().unwrap()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole, "cut at {end}");
    }
}

#[test]
fn a_last_line_that_lacks_its_line_feed_alone_is_kept() {
    let (dir, file, samples) = folder();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(store::read(dir.path()).unwrap().samples, samples);
    drop(Samples::open(dir.path()).unwrap());
    assert_eq!(fs::read(&file).unwrap(), whole);
}

#[test]
fn a_broken_line_elsewhere_is_an_error() {
    let (dir, file, _) = folder();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"schema\"", "\"schemer\"", 1)).unwrap();
    check_error(dir.path(), &["samples.jsonl", "line 1 is no sample", "schema", "restore it"]);
    assert!(Samples::open(dir.path()).is_err());
}

#[test]
fn a_broken_last_line_with_its_line_feed_is_an_error() {
    let (dir, file, _) = folder();
    append(&file, "{\"schema\":1}\n");
    check_error(dir.path(), &["line 5 is no sample"]);
}

#[test]
fn another_version_is_an_error() {
    let (dir, file, _) = folder();
    append(&file, "{\"schema\":7,\"something\":\"else\"}\n");
    check_error(
        dir.path(),
        &["line 5 has sample format 7", "this weir reads format 1", "run the experiment again"],
    );
}

#[test]
fn a_sample_that_is_there_twice_is_an_error() {
    let (dir, file, samples) = folder();
    append(&file, &(serde_json::to_string(&samples[1]).unwrap() + "\n"));
    check_error(dir.path(), &["lines 2 and 5 both hold sample 1"]);
}

#[test]
fn a_missing_folder_or_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    check_error(dir.path(), &["samples.jsonl", "No such file", "is this a results folder?"]);
    check_error(&dir.path().join("nowhere"), &["nowhere/samples.jsonl", "No such file"]);
    assert!(Samples::open(&dir.path().join("nowhere")).is_err());
}

#[test]
fn a_folder_below_a_file_is_an_error() {
    let (dir, file, _) = folder();
    check_error(&file, &["Not a directory", "name a folder that is not below a file"]);
    // The report's own folder can't be made: root or not.
    fs::write(dir.path().join("tables"), "in the way").unwrap();
    check_error(dir.path(), &["tables"]);
}

#[test]
fn two_processes_do_not_append_at_once() {
    let (dir, _, _) = folder();
    let first = Samples::open(dir.path()).unwrap();
    let error = Samples::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("another weir writes to it"), "{error}");
    drop(first);
    assert!(Samples::open(dir.path()).is_ok());
}

#[test]
fn a_file_appears_whole_and_with_the_usual_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (ours, usual) = (dir.path().join("ours"), dir.path().join("usual"));
    weir_output::write_whole(&ours, b"one").unwrap();
    weir_output::write_whole(&ours, b"two").unwrap();
    fs::write(&usual, "").unwrap();
    assert_eq!(fs::read(&ours).unwrap(), b"two");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&usual));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "a temporary file is left");
}

fn weir(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_prints_tables_findings_and_where_the_report_lies() {
    let (dir, ..) = folder();
    let (status, out, err) = weir(&["report", dir.path().to_str().unwrap()]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    for part in ["At a glance", "Findings", "At 50 % invalid", "report.html"] {
        assert!(out.contains(part), "'{part}' is not in:\n{out}");
    }
    assert!(!out.contains('\u{1b}') && !out.contains('┌'), "not plain:\n{out}");
}

#[test]
fn the_command_fails_with_one_line_on_stderr() {
    let (status, out, err) = weir(&["report", "/nowhere/at/all"]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("weir: reading /nowhere/at/all/samples.jsonl: No such file"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn no_folder_is_a_usage_error() {
    let (status, _, err) = weir(&["report"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("<DIR>"), "{err}");
}
