//! Tables for programs and for doubt: every cell and every run with plain numbers, and the runs left out.

use super::{
    grid::Grid,
    number::count,
    summary::{CellSummary, Median, Summary},
    table::Table,
};
use crate::sample::{Flaw, Sample};

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// The cells of the summary, one a row.
pub(super) fn cells(summary: &Summary) -> Table {
    let mut columns = heads(&[
        "placement",
        "filter",
        "toolkit",
        "hook",
        "io",
        "invalid_percent",
        "packets",
        "invalid_size",
        "behaviour",
        "clients",
        "external_server",
        "external_client",
        "runs",
        "invalid_runs",
    ]);
    for figure in ["server_cpu_us_per_packet", "client_cpu_us_per_packet", "loss_percent", "wall_s"] {
        columns.extend(["median", "low", "high", "kind"].map(|part| format!("{figure}_{part}")));
    }
    let row = |cell: &CellSummary| {
        let mut row = vec![
            cell.placement.name().to_owned(),
            cell.filter.to_string(),
            cell.toolkit.to_string(),
            cell.hook.to_string(),
            cell.io.to_string(),
            cell.invalid_percent.to_string(),
            cell.packets.to_string(),
            optional(cell.invalid_size),
            cell.behaviour.clone(),
            cell.clients.to_string(),
            optional(cell.external_server.as_ref()),
            optional(cell.external_client.as_ref()),
            cell.runs.to_string(),
            cell.invalid_runs.to_string(),
        ];
        let medians =
            [cell.server_cpu_us_per_packet, cell.client_cpu_us_per_packet, cell.loss_percent, cell.wall_s];
        row.extend(medians.into_iter().flat_map(median));
        row
    };
    Table {
        slug: "cells".to_owned(),
        title: "Cells".to_owned(),
        columns,
        rows: summary.cells.iter().map(row).collect(),
        note: String::new(),
    }
}

fn median(median: Option<Median>) -> [String; 4] {
    let Some(median) = median else { return Default::default() };
    let kind = match median.kind {
        crate::stats::Kind::Interval => "interval",
        crate::stats::Kind::Range => "range",
    };
    [median.median.to_string(), median.low.to_string(), median.high.to_string(), kind.to_owned()]
}

/// Every sample, one a row, the invalid ones too.
pub(super) fn runs(samples: &[Sample]) -> Table {
    let columns = heads(&[
        "index",
        "repetition",
        "placement",
        "filter",
        "toolkit",
        "hook",
        "io",
        "invalid_percent",
        "packets",
        "invalid_size",
        "behaviour",
        "clients",
        "external_server",
        "external_client",
        "started_at",
        "valid_sent",
        "invalid_sent",
        "expected_value",
        "get_value",
        "loss_percent",
        "wall_s",
        "sent",
        "dropped_by_filter",
        "dropped_for_buffer",
        "read",
        "unread",
        "server_cpu_us_per_packet",
        "server_user_us",
        "server_system_us",
        "server_voluntary_switches",
        "server_involuntary_switches",
        "server_minor_faults",
        "server_major_faults",
        "server_peak_rss_kib",
        "client_user_us",
        "client_system_us",
        "program_runs",
        "program_time_ns",
        "steal_s",
        "flaws",
    ]);
    Table {
        slug: "runs".to_owned(),
        title: "Runs".to_owned(),
        columns,
        rows: samples.iter().map(run).collect(),
        note: String::new(),
    }
}

fn run(sample: &Sample) -> Vec<String> {
    let (cell, ledger) = (&sample.cell, sample.ledger.as_ref());
    let program = sample.server.as_ref().and_then(|server| server.runs);
    vec![
        sample.index.to_string(),
        sample.repetition.to_string(),
        cell.placement.name().to_owned(),
        cell.filter.to_string(),
        cell.toolkit.to_string(),
        cell.hook.to_string(),
        cell.io.to_string(),
        cell.invalid_percent.to_string(),
        cell.packets.to_string(),
        optional(cell.invalid_size),
        cell.behaviour.clone(),
        cell.clients.to_string(),
        optional(cell.external_server.as_ref()),
        optional(cell.external_client.as_ref()),
        sample.started_at.clone(),
        sample.valid_sent.to_string(),
        sample.invalid_sent.to_string(),
        sample.expected_value.to_string(),
        optional(sample.get_value),
        optional(sample.loss_percent()),
        optional(sample.wall_s),
        optional(ledger.map(|ledger| ledger.sent)),
        optional(ledger.map(|ledger| ledger.dropped_by_filter)),
        optional(ledger.map(|ledger| ledger.dropped_for_buffer)),
        optional(ledger.map(|ledger| ledger.read)),
        optional(ledger.map(|ledger| ledger.unread)),
        sample.server_cpu_us_per_packet().to_string(),
        sample.server_cost.user_us.to_string(),
        sample.server_cost.system_us.to_string(),
        sample.server_cost.voluntary_switches.to_string(),
        sample.server_cost.involuntary_switches.to_string(),
        sample.server_cost.minor_faults.to_string(),
        sample.server_cost.major_faults.to_string(),
        sample.server_cost.peak_rss_kib.to_string(),
        sample.client_cost.user_us.to_string(),
        sample.client_cost.system_us.to_string(),
        optional(program.map(|program| program.count)),
        optional(program.map(|program| program.time_ns)),
        sample.steal_s.to_string(),
        flaws(sample),
    ]
}

/// The samples left out of estimates, with the reason.
pub(super) fn invalid(grid: &Grid) -> Table {
    let row = |sample: &Sample| {
        vec![
            sample.index.to_string(),
            grid.label_of(&sample.cell),
            sample.cell.invalid_percent.to_string(),
            count(sample.cell.packets),
            sample.repetition.to_string(),
            flaws(sample),
        ]
    };
    let rows: Vec<_> = grid.invalid.iter().map(row).collect();
    let none = if rows.is_empty() { "None: every sample is sound." } else { "" };
    Table {
        slug: "invalid".to_owned(),
        title: "Samples left out of every estimate".to_owned(),
        columns: heads(&["sample", "series", "invalid %", "packets", "repetition", "reason"]),
        rows,
        note: none.to_owned(),
    }
}

fn flaws(sample: &Sample) -> String {
    sample.flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("; ")
}
