//! `weir capacity` as a process: real servers, real clients, short trials. Nothing here depends on how fast they are.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use weir::promises::uncounted_filter;
use weir_filters::{Filter, FilterName, Packet, corpus};
use weir_hooks::KernelFilter;
use weir_results::{
    capacity::record::{self, SearchRecord},
    sample::Sample,
    store,
};
use weir_testing::{Ended, Group, Test, end, is_in_a_command_line, wait_until};

const ANYWHERE: &[Test] = &[
    ("a_search_leaves_its_bounds_and_the_samples_that_they_rest_on", plain),
    ("an_interrupted_search_leaves_nobody_behind_and_can_be_gone_on_with", interrupted),
    ("a_lost_sample_is_made_again_or_refused", sample_lost),
    ("what_makes_no_sense_is_a_usage_error", usage),
    ("only_a_folder_of_searches_is_gone_on_with", wrong_folder),
    ("the_list_tells_what_a_profile_costs", list),
];

const IN_KERNEL: &[Test] = &[
    ("placements_are_searched_side_by_side_and_compared", side_by_side),
    ("hooks_are_searched_beside_each_other_with_the_receive_work_on_the_servers_core", hooks),
    ("the_filter_without_counts_decides_as_the_one_that_counts", uncounted),
];

fn main() {
    let obstacle = KernelFilter::lack();
    weir_testing::run([Group::of(ANYWHERE), Group::of(IN_KERNEL).skipped_for(obstacle)]);
}

/// Short and coarse.
const QUICK: [&str; 8] = ["--first-trial", "10ms", "--trial", "20ms", "--sum", "40ms", "--width", "40"];
/// What needs no root.
const PLAIN: [&str; 10] = [
    "--placements",
    "plain",
    "--topology",
    "loopback",
    "--invalid",
    "50",
    "--searches",
    "2",
    "--cost-runs",
    "1",
];

/// A folder to work in; results go to `out` in it.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(weir_testing::folder())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("capacity").args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("TMPDIR", self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    fn search(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &QUICK, &["--out", "out", "--json", "--seed", "1"]].concat());
        assert_eq!(output.status, Some(0), "{}", output.stderr);
        serde_json::from_str(&output.stdout).unwrap()
    }

    fn samples(&self) -> Vec<Sample> {
        store::read(&self.0.path().join("out")).unwrap().samples
    }

    fn searches(&self) -> Vec<SearchRecord> {
        let (searches, unread) = record::read(&self.0.path().join("out"));
        assert_eq!(unread, [""; 0]);
        searches
    }

    /// Fails unless all that worked in the folder is gone, now or soon.
    fn assert_nobody_is_left(&self) {
        let folder = self.0.path().to_str().unwrap();
        wait_until("all processes are gone", || !is_in_a_command_line(folder));
    }
}

/// What holds of searches whatever they found.
fn assert_consistent(bench: &Bench, searches_and_goals: usize) {
    let (samples, searches) = (bench.samples(), bench.searches());
    assert_eq!(searches.len(), searches_and_goals);
    for record in &searches {
        let SearchRecord { result, rest, .. } = record;
        if let (Some(lower), Some(upper)) = (result.lower, result.upper) {
            assert!(lower < upper && upper <= rest.highest, "{record:?}");
        }
        assert!(result.lower.is_some() || result.upper.is_some(), "{record:?}");
        assert!(result.lower.is_none_or(|lower| result.conditional_throughput.unwrap() <= lower as f64));
        assert!(!rest.samples.is_empty() && rest.under_load_s > 0.0 && rest.ceiling > 0.0, "{record:?}");
        for &index in &rest.samples {
            let sample = samples.iter().find(|sample| sample.index == index).expect("the sample is there");
            assert!(sample.is_sound(), "{:?}", sample.flaws);
            assert_eq!(sample.ledger.as_ref().map(|ledger| ledger.difference()), Some(0));
            assert_eq!((sample.cell.placement, sample.repetition), (record.cell.placement, record.search));
            let rate = sample.cell.conditions.rate.unwrap();
            assert!((1..=rest.highest).contains(&rate), "{rate}");
            let bound = |bound: Option<u64>| {
                bound.is_none_or(|bound| {
                    rest.samples.iter().any(|index| {
                        samples.iter().any(|sample| {
                            sample.index == *index && sample.cell.conditions.rate == Some(bound)
                        })
                    })
                })
            };
            assert!(bound(result.lower) && bound(result.upper), "a bound was measured: {record:?}");
        }
    }
    let indices: Vec<_> = samples.iter().map(|sample| sample.index).collect();
    assert_eq!(indices, (0..samples.len() as u64).collect::<Vec<_>>());
}

fn plain() {
    let bench = Bench::new();
    let summary = bench.search(&PLAIN);
    // Two searches for two goals.
    assert_consistent(&bench, 4);
    let capacities = summary["capacities"].as_array().unwrap();
    let goals: Vec<_> = capacities.iter().map(|capacity| capacity["goal"].as_str().unwrap()).collect();
    assert_eq!(goals, ["NDR", "PDR"]);
    let searched: Vec<_> =
        bench.searches().iter().filter(|r| r.goal_name == "NDR").map(SearchRecord::rate).collect();
    assert_eq!(capacities[0]["searches"], serde_json::json!(searched));
    assert_eq!(capacities[0]["rate"]["runs"], 2);
    assert!(capacities[0]["spread"]["in_a_row"].is_number());
    assert_eq!(summary["costs"][0]["runs"].as_array().unwrap().len(), 1);
    let kept: Value =
        serde_json::from_slice(&fs::read(bench.0.path().join("out/capacity.json")).unwrap()).unwrap();
    assert_eq!(kept, summary);
    bench.assert_nobody_is_left();
}

fn begin(bench: &Bench) -> Child {
    let arguments = [&PLAIN[..], &QUICK, &["--out", "out", "--seed", "1"]].concat();
    bench.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

fn interrupted() {
    let bench = Bench::new();
    let search = begin(&bench);
    // After the ceilings, in the first search.
    wait_until("some trials are made", || lines(&bench.0.path().join("out/samples.jsonl")) >= 5);
    let output = end(search, Signal::SIGINT);
    assert_eq!(output.status, Some(130), "{}", output.stderr);
    assert!(output.stderr.contains("go on with: weir capacity --resume out"), "{}", output.stderr);
    bench.assert_nobody_is_left();

    let before = bench.samples();
    let output = bench.run(&["--resume", "out"]);
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    assert_consistent(&bench, 4);
    let after = bench.samples();
    assert_eq!(after[..before.len()], before);
    bench.assert_nobody_is_left();

    let searches = bench.searches();
    let again = bench.run(&["--resume", "out"]);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert_eq!((bench.samples(), bench.searches()), (after, searches), "what is done is not made again");
    assert_eq!(again.stdout, output.stdout);
}

/// The last one is made again; without one in between, those after it are not what the search asks for.
fn sample_lost() {
    let bench = Bench::new();
    bench.search(&PLAIN);
    let path = bench.0.path().join("out/samples.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = text.lines().collect();
    let write = |lines: &[&str]| fs::write(&path, lines.join("\n") + "\n").unwrap();

    write(&kept[..kept.len() - 1]);
    let output = bench.run(&["--resume", "out"]);
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    assert_eq!(bench.samples().len(), kept.len());

    // What follows a lost one is at another rate; made here, as a search may also stay at one rate.
    let first_trial = kept.iter().position(|line| line.contains(r#""experiment":"capacity""#)).unwrap();
    let mut trial: Value = serde_json::from_str(kept[first_trial]).unwrap();
    let rate = &mut trial["cell"]["rate"];
    *rate = (rate.as_u64().unwrap() - 1).into();
    write(&[&kept[..first_trial], &[trial.to_string().as_str()], &kept[first_trial + 1..]].concat());
    let output = bench.run(&["--resume", "out"]);
    assert_eq!(output.status, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("a sample before it is gone"), "{}", output.stderr);
}

fn check_usage(arguments: &[&str], expected: &str) {
    let output = Bench::new().run(arguments);
    assert_eq!(output.status, Some(2), "{arguments:?}: {}", output.stderr);
    assert!(output.stderr.contains(expected), "{arguments:?}: {}", output.stderr);
}

fn usage() {
    check_usage(&["--invalid", "100"], "there must be some");
    check_usage(&["--invalid", "300"], "300");
    check_usage(&["--placements", "moon"], "there are: plain, user, kernel");
    check_usage(&["--placements", "user,user"], "user stands there twice");
    check_usage(&["--placements", "tc", "--topology", "loopback"], "take --topology veth");
    check_usage(&["--receive-work", "server", "--topology", "loopback"], "can't be steered");
    check_usage(&["--receive-work", "nobody"], "one of sender, server");
    check_usage(&["--searches", "0"], "--searches 0");
    check_usage(&["--trial", "soon"], "such as 500ms");
    check_usage(&["--trial=-1s"], "such as 500ms");
    check_usage(&["--first-trial", "10s"], "no longer than --sum");
    check_usage(&["--width", "0"], "width");
    check_usage(&["--resume", "out", "--searches", "2"], "cannot be used with");
}

fn wrong_folder() {
    let bench = Bench::new();
    let output = bench.run(&["--resume", "nowhere"]);
    assert_eq!(output.status, Some(1));
    assert!(output.stderr.contains("no folder of `weir capacity`"), "{}", output.stderr);
    fs::create_dir(bench.0.path().join("full")).unwrap();
    fs::write(bench.0.path().join("full/mine"), "").unwrap();
    for (out, status, expected) in [
        ("full", 2, "full is not empty"),
        ("full/mine", 1, "looking into full/mine: it must be a folder"),
        ("/proc/out", 1, "making the folder /proc/out"),
    ] {
        let ended = bench.run(&[&PLAIN[..], &["--out", out]].concat());
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "'{expected}' in: {}", ended.stderr);
    }
}

fn list() {
    let output = Bench::new().run(&["--list"]);
    for profile in ["quick", "standard", "paper"] {
        let line =
            output.stdout.lines().find(|line| line.starts_with(profile)).expect("a line for each profile");
        assert!(line.contains("runs") && (line.contains(" s") || line.contains("min")), "{line}");
    }
}

fn side_by_side() {
    let bench = Bench::new();
    let arguments = ["--placements", "kernel,user", "--invalid", "99", "--searches", "1", "--cost-runs", "1"];
    let summary = bench.search(&arguments);
    assert_consistent(&bench, 4);
    for of in [&summary["ratios"][0], &summary["cost_ratios"][0]] {
        assert_eq!((of["numerator"].as_str(), of["denominator"].as_str()), (Some("kernel"), Some("user")));
        assert_eq!(of["excludes_one"], false, "one pair shows nothing");
    }
    // While both searches go on, each makes a trial before the other makes its second.
    let samples = bench.samples();
    let trials = samples.iter().filter(|sample| sample.experiment == "capacity").collect::<Vec<_>>();
    let repeated = |record: &SearchRecord| [record.rest.unused.clone(), record.rest.again.clone()].concat();
    let repeated: Vec<u64> = bench.searches().iter().flat_map(repeated).collect();
    let order: Vec<_> = trials
        .iter()
        .filter(|trial| !repeated.contains(&trial.index))
        .map(|trial| trial.cell.placement)
        .collect();
    let shorter = bench.searches().iter().map(|record| record.rest.samples.len()).min().unwrap();
    assert!(order[..2 * shorter].chunks(2).all(|round| round[0] != round[1]), "{order:?}");
    bench.assert_nobody_is_left();
}

fn hooks() {
    let bench = Bench::new();
    let names = ["kernel", "cgroup", "xdp"];
    let arguments =
        ["--placements", &names.join(","), "--invalid", "50", "--searches", "1", "--cost-runs", "1"];
    let summary = bench.search(&arguments);
    assert_consistent(&bench, 2 * names.len());
    assert_eq!(summary["plan"]["placements"], serde_json::json!(names));
    let ratios = summary["ratios"].as_array().unwrap();
    let compared: Vec<_> = ratios
        .iter()
        .filter(|ratio| ratio["of"] == "NDR")
        .map(|ratio| [ratio["numerator"].as_str().unwrap(), ratio["denominator"].as_str().unwrap()])
        .collect();
    assert_eq!(compared, [["cgroup", "kernel"], ["xdp", "kernel"]], "each to the one at the socket");
    for sample in bench.samples() {
        let net = sample.net.expect("a pair of interfaces is between them");
        assert!(net.interfaces.server.receive_on.is_some_and(|cores| !cores.is_empty()));
    }
    bench.assert_nobody_is_left();
}

fn uncounted() {
    let (filter, counting) = (uncounted_filter().unwrap(), Filter::from(FilterName::ValidCommand));
    for packet in corpus::swept().chain(corpus::packets(1).take(2_000)) {
        let expected = counting.decide(Packet::from_udp(&packet));
        assert_eq!(filter.decide(&packet, 1).unwrap(), expected, "{packet:02x?}");
    }
}
