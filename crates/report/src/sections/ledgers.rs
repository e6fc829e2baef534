//! The tables that account for packets: where every packet went, and the audit beside the cheap ledger.

use std::{collections::BTreeMap, iter};

use weir_results::{
    figure::Figure,
    ledger::Ledger,
    number::{count, ratio},
};

use crate::{
    grid::{CellRuns, SampleGrid},
    place::Place,
    summary::total_ledger,
    table::Table,
    tables::heads,
};

/// Where the packets of each cell went.
pub(super) fn ledger(grid: &SampleGrid) -> Table {
    let row = |runs: &CellRuns| {
        let mut row = cell_row(grid, runs, runs.sound.len());
        match total_ledger(&runs.sound) {
            Some(total) => row.extend([
                count(total.sent),
                count(total.refused),
                count(total.dropped_by_filter),
                count(total.dropped_for_buffer),
                by_reason(&total.dropped_elsewhere),
                count(total.read),
                count(total.unread),
            ]),
            None => row.extend(iter::repeat_n("not counted".to_owned(), 7)),
        }
        row
    };
    let terms = [
        "sent",
        "refused by the sender's kernel",
        "dropped by the filter",
        "dropped for a full buffer",
        "dropped elsewhere",
        "read",
        "left unread",
    ];
    Table {
        slug: "ledger".to_owned(),
        title: "Where every packet went".to_owned(),
        columns: columns(grid, &terms),
        rows: grid.cells().map(row).collect(),
        note: "Totals over the sound runs of each cell, the final GET and STOP included. Each term has a source of its \
               own; a run whose counts don't add up is not sound and not in here."
            .to_owned(),
    }
}

/// The audited runs: the kernel's drops by reason beside the cheap ledger of the same runs; nothing without one.
pub(super) fn audit(grid: &SampleGrid) -> Option<Table> {
    let row = |runs: &CellRuns| {
        let cheap = total_ledger(&runs.audited);
        let term =
            |of: fn(&Ledger) -> u64| cheap.as_ref().map_or("not counted".to_owned(), |all| count(of(all)));
        let mut reasons = BTreeMap::new();
        for audit in runs.audited.iter().filter_map(|sample| sample.audit.as_ref()) {
            for (reason, dropped) in &audit.by_reason {
                *reasons.entry(reason.clone()).or_default() += dropped;
            }
        }
        let mut row = cell_row(grid, runs, runs.audited.len());
        row.extend([
            by_reason(&reasons),
            term(|ledger| ledger.dropped_by_filter),
            term(|ledger| ledger.dropped_for_buffer),
            term(Ledger::elsewhere),
            slowed(runs),
        ]);
        row
    };
    let terms = [
        "audit: the kernel's drops, by reason",
        "ledger: by the filter",
        "ledger: for a full buffer",
        "ledger: elsewhere",
        "wall time, audited ÷ not",
    ];
    let rows: Vec<_> = grid.cells().filter(|runs| !runs.audited.is_empty()).map(row).collect();
    (!rows.is_empty()).then(|| Table {
        slug: "audit".to_owned(),
        title: "The audit against the ledger".to_owned(),
        columns: columns(grid, &terms),
        rows,
        note: "Audited runs trace every drop of their requests at skb:kfree_skb. That takes time, so no estimate uses \
               them. Both columns are of the same runs; where they disagreed, the run is among those left out."
            .to_owned(),
    })
}

/// How much longer the audited runs took, by the medians of both.
fn slowed(runs: &CellRuns) -> String {
    let audited: Vec<_> = runs.audited.iter().filter_map(|sample| Figure::Wall.of(sample)).collect();
    let median = |values: &[f64]| weir_results::stats::Estimate::of(values).map(|estimate| estimate.median);
    match (median(&audited), median(&runs.values(Figure::Wall))) {
        (Some(audited), Some(timed)) if timed > 0.0 => ratio(audited / timed),
        _ => "–".to_owned(),
    }
}

fn cell_row(grid: &SampleGrid, runs: &CellRuns, made: usize) -> Vec<String> {
    let mut row = vec![grid.label_of(&runs.cell)];
    row.extend(Place::of(&runs.cell).row(&grid.dimensions));
    row.push(made.to_string());
    row
}

fn columns(grid: &SampleGrid, terms: &[&str]) -> Vec<String> {
    let place = iter::once("series".to_owned()).chain(heads(&grid.dimensions));
    place.chain(["runs"].iter().chain(terms).map(|&head| head.to_owned())).collect()
}

fn by_reason(reasons: &BTreeMap<String, u64>) -> String {
    let dropped = reasons.iter().filter(|(_, dropped)| **dropped > 0);
    let dropped: Vec<_> = dropped.map(|(reason, dropped)| format!("{reason} {}", count(*dropped))).collect();
    if dropped.is_empty() { "0".to_owned() } else { dropped.join(", ") }
}
