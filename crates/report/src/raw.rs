//! Tables for programs and for doubt: every cell and every run with plain numbers, and the runs left out.

use weir_results::{
    cell::{Cell, Dimension},
    figure::Figure,
    ledger::Ledger,
    sample::{Flaw, Sample},
    stats::{EndsKind, Estimate},
};

use crate::{
    grid::{CellRuns, SampleGrid},
    place::Place,
    table::Table,
    tables,
};

/// A column's head, and what stands in it.
type Column<T> = (&'static str, fn(&T) -> String);

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

const SERIES: [Column<Cell>; 9] = [
    ("placement", |cell| cell.placement.name().to_owned()),
    ("filter", |cell| cell.filter.to_string()),
    ("toolkit", Cell::writing),
    ("hook", |cell| cell.hook.to_string()),
    ("io", |cell| cell.io.to_string()),
    ("behaviour", |cell| cell.behaviour.clone()),
    ("clients", |cell| cell.clients.to_string()),
    ("external_server", |cell| optional(cell.external_server.as_ref())),
    ("external_client", |cell| optional(cell.external_client.as_ref())),
];

/// The heads of what makes a cell, as definitions and `summary.json` have them.
pub(super) fn cell_heads() -> impl Iterator<Item = String> {
    let dimensions = Dimension::ALL.map(Dimension::key);
    SERIES.map(|(head, _)| head).into_iter().chain(dimensions).map(str::to_owned)
}

/// What makes `cell`, under [`cell_heads`].
pub(super) fn cell_row(cell: &Cell) -> Vec<String> {
    let place = Place::of(cell);
    let plain = |dimension| place.along(dimension).plain();
    SERIES.iter().map(|(_, text)| text(cell)).chain(Dimension::ALL.map(plain)).collect()
}

/// The figures of every cell, one cell a row.
pub(super) fn cells(grid: &SampleGrid) -> Table {
    let parts = ["median", "low", "high", "kind"];
    let figures = Figure::ALL.into_iter();
    let figure_heads = figures.flat_map(|figure| parts.map(|part| format!("{}_{part}", figure.column())));
    let runs = ["runs", "audited_runs", "invalid_runs"].map(str::to_owned);
    let row = |cell: &CellRuns| {
        let mut row = cell_row(&cell.cell);
        row.extend([cell.sound.len(), cell.audited.len(), cell.invalid].map(|runs| runs.to_string()));
        row.extend(Figure::ALL.into_iter().flat_map(|figure| ends(cell.estimate(figure))));
        row
    };
    Table {
        slug: "cells".to_owned(),
        title: "Cells".to_owned(),
        columns: cell_heads().chain(runs).chain(figure_heads).collect(),
        rows: grid.cells().map(row).collect(),
        note: String::new(),
    }
}

fn ends(estimate: Option<Estimate>) -> [String; 4] {
    let Some(Estimate { median, low, high, kind, .. }) = estimate else { return Default::default() };
    let kind = match kind {
        EndsKind::Interval => "interval",
        EndsKind::Range => "range",
    };
    [median.to_string(), low.to_string(), high.to_string(), kind.to_owned()]
}

fn of_ledger<T: ToString>(sample: &Sample, term: impl Fn(&Ledger) -> T) -> String {
    optional(sample.ledger.as_ref().map(term))
}

const RUN: [Column<Sample>; 36] = [
    ("experiment", |run| run.experiment.clone()),
    ("started_at", |run| run.started_at.clone()),
    ("audited", |run| run.audit.is_some().to_string()),
    ("valid_sent", |run| run.valid_sent.to_string()),
    ("invalid_sent", |run| run.invalid_sent.to_string()),
    ("expected_value", |run| run.expected_value.to_string()),
    ("get_value", |run| optional(run.get_value)),
    ("sent", |run| of_ledger(run, |ledger| ledger.sent)),
    ("refused", |run| of_ledger(run, |ledger| ledger.refused)),
    ("dropped_by_filter", |run| of_ledger(run, |ledger| ledger.dropped_by_filter)),
    ("dropped_for_buffer", |run| of_ledger(run, |ledger| ledger.dropped_for_buffer)),
    ("dropped_elsewhere", |run| of_ledger(run, Ledger::elsewhere)),
    ("read", |run| of_ledger(run, |ledger| ledger.read)),
    ("unread", |run| of_ledger(run, |ledger| ledger.unread)),
    ("replies_sent", |run| optional(run.replies.map(|replies| replies.sent))),
    ("replies_received", |run| optional(run.replies.map(|replies| replies.received))),
    ("replies_undelivered", |run| optional(run.replies.and_then(|replies| replies.undelivered))),
    ("server_user_us", |run| run.server_cost.user_us.to_string()),
    ("server_system_us", |run| run.server_cost.system_us.to_string()),
    ("server_voluntary_switches", |run| run.server_cost.voluntary_switches.to_string()),
    ("server_involuntary_switches", |run| run.server_cost.involuntary_switches.to_string()),
    ("server_minor_faults", |run| run.server_cost.minor_faults.to_string()),
    ("server_major_faults", |run| run.server_cost.major_faults.to_string()),
    ("server_peak_rss_kib", |run| run.server_cost.peak_rss_kib.to_string()),
    ("client_user_us", |run| run.client_cost.user_us.to_string()),
    ("client_system_us", |run| run.client_cost.system_us.to_string()),
    ("program_runs", |run| optional(program(run).map(|program| program.count))),
    ("program_time_ns", |run| optional(program(run).map(|program| program.time_ns))),
    ("clock_before_mhz", |run| optional(run.surroundings.clock_mhz.map(|(before, _)| before))),
    ("clock_after_mhz", |run| optional(run.surroundings.clock_mhz.map(|(_, after)| after))),
    ("throttled", |run| optional(run.surroundings.throttled)),
    ("energy_j", |run| optional(run.surroundings.energy_j)),
    ("backlog_drops", |run| run.surroundings.backlog_drops.to_string()),
    ("steal_s", |run| run.steal_s.to_string()),
    ("seed", |run| run.seed.to_string()),
    ("flaws", flaws),
];

fn program(sample: &Sample) -> Option<weir_records::ProgramRuns> {
    sample.server.as_ref()?.runs
}

/// Every sample, one a row, the invalid ones too.
pub(super) fn runs(samples: &[Sample]) -> Table {
    let columns = ["index", "repetition"].into_iter().map(str::to_owned).chain(cell_heads());
    let rest = RUN.iter().map(|(head, _)| (*head).to_owned());
    let row = |sample: &Sample| {
        let mut row = vec![sample.index.to_string(), sample.repetition.to_string()];
        row.extend(cell_row(&sample.cell));
        row.extend(Figure::ALL.map(|figure| optional(figure.of(sample))));
        row.extend(RUN.iter().map(|(_, text)| text(sample)));
        row
    };
    Table {
        slug: "runs".to_owned(),
        title: "Runs".to_owned(),
        columns: columns.chain(Figure::ALL.map(Figure::column)).chain(rest).collect(),
        rows: samples.iter().map(row).collect(),
        note: String::new(),
    }
}

/// The samples left out of estimates, with the reason.
pub(super) fn invalid(grid: &SampleGrid) -> Table {
    let row = |sample: &Sample| {
        let mut row = vec![sample.index.to_string(), grid.label_of(&sample.cell)];
        row.extend(Place::of(&sample.cell).row(&grid.dimensions));
        row.extend([sample.repetition.to_string(), flaws(sample)]);
        row
    };
    let rows: Vec<_> = grid.invalid.iter().map(row).collect();
    let none = if rows.is_empty() { "None: every sample is sound." } else { "" };
    let place = ["sample", "series"].map(str::to_owned).into_iter().chain(tables::heads(&grid.dimensions));
    Table {
        slug: "invalid".to_owned(),
        title: "Samples left out of every estimate".to_owned(),
        columns: place.chain(["repetition", "reason"].map(str::to_owned)).collect(),
        rows,
        note: none.to_owned(),
    }
}

fn flaws(sample: &Sample) -> String {
    sample.flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("; ")
}
