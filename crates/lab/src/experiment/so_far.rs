//! Which cells have runs enough: an interval as narrow as was asked for.

use std::collections::HashMap;

use weir_results::{
    cell::Cell,
    sample::Sample,
    stats::{EndsKind, Estimate},
};

use super::{precision::Within, schedule::Scheduled};

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
