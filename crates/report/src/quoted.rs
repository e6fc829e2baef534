//! Tables from which documents quote: every figure of every cell, every ratio, and how many runs there are, as a report
//! writes them.

use weir_results::{
    figure::Figure,
    number::{count, number},
    sample::Sample,
};

use crate::{
    grid::{CellPair, CellRuns, Contrast, SampleGrid},
    raw::{cell_heads, cell_row},
    table::Table,
    tables::{figure_text, or_dash, ratio_text},
};

/// The three of them.
pub(super) fn tables(grid: &SampleGrid, samples: &[Sample]) -> [Table; 3] {
    [figures(grid), quotients(grid), totals(samples)]
}

fn figure_heads() -> impl Iterator<Item = String> {
    Figure::ALL.into_iter().map(|figure| figure.slug().to_owned())
}

/// A row for each cell, a column for each figure.
fn figures(grid: &SampleGrid) -> Table {
    let row = |runs: &CellRuns| {
        let most = runs.values(Figure::Loss).into_iter().fold(f64::NEG_INFINITY, f64::max);
        let figure = |figure: Figure| or_dash(runs.estimate(figure), |value| figure_text(figure, value));
        let mut row = cell_row(&runs.cell);
        row.push(runs.sound.len().to_string());
        row.push(if most.is_finite() { number(most, Figure::Loss.digits()) } else { "–".to_owned() });
        row.extend(Figure::ALL.map(figure));
        row
    };
    Table {
        slug: "figures".to_owned(),
        title: "Every figure of every cell".to_owned(),
        columns: cell_heads().chain(["runs", "most-lost"].map(str::to_owned)).chain(figure_heads()).collect(),
        rows: grid.cells().map(row).collect(),
        note: String::new(),
    }
}

/// A row for each comparison, a column for the ratio of each figure.
fn quotients(grid: &SampleGrid) -> Table {
    let comparisons = Contrast::ALL.map(|contrast| grid.compared(contrast));
    let row = |comparison: &CellPair<'_>| {
        let mut row = vec![comparison.quotient()];
        row.extend(cell_row(&comparison.cell.cell));
        row.extend(Figure::ALL.map(|figure| ratio_text(comparison.ratio(figure))));
        row
    };
    Table {
        slug: "quotients".to_owned(),
        title: "Every ratio of every figure".to_owned(),
        columns: ["quotient".to_owned()].into_iter().chain(cell_heads()).chain(figure_heads()).collect(),
        rows: comparisons.iter().flatten().map(row).collect(),
        note: String::new(),
    }
}

/// How many runs there are, and how many of them account for every packet.
fn totals(samples: &[Sample]) -> Table {
    let of = |is: fn(&Sample) -> bool| samples.iter().filter(|sample| is(sample)).count() as u64;
    let counts = [
        ("runs", samples.len() as u64),
        ("sound", of(Sample::is_sound)),
        ("timed", of(Sample::is_timed)),
        ("audited", of(|sample| sample.audit.is_some())),
        ("balanced", of(|sample| sample.is_sound() && sample.ledger.is_some())),
    ];
    Table {
        slug: "totals".to_owned(),
        title: "Runs".to_owned(),
        columns: counts.map(|(name, _)| name.to_owned()).to_vec(),
        rows: vec![counts.map(|(_, runs)| count(runs)).to_vec()],
        note: String::new(),
    }
}
