//! Reports of what the server's process used, of other people's servers and clients, and of many series at once.

mod synthetic;

use std::{fs, path::Path};

use weir_filters::{FilterName, Toolkit};
use weir_report::Report;
use weir_results::{cell::Placement, sample::Sample, store};

use synthetic::{Experiment, folder_of, table};

fn cell(report: &Report, table: &str, at: &[(&str, &str)], column: &str) -> String {
    let at: Vec<_> = at.iter().map(|&(head, value)| (head.to_owned(), value.to_owned())).collect();
    report.cell(table, &at, column).unwrap()
}

#[test]
fn server_cpu_is_shown_with_and_without_start_up_and_says_which_is_which() {
    let mut samples = Experiment::quick().samples();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results/kernel-or-user");
    let record = store::read(&kept).unwrap().samples.remove(0).server.unwrap();
    for sample in &mut samples {
        let share = if sample.cell.placement == Placement::Kernel { 1 } else { 2 };
        let mut server = record.clone();
        (server.served.cost.user_us, server.served.cost.system_us) = (10_000 * share, 0);
        sample.server = Some(server);
        // Start-up takes as long on either side.
        (sample.server_cost.user_us, sample.server_cost.system_us) = (10_000 * share + 20_000, 0);
    }
    let dir = folder_of(&samples);
    let report = weir_report::write_all(dir.path()).unwrap();
    let at_99 = [("invalid", "99")];
    assert_eq!(cell(&report, "ratios", &at_99, "server CPU"), "0.50 [0.50, 0.50]");
    assert_eq!(cell(&report, "ratios", &at_99, "server CPU, start-up included"), "0.75 [0.75, 0.75]");
    let in_kernel = [("series", "kernel"), ("invalid", "99")];
    assert_eq!(
        cell(&report, "process", &in_kernel, "Server CPU time per packet sent"),
        "0.0500 [0.0500, 0.0500]"
    );
    assert_eq!(
        cell(&report, "process", &in_kernel, "CPU time of the server's whole"),
        "0.150 [0.150, 0.150]"
    );
    let summary = fs::read_to_string(dir.path().join("summary.json")).unwrap();
    assert!(summary.contains("\"server-cpu-process\""));
    assert!(
        report.findings()[0].contains("with the server's start-up it is 0.75 [0.75, 0.75]."),
        "{:?}",
        report.findings()
    );
    for file in ["report.md", "report.html", "plots/server-cpu.svg"] {
        let text = fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(text.contains("counts from readiness to the end"), "{file}");
    }
}

#[test]
fn share_faults_switches_and_memory_stand_by_percent_and_placement() {
    let dir = folder_of(&Experiment::quick().samples());
    let report = weir_report::write_all(dir.path()).unwrap();
    let process = table(dir.path(), "process");
    let heads = [
        "series",
        "invalid %",
        "CPU share of the server, %",
        "Page faults",
        "Voluntary context switches",
        "Involuntary context switches",
        "Peak memory, MiB",
    ];
    assert_eq!(process[0][..heads.len()], heads);
    assert_eq!(process.len(), 1 + 6);
    let at = [("series", "user"), ("invalid", "50")];
    for (column, expected) in [("Page faults", "210"), ("Involuntary", "7.00"), ("Peak memory", "6.05")] {
        let text = cell(&report, "process", &at, column);
        assert!(text.starts_with(expected), "{column}: {text}");
    }
}

/// The report's grid with `repetitions` runs of two servers, each with each of two clients.
fn pairings(repetitions: u32) -> Vec<Sample> {
    let mut samples = Vec::new();
    let grid =
        Experiment { percents: vec![1, 99], packets: vec![100, 1000], repetitions, ..Experiment::paper() };
    for (number, (server, client)) in
        [(None, None), (None, Some("haskell")), (Some("haskell"), None), (Some("haskell"), Some("haskell"))]
            .into_iter()
            .enumerate()
    {
        for mut sample in grid.samples() {
            sample.index += number as u64 * 10_000;
            sample.cell.external_server = server.map(str::to_owned);
            sample.cell.external_client = client.map(str::to_owned);
            sample.wall_s = sample.wall_s.map(|wall_s| if client.is_some() { wall_s + 1.0 } else { wall_s });
            samples.push(sample);
        }
    }
    samples
}

#[test]
fn each_pairing_has_its_table_of_loss_with_the_runs_that_answered_and_of_wall_time() {
    let dir = folder_of(&pairings(20));
    weir_report::write_all(dir.path()).unwrap();
    for number in 1..=4 {
        let loss = table(dir.path(), &format!("pairing-{number}-loss"));
        assert_eq!(loss[0], ["invalid %", "decides", "100 packets", "1\u{a0}000 packets"]);
        assert_eq!(loss.len(), 1 + 2 * 2);
        assert_eq!(loss[1][..2], ["1", "user"]);
        assert!(loss[1][3].ends_with("; 20 of 20 runs answered"), "{loss:?}");
        assert_eq!(table(dir.path(), &format!("pairing-{number}-wall")).len(), 1 + 2 * 2);
    }
    let page = fs::read_to_string(dir.path().join("report.md")).unwrap();
    assert!(page.contains("Loss of valid requests, %: server haskell, client weir's"), "{page}");
}

#[test]
fn what_an_external_client_sleeps_is_said_and_taken_off_in_a_column_of_its_own() {
    let dir = folder_of(&pairings(6));
    let unsaid = weir_report::write_all(dir.path()).unwrap();
    let text = unsaid.to_terminal(true);
    assert!(text.contains("the definition doesn't say how long (sleeps_s)"), "{text}");
    fs::write(dir.path().join("definition.toml"), "[external_client.haskell]\nsleeps_s = 1.0\n").unwrap();
    let told = weir_report::write_all(dir.path()).unwrap();
    let at = [("server", "weir's"), ("client", "haskell"), ("invalid", "99"), ("packets", "1000")];
    let median =
        |column| cell(&told, "pairings", &at, column).split(' ').next().unwrap().parse::<f64>().unwrap();
    let (with, without) =
        (median("wall time, s, user"), median("wall time less the client's sleep, s, user"));
    assert!((with - without - 1.0).abs() < 0.001, "{with} {without}");
    for file in ["report.md", "report.html", "plots/wall-1-percent.svg"] {
        let text = fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(text.replace('\\', "").contains("it sleeps 1.00 s of them by itself"), "{file}");
    }
}

/// The quick experiment with its filter by `toolkits`, and twice as many filters.
fn many_series(toolkits: &[Toolkit]) -> Vec<Sample> {
    let mut samples = Experiment::quick().samples();
    let kernel: Vec<_> =
        samples.iter().filter(|sample| sample.cell.placement == Placement::Kernel).cloned().collect();
    let filters = [FilterName::ValidCommand, FilterName::RobustValidCommand];
    let others = toolkits.iter().flat_map(|&toolkit| filters.map(|filter| (toolkit, filter)));
    for (number, (toolkit, filter)) in (1..).zip(others) {
        for mut sample in kernel.clone() {
            sample.index += number * 1000;
            (sample.cell.toolkit, sample.cell.filter) = (toolkit, filter);
            samples.push(sample);
        }
    }
    samples
}

#[test]
fn at_a_glance_there_are_few_columns_chosen_by_what_the_rules_are_about() {
    let dir = folder_of(&many_series(&[Toolkit::Fun, Toolkit::C]));
    let rule = "[[verdicts]]\nhypothesis = 'T3'\nclaim = 'c'\nfigure = 'wall'\ncompare = 'kernel-user'\n\
                direction = 'below'\nsmallest_effect = 5.0\n";
    fs::write(dir.path().join("definition.toml"), rule).unwrap();
    weir_report::write_all(dir.path()).unwrap();
    let overview = table(dir.path(), "overview");
    let heads = [
        "invalid %",
        "series",
        "Wall time, s",
        "wall time, ÷ user",
        "Server CPU time per packet sent, µs",
        "server CPU time, ÷ user",
        "server CPU time, ÷ aya",
        "Loss of valid requests, %",
    ];
    assert_eq!(overview[0], heads);
    assert_eq!(overview.len(), 1 + 3 * 6);
    let user = overview.iter().find(|row| row[1] == "user").unwrap();
    assert_eq!(user[3], "", "what nothing is compared with has no ratio");
}

#[test]
fn an_axis_that_is_logarithmic_says_so() {
    let dir = folder_of(&Experiment::paper().samples());
    weir_report::write_all(dir.path()).unwrap();
    let svg = fs::read_to_string(dir.path().join("plots/wall-99-percent.svg")).unwrap();
    assert!(
        svg.contains("packets (logarithmic)</text>") && svg.contains("wall time, s (logarithmic)</text>"),
        "{svg}"
    );
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.contains("wall time, s (logarithmic)</text>"));
    let linear = folder_of(&Experiment::quick().samples());
    weir_report::write_all(linear.path()).unwrap();
    let svg = fs::read_to_string(linear.path().join("plots/wall.svg")).unwrap();
    assert!(!svg.contains("(logarithmic)"), "{svg}");
}

#[test]
fn an_aggregate_difference_names_its_filter_and_its_packets() {
    let dir = folder_of(&Experiment::paper().samples());
    let report = weir_report::write_all(dir.path()).unwrap();
    let at = [("filter", "valid-command"), ("cells", "over percents, at 100 000 packets")];
    assert_eq!(cell(&report, "report-aggregate", &at, "packets"), "100\u{a0}000");
    assert_eq!(cell(&report, "report-aggregate", &at, "the report's"), "0.0974");
    let whole = [("filter", "valid-command"), ("cells", "over the whole grid")];
    assert_eq!(cell(&report, "report-aggregate", &whole, "packets"), "100 to 10\u{a0}000\u{a0}000");
}
