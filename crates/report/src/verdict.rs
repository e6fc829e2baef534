//! Verdicts: what a run says to a claim, by a rule that was written down before it.
//!
//! A definition holds the rules ([`Rule`]); a report applies them to the samples. A claim stands for a set of values of
//! one number. It is supported where the number's 95 % interval lies inside of that set, contradicted where it lies
//! outside, and inconclusive where it lies across the border or there are too few runs for an interval.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weir_results::{
    capacity::Known,
    cell::Dimension,
    figure::Figure,
    number::{estimate, number, ratio},
    rule::Rule,
    stats::{EndsKind, Estimate, RUNS_FOR_INTERVAL, Repetition},
};

use crate::{
    grid::{CellRuns, Contrast, SampleGrid},
    place::Place,
    searches::Searches,
    table::Table,
};

/// What the samples say to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The whole interval lies where the claim puts it.
    Supported,
    /// The whole interval lies elsewhere.
    Contradicted,
    /// Neither.
    Inconclusive,
}

impl Outcome {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A rule, applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// The rule.
    pub rule: Rule,
    /// What it comes to.
    pub outcome: Outcome,
    /// The number that decided: a ratio, or a difference in percentage points; nothing where nothing was compared.
    pub number: Option<Estimate>,
    /// How it stands to the true one, where it is a ratio of capacities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// How many pairs of cells went into it.
    pub comparisons: usize,
    /// The smallest effect that these runs could have told from none, in the unit of [`Rule::smallest_effect`].
    pub smallest_visible: Option<f64>,
}

fn judge(rule: &Rule, number: Option<&Estimate>, known: Option<Known>) -> Outcome {
    let (low, high) = rule.holds_between();
    let Some(number) = number.filter(|number| number.kind == EndsKind::Interval) else {
        return Outcome::Inconclusive;
    };
    let (lowest, highest) = match known {
        None | Some(Known::Exactly) => (number.low, number.high),
        Some(Known::AtLeast) => (number.low, f64::INFINITY),
        Some(Known::AtMost) => (f64::NEG_INFINITY, number.high),
        Some(Known::NotAtAll) => return Outcome::Inconclusive,
    };
    // An open end holds everything, also a side that isn't known.
    let holds = (low.is_infinite() || low < lowest) && (high.is_infinite() || highest < high);
    if holds {
        Outcome::Supported
    } else if highest < low || lowest > high {
        Outcome::Contradicted
    } else {
        Outcome::Inconclusive
    }
}

/// The cells compared: each with its base.
fn pairs<'a>(rule: &Rule, grid: &'a SampleGrid) -> Vec<(&'a CellRuns, &'a CellRuns)> {
    let mut pairs: Vec<_> = match Contrast::of(rule.compare) {
        Ok(contrast) => grid.compared(contrast).iter().map(|one| (one.cell, one.base)).collect(),
        Err(dimension) => ends_along(grid, dimension),
    };
    pairs.retain(|(cell, _)| rule.counts(&cell.cell));
    pairs
}

/// One ratio a search, the geometric mean over places; how many places; and which side of the true one is known.
fn of_capacities(ratios: &[(Known, Vec<f64>)]) -> (Vec<f64>, usize, Option<Known>) {
    let searches = ratios.iter().map(|(_, ratios)| ratios.len()).min().unwrap_or(0);
    let logs = |search: usize| ratios.iter().map(|(_, ratios)| ratios[search].ln()).collect::<Vec<_>>();
    let values = (0..searches).map(|search| mean(&logs(search)).exp()).collect();
    let known = ratios.iter().map(|(known, _)| *known).reduce(Known::and);
    (values, ratios.len(), known)
}

/// What the samples of `grid`, or where its figure is a capacity the `searches`, say.
pub(super) fn apply(rule: &Rule, grid: &SampleGrid, searches: &Searches) -> Ruling {
    let (values, comparisons, known) = match rule.figure.goal() {
        None => {
            let pairs = pairs(rule, grid);
            let values = if rule.is_difference() {
                mean_of(&pairs, rule.figure, |cell, base| Some(cell - base))
            } else {
                mean_ratios(&pairs, rule.figure)
            };
            (values, pairs.len(), None)
        }
        Some(goal) => of_capacities(&searches.ratios(goal, |cell| rule.counts(cell))),
    };
    let found = Estimate::of(&values);
    let visible = |found: &Estimate| {
        if rule.is_difference() {
            (found.high - found.median).max(found.median - found.low)
        } else {
            ((found.high / found.median).max(found.median / found.low) - 1.0) * 100.0
        }
    };
    Ruling {
        rule: rule.clone(),
        outcome: judge(rule, found.as_ref(), known),
        number: found,
        known,
        comparisons,
        smallest_visible: found.filter(|found| found.kind == EndsKind::Interval).as_ref().map(visible),
    }
}

/// One ratio a repetition in which every pair has its runs: the geometric mean of theirs.
pub(super) fn mean_ratios(pairs: &[(&CellRuns, &CellRuns)], figure: Figure) -> Vec<f64> {
    let log = |cell: f64, base: f64| (cell > 0.0 && base > 0.0).then(|| (cell / base).ln());
    mean_of(pairs, figure, log).into_iter().map(f64::exp).collect()
}

/// One value a repetition in which every pair has its runs: the mean of theirs.
fn mean_of(
    pairs: &[(&CellRuns, &CellRuns)],
    figure: Figure,
    of: impl Fn(f64, f64) -> Option<f64>,
) -> Vec<f64> {
    let runs =
        |(cell, base): &(&CellRuns, &CellRuns)| (cell.by_repetition(figure), base.by_repetition(figure));
    let runs: Vec<_> = pairs.iter().map(runs).collect();
    let repetitions: BTreeSet<_> = runs.iter().flat_map(|(cell, _)| cell.keys().copied()).collect();
    let mean_at = |repetition: Repetition| {
        let one = |(cell, base): &(BTreeMap<_, f64>, BTreeMap<_, f64>)| {
            of(*cell.get(&repetition)?, *base.get(&repetition)?)
        };
        Some(mean(&runs.iter().map(one).collect::<Option<Vec<f64>>>()?))
    };
    repetitions.into_iter().filter_map(mean_at).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of every series, the cells at both ends of `dimension` that agree in the rest.
fn ends_along(grid: &SampleGrid, dimension: Dimension) -> Vec<(&CellRuns, &CellRuns)> {
    let rest = grid.dimensions_but(dimension);
    let lines = grid.lines(&rest);
    let ends = |series, line: &Place| {
        let here = grid.places.iter().filter(|place| place.only(&rest) == *line);
        let cells: Vec<_> = here.filter_map(|place| grid.cell(series, place)).collect();
        (cells.len() > 1).then(|| (cells[cells.len() - 1], cells[0]))
    };
    let of_series = |series| lines.iter().filter_map(|line| ends(series, line)).collect::<Vec<_>>();
    grid.series.iter().flat_map(of_series).collect()
}

impl Ruling {
    /// The number with its ends and what it is.
    pub(super) fn number_text(&self) -> String {
        let Some(found) = self.number else {
            return "nothing was compared".to_owned();
        };
        let runs = found.runs;
        let text = if self.rule.is_difference() {
            format!("{} percentage points", estimate(&found, |value| number(value, 3)))
        } else {
            format!("{}{}", self.known.map_or("", Known::sign), estimate(&found, ratio))
        };
        format!(
            "{text}, {runs} {} of {} {}",
            plural("repetition", runs),
            self.comparisons,
            plural("pair", self.comparisons)
        )
    }

    /// What these runs could have seen.
    pub(super) fn visible_text(&self) -> String {
        match (self.smallest_visible, self.rule.is_difference()) {
            (Some(effect), true) => format!("{} percentage points", number(effect, 2)),
            (Some(effect), false) => format!("{} %", number(effect, 2)),
            (None, _) => format!("none: fewer than {RUNS_FOR_INTERVAL} repetitions"),
        }
    }
}

fn plural(noun: &str, count: usize) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The verdicts as a table; nothing without a rule.
pub(super) fn table(verdicts: &[Ruling]) -> Option<Table> {
    let row = |verdict: &Ruling| {
        let Rule { hypothesis, claim, .. } = &verdict.rule;
        vec![
            hypothesis.clone(),
            claim.clone(),
            verdict.outcome.name().to_owned(),
            format!("{}: {}", verdict.rule.figure.noun(), verdict.number_text()),
            verdict.visible_text(),
            verdict.rule.text(),
        ]
    };
    (!verdicts.is_empty()).then(|| Table {
        slug: "verdicts".to_owned(),
        title: "Verdicts".to_owned(),
        columns: ["hypothesis", "claim", "verdict", "number", "smallest effect visible", "rule, written down before"]
            .map(str::to_owned)
            .to_vec(),
        rows: verdicts.iter().map(row).collect(),
        note: "Where several places count, each repetition gives one number: the geometric mean of their ratios, or the \
               mean of their differences."
            .to_owned(),
    })
}
