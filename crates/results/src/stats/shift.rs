//! How many times larger one set of runs is than another that was not made beside it.

use statrs::distribution::{ContinuousCDF, Normal};

use super::estimate::CONFIDENCE;

/// Up to so many pairs the distribution of the rank sum is computed exactly; beyond, the normal one stands for it.
const EXACT_UP_TO: usize = 10_000;

/// The factor between two independent sets of runs, by Hodges and Lehmann, with the interval that belongs to the test
/// of Mann and Whitney (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, chapter 4).
///
/// It takes both sets to be of one shape up to a factor; runs that were made side by side are better compared in pairs
/// ([`super::paired_ratios`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Median of the ratios of every run of one set to every run of the other.
    pub ratio: f64,
    /// The ends of an interval that covers the true factor with 95 % or more; nothing with too few runs for one.
    pub interval: Option<(f64, f64)>,
}

impl Shift {
    /// `after` ÷ `before`; values that aren't above zero are left out. Nothing where one side has none.
    pub fn of(before: &[f64], after: &[f64]) -> Option<Self> {
        let positive =
            |values: &[f64]| values.iter().copied().filter(|&value| value > 0.0).collect::<Vec<_>>();
        let (before, after) = (positive(before), positive(after));
        let mut ratios: Vec<_> =
            after.iter().flat_map(|after| before.iter().map(move |before| after / before)).collect();
        ratios.sort_by(f64::total_cmp);
        let pairs = ratios.len();
        let (below, above) = (ratios.get(pairs.checked_sub(1)? / 2)?, ratios.get(pairs / 2)?);
        let interval = left_out(before.len(), after.len()).map(|k| (ratios[k], ratios[pairs - 1 - k]));
        Some(Self { ratio: f64::midpoint(*below, *above), interval })
    }

    /// Whether the interval excludes that nothing changed.
    pub fn is_shown(&self) -> bool {
        self.interval.is_some_and(|(low, high)| low > 1.0 || high < 1.0)
    }
}

/// How many of the smallest, and of the largest, of the `n`·`m` ratios lie outside of the interval; nothing where even
/// all of them don't make one.
fn left_out(n: usize, m: usize) -> Option<usize> {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    if n * m > EXACT_UP_TO {
        let (n, m) = (n as f64, m as f64);
        let spread = (n * m * (n + m + 1.0) / 12.0).sqrt();
        let quantile = Normal::standard().inverse_cdf(tail);
        return Some((n * m / 2.0 + quantile * spread - 1.0).floor().max(0.0) as usize);
    }
    let mut sum = 0.0;
    let below = rank_sum(n, m).into_iter().take_while(|probability| {
        sum += probability;
        sum <= tail
    });
    below.count().checked_sub(1)
}

/// The distribution of U, the number of pairs in which the one side is the larger, when nothing differs.
fn rank_sum(n: usize, m: usize) -> Vec<f64> {
    // row[j] is the distribution for i and j values; the largest value of all belongs to one side or the other.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let (ours, theirs) = (i as f64 / (i + j) as f64, j as f64 / (i + j) as f64);
            let mut distribution = vec![0.0; i * j + 1];
            row[j].iter().enumerate().for_each(|(u, p)| distribution[u + j] += ours * p);
            next[j - 1].iter().enumerate().for_each(|(u, p)| distribution[u] += theirs * p);
            next.push(distribution);
        }
        row = next;
    }
    row.swap_remove(m)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    /// Critical values of U at 5 %, two-sided (Hollander, Wolfe & Chicken, table A.6; Milton 1964).
    #[test]
    fn critical_values_are_those_of_the_tables() {
        for (n, m, critical) in [
            (3, 3, None),
            (4, 4, Some(0)),
            (5, 5, Some(2)),
            (6, 6, Some(5)),
            (10, 10, Some(23)),
            (8, 12, Some(22)),
        ] {
            assert_eq!(left_out(n, m), critical, "{n}, {m}");
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_are_symmetric() {
        let distribution = rank_sum(7, 9);
        assert_eq!(distribution.len(), 64);
        assert!((distribution.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(distribution.iter().zip(distribution.iter().rev()).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn the_exact_and_the_approximate_ends_meet() {
        let (exact, approximate) = (left_out(100, 100).unwrap(), left_out(100, 101).unwrap());
        assert!(exact.abs_diff(approximate) < 60, "{exact}, {approximate}");
    }

    #[test]
    fn the_interval_covers_the_factor_as_often_as_it_says() {
        const TRUTHS: usize = 1000;
        let mut random = StdRng::seed_from_u64(3);
        for runs in [4, 6, 20] {
            let covered = (0..TRUTHS).filter(|_| {
                let factor = random.random_range(0.2..5.0);
                let mut noise = |scale: f64| -> Vec<f64> {
                    (0..runs)
                        .map(|_| scale * (1.5 * (2.0 * random.random::<f64>() - 1.0).powi(3)).exp())
                        .collect()
                };
                let (before, after) = (noise(1.0), noise(factor));
                let (low, high) = Shift::of(&before, &after).unwrap().interval.unwrap();
                (low..=high).contains(&factor)
            });
            let share = covered.count() as f64 / TRUTHS as f64;
            assert!(share >= 0.94, "{runs} runs: {share}");
        }
    }

    #[test]
    fn with_too_few_runs_there_is_a_ratio_and_no_interval() {
        assert_eq!(Shift::of(&[2.0], &[3.0]), Some(Shift { ratio: 1.5, interval: None }));
        assert_eq!(Shift::of(&[], &[3.0]), None);
        assert_eq!(Shift::of(&[0.0], &[3.0]), None);
    }
}
