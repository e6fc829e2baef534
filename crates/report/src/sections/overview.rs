//! The overview: what an experiment is about at a glance, in as few columns as can be read.

use std::collections::BTreeSet;

use weir_results::{
    figure::{Figure, SCOPE},
    rule::Rule,
};

use crate::{
    grid::{CellPair, Contrast, SampleGrid},
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
    let comparisons = [Contrast::Placement, Contrast::Toolkit].map(|one| grid.compared(one)).concat();
    let quotients: BTreeSet<_> =
        comparisons.iter().map(|comparison| (comparison.contrast, quotient_of(grid, comparison))).collect();
    let quotients: Vec<_> = quotients.into_iter().map(|(_, quotient)| quotient).collect();
    let wide = grid.dimensions.len() + 2 * grid.series.len() + quotients.len();
    let asked = rules.iter().map(|rule| rule.figure).find(|figure| figure.goal().is_none());
    let is_about_others = asked.is_some_and(|figure| ![Figure::ServerCpu, Figure::Loss].contains(&figure));
    let (columns, rows) = if wide > MOST_COLUMNS || is_about_others {
        by_series(grid, rules)
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
    let labelled = |what: &'static str| grid.series.iter().map(move |s| format!("{what}, {}", grid.label(s)));
    columns.extend(labelled("server CPU µs/packet"));
    columns.extend(quotients.iter().map(|quotient| format!("server CPU, {quotient}")));
    columns.extend(labelled("loss %"));
    let row = |place: &Place| {
        let mut row = place.row(&grid.dimensions);
        let cells = |figure| grid.series.iter().map(move |s| estimate_text(grid.cell(s, place), figure));
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

/// A row for each place and series: what `rules` judge by and what every experiment is about, with its ratios.
fn by_series(grid: &SampleGrid, rules: &[Rule]) -> Filled {
    let judged = rules.iter().map(|rule| rule.figure).chain([Figure::ServerCpu, Figure::Loss]);
    let mut figures = Vec::new();
    for figure in judged.filter(|figure| figure.goal().is_none()) {
        if !figures.contains(&figure) {
            figures.push(figure);
        }
    }
    // Loss comes last, as everywhere.
    figures.sort_by_key(|&figure| figure == Figure::Loss);
    let ratios = ratios(grid, rules, &figures);
    let ratios_of =
        |figure: Figure| ratios.iter().filter(move |(of, _)| *of == figure).map(|(_, pairs)| pairs);
    let mut columns: Vec<_> = heads(&grid.dimensions).chain(["series".to_owned()]).collect();
    for &figure in &figures {
        columns.push(figure.head());
        columns.extend(ratios_of(figure).filter_map(|pairs| {
            let one = pairs.first()?;
            Some(format!("{}, ÷ {}", figure.noun(), one.side(one.base)))
        }));
    }
    let mut rows = Vec::new();
    let places = grid.places.iter();
    for (place, series) in places.flat_map(|place| grid.series.iter().map(move |one| (place, one))) {
        let Some(runs) = grid.cell(series, place) else { continue };
        let mut row = place.row(&grid.dimensions);
        row.push(grid.label(series));
        for &figure in &figures {
            row.push(estimate_text(Some(runs), figure));
            row.extend(ratios_of(figure).map(|pairs| {
                let here = pairs.iter().find(|pair| pair.cell.cell == runs.cell);
                here.map_or(String::new(), |pair| ratio_text(pair.ratio(figure)))
            }));
        }
        rows.push(row);
    }
    (columns, rows)
}

/// Those of `figures` of which there is a ratio, with what is compared, as many as have room.
fn ratios<'a>(grid: &'a SampleGrid, rules: &[Rule], figures: &[Figure]) -> Vec<(Figure, Vec<CellPair<'a>>)> {
    let mut ratios = Vec::new();
    for contrast in Contrast::ALL {
        let pairs = grid.compared(contrast);
        let is_judged = |rule: &&Rule| !pairs.is_empty() && Contrast::of(rule.compare) == Ok(contrast);
        let judged = rules.iter().filter(is_judged).map(|rule| rule.figure);
        let of_server = (!pairs.is_empty() && contrast != Contrast::Hook).then_some(Figure::ServerCpu);
        let told: BTreeSet<_> = judged.chain(of_server).filter(|figure| figures.contains(figure)).collect();
        let told = told.into_iter().filter(|&figure| figure != Figure::Loss);
        ratios.extend(told.map(|figure| (figure, pairs.clone())));
    }
    ratios.truncate(MOST_COLUMNS.saturating_sub(grid.dimensions.len() + 1 + figures.len()));
    ratios
}

/// What is divided by what, the series of the first told from others: "kernel, valid-command ÷ user".
pub(super) fn quotient_of(grid: &SampleGrid, comparison: &CellPair<'_>) -> String {
    format!("{} ÷ {}", grid.label_of(&comparison.cell.cell), comparison.side(comparison.base))
}
