//! Every kernel filter decides as the reference does, packet by packet.

use weir_filters::{Binding, Filter, FilterName, Packet, Parameter, Toolkit, corpus};

use weir_testing::scaled;

use crate::{Test, each, load};

/// Packets for each filter: all swept ones, and as many random ones again and more.
const PACKETS: usize = 100_000;

pub(crate) const TESTS: &[Test] = &[
    each("filters_decide_as_the_reference", |toolkit| {
        for name in without_memory() {
            check(name, toolkit);
        }
    }),
    each("parameterized_by_map_decides_as_the_reference", |toolkit| {
        check_parameterized(Binding::Map, toolkit)
    }),
    each("parameterized_by_constant_decides_as_the_reference", |toolkit| {
        check_parameterized(Binding::Constant, toolkit)
    }),
    each("verdict_counts_add_up_to_the_packets_decided", verdict_counts_add_up),
];

fn without_memory() -> impl Iterator<Item = FilterName> {
    FilterName::ALL.into_iter().filter(|name| !name.is_dynamic())
}

fn check_parameterized(binding: Binding, toolkit: Toolkit) {
    for parameter in [Parameter::Accept, Parameter::Drop] {
        check(Filter { parameter, binding, ..Filter::from(FilterName::Parameterized) }, toolkit);
    }
}

fn check(filter: impl Into<Filter>, toolkit: Toolkit) {
    let filter = filter.into();
    let kernel = load(filter, toolkit);
    let swept = corpus::swept().count();
    assert!(swept < PACKETS, "the {swept} swept packets leave no room for random ones");
    for packet in corpus::packets(0x5eed).take(PACKETS).step_by(PACKETS / scaled(PACKETS)) {
        let expected = filter.decide(Packet::from_udp(&packet));
        let decided = kernel.decide(&packet, 1).unwrap_or_else(|error| panic!("{error} on {packet:02x?}"));
        assert_eq!(decided, expected, "{filter:?} with {toolkit} on {packet:02x?}");
    }
}

fn verdict_counts_add_up(toolkit: Toolkit) {
    for name in without_memory().filter(|name| *name != FilterName::Simple) {
        let kernel = load(name, toolkit);
        let filter = Filter::from(name);
        let mut accepted = 0;
        for packet in corpus::packets(3).take(1000) {
            kernel.decide(&packet, 1).expect("a test run");
            accepted += u64::from(filter.decide(Packet::from_udp(&packet)) == weir_filters::Verdict::Accept);
        }
        let counts = kernel.verdicts().expect("the map is read").expect("this filter counts");
        assert_eq!((counts.accepted, counts.dropped), (accepted, 1000 - accepted), "{name}");
    }
    let counts = load(FilterName::Simple, toolkit).verdicts().expect("no map to read");
    assert_eq!(counts, None, "the accept-all filter is empty");
}
