//! Charts of hooks and of capacity searches, made from samples and searches that are made up.

#[expect(dead_code, reason = "other tests use the rest")]
mod synthetic;

use std::{fs, path::Path};

use serde_json::{Value, json};
use weir_filters::Hook;
use weir_lab::{capacity::plan::SearchPlan, experiment::definition::Profile};
use weir_report::Report;
use weir_results::{
    cell::{Cell, Placement},
    sample::Sample,
};

use synthetic::{Experiment, folder_of};

/// The quick experiment with its filter at the socket and at tc.
fn at_two_hooks() -> Vec<Sample> {
    let at_socket = Experiment::quick().samples();
    let of_kernel = at_socket.iter().filter(|sample| sample.cell.placement == Placement::Kernel);
    let mut at_tc: Vec<_> = of_kernel.cloned().collect();
    for sample in &mut at_tc {
        sample.cell.hook = Hook::Tc;
        sample.index += 1000;
    }
    at_socket.into_iter().chain(at_tc).collect()
}

/// A line of `searches.jsonl`: `found` are its number, the rate, and whether the generator limits it.
fn search(cell: &Cell, found: (u64, u64, bool), trials: &Value) -> String {
    let (number, lower, limited) = found;
    let (upper, end) = if limited { (None, "highest") } else { (Some(lower + 1000), "found") };
    let mut line = json!({
        "goal_name": "NDR", "search": number, "cell": cell, "goal": SearchPlan::of(Profile::Quick).goals[0].goal,
        "lower": lower, "upper": upper, "upper_by_loss": upper, "conditional_throughput": lower,
        "limited": limited, "lower_trials": 3, "lower_exceeding": 0, "end": end, "valid_goodput": null,
        "ceiling": 450_000.0, "highest": 400_000, "samples": [], "unused": [], "behind": [], "under_load_s": 1.0,
        "stolen_s": 0.0, "cores_s": 2.0, "others_s": 0.0, "seed": 1,
    });
    for (key, value) in trials.as_object().unwrap() {
        line[key] = value.clone();
    }
    format!("{line}\n")
}

fn svg(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join("plots").join(name)).unwrap().replace("&#x2f;", "/")
}

fn check_holds(svg: &str, expected: &[&str]) {
    for expected in expected {
        assert!(svg.contains(expected), "{expected} in {svg}");
    }
}

#[test]
fn the_ladder_tells_costs_goodput_and_loss_and_capacity_where_it_was_searched_for() {
    let dir = folder_of(&at_two_hooks());
    weir_report::write_all(dir.path()).unwrap();
    let alone = svg(dir.path(), "ladder-99-percent.svg");
    check_holds(
        &alone,
        &["valid requests served, requests/s", "loss of valid requests, %", ">tc<", ">socket<"],
    );
    assert!(!alone.contains("capacity"), "{alone}");

    let capacity = tempfile::tempdir().unwrap();
    let at = |hook, rate: u64, limited| {
        let cell = Cell { hook, ..synthetic::cell(Placement::Kernel, 99, 0) };
        (0..6).map(|i| search(&cell, (i, rate + i, limited), &json!({}))).collect::<String>()
    };
    let lines = at(Hook::Socket, 200_000, false) + &at(Hook::Tc, 400_000, true);
    fs::write(capacity.path().join("searches.jsonl"), lines).unwrap();
    Report::read_beside(dir.path(), capacity.path()).unwrap().write(dir.path()).unwrap();
    let joined = svg(dir.path(), "ladder-99-percent.svg");
    check_holds(&joined, &["capacity (NDR), packets/s offered", "aya: ≥ 400", "aya: 200"]);
    assert!(!svg(dir.path(), "ladder-50-percent.svg").contains("capacity"), "no search was made there");
}

#[test]
fn a_folder_without_searches_is_not_joined() {
    let dir = folder_of(&at_two_hooks());
    let refused = Report::read_beside(dir.path(), dir.path()).unwrap_err().to_string();
    assert!(refused.contains("no finished search"), "{refused}");
}

#[test]
fn every_trial_of_a_search_is_a_mark_that_tells_what_became_of_it() {
    let mut samples = Experiment::quick().samples();
    let mut trial = |index: u64, rate: u64| {
        let mut sample = samples[0].clone();
        (sample.index, sample.experiment) = (index, "capacity".to_owned());
        sample.cell = synthetic::cell(Placement::Kernel, 99, 100_000);
        sample.cell.conditions.rate = Some(rate);
        samples.push(sample);
    };
    [(500, 110_000), (501, 220_000), (502, 330_000)].into_iter().for_each(|(index, rate)| trial(index, rate));
    let dir = folder_of(&samples);
    let trials = json!({"samples": [500, 501], "behind": [501], "unused": [502]});
    let cell = synthetic::cell(Placement::Kernel, 99, 0);
    fs::write(dir.path().join("searches.jsonl"), search(&cell, (0, 110_000, true), &trials)).unwrap();
    weir_report::write_all(dir.path()).unwrap();
    let svg = svg(dir.path(), "trials.svg");
    let fates = ["counted", "cut off at the generator's ceiling", "not counted"];
    for (rate, fate) in ["110", "220", "330"].into_iter().zip(fates) {
        let told = format!("{rate}\u{a0}000; search 1, {}", fate.replace('\'', "&#x27;"));
        assert!(svg.contains(&told), "{told} in {svg}");
    }
}

#[test]
fn where_the_rate_varies_the_answer_is_from_which_rate_on_requests_are_lost() {
    let at = |rate: u64, lost: i64| {
        let samples = Experiment::quick().samples().into_iter();
        samples.map(move |mut sample| {
            sample.cell.conditions.rate = Some(rate);
            sample.index += rate;
            if sample.cell.placement == Placement::User {
                sample.get_value = Some(sample.expected_value - lost);
            } else {
                sample.get_value = Some(sample.expected_value);
            }
            sample
        })
    };
    let samples: Vec<_> = at(10_000, 0).chain(at(50_000, 20)).chain(at(90_000, 200)).collect();
    let report = Report::read(folder_of(&samples).path()).unwrap();
    let answer = report.findings()[0].replace('\u{a0}', " ");
    for expected in [
        "At 99 % invalid",
        "with user, valid requests are lost in the median run from 50 000 packets/s offered on (1.00 [1.00, 1.00] % at",
        "with kernel, no valid request is lost in the median run up to 90 000 packets/s offered (0 [0, 0] %)",
    ] {
        assert!(answer.contains(expected), "{expected} in {answer}");
    }
}
