//! Capacities: what `weir capacity` left in a results folder, as a table and as bars.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use super::{
    axis::Axis,
    number::{count, estimate, ratio},
    plot::{Form, Line, Plot, Point},
    plots::style_of,
    table::Table,
};
use crate::{
    cell::{Cell, Placement},
    stats::{Estimate, paired_ratios},
};

/// The finished searches of a results folder, one JSON object a line.
const FILE: &str = "searches.jsonl";

/// What a search found for a goal: the part of a line that a report shows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Search {
    /// `NDR` or `PDR`.
    goal_name: String,
    /// Those of different placements with the same number ran side by side.
    search: u32,
    cell: Cell,
    /// Highest rate known to be carried, packets/s; nothing where not even the lowest was.
    lower: Option<u64>,
    /// Whether the generator keeps it from being higher.
    limited: bool,
}

/// The searches of `dir`, none where it has none, and what could not be read.
pub(super) fn read(dir: &Path) -> (Vec<Search>, Vec<String>) {
    let Ok(text) = fs::read_to_string(dir.join(FILE)) else { return Default::default() };
    let (mut searches, mut warnings) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str(line) {
            Ok(search) => searches.push(search),
            Err(error) => warnings.push(format!("line {} of {FILE} is no search: {error}", number + 1)),
        }
    }
    (searches, warnings)
}

/// The rates of one goal, share and placement, by search.
struct Found {
    rates: BTreeMap<u32, f64>,
    limited: bool,
}

impl Found {
    fn text(&self) -> String {
        let rates: Vec<_> = self.rates.values().copied().collect();
        let text = Estimate::of(&rates).map(|rate| estimate(&rate, |value| count(value.round() as u64)));
        let bound = if self.limited { "at least " } else { "" };
        format!("{bound}{}", text.unwrap_or_else(|| "–".to_owned()))
    }
}

type Place = (String, u8);

fn found(searches: &[Search]) -> BTreeMap<Place, BTreeMap<Placement, Found>> {
    let mut found: BTreeMap<Place, BTreeMap<Placement, Found>> = BTreeMap::new();
    for search in searches {
        let place = found.entry((search.goal_name.clone(), search.cell.invalid_percent)).or_default();
        let empty = || Found { rates: BTreeMap::new(), limited: false };
        let one = place.entry(search.cell.placement).or_insert_with(empty);
        one.rates.insert(search.search, search.lower.unwrap_or(0) as f64);
        one.limited |= search.limited;
    }
    found
}

/// The capacities of every placement, and kernel ÷ user; nothing without a search.
pub(super) fn table(searches: &[Search]) -> Option<Table> {
    let placements = [Placement::Plain, Placement::User, Placement::Kernel];
    let quotient = |here: &BTreeMap<Placement, Found>| {
        let (kernel, user) = (here.get(&Placement::Kernel)?, here.get(&Placement::User)?);
        let text = estimate(&Estimate::of(&paired_ratios(&kernel.rates, &user.rates))?, ratio);
        Some(match (kernel.limited, user.limited) {
            (false, false) => text,
            (true, false) => format!("at least {text}"),
            (false, true) => format!("at most {text}"),
            (true, true) => "not known: the generator limits both".to_owned(),
        })
    };
    let row = |((goal, percent), here): (&Place, &BTreeMap<Placement, Found>)| {
        let mut row = vec![goal.clone(), percent.to_string()];
        row.extend(placements.map(|one| here.get(&one).map_or("–".to_owned(), Found::text)));
        row.push(quotient(here).unwrap_or_else(|| "no pair".to_owned()));
        row
    };
    let heads = ["goal", "invalid %", "plain", "user", "kernel", "kernel ÷ user"];
    (!searches.is_empty()).then(|| Table {
        slug: "capacity".to_owned(),
        title: "Capacity: the highest offered rate that is carried, packets/s".to_owned(),
        columns: heads.map(str::to_owned).to_vec(),
        rows: found(searches).iter().map(row).collect(),
        note: "NDR: no loss; PDR: the loss that its goal allows. \"At least\" stands where the generator could send no \
               faster."
            .to_owned(),
    })
}

/// For each goal, bars of the capacity by share and placement.
pub(super) fn plots(searches: &[Search]) -> Vec<Plot> {
    let found = found(searches);
    let goals: std::collections::BTreeSet<_> = found.keys().map(|(goal, _)| goal).collect();
    let plot = |goal: &String| {
        let here: Vec<_> = found.iter().filter(|((one, _), _)| one == goal).collect();
        let line = |placement| {
            let point = |(i, (_, here)): (usize, &(&Place, &BTreeMap<Placement, Found>))| {
                let found: &Found = here.get(&placement)?;
                let mut point = Point::of(i as f64, found.rates.values().copied().collect())?;
                if found.limited {
                    "limited by the generator: a lower bound".clone_into(&mut point.remark);
                }
                Some(point)
            };
            let points: Vec<_> = here.iter().enumerate().filter_map(point).collect();
            let label = placement.name().to_owned();
            Line { label, style: style_of(placement), form: Form::Bars, points }
        };
        let lines = [Placement::Plain, Placement::User, Placement::Kernel].map(line);
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
        let heights = lines.iter().flat_map(|line| &line.points).flat_map(|point| [point.low, point.high]);
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
