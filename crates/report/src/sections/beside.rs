//! The original report's figures beside ours.

use std::collections::{BTreeMap, BTreeSet};

use weir_results::{
    cell::{Dimension, Placement, Value},
    figure::Figure,
    number::{count, number},
    stats::aggregate_difference_percent,
};

use crate::{
    grid::{CellRuns, Contrast, SampleGrid},
    place::Place,
    reported::{Reported, ReportedServer},
    table::Table,
    tables::estimate_text,
};

/// A table of the report, of percent × packets.
struct Theirs {
    slug: &'static str,
    figure: Figure,
    /// The numbers that its parts have in the report.
    numbers: &'static str,
    of: fn(&Reported, Placement, u8, u64) -> Option<f64>,
    note: &'static str,
}

const THEIRS: [Theirs; 3] = [
    Theirs {
        slug: "report-wall",
        figure: Figure::Wall,
        numbers: "tables 1, 2 and 7 to 11",
        of: Reported::wall_s,
        note: "The report's times are those of the whole server process, mean of 2 runs on another machine, and include \
               about 2 s of fixed start-up; ours run from the first packet sent to the last handled.",
    },
    Theirs {
        slug: "report-loss",
        figure: Figure::Loss,
        numbers: "table 13 (3 and 5 are parts of it): its Rust server",
        of: |reported, placement, percent, packets| {
            reported.loss_percent(ReportedServer::Rust, placement, percent, packets)
        },
        note: "Mean of 10 runs on another machine; (valid sent − value returned) ÷ valid sent. Tables 3 and 5 print 0.04 % \
               where table 13 has 0: at 1 % and 1000 packets, and for the kernel at 25 % and 100 000 packets.",
    },
    Theirs {
        slug: "report-loss-haskell",
        figure: Figure::Loss,
        numbers: "table 12 (4 and 6 are parts of it): its Haskell server",
        of: |reported, placement, percent, packets| {
            reported.loss_percent(ReportedServer::Haskell, placement, percent, packets)
        },
        note: "Mean of 10 runs on another machine, of a server with fun eBPF; ours are the same as beside its Rust server, \
               unless a definition gives that server by command.",
    },
];

/// Wall time, loss and aggregate difference beside the report's; none for a grid of another shape.
pub(super) fn tables(grid: &SampleGrid) -> Vec<Table> {
    if !grid.is_of_the_reports_shape() {
        return Vec::new();
    }
    let reported = Reported::load();
    let mut tables: Vec<_> = THEIRS.iter().map(|theirs| beside(grid, &reported, theirs)).collect();
    tables.push(aggregate(grid, &reported));
    tables
}

/// As in the report, a row for each percent and placement and a column for each packet count; ours below theirs.
fn beside(grid: &SampleGrid, reported: &Reported, theirs: &Theirs) -> Table {
    let ours: BTreeSet<_> = grid.places.iter().filter_map(percent_and_packets).collect();
    let meets = |percent: u8| {
        reported.packets.iter().any(|&packets| {
            ours.contains(&(percent, packets))
                && (theirs.of)(reported, Placement::User, percent, packets).is_some()
        })
    };
    let row = |percent: u8, whose: String, text: &dyn Fn(u64) -> String| {
        let mut row = vec![percent.to_string(), whose];
        row.extend(reported.packets.iter().map(|&packets| text(packets)));
        row
    };
    let percents: BTreeSet<_> = ours.iter().map(|&(percent, _)| percent).collect();
    let mut rows = Vec::new();
    for percent in percents.into_iter().filter(|&percent| meets(percent)) {
        for placement in [Placement::User, Placement::Kernel] {
            let text = |packets: u64| {
                let value = (theirs.of)(reported, placement, percent, packets);
                value.map_or("–".to_owned(), |value| number(value, theirs.figure.digits()))
            };
            rows.push(row(percent, format!("report, {}", placement.name()), &text));
        }
        for series in &grid.series {
            let text = |packets: u64| {
                let is_here = |place: &&Place| percent_and_packets(place) == Some((percent, packets));
                let here = grid.places.iter().find(is_here);
                estimate_text(here.and_then(|place| grid.cell(series, place)), theirs.figure)
            };
            rows.push(row(percent, format!("ours, {}", grid.label(series)), &text));
        }
    }
    let none = "No percent and packet count of this experiment stands in the report's tables. ";
    let packets = reported.packets.iter().map(|&packets| format!("{} packets", count(packets)));
    let Theirs { slug, figure, numbers, note, .. } = theirs;
    Table {
        slug: (*slug).to_owned(),
        title: format!("{}, beside the report's {numbers}", figure.head()),
        columns: ["invalid %", "whose"].map(str::to_owned).into_iter().chain(packets).collect(),
        note: format!("{}{note} {}", if rows.is_empty() { none } else { "" }, grid.sleep_notes(*figure))
            .trim_end()
            .to_owned(),
        rows,
    }
}

/// The aggregate difference over one row or column of the grid.
struct DifferenceRow {
    name: String,
    ours: Vec<(u8, u64)>,
    theirs: Vec<(u8, u64)>,
}

/// Where the report's tables have a place of a grid of their shape.
fn percent_and_packets(place: &Place) -> Option<(u8, u64)> {
    match (place.along(Dimension::InvalidPercent), place.along(Dimension::Packets)) {
        (Value::Number(percent), Value::Number(packets)) => Some((u8::try_from(percent).ok()?, packets)),
        _ => None,
    }
}

fn aggregate(grid: &SampleGrid, reported: &Reported) -> Table {
    let places: BTreeSet<_> = grid.places.iter().filter_map(percent_and_packets).collect();
    let (percents, packets): (BTreeSet<_>, BTreeSet<_>) = places.into_iter().unzip();
    let packets = Vec::from_iter(packets);
    let at_percent = percents.iter().map(|&percent| DifferenceRow {
        name: format!("over packets, at {percent} % invalid"),
        ours: cells([percent], &packets),
        theirs: cells([percent], &reported.packets),
    });
    let at_packets = packets.iter().map(|&packets| DifferenceRow {
        name: format!("over percents, at {} packets", count(packets)),
        ours: cells(percents.iter().copied(), &[packets]),
        theirs: cells(reported.percents(), &[packets]),
    });
    let everywhere = DifferenceRow {
        name: "over the whole grid".to_owned(),
        ours: cells(percents.iter().copied(), &packets),
        theirs: cells(reported.percents(), &reported.packets),
    };
    let lines: Vec<_> = at_percent.chain(at_packets).chain([everywhere]).collect();
    let comparisons = grid.compared(Contrast::Placement);
    let median = |runs: &CellRuns| runs.estimate(Figure::Wall).map(|estimate| estimate.median);
    let row = |label: &str, filter: &str, line: &DifferenceRow| {
        let here = comparisons.iter().filter(|one| {
            let cell = &one.cell.cell;
            line.ours.contains(&(cell.invalid_percent, cell.packets)) && grid.label_of(cell) == label
        });
        let pairs: Vec<_> = here.filter_map(|one| Some((median(one.base)?, median(one.cell)?))).collect();
        let percent = |value: Option<f64>| value.map_or("–".to_owned(), |value| number(value, 3));
        let span = |of: fn(&(u8, u64)) -> u64| {
            let values: BTreeSet<_> = line.ours.iter().map(of).collect();
            match (values.first(), values.last()) {
                (Some(&low), Some(&high)) if low < high => format!("{} to {}", count(low), count(high)),
                (Some(&only), _) => count(only),
                _ => "–".to_owned(),
            }
        };
        vec![
            label.to_owned(),
            filter.to_owned(),
            line.name.clone(),
            span(|&(percent, _)| percent.into()),
            span(|&(_, packets)| packets),
            percent(aggregate_difference_percent(&pairs)),
            pairs.len().to_string(),
            percent(reported.aggregate_difference(&line.theirs)),
        ]
    };
    let filters: BTreeMap<_, _> = comparisons
        .iter()
        .map(|one| (grid.label_of(&one.cell.cell), one.cell.cell.filter.to_string()))
        .collect();
    let mut rows = Vec::new();
    for (label, filter) in &filters {
        rows.extend(lines.iter().map(|line| row(label, filter, line)));
    }
    Table {
        slug: "report-aggregate".to_owned(),
        title: "Aggregate difference of wall time, kernel against user, %".to_owned(),
        columns: ["series", "filter", "cells", "invalid %", "packets", "ours", "how many", "the report's"]
            .map(str::to_owned)
            .to_vec(),
        rows,
        note: "The report's filter is valid-command: to be read beside the row of the same filter and packets. Mean over cells of |u − k| ÷ ((u + k) ÷ 2), of medians here and of means in the report, whose times \
               include about 2 s of fixed start-up that make every difference look smaller. It has no sign: chance \
               alone makes it larger than 0."
            .to_owned(),
    }
}

/// Every pair of a share and a packet count.
fn cells(percents: impl IntoIterator<Item = u8>, packets: &[u64]) -> Vec<(u8, u64)> {
    percents.into_iter().flat_map(|percent| packets.iter().map(move |&packets| (percent, packets))).collect()
}
