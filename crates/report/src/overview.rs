//! The overview: what an experiment is about at a glance, in as few columns as can be read.

use std::collections::BTreeSet;

use weir_results::{
    figure::{Figure, SCOPE},
    rule::{Compare, Rule},
};

use crate::{
    grid::{CellPair, CellRuns, Contrast, SampleGrid, Series},
    place::Place,
    table::Table,
    tables::{estimate_text, heads, ratio_text},
};

/// So many columns can be read. A table with more, or whose first rule is about another figure than server CPU time and
/// loss, is turned, so that each series has a row of its own and each figure a column.
const MOST_COLUMNS: usize = 8;

const INTERVALS: &str = "Median [ends of an interval that covers the true median with 95 % or more]; with fewer than 6 \
    runs there is no such interval, and the smallest and largest value are given, called a range.";

/// Costs, loss and ratio of every place of the grid in one table, by what `rules` and grid are about.
pub(super) fn table(grid: &SampleGrid, rules: &[Rule]) -> Table {
    let comparisons: Vec<_> = grid.comparisons().into_iter().chain(grid.toolkit_comparisons()).collect();
    let quotients = quotients(grid, &comparisons);
    let wide = grid.dimensions.len() + 2 * grid.series.len() + quotients.len();
    let asked = rules.iter().map(|rule| rule.figure).find(|figure| figure.goal().is_none());
    let is_about_others = asked.is_some_and(|figure| ![Figure::ServerCpu, Figure::Loss].contains(&figure));
    let (columns, rows) = if wide > MOST_COLUMNS || is_about_others {
        Turned::of(grid, rules).filled()
    } else {
        by_place(grid, &comparisons, &quotients)
    };
    let constants = grid.constants();
    let everywhere = if constants.is_empty() { String::new() } else { format!(" Everywhere: {constants}.") };
    Table {
        slug: "overview".to_owned(),
        title: "At a glance".to_owned(),
        columns,
        rows,
        note: format!("{INTERVALS} {SCOPE}{everywhere} Other figures have tables of their own."),
    }
}

type Filled = (Vec<String>, Vec<Vec<String>>);

/// A row for each place, columns for the series.
fn by_place(grid: &SampleGrid, comparisons: &[CellPair<'_>], quotients: &[String]) -> Filled {
    let mut columns: Vec<_> = heads(&grid.dimensions).collect();
    let by_series =
        |what: &str| grid.series.iter().map(|s| format!("{what}, {}", grid.label(s))).collect::<Vec<_>>();
    columns.extend(by_series("server CPU µs/packet"));
    columns.extend(quotients.iter().map(|quotient| format!("server CPU, {quotient}")));
    columns.extend(by_series("loss %"));
    let row = |place: &Place| {
        let mut row = place.row(&grid.dimensions);
        let cells = |figure| grid.series.iter().map(move |s| estimate_text(grid, s, place, figure));
        row.extend(cells(Figure::ServerCpu));
        row.extend(quotients.iter().map(|quotient| {
            let here = comparisons.iter().find(|comparison| {
                comparison.place() == *place && quotient_of(grid, comparison) == *quotient
            });
            ratio_text(here.and_then(|comparison| comparison.ratio(Figure::ServerCpu)))
        }));
        row.extend(cells(Figure::Loss));
        row
    };
    (columns, grid.places.iter().map(row).collect())
}

/// A row for each place and series.
struct Turned<'a> {
    grid: &'a SampleGrid,
    /// What the rules judge by, and what every experiment is about.
    figures: Vec<Figure>,
    /// The figures of which there is a ratio, with what is compared.
    ratios: Vec<(Figure, Vec<CellPair<'a>>)>,
}

impl<'a> Turned<'a> {
    fn of(grid: &'a SampleGrid, rules: &[Rule]) -> Self {
        let judged = rules.iter().map(|rule| rule.figure).chain([Figure::ServerCpu, Figure::Loss]);
        let mut figures = Vec::new();
        for figure in judged.filter(|figure| figure.goal().is_none()) {
            if !figures.contains(&figure) {
                figures.push(figure);
            }
        }
        // Loss comes last, as everywhere.
        figures.sort_by_key(|&figure| figure == Figure::Loss);
        let contrasts = [
            (Contrast::Placement, grid.comparisons()),
            (Contrast::Toolkit, grid.toolkit_comparisons()),
            (Contrast::Hook, grid.hook_comparisons()),
        ];
        let mut ratios = Vec::new();
        let mut room = MOST_COLUMNS.saturating_sub(grid.dimensions.len() + 1 + figures.len());
        for (contrast, comparisons) in
            contrasts.into_iter().filter(|(_, comparisons)| !comparisons.is_empty())
        {
            let is_judged = |rule: &&Rule| {
                matches!(
                    (rule.compare, contrast),
                    (Compare::Placements, Contrast::Placement)
                        | (Compare::Toolkits, Contrast::Toolkit)
                        | (Compare::Hooks, Contrast::Hook)
                )
            };
            let judged = rules.iter().filter(is_judged).map(|rule| rule.figure);
            let of_server = (contrast != Contrast::Hook).then_some(Figure::ServerCpu);
            let figures: BTreeSet<_> =
                judged.chain(of_server).filter(|figure| figures.contains(figure)).collect();
            for figure in figures.into_iter().filter(|&figure| figure != Figure::Loss) {
                if room > 0 {
                    ratios.push((figure, comparisons.clone()));
                    room -= 1;
                }
            }
        }
        Self { grid, figures, ratios }
    }

    fn filled(&self) -> Filled {
        let mut columns: Vec<_> = heads(&self.grid.dimensions).collect();
        columns.push("series".to_owned());
        for &figure in &self.figures {
            columns.push(figure.head());
            columns.extend(self.ratios_of(figure).filter_map(|comparisons| {
                let one = comparisons.first()?;
                Some(format!("{}, ÷ {}", figure.noun(), one.side(one.base)))
            }));
        }
        let places = self.grid.places.iter();
        let pairs = places.flat_map(|place| self.grid.series.iter().map(move |series| (place, series)));
        let cells = pairs.filter_map(|(place, series)| Some((place, series, self.grid.cell(series, place)?)));
        (columns, cells.map(|(place, series, runs)| self.row(place, series, runs)).collect())
    }

    fn ratios_of(&self, figure: Figure) -> impl Iterator<Item = &Vec<CellPair<'a>>> {
        self.ratios.iter().filter(move |(of, _)| *of == figure).map(|(_, comparisons)| comparisons)
    }

    fn row(&self, place: &Place, series: &Series, runs: &CellRuns) -> Vec<String> {
        let mut row = place.row(&self.grid.dimensions);
        row.push(self.grid.label(series));
        for &figure in &self.figures {
            row.push(estimate_text(self.grid, series, place, figure));
            row.extend(self.ratios_of(figure).map(|comparisons| {
                let here = comparisons.iter().find(|comparison| comparison.cell.cell == runs.cell);
                here.map_or(String::new(), |comparison| ratio_text(comparison.ratio(figure)))
            }));
        }
        row
    }
}

/// What is compared, without repeats: "kernel, valid-command ÷ user".
fn quotients(grid: &SampleGrid, comparisons: &[CellPair<'_>]) -> Vec<String> {
    let mut quotients: Vec<_> =
        comparisons.iter().map(|comparison| (comparison.contrast, quotient_of(grid, comparison))).collect();
    quotients.sort();
    quotients.dedup();
    quotients.into_iter().map(|(_, quotient)| quotient).collect()
}

fn quotient_of(grid: &SampleGrid, comparison: &CellPair<'_>) -> String {
    format!("{} ÷ {}", grid.label_of(&comparison.cell.cell), comparison.side(comparison.base))
}
