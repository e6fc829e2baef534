//! The sections of a report in their order: what is said of one thing in tables, plots and sentences.

mod beside;
pub(super) mod filter_cost;
mod findings;
pub(super) mod ladder;
mod ledgers;
mod narrowing;
mod onset;
mod overview;
mod overviews;
mod pairings;
mod trials;

use weir_results::{cell::Dimension, sample::Sample};

use crate::{
    environment::Environment,
    grid::SampleGrid,
    plot::Plot,
    plots,
    searches::Searches,
    table::{PagePart, Table},
    tables,
    unsound::why_nothing,
    verdict::{self, Ruling},
};

/// What sections are made of.
pub(super) struct Material<'a> {
    pub(super) grid: &'a SampleGrid,
    pub(super) samples: &'a [Sample],
    /// Those of the samples that a search made to find a bound.
    pub(super) trials: &'a [Sample],
    pub(super) searches: &'a Searches,
    /// The searches that are joined to the grid, of this folder or another.
    pub(super) capacities: &'a Searches,
    pub(super) environment: &'a Environment,
    pub(super) rulings: &'a [Ruling],
}

/// What is said of one thing.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) page_part: PagePart,
    /// Whether a terminal shows its tables too.
    pub(super) is_on_terminal: bool,
    pub(super) tables: Vec<Table>,
    pub(super) plots: Vec<Plot>,
    pub(super) findings: Vec<String>,
}

fn leading(
    tables: impl IntoIterator<Item = Table>,
    plots: impl IntoIterator<Item = Plot>,
    findings: impl IntoIterator<Item = String>,
) -> Section {
    Section {
        page_part: PagePart::Leading,
        is_on_terminal: true,
        tables: tables.into_iter().collect(),
        plots: plots.into_iter().collect(),
        findings: findings.into_iter().collect(),
    }
}

fn detail(tables: impl IntoIterator<Item = Table>) -> Section {
    Section { page_part: PagePart::Detail, is_on_terminal: false, ..leading(tables, [], []) }
}

/// All of them.
pub(super) fn sections(material: &Material<'_>) -> Vec<Section> {
    let &Material { grid, trials, searches, capacities, .. } = material;
    let of_hooks = ladder::table(grid).into_iter().chain(ladder::table_of_hooks(grid));
    let overview = [overview::table(grid, &material.environment.rules)];
    let of_the_whole_grid = [plots::plots(grid), overviews::maps(grid), overviews::strips(grid)];
    vec![
        leading(verdict::table(material.rulings), [], []),
        leading(searches.table(), searches.plots(), searches.findings()),
        leading([], trials::plot(searches, trials), []),
        leading(searches.costs.clone(), [], []),
        leading(of_hooks, ladder::plots(grid, capacities), ladder::findings(grid)),
        leading([], [], onset::findings(grid)),
        leading(filter_cost::table(grid), [], filter_cost::findings(grid)),
        leading([], [], of_the_grid(material)),
        leading(narrowing::table(grid), narrowing::plots(grid), narrowing::finding(grid)),
        leading(pairings::table(grid), [], []),
        Section {
            page_part: PagePart::Overview,
            ..leading(overview, of_the_whole_grid.into_iter().flatten(), [])
        },
        // With a single packet count, the overview holds what these do.
        Section {
            is_on_terminal: grid.values(Dimension::Packets).len() > 1 && trials.is_empty(),
            ..detail(tables::shaped(grid))
        },
        detail([tables::ratios(grid)]),
        detail(tables::toolkit_ratios(grid)),
        detail(if trials.is_empty() { beside::tables(grid) } else { Vec::new() }),
        detail(pairings::shaped(grid)),
        detail(tables::carried(grid)),
        detail(tables::process(grid)),
        detail(tables::latencies(grid)),
        detail([ledgers::ledger(grid)]),
        detail(ledgers::audit(grid)),
    ]
}

/// What the grid's own samples allow to say; where all samples are trials, their searches say it.
fn of_the_grid(material: &Material<'_>) -> Vec<String> {
    let is_empty = material.trials.len() == material.samples.len();
    if is_empty && !material.searches.findings().is_empty() {
        return Vec::new();
    }
    why_nothing(material.samples).map_or_else(|| findings::findings(material.grid), |why| vec![why])
}
