//! Reports of grids in which other things vary than the invalid share and the packets; verdicts, remarks, capacities.

#[expect(dead_code, reason = "other tests use the rest")]
mod synthetic;

use std::{collections::BTreeMap, fs};

use serde_json::json;
use weir_filters::Hook;
use weir_hooks::Drops;
use weir_lab::{capacity::plan::SearchPlan, experiment::definition::Profile};
use weir_report::{Outcome, Report};
use weir_results::{
    capacity::Known,
    cell::{Background, Cell, Placement},
    sample::{Sample, TestRun},
};
use weir_service::Mix;

use synthetic::{Experiment, folder_of, table};

/// The quick experiment's samples at each of `values`, which `set` puts into the cell.
fn varied<T: Copy>(values: &[T], set: impl Fn(&mut Cell, T)) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        for mut sample in Experiment::quick().samples() {
            set(&mut sample.cell, value);
            sample.index += i as u64 * 1000;
            samples.push(sample);
        }
    }
    samples
}

#[test]
fn what_varies_gets_a_column_and_the_numbers_with_the_most_values_the_axis() {
    let check = |samples: Vec<Sample>, heads: &[&str], axis: &str| {
        let dir = folder_of(&samples);
        weir_report::write_all(dir.path()).unwrap();
        let overview = table(dir.path(), "overview");
        assert_eq!(overview[0][..heads.len()], *heads);
        let plots = fs::read_dir(dir.path().join("plots")).unwrap();
        let cpu = |name: &str| {
            name.starts_with("server-cpu-") && name.ends_with(".svg") || name == "server-cpu.svg"
        };
        let names = plots.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let svg = names
            .filter(|name| cpu(name))
            .map(|name| fs::read_to_string(dir.path().join("plots").join(name)));
        for svg in svg {
            assert!(svg.unwrap().replace("&#x2f;", "/").contains(&format!(">{axis}</text>")), "{axis}");
        }
    };
    let rates = [10_000, 50_000, 100_000, 200_000];
    let at_rates = varied(&rates, |cell, rate| {
        cell.conditions.rate = Some(rate);
        // A rate and a duration give the packets: they say nothing more.
        cell.packets = rate * 2;
    });
    check(
        at_rates,
        &["invalid %", "offered rate, packets/s", "server CPU µs/packet, user"],
        "offered rate, packets/s (logarithmic)",
    );
    let sizes = [1_u32, 15, 256, 8192];
    let of_sizes = varied(&sizes, |cell, size| cell.invalid_size = Some(size));
    check(of_sizes, &["invalid payload, bytes", "invalid %"], "invalid payload, bytes (logarithmic)");
    let neighbours = [Background::Idle, Background::Both];
    let beside = varied(&neighbours, |cell, background| cell.conditions.background = background);
    check(beside, &["background load", "invalid %"], "share of invalid packets, %");
}

#[test]
fn findings_are_those_under_the_highest_load_and_few() {
    let findings = |orders: &[Mix]| {
        let mut samples = varied(orders, |cell, mix| cell.conditions.mix = Some(mix));
        for sample in &mut samples {
            // In random order the kernel's server takes half, with the longest rounds a tenth.
            let share = match (sample.cell.placement, sample.cell.conditions.mix.unwrap()) {
                (Placement::Kernel, Mix::Random) => 5,
                (Placement::Kernel, Mix::Rounds(of)) if of.get() == 1000 => 1,
                (Placement::Kernel, _) => 3,
                _ => 10,
            };
            (sample.server_cost.user_us, sample.server_cost.system_us) = (100_000 * share, 0);
        }
        weir_report::write_all(folder_of(&samples).path()).unwrap().findings().to_vec()
    };
    let of_two = findings(&[Mix::Random, Mix::FRIGG]);
    assert!(of_two[0].starts_with("At 99 % invalid and mix rounds of 100,"), "{of_two:#?}");
    assert!(!of_two.iter().any(|finding| finding.contains("At 1 % invalid")), "{of_two:#?}");
    assert!(of_two.iter().any(|finding| finding.starts_with("At 99 % invalid and mix random,")));

    let of_many = findings(&[Mix::Blocks, Mix::rounds(1000), Mix::FRIGG, Mix::rounds(10), Mix::Random]);
    for (told, order) in
        [(true, "random"), (true, "rounds of 1000"), (false, "blocks"), (false, "rounds of 10,")]
    {
        let is_told = of_many.iter().any(|finding| finding.contains(&format!("mix {order}")));
        assert_eq!(is_told, told, "{order}: {of_many:#?}");
    }
    let tally = of_many.iter().find(|finding| finding.contains("comparisons of server CPU time")).unwrap();
    assert!(tally.contains("with medians from 0.10 to 0.50"), "{tally}");
}

#[test]
fn the_reports_own_figures_stand_only_beside_a_grid_of_its_shape() {
    let dir = folder_of(&varied(&[1_u32, 15], |cell, size| cell.invalid_size = Some(size)));
    weir_report::write_all(dir.path()).unwrap();
    assert!(!dir.path().join("tables/report-wall.csv").exists());
    assert!(dir.path().join("tables/ratios.csv").exists());
}

fn judged(samples: &[Sample], rule: &str) -> weir_report::Ruling {
    let dir = folder_of(samples);
    let definition = format!("name = \"made-up\"\n[[verdicts]]\nhypothesis = \"H\"\nclaim = \"c\"\n{rule}\n");
    fs::write(dir.path().join("definition.toml"), definition).unwrap();
    let report = Report::read(dir.path()).unwrap();
    assert_eq!(report.summary().verdicts.len(), 1, "{:?}", report.remarks());
    report.summary().verdicts[0].clone()
}

/// The kernel's server takes `share` of the time of the user's, a little more in each repetition.
fn kernel_takes(share: f64) -> Vec<Sample> {
    let mut samples = Experiment::quick().samples();
    for sample in &mut samples {
        let kernel = sample.cell.placement == Placement::Kernel;
        let us = if kernel { 1e6 * (share + f64::from(sample.repetition) * 0.004) } else { 1e6 };
        (sample.server_cost.user_us, sample.server_cost.system_us) = (us as u64, 0);
    }
    samples
}

#[test]
fn a_claim_is_judged_by_where_the_whole_interval_lies() {
    let check = |share: f64, direction: &str, expected: Outcome| {
        let rule = format!(
            "figure = \"server-cpu\"\ncompare = \"kernel-user\"\ndirection = \"{direction}\"\nsmallest_effect = 5.0"
        );
        let verdict = judged(&kernel_takes(share), &rule);
        assert_eq!(verdict.outcome, expected, "{share} {direction}");
        assert_eq!(verdict.comparisons, 3);
    };
    check(0.5, "below", Outcome::Supported);
    check(0.5, "above", Outcome::Contradicted);
    check(0.5, "not-above", Outcome::Supported);
    check(0.5, "equal", Outcome::Contradicted);
    check(0.99, "equal", Outcome::Supported);
    check(0.99, "below", Outcome::Contradicted);
    check(0.94, "below", Outcome::Inconclusive);
    check(0.94, "not-below", Outcome::Inconclusive);
    check(1.2, "not-above", Outcome::Contradicted);
}

#[test]
fn a_verdict_counts_the_places_that_it_names_and_says_what_it_could_have_seen() {
    let rule = "figure = \"server-cpu\"\ncompare = \"kernel-user\"\ndirection = \"below\"\nsmallest_effect = 5.0\n\
                at = { invalid_percent = 99 }";
    let verdict = judged(&kernel_takes(0.5), rule);
    assert_eq!(verdict.comparisons, 1);
    let visible = verdict.smallest_visible.unwrap();
    assert!((1.9..2.1).contains(&visible), "{visible}");
    let few: Vec<_> = kernel_takes(0.5).into_iter().filter(|sample| sample.repetition < 5).collect();
    let verdict = judged(&few, rule);
    assert_eq!((verdict.outcome, verdict.smallest_visible), (Outcome::Inconclusive, None));
}

#[test]
fn a_dimension_is_judged_by_its_ends_and_a_loss_by_its_difference() {
    let samples = Experiment { packets: vec![1000, 10_000, 100_000], ..Experiment::quick() }.samples();
    let along = "figure = \"wall\"\ncompare = \"packets\"\ndirection = \"above\"\nsmallest_effect = 5.0";
    let verdict = judged(&samples, along);
    assert_eq!((verdict.outcome, verdict.comparisons), (Outcome::Supported, 6));
    assert!((50.0..110.0).contains(&verdict.number.unwrap().median));
    let loss =
        "figure = \"loss\"\ncompare = \"kernel-user\"\ndirection = \"not-above\"\nsmallest_effect = 0.1";
    let verdict = judged(&Experiment::quick().samples(), loss);
    assert_eq!(verdict.outcome, Outcome::Supported);
    assert!(verdict.number.unwrap().median <= 0.0);
}

#[test]
fn a_rule_that_can_not_be_read_is_said_and_the_report_stands() {
    let dir = folder_of(&Experiment::quick().samples());
    let rule = "[[verdicts]]\nhypothesis = \"H\"\nclaim = \"c\"\nfigure = \"wall\"\ncompare = \"moon\"\n\
                direction = \"below\"\nsmallest_effect = 5.0\n";
    fs::write(dir.path().join("definition.toml"), rule).unwrap();
    let remarks = Report::read(dir.path()).unwrap().remarks().join("\n");
    assert!(remarks.contains("can't compare 'moon'; there are: kernel-user, toolkits,"), "{remarks}");
}

#[test]
fn energy_is_not_available_rather_than_zero() {
    let check = |energy_j, expected: &str| {
        let mut samples = Experiment::quick().samples();
        samples.iter_mut().for_each(|sample| sample.surroundings.energy_j = energy_j);
        let dir = folder_of(&samples);
        weir_report::write_all(dir.path()).unwrap();
        let carried = table(dir.path(), "carried");
        assert!(carried[0].last().unwrap().starts_with("Energy per million packets"));
        assert!(carried[1..].iter().all(|row| row.last().unwrap() == expected), "{carried:?}");
    };
    check(None, "not available here");
    check(Some(2.0), "10.0 [10.0, 10.0]");
}

#[test]
fn what_the_machine_did_during_a_run_is_flagged_with_the_run() {
    let mut samples = Experiment::quick().samples();
    samples[3].surroundings.clock_mhz = Some((3000.0, 2000.0));
    samples[5].surroundings.throttled = Some(2);
    samples[7].steal_s = 1.0;
    samples[9].wall_s = Some(1e3);
    let remarks = Report::read(folder_of(&samples).path()).unwrap().remarks().join("\n");
    for expected in
        ["clock moved by 5 % or more during sample 3.", "its heat during sample 5.", "of sample 7."]
    {
        assert!(remarks.contains(expected), "{expected}: {remarks}");
    }
    let wall = remarks.lines().find(|line| line.starts_with("Outliers in wall time")).expect(&remarks);
    assert!(wall.contains('9') && wall.contains("flagged and kept"), "{wall}");
}

#[test]
fn audited_runs_have_their_own_table_and_time_nothing() {
    let mut samples = Experiment::quick().samples();
    let mut audited = samples[0].clone();
    (audited.index, audited.wall_s) = (500, Some(1e6));
    let by_reason = BTreeMap::from([("SOCKET_RCVBUFF".to_owned(), 1234), ("NO_SOCKET".to_owned(), 5)]);
    audited.audit = Some(Drops { by_reason, ..Drops::default() });
    samples.push(audited);
    let dir = folder_of(&samples);
    weir_report::write_all(dir.path()).unwrap();
    let audit = table(dir.path(), "audit");
    assert_eq!(audit.len(), 2);
    assert!(audit[1].contains(&"NO_SOCKET 5, SOCKET_RCVBUFF 1\u{a0}234".to_owned()), "{audit:?}");
    let ledger = table(dir.path(), "ledger");
    assert_eq!(ledger[1][2], "6", "the audited run is not among the timed ones");
}

#[test]
fn capacities_are_bars_and_say_what_the_generator_limits() {
    let dir = folder_of(&Experiment::quick().samples());
    let search = |(placement, hook), search: u64, lower: u64, limited: bool| {
        let cell = Cell { hook, ..synthetic::cell(placement, 99, 0) };
        let goal = SearchPlan::of(Profile::Quick).goals[0].goal;
        let (upper, end) = if limited { (None, "highest") } else { (Some(lower + 1000), "found") };
        let line = json!({
            "goal_name": "NDR", "search": search, "cell": cell, "goal": goal, "lower": lower, "upper": upper,
            "upper_by_loss": upper, "conditional_throughput": lower, "limited": limited, "lower_trials": 3,
            "lower_exceeding": 0, "end": end, "valid_goodput": null, "ceiling": 450_000.0, "highest": 400_000,
            "samples": [], "unused": [], "behind": [], "under_load_s": 1.0, "stolen_s": 0.0, "cores_s": 2.0,
            "others_s": 0.0, "seed": 1,
        });
        format!("{line}\n")
    };
    let lines: String = (0..6)
        .flat_map(|i| {
            [
                search((Placement::User, Hook::Socket), i, 100_000 + i, false),
                search((Placement::Kernel, Hook::Socket), i, 400_000, true),
                search((Placement::Kernel, Hook::Xdp), i, 200_000, false),
            ]
        })
        .collect();
    fs::write(dir.path().join("searches.jsonl"), lines).unwrap();
    let rule = |at: u8, direction: &str| {
        format!(
            "[[verdicts]]\nhypothesis = 'Question 1'\nclaim = 'It carries more.'\nfigure = 'ndr'\n\
             compare = 'kernel-user'\ndirection = '{direction}'\nsmallest_effect = 10.0\n\
             at = {{ invalid_percent = {at}, hook = 'socket' }}\n"
        )
    };
    let rules = rule(99, "above") + &rule(99, "below") + &rule(99, "equal") + &rule(50, "above");
    fs::write(dir.path().join("definition.toml"), rules).unwrap();
    let report = weir_report::write_all(dir.path()).unwrap();
    let verdicts = &report.summary().verdicts;
    let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    let [supported, contradicted] = [Outcome::Supported, Outcome::Contradicted];
    assert_eq!(outcomes, [supported, contradicted, contradicted, Outcome::Inconclusive]);
    assert_eq!(verdicts[0].known, Some(Known::AtLeast));
    for (finding, expected) in report
        .findings()
        .iter()
        .zip(["in the kernel, at socket is ≥ 4.00 times", "in the kernel, at xdp is 2.00 times"])
    {
        assert!(finding.contains(expected), "{finding}");
    }
    let capacity = table(dir.path(), "capacity");
    assert_eq!(capacity[1][0], "NDR");
    assert!(capacity[1][3].starts_with("≥ 400"), "{capacity:?}");
    let heads = ["goal", "invalid %", "user", "kernel, at socket", "kernel, at xdp"];
    assert_eq!(capacity[0][..heads.len()], heads);
    assert!(capacity[1][5].starts_with("≥ 4.00 [4.00, 4.00]"), "{capacity:?}");
    let bars = fs::read_to_string(dir.path().join("plots/capacity-ndr.svg")).unwrap();
    assert!(bars.contains("limited by the generator"));
}

#[test]
fn two_kernel_filters_are_two_series() {
    let mut samples = Experiment::quick().samples();
    let robust: Vec<_> = samples
        .iter()
        .filter(|sample| sample.cell.placement == Placement::Kernel)
        .map(|sample| {
            let mut robust = sample.clone();
            robust.index += 1000;
            robust.cell.filter = weir_filters::FilterName::RobustValidCommand;
            robust
        })
        .collect();
    samples.extend(robust);
    let dir = folder_of(&samples);
    weir_report::write_all(dir.path()).unwrap();
    let ratios = fs::read_to_string(dir.path().join("tables/ratios.csv")).unwrap();
    assert_eq!(ratios.matches("kernel, robust-valid-command").count(), 3, "{ratios}");
    assert_eq!(ratios.matches("kernel, valid-command").count(), 3, "{ratios}");
}

#[test]
fn the_first_runs_say_what_two_runs_were_worth() {
    let few = Experiment { percents: vec![50], repetitions: 19, ..Experiment::quick() };
    let dir = folder_of(&few.samples());
    weir_report::write_all(dir.path()).unwrap();
    assert!(!dir.path().join("tables/narrowing.csv").exists(), "19 runs show too little of it");

    let dir = folder_of(&Experiment { repetitions: 24, ..few }.samples());
    weir_report::write_all(dir.path()).unwrap();
    let narrowing = table(dir.path(), "narrowing");
    let first: Vec<_> = narrowing[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(first, ["2", "3", "5", "6", "10", "20", "24"]);
    assert_eq!(narrowing[1][1..3], ["none exists: a range", "50.0 %"]);
    assert!(narrowing[1][3].contains("(range "), "{narrowing:?}");
    assert_eq!(narrowing[4][1], "yes");
    assert!(narrowing[4][3].contains('['), "{narrowing:?}");
    let chart = fs::read_to_string(dir.path().join("plots/narrowing-ratio.svg")).unwrap();
    assert!(chart.contains("no 95 % interval exists"), "the marks of few runs say so");
}

#[test]
fn a_filters_own_time_is_less_an_accept_all_programs() {
    let mut samples = Experiment { percents: vec![0], ..Experiment::quick() }.samples();
    for sample in &mut samples {
        let kernel = sample.cell.placement == Placement::Kernel;
        let noise = u64::from(sample.repetition);
        if kernel {
            let (accept_all_ns, program_ns) = (vec![10, 12], vec![20 + noise, 22 + noise]);
            sample.test_run = Some(TestRun { runs_a_batch: 1000, accept_all_ns, program_ns });
        }
        let us = if kernel { 300_000 } else { 200_000 };
        (sample.client_cost.user_us, sample.client_cost.system_us) = (us, 0);
    }
    let dir = folder_of(&samples);
    let report = weir_report::write_all(dir.path()).unwrap();
    let [cost] = report.summary().filter_costs.as_slice() else { panic!("one program decides") };
    let test_run = cost.test_run_ns.unwrap();
    assert_eq!((test_run.median, test_run.low, test_run.high), (12.5, 10.0, 15.0));
    assert_eq!(cost.client_cpu_ns.unwrap().median.round(), 500.0, "0.1 s more over 200 000 packets");
    let row = &table(dir.path(), "filter-cost")[1];
    assert!(row.contains(&"12.5 [10.0, 15.0]".to_owned()), "{row:?}");
    let html = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(html.contains("measures itself"), "it says why the two differ");
}

#[test]
fn the_trials_of_a_search_make_no_columns() {
    let mut samples = varied(&[1000_u64, 2000, 3000], |cell, rate| cell.conditions.rate = Some(rate));
    for sample in &mut samples {
        let is_cost = sample.cell.conditions.rate == Some(3000);
        sample.experiment = if is_cost { "capacity-cost" } else { "capacity" }.to_owned();
    }
    let dir = folder_of(&samples);
    let report = weir_report::write_all(dir.path()).unwrap();
    let overview = table(dir.path(), "overview");
    assert_eq!(overview[0][..2], ["invalid %", "server CPU µs/packet, user"]);
    assert_eq!(overview.len(), 1 + 3, "the runs at the common rate alone: {overview:?}");
    assert_eq!(table(dir.path(), "runs").len(), 1 + samples.len(), "every trial is there as data");
    assert!(report.title().starts_with("capacity: "), "{}", report.title());
    let resume = "`weir capacity --resume DIR`";
    assert!(report.remarks().iter().any(|remark| remark.contains(resume)), "{:?}", report.remarks());

    fs::write(dir.path().join("capacity.json"), "{}").unwrap();
    let report = weir_report::write_all(dir.path()).unwrap();
    assert!(!report.remarks().iter().any(|remark| remark.contains("not complete")), "{:?}", report.remarks());
}
