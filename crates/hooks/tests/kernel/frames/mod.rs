//! Every program decides frames as the reference does, at each hook below the socket.

mod generator;
mod reuseport;

use weir_filters::{
    Binding, Filter, FilterName, Found, GsoLayout, GsoView, Hook, Layer, Packet, Parameter, Site,
    SuperPackets, Toolkit, Verdict, corpus,
};
use weir_hooks::{KernelFilter, VerdictCounts, gso_layout};
use weir_testing::scaled;
use weir_wire::headers::ethernet;

use crate::{Test, each, no_gso, once};
use generator::Frames;

pub(crate) const TESTS: &[Test] = &[
    each("cgroup_decides_frames_as_the_reference", |toolkit| check_hook(toolkit, Hook::Cgroup, None)),
    each("tc_decides_frames_as_the_reference", |toolkit| check_hook(toolkit, Hook::Tc, None)),
    each("xdp_decides_frames_as_the_reference", |toolkit| check_hook(toolkit, Hook::Xdp, None)),
    each("reuseport_decides_datagrams_as_the_reference", |toolkit| {
        reuseport::decides_datagrams_as_the_reference(toolkit, None)
    }),
    once("xdp_that_reads_gso_size_decides_frames_as_the_reference", || {
        check_hook(Toolkit::Fun, Hook::Xdp, Some(gso(Hook::Xdp)))
    })
    .unless(no_gso),
    once("reuseport_that_reads_gso_size_decides_datagrams_as_the_reference", || {
        reuseport::decides_datagrams_as_the_reference(Toolkit::Fun, Some(gso(Hook::Reuseport)))
    })
    .unless(no_gso),
];

/// An address of each version, and what stands for every address.
const ENDPOINTS: [&str; 4] = ["10.0.0.2:12345", "0.0.0.0:12345", "[fd00::2]:12345", "[::]:12345"];

/// Frames for each filter at each endpoint; the ones that look at payloads get most.
const JUDGED: usize = 15_000;
const COUNTED: usize = 2_500;

fn gso(hook: Hook) -> GsoLayout {
    gso_layout(hook).expect("Linux 6.2 with BTF")
}

fn check_hook(toolkit: Toolkit, hook: Hook, gso: Option<GsoLayout>) {
    for (seed, endpoint) in (0..).zip(ENDPOINTS) {
        let site = Site { gso, ..Site::new(hook, endpoint.parse().expect("an address")) };
        for name in FilterName::ALL.into_iter().filter(|name| !name.is_dynamic()) {
            let filter = Filter::from(name);
            check(filter, toolkit, &site, seed, if is_judging(filter) { JUDGED } else { COUNTED });
        }
        let drop = Filter { parameter: Parameter::Drop, ..FilterName::Parameterized.into() };
        check(drop, toolkit, &site, seed, COUNTED);
        check(Filter { binding: Binding::Constant, ..drop }, toolkit, &site, seed, COUNTED);
        let passing = Site { super_packets: SuperPackets::Pass, ..site };
        check(FilterName::Reject.into(), toolkit, &passing, seed, COUNTED);
    }
}

/// Whether it decides otherwise about some packets than about others.
fn is_judging(filter: Filter) -> bool {
    let mut verdicts = corpus::swept().map(|packet| filter.decide(Packet::from_udp(&packet)));
    let first = verdicts.next();
    verdicts.any(|verdict| Some(verdict) != first)
}

fn check(filter: Filter, toolkit: Toolkit, site: &Site, seed: u64, frames: usize) {
    let kernel = KernelFilter::load(filter, toolkit, site)
        .unwrap_or_else(|error| panic!("{filter:?} with {toolkit} at {site:?}: {error}"));
    let mut expected_counts = VerdictCounts::default();
    let mut decided = 0;
    let some = Frames::new(site.endpoint, seed).step_by(frames / scaled(frames)).take(scaled(frames));
    for (number, frame) in some.enumerate() {
        let seen = if site.hook.layer() == Layer::Ip { frame.get(IP).unwrap_or_default() } else { &frame };
        let segments = segments(site.hook, number);
        let expected = filter.decide_at(site, seen, segments);
        match kernel.decide(seen, segments) {
            Ok(verdict) => {
                assert_eq!(
                    verdict, expected,
                    "{filter:?} with {toolkit} at {site:?} on {segments} of {seen:02x?}"
                )
            }
            Err(error) => {
                assert!(is_refused(site.hook, seen), "{error} on {seen:02x?}");
                continue;
            }
        }
        decided += 1;
        let found = site.find(seen, segments);
        let is_counted = match found {
            Found::Packet(_) => true,
            Found::SuperPacket => expected == Verdict::Drop,
            Found::Unreadable => true,
            Found::FirstFragment | Found::Other => false,
        };
        expected_counts.accepted += u64::from(is_counted && expected == Verdict::Accept);
        expected_counts.dropped += u64::from(is_counted && expected == Verdict::Drop);
    }
    let ours = expected_counts.accepted + expected_counts.dropped;
    assert!((decided / 10..decided).contains(&ours), "{ours} of {decided} frames are the server's");
    if filter.name != FilterName::Simple {
        let counts = kernel.verdicts().expect("it is read").expect("it counts");
        assert_eq!(counts, expected_counts, "{filter:?} with {toolkit} at {site:?}");
    }
}

/// Of a frame's bytes those from the IP header on, if there is no VLAN tag.
const IP: std::ops::RangeFrom<usize> = ethernet::HEADER_LEN..;

/// How many datagrams the kernel says that a frame is, where a test run can say so.
fn segments(hook: Hook, number: usize) -> u32 {
    match (hook.gso(), number % 16) {
        (GsoView::Told, 7) => 2,
        (GsoView::Told, 15) => 64,
        _ => 1,
    }
}

/// What the kernel runs no program on (net/bpf/test_run.c): less than an Ethernet header, and where it makes a packet's
/// buffer of the frame also nothing behind it, or less of an IP header than it reads itself.
fn is_refused(hook: Hook, seen: &[u8]) -> bool {
    let is_short = |least: usize| seen.len() < ethernet::HEADER_LEN + least;
    match (hook, seen.get(ethernet::TYPE_OFFSET..ethernet::HEADER_LEN)) {
        _ if hook.layer() == Layer::Ip => seen.is_empty(),
        (Hook::Xdp, _) | (_, None) => is_short(0),
        (_, Some([0x08, 0x00])) => is_short(weir_wire::headers::ipv4::MIN_HEADER_LEN),
        (_, Some([0x86, 0xdd])) => is_short(weir_wire::headers::ipv6::HEADER_LEN),
        _ => is_short(1),
    }
}
