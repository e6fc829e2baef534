//! Reports from made-up samples.

#[allow(dead_code)]
mod synthetic;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use weir_results::{
    cell::Placement,
    sample::{Flaw, Sample},
};

use synthetic::{Experiment, folder_of};

fn summary_of(samples: &[Sample]) -> Value {
    let dir = folder_of(samples);
    weir_report::write_all(dir.path()).unwrap();
    serde_json::from_slice(&fs::read(dir.path().join("summary.json")).unwrap()).unwrap()
}

/// The cell of `summary` in that place.
fn find<'a>(summary: &'a Value, placement: &str, percent: u8) -> &'a Value {
    let cells = summary["cells"].as_array().unwrap();
    cells.iter().find(|cell| cell["placement"] == placement && cell["invalid_percent"] == percent).unwrap()
}

fn every_file(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn the_summary_has_the_documented_keys() {
    let summary = summary_of(&Experiment::quick().samples());
    assert_eq!(summary["cells"].as_array().unwrap().len(), 6);
    assert_eq!(summary["ratios"].as_array().unwrap().len(), 3);
    assert_eq!(summary["invalid_samples"], 0);
    let cell = find(&summary, "kernel", 99);
    for (key, expected) in [
        ("placement", Value::from("kernel")),
        ("filter", "valid-command".into()),
        ("toolkit", "aya".into()),
        ("hook", "socket".into()),
        ("io", "batch".into()),
        ("invalid_percent", 99.into()),
        ("packets", 200_000.into()),
        ("runs", 6.into()),
    ] {
        assert_eq!(cell[key], expected, "{key}");
    }
    let figures = &cell["figures"];
    for figure in ["server-cpu", "client-cpu", "loss", "wall"] {
        assert!(
            figures[figure]["low"].as_f64().unwrap() <= figures[figure]["median"].as_f64().unwrap(),
            "{figure}"
        );
        assert!(
            figures[figure]["median"].as_f64().unwrap() <= figures[figure]["high"].as_f64().unwrap(),
            "{figure}"
        );
        assert_eq!(figures[figure]["kind"], "interval", "{figure}");
    }
    let ratio = summary["ratios"].as_array().unwrap().last().unwrap();
    assert_eq!(ratio["invalid_percent"], 99);
    assert_eq!(ratio["packets"], 200_000);
    for figure in ["server-cpu", "wall"] {
        for key in ["estimate", "low", "high"] {
            assert!(ratio["figures"][figure][key].is_f64(), "{figure} {key}");
        }
    }
}

#[test]
fn the_summary_survives_its_types() {
    let dir = folder_of(&Experiment::paper().samples());
    let report = weir_report::write_all(dir.path()).unwrap();
    let text = fs::read_to_string(dir.path().join("summary.json")).unwrap();
    let read: weir_report::Summary = serde_json::from_str(&text).unwrap();
    assert!(&read == report.summary(), "summary.json doesn't read back as it was written");
}

#[test]
fn medians_and_ratios_are_those_of_the_samples() {
    let mut samples = Experiment::quick().samples();
    for sample in &mut samples {
        // Each repetition is slower than the one before, on both sides alike: pairing takes that out.
        let us = u64::from(sample.repetition + 1) * 100_000;
        let us = if sample.cell.placement == Placement::Kernel { us / 4 } else { us };
        sample.server_cost.user_us = us;
        sample.server_cost.system_us = 0;
    }
    let summary = summary_of(&samples);
    let user = &find(&summary, "user", 50)["figures"]["server-cpu"];
    assert_eq!((&user["low"], &user["median"], &user["high"]), (&0.5.into(), &1.75.into(), &3.0.into()));
    for ratio in summary["ratios"].as_array().unwrap() {
        let cpu = &ratio["figures"]["server-cpu"];
        assert_eq!((&cpu["low"], &cpu["estimate"], &cpu["high"]), (&0.25.into(), &0.25.into(), &0.25.into()));
    }
}

#[test]
fn there_is_no_loss_where_no_valid_packet_was_sent() {
    let summary = summary_of(&Experiment { percents: vec![50, 100], ..Experiment::quick() }.samples());
    for placement in ["user", "kernel"] {
        assert_eq!(find(&summary, placement, 100)["figures"]["loss"], Value::Null);
        assert!(find(&summary, placement, 50)["figures"]["loss"].is_object());
    }
}

#[test]
fn below_six_runs_everything_is_called_a_range() {
    let dir = folder_of(&Experiment { repetitions: 5, ..Experiment::quick() }.samples());
    let report = weir_report::write_all(dir.path()).unwrap();
    let summary = fs::read_to_string(dir.path().join("summary.json")).unwrap();
    assert!(summary.contains("\"kind\": \"range\"") && !summary.contains("\"kind\": \"interval\""));
    assert!(
        report.findings().iter().all(|finding| !finding.contains("95 % interval")),
        "{:?}",
        report.findings()
    );
    assert!(report.findings()[0].contains("range"), "{:?}", report.findings());
    let plot = fs::read_to_string(dir.path().join("plots/server-cpu.svg")).unwrap();
    assert!(plot.contains("ranges") && !plot.contains("95 %"));
}

#[test]
fn a_run_without_a_partner_leaves_the_pairs_only() {
    let mut samples = Experiment { repetitions: 7, ..Experiment::quick() }.samples();
    samples.retain(|sample| (sample.cell.placement, sample.repetition) != (Placement::User, 3));
    let summary = summary_of(&samples);
    assert_eq!(find(&summary, "kernel", 99)["runs"], 7);
    assert_eq!(find(&summary, "user", 99)["runs"], 6);
    for ratio in summary["ratios"].as_array().unwrap() {
        assert_eq!(ratio["figures"]["server-cpu"]["pairs"], 6);
    }
}

#[test]
fn cells_that_differ_in_anything_else_are_no_pair() {
    let mut samples = Experiment::quick().samples();
    for sample in &mut samples {
        if sample.cell.placement == Placement::Kernel {
            sample.cell.clients = 10;
        }
    }
    assert_eq!(summary_of(&samples)["ratios"], Value::Array(Vec::new()));
}

#[test]
fn invalid_samples_are_shown_and_left_out() {
    let mut samples = Experiment { repetitions: 7, ..Experiment::quick() }.samples();
    let without: Vec<_> = samples.iter().filter(|sample| sample.repetition != 6).cloned().collect();
    for sample in samples.iter_mut().filter(|sample| sample.repetition == 6) {
        sample.server_cost.user_us = 1 << 40;
        sample.flaws =
            vec![Flaw::Unbalanced { difference: 17 }, Flaw::Failed { message: "it <died> | badly".into() }];
    }
    let (all, sound) = (summary_of(&samples), summary_of(&without));
    assert_eq!(all["invalid_samples"], 6);
    assert_eq!(all["ratios"], sound["ratios"]);
    assert_eq!(find(&all, "user", 99)["runs"], 6);
    assert_eq!(find(&all, "user", 99)["figures"]["wall"], find(&sound, "user", 99)["figures"]["wall"]);

    let dir = folder_of(&samples);
    weir_report::write_all(dir.path()).unwrap();
    let html = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(html.contains("17 packets sent are not accounted for"));
    assert!(html.contains("it &lt;died&gt; | badly") && !html.contains("<died>"));
    let markdown = fs::read_to_string(dir.path().join("report.md")).unwrap();
    assert!(markdown.contains("it \\<died\\> \\| badly"));
}

#[test]
fn nothing_from_a_folder_becomes_markup() {
    let mut samples = Experiment::quick().samples();
    for sample in &mut samples {
        sample.experiment = "<script>alert(1)</script>".to_owned();
        sample.cell.external_server = Some("<img src=x onerror=alert(2)>\u{1b}[2J".to_owned());
    }
    let dir = folder_of(&samples);
    fs::write(dir.path().join("manifest.json"), r#"{"<b>": {"x": "<i>\"y"}}"#).unwrap();
    fs::write(dir.path().join("definition.toml"), "</pre><script>```\n````").unwrap();
    let report = weir_report::write_all(dir.path()).unwrap();
    let html = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert_eq!(html.matches("<script").count(), 1, "only the page's own script");
    for tag in ["<script>alert", "<img", "<b>", "<i>"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(!report.to_terminal(true).contains('\u{1b}'));
    for (name, bytes) in every_file(&dir.path().join("plots")) {
        assert!(!String::from_utf8_lossy(&bytes).contains("<img"), "{name}");
    }
}

#[test]
fn the_same_samples_give_the_same_files_to_the_byte() {
    let samples = Experiment { packets: vec![1000, 200_000], ..Experiment::quick() }.samples();
    let (first, second) = (folder_of(&samples), folder_of(&samples));
    let path = second.path().join("samples.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let backwards: String = text.lines().rev().map(|line| format!("{line}\n")).collect();
    fs::write(&path, backwards).unwrap();
    weir_report::write_all(first.path()).unwrap();
    weir_report::write_all(second.path()).unwrap();
    // Made twice, over its own files.
    weir_report::write_all(second.path()).unwrap();
    let (mut first, mut second) = (every_file(first.path()), every_file(second.path()));
    assert_ne!(first.remove("samples.jsonl"), second.remove("samples.jsonl"));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(bytes == &second[name], "{name} differs");
    }
}

#[test]
fn every_documented_file_is_there_and_is_what_its_name_says() {
    let dir = folder_of(&Experiment::quick().samples());
    weir_report::write_all(dir.path()).unwrap();
    let files = every_file(dir.path());
    for name in [
        "report.md",
        "report.html",
        "summary.json",
        "tables/overview.csv",
        "tables/ratios.csv",
        "tables/ledger.csv",
        "tables/report-wall.csv",
        "tables/report-aggregate.csv",
        "tables/carried.csv",
        "tables/cells.csv",
        "tables/runs.csv",
        "tables/invalid.csv",
        "tables/wall-1-user.csv",
        "plots/server-cpu.svg",
        "plots/server-cpu.png",
        "plots/loss.png",
        "plots/total-cpu-per-valid.svg",
        "plots/every-run-wall.svg",
    ] {
        assert!(files.contains_key(name), "{name} is missing of {:?}", files.keys());
    }
    for (name, bytes) in &files {
        let rightly = match name.rsplit('.').next().unwrap() {
            "png" => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            "svg" => bytes.starts_with(b"<svg"),
            "html" => bytes.starts_with(b"<!DOCTYPE html>"),
            "csv" => String::from_utf8(bytes.clone()).unwrap().lines().count() >= 1,
            _ => !bytes.is_empty(),
        };
        assert!(rightly, "{name}");
    }
    assert_eq!(String::from_utf8_lossy(&files["tables/runs.csv"]).lines().count(), 1 + 36);
    let html = String::from_utf8_lossy(&files["report.html"]);
    assert!(
        !html.contains("http://")
            || html.matches("http://").count() == html.matches("http://www.w3.org").count()
    );
    assert!(!html.contains("https://") && !html.contains("src="), "the page asks for something else");
}

#[test]
fn findings_claim_what_the_interval_shows_and_no_more() {
    let check = |scale: &dyn Fn(u32) -> f64, expected: &str| {
        let mut samples = Experiment { percents: vec![99], ..Experiment::quick() }.samples();
        for sample in &mut samples {
            let kernel = sample.cell.placement == Placement::Kernel;
            let us = if kernel { 200_000.0 * scale(sample.repetition) } else { 200_000.0 };
            (sample.server_cost.user_us, sample.server_cost.system_us) = (us as u64, 0);
        }
        let dir = folder_of(&samples);
        let found = weir_report::write_all(dir.path()).unwrap().findings()[0].clone();
        assert!(found.contains(expected), "{found}");
    };
    check(&|i| 0.17 + f64::from(i) * 0.006, "takes 0.18 of the server CPU time");
    check(&|i| 0.17 + f64::from(i) * 0.006, "(95 % interval 0.17 to 0.20, 6 pairs)");
    check(&|i| 0.9 + f64::from(i) * 0.05, "no difference in server CPU time was shown");
    check(&|i| 0.95 + f64::from(i) * 0.01, "no difference in server CPU time was shown");
    check(&|i| 1.5 + f64::from(i) * 0.1, "takes 1.75 times the server CPU time");
}

#[test]
fn the_report_stands_beside_ours_where_the_columns_meet() {
    let dir = folder_of(&Experiment::paper().samples());
    weir_report::write_all(dir.path()).unwrap();
    let csv = fs::read_to_string(dir.path().join("tables/report-wall.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 * (2 + 2));
    assert!(
        csv.lines().any(|line| line.starts_with("99,\"report, user\",2.010,") && line.ends_with(",8.375")),
        "{csv}"
    );
    assert!(
        csv.lines().any(|line| line.starts_with("99,\"ours, kernel\",") && !line.contains("not run")),
        "{csv}"
    );
    let haskell = fs::read_to_string(dir.path().join("tables/report-loss-haskell.csv")).unwrap();
    assert!(haskell.contains("1,\"report, kernel\",0,0,0,1.46,1.86,3.07"), "{haskell}");
    let aggregate = fs::read_to_string(dir.path().join("tables/report-aggregate.csv")).unwrap();
    assert!(
        aggregate.lines().any(|line| line.contains("at 1 % invalid") && line.ends_with(",6,0.917")),
        "{aggregate}"
    );
    let html = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(html.contains("include about 2 s of fixed start-up"));
}

#[test]
fn no_column_in_common_is_said() {
    let dir = folder_of(&Experiment::quick().samples());
    weir_report::write_all(dir.path()).unwrap();
    let markdown = fs::read_to_string(dir.path().join("report.md")).unwrap();
    assert!(
        markdown.contains("No percent and packet count of this experiment stands in the report's tables.")
    );
}

#[test]
fn an_interrupted_experiment_gives_a_report_that_says_so() {
    let samples = Experiment { percents: vec![1, 99], ..Experiment::quick() }.samples();
    let dir = folder_of(&samples);
    let kept: String =
        samples[..3].iter().map(|sample| serde_json::to_string(sample).unwrap() + "\n").collect();
    fs::write(dir.path().join("samples.jsonl"), kept).unwrap();
    let remarks = weir_report::write_all(dir.path()).unwrap().remarks().join("\n");
    assert!(remarks.contains("3 of 24 runs"), "{remarks}");
    assert!(remarks.contains("Cells without a run: kernel, 99 % invalid."), "{remarks}");
}

#[test]
fn a_folder_without_a_sound_sample_still_gives_a_report() {
    let mut samples = Experiment::quick().samples();
    samples.iter_mut().for_each(|sample| sample.flaws = vec![Flaw::NoReply]);
    for (samples, said) in [(&samples[..], "No run is valid"), (&[], "No sound run")] {
        let dir = folder_of(samples);
        let report = weir_report::write_all(dir.path()).unwrap();
        assert!(report.findings()[0].starts_with(said), "{:?}", report.findings());
        assert!(!report.remarks().is_empty());
        assert!(dir.path().join("report.html").exists());
        assert!(!report.to_terminal(true).is_empty());
    }
}

#[test]
fn loss_for_a_full_buffer_is_told_as_what_makes_cpu_time_look_small() {
    let check = |dropped_for_buffer, expected: bool| {
        let mut samples = Experiment::quick().samples();
        for sample in &mut samples {
            let ledger = sample.ledger.as_mut().unwrap();
            ledger.dropped_for_buffer = 0;
            if (sample.cell.placement, sample.cell.invalid_percent) == (Placement::User, 50) {
                ledger.dropped_for_buffer = dropped_for_buffer;
            }
        }
        let dir = folder_of(&samples);
        let remarks = weir_report::write_all(dir.path()).unwrap().remarks().join("\n");
        assert_eq!(remarks.contains("in the cell user, 50 % invalid"), expected, "{remarks}");
    };
    check(100_000, true);
    check(100, false);
}

#[test]
fn what_the_manifest_does_not_know_is_not_passed_on() {
    let dir = folder_of(&Experiment::quick().samples());
    let commands = |manifest: &str| {
        fs::write(dir.path().join("manifest.json"), manifest).unwrap();
        weir_report::write_all(dir.path()).unwrap();
        fs::read_to_string(dir.path().join("report.md")).unwrap()
    };
    assert!(
        commands(r#"{"profile": "paper", "seed": 7}"#)
            .contains("weir experiment made-up --profile paper --seed 7\n")
    );
    assert!(commands(r#"{"profile": null, "seed": 7}"#).contains("weir experiment made-up --seed 7\n"));
    assert!(commands("not JSON").contains("weir experiment made-up\n"));
}
