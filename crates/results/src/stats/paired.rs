//! Ratios and differences of runs that were made side by side.

use std::collections::BTreeMap;

/// Names a run among those of its cell: runs of two cells with the same one are a pair.
pub type Repetition = u32;

/// Ratios `numerator` / `denominator` of the repetitions that both have, in their order. A pair whose denominator is
/// not above zero has no ratio and is left out.
pub fn paired_ratios(
    numerator: &BTreeMap<Repetition, f64>,
    denominator: &BTreeMap<Repetition, f64>,
) -> Vec<f64> {
    let pairs =
        numerator.iter().filter_map(|(repetition, &above)| Some((above, *denominator.get(repetition)?)));
    pairs.filter(|&(_, below)| below > 0.0).map(|(above, below)| above / below).collect()
}

/// Differences `minuend` − `subtrahend` of the repetitions that both have, in their order.
pub fn paired_differences(
    minuend: &BTreeMap<Repetition, f64>,
    subtrahend: &BTreeMap<Repetition, f64>,
) -> Vec<f64> {
    minuend.iter().filter_map(|(repetition, &from)| Some(from - subtrahend.get(repetition)?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(numerator: &[(u32, f64)], denominator: &[(u32, f64)], expected: &[f64]) {
        let map = |runs: &[(u32, f64)]| runs.iter().copied().collect();
        assert_eq!(paired_ratios(&map(numerator), &map(denominator)), expected);
    }

    #[test]
    fn runs_pair_by_repetition() {
        check(&[(0, 1.0), (1, 6.0)], &[(1, 3.0), (0, 4.0)], &[0.25, 2.0]);
    }

    #[test]
    fn a_run_without_a_partner_is_left_out() {
        check(&[(0, 1.0), (2, 6.0)], &[(1, 3.0), (2, 4.0), (3, 1.0)], &[1.5]);
        check(&[(0, 1.0)], &[(1, 1.0)], &[]);
    }

    #[test]
    fn differences_pair_as_ratios_do() {
        let map = |runs: &[(u32, f64)]| runs.iter().copied().collect::<BTreeMap<_, _>>();
        assert_eq!(paired_differences(&map(&[(0, 1.0), (2, 6.0)]), &map(&[(2, 8.0), (3, 1.0)])), [-2.0]);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        check(&[(0, 1.0), (1, 1.0)], &[(0, 0.0), (1, 2.0)], &[0.5]);
    }

    proptest! {
        #[test]
        fn a_common_factor_of_a_pair_cancels(runs in prop::collection::vec((1e-3..1e3_f64, 1e-3..1e3_f64), 1..30)) {
            let side = |ratio: f64| {
                runs.iter().enumerate().map(|(i, (load, _))| (i as u32, ratio * load)).collect::<BTreeMap<_, _>>()
            };
            for ratio in paired_ratios(&side(0.5), &side(1.0)) {
                prop_assert!((ratio - 0.5).abs() < 1e-12);
            }
        }
    }
}
