//! Pairings: which server served which client, where a definition gives other servers or clients by command.

use std::collections::{BTreeMap, BTreeSet};

use weir_filters::{FilterName, Toolkit};
use weir_results::{
    cell::{Cell, Placement},
    figure::Figure,
    number::{estimate, number},
    stats::Estimate,
};

use crate::{
    grid::{CellRuns, SampleGrid, Series},
    place::Place,
    table::Table,
    tables::{across, across_heads, estimate_text, heads, loss_text, ratio_text},
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
    let is_foreign =
        |runs: &CellRuns| runs.cell.external_server.is_some() || runs.cell.external_client.is_some();
    grid.cells().any(is_foreign)
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
    let tables = |(number, pair): (usize, (Option<&str>, Option<&str>))| {
        [Figure::Loss, Figure::Wall].map(|figure| of_pair(grid, figure, pair, number + 1))
    };
    pairs.into_iter().enumerate().flat_map(tables).collect()
}

fn of_pair(grid: &SampleGrid, figure: Figure, pair: (Option<&str>, Option<&str>), number: usize) -> Table {
    let across = across(grid);
    let down: Vec<_> = grid.dimensions.iter().copied().filter(|&dimension| dimension != across).collect();
    let values = grid.values(across);
    let is_theirs = |one: &&Series| (one.external_server(), one.external_client()) == pair;
    let series: Vec<_> = grid.series.iter().filter(is_theirs).collect();
    let row = |line: &Place, series: &Series| {
        let mut row = line.row(&down);
        row.push(series.decider());
        row.extend(values.iter().map(|&value| {
            let is_here = |place: &&Place| place.only(&down) == *line && place.along(across) == value;
            match (grid.places.iter().find(is_here), figure) {
                (Some(place), Figure::Loss) => loss_text(grid, series, place),
                (Some(place), _) => estimate_text(grid, series, place, figure),
                (None, _) => "not run".to_owned(),
            }
        }));
        row
    };
    let lines = grid.lines(&down);
    let (server, client) = (name_of(pair.0), name_of(pair.1));
    Table {
        slug: format!("pairing-{number}-{}", figure.slug()),
        title: format!("{}: server {server}, client {client}", figure.head()),
        columns: heads(&down).chain(["decides".to_owned()]).chain(across_heads(across, &values)).collect(),
        rows: lines
            .iter()
            .flat_map(|line| series.iter().map(|one| row(line, one)).collect::<Vec<_>>())
            .collect(),
        note: grid.sleep_note(figure, pair.1),
    }
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
    let sleeps = grid.external_clients().iter().any(|&client| grid.sleeps_s.contains_key(client));
    let comparisons = grid.comparisons();
    let kernels: Vec<_> = variants.iter().filter(|variant| variant.0 == Placement::Kernel).collect();
    let row = |((server, client, place), here): (&PairingKey, &BTreeMap<Variant, &CellRuns>)| {
        let mut row = vec![name_of(server.as_deref()), name_of(client.as_deref())];
        row.extend(place.row(&grid.dimensions));
        for figure in FIGURES {
            row.extend(variants.iter().map(|variant| text(here.get(variant).copied(), figure, 0.0)));
        }
        if sleeps {
            let sleep_s =
                client.as_ref().and_then(|client| grid.sleeps_s.get(client)).copied().unwrap_or(0.0);
            row.extend(
                variants.iter().map(|variant| text(here.get(variant).copied(), Figure::Wall, sleep_s)),
            );
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
    if sleeps {
        columns
            .extend(variant_names.iter().map(|name| format!("wall time less the client's sleep, s, {name}")));
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

/// The estimate, less so much of each run.
fn text(runs: Option<&CellRuns>, figure: Figure, less: f64) -> String {
    let Some(runs) = runs else { return "not run".to_owned() };
    let values: Vec<_> = runs.values(figure).into_iter().map(|value| value - less).collect();
    match Estimate::of(&values) {
        Some(found) => estimate(&found, |value| number(value, figure.digits())),
        None if runs.sound.is_empty() => "no sound run".to_owned(),
        None => "–".to_owned(),
    }
}
