//! A plot's axis with its own ticks: linear, logarithmic, or names side by side.

use weir_results::number::{count, number};

/// From where to where an axis goes, how, and where its ticks are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
    /// Names of the places 0, 1, 2 …; empty for numbers.
    names: Vec<String>,
    /// Whether the lowest tick of a logarithmic axis stands for zero.
    from_zero: bool,
}

/// How much larger the largest value must be than the smallest for a logarithmic axis to show more than a linear one.
const LOGARITHMIC_FROM: f64 = 30.0;

/// How much larger the largest of several given values must be for ratios to tell more than differences.
const SPREAD_FROM: f64 = 8.0;

impl Axis {
    /// A linear axis with round ticks.
    fn linear(low: f64, high: f64) -> Self {
        let step = round_step((high - low) / 5.5);
        let ticks = (low / step).ceil() as i64..=(high / step).floor() as i64;
        Self { low, high, ticks: ticks.map(|i| i as f64 * step).collect(), ..Self::default() }
    }

    /// A linear axis whose ticks are `values` (ascending), with room at both ends.
    pub(super) fn at(values: &[f64]) -> Self {
        let (low, high) = ends(values);
        let room = if high > low { (high - low) * 0.06 } else { 1.0 };
        Self { low: low - room, high: high + room, ticks: values.to_vec(), ..Self::default() }
    }

    /// An axis whose ticks are `values` (ascending): logarithmic where ratios tell more than differences do.
    pub(super) fn spread(values: &[f64]) -> Self {
        let (low, high) = ends(values);
        if low > 0.0 && high / low >= SPREAD_FROM { Self::logarithmic_at(values) } else { Self::at(values) }
    }

    /// An axis of names side by side, at 0, 1, 2 and so on.
    pub(super) fn of_names(names: Vec<String>) -> Self {
        let ticks: Vec<f64> = (0..names.len()).map(|i| i as f64).collect();
        Self { low: -0.5, high: names.len() as f64 - 0.5, ticks, names, ..Self::default() }
    }

    /// A logarithmic axis whose ticks are `values` (ascending, above zero), with room at both ends.
    pub(super) fn logarithmic_at(values: &[f64]) -> Self {
        let (low, high) = ends(values);
        let room = (high / low).powf(0.06).max(1.2);
        Self::logarithmic(low / room, high * room, values.to_vec())
    }

    fn logarithmic(low: f64, high: f64, ticks: Vec<f64>) -> Self {
        Self { low, high, logarithmic: true, ticks, ..Self::default() }
    }

    /// An axis that holds `values`: logarithmic where they are above zero and of different sizes, else from zero.
    pub(super) fn around(values: &[f64]) -> Self {
        let (low, high) = ends(values);
        if low > 0.0 && high / low >= LOGARITHMIC_FROM {
            let (low, high) = (low / 1.3, high * 1.3);
            return Self::logarithmic(low, high, logarithmic_ticks(low, high));
        }
        Self::from_zero(values)
    }

    /// A linear axis that holds zero and `values`.
    pub(super) fn from_zero(values: &[f64]) -> Self {
        let (low, high) = ends(values);
        // Loss without any loss still needs an axis.
        let high = if high > 0.0 { high * 1.08 } else { 1.0 };
        // Room below, so that markers at zero stand clear of the axis.
        Self::linear(low.min(0.0) * 1.08 - high * 0.03, high)
    }

    /// A linear axis that fits `values` closely, with room at both ends.
    pub(super) fn close_to(values: &[f64]) -> Self {
        let (low, high) = ends(values);
        let room = if high > low { (high - low) * 0.12 } else { 0.5 };
        Self::linear(low - room, high + room)
    }

    /// A logarithmic axis for `values` (not negative) of which some are zero: zero stands a decade below the smallest.
    pub(super) fn with_zero(values: &[f64]) -> Self {
        let (smallest, high) = ends(&values.iter().copied().filter(|&value| value > 0.0).collect::<Vec<_>>());
        if smallest == 0.0 {
            return Self::from_zero(values);
        }
        let zero = 10_f64.powf(smallest.log10().floor() - 1.0);
        let mut ticks = logarithmic_ticks(zero * 10.0, high * 1.3);
        ticks.retain(|tick| tick.log10().fract().abs() < 1e-9);
        ticks.insert(0, zero);
        Self { from_zero: true, ..Self::logarithmic(zero / 1.5, high * 1.3, ticks) }
    }

    /// The axis' title: `label`, and that it is logarithmic where it is.
    pub(super) fn title(&self, label: &str) -> String {
        if self.logarithmic { format!("{label} (logarithmic)") } else { label.to_owned() }
    }

    /// Where its ticks are.
    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// The share of the axis between two neighbours of its names.
    pub(super) fn share_of_a_step(&self) -> f64 {
        1.0 / (self.high - self.low)
    }

    /// What stands at `value`: its name, or the number.
    pub(super) fn name(&self, value: f64) -> String {
        if self.from_zero && self.ticks.first() == Some(&value) {
            return Self::label(0.0);
        }
        self.names.get(value as usize).cloned().unwrap_or_else(|| Self::label(value))
    }

    /// A number with no more digits than it is worth; whole millions as such.
    pub(super) fn label(value: f64) -> String {
        if value.abs() >= 1e6 && value % 1e5 == 0.0 {
            return format!("{}\u{a0}M", Self::label(value / 1e6));
        }
        if (value == value.round() || value.abs() >= 1e4) && value.abs() < 1e15 {
            let sign = if value < 0.0 { "−" } else { "" };
            return format!("{sign}{}", count(value.abs().round() as u64));
        }
        let text = number(value, 3);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }

    /// Where `value` lies, 0 at the low end and 1 at the high one.
    pub(super) fn share(&self, value: f64) -> f64 {
        if self.logarithmic {
            let lowest = if self.from_zero { self.ticks[0] } else { self.low };
            (value.max(lowest) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let end = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(0.0);
    (end(f64::min), end(f64::max))
}

/// The step of 1, 2 or 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|&step| step >= rough).unwrap_or(rough)
}

fn logarithmic_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let factors: &[f64] = if high / low > 1e4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let ticks = decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)));
    ticks.filter(|tick| (low..=high).contains(tick)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_start_at_zero() {
        assert_eq!(Axis::around(&[0.4, 2.3]).ticks, [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(Axis::around(&[0.0]).ticks.first(), Some(&0.0));
        assert_eq!(Axis::around(&[]).high, 1.0);
    }

    #[test]
    fn values_of_different_sizes_get_a_logarithmic_axis() {
        let axis = Axis::around(&[0.02, 9.0]);
        assert!(axis.logarithmic);
        assert_eq!(axis.title("loss, %"), "loss, % (logarithmic)");
        assert_eq!(Axis::around(&[1.0]).title("loss, %"), "loss, %");
        assert_eq!(axis.ticks, [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn zero_has_a_place_on_a_logarithmic_axis() {
        let axis = Axis::with_zero(&[0.0, 0.02, 9.0]);
        assert_eq!(axis.ticks, [0.001, 0.01, 0.1, 1.0, 10.0]);
        assert_eq!((axis.name(0.001), axis.name(0.01)), ("0".to_owned(), "0.01".to_owned()));
        assert_eq!(axis.share(0.0), axis.share(0.001));
        assert!(axis.share(0.0) > 0.0 && axis.share(0.0) < axis.share(0.02));
        assert_eq!(Axis::with_zero(&[0.0]), Axis::from_zero(&[0.0]));
    }

    #[test]
    fn values_fall_between_the_ends() {
        for axis in [Axis::at(&[0.0, 50.0, 99.0]), Axis::logarithmic_at(&[100.0, 1e7]), Axis::at(&[5.0])] {
            for tick in &axis.ticks {
                assert!((0.001..1.0).contains(&axis.share(*tick)), "{axis:?} {tick}");
            }
        }
    }

    #[test]
    fn labels_have_no_more_digits_than_the_tick() {
        for (value, expected) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (99.0, "99"),
            (-2.0, "−2"),
            (0.30000000000000004, "0.3"),
            (1e7, "10\u{a0}M"),
            (2.5e6, "2.5\u{a0}M"),
        ] {
            assert_eq!(Axis::label(value), expected);
        }
    }
}
