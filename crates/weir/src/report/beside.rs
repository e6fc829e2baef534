//! The original report's figures beside ours.

use super::{
    figure::Figure,
    grid::Grid,
    number::{count, number},
    reported::Reported,
    table::Table,
    tables::{estimate_text, kernel_labels, percent_text, places},
};
use crate::{cell::Placement, stats::aggregate_difference_percent};

const PLACEMENTS: [Placement; 2] = [Placement::User, Placement::Kernel];

/// Wall time, loss and aggregate difference beside the report's.
pub(super) fn tables(grid: &Grid) -> Vec<Table> {
    let reported = Reported::load();
    vec![
        beside(grid, Figure::Wall, |placement, percent, packets| {
            reported.wall_s(placement, percent, packets)
        }),
        beside(grid, Figure::Loss, |placement, percent, packets| {
            reported.loss_percent(placement, percent, packets)
        }),
        aggregate(grid, &reported),
    ]
}

fn beside(grid: &Grid, figure: Figure, theirs: impl Fn(Placement, u8, u64) -> Option<f64>) -> Table {
    let mut columns = vec!["invalid %".to_owned(), "packets".to_owned()];
    columns.extend(PLACEMENTS.map(|placement| format!("report, {}", placement.name())));
    columns.extend(grid.series.iter().map(|series| format!("ours, {}", grid.label(series))));
    let row = |(percent, packets): (u8, u64)| {
        let mut row = vec![percent_text(percent), count(packets)];
        for placement in PLACEMENTS {
            row.push(number(theirs(placement, percent, packets)?, figure.digits()));
        }
        row.extend(grid.series.iter().map(|series| estimate_text(grid, series, percent, packets, figure)));
        Some(row)
    };
    let rows: Vec<_> = places(grid).filter_map(row).collect();
    let note = match figure {
        Figure::Wall => {
            "The report's times are those of the whole server process, mean of 2 runs on another machine, and include \
             about 2 s of fixed start-up; ours run from the first packet sent to the last handled."
        }
        _ => {
            "The report's Rust server, mean of 10 runs on another machine; (valid sent − value returned) ÷ valid sent."
        }
    };
    let none = "No percent and packet count of this experiment stands in the report's tables. ";
    Table {
        slug: format!("report-{}", figure.slug()),
        title: format!("{}, {}, beside the report's", figure.title(), figure.unit()),
        columns,
        note: format!("{}{note}", if rows.is_empty() { none } else { "" }),
        rows,
    }
}

/// The aggregate difference over one row or column of the grid.
struct Line {
    name: String,
    ours: Vec<(u8, u64)>,
    theirs: Vec<(u8, u64)>,
}

fn aggregate(grid: &Grid, reported: &Reported) -> Table {
    let at_percent = grid.percents.iter().map(|&percent| Line {
        name: format!("over packets, at {percent} % invalid"),
        ours: grid.packets.iter().map(|&packets| (percent, packets)).collect(),
        theirs: reported.packets.iter().map(|&packets| (percent, packets)).collect(),
    });
    let at_packets = grid.packets.iter().map(|&packets| Line {
        name: format!("over percents, at {} packets", count(packets)),
        ours: grid.percents.iter().map(|&percent| (percent, packets)).collect(),
        theirs: reported.percents().map(|percent| (percent, packets)).collect(),
    });
    let lines: Vec<Line> = at_percent.chain(at_packets).collect();
    let labels = kernel_labels(grid, &grid.comparisons());
    let row = |label: &String, line: &Line| {
        let pairs = wall_pairs(grid, label, &line.ours);
        let percent = |value: Option<f64>| value.map_or("–".to_owned(), |value| number(value, 3));
        vec![
            label.clone(),
            line.name.clone(),
            percent(aggregate_difference_percent(&pairs)),
            pairs.len().to_string(),
            percent(reported.aggregate_difference(&line.theirs)),
        ]
    };
    Table {
        slug: "report-aggregate".to_owned(),
        title: "Aggregate difference of wall time, kernel against user, %".to_owned(),
        columns: ["series", "cells", "ours", "how many", "the report's"].map(str::to_owned).to_vec(),
        rows: labels.iter().flat_map(|label| lines.iter().map(|line| row(label, line))).collect(),
        note: "Mean over cells of |u − k| ÷ ((u + k) ÷ 2), of medians here and of means in the report, whose times \
               include about 2 s of fixed start-up that make every difference look smaller. It has no sign: chance \
               alone makes it larger than 0."
            .to_owned(),
    }
}

fn wall_pairs(grid: &Grid, label: &str, cells: &[(u8, u64)]) -> Vec<(f64, f64)> {
    let comparisons = grid.comparisons();
    let here = comparisons.iter().filter(|comparison| {
        let cell = &comparison.cell.cell;
        cells.contains(&(cell.invalid_percent, cell.packets)) && grid.label_of(cell) == label
    });
    let median = |runs: &super::grid::CellRuns| runs.estimate(Figure::Wall).map(|estimate| estimate.median);
    here.filter_map(|comparison| Some((median(comparison.base)?, median(comparison.cell)?))).collect()
}
