//! The samples of a results folder as a grid: series (such as placements) by invalid share and packets.

use std::collections::{BTreeMap, BTreeSet};

use weir_filters::Toolkit;

use super::figure::Figure;
use crate::{
    cell::{Cell, Dimension, Placement},
    sample::Sample,
    stats::{Estimate, Repetition, paired_ratios},
};

/// One cell with its runs.
#[derive(Clone, Debug)]
pub(super) struct CellRuns {
    /// The cell.
    pub(super) cell: Cell,
    /// The runs that estimates use, in schedule order.
    pub(super) sound: Vec<Sample>,
    /// The sound runs made to account for packets; they time nothing.
    pub(super) audited: Vec<Sample>,
    /// How many runs are left out.
    pub(super) invalid: usize,
}

impl CellRuns {
    /// The figure of every sound run that has it.
    pub(super) fn values(&self, figure: Figure) -> Vec<f64> {
        self.sound.iter().filter_map(|sample| figure.of(sample)).collect()
    }

    /// The estimate of the figure; nothing where no sound run has it.
    pub(super) fn estimate(&self, figure: Figure) -> Option<Estimate> {
        Estimate::of(&self.values(figure))
    }

    fn by_repetition(&self, figure: Figure) -> BTreeMap<Repetition, f64> {
        let values = self.sound.iter().map(|sample| (sample.repetition, figure.of(sample)));
        values.filter_map(|(repetition, value)| Some((repetition, value?))).collect()
    }
}

/// Two cells under otherwise equal conditions.
#[derive(Clone, Debug)]
pub(super) struct Comparison<'a> {
    /// What they differ in.
    pub(super) contrast: Contrast,
    /// The cell whose figure is divided.
    pub(super) cell: &'a CellRuns,
    /// The cell that it is divided by.
    pub(super) base: &'a CellRuns,
}

/// What two cells are compared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contrast {
    /// The program decides, against the server behind the accept-all program.
    Placement,
    /// The same filter by two toolkits, both in the kernel.
    Toolkit,
}

impl Comparison<'_> {
    /// Median of the cell ÷ the base over the pairs of runs; nothing where there is no pair.
    pub(super) fn ratio(&self, figure: Figure) -> Option<Estimate> {
        Estimate::of(&paired_ratios(&self.cell.by_repetition(figure), &self.base.by_repetition(figure)))
    }

    /// What is divided by what: "kernel ÷ user", "fun ÷ aya".
    pub(super) fn quotient(&self) -> String {
        format!("{} ÷ {}", self.side(self.cell), self.side(self.base))
    }

    /// A side's name in a quotient.
    pub(super) fn side(&self, runs: &CellRuns) -> &'static str {
        match self.contrast {
            Contrast::Placement => runs.cell.placement.name(),
            Contrast::Toolkit => runs.cell.toolkit.as_str(),
        }
    }
}

/// A cell without its place in the grid: what a line of a plot or a table of the report's shape is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series(Cell);

impl Series {
    fn of(cell: &Cell) -> Self {
        Self(Cell { invalid_percent: 0, packets: 0, ..cell.clone() })
    }

    /// Where the decision is made.
    pub(super) fn placement(&self) -> Placement {
        self.0.placement
    }

    fn at(&self, invalid_percent: u8, packets: u64) -> Cell {
        Cell { invalid_percent, packets, ..self.0.clone() }
    }

    /// What tells this series from others, beside the placement, in the order in which a label names it.
    fn traits(&self) -> Vec<String> {
        let cell = &self.0;
        let external = |kind: &str, name: &Option<String>| match name {
            Some(name) => format!("{kind} {name}"),
            None => format!("weir's {kind}"),
        };
        let mut traits = vec![
            cell.filter.to_string(),
            cell.toolkit.to_string(),
            format!("at {}", cell.hook),
            format!("{} I/O", cell.io),
            format!("{}, clients: {}", cell.behaviour, cell.clients),
            external("server", &cell.external_server),
            external("client", &cell.external_client),
        ];
        traits.extend(
            Dimension::ALL
                .map(|dimension| format!("{} {}", dimension.title(), dimension.text(dimension.of(cell)))),
        );
        traits
    }
}

/// All samples of a results folder, grouped.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    cells: BTreeMap<Cell, CellRuns>,
    /// The series, by placement.
    pub(super) series: Vec<Series>,
    /// The shares of invalid packets, ascending.
    pub(super) percents: Vec<u8>,
    /// The packet counts, ascending.
    pub(super) packets: Vec<u64>,
    /// The samples left out of estimates, in schedule order.
    pub(super) invalid: Vec<Sample>,
}

impl Grid {
    /// Groups `samples`, whatever their order.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut samples: Vec<&Sample> = samples.iter().collect();
        samples.sort_by_key(|sample| sample.index);
        let mut cells = BTreeMap::new();
        for sample in &samples {
            let cell = sample.cell.clone();
            let empty =
                || CellRuns { cell: sample.cell.clone(), sound: Vec::new(), audited: Vec::new(), invalid: 0 };
            let runs: &mut CellRuns = cells.entry(cell).or_insert_with(empty);
            match (sample.is_timed(), sample.is_sound()) {
                (true, _) => runs.sound.push((*sample).clone()),
                (false, true) => runs.audited.push((*sample).clone()),
                (false, false) => runs.invalid += 1,
            }
        }
        let distinct =
            |cells: &BTreeMap<Cell, CellRuns>| cells.keys().map(Series::of).collect::<BTreeSet<_>>();
        Self {
            series: distinct(&cells).into_iter().collect(),
            percents: cells
                .keys()
                .map(|cell| cell.invalid_percent)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            packets: cells.keys().map(|cell| cell.packets).collect::<BTreeSet<_>>().into_iter().collect(),
            invalid: samples.into_iter().filter(|sample| !sample.is_sound()).cloned().collect(),
            cells,
        }
    }

    /// Every cell that has a run, sound or not: by placement and the rest of the series, then percent, then packets.
    pub(super) fn cells(&self) -> impl Iterator<Item = &CellRuns> {
        self.cells.values()
    }

    /// The sound samples.
    pub(super) fn sound(&self) -> impl Iterator<Item = &Sample> {
        self.cells().flat_map(|runs| &runs.sound)
    }

    /// The cell of `series` at that place of the grid, if it has a run.
    pub(super) fn cell(&self, series: &Series, invalid_percent: u8, packets: u64) -> Option<&CellRuns> {
        self.cells.get(&series.at(invalid_percent, packets))
    }

    /// A short name of `series`: its placement, and what tells it from the others of this grid.
    pub(super) fn label(&self, series: &Series) -> String {
        let mine = series.traits();
        let peers = || self.series.iter().filter(|peer| peer.placement() == series.placement());
        let telling = (0..mine.len()).filter(|&i| peers().any(|peer| peer.traits()[i] != mine[i]));
        let parts = std::iter::once(series.placement().name().to_owned());
        parts.chain(telling.map(|i| mine[i].clone())).collect::<Vec<_>>().join(", ")
    }

    /// The name of the series that `cell` belongs to.
    pub(super) fn label_of(&self, cell: &Cell) -> String {
        self.label(&Series::of(cell))
    }

    /// Each kernel cell with its user cell, by percent and packets: the two agree in everything but the filter, the
    /// toolkit and the hook; where several user cells do, the one with the same toolkit is taken.
    pub(super) fn comparisons(&self) -> Vec<Comparison<'_>> {
        self.compared(|kernel| self.user_of(kernel), Contrast::Placement)
    }

    /// Each kernel cell with the one that agrees in everything but the toolkit, by percent and packets; the base is that
    /// of the first toolkit, in the order of [`weir_filters::Toolkit::ALL`].
    pub(super) fn toolkit_comparisons(&self) -> Vec<Comparison<'_>> {
        self.compared(|kernel| self.first_toolkit_of(kernel), Contrast::Toolkit)
    }

    fn compared<'a>(
        &'a self,
        base_of: impl Fn(&'a CellRuns) -> Option<&'a CellRuns>,
        contrast: Contrast,
    ) -> Vec<Comparison<'a>> {
        let kernels = self.cells().filter(|runs| runs.cell.placement == Placement::Kernel);
        let pairs = kernels.filter_map(|cell| Some(Comparison { contrast, cell, base: base_of(cell)? }));
        let mut found: Vec<_> = pairs.collect();
        found.sort_by_key(|comparison| (comparison.cell.cell.invalid_percent, comparison.cell.cell.packets));
        found
    }

    fn user_of(&self, kernel: &CellRuns) -> Option<&CellRuns> {
        let candidates = self.cells().filter(|user| {
            let cell = Cell {
                placement: Placement::User,
                filter: user.cell.filter,
                toolkit: user.cell.toolkit,
                hook: user.cell.hook,
                ..kernel.cell.clone()
            };
            user.cell == cell
        });
        candidates.min_by_key(|user| user.cell.toolkit != kernel.cell.toolkit)
    }

    fn first_toolkit_of(&self, kernel: &CellRuns) -> Option<&CellRuns> {
        let of = |toolkit| self.cells.get(&Cell { toolkit, ..kernel.cell.clone() });
        let first = Toolkit::ALL.into_iter().find_map(of)?;
        (first.cell.toolkit != kernel.cell.toolkit).then_some(first)
    }
}
