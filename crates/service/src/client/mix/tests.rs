//! Orders, packet by packet, and that their numbers are exact.

use proptest::prelude::*;

use super::*;

fn mixed(mix: Mix, valid: u64, invalid: u64) -> Mixed {
    Mixed { mix, valid, invalid, bad: Payload::bad(256) }
}

/// `P` for a valid packet, `x` for an invalid one.
fn letters(mixed: Mixed, seed: u64) -> String {
    let letter = |payload| if payload == Payload::VALID { "P" } else { "x" };
    mixed.bursts(seed).map(|(payload, count)| letter(payload).repeat(count as usize)).collect()
}

fn check(mix: &str, valid: u64, invalid: u64, expected: &str) {
    assert_eq!(letters(mixed(mix.parse().unwrap(), valid, invalid), 0), expected, "{mix}");
}

#[test]
fn orders_are_what_their_names_say() {
    check("blocks", 3, 3, "PPPxxx");
    check("rounds:2", 3, 3, "PxPxPx");
    check("rounds:4", 4, 4, "PPxxPPxx");
    check("rounds:1", 2, 2, "PxPx");
    check("even", 4, 2, "PPxPPx");
    check("even", 1, 3, "Pxxx");
    check("blocks", 0, 2, "xx");
    check("random", 2, 0, "PP");
}

#[test]
fn a_remainder_is_spread_over_the_rounds() {
    check("rounds:4", 5, 5, "PPPxxPPxxx");
    check("rounds:100", 2, 3, "PPxxx");
    check("rounds:4", 1, 10, "Pxxxxxxxxxx");
}

#[test]
fn a_random_order_is_the_seeds_and_stays() {
    let order = |seed| letters(mixed(Mix::Random, 8, 8), seed);
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

/// Each of the six orders of two and two comes about as often as the others.
#[test]
fn every_random_order_is_as_likely_as_every_other() {
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..6000 {
        *seen.entry(letters(mixed(Mix::Random, 2, 2), seed)).or_default() += 1;
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.values().all(|times| (850..1150).contains(times)), "{seen:?}");
}

#[test]
fn names_are_read_as_they_are_written_and_others_refused() {
    for name in ["blocks", "rounds:1", "rounds:100", "even", "random"] {
        assert_eq!(name.parse::<Mix>().unwrap().to_string(), name);
    }
    for name in ["", "rounds", "rounds:", "rounds:0", "rounds:-1", "Random", "round:100"] {
        assert!(name.parse::<Mix>().unwrap_err().contains("there are: blocks, rounds:N"), "{name}");
    }
}

#[test]
fn orders_are_sorted_by_how_much_they_alternate() {
    let mut mixes =
        ["even", "random", "rounds:10", "blocks", "rounds:1000"].map(|name| name.parse().unwrap());
    mixes.sort();
    assert_eq!(
        mixes.map(|mix: Mix| mix.to_string()),
        ["blocks", "rounds:1000", "rounds:10", "random", "even"]
    );
}

fn any_mix() -> impl Strategy<Value = Mix> {
    prop_oneof![Just(Mix::Blocks), Just(Mix::Even), Just(Mix::Random), (1..2000_u64).prop_map(Mix::rounds)]
}

proptest! {
    #[test]
    fn every_order_has_the_exact_numbers(mix in any_mix(), valid in 0..3000_u64, invalid in 0..3000_u64, seed: u64) {
        let mut sent = [0, 0];
        let mut last = None;
        for (payload, count) in mixed(mix, valid, invalid).bursts(seed) {
            prop_assert!(count > 0 && last != Some(payload), "bursts are whole");
            sent[usize::from(payload != Payload::VALID)] += count;
            last = Some(payload);
        }
        prop_assert_eq!(sent, [valid, invalid]);
    }

    #[test]
    fn rounds_are_equally_long_wherever_they_can_be(of in 1..200_u64, rounds in 1..50_u64, percent in 0..=100_u64) {
        let packets = of * rounds;
        let invalid = packets * percent / 100;
        let text = letters(mixed(Mix::rounds(of), packets - invalid, invalid), 0);
        for round in text.as_bytes().chunks(of as usize) {
            let valid = round.iter().take_while(|&&letter| letter == b'P').count();
            prop_assert!(round[valid..].iter().all(|&letter| letter == b'x'), "{}", text);
            let of_all = (packets - invalid) / rounds;
            prop_assert!((of_all..=of_all + 1).contains(&(valid as u64)), "{}", text);
        }
    }

    #[test]
    fn the_largest_numbers_there_are_overflow_nothing(mix in any_mix(), packets in u64::MAX - 9..=u64::MAX) {
        let half = mixed(mix, packets / 2, packets - packets / 2);
        prop_assert_eq!(half.packets(), packets);
        prop_assert!(half.bursts(0).take(3).all(|(_, count)| count > 0));
        prop_assert_eq!(mixed(mix, packets, 0).bursts(0).collect::<Vec<_>>(), [(Payload::VALID, packets)]);
        prop_assert_eq!(mixed(mix, 0, packets).bursts(0).collect::<Vec<_>>(), [(Payload::bad(256), packets)]);
    }
}
