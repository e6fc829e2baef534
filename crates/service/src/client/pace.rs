//! When packets are due: an open-loop schedule that the rate fixes before the first packet leaves.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::Arrivals;

/// A rate, in packets a second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PacketsPerSecond(f64);

impl PacketsPerSecond {
    /// The slowest rate: one packet in 1000 s.
    pub const MIN: Self = Self(0.001);
    /// The fastest rate, beyond what a socket takes one by one on any machine.
    pub const MAX: Self = Self(1e7);

    /// `rate` packets a second, or nothing outside of [`Self::MIN`] to [`Self::MAX`] or where it is no number.
    pub fn new(rate: f64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&rate).then_some(Self(rate))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for PacketsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} packets/s", self.0)
    }
}

impl FromStr for PacketsPerSecond {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().ok().and_then(Self::new).ok_or_else(|| {
            format!("'{text}' is no rate; it takes packets per second, {} to {}", Self::MIN.0, Self::MAX.0)
        })
    }
}

/// A rate, and what makes a schedule of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pacing {
    /// Packets a second over the whole run, whatever the burst.
    pub rate: PacketsPerSecond,
    /// How moments follow each other.
    pub arrivals: Arrivals,
    /// Packets that are due at the same moment.
    pub burst: NonZeroU32,
}

impl Pacing {
    /// One packet a moment at even intervals.
    pub const fn new(rate: PacketsPerSecond) -> Self {
        Self { rate, arrivals: Arrivals::Constant, burst: NonZeroU32::MIN }
    }
}

/// The moments at which bursts are due, as time from the start of the run, without end.
///
/// The moments depend on the pacing and the seed alone, never on when a packet left: a packet that is late goes out at
/// once and moves no later one, so that a slow sender shows as lag and never as a schedule that gave way.
pub(super) struct Schedule {
    /// Mean time between two moments.
    interval_s: f64,
    next: u64,
    /// Of Poisson arrivals: the numbers to come, and the last moment.
    random: Option<(Box<ChaCha8Rng>, f64)>,
}

impl Schedule {
    /// The schedule of `pacing`. The seed decides Poisson arrivals; the same seed gives the same ones with every
    /// version of weir.
    pub(super) fn new(pacing: Pacing, seed: u64) -> Self {
        let random = match pacing.arrivals {
            Arrivals::Constant => None,
            Arrivals::Poisson => Some((Box::new(ChaCha8Rng::seed_from_u64(seed)), 0.0)),
        };
        Self { interval_s: f64::from(pacing.burst.get()) / pacing.rate.get(), next: 0, random }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let due_s = match &mut self.random {
            // A product for each moment, because a sum would drift.
            None => self.next as f64 * self.interval_s,
            Some((random, last_s)) => {
                // `random` gives [0, 1), of which the logarithm may be infinite; 1 less that is in (0, 1].
                let unit: f64 = random.random();
                *last_s += -(1.0 - unit).ln() * self.interval_s;
                *last_s
            }
        };
        self.next += 1;
        Some(Duration::from_secs_f64(due_s))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, Gamma};

    use super::*;

    fn pacing(rate: f64, arrivals: Arrivals, burst: u32) -> Pacing {
        Pacing {
            rate: PacketsPerSecond::new(rate).unwrap(),
            arrivals,
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    #[test]
    fn packets_are_due_at_even_intervals_without_drift() {
        let due = |i| Schedule::new(pacing(1000.0, Arrivals::Constant, 1), 0).nth(i).unwrap();
        assert_eq!(due(0), Duration::ZERO);
        assert_eq!(due(1), Duration::from_millis(1));
        assert_eq!(due(3_600_000), Duration::from_secs(3600));
    }

    #[test]
    fn a_burst_is_due_when_its_packets_would_be_on_average() {
        let mut schedule = Schedule::new(pacing(1000.0, Arrivals::Constant, 10), 0);
        assert_eq!(schedule.nth(7), Some(Duration::from_millis(70)));
    }

    #[test]
    fn poisson_arrivals_are_decided_by_the_seed() {
        let first =
            |seed| -> Vec<_> { Schedule::new(pacing(1e5, Arrivals::Poisson, 1), seed).take(1000).collect() };
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    /// The n-th arrival of a Poisson process is Gamma distributed with shape n, so both ends of the interval that holds
    /// it but for 2 cases of 10⁹ are known exactly.
    fn check_nth_arrival(n: usize, rate: f64, burst: u32, seed: u64) {
        let due = Schedule::new(pacing(rate, Arrivals::Poisson, burst), seed).nth(n - 1).unwrap();
        let gamma = Gamma::new(n as f64, rate / f64::from(burst)).unwrap();
        let probability = gamma.cdf(due.as_secs_f64());
        assert!((1e-9..=1.0 - 1e-9).contains(&probability), "seed {seed}: arrival {n} at {due:?}");
    }

    #[test]
    fn poisson_arrivals_keep_the_mean_rate() {
        for seed in 0..200 {
            for n in [1, 100, 10_000] {
                check_nth_arrival(n, 1e5, 1, seed);
                check_nth_arrival(n, 500.0, 8, seed);
            }
        }
    }

    /// Kolmogorov's statistic of exponential intervals, against its limit for 1 case of 10⁶ (2 exp(-2x²) = 10⁻⁶).
    #[test]
    fn poisson_intervals_are_exponential() {
        const N: usize = 100_000;
        let due: Vec<_> = Schedule::new(pacing(1e4, Arrivals::Poisson, 1), 1).take(N).collect();
        let starts = std::iter::once(Duration::ZERO).chain(due.iter().copied());
        let mut gaps: Vec<_> = starts.zip(&due).map(|(a, b)| (*b - a).as_secs_f64() * 1e4).collect();
        gaps.sort_by(f64::total_cmp);
        let farthest = gaps.iter().enumerate().map(|(i, gap)| {
            let expected = 1.0 - (-gap).exp();
            (expected - i as f64 / N as f64).abs().max((expected - (i + 1) as f64 / N as f64).abs())
        });
        let statistic = farthest.fold(0.0, f64::max) * (N as f64).sqrt();
        assert!(statistic < 2.7, "{statistic}");
    }

    proptest! {
        #[test]
        fn moments_never_go_back(rate in 0.001..1e7_f64, poisson: bool, burst in 1..100_u32, seed: u64) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let due: Vec<_> = Schedule::new(pacing(rate, arrivals, burst), seed).take(1000).collect();
            prop_assert!(due.is_sorted());
        }

        #[test]
        fn constant_moments_lie_within_a_nanosecond_of_their_place(
            rate in 0.001..1e7_f64, burst in 1..100_u32, i in 0..1000_u32
        ) {
            let due = Schedule::new(pacing(rate, Arrivals::Constant, burst), 0).nth(i as usize).unwrap();
            let place = f64::from(i) * f64::from(burst) / rate;
            prop_assert!((due.as_secs_f64() - place).abs() <= 1e-9 + place * 1e-12);
        }
    }

    #[test]
    fn a_rate_is_a_positive_number_within_bounds() {
        for text in ["0", "-1", "nan", "inf", "fast", "", "1e9"] {
            assert!(text.parse::<PacketsPerSecond>().is_err(), "{text}");
        }
        assert_eq!("2.5e3".parse(), Ok(PacketsPerSecond(2500.0)));
    }
}
