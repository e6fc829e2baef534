//! Guards decide as the interpreter does, on packets that are nearly what a rule wants.

use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroU64},
};

use ipnet::IpNet;
use weir_guard::{
    meaning::{Limit, Memory, Mode, Packet, Per, PrefixList, RateLimit, Senders, Service},
    text::{self, Files, NamedText, Unavailable},
};

use super::{run, run_behind};
use crate::{
    Verdict,
    cbpf::service::{MOST_INSTRUCTIONS, service_program},
    refusal::Refusal,
};

/// Where packets are from.
const PORT: u16 = 0x1234;

const FIELDS: &str = r#"name = "fixed"
[fields]
byte = "u8 @ 0"
half = "u16 @ 1"
half_le = "u16 le @ 1"
word = "u32 @ 0"
word_le = "u32 le @ 3"
long = "u64 @ 1"
long_le = "u64 le @ 1"
some = "u16[4..=11] @ 0"
high_bits = "u64[40..=47] @ 0"
low_bits = "u64 le[8..=15] @ 8"
letters = "bytes 7 @ 2"
behind = "u16 @ end(letters) + byte"
tail = "u8 @ len - 2"
tail_word = "u32 le @ len - 4"
name = "dns-name @ 0"
variable = "varint @ 0"
"#;

/// Conditions, each with a payload for which it is true.
const RULES: [(&str, &[u8]); 31] = [
    ("byte == 7", &[7]),
    ("7 < byte", &[9]),
    ("byte != 7 and not byte in 1..=3", &[9]),
    ("byte < 0x80 or half >= 0x1234", &[0x90, 0x12, 0x34]),
    ("not (byte == 1 and half == 2)", &[1, 0, 3]),
    ("half_le == 0x3412", &[0, 0x12, 0x34]),
    ("word_le > 0x04030200", &[0, 0, 0, 1, 2, 3, 4]),
    ("word in {1, 5..=9, 0xfffffffe..=0xffffffff}", &[0xff; 4]),
    ("not word in {1, 5..=9}", &[0, 0, 0, 4]),
    ("long == 0x0102030405060708", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ("0x0102030405060708 <= long", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ("long in {3, 0x0102030405060708}", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ("long_le != 0x0102030405060708", &[0, 8, 7, 6, 5, 4, 3, 2, 2]),
    ("long in 0x100000002..=0x300000004", &[0, 0, 0, 0, 3, 0, 0, 0, 4]),
    ("not long < 0x100000002", &[0, 0, 0, 0, 1, 0, 0, 0, 2]),
    ("long > 0xffffffff", &[0, 0, 0, 0, 1, 0, 0, 0, 0]),
    ("some == 0xab", &[0x0a, 0xb0]),
    ("high_bits == 0x42 and low_bits == 0x43", &[0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0x43, 0, 0, 0, 0, 0, 0]),
    ("letters == 'aB cdef'", b"\0\0aB cdef"),
    ("lower(letters) in {'get /xy', 'put @xy'}", b"\0\0PuT @xY"),
    ("behind == 0x0102 and end(behind) == len", b"\x01\0abcdefg\0\x01\x02"),
    ("tail == 0x0a and len >= 3", &[0, 0x0a, 0]),
    ("start(tail_word) == 4 and tail_word == 1", &[9, 9, 9, 9, 1, 0, 0, 0]),
    ("byte + half <= len", &[1, 0, 2]),
    ("len - byte == 2 and rest(half) == 0", &[1, 0, 0]),
    ("byte - half == 1", &[3, 0, 2]),
    ("(half | byte) ^ 0xff == 0xfe", &[1, 0, 0]),
    ("byte & half == byte and byte > 0", &[1, 0, 1]),
    ("byte << 4 == 0x70 and half >> 4 == 0x12", &[7, 0x01, 0x20]),
    ("half == word_le or byte < half", &[1, 0, 2]),
    ("source_port == 0x1234 and byte == 1", &[1]),
];

#[test]
fn each_kind_of_rule_decides_as_the_interpreter() {
    for (when, accepted) in RULES {
        check(when, accepted);
    }
}

#[test]
fn jumps_reach_further_than_their_eight_bits() {
    let even: Vec<_> = (0..900).map(|number| (2 * number).to_string()).collect();
    let even = even.join(", ");
    check(&format!("byte == 1 and half in {{{even}}} or byte == 2"), &[1, 0x07, 0x06]);
    check(&format!("byte == 1 and not half in {{{even}}} or byte == 2"), &[1, 0x07, 0x07]);
    check(&format!("not (byte == 1 and half in {{{even}}}) and byte < 3"), &[1, 0x07, 0x07]);
}

#[test]
fn a_guard_that_observes_accepts_all() {
    let observing = Service { mode: Mode::Observe, ..guard("byte == 1") };
    let program = service_program(&observing).expect("it is a program");
    for payload in near(&[1]) {
        assert_eq!(run(&program, &seen(&payload)), Verdict::Accept, "{payload:02x?}");
    }
}

#[test]
fn what_classic_bpf_cant_say_is_refused() {
    let even: Vec<_> = (0..5000).map(|number| (2 * number).to_string()).collect();
    let too_long = format!("half in {{{}}}", even.join(", "));
    let many: Vec<_> = (0..2000).map(|number| format!("10.0.{}.{}/32", number / 256, number % 256)).collect();
    let many = list(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let rows = [
        (guard("long + 1 == 5"), "more than 32 bits"),
        (guard("long == word_le"), "more than 32 bits"),
        (guard("word + half == 5"), "more than 32 bits"),
        (guard("word << 4 == 0x10"), "more than 32 bits"),
        (guard("name under 'example.org'"), "in classic BPF"),
        (guard("end(name) == len"), "in classic BPF"),
        (guard("variable == 5"), "in classic BPF"),
        (from(Senders::Known), "knowing sources"),
        (from(Senders::Unknown), "knowing sources"),
        (Service { allow: many, ..guard("byte == 1") }, "more than 4096 instructions"),
        (Service { limits: vec![limit()], ..guard("byte == 1") }, "a limit"),
        (guard(&too_long), "more than 4096 instructions"),
    ];
    for (service, words) in rows {
        let refusal = service_program(&service).map(|program| program.len());
        let told = refusal.as_ref().map_err(ToString::to_string);
        assert!(told.as_ref().is_err_and(|told| told.contains(words)), "{words}: {told:?}");
    }
    assert_eq!(service_program(&guard(&too_long)), Err(Refusal::TooLong(MOST_INSTRUCTIONS)));
}

fn list(prefixes: &[&str]) -> PrefixList {
    prefixes.iter().map(|prefix| prefix.parse::<IpNet>().expect("it is a prefix")).collect()
}

/// A guard that accepts its message from those.
fn from(from: Senders) -> Service {
    let mut guard = guard("byte == 1");
    guard.accept[0].from = from;
    guard
}

#[test]
fn sources_are_in_lists_as_the_interpreter_says() {
    let listed = list(&["203.0.113.128/25", "2001:db8:8000::/33", "2001:db8::1/128", "198.51.100.7/32"]);
    let guard = Service {
        allow: list(&["192.0.2.0/24", "2001:db8:1::/48"]),
        block: list(&["192.0.0.0/16", "203.0.113.200/32", "2001:db8:8000:1::/64", "::/1"]),
        ..from(Senders::Listed(listed))
    };
    let everyone = Service { allow: list(&["::/0"]), block: list(&["0.0.0.0/0"]), ..guard.clone() };
    let sources = [
        "192.0.2.1",
        "192.0.3.1",
        "203.0.113.127",
        "203.0.113.128",
        "203.0.113.200",
        "203.0.113.201",
        "198.51.100.7",
        "198.51.100.6",
        "::ffff:192.0.2.1",
        "::ffff:203.0.113.201",
        "2001:db8:1:2::1",
        "2001:db8:8000::1",
        "2001:db8:7fff::1",
        "2001:db8:8000:1::1",
        "2001:db8::1",
        "2001:db8::2",
        "fd00::1",
        "::1",
    ];
    let mut verdicts = Vec::new();
    for guard in [guard, everyone] {
        let program = service_program(&guard).expect("it is a program");
        for (source, payload) in
            sources.iter().flat_map(|source| [[1], [2]].map(|payload| (*source, payload)))
        {
            let source = SocketAddr::new(source.parse().expect("an address"), PORT);
            let decision = guard.decide(&Packet::whole(source, &payload), &mut Memory::default(), 0);
            let expected = if decision.is_accepted() { Verdict::Accept } else { Verdict::Drop };
            verdicts.push(expected);
            let header = match source.ip() {
                IpAddr::V4(address) => [&[0x45; 12][..], &address.octets(), &[9; 4]].concat(),
                IpAddr::V6(address) => [&[0x60; 8][..], &address.octets(), &[9; 16]].concat(),
            };
            assert_eq!(run_behind(&header, &program, &seen(&payload)), expected, "{source}: {decision:?}");
        }
        assert_eq!(run_behind(&[0x50; 40], &program, &seen(&[1])), Verdict::Drop, "of no IP version");
    }
    assert!(verdicts.contains(&Verdict::Accept) && verdicts.contains(&Verdict::Drop));
}

fn limit() -> Limit {
    let rate = RateLimit { interval: NonZeroU64::MIN, burst: NonZeroU32::MIN };
    Limit { message: None, from: Senders::Anyone, per: Per::All, rate }
}

/// Holds the program to the interpreter on a payload that is accepted, and on all that are nearly it, of which some are dropped.
fn check(when: &str, accepted: &[u8]) {
    let guard = guard(when);
    let program = service_program(&guard).unwrap_or_else(|refusal| panic!("{when}: {refusal}"));
    let source = SocketAddr::from(([192, 0, 2, 1], PORT));
    let accepts = |payload: &[u8]| {
        guard.decide(&Packet::whole(source, payload), &mut Memory::default(), 0).is_accepted()
    };
    assert!(accepts(accepted), "{when}");
    let payloads = near(accepted);
    assert!(payloads.iter().any(|payload| !accepts(payload)), "{when}");
    for payload in payloads {
        let expected = if accepts(&payload) { Verdict::Accept } else { Verdict::Drop };
        assert_eq!(run(&program, &seen(&payload)), expected, "{when} on {payload:02x?}");
    }
}

/// A packet as a socket's program sees it.
fn seen(payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    [&PORT.to_be_bytes()[..], &53_u16.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

/// A payload, cut off anywhere, longer, and with each byte another.
fn near(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut near: Vec<_> = (0..=payload.len()).map(|len| payload[..len].to_vec()).collect();
    near.push([payload, &[0; 3]].concat());
    for at in 0..payload.len() {
        for changed in [1, 2, 0xff, 0x20, 0xe0, 0x80] {
            let mut other = payload.to_vec();
            other[at] = other[at].wrapping_add(changed);
            near.push(other);
        }
    }
    near
}

/// A guard that accepts the packets for which a condition is true.
fn guard(when: &str) -> Service {
    const GUARD: &str = "[[service]]\nname = \"guarded\"\nlisten = \"udp/53\"\nmode = \"enforce\"\n\
                         protocol = \"./fixed.toml\"\naccept = [\"wanted\"]\n";
    let mut protocol = Protocol(format!("{FIELDS}[[message]]\nname = \"wanted\"\nwhen = \"{when}\"\n"));
    let reading = text::guard(GUARD, &mut protocol);
    assert!(reading.services.is_some(), "{when}: {:?} {:?}", reading.diagnostics, reading.files);
    reading.services.into_iter().flatten().next().expect("it has one")
}

/// The one protocol that the guard names.
struct Protocol(String);

impl Files for Protocol {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        Ok(NamedText { name: name.to_owned(), text: self.0.clone() })
    }

    fn list(&mut self, _: &str) -> Result<NamedText, Unavailable> {
        Err(Unavailable::default())
    }
}
