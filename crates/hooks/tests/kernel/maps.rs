//! What maps, constants and statistics tell user space.

use std::time::Duration;

use weir_filters::{Binding, Filter, FilterName, Parameter, Toolkit, Verdict, corpus};
use weir_hooks::Statistics;

use crate::{Test, each, load, translated};

pub(crate) const TESTS: &[Test] = &[
    each("the_parameter_changes_while_the_program_runs", the_parameter_changes_while_the_program_runs),
    each("a_constant_parameter_leaves_no_branch", a_constant_parameter_leaves_no_branch),
    each("the_capture_is_the_packet_cut_at_500_bytes", the_capture_is_the_packet_cut_at_500_bytes),
    each("the_counter_counts_per_cpu", the_counter_counts_per_cpu),
    each("statistics_count_runs_while_they_are_on", statistics_count_runs_while_they_are_on),
];

fn parameterized(parameter: Parameter, binding: Binding) -> Filter {
    Filter { parameter, binding, ..Filter::from(FilterName::Parameterized) }
}

fn the_parameter_changes_while_the_program_runs(toolkit: Toolkit) {
    let filter = load(parameterized(Parameter::Drop, Binding::Map), toolkit);
    let mut map = filter.parameter_map().expect("the map is there");
    let packet = corpus::packet(8, b"");
    for parameter in [Parameter::Drop, Parameter::Accept, Parameter::Drop] {
        map.set(parameter).expect("set");
        assert_eq!(map.get().expect("get"), parameter);
        let expected = if parameter == Parameter::Accept { Verdict::Accept } else { Verdict::Drop };
        assert_eq!(filter.decide(&packet, 1).expect("a test run"), expected);
    }
}

/// `reject-filter` counts a verdict that it knows; with a constant parameter the other program is left with as many
/// conditional jumps, by map it has more.
fn a_constant_parameter_leaves_no_branch(toolkit: Toolkit) {
    let jumps = |filter: Filter| {
        let loaded = load(filter, toolkit);
        translated::conditional_jumps(loaded.facts().expect("facts").id)
    };
    let known = jumps(FilterName::Reject.into());
    for parameter in [Parameter::Accept, Parameter::Drop] {
        assert_eq!(jumps(parameterized(parameter, Binding::Constant)), known, "{parameter:?}");
        assert!(jumps(parameterized(parameter, Binding::Map)) > known, "{parameter:?}");
    }
}

fn the_capture_is_the_packet_cut_at_500_bytes(toolkit: Toolkit) {
    for len in [1, 8, 499, 500, 501, 1400] {
        let filter = load(FilterName::Print, toolkit);
        assert!(filter.captured().expect("read").is_empty(), "nothing was seen yet");
        let packet: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        filter.decide(&packet, 1).expect("a test run");
        let captured = filter.captured().expect("read");
        let [only] = &captured[..] else { panic!("one CPU saw it: {captured:?}") };
        assert_eq!((only.seen, only.len), (1, len));
        assert_eq!(only.bytes, packet[..len.min(500)]);
    }
}

fn the_counter_counts_per_cpu(toolkit: Toolkit) {
    let filter = load(FilterName::Count, toolkit);
    for packet in corpus::packets(9).take(500) {
        filter.decide(&packet, 1).expect("a test run");
    }
    let counts = filter.counter().expect("read");
    assert_eq!(counts.iter().sum::<u64>(), 500);
    assert_eq!(counts.len(), possible_cpus());
}

pub(crate) fn possible_cpus() -> usize {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible").expect("Linux has it");
    let last = list.trim().rsplit(['-', ',']).next().expect("a list has a last entry");
    last.parse::<usize>().expect("a number") + 1
}

fn statistics_count_runs_while_they_are_on(toolkit: Toolkit) {
    let filter = load(FilterName::Simple, toolkit);
    let packet = corpus::packet(8, b"");
    let on = Statistics::enable().expect("statistics");
    filter.time(&packet, 1, 1000).expect("a test run");
    let runs = filter.runs().expect("info");
    assert_eq!(runs.count, 1000);
    assert!(runs.time_ns > 0);
    assert_eq!(runs.mean(), Some(Duration::from_nanos(runs.time_ns / 1000)));
    drop(on);
}
