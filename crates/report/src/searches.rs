//! Capacities: what `weir capacity` left in a results folder, as a table, bars and sentences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use weir_filters::{Hook, Toolkit};
use weir_results::{
    capacity::{
        Known, Purpose, SUMMARY,
        known::{Figures, ratios},
        record::{FILE, SearchRecord},
    },
    cell::{Cell, Dimension, Placement},
    number::{count, estimate, number, ratio},
    sample::Sample,
    stats::{EndsKind, Estimate},
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
    /// Whether all that were asked for are made.
    pub(super) complete: bool,
    /// What the servers spent at one rate.
    pub(super) costs: Option<Table>,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

/// Goal and share of invalid packets, percent.
type GoalAtShare = (String, u8);

/// Where the decision was made in a search, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DecidedBy {
    placement: Placement,
    hook: Hook,
    toolkit: Toolkit,
}

impl DecidedBy {
    pub(super) const fn of(cell: &Cell) -> Self {
        Self { placement: cell.placement, hook: cell.hook, toolkit: cell.toolkit }
    }

    /// Its placement, and what tells it from those of `all` that share it.
    fn label(self, all: &[Self]) -> String {
        let peers = || all.iter().filter(|peer| peer.placement == self.placement);
        let mut label = self.placement.name().to_owned();
        if peers().any(|peer| peer.toolkit != self.toolkit) {
            label += &format!(", {}", self.toolkit);
        }
        if peers().any(|peer| peer.hook != self.hook) {
            label += &format!(", at {}", self.hook);
        }
        label
    }
}

/// What the searches of one side found at one place.
struct FoundRates<'a>(Vec<&'a SearchRecord>);

impl FoundRates<'_> {
    fn rates(&self) -> Vec<f64> {
        self.0.iter().map(|record| record.rate()).collect()
    }

    fn is_exact(&self) -> bool {
        self.0.iter().all(|record| record.is_exact())
    }

    fn figures(&self) -> Figures {
        self.0.iter().map(|record| (record.search, record.range())).collect()
    }

    fn text(&self) -> String {
        let bound = if self.is_exact() { "" } else { Known::AtLeast.sign() };
        let text =
            Estimate::of(&self.rates()).map(|rate| estimate(&rate, |value| count(value.round() as u64)));
        text.map_or_else(|| "–".to_owned(), |text| format!("{bound}{text}"))
    }
}

/// The sides that were searched at one place.
type Searched<'a> = BTreeMap<DecidedBy, FoundRates<'a>>;

fn user<'h, 'a>(here: &'h Searched<'a>) -> Option<&'h FoundRates<'a>> {
    here.iter().find(|(side, _)| side.placement == Placement::User).map(|(_, found)| found)
}

fn to_user(here: &Searched<'_>, side: DecidedBy) -> Option<(Known, Vec<f64>)> {
    (side.placement == Placement::Kernel)
        .then(|| Some(ratios(&here.get(&side)?.figures(), &user(here)?.figures())))
        .flatten()
}

/// What the searches of a cell found.
pub(super) struct FoundCapacity<'a> {
    pub(super) cell: &'a Cell,
    /// Packets/s, one a search.
    pub(super) rates: Vec<f64>,
    /// Whether they are more than lower bounds.
    pub(super) exact: bool,
}

impl Searches {
    /// Those of `dir`, none where it has none.
    pub(super) fn read(dir: &Path) -> Self {
        let complete = dir.join(SUMMARY).is_file();
        let mut searches = Self { complete, costs: capacity_costs::table(dir), ..Self::default() };
        let Ok(text) = fs::read_to_string(dir.join(FILE)) else { return searches };
        for (number, line) in text.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(record) => searches.records.push(record),
                Err(error) => {
                    let warning = format!("line {} of {FILE} is no search: {error}", number + 1);
                    searches.warnings.push(warning);
                }
            }
        }
        searches.records.sort_by_key(|record| record.search);
        searches
    }

    fn found(&self) -> BTreeMap<GoalAtShare, Searched<'_>> {
        let mut found: BTreeMap<GoalAtShare, Searched<'_>> = BTreeMap::new();
        for record in &self.records {
            let place = found.entry((record.goal_name.clone(), record.cell.invalid_percent)).or_default();
            place.entry(DecidedBy::of(&record.cell)).or_insert_with(|| FoundRates(Vec::new())).0.push(record);
        }
        found
    }

    /// Every side that was searched anywhere, with its name.
    pub(super) fn sides(&self) -> Vec<(DecidedBy, String)> {
        let sides: BTreeSet<_> = self.records.iter().map(|record| DecidedBy::of(&record.cell)).collect();
        let sides: Vec<_> = sides.into_iter().collect();
        sides.iter().map(|&side| (side, side.label(&sides))).collect()
    }

    /// What was found for each goal and cell.
    pub(super) fn capacities(&self) -> Vec<(&str, FoundCapacity<'_>)> {
        let mut found: BTreeMap<(&str, u8, DecidedBy), FoundRates<'_>> = BTreeMap::new();
        for record in &self.records {
            let key = (record.goal_name.as_str(), record.cell.invalid_percent, DecidedBy::of(&record.cell));
            found.entry(key).or_insert_with(|| FoundRates(Vec::new())).0.push(record);
        }
        let capacity =
            |((goal, ..), found): ((_, _, _), FoundRates<'_>)| (goal, found.rates(), found.is_exact());
        let cells: Vec<_> = found.values().map(|found| &found.0[0].cell).collect();
        let told = found.into_iter().map(capacity);
        told.zip(cells)
            .map(|((goal, rates, exact), cell)| (goal, FoundCapacity { cell, rates, exact }))
            .collect()
    }

    /// What was found for `goal` under the conditions of `place`, whatever its rate and packets.
    pub(super) fn at(&self, place: &place::Place, goal: &str) -> Vec<FoundCapacity<'_>> {
        let free = [Dimension::Rate, Dimension::Packets];
        let conditions: Vec<_> = Dimension::ALL.into_iter().filter(|one| !free.contains(one)).collect();
        let is_there = |cell: &Cell| place::Place::of(cell).only(&conditions) == place.only(&conditions);
        let here = self.capacities().into_iter().filter(|(name, one)| *name == goal && is_there(one.cell));
        here.map(|(_, capacity)| capacity).collect()
    }

    /// The ratios kernel ÷ user of `goal`'s rates, search by search, of each cell of the kernel's that counts.
    pub(super) fn ratios(&self, goal: &str, counts: impl Fn(&Cell) -> bool) -> Vec<(Known, Vec<f64>)> {
        let found = self.found();
        let here = found.iter().filter(|((name, _), _)| name == goal).map(|(_, here)| here);
        let counted = |here: &Searched<'_>| {
            let sides = here.iter().filter(|(_, found)| found.0.iter().all(|record| counts(&record.cell)));
            sides.filter_map(|(&side, _)| to_user(here, side)).collect::<Vec<_>>()
        };
        here.flat_map(counted).collect()
    }

    /// The capacities of every side, and kernel ÷ user; nothing without a search.
    pub(super) fn table(&self) -> Option<Table> {
        let sides = self.sides();
        let compared: Vec<_> = sides.iter().filter(|(side, _)| side.placement == Placement::Kernel).collect();
        let quotient = |here: &Searched<'_>, side: DecidedBy| {
            let (known, ratios) = to_user(here, side)?;
            let text = estimate(&Estimate::of(&ratios)?, ratio);
            Some(if known == Known::NotAtAll {
                LIMITS_BOTH.to_owned()
            } else {
                format!("{}{text}", known.sign())
            })
        };
        let row = |((goal, percent), here): (&GoalAtShare, &Searched<'_>)| {
            let mut row = vec![goal.clone(), percent.to_string()];
            row.extend(sides.iter().map(|(side, _)| here.get(side).map_or("–".to_owned(), FoundRates::text)));
            row.extend(
                compared
                    .iter()
                    .map(|(side, _)| quotient(here, *side).unwrap_or_else(|| "no pair".to_owned())),
            );
            row.push(here.values().map(|found| found.0.len()).max().unwrap_or(0).to_string());
            row
        };
        let heads = ["goal", "invalid %"].map(str::to_owned).into_iter();
        let heads = heads.chain(sides.iter().map(|(_, label)| label.clone()));
        let heads = heads.chain(compared.iter().map(|(_, label)| format!("{label} ÷ user")));
        (!self.records.is_empty()).then(|| Table {
            slug: "capacity".to_owned(),
            title: "Capacity: the highest offered rate that is carried, packets/s".to_owned(),
            columns: heads.chain(["searches".to_owned()]).collect(),
            rows: self.found().iter().map(row).collect(),
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
        let found = self.found();
        let mut by_share: Vec<_> = found.iter().collect();
        by_share.sort_by_key(|((_, percent), _)| std::cmp::Reverse(*percent));
        let at = |(place, here): (&GoalAtShare, &Searched<'_>)| {
            let sentence = |(side, label): &(DecidedBy, String)| sentence(place, here, *side, label);
            sides.iter().filter_map(sentence).collect::<Vec<_>>()
        };
        by_share.into_iter().flat_map(at).collect()
    }

    /// For each goal, bars of the capacity by share and side.
    pub(super) fn plots(&self) -> Vec<Plot> {
        let found = self.found();
        let goals: BTreeSet<_> = found.keys().map(|(goal, _)| goal).collect();
        let plot = |goal: &String| {
            let here: Vec<_> = found.iter().filter(|((one, _), _)| one == goal).collect();
            let lines = styled(self.sides()).into_iter().map(|(side, label, style)| Curve {
                label,
                style,
                form: CurveForm::Bars,
                points: bars(side, &here),
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

fn sentence(
    (goal, percent): &GoalAtShare,
    here: &Searched<'_>,
    side: DecidedBy,
    label: &str,
) -> Option<String> {
    let (known, ratios) = to_user(here, side)?;
    let found = Estimate::of(&ratios)?;
    let (ours, theirs) = (here.get(&side)?.text(), user(here)?.text());
    let filtered = if label == Placement::Kernel.name() {
        "with the filter in the kernel".to_owned()
    } else {
        format!("with the filter in the {label}")
    };
    if known == Known::NotAtAll {
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

/// The style of each side: that of its placement while it is free, then the next that is.
pub(super) fn styled(sides: Vec<(DecidedBy, String)>) -> Vec<(DecidedBy, String, usize)> {
    let mut free = Free::styles(sides.len());
    sides
        .into_iter()
        .map(|(side, label)| {
            let style = free.take(style_of(side.placement));
            (side, label, style)
        })
        .collect()
}

fn bars(side: DecidedBy, places: &[(&GoalAtShare, &Searched<'_>)]) -> Vec<Point> {
    let point = |(at, (_, here)): (usize, &(&GoalAtShare, &Searched<'_>))| {
        let found = here.get(&side)?;
        let mut point = Point::of(at as f64, found.rates())?;
        if !found.is_exact() {
            point.at_least = true;
            "limited by the generator: a lower bound".clone_into(&mut point.remark);
        }
        Some(point)
    };
    places.iter().enumerate().filter_map(point).collect()
}
