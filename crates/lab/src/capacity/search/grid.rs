//! The loads that a search can choose: a geometric series, so that equal steps are equal relative widths.

/// The loads from a lowest to a highest, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RateGrid {
    lowest: u64,
    highest: u64,
    last: u32,
}

/// Number of a load.
pub(super) type RateStep = u32;

impl RateGrid {
    /// Loads from `lowest`, at least 1, to `highest`, packets/s, whose neighbours differ by the share `width` of the
    /// higher one, or a little less.
    pub(super) fn new(lowest: u64, highest: u64, width: f64) -> Self {
        let lowest = lowest.max(1);
        let highest = highest.max(lowest);
        let steps = (highest as f64 / lowest as f64).ln() / -(-width).ln_1p();
        Self { lowest, highest, last: steps.ceil() as RateStep }
    }

    pub(super) fn last(&self) -> RateStep {
        self.last
    }

    /// Packets/s.
    pub(super) fn rate(&self, step: RateStep) -> u64 {
        if step >= self.last {
            return self.highest;
        }
        let share = f64::from(step) / f64::from(self.last);
        (self.lowest as f64 * self.span().powf(share)).round() as u64
    }

    /// The highest load that is not above `rate`; the lowest where all are.
    pub(super) fn at_or_below(&self, rate: f64) -> RateStep {
        if self.last == 0 || rate <= self.lowest as f64 {
            return 0;
        }
        let share = (rate / self.lowest as f64).ln() / self.span().ln();
        let step = ((share * f64::from(self.last)).ceil() as RateStep).min(self.last);
        (0..=step).rev().find(|&step| self.rate(step) as f64 <= rate).unwrap_or(0)
    }

    /// How many steps lie within the relative `width`; at least one.
    pub(super) fn steps_within(&self, width: f64) -> RateStep {
        if self.last == 0 {
            return 1;
        }
        let step = self.span().ln() / f64::from(self.last);
        // A width of exactly so many steps is not to lose one to rounding.
        (-(-width).ln_1p() / step + 1e-9).floor().max(1.0) as RateStep
    }

    fn span(&self) -> f64 {
        self.highest as f64 / self.lowest as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_grid_of_one_load_has_no_steps() {
        let grid = RateGrid::new(500, 500, 0.05);
        assert_eq!((grid.last(), grid.rate(0), grid.at_or_below(1e9)), (0, 500, 0));
    }

    proptest! {
        #[test]
        fn neighbours_are_within_the_width_and_the_ends_are_exact(
            lowest in 1_000..10_000_u64, factor in 1.0..1000.0_f64, width in 0.005..0.5_f64
        ) {
            let highest = (lowest as f64 * factor) as u64;
            let grid = RateGrid::new(lowest, highest, width);
            prop_assert_eq!((grid.rate(0), grid.rate(grid.last())), (lowest, highest.max(lowest)));
            for step in 0..grid.last() {
                let (low, high) = (grid.rate(step) as f64, grid.rate(step + 1) as f64);
                prop_assert!(low < high && high - low <= high * width + 1.0);
            }
        }

        #[test]
        fn a_load_is_the_highest_not_above_itself(lowest in 1_000..10_000_u64, factor in 1.1..1000.0_f64) {
            let grid = RateGrid::new(lowest, (lowest as f64 * factor) as u64, 0.02);
            for step in 0..=grid.last() {
                prop_assert_eq!(grid.at_or_below(grid.rate(step) as f64), step);
                prop_assert_eq!(grid.at_or_below(grid.rate(step) as f64 - 0.5), step.saturating_sub(1));
            }
        }

        #[test]
        fn doubled_widths_are_doubled_steps(steps in 0..4_u32, width in 0.01..0.2_f64) {
            let grid = RateGrid::new(1_000, 1_000_000, width);
            let wide = 1.0 - (1.0 - width).powi(1 << steps);
            prop_assert!(grid.steps_within(wide) >= 1 << steps);
        }
    }
}
