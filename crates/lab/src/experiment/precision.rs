//! Repeating a cell until its interval is narrow enough.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use weir_results::{
    cell::Cell,
    sample::Sample,
    stats::{EndsKind, Estimate},
};

use super::schedule::Scheduled;

/// How narrow the interval of each cell is to become, and after how many runs to give up.
///
/// What is judged is the server's CPU time per packet. Runs are added for a point of the grid, all placements side by
/// side, until each of its cells is there: so pairs stay pairs. Stopping looks at an interval's width and never at
/// where it lies, which keeps its coverage near what it says; a test of this module measures how near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// Largest distance of the interval's ends from the median, as a share of the median.
    pub within: Within,
    /// Most runs of a cell.
    pub max_runs: u32,
}

/// A share in percent, to a hundredth; written `2%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Within {
    hundredths: u32,
}

impl Within {
    /// The share, 1 for all.
    pub fn share(self) -> f64 {
        f64::from(self.hundredths) / 10_000.0
    }
}

impl FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let percent: f64 =
            number.parse().map_err(|_| format!("'{text}' is no percentage; write 2% or 0.5%"))?;
        if !(0.01..=100.0).contains(&percent) {
            return Err(format!("'{text}' is not between 0.01% and 100%"));
        }
        Ok(Self { hundredths: (percent * 100.0).round() as u32 })
    }
}

impl TryFrom<String> for Within {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Within> for String {
    fn from(percent: Within) -> Self {
        percent.to_string()
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.hundredths) / 100.0)
    }
}

/// The cells' runs so far.
#[derive(Clone, Debug, Default)]
pub struct SoFar {
    values: HashMap<Cell, Vec<f64>>,
}

impl SoFar {
    /// The runs that a results folder holds.
    pub fn of(samples: &[Sample]) -> Self {
        let mut so_far = Self::default();
        samples.iter().for_each(|sample| so_far.add(sample));
        so_far
    }

    /// Another run.
    pub fn add(&mut self, sample: &Sample) {
        let values = self.values.entry(sample.cell.clone()).or_default();
        if sample.is_timed() {
            values.push(sample.server_cpu_us_per_packet());
        }
    }

    /// Whether a cell has been seen.
    pub fn knows(&self, cell: &Cell) -> bool {
        self.values.contains_key(cell)
    }

    /// Distance of the interval's ends from the median, as a share of the median; nothing without an interval.
    pub fn reached(&self, cell: &Cell) -> Option<f64> {
        let estimate = Estimate::of(self.values.get(cell)?)?;
        let farthest = (estimate.high - estimate.median).max(estimate.median - estimate.low);
        (estimate.kind == EndsKind::Interval && estimate.median > 0.0).then(|| farthest / estimate.median)
    }

    fn is_there(&self, cell: &Cell, within: Within) -> bool {
        self.reached(cell).is_some_and(|reached| reached <= within.share())
    }

    /// Whether `run` is still needed: one of those that `point` is made of has not got there.
    pub fn needs(&self, point: &[&Cell], within: Within) -> bool {
        !point.iter().all(|cell| self.is_there(cell, within))
    }

    /// The cells whose intervals are wider, with the share that they reached.
    pub fn wider(&self, within: Within) -> Vec<(&Cell, Option<f64>)> {
        let mut wider: Vec<_> = self.values.keys().filter(|cell| !self.is_there(cell, within)).collect();
        wider.sort();
        wider.into_iter().map(|cell| (cell, self.reached(cell))).collect()
    }
}

/// The cells that are run side by side with `run`: those of its repetition with its seed.
pub fn point_of<'a>(run: &Scheduled, schedule: &'a [Scheduled]) -> Vec<&'a Cell> {
    let beside = |other: &&Scheduled| (other.repetition, other.seed) == (run.repetition, run.seed);
    schedule.iter().filter(beside).map(|other| &other.cell).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    fn check(text: &str, expected: Result<f64, &str>) {
        match (text.parse::<Within>(), expected) {
            (Ok(percent), Ok(share)) => assert!((percent.share() - share).abs() < 1e-9, "{text}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_percentage_is_a_number_with_or_without_its_sign() {
        check("2%", Ok(0.02));
        check(" 0.5 % ", Ok(0.005));
        check("100", Ok(1.0));
        check("0", Err("not between"));
        check("101%", Err("not between"));
        check("two", Err("no percentage"));
        check("NaN%", Err("not between"));
        assert_eq!("0.50%".parse::<Within>().unwrap().to_string(), "0.5%");
    }

    #[test]
    fn stopping_on_the_width_costs_little_coverage() {
        const TRUTHS: usize = 2000;
        let mut random = StdRng::seed_from_u64(11);
        let covered = (0..TRUTHS).filter(|_| {
            let mut values = Vec::new();
            loop {
                // The skewed noise of run times, around a median of 1.
                values.push((0.2 * (2.0 * random.random::<f64>() - 1.0).powi(3)).exp());
                let Some(estimate) = Estimate::of(&values) else { continue };
                let narrow = estimate.kind == EndsKind::Interval
                    && estimate.high - estimate.median <= 0.02 * estimate.median
                    && estimate.median - estimate.low <= 0.02 * estimate.median;
                if narrow || values.len() == 50 {
                    return estimate.contains(1.0);
                }
            }
        });
        let share = covered.count() as f64 / TRUTHS as f64;
        assert!(share >= 0.90, "{share}");
    }
}
