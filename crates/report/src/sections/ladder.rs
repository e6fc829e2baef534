//! What the same decision costs at each hook: the whole machine's CPU time per packet, from the server's loop down to the
//! driver, with the sender's own part shown apart.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use weir_filters::{Hook, Toolkit};
use weir_results::{
    capacity::Known,
    cell::{Cell, Placement},
    figure::Figure,
    number::{estimate, number, ratio},
    stats::{Estimate, Repetition, paired_ratios},
};

use crate::{
    axis::Axis,
    grid::{CellPair, CellRuns, Contrast, SampleGrid},
    place::Place,
    plot::{Curve, CurveForm, Panel, Plot, Point},
    plots::{conditions, style_of},
    searches::{NDR, Searches},
    table::Table,
    tables::{figure_text, heads, or_dash},
    verdict::mean_ratios,
};

const FIGURE: Figure = Figure::MachineCpu;

/// Whether the grid has the same filter at several hooks of the kernel.
fn is_a_ladder(grid: &SampleGrid) -> bool {
    !grid.compared(Contrast::Hook).is_empty()
}

/// A row for each place, hook and toolkit; nothing where no hook is compared with the socket.
pub(super) fn table(grid: &SampleGrid) -> Option<Table> {
    let comparisons = grid.compared(Contrast::Hook);
    let figures = [
        "machine, µs/packet",
        "less the sender's own",
        "machine, µs per invalid packet",
        "machine, µs per valid request served",
        "server process, µs/packet",
        "client process, µs/packet",
        "machine, ÷ socket",
        "÷ socket, less the sender's own",
        "goodput, valid requests/s",
        "loss of valid requests, %",
    ];
    let place = ["where", "toolkit"].map(str::to_owned).into_iter().chain(heads(&grid.dimensions));
    let row = |cell: &CellRuns| row(grid, cell, comparisons.iter().find(|one| one.cell.cell == cell.cell));
    let mut cells: Vec<_> = grid.cells().collect();
    // What most is dropped of comes first: it is what the hooks differ in.
    cells.sort_by_key(|cell| (Reverse(Place::of(&cell.cell)), rung(&cell.cell)));
    (!comparisons.is_empty()).then(|| Table {
        slug: "ladder".to_owned(),
        title: "What each hook costs".to_owned(),
        columns: place.chain(figures.map(str::to_owned)).collect(),
        rows: cells.into_iter().map(row).collect(),
        note: NOTE.to_owned(),
    })
}

const NOTE: &str = "Machine: all that the cores did while a run lasted, sender, softirq, server and strangers together, per \
    packet sent; and the same per invalid packet, each of which somebody drops, and per valid request served. The sender's \
    own cost is that of runs beside these in which the same filter drops the same packets on the sender's interface, \
    before they cross to the server: it is taken off run by run. A ratio is the median over pairs of runs with the same \
    toolkit made side by side; below 1 the hook costs less than the socket. Without the sender's own there is a ratio \
    only where what is left of the socket's cost can be told from nothing.";

fn row(grid: &SampleGrid, cell: &CellRuns, compared: Option<&CellPair<'_>>) -> Vec<String> {
    let us = |found| or_dash(found, |value| number(value, 3));
    let (rung, toolkit) = rung(&cell.cell);
    let toolkit = if cell.cell.guard.is_some() { cell.cell.written_with() } else { toolkit.as_str() };
    let mut row = vec![rung.name().to_owned(), toolkit.to_owned()];
    row.extend(Place::of(&cell.cell).row(&grid.dimensions));
    let below = less_the_senders(grid, cell).map(|us| us.into_values().collect::<Vec<_>>());
    row.extend([
        us(cell.estimate(FIGURE)),
        us(below.and_then(|below| Estimate::of(&below))),
        us(cell.estimate(Figure::MachineCpuPerInvalid)),
        us(cell.estimate(Figure::MachineCpuPerValid)),
        us(cell.estimate(Figure::ServerCpu)),
        us(cell.estimate(Figure::ClientCpu)),
        or_dash(compared.and_then(|one| one.ratio(FIGURE)), ratio),
        or_dash(compared.and_then(|one| ratio_less_the_senders(grid, one)), ratio),
        or_dash(cell.estimate(Figure::Goodput), |value| figure_text(Figure::Goodput, value)),
        us(cell.estimate(Figure::Loss)),
    ]);
    row
}

/// The figure of every run less that of the run beside it whose packets were dropped at the sender.
fn less_the_senders(grid: &SampleGrid, cell: &CellRuns) -> Option<BTreeMap<Repetition, f64>> {
    let own = grid.sender_at(&Place::of(&cell.cell))?.by_repetition(FIGURE);
    let less = |(repetition, us)| Some((repetition, us - own.get(&repetition)?));
    Some(cell.by_repetition(FIGURE).into_iter().filter_map(less).collect())
}

/// Nothing where the socket's cost is lost in that of the sender: a ratio to about nothing says nothing.
fn ratio_less_the_senders(grid: &SampleGrid, one: &CellPair<'_>) -> Option<Estimate> {
    let (cell, base) = (less_the_senders(grid, one.cell)?, less_the_senders(grid, one.base)?);
    let left = Estimate::of(&base.values().copied().collect::<Vec<_>>())?;
    Estimate::of(&paired_ratios(&cell, &base)).filter(|_| left.low > 0.0)
}

/// What the hooks cost against the socket, at the place with the most to drop: all in a sentence, then one by one.
pub(super) fn findings(grid: &SampleGrid) -> Vec<String> {
    let comparisons = grid.compared(Contrast::Hook);
    let Some(last) = comparisons.iter().map(CellPair::place).max() else { return Vec::new() };
    let here: Vec<_> = comparisons.iter().filter(|one| one.place() == last).collect();
    let phrase = last.phrase(&grid.dimensions);
    let sentence = |one: &&CellPair<'_>| {
        let (hook, toolkit) = (one.cell.cell.hook, one.cell.cell.written_with());
        let found = one.ratio(FIGURE)?;
        let own = ratio_less_the_senders(grid, one).map_or_else(String::new, |own| {
            format!("; with the sender's own cost taken off, {}", estimate(&own, ratio))
        });
        Some(format!(
            "At {phrase}, {toolkit} at {hook} takes {} of the whole machine's CPU time that it takes at the socket{own}.",
            estimate(&found, ratio)
        ))
    };
    let text = |(rung, found): &(Rung, Estimate)| match rung {
        Rung::Of(Hook::User) => format!("{} where the server decides", estimate(found, ratio)),
        rung => format!("{} at {}", estimate(found, ratio), rung.name()),
    };
    let hooks: Vec<_> = together(grid, &last, &here).iter().map(text).collect();
    let answer = (!hooks.is_empty()).then(|| {
        format!(
            "At {phrase}, of the whole machine's CPU time that a packet costs with the filter at the socket, it takes \
             {}.",
            hooks.join(", ")
        )
    });
    answer.into_iter().chain(here.iter().filter_map(sentence)).collect()
}

/// The ratio to the socket of each hook, its toolkits together, and of the server that decides, the cheapest first.
fn together(grid: &SampleGrid, place: &Place, comparisons: &[&CellPair<'_>]) -> Vec<(Rung, Estimate)> {
    let is_socket = |cell: &Cell| rung(cell).0 == Rung::Of(Hook::Socket);
    let here = || grid.cells().filter(|cell| Place::of(&cell.cell) == *place);
    let sockets = || here().filter(|cell| is_socket(&cell.cell));
    let mut by_rung: BTreeMap<Rung, Vec<(&CellRuns, &CellRuns)>> = BTreeMap::new();
    for one in comparisons {
        by_rung.entry(rung(&one.cell.cell).0).or_default().push((one.cell, one.base));
    }
    for user in here().filter(|cell| rung(&cell.cell).0 == Rung::Of(Hook::User)) {
        by_rung.entry(Rung::Of(Hook::User)).or_default().extend(sockets().map(|socket| (user, socket)));
    }
    let found = |(rung, pairs): (Rung, Vec<_>)| Some((rung, Estimate::of(&mean_ratios(&pairs, FIGURE))?));
    let mut found: Vec<_> = by_rung.into_iter().filter_map(found).collect();
    found.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    found
}

/// Each hook against the socket over all toolkits, the places with the most to drop first; nothing where no hook is
/// compared with the socket.
pub(super) fn table_of_hooks(grid: &SampleGrid) -> Option<Table> {
    let comparisons = grid.compared(Contrast::Hook);
    let rows_at = |place: &Place| {
        let here: Vec<_> = comparisons.iter().filter(|one| one.place() == *place).collect();
        let row = |(rung, found): (Rung, Estimate)| {
            let mut row = place.row(&grid.dimensions);
            row.extend([rung.name().to_owned(), estimate(&found, ratio)]);
            row
        };
        together(grid, place, &here).into_iter().map(row).collect::<Vec<_>>()
    };
    let columns = heads(&grid.dimensions).chain(["where".to_owned(), "machine, ÷ socket".to_owned()]);
    (!comparisons.is_empty()).then(|| Table {
        slug: "ladder-hooks".to_owned(),
        title: "Each hook against the socket, all toolkits together".to_owned(),
        columns: columns.collect(),
        rows: grid.places.iter().rev().flat_map(rows_at).collect(),
        note: "The whole machine's CPU time per packet sent, ÷ that at the socket by the same toolkit: each repetition gives \
               one number, the geometric mean over toolkits."
            .to_owned(),
    })
}

/// Says that capacities which were given aren't those of these hooks.
pub(crate) fn unjoined(grid: &SampleGrid, capacities: &Searches) -> Option<String> {
    let joined = grid.places.iter().any(|place| !capacities.at(place, NDR).is_empty());
    (is_a_ladder(grid) && !capacities.records.is_empty() && !joined).then(|| {
        "The capacities given were searched for under other conditions (topology, share of invalid packets, receive \
         buffer or other): none is shown beside the hooks."
            .to_owned()
    })
}

/// For each place a ladder, from the server's loop down to the sender: what a packet costs, what is carried, what is
/// lost, and the capacity where there are searches under the same conditions.
pub(super) fn plots(grid: &SampleGrid, capacities: &Searches) -> Vec<Plot> {
    if !is_a_ladder(grid) {
        return Vec::new();
    }
    grid.places.iter().rev().map(|place| plot(grid, place, capacities)).collect()
}

/// What each step of the ladder is told by.
const RUNGS: [Figure; 4] =
    [Figure::MachineCpuPerInvalid, Figure::MachineCpuPerValid, Figure::Goodput, Figure::Loss];

fn plot(grid: &SampleGrid, place: &Place, capacities: &Searches) -> Plot {
    let here: Vec<_> = grid.cells().filter(|cell| Place::of(&cell.cell) == *place).collect();
    let rungs: BTreeSet<_> = here.iter().map(|cell| rung(&cell.cell).0).collect();
    let rungs: Vec<_> = rungs.into_iter().collect();
    let of_figure = |figure: Figure| {
        let own = grid.sender_at(place).and_then(|cell| cell.estimate(figure));
        let own = own.filter(|_| figure.unit() == "µs").map(|own| own.median);
        let cells = here.iter().map(|runs| (&runs.cell, runs.values(figure), false));
        panel(&rungs, figure.axis_label(), own, cells)
    };
    let ndr = capacities
        .at(place, NDR)
        .into_iter()
        .map(|one| (&one.cell, one.searches.clone(), one.known != Known::Exactly));
    let capacity = panel(&rungs, format!("capacity ({NDR}), packets/s offered"), None, ndr);
    Plot {
        slug: format!("ladder{}", place.slug(&grid.dimensions)),
        title: "What each hook costs and carries".to_owned(),
        subtitle: conditions(grid, place, &grid.dimensions),
        reading: "From the server's loop down towards the wire; CPU time is the whole machine's, sender included. Marks: \
                  medians with 95 % intervals (ranges below 6 runs); pale dots: runs; across: what it takes where the \
                  sender's own kernel drops"
            .to_owned(),
        x_label: "where the filter runs".to_owned(),
        x: Axis::of_names(rungs.iter().map(|rung| rung.name().to_owned()).collect()),
        panels: RUNGS.into_iter().map(of_figure).chain([capacity]).flatten().collect(),
    }
}

/// A panel with a line for each toolkit, of the values of each cell, which may be known from below alone; nothing where
/// no cell has any.
fn panel<'a>(
    rungs: &[Rung],
    y_label: String,
    reference: Option<f64>,
    cells: impl Iterator<Item = (&'a Cell, Vec<f64>, bool)>,
) -> Option<Panel> {
    let mut lines: BTreeMap<LadderGroup, Vec<Point>> = BTreeMap::new();
    for (cell, values, at_least) in cells {
        let at = rungs.iter().position(|&one| one == rung(cell).0)?;
        if let Some(mut point) = Point::of(at as f64, values) {
            point.at_least = at_least;
            lines.entry(LadderGroup::of(cell)).or_default().push(point);
        }
    }
    let line = |(group, mut points): (LadderGroup, Vec<Point>)| {
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        let (label, style) = group.label_and_style();
        Curve { label: label.to_owned(), style, form: CurveForm::Joined, points }
    };
    let lines: Vec<_> = lines.into_iter().map(line).collect();
    let points = lines.iter().flat_map(|line| &line.points);
    let heights: Vec<_> = points.flat_map(|point| point.runs.iter().copied().chain(reference)).collect();
    (!lines.is_empty()).then(|| Panel {
        y_label,
        y: Axis::from_zero(&heights),
        reference,
        lines,
        tiles: Vec::new(),
    })
}

/// What a line is about: the server and the sender are no steps of a toolkit's ladder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LadderGroup {
    Server,
    Toolkit(Toolkit),
    Guard,
    Sender,
}

impl LadderGroup {
    fn of(cell: &Cell) -> Self {
        match rung(cell) {
            (Rung::Of(Hook::User), _) => Self::Server,
            (Rung::Sender, _) => Self::Sender,
            _ if cell.guard.is_some() => Self::Guard,
            (_, toolkit) => Self::Toolkit(toolkit),
        }
    }

    /// Its name, and a row of the palette that is the same in every panel and every report.
    const fn label_and_style(self) -> (&'static str, usize) {
        match self {
            Self::Server => ("the server", style_of(Placement::User)),
            Self::Toolkit(toolkit @ (Toolkit::Aya | Toolkit::Rust)) => {
                (toolkit.as_str(), style_of(Placement::Kernel))
            }
            Self::Toolkit(toolkit @ Toolkit::Fun) => (toolkit.as_str(), 0),
            Self::Toolkit(toolkit @ Toolkit::C) => (toolkit.as_str(), 3),
            // Those after it in their order, behind the sender's row.
            Self::Toolkit(toolkit) => (toolkit.as_str(), toolkit as usize + 1),
            Self::Guard => ("guard", Toolkit::ALL.len() + 1),
            Self::Sender => ("the sender", 4),
        }
    }
}

/// A step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Of(Hook),
    Sender,
}

impl Rung {
    const fn name(self) -> &'static str {
        match self {
            Self::Of(hook) => hook.as_str(),
            Self::Sender => "sender",
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
