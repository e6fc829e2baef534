//! `summary.json`: every estimate of the report, for programs.

use serde::{Deserialize, Serialize};
use weir_filters::{FilterName, Hook, Toolkit};
use weir_service::Io;

use super::{
    figure::Figure,
    grid::{CellRuns, Comparison, Grid},
};
use crate::{
    cell::Placement,
    ledger::Ledger,
    stats::{Estimate, Kind},
};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The cells of the grid.
    pub cells: Vec<CellSummary>,
    /// Kernel ÷ user, where both were run.
    pub ratios: Vec<RatioSummary>,
    /// One toolkit ÷ another, where both were run in the kernel.
    pub toolkit_ratios: Vec<RatioSummary>,
    /// Samples left out of every estimate.
    pub invalid_samples: usize,
}

/// One cell. An estimate is null where no run has the figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// Where the decision is made.
    pub placement: Placement,
    /// The filter.
    pub filter: FilterName,
    /// Its toolkit.
    pub toolkit: Toolkit,
    /// Its hook.
    pub hook: Hook,
    /// How the server reads and writes.
    pub io: Io,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Packets asked for.
    pub packets: u64,
    /// Payload of an invalid packet, bytes; null where it is the behaviour's own.
    pub invalid_size: Option<u32>,
    /// Client behaviour.
    pub behaviour: String,
    /// Clients at the same time.
    pub clients: u32,
    /// External server, if any.
    pub external_server: Option<String>,
    /// External client, if any.
    pub external_client: Option<String>,
    /// Sound runs.
    pub runs: usize,
    /// Runs left out.
    pub invalid_runs: usize,
    /// Server CPU time per packet sent, µs.
    pub server_cpu_us_per_packet: Option<Median>,
    /// Client CPU time per packet sent, µs.
    pub client_cpu_us_per_packet: Option<Median>,
    /// Loss of valid requests, percent; null where no valid packet was sent.
    pub loss_percent: Option<Median>,
    /// From the first packet sent to the last handled, s.
    pub wall_s: Option<Median>,
    /// Where the packets of all sound runs went, added up; null where none keeps counts.
    pub ledger: Option<Ledger>,
}

/// A median with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Median {
    /// The median.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What the ends are.
    pub kind: Kind,
    /// Runs that have the figure.
    pub runs: usize,
    /// Probability that the ends enclose the true median.
    pub coverage: f64,
}

impl From<Estimate> for Median {
    fn from(estimate: Estimate) -> Self {
        let Estimate { median, low, high, runs, kind, coverage } = estimate;
        Self { median, low, high, kind, runs, coverage }
    }
}

/// One cell ÷ another under otherwise equal conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioSummary {
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Packets asked for.
    pub packets: u64,
    /// What is divided by what: "kernel ÷ user", "fun ÷ aya".
    pub quotient: String,
    /// The filter of the cell whose figure is divided.
    pub filter: FilterName,
    /// Its toolkit.
    pub toolkit: Toolkit,
    /// Its hook.
    pub hook: Hook,
    /// How the server reads and writes.
    pub io: Io,
    /// The series that this cell belongs to, as the report calls it.
    pub series: String,
    /// Of server CPU time.
    pub server_cpu: Option<Ratio>,
    /// Of client CPU time.
    pub client_cpu: Option<Ratio>,
    /// Of wall time.
    pub wall: Option<Ratio>,
}

/// A median of paired ratios with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The median ratio.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What the ends are.
    pub kind: Kind,
    /// Pairs of runs.
    pub pairs: usize,
    /// Probability that the ends enclose the true median ratio.
    pub coverage: f64,
}

impl From<Estimate> for Ratio {
    fn from(ratio: Estimate) -> Self {
        let Estimate { median, low, high, runs, kind, coverage } = ratio;
        Self { estimate: median, low, high, kind, pairs: runs, coverage }
    }
}

impl Summary {
    /// The summary of `grid`.
    pub(super) fn of(grid: &Grid) -> Self {
        let ratios = |comparisons: Vec<Comparison<'_>>| {
            comparisons.iter().map(|comparison| ratio_summary(grid, comparison)).collect()
        };
        Self {
            cells: grid.cells().map(cell_summary).collect(),
            ratios: ratios(grid.comparisons()),
            toolkit_ratios: ratios(grid.toolkit_comparisons()),
            invalid_samples: grid.invalid.len(),
        }
    }

    /// The file's text.
    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("the summary has no map with other keys");
        text.push('\n');
        text
    }
}

fn cell_summary(runs: &CellRuns) -> CellSummary {
    let cell = &runs.cell;
    let median = |figure| runs.estimate(figure).map(Median::from);
    CellSummary {
        placement: cell.placement,
        filter: cell.filter,
        toolkit: cell.toolkit,
        hook: cell.hook,
        io: cell.io,
        invalid_percent: cell.invalid_percent,
        packets: cell.packets,
        invalid_size: cell.invalid_size,
        behaviour: cell.behaviour.clone(),
        clients: cell.clients,
        external_server: cell.external_server.clone(),
        external_client: cell.external_client.clone(),
        runs: runs.sound.len(),
        invalid_runs: runs.invalid,
        server_cpu_us_per_packet: median(Figure::ServerCpu),
        client_cpu_us_per_packet: median(Figure::ClientCpu),
        loss_percent: median(Figure::Loss),
        wall_s: median(Figure::Wall),
        ledger: total_ledger(runs),
    }
}

/// The ledgers of the sound runs added up; nothing where none has one.
pub(super) fn total_ledger(runs: &CellRuns) -> Option<Ledger> {
    runs.sound.iter().filter_map(|sample| sample.ledger.clone()).reduce(|all, ledger| all.plus(&ledger))
}

fn ratio_summary(grid: &Grid, comparison: &Comparison<'_>) -> RatioSummary {
    let cell = &comparison.cell.cell;
    let ratio = |figure| comparison.ratio(figure).map(Ratio::from);
    RatioSummary {
        invalid_percent: cell.invalid_percent,
        packets: cell.packets,
        quotient: comparison.quotient(),
        filter: cell.filter,
        toolkit: cell.toolkit,
        hook: cell.hook,
        io: cell.io,
        series: grid.label_of(cell),
        server_cpu: ratio(Figure::ServerCpu),
        client_cpu: ratio(Figure::ClientCpu),
        wall: ratio(Figure::Wall),
    }
}
