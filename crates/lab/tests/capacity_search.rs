//! The capacity search on simulated systems whose capacity is known, and on answers that make no sense.

use std::time::Duration;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use weir_lab::capacity::search::{Config, Next, Search, TrialResult, WantedTrial};
use weir_results::capacity::{Goal, GoalResult, SearchEnd};

const LOWEST: u64 = 1_000;
const WIDTH: f64 = 0.05;
const PDR: f64 = 0.005;

fn goal(loss_ratio: f64) -> Goal {
    Goal {
        loss_ratio,
        exceed_ratio: 0.5,
        initial_trial: Duration::from_millis(200),
        final_trial: Duration::from_millis(500),
        duration_sum: Duration::from_millis(1500),
        width: WIDTH,
    }
}

fn config(highest: u64) -> Config {
    Config { goals: vec![goal(0.0), goal(PDR)], lowest: LOWEST, highest, most_trials: 300 }
}

struct Searched {
    ndr: GoalResult,
    pdr: GoalResult,
    trials: Vec<WantedTrial>,
}

fn search(config: Config, mut system: impl FnMut(&WantedTrial) -> TrialResult) -> Searched {
    let mut search = Search::new(config);
    let mut trials = Vec::new();
    loop {
        match search.next() {
            Next::Trial(trial) => {
                search.record(trial, system(&trial));
                trials.push(trial);
            }
            Next::Done(results) => {
                let [ndr, pdr] = results.try_into().expect("as many results as goals");
                return Searched { ndr, pdr, trials };
            }
        }
    }
}

/// Carries `capacity` and drops the rest.
fn saturating(capacity: u64) -> impl Fn(&WantedTrial) -> TrialResult {
    move |trial| {
        let packets = |rate: u64| (rate as f64 * trial.duration.as_secs_f64()) as u64;
        TrialResult {
            sent: packets(trial.rate),
            lost: packets(trial.rate.saturating_sub(capacity)),
            limited: false,
        }
    }
}

/// Loses nothing up to `knee`, and above it a share that grows by 1 % for each 10 % more.
fn smooth(knee: u64) -> impl Fn(&WantedTrial) -> TrialResult {
    move |trial| {
        let sent = (trial.rate as f64 * trial.duration.as_secs_f64()) as u64;
        let above = (trial.rate as f64 / knee as f64 - 1.0).max(0.0);
        TrialResult { sent, lost: (sent as f64 * (above / 10.0).min(1.0)) as u64, limited: false }
    }
}

/// Like `system`, but one trial of ten loses a tenth at any rate: somebody else had the core.
fn disturbed(
    system: impl Fn(&WantedTrial) -> TrialResult,
    seed: u64,
) -> impl FnMut(&WantedTrial) -> TrialResult {
    let mut random = StdRng::seed_from_u64(seed);
    move |trial| {
        let quiet = system(trial);
        let lost = if random.random_bool(0.1) { quiet.lost.max(quiet.sent / 10) } else { quiet.lost };
        TrialResult { lost, ..quiet }
    }
}

/// The bounds lie within the width, and the system by itself carries the lower and not the upper one.
fn assert_found(result: &GoalResult, system: impl Fn(&WantedTrial) -> TrialResult, trials: &[WantedTrial]) {
    assert_eq!((result.end, result.limited), (SearchEnd::Found, false), "{result:?}");
    let (lower, upper) = (result.lower.unwrap(), result.upper.unwrap());
    assert_eq!(result.upper_by_loss, Some(upper), "only loss speaks against it");
    assert!((upper - lower) as f64 <= upper as f64 * WIDTH + 1.0, "{lower} to {upper}");
    let finals = trials.iter().filter(|trial| trial.duration == result.goal.final_trial);
    for trial in finals {
        let loss = system(trial).loss_ratio();
        assert!(trial.rate != lower || loss <= result.goal.loss_ratio, "{loss} lost at {lower}");
        assert!(trial.rate != upper || loss > result.goal.loss_ratio, "{loss} lost at {upper}");
    }
    let through = result.conditional_throughput.unwrap();
    let lower = lower as f64;
    assert!(lower * (1.0 - result.goal.loss_ratio) <= through && through <= lower, "{through} at {lower}");
}

proptest! {
    #[test]
    fn the_bounds_enclose_a_sharp_capacity(capacity in LOWEST..900_000) {
        let Searched { ndr, pdr, trials } = search(config(1_000_000), saturating(capacity));
        for result in [ndr, pdr] {
            assert_found(&result, saturating(capacity), &trials);
        }
        // Less than two packets of a trial are lost unseen.
        prop_assert!(ndr.lower.unwrap() < capacity + 10 && capacity < ndr.upper.unwrap());
        prop_assert!(trials.len() <= 40, "{} trials", trials.len());
    }

    #[test]
    fn a_smooth_curve_has_one_rate_without_loss_and_a_higher_one_within_the_ratio(knee in LOWEST..500_000) {
        let Searched { ndr, pdr, trials } = search(config(1_000_000), smooth(knee));
        for result in [ndr, pdr] {
            assert_found(&result, smooth(knee), &trials);
        }
        prop_assert!(knee < ndr.upper.unwrap() && knee < pdr.upper.unwrap());
        prop_assert!(ndr.lower <= pdr.lower, "{:?} and {:?}", ndr.lower, pdr.lower);
    }

    #[test]
    fn a_search_ends_whatever_the_answers(
        answers in prop::collection::vec((0..3_u64, any::<bool>()), 1..400),
        highest in LOWEST..10_000_000,
        final_ms in 1..2_000_u64,
        sum_ms in 1..5_000_u64,
        exceed_ratio in 0.0..0.95_f64,
    ) {
        let goals = [0.0, PDR].map(|loss_ratio| Goal {
            exceed_ratio,
            initial_trial: Duration::from_millis(final_ms.min(sum_ms).min(200)),
            final_trial: Duration::from_millis(final_ms),
            duration_sum: Duration::from_millis(sum_ms),
            ..goal(loss_ratio)
        });
        let config = Config { goals: goals.to_vec(), most_trials: u32::MAX, ..config(highest) };
        let mut answers = answers.into_iter().cycle();
        let Searched { ndr, pdr, trials } = search(config, |_| {
            let (lost, limited) = answers.next().expect("a cycle has no end");
            TrialResult { sent: 300, lost, limited }
        });
        prop_assert!(ndr.end != SearchEnd::OutOfTrials && pdr.end != SearchEnd::OutOfTrials);
        // No load is measured for longer than every target's duration sum, and one trial more.
        let loads = (highest as f64 / LOWEST as f64).ln() / -(-WIDTH).ln_1p() + 2.0;
        let of_a_load = 6.0 * (sum_ms as f64 / final_ms.min(sum_ms).min(200) as f64 + 1.0);
        prop_assert!((trials.len() as f64) < loads * of_a_load, "{} trials", trials.len());
        prop_assert!(trials.iter().all(|trial| (LOWEST..=highest).contains(&trial.rate)));
        for result in [ndr, pdr] {
            prop_assert!(result.lower.is_none_or(|lower| result.upper.is_none_or(|upper| lower < upper)));
        }
    }

    #[test]
    fn the_same_answers_lead_to_the_same_trials(capacity in LOWEST..900_000, seed: u64) {
        let run = || search(config(1_000_000), disturbed(saturating(capacity), seed)).trials;
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_generator_that_falls_short_leaves_a_lower_bound(reach in 10_000..800_000_u64) {
        let quiet = saturating(u64::MAX);
        let Searched { ndr, pdr, .. } = search(config(1_000_000), |trial| {
            TrialResult { limited: trial.rate > reach, ..quiet(trial) }
        });
        for result in [ndr, pdr] {
            prop_assert!(result.limited && result.end == SearchEnd::Found);
            prop_assert_eq!(result.upper_by_loss, None);
            prop_assert!(result.lower.unwrap() <= reach && reach < result.upper.unwrap());
        }
    }
}

/// Of this many searches on the same disturbed system the most may be as far off as said.
const SEARCHES: u64 = 200;

#[test]
fn searches_on_a_disturbed_system_agree_mostly_and_are_right_mostly() {
    let capacity = 200_000;
    let lowers: Vec<_> = (0..SEARCHES)
        .map(|seed| {
            search(config(1_000_000), disturbed(saturating(capacity), seed)).ndr.lower.unwrap_or(0) as f64
        })
        .collect();
    let right =
        lowers.iter().filter(|&&lower| lower <= capacity as f64 && lower >= capacity as f64 * 0.9).count();
    assert!(right as u64 * 10 >= SEARCHES * 9, "{right} of {SEARCHES} are right");
    let agree =
        lowers.windows(2).filter(|pair| (pair[0] - pair[1]).abs() <= pair[0].max(pair[1]) * 0.1).count();
    assert!(agree as u64 * 10 >= (SEARCHES - 1) * 8, "{agree} neighbours of {SEARCHES} agree within 10 %");
}

#[test]
fn what_loses_nothing_up_to_the_highest_load_has_a_lower_bound_only() {
    let Searched { ndr, pdr, trials } = search(config(500_000), saturating(u64::MAX));
    for result in [ndr, pdr] {
        assert_eq!((result.lower, result.upper, result.end), (Some(500_000), None, SearchEnd::Highest));
        assert!(result.limited);
        assert_eq!(result.conditional_throughput, Some(500_000.0));
    }
    assert!(trials.len() <= 6, "{} trials", trials.len());
}

#[test]
fn what_always_loses_has_no_rate_without_loss() {
    let Searched { ndr, pdr, .. } =
        search(config(500_000), |_| TrialResult { sent: 1_000, lost: 100, limited: false });
    for result in [ndr, pdr] {
        assert_eq!((result.lower, result.upper, result.end), (None, Some(LOWEST), SearchEnd::Lowest));
        assert_eq!((result.conditional_throughput, result.limited), (None, false));
    }
}

#[test]
fn a_search_that_may_make_no_more_trials_says_so_and_keeps_its_bounds() {
    let few = Config { most_trials: 5, ..config(1_000_000) };
    let Searched { ndr, trials, .. } = search(few, saturating(100_000));
    assert_eq!((ndr.end, trials.len()), (SearchEnd::OutOfTrials, 5));
}

#[test]
fn trials_grow_from_the_initial_to_the_final_duration() {
    let trials = search(config(1_000_000), saturating(100_000)).trials;
    assert_eq!(trials[0].duration, Duration::from_millis(200));
    assert_eq!(trials.iter().map(|trial| trial.duration).max(), Some(Duration::from_millis(500)));
}
