//! What a filter costs by itself: its time less an accept-all program's, as the kernel tells it in two ways, beside what
//! the processes pay.

use serde::{Deserialize, Serialize};
use weir_results::{
    cell::Cell,
    figure::Figure,
    number::{estimate, number},
    sample::TestRun,
    stats::{Estimate, paired_differences},
};

use crate::{
    grid::{CellPair, Contrast, SampleGrid},
    place::Place,
    table::Table,
    tables::{heads, or_dash},
};

const WHY_THEY_DIFFER: &str = "Both are less the accept-all program's: run_time_ns of the user cell's in the same \
    repetition, test runs of one by the same toolkit in turn with them. They differ because run_time_ns takes two readings \
    of the clock on every run and so measures itself, on packets that come with cold caches; a test run repeats one PUT \
    with warm caches and no receive path around it, and reads the clock once a batch. CPU time is kernel − user of whole \
    processes per packet sent: over loopback the sender's CPU runs the program, so that the filter's cost shows there and \
    not with the server, and the statistics' clock readings in it are on both sides. With invalid packets it holds what \
    dropping them saves as well.";

/// What the filter of a cell costs by itself: nanoseconds, each the median of differences to the cell that accepts all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterCost {
    /// The cell whose program decides.
    #[serde(flatten)]
    pub cell: Cell,
    /// The series that it belongs to, as the report calls it.
    pub series: String,
    /// By the kernel's statistics, `run_time_ns` ÷ `run_cnt`, a run.
    pub program_run_ns: Option<Estimate>,
    /// By test runs, a run.
    pub test_run_ns: Option<Estimate>,
    /// CPU time of the server, a packet sent.
    pub server_cpu_ns: Option<Estimate>,
    /// CPU time of the clients, a packet sent.
    pub client_cpu_ns: Option<Estimate>,
}

impl FilterCost {
    fn of(grid: &SampleGrid, comparison: &CellPair<'_>) -> Self {
        let cell = comparison.cell.cell.clone();
        let us = |figure| difference(comparison, figure, 1e3);
        Self {
            series: grid.label_of(&cell),
            cell,
            program_run_ns: difference(comparison, Figure::ProgramRun, 1.0),
            test_run_ns: comparison.cell.estimate(Figure::TestRun),
            server_cpu_ns: us(Figure::ServerCpu),
            client_cpu_ns: us(Figure::ClientCpu),
        }
    }
}

/// The cell's figure less its base's in the same repetition, times `unit`.
fn difference(comparison: &CellPair<'_>, figure: Figure, unit: f64) -> Option<Estimate> {
    let (cell, base) = (comparison.cell.by_repetition(figure), comparison.base.by_repetition(figure));
    let differences = paired_differences(&cell, &base);
    Estimate::of(&differences.iter().map(|difference| difference * unit).collect::<Vec<_>>())
}

fn measured(grid: &SampleGrid) -> Vec<CellPair<'_>> {
    let timed = |comparison: &CellPair<'_>| {
        [Figure::ProgramRun, Figure::TestRun].iter().any(|&figure| comparison.cell.estimate(figure).is_some())
    };
    grid.compared(Contrast::Placement).into_iter().filter(timed).collect()
}

/// The cost of every filter that decided while programs were timed.
pub(crate) fn costs(grid: &SampleGrid) -> Vec<FilterCost> {
    measured(grid).iter().map(|comparison| FilterCost::of(grid, comparison)).collect()
}

/// The cost of each filter in a sentence.
pub(super) fn findings(grid: &SampleGrid) -> Vec<String> {
    let text = |found: &Estimate| estimate(found, |value| number(value, 3));
    let sentence = |cost: &FilterCost| {
        let ways = [
            (&cost.test_run_ns, "by test runs"),
            (&cost.program_run_ns, "by run_time_ns, which measures itself"),
        ];
        let told = ways.iter().filter_map(|(found, way)| Some(format!("{} ns {way}", text(found.as_ref()?))));
        let told: Vec<_> = told.collect();
        let place = Place::of(&cost.cell).phrase(&grid.dimensions);
        format!(
            "At {place}, a run of the filter ({}) takes longer than one of an accept-all program by {}.",
            cost.series,
            told.join(", and ")
        )
    };
    costs(grid).iter().map(sentence).collect()
}

/// The same as a table; nothing where no program was timed.
pub(super) fn table(grid: &SampleGrid) -> Option<Table> {
    let ns = |found| or_dash(found, |value| number(value, 3));
    let row = |comparison: &CellPair<'_>| {
        let CellPair { cell, base, .. } = comparison;
        let cost = FilterCost::of(grid, comparison);
        let test_runs = |of: fn(&TestRun) -> &[u64]| {
            let runs = cell.sound.iter().filter_map(|sample| sample.test_run.as_ref());
            let all: Vec<_> = runs.flat_map(|run| of(run).iter().map(|&ns| ns as f64)).collect();
            ns(Estimate::of(&all))
        };
        let mut row = vec![cost.series];
        row.extend(Place::of(&cost.cell).row(&grid.dimensions));
        row.extend([
            ns(cost.program_run_ns),
            ns(cost.test_run_ns),
            ns(cost.server_cpu_ns),
            ns(cost.client_cpu_ns),
            ns(base.estimate(Figure::ProgramRun)),
            ns(cell.estimate(Figure::ProgramRun)),
            test_runs(|run| &run.accept_all_ns),
            test_runs(|run| &run.program_ns),
        ]);
        row
    };
    let figures = [
        "the filter's own ns per run, by run_time_ns",
        "the filter's own ns per run, by test runs",
        "server CPU, kernel − user, ns/packet",
        "sender's CPU, kernel − user, ns/packet",
        "run_time_ns ÷ run_cnt: accept-all",
        "the same: the filter",
        "batches of test runs, ns per run: accept-all",
        "the same: the filter",
    ];
    let rows: Vec<_> = measured(grid).iter().map(row).collect();
    let columns = std::iter::once("series".to_owned()).chain(heads(&grid.dimensions));
    (!rows.is_empty()).then(|| Table {
        slug: "filter-cost".to_owned(),
        title: "The filter's own ns per run".to_owned(),
        columns: columns.chain(figures.map(str::to_owned)).collect(),
        rows,
        note: WHY_THEY_DIFFER.to_owned(),
    })
}
