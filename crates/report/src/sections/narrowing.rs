//! How an interval narrows as runs are added: what a report would have said after its first few.

use std::collections::BTreeMap;

use weir_results::{
    cell::Placement,
    figure::Figure,
    number::{estimate, number, ratio},
    stats::{EndsKind, Estimate, RUNS_FOR_INTERVAL, paired_ratios},
};

use crate::{
    axis::Axis,
    grid::{CellPair, Contrast, SampleGrid},
    place::Place,
    plot::{Curve, CurveForm, Panel, Plot, Point},
    plots::style_of,
    table::Table,
    tables::or_dash,
};

/// After how many runs it is looked at.
const FIRST: [usize; 7] = [2, 3, 5, 6, 10, 20, 50];

/// Pairs of runs from which on there is something to see.
const ENOUGH: usize = 20;

const FIGURE: Figure = Figure::ServerCpu;

/// The values of the runs in their order, of one number that a report gives.
struct Growing {
    name: &'static str,
    style: usize,
    values: Vec<f64>,
    digits: fn(f64) -> String,
}

impl Growing {
    /// What the first `runs` say.
    fn after(&self, runs: usize) -> Option<Estimate> {
        Estimate::of(self.values.get(..runs)?)
    }
}

/// The comparison that the report answers with, and its three numbers; nothing where no cell has runs enough.
struct Narrowing {
    place: String,
    ratio: Growing,
    sides: [Growing; 2],
}

impl Narrowing {
    fn of(grid: &SampleGrid) -> Option<Self> {
        let comparisons = grid.compared(Contrast::Placement);
        let headline = comparisons.last()?;
        let CellPair { cell, base, .. } = headline;
        let (cell, base) = (cell.by_repetition(FIGURE), base.by_repetition(FIGURE));
        let ratios = paired_ratios(&cell, &base);
        let side = |name, placement, runs: BTreeMap<_, f64>| Growing {
            name,
            style: style_of(placement),
            values: runs.into_values().collect(),
            digits: |value| number(value, 3),
        };
        (ratios.len() >= ENOUGH).then(|| Self {
            place: Place::of(&headline.cell.cell).phrase(&grid.dimensions),
            ratio: Growing {
                name: "kernel ÷ user",
                style: style_of(Placement::Kernel),
                values: ratios,
                digits: ratio,
            },
            sides: [side("user", Placement::User, base), side("kernel", Placement::Kernel, cell)],
        })
    }

    fn counts(&self) -> Vec<usize> {
        let most = self.ratio.values.len();
        let mut counts: Vec<_> = FIRST.into_iter().filter(|&runs| runs < most).collect();
        counts.push(most);
        counts
    }
}

/// The width of the intervals after the first 2, 3, 5, … runs; nothing without a cell of many runs.
pub(super) fn table(grid: &SampleGrid) -> Option<Table> {
    let narrowing = Narrowing::of(grid)?;
    let growing = || std::iter::once(&narrowing.ratio).chain(&narrowing.sides);
    let row = |runs: usize| {
        let what_exists = if runs < RUNS_FOR_INTERVAL { "none exists: a range" } else { "yes" };
        let coverage = narrowing.ratio.after(runs).map(|found| number(found.coverage * 100.0, 3));
        let coverage = coverage.map_or("–".to_owned(), |percent| format!("{percent} %"));
        let mut row = vec![runs.to_string(), what_exists.to_owned(), coverage];
        for one in growing() {
            let found = one.after(runs);
            let width = found.filter(|found| found.median != 0.0);
            let width = width.map(|found| number((found.high - found.low) / found.median * 100.0, 2));
            row.extend([or_dash(found, one.digits), width.unwrap_or("–".to_owned())]);
        }
        row
    };
    let unit = FIGURE.unit();
    let mut columns =
        ["first runs", "95 % interval", "its ends enclose the true median with"].map(str::to_owned).to_vec();
    for one in growing() {
        let what = if one.name == "kernel ÷ user" {
            one.name.to_owned()
        } else {
            format!("{}, {unit}/packet", one.name)
        };
        columns.extend([what, "width, %".to_owned()]);
    }
    Some(Table {
        slug: "narrowing".to_owned(),
        title: format!("How the interval of the {} narrows", FIGURE.noun()),
        columns,
        rows: narrowing.counts().into_iter().map(row).collect(),
        note: format!(
            "At {}; only the first runs count, in the order in which they were made. Below {RUNS_FOR_INTERVAL} runs \
             no 95 % interval exists, whatever they show: the range of 2 runs, which is what the original report had, \
             misses the true median every other time.",
            narrowing.place
        ),
    })
}

/// What the first two runs would have said, beside what all do.
pub(super) fn finding(grid: &SampleGrid) -> Option<String> {
    let Narrowing { place, ratio: growing, .. } = Narrowing::of(grid)?;
    let all = growing.values.len();
    let (first, last) = (growing.after(2)?, growing.after(all)?);
    Some(format!(
        "At {place}, kernel ÷ user of the {} was {} after 2 runs, which is no interval, and is {} after {all}.",
        FIGURE.noun(),
        estimate(&first, ratio),
        estimate(&last, ratio)
    ))
}

/// The same as charts: the ratio, and the medians that it is made of.
pub(super) fn plots(grid: &SampleGrid) -> Vec<Plot> {
    let Some(narrowing) = Narrowing::of(grid) else { return Vec::new() };
    let counts = narrowing.counts();
    let line = |one: &Growing| {
        let point = |(at, &runs): (usize, &usize)| {
            let mut point = Point::of(at as f64, one.values.get(..runs)?.to_vec())?;
            if point.kind == EndsKind::Range {
                "no 95 % interval exists".clone_into(&mut point.remark);
            }
            Some(point)
        };
        let points = counts.iter().enumerate().filter_map(point).collect();
        Curve { label: one.name.to_owned(), style: one.style, form: CurveForm::Joined, points }
    };
    let plot = |slug: &str, title: String, y_label: String, lines: Vec<Curve>| {
        let heights = lines.iter().flat_map(|line| &line.points).flat_map(|point| point.runs.iter().copied());
        Plot {
            slug: slug.to_owned(),
            title,
            subtitle: narrowing.place.clone(),
            reading: "Marks: medians of the first runs; bars: 95 % intervals, ranges below 6 runs, for which no interval \
                      exists; pale dots: the runs that count"
                .to_owned(),
            x_label: "first runs that count".to_owned(),
            x: Axis::of_names(counts.iter().map(usize::to_string).collect()),
            panels: vec![Panel {
                y_label,
                y: Axis::close_to(&heights.collect::<Vec<_>>()),
                lines,
                ..Panel::default()
            }],
        }
    };
    let noun = FIGURE.noun();
    vec![
        plot(
            "narrowing-ratio",
            "What more runs are worth: kernel ÷ user".to_owned(),
            format!("{noun}, kernel ÷ user"),
            vec![line(&narrowing.ratio)],
        ),
        plot(
            "narrowing-medians",
            format!("What more runs are worth: {noun}"),
            FIGURE.axis_label(),
            narrowing.sides.iter().map(line).collect(),
        ),
    ]
}
