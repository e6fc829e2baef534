//! The samples of a results folder as a grid: series (such as placements) by the dimensions that vary.

use std::collections::{BTreeMap, BTreeSet};

use weir_filters::{Hook, Toolkit};
use weir_results::{
    cell::{Cell, Dimension, Placement, Value},
    figure::Figure,
    number::number,
    rule::Compare,
    sample::Sample,
    stats::{Estimate, Repetition, paired_ratios},
};

use crate::place::Place;

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

    /// The figure of every sound run that has it, by repetition.
    pub(super) fn by_repetition(&self, figure: Figure) -> BTreeMap<Repetition, f64> {
        self.sound.iter().filter_map(|sample| Some((sample.repetition, figure.of(sample)?))).collect()
    }
}

/// Two cells under otherwise equal conditions.
#[derive(Clone, Debug)]
pub(super) struct CellPair<'a> {
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
    /// The same filter by two toolkits, or by a guard and a toolkit, both in the kernel.
    Toolkit,
    /// The same filter by the same toolkit at a hook, against the socket.
    Hook,
}

impl Contrast {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Placement, Self::Toolkit, Self::Hook];

    /// What a rule compares, or else the dimension whose ends it does.
    pub(super) const fn of(compare: Compare) -> Result<Self, Dimension> {
        match compare {
            Compare::Placements => Ok(Self::Placement),
            Compare::Toolkits => Ok(Self::Toolkit),
            Compare::Hooks => Ok(Self::Hook),
            Compare::Along(dimension) => Err(dimension),
        }
    }
}

impl CellPair<'_> {
    /// Median of the cell ÷ the base over the pairs of runs; nothing where there is no pair.
    pub(super) fn ratio(&self, figure: Figure) -> Option<Estimate> {
        Estimate::of(&paired_ratios(&self.cell.by_repetition(figure), &self.base.by_repetition(figure)))
    }

    /// Where the two lie.
    pub(super) fn place(&self) -> Place {
        Place::of(&self.cell.cell)
    }

    /// What is divided by what: "kernel ÷ user", "fun ÷ aya".
    pub(super) fn quotient(&self) -> String {
        format!("{} ÷ {}", self.side(self.cell), self.side(self.base))
    }

    /// A side's name in a quotient.
    pub(super) fn side(&self, runs: &CellRuns) -> &'static str {
        match self.contrast {
            Contrast::Placement => runs.cell.placement.name(),
            Contrast::Toolkit => runs.cell.written_with(),
            Contrast::Hook => runs.cell.hook.as_str(),
        }
    }
}

/// A cell without its place in the grid: what a line of a plot or a table of the report's shape is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series(Cell);

impl Series {
    fn of(cell: &Cell) -> Self {
        let mut cell = cell.clone();
        Dimension::ALL.into_iter().for_each(|dimension| dimension.forget(&mut cell));
        Self(cell)
    }

    /// Where the decision is made.
    pub(super) fn placement(&self) -> Placement {
        self.0.placement
    }

    /// The name of its server; nothing for weir's own.
    pub(super) fn external_server(&self) -> Option<&str> {
        self.0.external_server.as_deref()
    }

    /// Who decides, and by which filter: "user", "kernel, valid-command".
    pub(super) fn decider(&self) -> String {
        match self.0.placement {
            Placement::Kernel | Placement::Sender => {
                format!("{}, {}", self.0.placement.name(), self.0.filter)
            }
            placement => placement.name().to_owned(),
        }
    }

    /// The name of its client; nothing for weir's own.
    pub(super) fn external_client(&self) -> Option<&str> {
        self.0.external_client.as_deref()
    }

    /// What tells this series from others, beside the placement, in the order in which a label names it.
    fn traits(&self) -> Vec<String> {
        let cell = &self.0;
        let external = |kind: &str, name: &Option<String>| match name {
            Some(name) => format!("{kind} {name}"),
            None => format!("weir's {kind}"),
        };
        vec![
            cell.filter.to_string(),
            cell.writing(),
            format!("at {}", cell.hook),
            format!("{} I/O", cell.io),
            format!("{}, clients: {}", cell.behaviour, cell.clients),
            external("server", &cell.external_server),
            external("client", &cell.external_client),
        ]
    }
}

/// All samples of a results folder, grouped.
#[derive(Clone, Debug)]
pub(super) struct SampleGrid {
    cells: BTreeMap<(Series, Place), CellRuns>,
    /// The series, by placement.
    pub(super) series: Vec<Series>,
    /// The share of invalid packets, and what else varies.
    pub(super) dimensions: Vec<Dimension>,
    /// The places at which there is a run, ascending.
    pub(super) places: Vec<Place>,
    /// The samples left out of estimates, in schedule order.
    pub(super) invalid: Vec<Sample>,
    /// How long external clients sleep in a run, seconds, by their names, where the definition says so.
    pub(super) sleeps_s: BTreeMap<String, f64>,
}

impl SampleGrid {
    /// Groups `samples`, whatever their order.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut samples: Vec<&Sample> = samples.iter().collect();
        samples.sort_by_key(|sample| sample.index);
        let mut cells = BTreeMap::new();
        for sample in &samples {
            let empty =
                || CellRuns { cell: sample.cell.clone(), sound: Vec::new(), audited: Vec::new(), invalid: 0 };
            let at = (Series::of(&sample.cell), Place::of(&sample.cell));
            let runs: &mut CellRuns = cells.entry(at).or_insert_with(empty);
            match (sample.is_timed(), sample.is_sound()) {
                (true, _) => runs.sound.push((*sample).clone()),
                (false, true) => runs.audited.push((*sample).clone()),
                (false, false) => runs.invalid += 1,
            }
        }
        let (series, places): (BTreeSet<_>, BTreeSet<_>) = cells.keys().cloned().unzip();
        let places: Vec<_> = places.into_iter().collect();
        Self {
            series: series.into_iter().collect(),
            dimensions: varying(&places),
            places,
            invalid: samples.into_iter().filter(|sample| !sample.is_sound()).cloned().collect(),
            sleeps_s: BTreeMap::new(),
            cells,
        }
    }

    /// What is to be known of a figure of cells with this external client: wall time holds what the client sleeps. Empty
    /// for weir's own client, and for other figures.
    pub(super) fn sleep_note(&self, figure: Figure, external_client: Option<&str>) -> String {
        let Some(client) = external_client.filter(|_| figure == Figure::Wall) else { return String::new() };
        let sleep = match self.sleeps_s.get(client) {
            Some(&sleep_s) => format!("it sleeps {} s of them by itself (sleeps_s)", number(sleep_s, 3)),
            None => "what it sleeps by itself is in them, and the definition doesn't say how long (sleeps_s)"
                .to_owned(),
        };
        format!("Wall times with the client {client} are as measured, from its start: {sleep}.")
    }

    /// The external clients of the grid.
    pub(super) fn external_clients(&self) -> BTreeSet<&str> {
        self.cells().filter_map(|runs| runs.cell.external_client.as_deref()).collect()
    }

    /// [`Self::sleep_note`] of every external client of the grid.
    pub(super) fn sleep_notes(&self, figure: Figure) -> String {
        let notes = self.external_clients().into_iter().map(|client| self.sleep_note(figure, Some(client)));
        notes.collect::<Vec<_>>().join(" ").trim().to_owned()
    }

    /// What varies beside `dimension`.
    pub(super) fn dimensions_but(&self, dimension: Dimension) -> Vec<Dimension> {
        self.dimensions.iter().copied().filter(|&other| other != dimension).collect()
    }

    /// The values along `dimension`, ascending.
    pub(super) fn values(&self, dimension: Dimension) -> Vec<Value> {
        values(&self.places, dimension)
    }

    /// The places as `dimensions` alone tell them apart, ascending.
    pub(super) fn lines(&self, dimensions: &[Dimension]) -> Vec<Place> {
        let lines: BTreeSet<_> = self.places.iter().map(|place| place.only(dimensions)).collect();
        lines.into_iter().collect()
    }

    /// Whether it has the shape of the original report: nothing but the invalid share and the packets varies.
    pub(super) fn is_of_the_reports_shape(&self) -> bool {
        let theirs = [Dimension::InvalidPercent, Dimension::Packets];
        self.dimensions.iter().all(|dimension| theirs.contains(dimension))
    }

    /// What is the same in all places and worth saying: "200 000 packets".
    pub(super) fn constants(&self) -> String {
        let constant = |dimension: &Dimension| {
            let values = self.values(*dimension);
            !self.dimensions.contains(dimension) && matches!(values[..], [Value::Number(_)])
        };
        let constants: Vec<_> = Dimension::ALL.into_iter().filter(constant).collect();
        self.places.first().map_or_else(String::new, |place| place.phrase(&constants))
    }

    /// Every cell that has a run, sound or not: by placement and the rest of the series, then place.
    pub(super) fn cells(&self) -> impl Iterator<Item = &CellRuns> {
        self.cells.values()
    }

    /// The sound samples.
    pub(super) fn sound(&self) -> impl Iterator<Item = &Sample> {
        self.cells().flat_map(|runs| &runs.sound)
    }

    /// The cell of `series` at `place`, if it has a run.
    pub(super) fn cell(&self, series: &Series, place: &Place) -> Option<&CellRuns> {
        self.cells.get(&(series.clone(), place.clone()))
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

    /// The cell at `place` whose filter decides at the sender.
    pub(super) fn sender_at(&self, place: &Place) -> Option<&CellRuns> {
        let is_sender = |runs: &&CellRuns| runs.cell.placement == Placement::Sender;
        self.cells().filter(is_sender).find(|runs| Place::of(&runs.cell) == *place)
    }

    /// Each kernel cell that `contrast` compares with another, by place.
    pub(super) fn compared(&self, contrast: Contrast) -> Vec<CellPair<'_>> {
        let base_of = |kernel| match contrast {
            Contrast::Placement => self.user_of(kernel),
            Contrast::Toolkit => self.first_toolkit_of(kernel),
            Contrast::Hook => self.at_socket(kernel),
        };
        let kernels = self.cells().filter(|runs| runs.cell.placement == Placement::Kernel);
        let pairs = kernels.filter_map(|cell| Some(CellPair { contrast, cell, base: base_of(cell)? }));
        let mut found: Vec<_> = pairs.collect();
        found.sort_by_key(|comparison| comparison.place());
        found
    }

    /// The cell at the socket that agrees in the rest.
    fn at_socket(&self, kernel: &CellRuns) -> Option<&CellRuns> {
        let cell = Cell { hook: Hook::Socket, ..kernel.cell.clone() };
        let there = self.cell(&Series::of(&cell), &Place::of(&cell))?;
        (kernel.cell.hook != Hook::Socket).then_some(there)
    }

    /// The user cell that is [`like`] it; of several, the one with the same toolkit.
    fn user_of(&self, kernel: &CellRuns) -> Option<&CellRuns> {
        let is_user =
            |runs: &&CellRuns| runs.cell.placement == Placement::User && like(&runs.cell, &kernel.cell);
        self.cells().filter(is_user).min_by_key(|user| user.cell.toolkit != kernel.cell.toolkit)
    }

    /// The cell of the first toolkit, in the order of [`Toolkit::ALL`], that agrees in the rest.
    fn first_toolkit_of(&self, kernel: &CellRuns) -> Option<&CellRuns> {
        let of = |toolkit| {
            let cell = Cell { toolkit, guard: None, ..kernel.cell.clone() };
            self.cell(&Series::of(&cell), &Place::of(&cell))
        };
        let first = Toolkit::ALL.into_iter().find_map(of)?;
        (first.cell != kernel.cell).then_some(first)
    }
}

/// Whether two cells agree in everything but the placement, the filter, the toolkit or guard, and the hook.
pub(super) fn like(a: &Cell, b: &Cell) -> bool {
    let &Cell { placement, filter, toolkit, hook, .. } = a;
    Cell { placement, filter, toolkit, hook, guard: a.guard.clone(), ..b.clone() } == *a
}

/// The invalid share, and the dimensions along which there are several values. One that another gives, as a rate and a
/// duration give the packets, is left out.
fn varying(places: &[Place]) -> Vec<Dimension> {
    let several = |dimension: &Dimension| values(places, *dimension).len() > 1;
    let varying: Vec<_> = Dimension::ALL.into_iter().filter(several).collect();
    let given = |dimension: Dimension| {
        varying.iter().take_while(|&&other| other != dimension).any(|&other| {
            let pairs: BTreeSet<_> =
                places.iter().map(|place| (place.along(other), place.along(dimension))).collect();
            let counts = [pairs.len(), values(places, other).len(), values(places, dimension).len()];
            counts[0] == counts[1] && counts[1] == counts[2]
        })
    };
    let shown = |&dimension: &Dimension| {
        dimension == Dimension::InvalidPercent || (varying.contains(&dimension) && !given(dimension))
    };
    Dimension::ALL.into_iter().filter(shown).collect()
}

fn values(places: &[Place], dimension: Dimension) -> Vec<Value> {
    places.iter().map(|place| place.along(dimension)).collect::<BTreeSet<_>>().into_iter().collect()
}
