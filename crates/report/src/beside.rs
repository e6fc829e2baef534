//! The original report's figures beside ours.

use std::collections::BTreeSet;

use weir_filters::FilterName;
use weir_results::{
    cell::{Dimension, Placement, Value},
    figure::Figure,
    number::{count, number},
    stats::aggregate_difference_percent,
};

use crate::{
    grid::{SampleGrid, Series},
    place::Place,
    reported::{Reported, ReportedServer},
    table::Table,
    tables::{estimate_text, kernel_labels},
};

const PLACEMENTS: [Placement; 2] = [Placement::User, Placement::Kernel];

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
    let digits = theirs.figure.digits();
    let their_row = |percent: u8, placement: Placement| {
        let mut row = vec![percent.to_string(), format!("report, {}", placement.name())];
        row.extend(reported.packets.iter().map(|&packets| {
            let value = (theirs.of)(reported, placement, percent, packets);
            value.map_or("–".to_owned(), |value| number(value, digits))
        }));
        row
    };
    let our_row = |percent: u8, series: &Series| {
        let mut row = vec![percent.to_string(), format!("ours, {}", grid.label(series))];
        row.extend(reported.packets.iter().map(|&packets| {
            let here =
                grid.places.iter().find(|place| percent_and_packets(place) == Some((percent, packets)));
            here.map_or("not run".to_owned(), |place| estimate_text(grid, series, place, theirs.figure))
        }));
        row
    };
    let of_percent = |percent: u8| {
        let theirs =
            PLACEMENTS.into_iter().map(|placement| their_row(percent, placement)).collect::<Vec<_>>();
        theirs
            .into_iter()
            .chain(grid.series.iter().map(|series| our_row(percent, series)).collect::<Vec<_>>())
    };
    let percents: BTreeSet<_> = ours.iter().map(|&(percent, _)| percent).collect();
    let rows: Vec<_> = percents.into_iter().filter(|&percent| meets(percent)).flat_map(of_percent).collect();
    let none = "No percent and packet count of this experiment stands in the report's tables. ";
    let Theirs { slug, figure, numbers, note, .. } = theirs;
    Table {
        slug: (*slug).to_owned(),
        title: format!("{}, beside the report's {numbers}", figure.head()),
        columns: ["invalid %", "whose"]
            .map(str::to_owned)
            .into_iter()
            .chain(reported.packets.iter().map(|&packets| format!("{} packets", count(packets))))
            .collect(),
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
    let at_percent = percents.iter().map(|&percent| DifferenceRow {
        name: format!("over packets, at {percent} % invalid"),
        ours: packets.iter().map(|&packets| (percent, packets)).collect(),
        theirs: reported.packets.iter().map(|&packets| (percent, packets)).collect(),
    });
    let at_packets = packets.iter().map(|&packets| DifferenceRow {
        name: format!("over percents, at {} packets", count(packets)),
        ours: percents.iter().map(|&percent| (percent, packets)).collect(),
        theirs: reported.percents().map(|percent| (percent, packets)).collect(),
    });
    let everywhere = DifferenceRow {
        name: "over the whole grid".to_owned(),
        ours: percents
            .iter()
            .flat_map(|&percent| packets.iter().map(move |&packets| (percent, packets)))
            .collect(),
        theirs: reported
            .percents()
            .flat_map(|percent| reported.packets.iter().map(move |&packets| (percent, packets)))
            .collect(),
    };
    let lines: Vec<DifferenceRow> = at_percent.chain(at_packets).chain([everywhere]).collect();
    let comparisons = grid.comparisons();
    let labels = kernel_labels(grid, &comparisons);
    let filter_of = |label: &String| {
        comparisons.iter().find(|one| grid.label_of(&one.cell.cell) == *label).map(|one| one.cell.cell.filter)
    };
    let filters: Vec<_> = labels.iter().filter_map(|label| Some((label, filter_of(label)?))).collect();
    let row = |(label, filter): (&String, FilterName), line: &DifferenceRow| {
        let pairs = wall_pairs(grid, label, &line.ours);
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
            label.clone(),
            filter.to_string(),
            line.name.clone(),
            span(|&(percent, _)| percent.into()),
            span(|&(_, packets)| packets),
            percent(aggregate_difference_percent(&pairs)),
            pairs.len().to_string(),
            percent(reported.aggregate_difference(&line.theirs)),
        ]
    };
    Table {
        slug: "report-aggregate".to_owned(),
        title: "Aggregate difference of wall time, kernel against user, %".to_owned(),
        columns: ["series", "filter", "cells", "invalid %", "packets", "ours", "how many", "the report's"]
            .map(str::to_owned)
            .to_vec(),
        rows: filters.iter().flat_map(|&filter| lines.iter().map(|line| row(filter, line)).collect::<Vec<_>>()).collect(),
        note: "The report's filter is valid-command: to be read beside the row of the same filter and packets. Mean over cells of |u − k| ÷ ((u + k) ÷ 2), of medians here and of means in the report, whose times \
               include about 2 s of fixed start-up that make every difference look smaller. It has no sign: chance \
               alone makes it larger than 0."
            .to_owned(),
    }
}

fn wall_pairs(grid: &SampleGrid, label: &str, cells: &[(u8, u64)]) -> Vec<(f64, f64)> {
    let comparisons = grid.comparisons();
    let here = comparisons.iter().filter(|comparison| {
        let cell = &comparison.cell.cell;
        cells.contains(&(cell.invalid_percent, cell.packets)) && grid.label_of(cell) == label
    });
    let median = |runs: &crate::grid::CellRuns| runs.estimate(Figure::Wall).map(|estimate| estimate.median);
    here.filter_map(|comparison| Some((median(comparison.base)?, median(comparison.cell)?))).collect()
}
