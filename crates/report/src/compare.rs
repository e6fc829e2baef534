//! Two results folders side by side: the cells that both have.

use std::path::Path;

use serde::Serialize;
use weir_output::terminal;
use weir_results::{
    capacity::{Capacity, Known},
    cell::{Cell, name_of},
    figure::Figure,
    number::{estimate, ratio},
    sample::Sample,
    stats::{Estimate, Shift},
    store,
};

use crate::{
    grid::{CellRuns, SampleGrid},
    searches::{Searches, is_trial},
    table::Table,
    tables::figure_text,
};

/// What two results say of the same cells.
#[derive(Clone, Debug)]
pub struct FolderComparison {
    rows: Vec<ComparedFigure>,
    /// Cells of the first folder alone, and of the second.
    alone: (usize, usize),
    /// Whether the two hold the same runs.
    same_runs: bool,
}

/// One figure of one cell.
#[derive(Clone, Debug, Serialize)]
struct ComparedFigure {
    name: String,
    cell: Cell,
    figure: &'static str,
    unit: &'static str,
    before: ComparedSide,
    after: ComparedSide,
    /// `after` ÷ `before`; nothing where a side is zero throughout.
    ratio: Option<f64>,
    /// Ends of the ratio's 95 % interval.
    interval: Option<(f64, f64)>,
    /// Whether the interval excludes that nothing changed.
    change_shown: bool,
    /// Whether the change is for the better; nothing where none was shown, or it is neither better nor worse.
    better: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
struct ComparedSide {
    median: f64,
    runs: usize,
    #[serde(skip)]
    text: String,
}

impl FolderComparison {
    /// Compares the results folder `after` with `before`. Runs of the two are not pairs: the ratio is that of
    /// independent samples ([`Shift`]).
    ///
    /// # Errors
    /// A folder can't be read, or the two have no cell in common.
    pub fn read(before: &Path, after: &Path) -> anyhow::Result<Self> {
        let (ours, theirs) = (store::read(before)?.samples, store::read(after)?.samples);
        let same_runs = ours == theirs;
        // A search's trials are at rates that nobody asked about.
        let grid = |samples: &[Sample]| {
            let placed: Vec<_> = samples.iter().filter(|sample| !is_trial(sample)).cloned().collect();
            SampleGrid::of(&placed)
        };
        let (first, second) = (grid(&ours), grid(&theirs));
        let mut rows = Vec::new();
        let mut common = 0;
        for ours in first.cells() {
            let Some(theirs) = second.cells().find(|runs| runs.cell == ours.cell) else { continue };
            common += 1;
            rows.extend(Figure::ALL.into_iter().filter_map(|figure| row(figure, ours, theirs)));
        }
        rows.extend(capacities(&Searches::read(before), &Searches::read(after)));
        anyhow::ensure!(
            !rows.is_empty(),
            "{} and {} have no cell in common: they are results of different experiments or grids{}{}",
            before.display(),
            after.display(),
            first_cell("A", &first),
            first_cell("B", &second)
        );
        let alone = (first.cells().count() - common, second.cells().count() - common);
        Ok(Self { rows, alone, same_runs })
    }

    /// For programs.
    ///
    /// # Errors
    /// Never in practice: every number is finite or null.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&self.rows)? + "\n")
    }

    /// For people: the answer, the differences that were shown, and with `all` the rest too; `plain` as for
    /// [`crate::Report::to_terminal`].
    pub fn to_terminal(&self, plain: bool, all: bool) -> String {
        let rows: Vec<_> =
            self.rows.iter().filter(|row| all || row.change_shown).map(ComparedFigure::to_text).collect();
        let fitted = |text: String| if plain { text } else { terminal::wrapped(&text) };
        let answer = fitted(self.answer());
        if rows.is_empty() {
            return format!("{answer}\n{}", fitted(format!("{}\n", self.note(all))));
        }
        let columns = ["cell", "figure", "A", "B", "B ÷ A", ""].map(str::to_owned).to_vec();
        let title = if all { "A against B" } else { "A against B, where they differ" };
        let note = self.note(all);
        let table = Table { slug: "compare".into(), title: title.into(), columns, rows, note };
        format!("{answer}\n\n{}", table.to_terminal(plain))
    }

    fn answer(&self) -> String {
        let count = |is: &dyn Fn(&ComparedFigure) -> bool| self.rows.iter().filter(|row| is(row)).count();
        let (better, worse) =
            (count(&|row| row.better == Some(true)), count(&|row| row.better == Some(false)));
        let other = count(&|row| row.change_shown && row.better.is_none());
        let decided = count(&|row| row.interval.is_some());
        let same =
            if self.same_runs { "A and B hold the same runs: there is nothing to compare. " } else { "" };
        let shown = better + worse + other;
        if shown == 0 {
            return format!("{same}No difference was shown in any of {decided} comparisons.");
        }
        let moved = if other > 0 { format!("{other} moved otherwise; ") } else { String::new() };
        format!(
            "{same}Of {decided} comparisons, B is better in {better} and worse in {worse}; {moved}{} have no difference \
             shown. By chance alone about {} would differ.",
            decided - shown,
            decided.div_ceil(20)
        )
    }

    fn note(&self, all: bool) -> String {
        let mut note =
            "Ratios are B ÷ A with the 95 % interval of independent samples (Hodges-Lehmann, Mann-Whitney). \
             One interval in twenty misses the truth; figures of one cell move together."
                .to_owned();
        if self.alone != (0, 0) {
            note +=
                &format!(" Not compared: {} cells of A alone, {} of B alone.", self.alone.0, self.alone.1);
        }
        let few = self.rows.iter().filter(|row| row.ratio.is_some() && row.interval.is_none()).count();
        if few > 0 {
            note += &format!(" In {few} comparisons there are too few runs for an interval.");
        }
        if !all {
            note += " --all prints every comparison.";
        }
        note
    }
}

fn first_cell(name: &str, grid: &SampleGrid) -> String {
    grid.cells().next().map_or_else(String::new, |runs| format!("; {name} has, say, {}", name_of(&runs.cell)))
}

/// The capacities that both folders searched for.
fn capacities(before: &Searches, after: &Searches) -> Vec<ComparedFigure> {
    let figure_of = |goal: &str| [Figure::Ndr, Figure::Pdr].into_iter().find(|one| one.goal() == Some(goal));
    let row = |ours: &Capacity| {
        let theirs =
            after.capacities().iter().find(|one| (&one.goal, &one.cell) == (&ours.goal, &ours.cell))?;
        let exact = [ours, theirs].iter().all(|one| one.known == Known::Exactly);
        row_of(figure_of(&ours.goal)?, &ours.cell, (&ours.searches, &theirs.searches), exact)
    };
    before.capacities().iter().filter_map(row).collect()
}

fn row(figure: Figure, ours: &CellRuns, theirs: &CellRuns) -> Option<ComparedFigure> {
    row_of(figure, &ours.cell, (&ours.values(figure), &theirs.values(figure)), true)
}

/// Where the values are bounds, no difference can be shown.
fn row_of(
    figure: Figure,
    cell: &Cell,
    (ours, theirs): (&[f64], &[f64]),
    exact: bool,
) -> Option<ComparedFigure> {
    let shift = Shift::of(ours, theirs).filter(|_| exact);
    let change_shown = shift.is_some_and(|shift| shift.is_shown());
    let lower = shift.is_some_and(|shift| shift.ratio < 1.0);
    Some(ComparedFigure {
        name: name_of(cell),
        cell: cell.clone(),
        figure: figure.title(),
        unit: figure.unit(),
        before: side(ours, figure, exact)?,
        after: side(theirs, figure, exact)?,
        ratio: shift.map(|shift| shift.ratio),
        interval: shift.and_then(|shift| shift.interval),
        change_shown,
        better: figure.lower_is_better().filter(|_| change_shown).map(|lower_is| lower_is == lower),
    })
}

fn side(values: &[f64], figure: Figure, exact: bool) -> Option<ComparedSide> {
    let median = Estimate::of(values)?;
    let bound = if exact { "" } else { "at the generator's ceiling " };
    let text = format!("{bound}{}", estimate(&median, |value| figure_text(figure, value)));
    Some(ComparedSide { median: median.median, runs: median.runs, text })
}

impl ComparedFigure {
    fn to_text(&self) -> Vec<String> {
        let change = match (self.ratio, self.interval) {
            (Some(value), Some((low, high))) => format!("{} [{}, {}]", ratio(value), ratio(low), ratio(high)),
            (Some(value), None) => format!("{} (too few runs for an interval)", ratio(value)),
            (None, _) => "–".to_owned(),
        };
        let better = match self.better {
            Some(true) => ": better",
            Some(false) => ": worse",
            None => "",
        };
        let verdict = match self.ratio {
            Some(value) if self.change_shown && value < 1.0 => format!("B is lower{better}"),
            Some(_) if self.change_shown => format!("B is higher{better}"),
            _ => "no difference shown".to_owned(),
        };
        vec![
            self.name.clone(),
            format!("{}, {}", self.figure, self.unit),
            self.before.text.clone(),
            self.after.text.clone(),
            change,
            verdict,
        ]
    }
}
