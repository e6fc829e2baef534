//! What rules mean, by hand and by property.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn first_byte_is(value: u64) -> Condition {
    Condition::Compare(Comparison::Equal, Integer::Field(FieldId(0)), Integer::Constant(value))
}

/// `hello` is 1, `data` is 2, `reply` is 3: the first byte.
fn service() -> Service {
    let first = FieldKind::Unsigned { width: Width::One, order: Order::Big, bits: None };
    let field = Field { name: "first".to_owned(), kind: first, at: Integer::Constant(0) };
    let message = |name: &str, value| Message { name: name.to_owned(), by: None, when: first_byte_is(value) };
    let protocol = Protocol {
        name: "test".to_owned(),
        source: String::new(),
        fields: vec![field],
        messages: vec![message("hello", 1), message("data", 2), message("reply", 3)],
    };
    let accept = |message, from| Acceptance { message: MessageId(message), from, when: Condition::TRUE };
    let list = |text: &str| text.split(' ').map(|net| net.parse().expect(net)).collect::<PrefixList>();
    Service {
        name: "test".to_owned(),
        listen: Listen { address: None, port: 53 },
        at: Placement::default(),
        mode: Mode::Enforce,
        protocol,
        accept: vec![accept(0, Senders::Anyone), accept(1, Senders::Known)],
        allow: list("192.0.2.0/24 2001:db8::/32"),
        block: list("198.51.100.0/24 192.0.2.7/32"),
        limits: vec![
            limit(None, Per::All, 100, 10),
            limit(Some(0), Per::Source(SourceKey { v4: 24, v6: 56, has_port: false }), 1, 2),
        ],
        known: Some(KnownSources {
            after: vec![MessageId(2)],
            by: SourceKey { v4: 32, v6: 64, has_port: true },
            lasting: Duration::from_secs(60),
        }),
        unjudged: Unjudged::default(),
        sample: None,
    }
}

fn limit(message: Option<usize>, per: Per, per_second: u64, burst: u32) -> Limit {
    let interval = NonZeroU64::new(SECOND / per_second).expect("not 0");
    let rate = RateLimit { interval, burst: NonZeroU32::new(burst).expect("not 0") };
    Limit { message: message.map(MessageId), from: Senders::Anyone, per, rate }
}

#[test]
fn a_service_judges_in_its_order() {
    let service = service();
    let mut memory = Memory::default();
    let mut decide = |from: &str, payload: &[u8], now: u64| {
        let source: SocketAddr = from.parse().expect(from);
        service.decide(&Packet::whole(source, payload), &mut memory, now)
    };
    let (hello, data) = (MessageId(0), MessageId(1));
    assert_eq!(decide("192.0.2.1:1", b"", 0), Decision::Allowed);
    assert_eq!(decide("192.0.2.7:1", b"", 0), Decision::Allowed, "allow comes before block");
    assert_eq!(decide("[2001:db8::1]:1", b"x", 0), Decision::Allowed);
    assert_eq!(decide("198.51.100.1:1", b"\x01", 0), Decision::Blocked);
    assert_eq!(decide("[::ffff:198.51.100.1]:1", b"\x01", 0), Decision::Blocked, "IPv4 in IPv6 is IPv4");
    assert_eq!(decide("203.0.113.1:1", b"", 0), Decision::NoMessage, "an absent byte matches nothing");
    assert_eq!(decide("203.0.113.1:1", b"\x04", 0), Decision::NoMessage);
    assert_eq!(decide("203.0.113.1:1", b"\x03", 0), Decision::Unwelcome(MessageId(2)));
    assert_eq!(decide("203.0.113.1:1", b"\x02", 0), Decision::Unwelcome(data), "nobody is known yet");
    assert_eq!(decide("203.0.113.1:1", b"\x01", 0), Decision::Accepted(hello));
    assert_eq!(decide("203.0.113.2:1", b"\x01", 0), Decision::Accepted(hello));
    assert_eq!(
        decide("203.0.113.3:1", b"\x01", 0),
        Decision::OverLimit(hello, LimitId(1)),
        "of the same /24"
    );
    assert_eq!(decide("203.0.114.1:1", b"\x01", 0), Decision::Accepted(hello));
    assert_eq!(decide("203.0.113.3:1", b"\x01", SECOND), Decision::Accepted(hello));
}

#[test]
fn the_limit_of_the_service_counts_all_that_is_accepted_so_far() {
    let mut service = service();
    service.limits.truncate(1);
    let mut memory = Memory::default();
    let packet = Packet::whole(SocketAddr::from(([203, 0, 113, 1], 1)), b"\x01");
    let mut accepted =
        |now| (0..50).filter(|_| service.decide(&packet, &mut memory, now).is_accepted()).count();
    assert_eq!(accepted(SECOND), 10, "the burst");
    assert_eq!(accepted(SECOND), 0);
    assert_eq!(accepted(SECOND + SECOND / 100), 1, "one more after a hundredth of a second");
    assert_eq!(accepted(10 * SECOND), 10);
}

#[test]
fn a_source_is_known_after_the_reply_for_a_while_and_no_longer() {
    let service = service();
    let mut memory = Memory::default();
    let source: SocketAddr = "203.0.113.1:1000".parse().expect("an address");
    let other_port: SocketAddr = "203.0.113.1:1001".parse().expect("an address");
    let data =
        |source, memory: &mut Memory, now| service.decide(&Packet::whole(source, b"\x02"), memory, now);
    let port = SocketAddr::from(([192, 0, 2, 1], 53));
    service.answered(&Packet::whole(port, b"\x01"), source, &mut memory, 0);
    assert!(!data(source, &mut memory, 0).is_accepted(), "hello proves nothing");
    service.answered(&Packet::whole(port, b"\x03"), source, &mut memory, SECOND);
    assert!(data(source, &mut memory, SECOND).is_accepted());
    assert!(!data(other_port, &mut memory, SECOND).is_accepted());
    assert!(data(source, &mut memory, 61 * SECOND - 1).is_accepted());
    assert!(!data(source, &mut memory, 61 * SECOND).is_accepted());
}

#[test]
fn as_many_sources_become_known_as_a_limit_for_all_lets_through() {
    let mut service = service();
    // Of strangers hello alone is accepted: 100 a second for a minute, and the burst.
    assert_eq!(service.most_known(), Some(6010));
    service.limits[0].from = Senders::Known;
    assert_eq!(service.most_known(), None, "each source has a bucket of its own");
    service.accept.remove(0);
    assert_eq!(service.most_known(), Some(0), "who isn't known is accepted with nothing");
}

#[test]
fn what_cant_be_judged_is_decided_by_its_source_and_kind() {
    let mut service = service();
    service.unjudged.unreadable = Fate::Pass;
    let decide = |kind, source: &str| service.decide_unjudged(kind, source.parse().expect("an address"));
    let fragment = UnjudgedKind::Fragment;
    assert_eq!(decide(fragment, "::ffff:192.0.2.1"), Decision::Allowed);
    assert_eq!(decide(fragment, "198.51.100.1"), Decision::Blocked);
    assert_eq!(decide(fragment, "203.0.113.1"), Decision::Unjudged(fragment, Fate::Drop));
    assert!(!decide(fragment, "203.0.113.1").is_accepted());
    assert!(decide(UnjudgedKind::Unreadable, "203.0.113.1").is_accepted());
}

#[test]
fn a_packet_that_a_capture_cut_off_keeps_its_length() {
    let packet = Packet { len: 5, ..Packet::whole(SocketAddr::from(([0; 4], 0)), b"\x01") };
    let protocol = service().protocol;
    assert_eq!(first_byte_is(1).of(&packet, &protocol.fields), Truth::True);
    let len = Condition::Compare(Comparison::Equal, Integer::Len, Integer::Constant(5));
    assert_eq!(len.of(&packet, &protocol.fields), Truth::True);
    let short = Packet { len: 0, ..packet };
    assert_eq!(
        first_byte_is(1).of(&short, &protocol.fields),
        Truth::Absent,
        "bytes behind UDP's length are none of it"
    );
}

#[test]
fn prefixes_are_merged_and_found() {
    let list: PrefixList = ["10.0.0.0/9", "10.128.0.0/9", "10.1.2.3/32", "::/1", "2001:db8::/32"]
        .iter()
        .map(|net| net.parse().unwrap())
        .collect();
    let check = |address: &str, expected: bool| {
        assert_eq!(list.contains(address.parse().unwrap()), expected, "{address}")
    };
    check("10.0.0.0", true);
    check("10.255.255.255", true);
    check("11.0.0.0", false);
    check("9.255.255.255", false);
    check("2001:db8::1", true);
    check("8000::", false);
    check("::ffff:10.1.1.1", true);
    check("::ffff:11.1.1.1", false);
    assert_eq!(list.prefixes().len(), 5);
}

/// Conditions over three bytes, of which some may be absent.
fn conditions() -> impl Strategy<Value = Condition> {
    let leaf = (0..3_usize, 0..2_u64).prop_map(|(field, value)| {
        Condition::Compare(Comparison::Equal, Integer::Field(FieldId(field)), Integer::Constant(value))
    });
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn three_bytes() -> Protocol {
    let byte = |at| Field {
        name: format!("byte_{at}"),
        kind: FieldKind::Unsigned { width: Width::One, order: Order::Big, bits: None },
        at: Integer::Constant(at),
    };
    Protocol { fields: (0..3).map(byte).collect(), ..Protocol::default() }
}

/// Everything the other way round.
fn reversed(condition: &Condition) -> Condition {
    let all = |parts: &[Condition]| parts.iter().rev().map(reversed).collect();
    match condition {
        Condition::All(parts) => Condition::All(all(parts)),
        Condition::Any(parts) => Condition::Any(all(parts)),
        Condition::Not(inner) => Condition::Not(Box::new(reversed(inner))),
        Condition::Compare(_, left, right) => {
            Condition::Compare(Comparison::Equal, right.clone(), left.clone())
        }
        other => other.clone(),
    }
}

/// What it comes to where evaluation stops as soon as the result is certain.
fn lazily(condition: &Condition, packet: &Packet<'_>, protocol: &Protocol) -> Truth {
    let until = |parts: &[Condition], certain: Truth, otherwise: Truth| {
        let mut result = otherwise;
        for part in parts {
            match lazily(part, packet, protocol) {
                truth if truth == certain => return certain,
                Truth::Absent => result = Truth::Absent,
                _ => {}
            }
        }
        result
    };
    match condition {
        Condition::All(parts) => until(parts, Truth::False, Truth::True),
        Condition::Any(parts) => until(parts, Truth::True, Truth::False),
        Condition::Not(inner) => !lazily(inner, packet, protocol),
        leaf => leaf.of(packet, &protocol.fields),
    }
}

proptest! {
    #[test]
    fn the_order_of_evaluation_never_matters(
        condition in conditions(),
        payload in prop::collection::vec(0..2_u8, 0..4),
    ) {
        let protocol = three_bytes();
        let packet = Packet::whole(SocketAddr::from(([0; 4], 0)), &payload);
        let truth = condition.of(&packet, &protocol.fields);
        prop_assert_eq!(reversed(&condition).of(&packet, &protocol.fields), truth);
        prop_assert_eq!(lazily(&condition, &packet, &protocol), truth);
        prop_assert_eq!(lazily(&reversed(&condition), &packet, &protocol), truth);
    }

    #[test]
    fn what_is_certain_stays_so_when_more_bytes_come(
        condition in conditions(),
        payload in prop::collection::vec(0..2_u8, 0..4),
        more in prop::collection::vec(0..2_u8, 0..4),
    ) {
        let protocol = three_bytes();
        let source = SocketAddr::from(([0; 4], 0));
        let truth = condition.of(&Packet::whole(source, &payload), &protocol.fields);
        let longer = [payload, more].concat();
        if truth != Truth::Absent {
            prop_assert_eq!(condition.of(&Packet::whole(source, &longer), &protocol.fields), truth);
        }
    }
}
