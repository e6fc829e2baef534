//! Verdicts: what a run says to a claim, by a rule that was written down before it.
//!
//! A definition holds the rules ([`Rule`]); a report applies them to the samples. A claim stands for a set of values of
//! one number. It is supported where the number's 95 % interval lies inside of that set, contradicted where it lies
//! outside, and inconclusive where it lies across the border or there are too few runs for an interval.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    figure::Figure,
    grid::{CellRuns, Grid},
    number::{estimate, number, ratio},
    place::{Place, dimension_of, key},
    summary::Median,
    table::Table,
};
use crate::{
    cell::{Dimension, Value},
    stats::{Estimate, Kind, RUNS_FOR_INTERVAL},
};

/// A claim and when it is believed: a `[[verdicts]]` of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The hypothesis or open question that it answers, such as `T3`.
    pub hypothesis: String,
    /// The claim, in a sentence.
    pub claim: String,
    /// The figure that decides, such as `server-cpu`.
    pub figure: Figure,
    /// What is compared with what.
    pub compare: Compare,
    /// Where the number must lie for the claim to hold.
    pub direction: Direction,
    /// The smallest effect that matters: percent, or percentage points where the figure is itself in percent.
    pub smallest_effect: f64,
    /// The places that count, by a dimension's name or `placement`; all where nothing is said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<String, At>,
}

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Compare {
    /// `kernel-user`: the program decides, against the server behind the accept-all program.
    Placements,
    /// `toolkits`: the same filter by two toolkits.
    Toolkits,
    /// A dimension's name: the last value along it against the first.
    Along(Dimension),
}

impl From<Compare> for String {
    fn from(compare: Compare) -> Self {
        match compare {
            Compare::Placements => "kernel-user".to_owned(),
            Compare::Toolkits => "toolkits".to_owned(),
            Compare::Along(dimension) => key(dimension).to_owned(),
        }
    }
}

impl TryFrom<String> for Compare {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "kernel-user" => Ok(Self::Placements),
            "toolkits" => Ok(Self::Toolkits),
            name => dimension_of(name).map(Self::Along).ok_or_else(|| {
                let dimensions = Dimension::ALL.map(key).join(", ");
                format!("a verdict can't compare '{name}'; there are: kernel-user, toolkits, {dimensions}")
            }),
        }
    }
}

/// Where the number must lie for the claim to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Lower by more than the smallest effect.
    Below,
    /// Higher by more than the smallest effect.
    Above,
    /// Not higher by the smallest effect.
    NotAbove,
    /// Not lower by the smallest effect.
    NotBelow,
    /// Different by less than the smallest effect.
    Equal,
}

/// A value along a dimension, as a definition writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum At {
    /// A number, such as `99`.
    Number(u64),
    /// Whether it is so: `pinned`.
    Is(bool),
    /// A name, such as `"veth"`.
    Name(String),
}

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
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// What it comes to.
    pub outcome: Outcome,
    /// The number that decided: a ratio, or a difference in percentage points; nothing where nothing was compared.
    pub number: Option<Median>,
    /// How many pairs of cells went into it.
    pub comparisons: usize,
    /// The smallest effect that these runs could have told from none, in the unit of [`Rule::smallest_effect`].
    pub smallest_visible: Option<f64>,
}

impl Rule {
    /// Whether the number is a difference rather than a ratio: a loss may be zero on either side.
    fn is_difference(&self) -> bool {
        self.figure.unit() == "%"
    }

    /// The values for which the claim holds, open at both ends.
    fn holds_between(&self) -> (f64, f64) {
        let (none, unit) = if self.is_difference() { (0.0, 1.0) } else { (1.0, 100.0) };
        let effect = self.smallest_effect / unit;
        match self.direction {
            Direction::Below => (f64::NEG_INFINITY, none - effect),
            Direction::Above => (none + effect, f64::INFINITY),
            Direction::NotAbove => (f64::NEG_INFINITY, none + effect),
            Direction::NotBelow => (none - effect, f64::INFINITY),
            Direction::Equal => (none - effect, none + effect),
        }
    }

    fn judge(&self, number: Option<&Estimate>) -> Outcome {
        let (low, high) = self.holds_between();
        match number {
            Some(number) if number.kind == Kind::Range => Outcome::Inconclusive,
            Some(number) if low < number.low && number.high < high => Outcome::Supported,
            Some(number) if number.high < low || number.low > high => Outcome::Contradicted,
            _ => Outcome::Inconclusive,
        }
    }

    /// The rule in words.
    pub(super) fn text(&self) -> String {
        let unit = if self.is_difference() { " percentage points" } else { "" };
        let text = |value: f64| format!("{}{unit}", number(value, 3));
        let holds = match self.holds_between() {
            (f64::NEG_INFINITY, high) => format!("below {}", text(high)),
            (low, f64::INFINITY) => format!("above {}", text(low)),
            (low, high) => format!("between {} and {}", number(low, 3), text(high)),
        };
        let what = if self.is_difference() { "difference" } else { "ratio" };
        format!(
            "Supported where the {what}'s whole interval lies {holds}, contradicted where none of it does."
        )
    }

    fn counts(&self, runs: &CellRuns, place: &Place) -> bool {
        self.at.iter().all(|(name, wanted)| {
            if name == "placement" {
                return *wanted == At::Name(runs.cell.placement.name().to_owned());
            }
            let found = dimension_of(name).map(|dimension| place.along(dimension));
            match (wanted, found) {
                (At::Number(wanted), Some(Value::Number(found))) => *wanted == found,
                (At::Name(wanted), Some(Value::Name(found))) => wanted == found,
                (At::Is(wanted), Some(Value::Name(found))) => *wanted == (found == "pinned"),
                _ => false,
            }
        })
    }

    /// The cells compared: each with its base.
    fn pairs<'a>(&self, grid: &'a Grid) -> Vec<(&'a CellRuns, &'a CellRuns)> {
        let pairs: Vec<_> = match self.compare {
            Compare::Placements => grid.comparisons().iter().map(|one| (one.cell, one.base)).collect(),
            Compare::Toolkits => grid.toolkit_comparisons().iter().map(|one| (one.cell, one.base)).collect(),
            Compare::Along(dimension) => ends_along(grid, dimension),
        };
        pairs.into_iter().filter(|(cell, _)| self.counts(cell, &Place::of(&cell.cell))).collect()
    }

    /// One value a repetition in which every pair has its runs: the geometric mean of ratios, the mean of differences.
    fn values(&self, pairs: &[(&CellRuns, &CellRuns)]) -> Vec<f64> {
        let runs: Vec<_> = pairs
            .iter()
            .map(|(cell, base)| (cell.by_repetition(self.figure), base.by_repetition(self.figure)))
            .collect();
        let repetitions: BTreeSet<_> = runs.iter().flat_map(|(cell, _)| cell.keys().copied()).collect();
        let of = |repetition| {
            let one = |(cell, base): &(BTreeMap<_, f64>, BTreeMap<_, f64>)| {
                let (cell, base) = (*cell.get(&repetition)?, *base.get(&repetition)?);
                if self.is_difference() {
                    return Some(cell - base);
                }
                (cell > 0.0 && base > 0.0).then(|| (cell / base).ln())
            };
            let values = runs.iter().map(one).collect::<Option<Vec<f64>>>()?;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            Some(if self.is_difference() { mean } else { mean.exp() })
        };
        repetitions.into_iter().filter_map(of).collect()
    }

    /// What the samples of `grid` say.
    pub(super) fn apply(&self, grid: &Grid) -> Verdict {
        let pairs = self.pairs(grid);
        let found = Estimate::of(&self.values(&pairs));
        let visible = |found: &Estimate| {
            if self.is_difference() {
                (found.high - found.median).max(found.median - found.low)
            } else {
                ((found.high / found.median).max(found.median / found.low) - 1.0) * 100.0
            }
        };
        Verdict {
            rule: self.clone(),
            outcome: self.judge(found.as_ref()),
            number: found.map(Median::from),
            comparisons: pairs.len(),
            smallest_visible: found.filter(|found| found.kind == Kind::Interval).as_ref().map(visible),
        }
    }
}

/// Of every series, the cells at both ends of `dimension` that agree in the rest.
fn ends_along(grid: &Grid, dimension: Dimension) -> Vec<(&CellRuns, &CellRuns)> {
    let rest: Vec<_> = grid.dimensions.iter().copied().filter(|&other| other != dimension).collect();
    let lines = grid.lines(&rest);
    let ends = |series, line: &Place| {
        let here = grid.places.iter().filter(|place| place.only(&rest) == *line);
        let cells: Vec<_> = here.filter_map(|place| grid.cell(series, place)).collect();
        (cells.len() > 1).then(|| (cells[cells.len() - 1], cells[0]))
    };
    let of_series = |series| lines.iter().filter_map(|line| ends(series, line)).collect::<Vec<_>>();
    grid.series.iter().flat_map(of_series).collect()
}

impl Verdict {
    /// The number with its ends and what it is.
    pub(super) fn number_text(&self) -> String {
        let Some(Median { median, low, high, kind, runs, coverage }) = self.number else {
            return "nothing was compared".to_owned();
        };
        let found = Estimate { median, low, high, kind, runs, coverage };
        let text = if self.rule.is_difference() {
            format!("{} percentage points", estimate(&found, |value| number(value, 3)))
        } else {
            estimate(&found, ratio)
        };
        format!("{text}, {runs} repetitions of {} {}", self.comparisons, plural("pair", self.comparisons))
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
pub(super) fn table(verdicts: &[Verdict]) -> Option<Table> {
    let row = |verdict: &Verdict| {
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
        columns: ["", "claim", "verdict", "number", "smallest effect visible", "rule, written down before"]
            .map(str::to_owned)
            .to_vec(),
        rows: verdicts.iter().map(row).collect(),
        note: "Where several places count, each repetition gives one number: the geometric mean of their ratios, or the \
               mean of their differences."
            .to_owned(),
    })
}
