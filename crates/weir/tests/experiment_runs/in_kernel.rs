//! Runs whose programs are timed in the kernel.

use std::fs;

use weir::{cell::Placement, sample::Sample};

use crate::{Test, bench::Bench};

pub(crate) const TESTS: &[Test] =
    &[("a_program_is_timed_in_place_and_by_test_runs_beside_an_accept_all_program", timed)];

const PLACED: &str = "[[placements]]\nplacement = 'user'\nfilter = 'simple-socket-filter'\ntoolkit = 'aya'\n\
                      hook = 'socket'\n\
                      [[placements]]\nplacement = 'kernel'\nfilter = 'valid-command'\ntoolkit = 'aya'\n\
                      hook = 'socket'\n";

fn timed() {
    let head = "runs = 2\nprogram_stats = true\naudit_every = 2";
    let bench = Bench::new(head, "invalid_percent = [0]\npackets = [50]", PLACED);
    let ended = bench.begin();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    assert!(samples.iter().all(Sample::is_sound), "{samples:?}");
    for sample in &samples {
        let decides = sample.cell.placement == Placement::Kernel && sample.audit.is_none();
        let test_run = sample.test_run.as_ref();
        let batches = test_run.map(|run| (run.accept_all_ns.len(), run.program_ns.len()));
        assert_eq!(batches, decides.then_some((5, 5)), "{sample:?}");
        let runs = sample.server.as_ref().and_then(|server| server.runs).expect("statistics were on");
        assert!((50..1000).contains(&runs.count), "of the load alone, and not of the test runs: {runs:?}");
    }
    let csv = fs::read_to_string(bench.out().join("tables/filter-cost.csv")).unwrap();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let summary = fs::read_to_string(bench.out().join("summary.json")).unwrap();
    let summary: weir::report::Summary = serde_json::from_str(&summary).unwrap();
    let [cost] = summary.filter_costs.as_slice() else { panic!("one program decides: {summary:?}") };
    assert!(cost.test_run_ns.is_some() && cost.program_run_ns.is_some(), "{cost:?}");
}
