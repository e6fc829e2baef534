//! The report's aggregate difference between two placements.

/// Mean over pairs `(u, k)` of |u - k| / ((u + k) / 2), in percent; nothing where there is no pair. A pair of two
/// zeros differs by nothing.
pub fn aggregate_difference_percent(pairs: &[(f64, f64)]) -> Option<f64> {
    let difference = |&(u, k): &(f64, f64)| if u == k { 0.0 } else { (u - k).abs() / f64::midpoint(u, k) };
    (!pairs.is_empty()).then(|| pairs.iter().map(difference).sum::<f64>() / pairs.len() as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(f64, f64)], expected: Option<f64>) {
        let rounded = aggregate_difference_percent(pairs).map(|percent| (percent * 1e4).round() / 1e4);
        assert_eq!(rounded, expected, "{pairs:?}");
    }

    #[test]
    fn it_is_the_mean_of_relative_differences() {
        check(&[(1.0, 3.0)], Some(100.0));
        check(&[(1.0, 3.0), (2.0, 2.0)], Some(50.0));
        check(&[(0.0, 0.0)], Some(0.0));
        check(&[], None);
    }
}
