//! `summary.json`: every estimate of the report, for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_results::{
    cell::Cell,
    figure::Figure,
    ledger::Ledger,
    sample::Sample,
    stats::{EndsKind, Estimate},
};

use crate::{
    grid::{CellRuns, Contrast, SampleGrid},
    sections::filter_cost::{self, FilterCost},
    verdict::Ruling,
};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The cells of the grid.
    pub cells: Vec<CellSummary>,
    /// Kernel ÷ user, where both were run.
    pub ratios: Vec<RatioSummary>,
    /// One toolkit ÷ another, where both were run in the kernel.
    pub toolkit_ratios: Vec<RatioSummary>,
    /// What the definition's rules come to.
    #[serde(default)]
    pub verdicts: Vec<Ruling>,
    /// What each filter costs by itself, where programs were timed.
    #[serde(default)]
    pub filter_costs: Vec<FilterCost>,
    /// Samples left out of every estimate.
    pub invalid_samples: usize,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// Sound runs.
    pub runs: usize,
    /// Runs left out.
    pub invalid_runs: usize,
    /// Every figure that a run has, by its name, in its unit.
    pub figures: BTreeMap<String, Estimate>,
    /// Where the packets of all sound runs went, added up; null where none keeps counts.
    pub ledger: Option<Ledger>,
}

/// One cell ÷ another under otherwise equal conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioSummary {
    /// The cell whose figure is divided.
    #[serde(flatten)]
    pub cell: Cell,
    /// What is divided by what: "kernel ÷ user", "fun ÷ aya".
    pub quotient: String,
    /// The series that this cell belongs to, as the report calls it.
    pub series: String,
    /// Of every figure that has one, by its name.
    pub figures: BTreeMap<String, Ratio>,
}

/// A median of paired ratios with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The median ratio.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What the ends are.
    pub kind: EndsKind,
    /// Pairs of runs.
    pub pairs: usize,
    /// Probability that the ends enclose the true median ratio.
    pub coverage: f64,
}

impl From<Estimate> for Ratio {
    fn from(ratio: Estimate) -> Self {
        let Estimate { median, low, high, runs, kind, coverage } = ratio;
        Self { estimate: median, low, high, kind, pairs: runs, coverage }
    }
}

impl Summary {
    /// The summary of `grid`.
    pub(super) fn of(grid: &SampleGrid, verdicts: Vec<Ruling>) -> Self {
        let ratios = |contrast| {
            let comparisons = grid.compared(contrast).into_iter();
            let summary = comparisons.map(|comparison| RatioSummary {
                cell: comparison.cell.cell.clone(),
                quotient: comparison.quotient(),
                series: grid.label_of(&comparison.cell.cell),
                figures: by_name(|figure| comparison.ratio(figure)),
            });
            summary.collect()
        };
        Self {
            cells: grid.cells().map(cell_summary).collect(),
            ratios: ratios(Contrast::Placement),
            toolkit_ratios: ratios(Contrast::Toolkit),
            verdicts,
            filter_costs: filter_cost::costs(grid),
            invalid_samples: grid.invalid.len(),
        }
    }

    /// The file's text.
    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("the summary has no map with other keys");
        text.push('\n');
        text
    }
}

fn cell_summary(runs: &CellRuns) -> CellSummary {
    CellSummary {
        cell: runs.cell.clone(),
        runs: runs.sound.len(),
        invalid_runs: runs.invalid,
        figures: by_name(|figure| runs.estimate(figure)),
        ledger: total_ledger(&runs.sound),
    }
}

fn by_name<T: From<Estimate>>(of: impl Fn(Figure) -> Option<Estimate>) -> BTreeMap<String, T> {
    let named = |figure: Figure| Some((figure.slug().to_owned(), of(figure)?.into()));
    Figure::ALL.into_iter().filter_map(named).collect()
}

/// The ledgers of `samples` added up; nothing where none has one.
pub(super) fn total_ledger(samples: &[Sample]) -> Option<Ledger> {
    samples.iter().filter_map(|sample| sample.ledger.clone()).reduce(|all, ledger| all.plus(&ledger))
}
