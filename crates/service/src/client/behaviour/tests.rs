//! The table's rows, and that their numbers are exact.

use proptest::prelude::*;

use super::*;
use crate::client::{InvalidSize, Percent};

fn workload(packets: u64, percent: u8) -> Workload {
    Workload { packets, invalid_share: Percent::new(percent).unwrap(), ..Workload::default() }
}

fn steps(name: &str, workload: &Workload) -> Vec<Step> {
    name.parse::<&Behaviour>().unwrap().steps(workload)
}

fn put(key: u32, value: i64, count: u64) -> Step {
    Step::Burst { payload: Payload::Put { key, value }, count }
}

fn bad(n: usize, count: u64) -> Step {
    Step::Burst { payload: Payload::bad(n), count }
}

fn delete_10(count: u64) -> Step {
    Step::Burst { payload: Payload::Delete { key: 10 }, count }
}

fn get(key: u32, reply_expected: bool) -> Step {
    Step::Get { key, awaited: if reply_expected { Awaited::Reply } else { Awaited::Silence } }
}

fn put4() -> Vec<Step> {
    [2, 4, 6, -5].map(|value| put(10, value, 1)).to_vec()
}

/// Compares the steps of a behaviour that takes no numbers.
fn check(name: &str, expected: &[&[Step]]) {
    assert_eq!(steps(name, &workload(100_000, 50)), expected.concat(), "{name}");
}

#[test]
fn behaviours_without_numbers_send_what_the_table_of_the_report_says() {
    let get_10 = &[get(10, true)][..];
    let stop = &[Step::Stop][..];
    let put4 = &put4()[..];
    let lulu = Step::Burst { payload: Payload::Delelulu { key: 10 }, count: 1 };
    check("thor", &[put4, put4, stop]);
    check("odin", &[put4, get_10, put4, get_10, stop]);
    check("loki", &[put4, get_10, &[bad(1024, 1_000_000)], put4, get_10, stop]);
    check("njord", &[put4, get_10, &[delete_10(5)], put4, get_10, &[delete_10(1), lulu], stop]);
    check("sylvie", &[&[put(10, 1, 10_000_000)], stop]);
    check("stop", &[stop]);
    check("getstop", &[&[Step::Get { key: 10, awaited: Awaited::Either }], stop]);
    let keys = [4660, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map(|key| put(key, 10, 1));
    let present = [get(10, true), get(18, true), get(20, true)];
    check("sif", &[&[get(10, false)], &keys, &present, &[delete_10(1), get(10, false)], stop]);
}

fn mixed(mix: &str, valid: u64, invalid: u64) -> Step {
    Step::Mixed(Mixed { mix: mix.parse().unwrap(), valid, invalid, bad: Payload::bad(256) })
}

#[test]
fn frey_sends_the_valid_packets_first() {
    let expected = [mixed("blocks", 70, 30), get(10, true), Step::Stop];
    assert_eq!(steps("frey", &workload(100, 30)), expected);
    assert_eq!(steps("frey2", &workload(100, 30)), expected);
}

#[test]
fn frigg_alternates_every_hundred_packets_and_does_not_stop() {
    assert_eq!(steps("frigg", &workload(1000, 20)), [mixed("rounds:100", 800, 200), get(10, true)]);
    assert_eq!(steps("frigg", &workload(0, 20)), [get(10, false)]);
}

#[test]
fn a_workload_can_have_another_order() {
    let random = Workload { mix: Some(Mix::Random), ..workload(100, 30) };
    assert_eq!(steps("frigg", &random), [mixed("random", 70, 30), get(10, true)]);
    assert_eq!(steps("frey", &random)[0], mixed("random", 70, 30));
    assert_eq!(steps("njord", &random), steps("njord", &workload(0, 0)));
}

#[test]
fn load_interleaves_and_asks_at_the_end() {
    let load = Load {
        packets: 100,
        duration: None,
        invalid_share: Percent::new(30).unwrap(),
        invalid: Payload::bad(256),
        get_share: Percent::default(),
    };
    assert_eq!(steps("load", &workload(100, 30)), [Step::Load(load), get(10, true)]);
    let only_gets = Workload { get_share: Percent::new(100).unwrap(), ..workload(100, 30) };
    assert_eq!(steps("load", &only_gets)[1], get(10, false));
    assert_eq!(steps("load", &workload(0, 0)), [get(10, false)]);
}

#[test]
fn an_invalid_size_changes_bad_packets_and_no_others() {
    let sized = Workload { invalid_size: InvalidSize::new(15), ..workload(10, 50) };
    let bad = Payload::Bad { len: 15 };
    let of_15 = Step::Mixed(Mixed { mix: Mix::Blocks, valid: 5, invalid: 5, bad });
    assert_eq!(steps("frey", &sized), [of_15, get(10, true), Step::Stop]);
    assert_eq!(steps("njord", &sized), steps("njord", &workload(0, 0)));
}

#[test]
fn names_and_aliases_find_their_row_and_are_unique() {
    let names: Vec<_> =
        Behaviour::all().iter().flat_map(|row| row.aliases.iter().copied().chain([row.name])).collect();
    for (i, name) in names.iter().enumerate() {
        assert!(!names[..i].contains(name), "{name}");
        let row: &Behaviour = name.parse().unwrap();
        assert!(row.name == *name || row.aliases.contains(name));
    }
}

#[test]
fn an_unknown_behaviour_lists_those_there_are() {
    let error = "freya".parse::<&'static Behaviour>().unwrap_err();
    assert_eq!(
        error,
        "unknown behaviour 'freya'; there are: thor, odin, loki, njord, sylvie, sif, frey, frigg, load, stop, getstop"
    );
}

/// Small numbers, where rounds are uneven, and the largest there are.
fn packets() -> impl Strategy<Value = u64> {
    prop_oneof![0..1000_u64, any::<u64>(), u64::MAX - 1000..=u64::MAX]
}

proptest! {
    #[test]
    fn frey_and_frigg_send_exactly_what_is_asked_for(n in packets(), p in 0..=100_u8) {
        let expected = u128::from(n) * u128::from(p) / 100;
        for name in ["frey", "frigg"] {
            let steps = steps(name, &workload(n, p));
            let (valid, invalid) = match steps[0] {
                Step::Mixed(Mixed { valid, invalid, .. }) => (valid, invalid),
                _ => (0, 0),
            };
            prop_assert_eq!(u128::from(invalid), expected, "{}", name);
            prop_assert_eq!(u128::from(valid), u128::from(n) - expected, "{}", name);
            prop_assert!(steps.contains(&get(10, valid > 0)));
        }
    }
}
