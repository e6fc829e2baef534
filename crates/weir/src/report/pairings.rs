//! Pairings: which server served which client, where a definition gives other servers or clients by command.

use std::collections::{BTreeMap, BTreeSet};

use weir_filters::{FilterName, Toolkit};

use super::{
    figure::Figure,
    grid::{CellRuns, Grid},
    number::{estimate, number},
    place::Place,
    table::Table,
    tables::{heads, ratio_text},
};
use crate::cell::{Cell, Placement};

const FIGURES: [Figure; 3] = [Figure::Wall, Figure::Loss, Figure::ServerCpu];

const OURS: &str = "weir's";

/// What decides where, whoever serves.
type Variant = (Placement, FilterName, Toolkit);

fn variant(cell: &Cell) -> Variant {
    (cell.placement, cell.filter, cell.toolkit)
}

/// Server, client and place.
type Key = (Option<String>, Option<String>, Place);

fn key(cell: &Cell) -> Key {
    (cell.external_server.clone(), cell.external_client.clone(), Place::of(cell))
}

/// A row for each pair of server and client at each place; nothing where all are weir's own.
pub(super) fn table(grid: &Grid) -> Option<Table> {
    let is_foreign =
        |runs: &CellRuns| runs.cell.external_server.is_some() || runs.cell.external_client.is_some();
    if !grid.cells().any(is_foreign) {
        return None;
    }
    let variants: BTreeSet<_> = grid.cells().map(|runs| variant(&runs.cell)).collect();
    let mut pairings: BTreeMap<Key, BTreeMap<Variant, &CellRuns>> = BTreeMap::new();
    for runs in grid.cells() {
        pairings.entry(key(&runs.cell)).or_default().insert(variant(&runs.cell), runs);
    }
    let comparisons = grid.comparisons();
    let kernels: Vec<_> = variants.iter().filter(|variant| variant.0 == Placement::Kernel).collect();
    let row = |((server, client, place), here): (&Key, &BTreeMap<Variant, &CellRuns>)| {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| OURS.to_owned());
        let mut row = vec![name(server), name(client)];
        row.extend(place.row(&grid.dimensions));
        for figure in FIGURES {
            row.extend(variants.iter().map(|variant| text(here.get(variant).copied(), figure)));
        }
        row.extend(kernels.iter().map(|variant| {
            let compared = here.get(variant).and_then(|runs| {
                comparisons
                    .iter()
                    .find(|comparison| comparison.cell.cell == runs.cell)?
                    .ratio(Figure::ServerCpu)
            });
            ratio_text(compared)
        }));
        row
    };
    let variant_names: Vec<_> = variants.iter().map(|variant| name(&variants, variant)).collect();
    let mut columns = vec!["server".to_owned(), "client".to_owned()];
    columns.extend(heads(&grid.dimensions));
    for figure in FIGURES {
        columns
            .extend(variant_names.iter().map(|name| format!("{}, {}, {name}", figure.noun(), figure.unit())));
    }
    columns.extend(
        kernels.iter().map(|variant| format!("server CPU time, {} ÷ user", name(&variants, variant))),
    );
    Some(Table {
        slug: "pairings".to_owned(),
        title: "Who served whom".to_owned(),
        columns,
        rows: pairings.iter().map(row).collect(),
        note: "Of a server that isn't weir's the CPU time is that of its whole life, and the wall time ends with its \
               answer to the final GET."
            .to_owned(),
    })
}

/// The placement, and the filter and the toolkit where there are several.
fn name(all: &BTreeSet<Variant>, (placement, filter, toolkit): &Variant) -> String {
    let peers = || all.iter().filter(|peer| peer.0 == *placement);
    let mut name = placement.name().to_owned();
    if peers().any(|peer| peer.1 != *filter) {
        name += &format!(" {filter}");
    }
    if peers().any(|peer| peer.2 != *toolkit) {
        name += &format!(" {toolkit}");
    }
    name
}

fn text(runs: Option<&CellRuns>, figure: Figure) -> String {
    let Some(runs) = runs else { return "not run".to_owned() };
    match runs.estimate(figure) {
        Some(found) => estimate(&found, |value| number(value, figure.digits())),
        None if runs.sound.is_empty() => "no sound run".to_owned(),
        None => "–".to_owned(),
    }
}
