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
    table::{PagePart, Table},
    tables, trials,
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

/// A section. What it doesn't have is [`nothing`].
pub(super) struct Section {
    pub(super) page_part: PagePart,
    /// Whether a terminal shows its tables too.
    pub(super) is_on_terminal: fn(&Material<'_>) -> bool,
    pub(super) tables: fn(&Material<'_>) -> Vec<Table>,
    pub(super) plots: fn(&Material<'_>) -> Vec<Plot>,
    pub(super) findings: fn(&Material<'_>) -> Vec<String>,
}

const fn nothing<T>(_: &Material<'_>) -> Vec<T> {
    Vec::new()
}

const LEADING: Section = Section {
    page_part: PagePart::Leading,
    is_on_terminal: |_| true,
    tables: nothing,
    plots: nothing,
    findings: nothing,
};

const DETAIL: Section = Section { page_part: PagePart::Detail, is_on_terminal: |_| false, ..LEADING };

/// All of them.
pub(super) const SECTIONS: &[Section] = &[
    Section { tables: |material| some(verdict::table(material.rulings)), ..LEADING },
    Section {
        tables: |material| some(material.searches.table()),
        plots: |material| material.searches.plots(),
        findings: |material| material.searches.findings(),
        ..LEADING
    },
    Section { plots: |material| some(trials::plot(material.searches, material.trials)), ..LEADING },
    Section { tables: |material| some(material.searches.costs.clone()), ..LEADING },
    Section {
        tables: |material| {
            ladder::table(material.grid).into_iter().chain(ladder::table_of_hooks(material.grid)).collect()
        },
        plots: |material| ladder::plots(material.grid, material.capacities),
        findings: |material| ladder::findings(material.grid),
        ..LEADING
    },
    Section { findings: |material| onset::findings(material.grid), ..LEADING },
    Section {
        tables: |material| some(filter_cost::table(material.grid)),
        findings: |material| filter_cost::findings(material.grid),
        ..LEADING
    },
    Section { findings: of_the_grid, ..LEADING },
    Section {
        tables: |material| some(narrowing::table(material.grid)),
        plots: |material| narrowing::plots(material.grid),
        findings: |material| some(narrowing::finding(material.grid)),
        ..LEADING
    },
    Section { tables: |material| some(pairings::table(material.grid)), ..LEADING },
    Section {
        page_part: PagePart::Overview,
        tables: |material| vec![overview::table(material.grid, &material.environment.rules)],
        plots: |material| {
            let all = [
                plots::plots(material.grid),
                overviews::maps(material.grid),
                overviews::strips(material.grid),
            ];
            all.into_iter().flatten().collect()
        },
        ..LEADING
    },
    // With a single packet count, the overview holds what these do.
    Section {
        is_on_terminal: |material| {
            material.grid.values(Dimension::Packets).len() > 1 && material.trials.is_empty()
        },
        tables: |material| tables::shaped(material.grid),
        ..DETAIL
    },
    Section { tables: |material| vec![tables::ratios(material.grid)], ..DETAIL },
    Section { tables: |material| some(tables::toolkit_ratios(material.grid)), ..DETAIL },
    Section {
        tables: |material| {
            if material.trials.is_empty() { beside::tables(material.grid) } else { Vec::new() }
        },
        ..DETAIL
    },
    Section { tables: |material| pairings::shaped(material.grid), ..DETAIL },
    Section { tables: |material| some(tables::carried(material.grid)), ..DETAIL },
    Section { tables: |material| some(tables::process(material.grid)), ..DETAIL },
    Section { tables: |material| some(tables::latencies(material.grid)), ..DETAIL },
    Section { tables: |material| vec![ledgers::ledger(material.grid)], ..DETAIL },
    Section { tables: |material| some(ledgers::audit(material.grid)), ..DETAIL },
];

fn some<T>(one: Option<T>) -> Vec<T> {
    one.into_iter().collect()
}

/// What the grid's own samples allow to say; where all samples are trials, their searches say it.
fn of_the_grid(material: &Material<'_>) -> Vec<String> {
    let is_empty = material.trials.len() == material.samples.len();
    if is_empty && !material.searches.findings().is_empty() {
        return Vec::new();
    }
    why_nothing(material.samples).map_or_else(|| findings::findings(material.grid), |why| vec![why])
}
