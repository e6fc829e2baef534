//! Runs whose programs are timed in the kernel.

use std::fs;

use weir_results::{cell::Placement, sample::Sample};

use crate::{Test, bench::Bench};

pub(crate) const TESTS: &[Test] = &[
    ("a_program_is_timed_in_place_and_by_test_runs_beside_an_accept_all_program", timed),
    ("of_a_filter_without_counts_every_repetition_is_audited_and_only_the_audit_makes_a_ledger", uncounted),
    ("a_filter_that_decides_elsewhere_than_asked_is_no_sample", elsewhere),
    ("a_guard_decides_in_a_filters_place_and_is_compared_with_it", guarded),
    ("without_audits_a_filter_without_counts_has_no_ledger_and_no_flaw", unaudited),
];

/// Classic BPF counts nothing.
const UNCOUNTED: &str = "[[placements]]\nplacement = 'user'\nfilter = 'simple-socket-filter'\ntoolkit = 'cbpf'\n\
                         hook = 'socket'\n\
                         [[placements]]\nplacement = 'kernel'\nfilter = 'valid-command'\ntoolkit = 'cbpf'\n\
                         hook = 'socket'\n";

const HALF_INVALID: &str = "invalid_percent = [50]\npackets = [40]";

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
    let summary: weir_report::Summary = serde_json::from_str(&summary).unwrap();
    let [cost] = summary.filter_costs.as_slice() else { panic!("one program decides: {summary:?}") };
    assert!(cost.test_run_ns.is_some() && cost.program_run_ns.is_some(), "{cost:?}");
}

/// Loopback carries packets of several datagrams, of which Aya's program at a shared port wouldn't know.
fn elsewhere() {
    let placed = PLACED.replace("'socket'", "'reuseport'");
    let bench = Bench::new("runs = 1", HALF_INVALID, &placed);
    let ended = bench.begin();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("was to filter at reuseport and did at socket"), "{}", ended.stderr);
    let samples = bench.samples();
    assert!(!samples.iter().any(Sample::is_sound), "{samples:?}");
    bench.assert_nobody_is_left();
}

fn guarded() {
    let of_guard = "[[placements]]\nid = 'guard'\nplacement = 'kernel'\nfilter = 'valid-command'\ntoolkit = 'fun'\n\
                    hook = 'socket'\nguard = 'bag'\n[guard]\nbag = '''\n[[service]]\nname = 'mine'\nlisten = 'udp/1'\n\
                    mode = 'enforce'\nprotocol = 'bag'\naccept = ['put', 'get', 'stop']\n'''\n";
    let bench = Bench::new("runs = 1", HALF_INVALID, &format!("{PLACED}{of_guard}"));
    let ended = bench.begin();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    assert!(samples.len() == 3 && samples.iter().all(Sample::is_sound), "{samples:?}");
    let sample = samples.iter().find(|sample| sample.cell.guard.as_deref() == Some("bag")).expect("one is");
    let ledger = sample.ledger.as_ref().expect("the guard counts");
    // Of 20 PUTs, a GET and the harness' STOP each is read.
    assert_eq!((ledger.dropped_by_filter, ledger.read), (20, 22), "{sample:?}");
    assert_eq!(sample.server.as_ref().map(|server| server.filter.as_str()), Some("mine"), "{sample:?}");
    let summary = fs::read_to_string(bench.out().join("summary.json")).unwrap();
    let summary: weir_report::Summary = serde_json::from_str(&summary).unwrap();
    let quotients: Vec<_> = summary.toolkit_ratios.iter().map(|ratio| ratio.quotient.as_str()).collect();
    assert_eq!(quotients, ["guard ÷ aya"]);
    assert_eq!(summary.ratios.len(), 2, "kernel ÷ user, by the filter and by the guard: {summary:?}");
}

fn uncounted() {
    let samples = sound_samples("runs = 2\nprogram_stats = true\naudit_every = 2");
    let decides = |sample: &&Sample| sample.cell.placement == Placement::Kernel;
    let (kernel, user): (Vec<_>, Vec<_>) = samples.iter().partition(decides);
    let audited = |samples: &[&Sample]| samples.iter().filter(|sample| sample.audit.is_some()).count();
    assert_eq!((kernel.len(), audited(&kernel)), (4, 2), "each of both repetitions");
    assert_eq!((user.len(), audited(&user)), (3, 1), "what accepts everything needs no counts");
    for sample in kernel {
        let dropped = sample.ledger.as_ref().map(|ledger| (ledger.dropped_by_filter, ledger.read));
        // Of 20 PUTs, a GET and the harness' STOP each is read.
        assert_eq!(dropped, sample.audit.as_ref().map(|_| (20, 22)), "{sample:?}");
    }
    assert!(user.iter().all(|sample| sample.ledger.is_some()), "{user:?}");
}

fn unaudited() {
    let samples = sound_samples("runs = 1");
    let ledgers = samples.iter().map(|sample| (sample.cell.placement, sample.ledger.is_some()));
    let mut ledgers: Vec<_> = ledgers.collect();
    ledgers.sort();
    assert_eq!(ledgers, [(Placement::User, true), (Placement::Kernel, false)]);
}

/// Runs of classic programs, of which none has a flaw, statistics or test runs; and there is a report of them.
fn sound_samples(head: &str) -> Vec<Sample> {
    let bench = Bench::new(head, HALF_INVALID, UNCOUNTED);
    let ended = bench.begin();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let samples = bench.samples();
    for sample in &samples {
        assert!(sample.is_sound(), "{sample:?}");
        assert_eq!(sample.get_value, Some(20), "{sample:?}");
        assert_eq!(sample.server.as_ref().and_then(|server| server.runs), None);
        assert_eq!(sample.test_run, None);
    }
    let summary = fs::read_to_string(bench.out().join("summary.json")).unwrap();
    assert!(summary.contains("cbpf"), "{summary}");
    samples
}
