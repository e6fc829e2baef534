//! What packets are made of rules, and that they are what they are meant to be.

use std::{collections::HashSet, net::SocketAddr};

use super::{Example, Examples, encoding, uniform};
use crate::{
    meaning::{Decision, LengthForm, Memory, Order, Packet, Service, Width},
    protocols,
    text::{Files, NamedText, Unavailable, guard},
};

struct Shipped;

impl Files for Shipped {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let text = protocols::find(name).map_or("", |shipped| shipped.text).to_owned();
        Ok(NamedText { name: name.to_owned(), text })
    }

    fn list(&mut self, _: &str) -> Result<NamedText, Unavailable> {
        Err(Unavailable::default())
    }
}

/// A guard for a shipped protocol.
fn service(protocol: &str, rules: &str) -> Service {
    let text =
        format!("[[service]]\nname = \"it\"\nlisten = \"udp/53\"\nprotocol = \"{protocol}\"\n{rules}\n");
    let read = guard(&text, &mut Shipped);
    let services = read.services.unwrap_or_else(|| panic!("{protocol}: {:?}", read.diagnostics));
    services.into_iter().next().expect("there is one")
}

fn made(service: &Service) -> Vec<Example> {
    Examples::of(service, 1).batches.concat()
}

const DNS: &str = r#"
accept = ["query", { message = "notify", from = "203.0.113.64/26", when = "name under 'example.org'" }]
allow = ["192.0.2.0/24"]
block = ["2001:db8:bad::/48"]
limit = [{ message = "query", per = "source/24,/56", rate = "10/s", burst = 3 }]
"#;

#[test]
fn every_decision_about_a_service_is_met() {
    let service = service("dns", DNS);
    let mut met = HashSet::new();
    for batch in &Examples::of(&service, 1).batches {
        let mut memory = Memory::default();
        met.extend(batch.iter().map(|example| service.decide(&example.packet(), &mut memory, 0)));
    }
    let is_possible = |decision: &Decision| match decision {
        Decision::Allowed | Decision::Blocked | Decision::NoMessage => true,
        // The query is accepted from everybody.
        Decision::Unwelcome(id) => {
            service.protocol.message(*id).by.is_none() && *id != service.accept[0].message
        }
        Decision::Accepted(id) | Decision::OverLimit(id, _) => {
            service.accept.iter().any(|each| each.message == *id)
        }
        // Examples are payloads: every packet of them can be judged.
        Decision::Unjudged(..) => false,
    };
    for decision in service.decisions().iter().filter(|decision| is_possible(decision)) {
        assert!(met.contains(decision), "{decision:?} is not met");
    }
}

#[test]
fn every_message_of_a_shipped_protocol_has_an_example() {
    for shipped in protocols::ALL {
        let read = crate::text::protocol(shipped.text, &Default::default());
        let protocol = read.protocol.expect(shipped.name);
        let first = &protocol.messages[0].name;
        let service = service(shipped.name, &format!("accept = [\"{first}\"]"));
        let missing = Examples::of(&service, 1).missing;
        let missing: Vec<_> = missing.iter().map(|id| &service.protocol.message(*id).name).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", shipped.name);
    }
}

#[test]
fn the_same_seed_makes_the_same_packets() {
    let service = service("dns", DNS);
    assert!(made(&service) == made(&service));
}

#[test]
fn examples_are_cut_at_each_byte_with_the_rest_behind_them() {
    let service = service("dns", DNS);
    let made = made(&service);
    let whole = made.iter().find(|example| {
        let decision = service.decide(&example.packet(), &mut Memory::default(), 0);
        example.behind.is_empty() && example.payload.len() == 17 && matches!(decision, Decision::Accepted(_))
    });
    let whole = whole.expect("the shortest query");
    for at in 0..whole.payload.len() {
        let cut = made.iter().filter(|example| example.payload == whole.payload[..at]);
        assert!(cut.clone().any(|example| !example.behind.is_empty()), "at {at}");
    }
}

#[test]
fn names_are_tried_below_beside_and_where_no_label_begins() {
    let service = service("dns", DNS);
    let made = made(&service);
    let names: Vec<_> = made.iter().filter_map(|example| example.payload.get(12..)).collect();
    let has = |name: &[u8]| names.iter().any(|held| held.starts_with(name));
    for name in [
        &b"\x07example\x03org\0"[..],
        b"\x07EXAMPLE\x03ORG\0",
        b"\x01q\x07example\x03org\0",
        b"\x08qexample\x03org\0",
        b"\x09q\x07example\x03org\0",
        b"\x03org\0",
        b"\x07example\x03org\xc0\x0c",
    ] {
        assert!(has(name), "{}", name.escape_ascii());
    }
}

#[test]
fn sources_are_tried_at_both_ends_of_prefixes_and_outside() {
    let made = made(&service("dns", DNS));
    let sources: HashSet<_> = made.iter().map(|example| example.source.ip().to_string()).collect();
    let expected = [
        "192.0.2.0",
        "192.0.2.255",
        "192.0.1.255",
        "192.0.3.0",
        "192.0.2.128",
        "203.0.113.63",
        "203.0.113.64",
        "203.0.113.127",
        "203.0.113.128",
        "2001:db8:bad::",
        "2001:db8:bae::",
        "2001:db8:bac:ffff:ffff:ffff:ffff:ffff",
    ];
    for source in expected {
        assert!(sources.contains(source), "{source}");
    }
}

#[test]
fn lengths_and_numbers_are_written_as_they_are_read() {
    let check = |form: LengthForm, len: u64, expected: Option<&[u8]>| {
        assert_eq!(encoding::length(form, len).as_deref(), expected, "{form:?} {len}");
    };
    check(LengthForm::Unsigned(Width::Two, Order::Little), 258, Some(&[2, 1]));
    check(LengthForm::Unsigned(Width::One, Order::Big), 256, None);
    check(LengthForm::Nibble, 12, Some(&[12]));
    check(LengthForm::Nibble, 13, None);
    check(LengthForm::Varint, 63, Some(&[63]));
    check(LengthForm::Varint, 64, Some(&[0x40, 64]));
    check(LengthForm::Varint, 16_384, Some(&[0x80, 0, 0x40, 0]));
    check(LengthForm::Ber, 127, Some(&[127]));
    check(LengthForm::Ber, 128, Some(&[0x81, 128]));
    check(LengthForm::Ber, 256, Some(&[0x82, 1, 0]));
}

#[test]
fn names_have_every_length_that_names_can_have() {
    for len in 0..300 {
        let name = encoding::name_of_len(len);
        let is_possible = len == 1 || (3..=255).contains(&len);
        assert_eq!(name.is_some(), is_possible, "{len}");
        assert!(name.is_none_or(|name| name.len() as u64 == len), "{len}");
    }
}

#[test]
fn chance_that_knows_nothing_meets_hardly_a_message() {
    let service = service("dns", DNS);
    let is_message = |example: &Example| {
        let source = SocketAddr::from(([203, 0, 113, 1], 1));
        let packet = Packet { source, ..example.packet() };
        let decision = service.decide(&packet, &mut Memory::default(), 0);
        decision.is_accepted()
    };
    assert_eq!(uniform(&service, (0..64).collect(), 1).take(10_000).filter(is_message).count(), 0);
}
