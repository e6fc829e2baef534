//! The packets that implementations are compared on: reproducible, and with every case that they should have.

use std::{collections::HashSet, net::SocketAddr};

use weir_filters::{
    Filter, FilterName, Found, Hook, Layer, Packet, Site, Verdict,
    corpus::{self, Captured, Case},
};

const HOOKS: [Hook; 4] = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];

fn site(hook: Hook) -> Site {
    Site::new(hook, address("[::]:12345"))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn some(site: &Site, count: usize) -> Vec<Case> {
    corpus::cases(site, &[], 5).take(count).collect()
}

#[test]
fn the_same_seed_gives_the_same_packets_and_another_one_others() {
    for hook in HOOKS {
        let of = |seed| corpus::cases(&site(hook), &[], seed).take(20_000).collect::<Vec<_>>();
        assert_eq!(of(1), of(1), "{hook}");
        assert_ne!(of(1), of(2), "{hook}");
    }
}

#[test]
fn every_short_payload_and_every_swept_packet_comes() {
    let seen: HashSet<_> = some(&site(Hook::Socket), 400_000).into_iter().map(|case| case.seen).collect();
    for payload in (0..=u16::MAX).map(u16::to_be_bytes) {
        assert!(seen.contains(&corpus::packet(10, &payload)), "{payload:02x?}");
        assert!(seen.contains(&corpus::packet(9, &payload[..1])), "{payload:02x?}");
    }
    assert!(seen.contains(&corpus::packet(8, &[])));
    for packet in corpus::swept() {
        assert!(seen.contains(&packet), "{packet:02x?}");
    }
}

#[test]
fn packets_are_found_dropped_and_left_alone_at_every_hook() {
    let filter = Filter::from(FilterName::RobustValidCommand);
    for hook in [Hook::Cgroup, Hook::Tc, Hook::Xdp] {
        for endpoint in ["192.0.2.1:7", "[2001:db8::1]:7", "[::]:7"] {
            let site = Site::new(hook, address(endpoint));
            let cases = some(&site, 20_000);
            let count = |is: &dyn Fn(&Case) -> bool| cases.iter().filter(|case| is(case)).count();
            let verdict = |case: &Case| filter.decide_at(&site, &case.seen, case.segments);
            let is_found = |case: &Case| matches!(site.find(&case.seen, case.segments), Found::Packet(_));
            let accepted = count(&|case| is_found(case) && verdict(case) == Verdict::Accept);
            let dropped = count(&|case| is_found(case) && verdict(case) == Verdict::Drop);
            let other = count(&|case| !is_found(case));
            for (what, count) in [("accepted", accepted), ("dropped", dropped), ("other", other)] {
                assert!(count > 100, "{count} {what} at {hook} for {endpoint}");
            }
        }
    }
}

#[test]
fn segments_vary_where_a_program_is_told_of_them_alone() {
    for hook in HOOKS {
        let segments: HashSet<_> = some(&site(hook), 10_000).into_iter().map(|case| case.segments).collect();
        match hook {
            Hook::Tc => assert!([0, 1, 2, 10].iter().all(|number| segments.contains(number)), "{segments:?}"),
            _ => assert_eq!(segments, HashSet::from([1]), "{hook}"),
        }
    }
}

#[test]
fn no_packet_is_empty_and_boundaries_come_first() {
    for hook in HOOKS {
        let boundaries = corpus::boundaries(&site(hook), &[]);
        assert!((500..5000).contains(&boundaries), "{boundaries} at {hook}");
        let of = |seed| corpus::cases(&site(hook), &[], seed).take(boundaries).collect::<Vec<_>>();
        assert_eq!(of(1), of(2), "{hook}");
        assert!(some(&site(hook), 100_000).iter().all(|case| !case.seen.is_empty()), "{hook}");
    }
}

/// IPv4 with UDP and a request, whole.
const IP: [u8; 35] =
    *b"\x45\0\0\x23\0\x01\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02\x9c\x40\0\x35\0\x0f\0\0GET\x01\0\0\0";

#[test]
fn a_captured_frame_is_aimed_at_the_server_at_every_layer() {
    let ethernet = [&[2; 12][..], &[0x81, 0, 0, 1, 8, 0], &IP].concat();
    for captured in [
        Captured { layer: Layer::Ethernet, bytes: ethernet },
        Captured { layer: Layer::Ip, bytes: IP.to_vec() },
    ] {
        for hook in HOOKS {
            let site = Site::new(hook, address("192.0.2.1:7"));
            let with = corpus::cases(&site, std::slice::from_ref(&captured), 1);
            let count = corpus::boundaries(&site, std::slice::from_ref(&captured));
            let is_aimed = |case: &Case| {
                let found = site.find(&case.seen, case.segments);
                let payload = b"GET\x01\0\0\0";
                found == Found::Packet(Packet { udp_length: Some(15), payload })
            };
            let aimed = with.take(count).skip(corpus::boundaries(&site, &[])).filter(is_aimed).count();
            assert!(aimed > 0, "{captured:02x?} at {hook}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn captured_bytes_of_any_kind_become_packets(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        kind in 0..3_usize,
        first in proptest::sample::select(vec![0x45_u8, 0x60, 0x4f]),
    ) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let layer = [Layer::Ethernet, Layer::Ip, Layer::Udp][kind];
        let captured = [Captured { layer, bytes }];
        for hook in HOOKS {
            let site = Site::new(hook, address("[2001:db8::1]:7"));
            proptest::prop_assert!(corpus::boundaries(&site, &captured) > 0);
        }
    }
}
