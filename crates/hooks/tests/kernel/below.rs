//! Below the socket every program decides as the reference does, frame by frame, at every site.

use weir_filters::{
    Binding, Combination, Filter, FilterName, Found, Hook, Parameter, Site, SuperPackets, Toolkit, Verdict,
};
use weir_hooks::KernelFilter;
use weir_wire::headers::ethernet;

use crate::{Test, each, frames::frames};

/// Frames for each filter at each site.
const FRAMES: usize = 3000;

pub(crate) const TESTS: &[Test] = &[
    each("cgroup_decides_as_the_reference", |toolkit| check(Hook::Cgroup, toolkit)),
    each("tc_decides_as_the_reference", |toolkit| check(Hook::Tc, toolkit)),
    each("xdp_decides_as_the_reference", |toolkit| check(Hook::Xdp, toolkit)),
    each("reuseport_programs_load", reuseport_programs_load),
];

fn check(hook: Hook, toolkit: Toolkit) {
    for filter in filters(toolkit, hook) {
        for (number, server) in ["10.0.0.1:7", "0.0.0.0:7", "[fd00::1]:7", "[::]:7"].into_iter().enumerate() {
            for super_packets in [SuperPackets::Drop, SuperPackets::Pass] {
                let server = server.parse().expect("an address");
                let site = Site { super_packets, ..Site::new(hook, server) };
                check_at(filter, toolkit, &site, 0x5eed + number as u64, server);
            }
        }
    }
}

fn check_at(filter: Filter, toolkit: Toolkit, site: &Site, seed: u64, server: std::net::SocketAddr) {
    let kernel = KernelFilter::load(filter, toolkit, site)
        .unwrap_or_else(|error| panic!("{filter:?} with {toolkit} at {site:?}: {error}"));
    let [mut accepted, mut dropped] = [0, 0];
    let frames = frames(seed, site.hook.layer(), server).filter(|frame| runs(site.hook, frame));
    for (number, seen) in frames.take(FRAMES).enumerate() {
        let segments = if site.hook == Hook::Tc { [0, 1, 1, 2][number % 4] } else { 1 };
        let expected = filter.decide_at(site, &seen, segments);
        let decided = kernel.decide(&seen, segments).unwrap_or_else(|error| panic!("{error} on {seen:02x?}"));
        assert_eq!(
            decided, expected,
            "{filter:?} with {toolkit} at {site:?} on {segments} segments of {seen:02x?}"
        );
        match (site.find(&seen, segments), expected) {
            (Found::Packet(_), Verdict::Accept) => accepted += 1,
            (_, Verdict::Drop) => dropped += 1,
            _ => {}
        }
    }
    if let Some(counts) = kernel.verdicts().expect("the map is read") {
        assert_eq!(
            (counts.accepted, counts.dropped),
            (accepted, dropped),
            "{filter:?} with {toolkit} at {site:?}"
        );
        assert!(accepted + dropped > FRAMES as u64 / 4, "few frames were the server's");
    }
}

/// Every filter that the toolkit has at the hook, with each of its parameters.
fn filters(toolkit: Toolkit, hook: Hook) -> Vec<Filter> {
    let has =
        |filter: &FilterName| weir_hooks::available(Combination { filter: *filter, toolkit, hook }).is_ok();
    let mut filters: Vec<Filter> = FilterName::ALL.into_iter().filter(has).map(Filter::from).collect();
    if has(&FilterName::Parameterized) {
        for parameter in [Parameter::Accept, Parameter::Drop] {
            let name = FilterName::Parameterized;
            filters.push(Filter { name, parameter, binding: Binding::Constant });
            filters.push(Filter { name, parameter, binding: Binding::Map });
        }
    }
    filters
}

/// Whether the kernel takes such a frame: not without the headers that its ethertype promises (net/bpf/test_run.c,
/// bpf_prog_test_run_skb), and not less than an Ethernet header.
fn runs(hook: Hook, frame: &[u8]) -> bool {
    let ethertype = frame.get(ethernet::TYPE_OFFSET..).and_then(|rest| rest.first_chunk());
    match (hook, ethertype.map(|bytes| u16::from_be_bytes(*bytes))) {
        (Hook::Cgroup, _) => true,
        (_, None) => false,
        (Hook::Tc, Some(ethernet::IPV4)) => frame.len() >= ethernet::HEADER_LEN + 20,
        (Hook::Tc, Some(ethernet::IPV6)) => frame.len() >= ethernet::HEADER_LEN + 40,
        _ => true,
    }
}

/// The kernel runs none on given bytes; that it verifies them is seen here.
fn reuseport_programs_load(toolkit: Toolkit) {
    let site = Site::new(Hook::Reuseport, "127.0.0.1:7".parse().expect("an address"));
    for filter in filters(toolkit, Hook::Reuseport) {
        KernelFilter::load(filter, toolkit, &site)
            .unwrap_or_else(|error| panic!("{filter:?} with {toolkit}: {error}"));
    }
}
