//! Capacities: what `weir capacity` left in a results folder, as a table, bars and sentences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{
    axis::Axis,
    number::{count, estimate, ratio},
    plot::{Form, Line, Plot, Point},
    plots::{Free, style_of},
    table::Table,
};
use crate::{
    capacity::{
        Decider, Known, Purpose,
        known::{Figures, ratios},
        record::{FILE, SearchRecord},
        summary,
    },
    cell::{Cell, Placement},
    sample::Sample,
    stats::{Estimate, Kind},
};

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
    records: Vec<SearchRecord>,
    /// Whether all that were asked for are made.
    pub(super) complete: bool,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

/// Goal and share of invalid packets, percent.
type Place = (String, u8);

/// What the searches of one decider found at one place.
struct Found<'a>(Vec<&'a SearchRecord>);

impl Found<'_> {
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

/// Who was searched at one place.
type Here<'a> = BTreeMap<Decider, Found<'a>>;

fn to_user(here: &Here<'_>, program: Decider) -> Option<(Known, Vec<f64>)> {
    Some(ratios(&here.get(&program)?.figures(), &here.get(&Decider::USER)?.figures()))
}

impl Searches {
    /// Those of `dir`, none where it has none.
    pub(super) fn read(dir: &Path) -> Self {
        let mut searches = Self { complete: dir.join(summary::FILE).is_file(), ..Self::default() };
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

    fn found(&self) -> BTreeMap<Place, Here<'_>> {
        let mut found: BTreeMap<Place, Here<'_>> = BTreeMap::new();
        for record in &self.records {
            let place = found.entry((record.goal_name.clone(), record.cell.invalid_percent)).or_default();
            place.entry(Decider::of(&record.cell)).or_insert_with(|| Found(Vec::new())).0.push(record);
        }
        found
    }

    /// The ratios kernel ÷ user of `goal`'s rates, search by search, of each place at which the kernel's cell counts.
    pub(super) fn ratios(&self, goal: &str, counts: impl Fn(&Cell) -> bool) -> Vec<(Known, Vec<f64>)> {
        let counted = |here: &Here<'_>| {
            here.get(&Decider::KERNEL)?.0.first().filter(|record| counts(&record.cell))?;
            to_user(here, Decider::KERNEL)
        };
        let found = self.found();
        found.iter().filter(|((name, _), _)| name == goal).filter_map(|(_, here)| counted(here)).collect()
    }

    /// Who was searched anywhere.
    fn deciders(&self) -> BTreeSet<Decider> {
        self.records.iter().map(|record| Decider::of(&record.cell)).collect()
    }

    /// The programs among them.
    fn programs(&self) -> Vec<Decider> {
        self.deciders().into_iter().filter(|decider| decider.placement() == Placement::Kernel).collect()
    }

    /// The capacities of all, and each program ÷ user; nothing without a search.
    pub(super) fn table(&self) -> Option<Table> {
        let (deciders, programs) = (self.deciders(), self.programs());
        let quotient = |here: &Here<'_>, program: Decider| {
            let (known, ratios) = to_user(here, program)?;
            let text = estimate(&Estimate::of(&ratios)?, ratio);
            Some(if known == Known::NotAtAll {
                LIMITS_BOTH.to_owned()
            } else {
                format!("{}{text}", known.sign())
            })
        };
        let row = |((goal, percent), here): (&Place, &Here<'_>)| {
            let mut row = vec![goal.clone(), percent.to_string()];
            row.extend(deciders.iter().map(|one| here.get(one).map_or("–".to_owned(), Found::text)));
            let no_pair = || "no pair".to_owned();
            row.extend(programs.iter().map(|program| quotient(here, *program).unwrap_or_else(no_pair)));
            row.push(here.values().map(|found| found.0.len()).max().unwrap_or(0).to_string());
            row
        };
        let mut columns = vec!["goal".to_owned(), "invalid %".to_owned()];
        columns.extend(deciders.iter().map(Decider::to_string));
        columns.extend(programs.iter().map(|program| format!("{program} ÷ user")));
        columns.push("searches".to_owned());
        (!self.records.is_empty()).then(|| Table {
            slug: "capacity".to_owned(),
            title: "Capacity: the highest offered rate that is carried, packets/s".to_owned(),
            columns,
            rows: self.found().iter().map(row).collect(),
            note: "Valid and invalid packets together. NDR: no valid request is lost; PDR: as many as its goal allows. \
                   \"≥\" stands where the generator could send no faster: the capacity is at least that, and a ratio \
                   is bounded on the side that is known."
                .to_owned(),
        })
    }

    /// What the searches allow to say of each program and the server, the highest share of invalid packets first.
    pub(super) fn findings(&self) -> Vec<String> {
        let sentence = |(goal, percent): &Place, here: &Here<'_>, program: Decider| {
            let (known, ratios) = to_user(here, program)?;
            let found = Estimate::of(&ratios)?;
            let place = match program {
                Decider::KERNEL => "in the kernel".to_owned(),
                program => format!("at {program}"),
            };
            if known == Known::NotAtAll {
                return Some(format!(
                    "At {percent} % invalid, the capacity ({goal}) with the filter {place} to that with the \
                     server deciding is {LIMITS_BOTH}."
                ));
            }
            let ends = match found.kind {
                Kind::Interval => "95 % interval",
                Kind::Range => "range, since there are too few searches for an interval,",
            };
            Some(format!(
                "At {percent} % invalid, the highest rate that is carried ({goal}) with the filter {place} is {}{} \
                 times that with the server deciding ({ends} {} to {}, {} searches).",
                known.sign(),
                ratio(found.median),
                ratio(found.low),
                ratio(found.high),
                found.runs
            ))
        };
        let found = self.found();
        let mut by_share: Vec<_> = found.iter().collect();
        by_share.sort_by_key(|((_, percent), _)| std::cmp::Reverse(*percent));
        let programs = self.programs();
        let sentences = by_share.into_iter().flat_map(|(place, here)| {
            programs.iter().filter_map(move |&program| sentence(place, here, program))
        });
        sentences.collect()
    }

    /// For each goal, bars of the capacity by share and decider.
    pub(super) fn plots(&self) -> Vec<Plot> {
        let found = self.found();
        let goals: BTreeSet<_> = found.keys().map(|(goal, _)| goal).collect();
        let plot = |goal: &String| {
            let here: Vec<_> = found.iter().filter(|((one, _), _)| one == goal).collect();
            let mut free = Free::styles(self.deciders().len());
            let lines = self.deciders().into_iter().map(|decider| bars(decider, &here, &mut free));
            let lines: Vec<_> = lines.filter(|line| !line.points.is_empty()).collect();
            let heights =
                lines.iter().flat_map(|line| &line.points).flat_map(|point| [point.low, point.high]);
            Plot {
                slug: format!("capacity-{}", goal.to_lowercase()),
                title: format!("{goal}: the highest rate carried"),
                subtitle: "valid and invalid packets together".to_owned(),
                reading: "Bars: medians of the searches; whiskers: 95 % intervals, ranges below 6 searches"
                    .to_owned(),
                x_label: "share of invalid packets, %".to_owned(),
                y_label: "offered rate, packets/s".to_owned(),
                x: Axis::of_names(here.iter().map(|((_, percent), _)| percent.to_string()).collect()),
                y: Axis::from_zero(&heights.collect::<Vec<_>>()),
                lines,
                ..Plot::default()
            }
        };
        goals.into_iter().map(plot).collect()
    }
}

fn bars(decider: Decider, places: &[(&Place, &Here<'_>)], free: &mut Free) -> Line {
    let point = |(at, (_, here)): (usize, &(&Place, &Here<'_>))| {
        let found = here.get(&decider)?;
        let mut point = Point::of(at as f64, found.rates())?;
        if !found.is_exact() {
            "limited by the generator: a lower bound".clone_into(&mut point.remark);
        }
        Some(point)
    };
    Line {
        label: decider.to_string(),
        style: free.take(style_of(decider.placement())),
        form: Form::Bars,
        points: places.iter().enumerate().filter_map(point).collect(),
    }
}
