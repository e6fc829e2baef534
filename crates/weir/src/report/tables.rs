//! Which tables a report has, made from the grid.

use super::{
    figure::Figure,
    grid::{CellRuns, Comparison, Grid, Series},
    number::{count, estimate, number, ratio},
    summary::total_ledger,
    table::Table,
};
use crate::stats::Estimate;

const INTERVALS: &str = "Median [ends of an interval that covers the true median with 95 % or more]; with fewer than 6 \
    runs there is no such interval, and the smallest and largest value are given, called a range.";

/// Costs, loss and ratio of every place of the grid in one table.
pub(super) fn overview(grid: &Grid) -> Table {
    let mut columns = vec!["invalid %".to_owned(), "packets".to_owned()];
    let by_series =
        |what: &str| grid.series.iter().map(|s| format!("{what}, {}", grid.label(s))).collect::<Vec<_>>();
    columns.extend(by_series("server CPU µs/packet"));
    let comparisons: Vec<_> = grid.comparisons().into_iter().chain(grid.toolkit_comparisons()).collect();
    let quotients = quotients(grid, &comparisons);
    columns.extend(quotients.iter().map(|quotient| format!("server CPU, {quotient}")));
    columns.extend(by_series("loss %"));
    let row = |percent, packets| {
        let mut row = vec![percent_text(percent), count(packets)];
        let cells =
            |figure| grid.series.iter().map(move |s| estimate_text(grid, s, percent, packets, figure));
        row.extend(cells(Figure::ServerCpu));
        row.extend(quotients.iter().map(|quotient| {
            let here = comparisons.iter().find(|comparison| {
                let cell = &comparison.cell.cell;
                (cell.invalid_percent, cell.packets) == (percent, packets)
                    && quotient_of(grid, comparison) == *quotient
            });
            ratio_text(here.and_then(|comparison| comparison.ratio(Figure::ServerCpu)))
        }));
        row.extend(cells(Figure::Loss));
        row
    };
    Table {
        slug: "overview".to_owned(),
        title: "At a glance".to_owned(),
        columns,
        rows: places(grid).map(|(percent, packets)| row(percent, packets)).collect(),
        note: INTERVALS.to_owned(),
    }
}

/// The tables of the report's shape: one for each figure and series, invalid share down, packets across.
pub(super) fn shaped(grid: &Grid) -> Vec<Table> {
    let figures = Figure::ALL.into_iter();
    figures
        .flat_map(|figure| {
            grid.series.iter().enumerate().map(move |(i, series)| shaped_table(grid, figure, series, i + 1))
        })
        .collect()
}

fn shaped_table(grid: &Grid, figure: Figure, series: &Series, number: usize) -> Table {
    let head = grid.packets.iter().map(|&packets| format!("{} packets", count(packets)));
    let row = |&percent: &u8| {
        let cells = grid.packets.iter().map(|&packets| match figure {
            Figure::Loss => loss_text(grid, series, percent, packets),
            _ => estimate_text(grid, series, percent, packets, figure),
        });
        std::iter::once(percent_text(percent)).chain(cells).collect()
    };
    Table {
        slug: format!("{}-{number}-{}", figure.slug(), series.placement().name()),
        title: format!("{}, {}: {}", figure.title(), figure.unit(), grid.label(series)),
        columns: std::iter::once("invalid %".to_owned()).chain(head).collect(),
        rows: grid.percents.iter().map(row).collect(),
        note: String::new(),
    }
}

/// Kernel ÷ user of each place of the grid.
pub(super) fn ratios(grid: &Grid) -> Table {
    Table {
        slug: "ratios".to_owned(),
        title: "Kernel ÷ user, paired by repetition".to_owned(),
        note: "Below 1 the kernel's side is the smaller. Over loopback a socket filter runs on the sender's CPU time, \
               so what it saves the server is to be read beside what it costs the client."
            .to_owned(),
        ..ratio_table(grid, &grid.comparisons())
    }
}

/// One toolkit ÷ another of each place of the grid; nothing where there is but one.
pub(super) fn toolkit_ratios(grid: &Grid) -> Option<Table> {
    let comparisons = grid.toolkit_comparisons();
    let first = comparisons.first()?;
    let base = first.side(first.base);
    Some(Table {
        slug: "toolkit-ratios".to_owned(),
        title: format!("Toolkit ÷ {base}, paired by repetition"),
        note: format!(
            "Below 1 the series' side is the smaller: the same filter in the kernel, by its toolkit and by {base}. Over \
             loopback the program runs on the client's CPU time."
        ),
        ..ratio_table(grid, &comparisons)
    })
}

fn ratio_table(grid: &Grid, comparisons: &[Comparison<'_>]) -> Table {
    let row = |comparison: &Comparison<'_>| {
        let cell = &comparison.cell.cell;
        let mut row = vec![percent_text(cell.invalid_percent), count(cell.packets), grid.label_of(cell)];
        row.extend(Figure::WITH_RATIO.map(|figure| ratio_text(comparison.ratio(figure))));
        row.push(comparison.ratio(Figure::ServerCpu).map_or(0, |ratio| ratio.runs).to_string());
        row
    };
    Table {
        slug: String::new(),
        title: String::new(),
        columns: ["invalid %", "packets", "series", "server CPU", "client CPU", "wall time", "pairs"]
            .map(str::to_owned)
            .to_vec(),
        rows: comparisons.iter().map(row).collect(),
        note: String::new(),
    }
}

/// Where the packets of each cell went.
pub(super) fn ledger(grid: &Grid) -> Table {
    let row = |runs: &CellRuns| {
        let mut row = vec![
            grid.label_of(&runs.cell),
            percent_text(runs.cell.invalid_percent),
            count(runs.cell.packets),
            runs.sound.len().to_string(),
        ];
        match total_ledger(runs) {
            Some(total) => row.extend(
                [total.sent, total.dropped_by_filter, total.dropped_for_buffer, total.read, total.unread]
                    .map(count),
            ),
            None => row.extend(std::iter::repeat_n("not counted".to_owned(), 5)),
        }
        row
    };
    Table {
        slug: "ledger".to_owned(),
        title: "Where every packet went".to_owned(),
        columns: [
            "series",
            "invalid %",
            "packets",
            "runs",
            "sent",
            "dropped by the filter",
            "dropped for a full buffer",
            "read",
            "left unread",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: grid.cells().map(row).collect(),
        note: "Totals over the sound runs of each cell, the final GET and STOP included. A run whose counts don't add \
               up is not sound and not in here."
            .to_owned(),
    }
}

/// The places of the grid: percent first, then packets.
pub(super) fn places(grid: &Grid) -> impl Iterator<Item = (u8, u64)> {
    grid.percents.iter().flat_map(|&percent| grid.packets.iter().map(move |&packets| (percent, packets)))
}

/// The labels of the series that are compared with user space, without repeats.
pub(super) fn kernel_labels(grid: &Grid, comparisons: &[Comparison<'_>]) -> Vec<String> {
    let mut labels: Vec<_> =
        comparisons.iter().map(|comparison| grid.label_of(&comparison.cell.cell)).collect();
    labels.sort();
    labels.dedup();
    labels
}

/// What is compared, without repeats: "kernel, valid-command ÷ user".
fn quotients(grid: &Grid, comparisons: &[Comparison<'_>]) -> Vec<String> {
    let mut quotients: Vec<_> =
        comparisons.iter().map(|comparison| (comparison.contrast, quotient_of(grid, comparison))).collect();
    quotients.sort();
    quotients.dedup();
    quotients.into_iter().map(|(_, quotient)| quotient).collect()
}

fn quotient_of(grid: &Grid, comparison: &Comparison<'_>) -> String {
    format!("{} ÷ {}", grid.label_of(&comparison.cell.cell), comparison.side(comparison.base))
}

/// A share of invalid packets.
pub(super) fn percent_text(percent: u8) -> String {
    percent.to_string()
}

/// An estimate as a table shows it, or why there is none.
pub(super) fn estimate_text(
    grid: &Grid,
    series: &Series,
    percent: u8,
    packets: u64,
    figure: Figure,
) -> String {
    let Some(runs) = grid.cell(series, percent, packets) else { return "not run".to_owned() };
    match runs.estimate(figure) {
        Some(median) => estimate(&median, |value| number(value, figure.digits())),
        None if runs.sound.is_empty() => "no sound run".to_owned(),
        None => "–".to_owned(),
    }
}

/// A ratio as a table shows it.
pub(super) fn ratio_text(median: Option<Estimate>) -> String {
    median.map_or("no pair".to_owned(), |median| estimate(&median, ratio))
}

fn loss_text(grid: &Grid, series: &Series, percent: u8, packets: u64) -> String {
    let text = estimate_text(grid, series, percent, packets, Figure::Loss);
    match grid.cell(series, percent, packets) {
        Some(runs) => {
            let responding = runs.sound.iter().filter(|sample| sample.get_value.is_some()).count();
            format!("{text}; {responding} of {} runs answered", runs.sound.len() + runs.invalid)
        }
        None => text,
    }
}
