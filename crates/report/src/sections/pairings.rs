//! Pairings: which server served which client, where a definition gives other servers or clients by command.

use std::collections::{BTreeMap, BTreeSet};

use weir_filters::{FilterName, Toolkit};
use weir_results::{
    cell::{Cell, Placement},
    figure::Figure,
};

use crate::{
    grid::{CellRuns, Contrast, SampleGrid, Series},
    place::Place,
    table::Table,
    tables::{estimate_text_less, heads, ratio_text, shaped_table},
};

const FIGURES: [Figure; 3] = [Figure::Wall, Figure::Loss, Figure::ServerCpu];

const OURS: &str = "weir's";

/// What decides where, whoever serves.
type Variant = (Placement, FilterName, Toolkit);

fn variant(cell: &Cell) -> Variant {
    (cell.placement, cell.filter, cell.toolkit)
}

/// Server, client and place.
type PairingKey = (Option<String>, Option<String>, Place);

fn key(cell: &Cell) -> PairingKey {
    (cell.external_server.clone(), cell.external_client.clone(), Place::of(cell))
}

fn is_foreign(grid: &SampleGrid) -> bool {
    grid.series.iter().any(|one| one.external_server().is_some() || one.external_client().is_some())
}

fn name_of(name: Option<&str>) -> String {
    name.unwrap_or(OURS).to_owned()
}

/// As in the report, for each pair of server and client a table of loss, with how many runs answered, and one of wall
/// time: a row for each share and each who decides. None where all are weir's own.
pub(super) fn shaped(grid: &SampleGrid) -> Vec<Table> {
    if !is_foreign(grid) {
        return Vec::new();
    }
    let pairs: BTreeSet<_> =
        grid.series.iter().map(|one| (one.external_server(), one.external_client())).collect();
    let tables = |(i, pair): (usize, (Option<&str>, Option<&str>))| {
        let is_theirs = |one: &&Series| (one.external_server(), one.external_client()) == pair;
        let series: Vec<_> = grid.series.iter().filter(is_theirs).collect();
        let (server, client) = (name_of(pair.0), name_of(pair.1));
        [Figure::Loss, Figure::Wall].map(|figure| Table {
            slug: format!("pairing-{}-{}", i + 1, figure.slug()),
            title: format!("{}: server {server}, client {client}", figure.head()),
            note: grid.sleep_note(figure, pair.1),
            ..shaped_table(grid, figure, &series, Some("decides"))
        })
    };
    pairs.into_iter().enumerate().flat_map(tables).collect()
}

/// A row for each pair of server and client at each place; nothing where all are weir's own.
pub(super) fn table(grid: &SampleGrid) -> Option<Table> {
    if !is_foreign(grid) {
        return None;
    }
    let variants: BTreeSet<_> = grid.cells().map(|runs| variant(&runs.cell)).collect();
    let mut pairings: BTreeMap<PairingKey, BTreeMap<Variant, &CellRuns>> = BTreeMap::new();
    for runs in grid.cells() {
        pairings.entry(key(&runs.cell)).or_default().insert(variant(&runs.cell), runs);
    }
    // The head of each figure, and whether the client's sleep is taken off.
    let mut shown: Vec<_> =
        FIGURES.map(|figure| (format!("{}, {}", figure.noun(), figure.unit()), figure, false)).to_vec();
    if grid.external_clients().iter().any(|&client| grid.sleeps_s.contains_key(client)) {
        shown.push(("wall time less the client's sleep, s".to_owned(), Figure::Wall, true));
    }
    let comparisons = grid.compared(Contrast::Placement);
    let kernels: Vec<_> = variants.iter().filter(|variant| variant.0 == Placement::Kernel).collect();
    let row = |((server, client, place), here): (&PairingKey, &BTreeMap<Variant, &CellRuns>)| {
        let mut row = vec![name_of(server.as_deref()), name_of(client.as_deref())];
        row.extend(place.row(&grid.dimensions));
        let sleep_s = client.as_ref().and_then(|client| grid.sleeps_s.get(client)).copied().unwrap_or(0.0);
        for &(_, figure, is_less) in &shown {
            let less = if is_less { sleep_s } else { 0.0 };
            let text = |variant: &Variant| estimate_text_less(here.get(variant).copied(), figure, less);
            row.extend(variants.iter().map(text));
        }
        row.extend(kernels.iter().map(|variant| {
            let compared = here.get(variant).and_then(|runs| {
                let one = comparisons.iter().find(|one| one.cell.cell == runs.cell)?;
                one.ratio(Figure::ServerCpu)
            });
            ratio_text(compared)
        }));
        row
    };
    let variant_names: Vec<_> = variants.iter().map(|variant| name(&variants, variant)).collect();
    let mut columns = vec!["server".to_owned(), "client".to_owned()];
    columns.extend(heads(&grid.dimensions));
    for (head, ..) in &shown {
        columns.extend(variant_names.iter().map(|name| format!("{head}, {name}")));
    }
    columns.extend(
        kernels.iter().map(|variant| format!("server CPU time, {} ÷ user", name(&variants, variant))),
    );
    Some(Table {
        slug: "pairings".to_owned(),
        title: "Who served whom".to_owned(),
        columns,
        rows: pairings.iter().map(row).collect(),
        note: format!(
            "Of a server that isn't weir's the CPU time is that of its whole life, and the wall time ends with its answer \
             to the final GET. {}",
            grid.sleep_notes(Figure::Wall)
        )
        .trim_end()
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
