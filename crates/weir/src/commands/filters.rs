//! `weir filters`: the matrix of filter, toolkit and hook.

use std::fmt::Write as _;

use serde::Serialize;
use weir_filters::{Combination, FilterName, GsoView, Hook, MapUse, Toolkit};
use weir_output::terminal;

use super::{is_plain, print_record};
use crate::guards::BESIDE_FILTERS;

/// List the filters: what each decides, its maps and parameters, and where it can run.
#[derive(Debug, clap::Args)]
pub(crate) struct FiltersArgs {
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: FiltersArgs) -> anyhow::Result<()> {
    let rows: Vec<FilterLine> = FilterName::ALL.into_iter().map(FilterLine::new).collect();
    print_record(args.json, &rows, || terminal::wrapped(&tables(&rows)))
}

#[derive(Serialize)]
struct FilterLine {
    filter: FilterName,
    decides: &'static str,
    maps: &'static [MapUse],
    parameters: &'static [&'static str],
    combinations: Vec<MatrixCell>,
}

#[derive(PartialEq, Serialize)]
struct MatrixCell {
    toolkit: Toolkit,
    hook: Hook,
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Where it is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    super_packets: Option<&'static str>,
}

impl FilterLine {
    fn new(filter: FilterName) -> Self {
        let entry = filter.entry();
        let combinations = Combination::all().filter(|combination| combination.filter == filter);
        Self {
            filter,
            decides: entry.decides,
            maps: entry.maps,
            parameters: entry.parameters,
            combinations: combinations.map(MatrixCell::new).collect(),
        }
    }
}

impl MatrixCell {
    fn new(combination: Combination) -> Self {
        let gap = weir_hooks::available(combination).err();
        Self {
            toolkit: combination.toolkit,
            hook: combination.hook,
            available: gap.is_none(),
            reason: gap.map(|gap| gap.0),
            super_packets: gap.is_none().then(|| super_packets(combination.hook)),
        }
    }
}

/// What is there; a cell without it has a letter, whose reason stands below the tables.
const THERE: &str = "✓";

fn tables(rows: &[FilterLine]) -> String {
    let mut decisions = terminal::page_table(is_plain());
    decisions.set_header(["filter", "decides", "maps of its kernel program", "parameters"]);
    for row in rows {
        let maps = row.maps.iter().map(|map| format!("{} ({}): {}", map.name, map.kind, map.holds));
        decisions.add_row([
            row.filter.to_string(),
            row.decides.to_owned(),
            maps.collect::<Vec<_>>().join("\n"),
            row.parameters.join("\n"),
        ]);
    }
    terminal::keep_words(&mut decisions);
    let mut text = format!("{decisions}\n\n");

    let mut reasons: Vec<&str> = Vec::new();
    for (filters, cells) in alike(rows) {
        let mut matrix = terminal::table(is_plain());
        matrix.set_header(std::iter::once("toolkit").chain(Hook::ALL.map(Hook::as_str)));
        for toolkit in Toolkit::ALL {
            let of_toolkit = cells.iter().filter(|cell| cell.toolkit == toolkit);
            let marks = of_toolkit.map(|cell| match cell.reason {
                None => THERE.to_owned(),
                Some(reason) => letter(&mut reasons, reason).to_string(),
            });
            matrix.add_row(std::iter::once(toolkit.to_string()).chain(marks));
        }
        let _ = writeln!(text, "{}\n{matrix}\n", filters.join(", "));
    }
    for (number, reason) in reasons.iter().enumerate() {
        let _ = writeln!(text, "{}: {reason}", letter_of(number));
    }
    let _ = writeln!(
        text,
        "\nPackets of several datagrams at once (UDP GSO, GRO), which a verdict on the first would go for:"
    );
    for hook in Hook::ALL {
        let _ = writeln!(text, "{hook}: {}", super_packets(hook));
    }
    let _ = writeln!(text, "\n{BESIDE_FILTERS}");
    text
}

/// The filters with the same cells, in the order of the first of each.
fn alike(rows: &[FilterLine]) -> Vec<(Vec<String>, &[MatrixCell])> {
    let mut groups: Vec<(Vec<String>, &[MatrixCell])> = Vec::new();
    for row in rows {
        let name = row.filter.to_string();
        match groups.iter_mut().find(|(_, cells)| *cells == row.combinations) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], &row.combinations)),
        }
    }
    groups
}

/// The letter of a reason, which many cells may share.
fn letter<'a>(reasons: &mut Vec<&'a str>, reason: &'a str) -> char {
    let known = reasons.iter().position(|other| *other == reason);
    letter_of(known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    }))
}

fn letter_of(number: usize) -> char {
    ('a'..='z').cycle().nth(number).expect("a cycle has no end")
}

/// What becomes of them at each hook.
const fn super_packets(hook: Hook) -> &'static str {
    match hook.gso() {
        GsoView::Cut => "none come, unless a socket asks for them (UDP_GRO), which weir's never does",
        GsoView::Told => "the program is told of them, and drops or passes them whole (--super-packets)",
        GsoView::Untold if matches!(hook, Hook::Xdp) => "native gets none; generic as reuseport",
        GsoView::Untold => {
            "fun's programs tell them; with others the filter decides at the socket (docs/hooks.md)"
        }
    }
}
