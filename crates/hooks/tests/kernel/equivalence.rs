//! Every Aya filter decides as the reference does, packet by packet.

use weir_filters::{Binding, Filter, FilterName, Packet, Parameter, corpus};

use crate::{Test, load};

/// Packets for each filter: all swept ones, and as many random ones again and more.
const PACKETS: usize = 100_000;

pub(crate) const TESTS: &[Test] = &[
    ("simple_decides_as_the_reference", || check(FilterName::Simple)),
    ("reject_decides_as_the_reference", || check(FilterName::Reject)),
    ("valid_command_decides_as_the_reference", || check(FilterName::ValidCommand)),
    ("robust_valid_command_decides_as_the_reference", || check(FilterName::RobustValidCommand)),
    ("print_decides_as_the_reference", || check(FilterName::Print)),
    ("count_decides_as_the_reference", || check(FilterName::Count)),
    ("parameterized_by_map_decides_as_the_reference", || check_parameterized(Binding::Map)),
    ("parameterized_by_constant_decides_as_the_reference", || check_parameterized(Binding::Constant)),
    ("verdict_counts_add_up_to_the_packets_decided", verdict_counts_add_up),
];

fn check_parameterized(binding: Binding) {
    for parameter in [Parameter::Accept, Parameter::Drop] {
        check(Filter { name: FilterName::Parameterized, parameter, binding });
    }
}

fn check(filter: impl Into<Filter>) {
    let filter = filter.into();
    let kernel = load(filter);
    let swept = corpus::swept().count();
    assert!(swept < PACKETS, "the {swept} swept packets leave no room for random ones");
    for packet in corpus::packets(0x5eed).take(PACKETS) {
        let expected = filter.decide(Packet::from_udp(&packet));
        let decided = kernel.decide(&packet).unwrap_or_else(|error| panic!("{error} on {packet:02x?}"));
        assert_eq!(decided, expected, "{filter:?} on {packet:02x?}");
    }
}

fn verdict_counts_add_up() {
    for name in
        [FilterName::Reject, FilterName::ValidCommand, FilterName::RobustValidCommand, FilterName::Print]
    {
        let kernel = load(name);
        let filter = Filter::from(name);
        let mut accepted = 0;
        for packet in corpus::packets(3).take(1000) {
            kernel.decide(&packet).expect("a test run");
            accepted += u64::from(filter.decide(Packet::from_udp(&packet)) == weir_filters::Verdict::Accept);
        }
        let counts = kernel.verdicts().expect("the map is read").expect("this filter counts");
        assert_eq!((counts.accepted, counts.dropped), (accepted, 1000 - accepted), "{name}");
    }
    let counts = load(FilterName::Simple).verdicts().expect("no map to read");
    assert_eq!(counts, None, "the accept-all filter is empty");
}
