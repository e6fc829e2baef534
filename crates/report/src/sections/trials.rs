//! The single trials of the searches: what was lost at each offered rate, and which of them a search went by.

use std::collections::{BTreeMap, BTreeSet};

use weir_results::{capacity::Decider, sample::Sample};

use crate::{
    axis::Axis,
    plot::{Curve, CurveForm, Dot, PALETTE, Panel, Plot, Point},
    searches::{Searches, styled},
};

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// A search counts it.
    Counted,
    /// A search counts it as not carried, since the generator didn't keep the rate.
    CutOff,
    /// It was made again, or away with: its counts don't balance, the generator fell behind, others had the cores.
    Left,
}

impl Fate {
    const ALL: [Self; 3] = [Self::Counted, Self::CutOff, Self::Left];

    const fn name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::CutOff => "cut off at the generator's ceiling",
            Self::Left => "not counted",
        }
    }

    const fn dot(self) -> Dot {
        match self {
            Self::Counted => Dot::Full,
            Self::CutOff => Dot::Hollow,
            Self::Left => Dot::Cross,
        }
    }
}

/// A trial of a search.
struct SearchTrial {
    side: Decider,
    search: u32,
    fate: Fate,
    rate: f64,
    loss_percent: f64,
}

/// Every trial by its offered rate and loss, in a panel for each share of invalid packets; nothing without one.
pub(super) fn plot(searches: &Searches, trials: &[Sample]) -> Option<Plot> {
    let found = by_share(searches, trials);
    let all = || found.values().flatten();
    let rates: Vec<_> = all().map(|trial| trial.rate).collect();
    let losses: Vec<_> = all().map(|trial| trial.loss_percent).collect();
    let y = Axis::with_zero(&losses);
    let allowed = searches.records.iter().map(|record| record.result.goal.loss_ratio * 100.0);
    let allowed = allowed.fold(0.0, f64::max);
    let sides = styled(searches.sides());
    let panel = |(percent, trials): (&u8, &Vec<SearchTrial>)| Panel {
        y_label: format!("{percent} % invalid: loss of valid requests, %"),
        y: y.clone(),
        reference: (allowed > 0.0).then_some(allowed),
        lines: sides.iter().flat_map(|side| lines(side, trials)).collect(),
        tiles: Vec::new(),
    };
    let across = if allowed > 0.0 { "; across: the loss that the PDR allows" } else { "" };
    (!found.is_empty()).then(|| Plot {
        slug: "trials".to_owned(),
        title: "Every trial of the searches".to_owned(),
        subtitle: "dots: counted; rings: the generator fell behind; crosses: not counted".to_owned(),
        reading: format!(
            "What was lost of the valid requests at each rate that was offered, on a logarithmic scale with a place for 0. \
             Dots: trials that a search counts; rings: the generator fell behind there, so that the rate does not count \
             as carried; crosses: not counted, because their counts don't balance, the generator fell behind below its \
             ceiling, or others had the cores{across}. Pointing at a trial tells its search"
        ),
        x_label: "offered rate, packets/s".to_owned(),
        x: Axis::close_to(&rates),
        panels: found.iter().map(panel).collect(),
    })
}

/// The trials that have an offered rate and a loss, by their share of invalid packets.
fn by_share(searches: &Searches, trials: &[Sample]) -> BTreeMap<u8, Vec<SearchTrial>> {
    let by_index: BTreeMap<_, _> = trials.iter().map(|sample| (sample.index, sample)).collect();
    let mut told = BTreeSet::new();
    let mut found: BTreeMap<u8, Vec<SearchTrial>> = BTreeMap::new();
    for record in &searches.records {
        let rest = &record.rest;
        let fate = |index: &u64| {
            if rest.behind.contains(index) { Fate::CutOff } else { Fate::Counted }
        };
        let counted = rest.samples.iter().map(|index| (*index, fate(index)));
        let left = rest.unused.iter().chain(&rest.again).map(|index| (*index, Fate::Left));
        for (index, fate) in counted.chain(left) {
            // The goals of a search share its trials.
            let Some(sample) = by_index.get(&index).filter(|_| told.insert(index)) else { continue };
            let (Some(rate), Some(loss_percent)) = (sample.cell.conditions.rate, sample.loss_percent())
            else {
                continue;
            };
            let (side, search) = (Decider::of(&record.cell), record.search);
            let trial = SearchTrial { side, search, fate, rate: rate as f64, loss_percent };
            found.entry(record.cell.invalid_percent).or_default().push(trial);
        }
    }
    found
}

/// A line of dots for each fate that trials of the side met.
fn lines((side, label, style): &(Decider, String, usize), trials: &[SearchTrial]) -> Vec<Curve> {
    let line = |fate: Fate| {
        let mine = trials.iter().filter(|trial| trial.side == *side && trial.fate == fate);
        let point = |trial: &SearchTrial| {
            let mut point = Point::of(trial.rate, vec![trial.loss_percent])?;
            point.remark = format!("search {}, {}", trial.search + 1, fate.name());
            Some(point)
        };
        let mut points: Vec<_> = mine.filter_map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Curve {
            label: label.clone(),
            style: style % PALETTE.len(),
            form: CurveForm::Dots(fate.dot()),
            points,
        }
    };
    Fate::ALL.into_iter().map(line).filter(|line| !line.points.is_empty()).collect()
}
