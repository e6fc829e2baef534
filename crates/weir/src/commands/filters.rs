//! `weir filters`: the matrix of filter, toolkit and hook.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use serde::Serialize;
use weir_filters::{Combination, FilterName, Hook, MapUse, Toolkit};

use crate::{output::print, terminal};

/// List the filters: what each decides, its maps and parameters, and where it can run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// Runs `weir filters`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let rows: Vec<Row> = FilterName::ALL.into_iter().map(Row::new).collect();
    if args.json {
        print(serde_json::to_string_pretty(&rows)? + "\n")?;
    } else {
        print(tables(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Row {
    filter: FilterName,
    decides: &'static str,
    maps: &'static [MapUse],
    parameters: &'static [&'static str],
    combinations: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    toolkit: Toolkit,
    hook: Hook,
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Row {
    fn new(filter: FilterName) -> Self {
        let entry = filter.entry();
        let combinations = Combination::all().filter(|combination| combination.filter == filter);
        Self {
            filter,
            decides: entry.decides,
            maps: entry.maps,
            parameters: entry.parameters,
            combinations: combinations.map(Cell::new).collect(),
        }
    }
}

impl Cell {
    fn new(combination: Combination) -> Self {
        let gap = combination.available().err();
        Self {
            toolkit: combination.toolkit,
            hook: combination.hook,
            available: gap.is_none(),
            reason: gap.map(|gap| gap.0),
        }
    }

    fn place(&self) -> String {
        format!("{} at {}", self.toolkit, self.hook)
    }
}

fn tables(rows: &[Row]) -> String {
    let mut decisions = table(["filter", "decides", "maps of its kernel program", "parameters"]);
    for row in rows {
        let maps = row.maps.iter().map(|map| format!("{} ({}): {}", map.name, map.kind, map.holds));
        decisions.add_row([
            row.filter.to_string(),
            row.decides.to_owned(),
            maps.collect::<Vec<_>>().join("\n"),
            row.parameters.join("\n"),
        ]);
    }
    let mut text = format!("{decisions}\n\n");

    let places = rows.iter().take(1).flat_map(|row| row.combinations.iter().map(Cell::place));
    let mut matrix = table(std::iter::once("filter".to_owned()).chain(places));
    let mut reasons: Vec<(String, &str)> = Vec::new();
    for row in rows {
        let mut cells = vec![row.filter.to_string()];
        for cell in &row.combinations {
            cells.push(match cell.reason {
                None => "yes".to_owned(),
                Some(reason) => format!("no [{}]", number_of(&mut reasons, cell.place(), reason)),
            });
        }
        matrix.add_row(cells);
    }
    let _ = writeln!(text, "{matrix}");
    for (number, (place, reason)) in reasons.iter().enumerate() {
        let _ = writeln!(text, "[{}] {place}: {reason}", number + 1);
    }
    text
}

/// The footnote number of a reason, which many cells may share.
fn number_of<'a>(reasons: &mut Vec<(String, &'a str)>, place: String, reason: &'a str) -> usize {
    let known = reasons.iter().position(|(_, other)| *other == reason);
    known.unwrap_or_else(|| {
        reasons.push((place, reason));
        reasons.len() - 1
    }) + 1
}

fn table(header: impl IntoIterator<Item = impl ToString>) -> comfy_table::Table {
    let mut table = terminal::table(!io::stdout().is_terminal());
    table.set_header(header.into_iter().map(|cell| cell.to_string()).collect::<Vec<_>>());
    table
}
