//! Statistics: medians with order-statistic intervals, paired ratios, and the report's aggregate difference.
//!
//! Nothing here assumes a distribution, draws a random number or reads a clock: the same values give the same
//! estimate, to the bit.

mod aggregate;
mod estimate;
mod paired;
mod shift;

pub use aggregate::aggregate_difference_percent;
pub use estimate::{CONFIDENCE, EndsKind, Estimate, RUNS_FOR_INTERVAL};
pub use paired::{Repetition, paired_differences, paired_ratios};
pub use shift::Shift;
