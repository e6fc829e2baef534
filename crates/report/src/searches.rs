//! Capacities: what `weir capacity` left in a results folder, as a table, bars and sentences.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use weir_results::{
    capacity::{
        Capacities, Capacity, CapacityRatio, Decider, Known, Purpose, SUMMARY,
        record::{self, SearchRecord},
    },
    cell::{Cell, Dimension, Placement},
    number::{number, ratio},
    sample::Sample,
    stats::EndsKind,
};

use crate::{
    axis::Axis,
    capacity_costs, place,
    plot::{Curve, CurveForm, Panel, Plot, Point},
    plots::{Free, style_of},
    table::Table,
};

/// The goal of no loss at all.
pub(super) const NDR: &str = "NDR";

const LIMITS_BOTH: &str = "not known: the generator limits both";

/// Whether `sample` is a trial of a search or of the generator's ceiling: it shows what is carried at a rate that
/// nobody asked about.
pub(super) fn is_trial(sample: &Sample) -> bool {
    [Purpose::Search, Purpose::Ceiling].iter().any(|purpose| purpose.name() == sample.experiment)
}

/// Says how many of `trials` could not be used.
pub(super) fn unusable(trials: &[Sample]) -> Option<String> {
    let flawed = trials.iter().filter(|sample| !sample.is_sound()).count();
    (flawed > 0).then(|| {
        format!(
            "{flawed} of {} trials could not be used and were made again; tables/runs.csv says why.",
            trials.len()
        )
    })
}

/// The finished searches of a results folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Searches {
    /// In the order of their numbers.
    pub(super) records: Vec<SearchRecord>,
    /// What they say together.
    found: Capacities,
    /// Whether all that were asked for are made.
    pub(super) complete: bool,
    /// What the servers spent at one rate.
    pub(super) costs: Option<Table>,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

impl Searches {
    /// Those of `dir`, none where it has none.
    pub(super) fn read(dir: &Path) -> Self {
        let (records, warnings) = record::read(dir);
        let found = Capacities::of(&records);
        let complete = dir.join(SUMMARY).is_file();
        Self { records, found, complete, costs: capacity_costs::table(dir), warnings }
    }

    /// Those of `dir`, which are to be joined to what another folder has.
    pub(super) fn joined(dir: &Path) -> anyhow::Result<Self> {
        let searches = Self::read(dir);
        let none = || format!("{} has no finished search to join; `weir capacity` makes them", dir.display());
        anyhow::ensure!(!searches.records.is_empty(), none());
        Ok(searches)
    }

    /// What was found for each goal and cell.
    pub(super) fn capacities(&self) -> &[Capacity] {
        &self.found.capacities
    }

    /// Every decider that was searched anywhere, with its label: its placement, and the hook where that has several.
    pub(super) fn sides(&self) -> Vec<(Decider, String)> {
        let sides: BTreeSet<_> = self.capacities().iter().map(|one| one.placement).collect();
        let label = |side: Decider| {
            let is_peer = |peer: &&Decider| peer.placement() == side.placement();
            match sides.iter().filter(is_peer).count() {
                1 => side.placement().name().to_owned(),
                _ => format!("{}, at {}", side.placement().name(), side.hook()),
            }
        };
        sides.iter().map(|&side| (side, label(side))).collect()
    }

    /// Every goal and share of invalid packets, percent, with the capacities found there.
    fn places(&self) -> BTreeMap<(&str, u8), Vec<&Capacity>> {
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in self.capacities() {
            places.entry((one.goal.as_str(), one.invalid_percent)).or_default().push(one);
        }
        places
    }

    /// The kernel's rates to those of the server that decides.
    fn to_user(&self) -> impl Iterator<Item = &CapacityRatio> {
        let is_compared = |one: &&CapacityRatio| {
            (one.numerator.placement(), one.denominator) == (Placement::Kernel, Decider::USER)
        };
        self.found.ratios.iter().filter(is_compared)
    }

    /// What was found for `goal` under the conditions of `place`, whatever its rate and packets.
    pub(super) fn at(&self, place: &place::Place, goal: &str) -> Vec<&Capacity> {
        let free = [Dimension::Rate, Dimension::Packets];
        let conditions: Vec<_> = Dimension::ALL.into_iter().filter(|one| !free.contains(one)).collect();
        let is_there = |cell: &Cell| place::Place::of(cell).only(&conditions) == place.only(&conditions);
        self.capacities().iter().filter(|one| one.goal == goal && is_there(&one.cell)).collect()
    }

    /// The ratios kernel ÷ user of `goal`'s rates, search by search, of each cell of the kernel's that counts: none of a cell
    /// whose searches make no pair with the server's.
    pub(super) fn ratios(&self, goal: &str, counts: impl Fn(&Cell) -> bool) -> Vec<(Known, Vec<f64>)> {
        let here: Vec<_> = self.capacities().iter().filter(|one| one.goal == goal).collect();
        let has_user = |percent: u8| {
            here.iter().any(|one| (one.invalid_percent, one.placement) == (percent, Decider::USER))
        };
        let is_counted = |one: &&&Capacity| {
            one.placement.placement() == Placement::Kernel
                && counts(&one.cell)
                && has_user(one.invalid_percent)
        };
        let found = |one: &&Capacity| {
            let ratio = self.ratio_to_user(goal, one.invalid_percent, one.placement);
            ratio.map_or((Known::NotAtAll, Vec::new()), |ratio| (ratio.known, ratio.pairs.clone()))
        };
        here.iter().filter(is_counted).map(found).collect()
    }

    fn ratio_to_user(&self, goal: &str, percent: u8, side: Decider) -> Option<&CapacityRatio> {
        self.to_user()
            .find(|one| (one.of.as_str(), one.invalid_percent, one.numerator) == (goal, percent, side))
    }

    /// The capacities of every side, and kernel ÷ user; nothing without a search.
    pub(super) fn table(&self) -> Option<Table> {
        let sides = self.sides();
        let compared: Vec<_> =
            sides.iter().filter(|(side, _)| side.placement() == Placement::Kernel).collect();
        let quotient = |goal: &str, percent: u8, side: Decider| match self.ratio_to_user(goal, percent, side)
        {
            None => "no pair".to_owned(),
            Some(CapacityRatio { known: Known::NotAtAll, .. }) => LIMITS_BOTH.to_owned(),
            Some(found) => found.text(),
        };
        let row = |((goal, percent), here): ((&str, u8), Vec<&Capacity>)| {
            let capacity = |side: Decider| here.iter().find(|one| one.placement == side);
            let mut row = vec![goal.to_owned(), percent.to_string()];
            row.extend(
                sides.iter().map(|(side, _)| capacity(*side).map_or("–".to_owned(), |one| one.text())),
            );
            row.extend(compared.iter().map(|(side, _)| quotient(goal, percent, *side)));
            row.push(here.iter().map(|one| one.searches.len()).max().unwrap_or(0).to_string());
            row
        };
        let heads = ["goal", "invalid %"].map(str::to_owned).into_iter();
        let heads = heads.chain(sides.iter().map(|(_, label)| label.clone()));
        let heads = heads.chain(compared.iter().map(|(_, label)| format!("{label} ÷ user")));
        (!self.records.is_empty()).then(|| Table {
            slug: "capacity".to_owned(),
            title: "Capacity: the highest offered rate that is carried, packets/s".to_owned(),
            columns: heads.chain(["searches".to_owned()]).collect(),
            rows: self.places().into_iter().map(row).collect(),
            note: format!(
                "Valid and invalid packets together; median over searches [95 % interval]. {} \"≥\" stands where the \
                 generator could send no faster: the capacity is at least that, and a ratio is bounded on the side that \
                 is known.",
                self.goals()
            ),
        })
    }

    /// What each goal allows: "NDR: no valid request is lost. PDR: at most 0.5 % of them are."
    pub(super) fn goals(&self) -> String {
        let allowed: BTreeMap<_, _> =
            self.records.iter().map(|record| (&record.goal_name, record.result.goal.loss_ratio)).collect();
        let text = |(name, ratio): (&String, f64)| {
            if ratio == 0.0 {
                format!("{name}: no valid request is lost.")
            } else {
                format!("{name}: at most {} % of the valid requests are lost.", number(ratio * 100.0, 2))
            }
        };
        allowed.into_iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// What the searches allow to say of kernel and user, the highest share of invalid packets first.
    pub(super) fn findings(&self) -> Vec<String> {
        let sides = self.sides();
        let mut ratios: Vec<_> = self.to_user().collect();
        ratios.sort_by_key(|one| Reverse(one.invalid_percent));
        let label =
            |decider: Decider| sides.iter().find(|(side, _)| *side == decider).map(|(_, label)| label);
        ratios.into_iter().filter_map(|one| self.sentence(one, label(one.numerator)?)).collect()
    }

    fn sentence(&self, compared: &CapacityRatio, label: &str) -> Option<String> {
        let CapacityRatio {
            of: goal,
            invalid_percent: percent,
            numerator,
            denominator,
            ratio: found,
            known,
            ..
        } = compared;
        let text = |side: &Decider| {
            let is_it =
                |one: &&Capacity| (&one.goal, &one.invalid_percent, &one.placement) == (goal, percent, side);
            self.capacities().iter().find(is_it).map(Capacity::text)
        };
        let (ours, theirs) = (text(numerator)?, text(denominator)?);
        let filtered = if label == Placement::Kernel.name() {
            "with the filter in the kernel".to_owned()
        } else {
            format!("with the filter in the {label}")
        };
        if *known == Known::NotAtAll {
            return Some(format!(
                "At {percent} % invalid, {filtered} {ours} packets/s are carried ({goal}), and {theirs} with the server \
                 deciding; which of the two carries more is {LIMITS_BOTH}."
            ));
        }
        let ends = match found.kind {
            EndsKind::Interval => "95 % interval",
            EndsKind::Range => "range, since there are too few searches for an interval,",
        };
        Some(format!(
            "At {percent} % invalid, the highest rate that is carried ({goal}) {filtered} is {}{} times that with the server \
             deciding ({ends} {} to {}, {} searches): {ours} against {theirs} packets/s.",
            known.sign(),
            ratio(found.median),
            ratio(found.low),
            ratio(found.high),
            found.runs
        ))
    }

    /// For each goal, bars of the capacity by share and side.
    pub(super) fn plots(&self) -> Vec<Plot> {
        let places = self.places();
        let goals: BTreeSet<_> = places.keys().map(|(goal, _)| *goal).collect();
        let plot = |goal: &str| {
            let here: Vec<_> = places.iter().filter(|((one, _), _)| *one == goal).collect();
            let bars = |side: Decider| {
                let of_side = |(at, (_, found)): (usize, &(_, &Vec<&Capacity>))| {
                    found.iter().find(|one| one.placement == side).and_then(|one| bar(at, one))
                };
                here.iter().enumerate().filter_map(of_side).collect()
            };
            let lines = styled(self.sides()).into_iter().map(|(side, label, style)| Curve {
                label,
                style,
                form: CurveForm::Bars,
                points: bars(side),
            });
            let lines: Vec<_> = lines.filter(|line| !line.points.is_empty()).collect();
            let points = || lines.iter().flat_map(|line| &line.points);
            let heights: Vec<_> = points().flat_map(|point| [point.low, point.high]).collect();
            let bounded = if points().any(|point| point.at_least) {
                "; ≥, broken outline: the generator could send no faster, the capacity is at least that"
            } else {
                ""
            };
            Plot {
                slug: format!("capacity-{}", goal.to_lowercase()),
                title: format!("Capacity ({goal}): the highest rate carried"),
                subtitle: "valid and invalid packets together".to_owned(),
                reading: format!(
                    "Bars: medians of the searches; whiskers: 95 % intervals, ranges below 6 searches; dots: \
                     searches{bounded}"
                ),
                x_label: "share of invalid packets, %".to_owned(),
                x: Axis::of_names(here.iter().map(|((_, percent), _)| percent.to_string()).collect()),
                panels: vec![Panel {
                    y_label: "offered rate, packets/s".to_owned(),
                    y: Axis::from_zero(&heights),
                    lines,
                    ..Panel::default()
                }],
            }
        };
        goals.into_iter().map(plot).collect()
    }
}

/// The style of each side: that of its placement while it is free, then the next that is.
pub(super) fn styled(sides: Vec<(Decider, String)>) -> Vec<(Decider, String, usize)> {
    let mut free = Free::styles(sides.len());
    sides
        .into_iter()
        .map(|(side, label)| {
            let style = free.take(style_of(side.placement()));
            (side, label, style)
        })
        .collect()
}

fn bar(at: usize, found: &Capacity) -> Option<Point> {
    let mut point = Point::of(at as f64, found.searches.clone())?;
    if found.known != Known::Exactly {
        point.at_least = true;
        "limited by the generator: a lower bound".clone_into(&mut point.remark);
    }
    Some(point)
}
