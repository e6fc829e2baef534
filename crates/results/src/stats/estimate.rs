//! The median of some runs, with the interval that order statistics give.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// Probability with which an interval covers the true median, at least.
pub const CONFIDENCE: f64 = 0.95;

/// Fewest runs from which an interval exists: between the smallest and the largest of five lies the median with
/// probability 0.9375 only, of six with 0.96875.
pub const RUNS_FOR_INTERVAL: usize = 6;

/// What `low` and `high` of an estimate are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndsKind {
    /// Ends of an interval that covers the true median with [`CONFIDENCE`] or more.
    Interval,
    /// Smallest and largest value: there are too few runs for an interval.
    Range,
}

/// A median and how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The sample median: the middle value, or the mean of the middle two.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What the ends are.
    pub kind: EndsKind,
    /// How many values it is made of.
    pub runs: usize,
    /// Probability with which `low..=high` covers the true median, 0 to 1, whatever the distribution of independent
    /// runs (David & Nagaraja, Order Statistics, section 7.1).
    pub coverage: f64,
}

impl Estimate {
    /// The estimate from `values` in any order; nothing where there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let runs = sorted.len();
        if runs == 0 {
            return None;
        }
        let median = if runs % 2 == 1 {
            sorted[runs / 2]
        } else {
            f64::midpoint(sorted[runs / 2 - 1], sorted[runs / 2])
        };
        let (rank, kind) = match interval_rank(runs) {
            Some(rank) => (rank, EndsKind::Interval),
            None => (1, EndsKind::Range),
        };
        let (low, high) = (sorted[rank - 1], sorted[runs - rank]);
        Some(Self { median, low, high, kind, runs, coverage: coverage(runs, rank) })
    }

    /// Whether `value` lies between the ends, or on one.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The largest rank, from 1, such that the values of that rank from below and from above enclose the median with
/// [`CONFIDENCE`]; nothing where even the outermost values don't.
fn interval_rank(runs: usize) -> Option<usize> {
    (1..=runs / 2).take_while(|&rank| coverage(runs, rank) >= CONFIDENCE).last()
}

/// Probability that the median lies between the values of `rank` from below and from above, of `runs`: the count of
/// values below the median is binomial(runs, 1/2).
fn coverage(runs: usize, rank: usize) -> f64 {
    let below = Binomial::new(0.5, runs as u64).expect("1/2 is a probability");
    let coverage = (1.0 - 2.0 * below.cdf(rank as u64 - 1)).max(0.0);
    // The last digits are the rounding errors of logarithms, which differ between machines.
    (coverage * 1e12).round() / 1e12
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    /// Ranks and coverages as published (e.g. Conover, Practical Nonparametric Statistics, table A3).
    #[test]
    fn ranks_and_coverages_are_those_of_the_tables() {
        for (runs, rank, expected) in [
            (6, 1, 0.96875),
            (7, 1, 0.984375),
            (8, 1, 0.9921875),
            (9, 2, 0.9609375),
            (10, 2, 0.978515625),
            (12, 3, 0.961425781),
            (15, 4, 0.964843750),
            (20, 6, 0.958610535),
            (25, 8, 0.956714750),
            (50, 18, 0.967160),
            (100, 40, 0.964800),
        ] {
            assert_eq!(interval_rank(runs), Some(rank), "{runs} runs");
            assert!((coverage(runs, rank) - expected).abs() < 1e-6, "{runs} runs: {}", coverage(runs, rank));
        }
    }

    #[test]
    fn below_six_runs_there_is_a_range_and_it_says_so() {
        assert_eq!(Estimate::of(&[]), None);
        for runs in 1..12_usize {
            let values: Vec<f64> = (0..runs).map(|value| value as f64).collect();
            let estimate = Estimate::of(&values).unwrap();
            assert_eq!(estimate.kind == EndsKind::Interval, runs >= RUNS_FOR_INTERVAL, "{runs} runs");
            assert_eq!(estimate.coverage >= CONFIDENCE, runs >= RUNS_FOR_INTERVAL, "{runs} runs");
            assert_eq!(estimate.runs, runs);
        }
        let one = Estimate::of(&[3.0]).unwrap();
        assert_eq!((one.median, one.low, one.high, one.coverage), (3.0, 3.0, 3.0, 0.0));
    }

    #[test]
    fn an_even_count_has_the_mean_of_the_middle_two() {
        assert_eq!(Estimate::of(&[4.0, 1.0, 3.0, 2.0]).unwrap().median, 2.5);
        assert_eq!(Estimate::of(&[9.0, 1.0, 3.0]).unwrap().median, 3.0);
    }

    #[test]
    fn intervals_exist_for_counts_where_powers_of_a_half_underflow() {
        let estimate = Estimate::of(&(0..5001).map(f64::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(estimate.median, 2500.0);
        assert!((0.95..0.96).contains(&estimate.coverage), "{}", estimate.coverage);
        assert!((2400.0..2500.0).contains(&estimate.low), "{}", estimate.low);
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        const TRUTHS: usize = 2000;
        let mut random = StdRng::seed_from_u64(7);
        for runs in [6, 10, 20, 50] {
            let covered = (0..TRUTHS).filter(|_| {
                let truth = random.random_range(0.1..100.0);
                // Skewed as run times are: the median of truth * e^(s*(2u-1)^3) over uniform u is the truth.
                let draw =
                    |random: &mut StdRng| truth * (2.0 * (2.0 * random.random::<f64>() - 1.0).powi(3)).exp();
                let values: Vec<f64> = (0..runs).map(|_| draw(&mut random)).collect();
                Estimate::of(&values).unwrap().contains(truth)
            });
            let share = covered.count() as f64 / TRUTHS as f64;
            assert!(share >= 0.94, "{runs} runs: {share}");
        }
    }

    proptest! {
        #[test]
        fn the_ends_enclose_the_median_and_are_values(values in prop::collection::vec(-1e9..1e9_f64, 1..80)) {
            let estimate = Estimate::of(&values).unwrap();
            prop_assert!(estimate.low <= estimate.median && estimate.median <= estimate.high);
            prop_assert!(values.contains(&estimate.low) && values.contains(&estimate.high));
        }

        #[test]
        fn the_order_of_the_runs_does_not_matter(mut values in prop::collection::vec(-1e9..1e9_f64, 1..80)) {
            let estimate = Estimate::of(&values);
            values.reverse();
            prop_assert_eq!(Estimate::of(&values), estimate);
        }

        #[test]
        fn scaling_the_runs_scales_the_estimate(values in prop::collection::vec(0.0..1e9_f64, 1..80)) {
            let estimate = Estimate::of(&values).unwrap();
            let doubled = Estimate::of(&values.iter().map(|value| value * 2.0).collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(doubled.low, estimate.low * 2.0);
            prop_assert_eq!(doubled.median, estimate.median * 2.0);
            prop_assert_eq!(doubled.high, estimate.high * 2.0);
        }
    }
}
