//! Numbers as text: as many digits as they are worth.

use crate::stats::{EndsKind, Estimate};

/// `value` with `digits` significant digits, never in exponent form; zero is `0`.
pub fn number(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i64;
    let decimals = (digits as i64 - 1 - magnitude).clamp(0, 9) as usize;
    format!("{value:.decimals$}")
}

/// A ratio with two decimals, and more where they would hide on which side of 1 it lies.
pub fn ratio(value: f64) -> String {
    if value < 0.1 {
        return number(value, 2);
    }
    let decimals = (2..9)
        .find(|&decimals| value == 1.0 || format!("{value:.decimals$}") != format!("{:.decimals$}", 1.0));
    format!("{value:.*}", decimals.unwrap_or(9))
}

/// An integer in groups of three, as `200 000`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(NO_BREAK);
        }
        text.push(digit);
    }
    text
}

/// Keeps the groups of a number on one line.
const NO_BREAK: char = '\u{a0}';

/// An estimate with its ends: `2.31 [2.25, 2.40]` is an interval, ranges are called so.
pub fn estimate(estimate: &Estimate, text: impl Fn(f64) -> String) -> String {
    let (median, low, high) = (text(estimate.median), text(estimate.low), text(estimate.high));
    match (estimate.kind, estimate.runs) {
        (EndsKind::Interval, _) => format!("{median} [{low}, {high}]"),
        (EndsKind::Range, 1) => format!("{median} (one run)"),
        (EndsKind::Range, _) => format!("{median} (range {low}–{high})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_significant_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (0.00123456, "0.00123"),
            (0.5, "0.500"),
            (2.3456, "2.35"),
            (123.4, "123"),
            (98765.0, "98765"),
        ] {
            assert_eq!(number(value, 3), expected);
        }
    }

    #[test]
    fn a_ratio_shows_on_which_side_of_one_it_lies() {
        for (value, expected) in [
            (0.1834, "0.18"),
            (0.0123, "0.012"),
            (1.0, "1.00"),
            (0.9991, "0.999"),
            (1.004, "1.004"),
            (2.5, "2.50"),
        ] {
            assert_eq!(ratio(value), expected);
        }
    }

    #[test]
    fn counts_are_grouped_by_three() {
        for (value, expected) in [(0, "0"), (999, "999"), (1000, "1 000"), (10_000_000, "10 000 000")] {
            assert_eq!(count(value).replace(NO_BREAK, " "), expected);
        }
    }

    #[test]
    fn a_range_is_never_written_as_an_interval() {
        let text = |values: &[f64]| estimate(&Estimate::of(values).unwrap(), ratio);
        assert_eq!(text(&[1.0]), "1.00 (one run)");
        assert_eq!(text(&[1.5, 2.0, 3.0]), "2.00 (range 1.50–3.00)");
        assert_eq!(text(&[1.5, 2.0, 2.0, 2.0, 2.0, 3.0]), "2.00 [1.50, 3.00]");
    }
}
