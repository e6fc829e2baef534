//! What the same decision costs at each hook: the whole machine's CPU time per packet, from the server's loop down to the
//! driver, with the sender's own part shown apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use weir_filters::{Hook, Toolkit};

use super::{
    axis::Axis,
    figure::Figure,
    grid::{CellRuns, Comparison, Grid},
    number::{estimate, number, ratio},
    place::Place,
    plot::{Form, Line, Plot, Point},
    table::Table,
    tables::heads,
};
use crate::{
    cell::{Cell, Placement},
    stats::{Estimate, Repetition, paired_ratios},
};

const FIGURE: Figure = Figure::MachineCpu;

/// Whether the grid has the same filter at several hooks of the kernel.
fn is_a_ladder(grid: &Grid) -> bool {
    !grid.hook_comparisons().is_empty()
}

/// A row for each place, hook and toolkit; nothing where no hook is compared with the socket.
pub(super) fn table(grid: &Grid) -> Option<Table> {
    if !is_a_ladder(grid) {
        return None;
    }
    let mut columns = vec!["where".to_owned(), "toolkit".to_owned()];
    columns.extend(heads(&grid.dimensions));
    columns.extend(
        [
            "machine, µs/packet",
            "less the sender's own",
            "server process, µs/packet",
            "client process, µs/packet",
            "machine, ÷ socket",
            "÷ socket, less the sender's own",
            "goodput, 1/s",
            "loss, %",
        ]
        .map(str::to_owned),
    );
    let comparisons = grid.hook_comparisons();
    let row = |cell: &CellRuns| row(grid, cell, comparisons.iter().find(|one| one.cell.cell == cell.cell));
    let mut cells: Vec<_> = grid.cells().collect();
    cells.sort_by_key(|cell| (Place::of(&cell.cell), rung(&cell.cell)));
    Some(Table {
        slug: "ladder".to_owned(),
        title: "What each hook costs".to_owned(),
        columns,
        rows: cells.into_iter().map(row).collect(),
        note: NOTE.to_owned(),
    })
}

const NOTE: &str = "Machine: all that the cores did while a run lasted, softirq and strangers included, per packet sent. \
    The sender's own cost is that of runs beside these in which the same filter drops the same packets on the sender's \
    interface, before they cross to the server: it is taken off run by run. A ratio is the median over pairs of runs with \
    the same toolkit made side by side; below 1 the hook costs less than the socket.";

fn row(grid: &Grid, cell: &CellRuns, compared: Option<&Comparison<'_>>) -> Vec<String> {
    let us = |found: Option<Estimate>| {
        found.map_or("–".to_owned(), |found| estimate(&found, |value| number(value, 3)))
    };
    let quotient = |found: Option<Estimate>| found.map_or("–".to_owned(), |found| estimate(&found, ratio));
    let (rung, toolkit) = rung(&cell.cell);
    let mut row = vec![rung.to_string(), toolkit.to_string()];
    row.extend(Place::of(&cell.cell).row(&grid.dimensions));
    let below = less_the_senders(grid, cell).map(|us| us.into_values().collect::<Vec<_>>());
    row.extend([
        us(cell.estimate(FIGURE)),
        us(below.and_then(|below| Estimate::of(&below))),
        us(cell.estimate(Figure::ServerCpu)),
        us(cell.estimate(Figure::ClientCpu)),
        quotient(compared.and_then(|one| one.ratio(FIGURE))),
        quotient(compared.and_then(|one| ratio_less_the_senders(grid, one))),
        us(cell.estimate(Figure::Goodput)),
        us(cell.estimate(Figure::Loss)),
    ]);
    row
}

/// The figure of every run less that of the run beside it whose packets were dropped at the sender.
fn less_the_senders(grid: &Grid, cell: &CellRuns) -> Option<BTreeMap<Repetition, f64>> {
    let own = grid.sender_at(&Place::of(&cell.cell))?.by_repetition(FIGURE);
    let less = |(repetition, us)| Some((repetition, us - own.get(&repetition)?));
    Some(cell.by_repetition(FIGURE).into_iter().filter_map(less).collect())
}

fn ratio_less_the_senders(grid: &Grid, one: &Comparison<'_>) -> Option<Estimate> {
    let (cell, base) = (less_the_senders(grid, one.cell)?, less_the_senders(grid, one.base)?);
    Estimate::of(&paired_ratios(&cell, &base))
}

/// What each hook costs against the socket, at the place with the most to drop.
pub(super) fn findings(grid: &Grid) -> Vec<String> {
    let comparisons = grid.hook_comparisons();
    let Some(last) = comparisons.iter().map(Comparison::place).max() else { return Vec::new() };
    let sentence = |one: &Comparison<'_>| {
        let Cell { hook, toolkit, .. } = &one.cell.cell;
        let found = one.ratio(FIGURE)?;
        let own = ratio_less_the_senders(grid, one).map_or_else(String::new, |own| {
            format!("; with the sender's own cost taken off, {}", estimate(&own, ratio))
        });
        Some(format!(
            "At {}, {toolkit} at {hook} takes {} of the whole machine's CPU time that it takes at the socket{own}.",
            last.phrase(&grid.dimensions),
            estimate(&found, ratio)
        ))
    };
    comparisons.iter().filter(|one| one.place() == last).filter_map(sentence).collect()
}

/// For each place a ladder, from the server's loop down to the sender, with a line for each toolkit.
pub(super) fn plots(grid: &Grid) -> Vec<Plot> {
    if !is_a_ladder(grid) {
        return Vec::new();
    }
    grid.places.iter().rev().map(|place| plot(grid, place)).collect()
}

fn plot(grid: &Grid, place: &Place) -> Plot {
    let here = || grid.cells().filter(|cell| Place::of(&cell.cell) == *place);
    let rungs: BTreeSet<_> = here().map(|cell| rung(&cell.cell).0).collect();
    let rungs: Vec<_> = rungs.into_iter().collect();
    let point = |cell: &CellRuns| {
        let at = rungs.iter().position(|&one| one == rung(&cell.cell).0)?;
        Point::of(at as f64, cell.values(FIGURE))
    };
    let toolkits: BTreeSet<_> = here().map(|cell| rung(&cell.cell).1).collect();
    let line = |(style, toolkit): (usize, Toolkit)| {
        let cells = here().filter(|cell| rung(&cell.cell).1 == toolkit);
        let mut points: Vec<_> = cells.filter_map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Line { label: toolkit.to_string(), style, form: Form::Joined, points }
    };
    let lines: Vec<_> = toolkits.into_iter().enumerate().map(line).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let heights: Vec<_> = points().flat_map(|point| point.runs.iter().copied()).collect();
    let own = grid.sender_at(place).and_then(|cell| cell.estimate(FIGURE));
    let held = [place.phrase(&grid.dimensions), grid.constants()];
    Plot {
        slug: format!("ladder{}", place.slug(&grid.dimensions)),
        title: "What each hook costs the whole machine".to_owned(),
        subtitle: held.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", "),
        reading: "From the server's loop down towards the wire. Marks: medians with 95 % intervals; pale dots: runs; \
                  across: what it takes where the sender's own kernel drops"
            .to_owned(),
        x_label: "where the filter runs".to_owned(),
        y_label: FIGURE.axis_label(),
        x: Axis::of_names(rungs.iter().map(ToString::to_string).collect()),
        y: Axis::from_zero(&heights),
        reference: own.map(|own| own.median),
        lines,
        ..Plot::default()
    }
}

/// A step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Of(Hook),
    Sender,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(hook) => hook.fmt(f),
            Self::Sender => f.pad("sender"),
        }
    }
}

/// Where on the ladder a cell stands, and on which line: a server that decides by itself stands in user space, whatever
/// is attached to it.
fn rung(cell: &Cell) -> (Rung, Toolkit) {
    match cell.placement {
        Placement::Plain | Placement::User => (Rung::Of(Hook::User), Toolkit::Rust),
        Placement::Kernel => (Rung::Of(cell.hook), cell.toolkit),
        Placement::Sender => (Rung::Sender, cell.toolkit),
    }
}
