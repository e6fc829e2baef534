//! Two results folders side by side: the cells that both have.

use std::path::Path;

use serde::Serialize;

use super::{
    figure::Figure,
    grid::{CellRuns, Grid},
    number::{estimate, number, ratio},
    table::Table,
};
use crate::{cell::Cell, experiment::progress::name_of, stats::Shift, store};

/// What two results say of the same cells.
#[derive(Clone, Debug)]
pub struct Comparison {
    rows: Vec<Row>,
    /// Cells of the first folder alone, and of the second.
    alone: (usize, usize),
}

/// One figure of one cell.
#[derive(Clone, Debug, Serialize)]
struct Row {
    name: String,
    cell: Cell,
    figure: &'static str,
    unit: &'static str,
    before: Side,
    after: Side,
    /// `after` ÷ `before`; nothing where a side is zero throughout.
    ratio: Option<f64>,
    /// Ends of the ratio's 95 % interval.
    interval: Option<(f64, f64)>,
    /// Whether the interval excludes that nothing changed.
    change_shown: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Side {
    median: f64,
    runs: usize,
    #[serde(skip)]
    text: String,
}

impl Comparison {
    /// Compares the results folder `after` with `before`. Runs of the two are not pairs: the ratio is that of
    /// independent samples ([`Shift`]).
    ///
    /// # Errors
    /// A folder can't be read, or the two have no cell in common.
    pub fn read(before: &Path, after: &Path) -> anyhow::Result<Self> {
        let grid = |dir: &Path| store::read(dir).map(|saved| Grid::of(&saved.samples));
        let (first, second) = (grid(before)?, grid(after)?);
        let mut rows = Vec::new();
        let mut common = 0;
        for ours in first.cells() {
            let Some(theirs) = second.cells().find(|runs| runs.cell == ours.cell) else { continue };
            common += 1;
            rows.extend(Figure::ALL.into_iter().filter_map(|figure| row(figure, ours, theirs)));
        }
        anyhow::ensure!(
            common > 0,
            "{} and {} have no cell in common: they are results of different experiments or grids",
            before.display(),
            after.display()
        );
        Ok(Self { rows, alone: (first.cells().count() - common, second.cells().count() - common) })
    }

    /// For programs.
    ///
    /// # Errors
    /// Never in practice: every number is finite or null.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&self.rows)? + "\n")
    }

    /// For people; `plain` as for [`super::Report::to_terminal`].
    pub fn to_terminal(&self, plain: bool) -> String {
        let mut note =
            "Ratios are B ÷ A with the 95 % interval of independent samples (Hodges-Lehmann, Mann-Whitney). \
                        One interval in twenty misses the truth."
                .to_owned();
        if self.alone != (0, 0) {
            note +=
                &format!(" Not compared: {} cells of A alone, {} of B alone.", self.alone.0, self.alone.1);
        }
        let columns = ["cell", "figure", "A", "B", "B ÷ A", ""].map(str::to_owned).to_vec();
        let rows = self.rows.iter().map(Row::to_text).collect();
        Table { slug: "compare".into(), title: "A against B".into(), columns, rows, note }.to_terminal(plain)
    }
}

fn row(figure: Figure, ours: &CellRuns, theirs: &CellRuns) -> Option<Row> {
    let shift = Shift::of(&ours.values(figure), &theirs.values(figure));
    Some(Row {
        name: name_of(&ours.cell),
        cell: ours.cell.clone(),
        figure: figure.title(),
        unit: figure.unit(),
        before: side(ours, figure)?,
        after: side(theirs, figure)?,
        ratio: shift.map(|shift| shift.ratio),
        interval: shift.and_then(|shift| shift.interval),
        change_shown: shift.is_some_and(|shift| shift.is_shown()),
    })
}

fn side(runs: &CellRuns, figure: Figure) -> Option<Side> {
    let median = runs.estimate(figure)?;
    let text = estimate(&median, |value| number(value, figure.digits()));
    Some(Side { median: median.median, runs: median.runs, text })
}

impl Row {
    fn to_text(&self) -> Vec<String> {
        let change = match (self.ratio, self.interval) {
            (Some(value), Some((low, high))) => format!("{} [{}, {}]", ratio(value), ratio(low), ratio(high)),
            (Some(value), None) => format!("{} (too few runs for an interval)", ratio(value)),
            (None, _) => "–".to_owned(),
        };
        let verdict = match self.ratio {
            Some(value) if self.change_shown => {
                if value < 1.0 {
                    "B is lower"
                } else {
                    "B is higher"
                }
            }
            _ => "no difference shown",
        };
        vec![
            self.name.clone(),
            format!("{}, {}", self.figure, self.unit),
            self.before.text.clone(),
            self.after.text.clone(),
            change,
            verdict.to_owned(),
        ]
    }
}
