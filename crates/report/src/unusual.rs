//! Runs that a reader should know of: the machine changed under them, or they lie far from the others of their cell.
//! They are flagged and kept.

use weir_results::{figure::Figure, number::number, sample::Sample, stats::Estimate};

use crate::grid::SampleGrid;

/// Share by which a clock may move before a run is flagged.
const CLOCK_SHIFT: f64 = 0.05;

/// Share of a run's wall time that a hypervisor may take before the run is flagged.
const STEAL: f64 = 0.01;

/// Modified z-score beyond which a value is an outlier (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993).
const OUTLIER: f64 = 3.5;

/// Fewest runs among which one can lie far from the others.
const RUNS_FOR_OUTLIERS: usize = 6;

/// Most runs that a remark names.
const NAMED: usize = 12;

/// The remarks on the sound runs of `grid`, each naming its runs.
pub(super) fn remarks(grid: &SampleGrid) -> Vec<String> {
    let mut remarks = surroundings(grid);
    remarks.extend(Figure::SHAPED.into_iter().filter_map(|figure| outliers(grid, figure)));
    remarks
}

fn surroundings(grid: &SampleGrid) -> Vec<String> {
    let clock = |sample: &Sample| sample.surroundings.clock_shift().is_some_and(|by| by.abs() >= CLOCK_SHIFT);
    let hot = |sample: &Sample| sample.surroundings.throttled.is_some_and(|times| times > 0);
    let stolen =
        |sample: &Sample| sample.steal_s > STEAL * sample.wall_s.unwrap_or(0.0) && sample.steal_s > 0.0;
    let total: f64 = grid.sound().map(|sample| sample.steal_s).sum();
    let flagged = |is: &dyn Fn(&Sample) -> bool, what: String| {
        let runs: Vec<_> = grid.sound().filter(|sample| is(sample)).map(|sample| sample.index).collect();
        (!runs.is_empty()).then(|| format!("{what} {}.", named(runs)))
    };
    let kinds = [
        flagged(&clock, format!("The clock moved by {} % or more during", CLOCK_SHIFT * 100.0)),
        flagged(&hot, "A core was slowed down for its heat during".to_owned()),
        flagged(
            &stolen,
            format!(
                "A hypervisor took {} s of CPU time from this machine during the runs, more than {} % of the time of",
                number(total, 3),
                STEAL * 100.0
            ),
        ),
    ];
    kinds.into_iter().flatten().collect()
}

fn outliers(grid: &SampleGrid, figure: Figure) -> Option<String> {
    let of_cell = |runs: &crate::grid::CellRuns| {
        let values: Vec<_> =
            runs.sound.iter().filter_map(|sample| Some((sample.index, figure.of(sample)?))).collect();
        outlying(&values)
    };
    let runs: Vec<_> = grid.cells().flat_map(of_cell).collect();
    (!runs.is_empty()).then(|| {
        format!(
            "Outliers in {}, flagged and kept (modified z-score above {OUTLIER}): {}.",
            figure.noun(),
            named(runs)
        )
    })
}

/// Which of `values` lie farther from their median than [`OUTLIER`]; none where half of them are equal.
fn outlying(values: &[(u64, f64)]) -> Vec<u64> {
    let median = |values: &[f64]| Estimate::of(values).map_or(0.0, |estimate| estimate.median);
    let numbers: Vec<_> = values.iter().map(|&(_, value)| value).collect();
    let middle = median(&numbers);
    let spread = median(&numbers.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>());
    let far = |value: f64| 0.6745 * (value - middle).abs() > OUTLIER * spread;
    let few = values.len() < RUNS_FOR_OUTLIERS || spread == 0.0;
    values.iter().filter(|(_, value)| !few && far(*value)).map(|&(index, _)| index).collect()
}

fn named(mut runs: Vec<u64>) -> String {
    runs.sort_unstable();
    let more = runs.len().saturating_sub(NAMED);
    let names: Vec<_> = runs.iter().take(NAMED).map(u64::to_string).collect();
    let noun = if runs.len() == 1 { "sample" } else { "samples" };
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{noun} {}{rest}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], expected: &[u64]) {
        let numbered: Vec<_> = values.iter().enumerate().map(|(i, &value)| (i as u64, value)).collect();
        assert_eq!(outlying(&numbered), expected, "{values:?}");
    }

    #[test]
    fn an_outlier_is_far_from_the_median_as_the_others_spread() {
        check(&[1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 5.0], &[6]);
        check(&[1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 1.3], &[]);
        check(&[-4.0, 1.1, 0.9, 1.05, 0.95, 1.02, 1.0], &[0]);
    }

    #[test]
    fn five_runs_or_equal_ones_have_no_outlier() {
        check(&[1.0, 1.1, 0.9, 1.05, 50.0], &[]);
        check(&[0.0, 0.0, 0.0, 0.0, 0.0, 3.0], &[]);
    }

    #[test]
    fn many_runs_are_counted_rather_than_named() {
        assert_eq!(named(vec![3]), "sample 3");
        assert_eq!(named(vec![9, 2]), "samples 2, 9");
        assert!(named((0..20).collect()).ends_with("11 and 8 more"));
    }
}
