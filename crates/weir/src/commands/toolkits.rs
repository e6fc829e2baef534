//! `weir toolkits`: what each filter is and costs, by each toolkit.

use std::{fmt::Write as _, iter, process::ExitCode};

use serde::Serialize;
use weir_filters::{FilterName, Toolkit};
use weir_lab::filter_cost;
use weir_output::terminal;
use weir_results::{number, stats::Estimate};

use super::{is_plain, print_record};
use crate::{
    guards::BESIDE_FILTERS,
    toolkits::{self, LOADS, Needs, RefusedFilter, ToolkitComparison, ToolkitCost},
};

/// Compare the toolkits: for each filter its source, its program, what loading and running it takes.
///
/// Everything is counted and measured now, in a few seconds; needs root, or CAP_BPF and CAP_NET_ADMIN. Exit status 1 where
/// the kernel refuses a program: which one and why stands behind the table.
#[derive(Debug, clap::Args)]
pub(crate) struct ToolkitsArgs {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,

    /// This filter alone; `weir filters` lists them.
    #[arg(long, value_name = "NAME")]
    filter: Option<FilterName>,
}

pub(crate) fn run(args: ToolkitsArgs) -> anyhow::Result<ExitCode> {
    let filters = args.filter.map_or_else(|| FilterName::ALL.to_vec(), |filter| vec![filter]);
    let ToolkitComparison { rows, refusals } =
        toolkits::measure(&filters, &mut |filter| eprintln!("weir: measuring {filter}"))?;
    let toolkits: Vec<_> = Toolkit::ALL
        .into_iter()
        .filter(|toolkit| filters.iter().any(|filter| toolkits::of(*filter).any(|other| other == *toolkit)))
        .map(toolkits::needs)
        .collect();
    let document = ToolkitsDocument {
        toolkits: &toolkits,
        rows: &rows,
        refusals: &refusals,
        loads: LOADS,
        batches: filter_cost::BATCHES,
        runs_per_batch: filter_cost::RUNS,
    };
    print_record(args.json, &document, || terminal::wrapped(&text(&rows, &refusals, &toolkits)))?;
    Ok(if refusals.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Serialize)]
struct ToolkitsDocument<'a> {
    toolkits: &'a [Needs],
    rows: &'a [ToolkitCost],
    refusals: &'a [RefusedFilter],
    /// Loads of which `load_ms` is the median.
    loads: usize,
    /// Batches of which `ns_over_accept_all` is the median.
    batches: usize,
    runs_per_batch: u32,
}

const COLUMNS: [&str; 9] = [
    "filter",
    "toolkit",
    "instructions",
    "translated",
    "verified",
    "JIT bytes",
    "stack bytes",
    "load, ms",
    "ns over accept-all",
];

fn text(rows: &[ToolkitCost], refusals: &[RefusedFilter], toolkits: &[Needs]) -> String {
    let mut table = terminal::table(is_plain());
    table.set_header(COLUMNS);
    for row in rows {
        table.add_row(cells(row));
    }
    let mut text = if terminal::fits(&table) { format!("{table}\n\n") } else { one_by_one(rows) };
    for RefusedFilter { filter, toolkit, reason } in refusals {
        let _ = writeln!(text, "refused: {filter} by {toolkit}: {reason}");
    }
    for Needs { toolkit, to_build, to_load } in toolkits {
        let _ = writeln!(text, "{toolkit}: to build, {to_build}; to load, {to_load}.");
    }
    text + &notes()
}

/// A table a filter, with the toolkits side by side: for terminals that are narrower than the table of all.
fn one_by_one(rows: &[ToolkitCost]) -> String {
    let tables = rows.chunk_by(|one, next| one.filter == next.filter).map(|rows| {
        let mut table = terminal::table(is_plain());
        let columns: Vec<_> = rows.iter().map(cells).collect();
        table.set_header(
            iter::once(rows[0].filter.to_string()).chain(columns.iter().map(|cells| cells[1].clone())),
        );
        for (what, name) in COLUMNS.iter().enumerate().skip(2) {
            table.add_row(
                iter::once((*name).to_owned()).chain(columns.iter().map(|cells| cells[what].clone())),
            );
        }
        terminal::keep_words(&mut table);
        format!("{table}\n\n")
    });
    tables.collect()
}

/// What the kernel doesn't tell.
const HIDDEN: &str = "hidden";

fn cells(row: &ToolkitCost) -> [String; 9] {
    let known = |value: Option<u32>| value.map_or_else(|| HIDDEN.to_owned(), |value| value.to_string());
    [
        row.filter.to_string(),
        row.toolkit.to_string(),
        row.instructions_written.to_string(),
        known(row.instructions_translated),
        known(row.verified_instructions),
        known(row.jited_bytes),
        row.stack_bytes.to_string(),
        estimate(row.load_ms),
        row.ns_over_accept_all.map_or_else(|| HIDDEN.to_owned(), estimate),
    ]
}

fn estimate(estimate: Estimate) -> String {
    number::estimate(&estimate, |value| number::number(value, 3))
}

fn notes() -> String {
    format!(
        "\ninstructions: as the toolkit writes them, 8 bytes each; translated: as the kernel keeps them; verified: those that the verifier walked through.\nstack: \
         the deepest byte that an instruction or an argument names.\nload: from the specification to a verified \
         program (cbpf: to an attached one), median [95 % interval] of {LOADS}, the toolkits in turn.\nns over accept-all: a test run on a PUT less \
         that of the toolkit's accept-all program, median [95 % interval] of {} batches in turn, each the mean of {} \
         runs.\n\n{BESIDE_FILTERS} `weir experiment guard` compares one with filters.\n",
        filter_cost::BATCHES,
        filter_cost::RUNS,
    )
}
