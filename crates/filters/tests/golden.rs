//! Golden vectors: packets in hex, written by hand, with the verdict of every filter that looks at the packet.

use weir_filters::{Filter, FilterName, Packet, Parameter, Verdict};

use Verdict::{Accept as A, Drop as D};

/// UDP packet from its header on: what it is, hex, verdict of `valid-command`, of `robust-valid-command`.
const VECTORS: &[(&str, &str, Verdict, Verdict)] = &[
    ("PUT 10 2", "9c40 3039 0017 abcd 505554 0a000000 0200000000000000", A, A),
    ("PUT 10 -5", "9c40 3039 0017 abcd 505554 0a000000 fbffffffffffffff", A, A),
    ("GET 10", "9c40 3039 000f abcd 474554 0a000000", A, A),
    ("DELETE 10", "9c40 3039 0012 abcd 44454c455445 0a000000", A, A),
    ("STOP", "9c40 3039 000c abcd 53544f50", A, A),
    ("GET 65, a key that is a letter", "9c40 3039 000f abcd 474554 41000000", A, A),
    ("GET 'ABCD'", "9c40 3039 000f abcd 474554 41424344", A, A),
    ("PUT with key 'STOP'", "9c40 3039 0017 abcd 505554 53544f50 0100000000000000", A, A),
    ("PUT alone", "9c40 3039 000b abcd 505554", A, D),
    ("GET alone", "9c40 3039 000b abcd 474554", A, D),
    ("DELETE alone", "9c40 3039 000e abcd 44454c455445", A, D),
    ("GET with one byte more", "9c40 3039 0010 abcd 474554 0a00000000", A, D),
    ("GET with one byte less", "9c40 3039 000e abcd 474554 0a0000", A, D),
    ("PUT of GET's length", "9c40 3039 000f abcd 505554 0a000000", A, D),
    ("GET of PUT's length", "9c40 3039 0017 abcd 474554 0a000000 0200000000000000", A, D),
    ("STOP with a key", "9c40 3039 0010 abcd 53544f50 0a000000", A, D),
    ("STOP of GET's length", "9c40 3039 000f abcd 53544f50 000000", A, D),
    ("GET whose length field has its bytes swapped", "9c40 3039 0f00 abcd 474554 0a000000", A, D),
    ("GET that claims a STOP's length", "9c40 3039 000c abcd 474554 0a000000", A, D),
    ("GET cut after the word, true length field", "9c40 3039 000f abcd 474554", A, A),
    ("GE", "9c40 3039 000a abcd 4745", D, D),
    ("DELET", "9c40 3039 000d abcd 44454c4554", D, D),
    ("DELET, DELETE's length", "9c40 3039 0012 abcd 44454c455446 0a000000", D, D),
    ("TE at the fifth byte", "9c40 3039 0012 abcd 585858585445 0a000000", D, D),
    ("STO", "9c40 3039 000b abcd 53544f", D, D),
    ("STO and a zero byte", "9c40 3039 000c abcd 53544f00", D, D),
    ("lower case put", "9c40 3039 0017 abcd 707574 0a000000 0200000000000000", D, D),
    ("word one byte late", "9c40 3039 0010 abcd 00474554 0a000000", D, D),
    ("word in the header", "5055 5447 4554 5354 0000", D, D),
    ("BAD", "9c40 3039 000f abcd 424144 42424242", D, D),
    ("DELELULU", "9c40 3039 0014 abcd 44454c454c554c55 0a000000", D, D),
    ("no payload", "9c40 3039 0008 abcd", D, D),
    ("no payload, GET's length", "9c40 3039 000f abcd", D, D),
    ("header cut in the length field", "9c40 3039 00", D, D),
    ("one byte", "9c", D, D),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex is ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two hex digits")).collect()
}

fn check(filter: Filter, what: &str, hex: &str, expected: Verdict) {
    let verdict = filter.decide(Packet::from_udp(&bytes(hex)));
    assert_eq!(verdict, expected, "{} on {what} ({hex})", filter.name);
}

#[test]
fn the_deciding_filters_give_the_verdicts_written_by_hand() {
    for &(what, hex, valid, robust) in VECTORS {
        check(FilterName::ValidCommand.into(), what, hex, valid);
        check(FilterName::RobustValidCommand.into(), what, hex, robust);
    }
}

#[test]
fn the_other_filters_decide_without_looking() {
    let parameterized = |parameter| Filter { parameter, ..Filter::from(FilterName::Parameterized) };
    for &(what, hex, ..) in VECTORS {
        for name in [FilterName::Simple, FilterName::Print, FilterName::Count] {
            check(name.into(), what, hex, A);
        }
        check(FilterName::Reject.into(), what, hex, D);
        check(parameterized(Parameter::Accept), what, hex, A);
        check(parameterized(Parameter::Drop), what, hex, D);
    }
}

#[test]
fn the_robust_filter_accepts_exactly_what_the_server_parses_when_the_length_field_is_true() {
    let robust = Filter::from(FilterName::RobustValidCommand);
    for packet in weir_filters::corpus::packets(1).take(50_000) {
        let payload = packet.get(8..).unwrap_or_default();
        let verdict = robust.decide(Packet::from_datagram(payload, payload.len()));
        assert_eq!(verdict == A, weir_wire::Request::parse(payload).is_ok(), "payload {payload:02x?}");
    }
}

#[test]
fn the_corpus_is_the_same_for_the_same_seed_and_has_both_verdicts() {
    let some = |seed| weir_filters::corpus::packets(seed).take(60_000).collect::<Vec<_>>();
    assert_eq!(some(7), some(7));
    assert_ne!(some(7), some(8));
    for name in [FilterName::ValidCommand, FilterName::RobustValidCommand] {
        let accepted =
            some(7).iter().filter(|packet| Filter::from(name).decide(Packet::from_udp(packet)) == A).count();
        assert!((1_500..58_500).contains(&accepted), "{name} accepts {accepted} of 60000");
    }
}
