//! What the filters with a memory decide, by vectors written by hand.

use std::{net::IpAddr, time::Duration};

use weir_filters::{Filter, FilterName, Moment, Packet, Quota, Reference, Until, Verdict};
use weir_wire::Request;

const A: Verdict = Verdict::Accept;
const D: Verdict = Verdict::Drop;

fn reference(chain: &str) -> Reference {
    Reference::new(chain.parse().expect("a chain"))
}

fn source(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address"))
}

fn at_ms(ms: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(ms)
}

fn decide(reference: &mut Reference, request: Request) -> Verdict {
    let payload = request.to_bytes();
    reference.decide(Packet::from_datagram(&payload, payload.len()), None, Moment::ZERO)
}

#[test]
fn get_and_delete_pass_for_known_keys_alone() {
    let mut reference = reference("known-key");
    assert_eq!(decide(&mut reference, Request::Get { key: 7 }), D);
    assert_eq!(decide(&mut reference, Request::Delete { key: 7 }), D);
    assert_eq!(decide(&mut reference, Request::Put { key: 7, value: 1 }), A);
    assert_eq!(decide(&mut reference, Request::Get { key: 7 }), A);
    assert_eq!(decide(&mut reference, Request::Get { key: 8 }), D);
    assert_eq!(decide(&mut reference, Request::Delete { key: 7 }), A);
    assert_eq!(
        decide(&mut reference, Request::Get { key: 7 }),
        A,
        "the server forgets keys, not the program"
    );
    reference.forget(7);
    assert_eq!(decide(&mut reference, Request::Get { key: 7 }), D);
    reference.learn(7);
    assert_eq!(decide(&mut reference, Request::Get { key: 7 }), A);
    assert_eq!(decide(&mut reference, Request::Stop), A);
}

#[test]
fn what_is_no_request_is_dropped_and_teaches_nothing() {
    let mut reference = reference("known-key");
    let put = Request::Put { key: 7, value: 1 }.to_bytes();
    for payload in [&put[..14], &[&put[..], b"x"].concat(), b"BAD", b""] {
        let verdict = reference.decide(Packet::from_datagram(payload, payload.len()), None, Moment::ZERO);
        assert_eq!(verdict, D, "{payload:02x?}");
    }
    assert!(!reference.knows(7));
}

#[test]
fn a_quota_lets_a_burst_through_and_then_its_rate() {
    let mut reference = reference("quota");
    reference.filter.quota = "10/3".parse().expect("a quota");
    // 100 ms from packet to packet, three at once.
    let packets = [
        ("10.0.0.1", 0, A),
        ("10.0.0.1", 0, A),
        ("10.0.0.1", 0, A),
        ("10.0.0.1", 0, D),
        ("10.0.0.1", 99, D),
        ("10.0.0.1", 100, A),
        ("10.0.0.1", 100, D),
        ("10.0.0.2", 100, A),
        ("::ffff:10.0.0.1", 150, D),
        ("10.0.0.1", 1000, A),
        ("10.0.0.1", 1000, A),
        ("10.0.0.1", 1000, A),
        ("10.0.0.1", 1000, D),
    ];
    check(&mut reference, &packets);
}

#[test]
fn a_blocked_prefix_is_open_again_at_its_end() {
    let mut reference = reference("blocklist");
    let prefix = "10.0.0.0/24".parse().expect("a prefix");
    reference.blocklist.block(prefix, Until::Moment(at_ms(50)));
    let packets = [("10.0.0.1", 0, D), ("10.0.1.1", 0, A), ("10.0.0.255", 49, D), ("10.0.0.1", 50, A)];
    check(&mut reference, &packets);
}

#[test]
fn a_chain_drops_at_the_first_that_drops_and_what_is_blocked_spends_nothing() {
    let mut reference = reference("blocklist+quota+valid-command");
    reference.filter.quota = "1/1".parse().expect("a quota");
    let prefix = "10.0.0.1/32".parse().expect("a prefix");
    reference.blocklist.block(prefix, Until::Moment(at_ms(1)));
    let mut decide = |payload: &[u8], now| {
        reference.decide(Packet::from_datagram(payload, payload.len()), source("10.0.0.1"), at_ms(now))
    };
    assert_eq!(decide(b"GET", 0), D, "blocked");
    assert_eq!(decide(b"BAD", 1), D, "no command, and yet it spends");
    assert_eq!(decide(b"GET", 2), D, "nothing left");
    assert_eq!(decide(b"GET", 1002), A);
}

#[test]
fn without_a_source_guards_pass_a_packet_on() {
    let mut reference = reference("blocklist+quota+valid-command");
    reference.blocklist.block("::/0".parse().expect("a prefix"), Until::Unblocked);
    for _ in 0..1000 {
        assert_eq!(reference.decide(Packet::from_datagram(b"GET", 3), None, Moment::ZERO), A);
    }
    assert_eq!(Filter::from(FilterName::Quota).decide(Packet::from_datagram(b"", 0)), A);
}

#[test]
fn a_quota_remembers_a_bounded_number_of_sources() {
    let mut reference = reference("quota");
    reference.filter.quota = Quota::default();
    for i in 0..3 * weir_filters::QUOTA_SOURCES {
        let source = Some(IpAddr::from(i.to_be_bytes()));
        assert_eq!(reference.decide(Packet::from_datagram(b"", 0), source, Moment::ZERO), A);
    }
}

fn check(reference: &mut Reference, packets: &[(&str, u64, Verdict)]) {
    for (number, &(from, ms, expected)) in packets.iter().enumerate() {
        let verdict = reference.decide(Packet::from_datagram(b"", 0), source(from), at_ms(ms));
        assert_eq!(verdict, expected, "packet {number} from {from} at {ms} ms");
    }
}

/// One token, spent between 100 and 200 ms, and due again a second later.
#[test]
fn where_the_clock_leaves_both_open_what_was_said_is_right() {
    let packet = Packet::from_datagram(b"x", 1);
    let check = |during: [u64; 2], said, expected| {
        let mut reference = reference("quota");
        reference.set_quota("1/1".parse().expect("a quota"));
        let mut decide = |during: [u64; 2], said| {
            reference.decide_within(packet, source("10.0.0.1"), during.map(at_ms), said)
        };
        assert_eq!(decide([100, 200], A), A);
        assert_eq!(decide(during, said), expected, "{during:?}");
    };
    check([1000, 1099], A, D);
    check([1050, 1150], A, A);
    check([1050, 1150], D, D);
    check([1200, 1300], D, A);
}
