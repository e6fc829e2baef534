//! The sections of a report, a row each, in their order: what is said of one thing in tables, plots and sentences.

use weir_results::{cell::Dimension, sample::Sample};

use crate::{
    beside,
    environment::Environment,
    filter_cost, findings,
    grid::SampleGrid,
    ladder, ledgers, narrowing, onset, overview, overviews, pairings,
    plot::Plot,
    plots,
    searches::Searches,
    table::{Standing, Table},
    tables, trials,
    unsound::why_nothing,
    verdict::{self, Ruling},
};

/// What sections are made of.
pub(super) struct Given<'a> {
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

/// A section. What it doesn't have is [`nothing`].
pub(super) struct Section {
    pub(super) standing: Standing,
    /// Whether a terminal shows its tables too.
    pub(super) is_on_terminal: fn(&Given<'_>) -> bool,
    pub(super) tables: fn(&Given<'_>) -> Vec<Table>,
    pub(super) plots: fn(&Given<'_>) -> Vec<Plot>,
    pub(super) findings: fn(&Given<'_>) -> Vec<String>,
}

const fn nothing<T>(_: &Given<'_>) -> Vec<T> {
    Vec::new()
}

const LEADING: Section = Section {
    standing: Standing::Leading,
    is_on_terminal: |_| true,
    tables: nothing,
    plots: nothing,
    findings: nothing,
};

const DETAIL: Section = Section { standing: Standing::Detail, is_on_terminal: |_| false, ..LEADING };

/// All of them.
pub(super) const SECTIONS: &[Section] = &[
    Section { tables: |given| some(verdict::table(given.rulings)), ..LEADING },
    Section {
        tables: |given| some(given.searches.table()),
        plots: |given| given.searches.plots(),
        findings: |given| given.searches.findings(),
        ..LEADING
    },
    Section { plots: |given| some(trials::plot(given.searches, given.trials)), ..LEADING },
    Section { tables: |given| some(given.searches.costs.clone()), ..LEADING },
    Section {
        tables: |given| {
            ladder::table(given.grid).into_iter().chain(ladder::table_of_hooks(given.grid)).collect()
        },
        plots: |given| ladder::plots(given.grid, given.capacities),
        findings: |given| ladder::findings(given.grid),
        ..LEADING
    },
    Section { findings: |given| onset::findings(given.grid), ..LEADING },
    Section {
        tables: |given| some(filter_cost::table(given.grid)),
        findings: |given| filter_cost::findings(given.grid),
        ..LEADING
    },
    Section { findings: of_the_grid, ..LEADING },
    Section {
        tables: |given| some(narrowing::table(given.grid)),
        plots: |given| narrowing::plots(given.grid),
        findings: |given| some(narrowing::finding(given.grid)),
        ..LEADING
    },
    Section { tables: |given| some(pairings::table(given.grid)), ..LEADING },
    Section {
        standing: Standing::Overview,
        tables: |given| vec![overview::table(given.grid, &given.environment.rules)],
        plots: |given| {
            let all = [plots::plots(given.grid), overviews::maps(given.grid), overviews::strips(given.grid)];
            all.into_iter().flatten().collect()
        },
        ..LEADING
    },
    // With a single packet count, the overview holds what these do.
    Section {
        is_on_terminal: |given| given.grid.values(Dimension::Packets).len() > 1 && given.trials.is_empty(),
        tables: |given| tables::shaped(given.grid),
        ..DETAIL
    },
    Section { tables: |given| vec![tables::ratios(given.grid)], ..DETAIL },
    Section { tables: |given| some(tables::toolkit_ratios(given.grid)), ..DETAIL },
    Section {
        tables: |given| if given.trials.is_empty() { beside::tables(given.grid) } else { Vec::new() },
        ..DETAIL
    },
    Section { tables: |given| pairings::shaped(given.grid), ..DETAIL },
    Section { tables: |given| some(tables::carried(given.grid)), ..DETAIL },
    Section { tables: |given| some(tables::process(given.grid)), ..DETAIL },
    Section { tables: |given| some(tables::latencies(given.grid)), ..DETAIL },
    Section { tables: |given| vec![ledgers::ledger(given.grid)], ..DETAIL },
    Section { tables: |given| some(ledgers::audit(given.grid)), ..DETAIL },
];

fn some<T>(one: Option<T>) -> Vec<T> {
    one.into_iter().collect()
}

/// What the grid's own samples allow to say; where all samples are trials, their searches say it.
fn of_the_grid(given: &Given<'_>) -> Vec<String> {
    let is_empty = given.trials.len() == given.samples.len();
    if is_empty && !given.searches.findings().is_empty() {
        return Vec::new();
    }
    why_nothing(given.samples).map_or_else(|| findings::findings(given.grid), |why| vec![why])
}
