//! `known-key`.

use std::net::SocketAddr;

use weir_filters::{
    Filter, FilterName, Hook, Layer, Moment, Packet, Reference, Site, Toolkit, Verdict, corpus,
};
use weir_hooks::{ProgramType, maps::Update};
use weir_testing::scaled;
use weir_wire::{Command, Request};

use super::{both, bound, load, received, sender};
use crate::{Test, once};

pub(crate) const TESTS: &[Test] = &[
    once("a_get_follows_its_put_through_at_once", || both(a_get_follows_its_put_through_at_once)),
    once("keys_that_the_server_sets_and_removes_are_known_and_not", || {
        both(keys_that_the_server_sets_and_removes)
    }),
    once("known_key_decides_as_the_reference_with_a_memory", || both(known_key_decides_as_the_reference)),
    once("a_full_map_learns_nothing_and_lets_puts_through", || both(a_full_map_learns_nothing)),
];

fn a_get_follows_its_put_through_at_once(toolkit: Toolkit) {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (socket, to) = bound(address);
        let filter = load(toolkit, "known-key", &Site::socket());
        let _attached = filter.attach(&socket).expect("attach");
        let from = sender(&to.ip().to_string());
        let arrives = |request: Request| {
            from.send_to(&request.to_bytes(), to).expect("send");
            received(&socket)
        };
        assert_eq!(arrives(Request::Get { key: 1 }), 0);
        assert_eq!(arrives(Request::Delete { key: 1 }), 0);
        assert_eq!(arrives(Request::Put { key: 1, value: -1 }), 1);
        assert_eq!(arrives(Request::Get { key: 1 }), 1);
        assert_eq!(arrives(Request::Get { key: 1 << 24 }), 0);
        assert_eq!(arrives(Request::Delete { key: 1 }), 1);
        assert_eq!(arrives(Request::Stop), 1);
        from.send_to(b"GET\x01\0\0\0!", to).expect("send");
        assert_eq!(received(&socket), 0, "its length is no GET's");
    }
}

fn keys_that_the_server_sets_and_removes(toolkit: Toolkit) {
    let filter = load(toolkit, "known-key", &Site::socket());
    let mut keys = filter.key_map().expect("it has one");
    let decide = |request: Request| {
        let payload = request.to_bytes();
        let packet = corpus::packet(weir_wire::udp::length_field(payload.len()), &payload);
        filter.decide(&packet, 1).expect("a test run")
    };
    assert_eq!(decide(Request::Get { key: 0x0403_0201 }), Verdict::Drop);
    keys.update(0x0403_0201, 1, Update::Any).expect("there is room");
    assert_eq!(decide(Request::Get { key: 0x0403_0201 }), Verdict::Accept);
    assert_eq!(decide(Request::Get { key: 0x0102_0304 }), Verdict::Drop);
    decide(Request::Put { key: 9, value: 1 });
    assert_eq!(keys.get(9).expect("read"), Some(1));
    assert!(keys.delete(0x0403_0201).expect("deleted"));
    assert_eq!(decide(Request::Get { key: 0x0403_0201 }), Verdict::Drop);
}

const PACKETS: usize = 40_000;

/// At every hook whose programs run on given bytes; keys come and go by the server's hand as well.
fn known_key_decides_as_the_reference(toolkit: Toolkit) {
    let endpoint: SocketAddr = "127.0.0.1:12345".parse().expect("an address");
    let filter: Filter = "known-key".parse().expect("a filter");
    let packets = scaled(PACKETS);
    let is_run = |hook: &Hook| ProgramType::at(*hook).is_some_and(ProgramType::runs_on_bytes);
    for hook in Hook::of_the_kernel().filter(is_run) {
        let site = Site::new(hook, endpoint);
        let program = super::load_filter(toolkit, filter, &site);
        let mut keys = program.key_map().expect("it has one");
        let mut reference = Reference::new(filter);
        let mut accepted = 0;
        for (number, udp) in few_keys().take(packets).enumerate() {
            let seen = match hook.layer() {
                Layer::Udp => udp.clone(),
                Layer::Ip => in_ipv4(&udp, endpoint),
                Layer::Ethernet => [&[0; 12][..], &[8, 0], &in_ipv4(&udp, endpoint)].concat(),
            };
            let expected = reference.decide(Packet::from_udp(&udp), None, Moment::ZERO);
            let decided = program.decide(&seen, 1).expect("a test run");
            assert_eq!(decided, expected, "packet {number} at {hook}: {udp:02x?}");
            accepted += usize::from(decided == Verdict::Accept);
            let key = number as u32 % 16;
            match number % 37 {
                0 => {
                    reference.learn(key);
                    keys.update(key, 1, Update::Any).expect("there is room");
                }
                1 | 2 => {
                    reference.forget(key);
                    keys.delete(key).expect("deleted");
                }
                _ => {}
            }
        }
        assert!((packets / 10..packets / 10 * 9).contains(&accepted), "{accepted} of {packets} at {hook}");
    }
}

/// Requests of true length for 16 keys, most of them whole.
fn few_keys() -> impl Iterator<Item = Vec<u8>> {
    let mut state = 1u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    std::iter::from_fn(move || {
        let key = random(16);
        let request = match Command::ALL[random(4) as usize] {
            Command::Put => Request::Put { key, value: i64::from(key) },
            Command::Get => Request::Get { key },
            Command::Delete => Request::Delete { key },
            Command::Stop => Request::Stop,
        };
        let mut payload = request.to_bytes().to_vec();
        match random(8) {
            0 => payload.truncate(random(payload.len() as u32) as usize),
            1 => payload.push(b'!'),
            2 => payload[0] = payload[0].to_ascii_lowercase(),
            _ => {}
        }
        Some(corpus::packet(weir_wire::udp::length_field(payload.len()), &payload))
    })
}

/// The UDP packet in IPv4, from 127.0.0.1.
fn in_ipv4(udp: &[u8], to: SocketAddr) -> Vec<u8> {
    let [high, low] = (20 + udp.len() as u16).to_be_bytes();
    let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    assert_eq!(to.ip().to_string(), "127.0.0.1");
    [&header, udp].concat()
}

fn a_full_map_learns_nothing(toolkit: Toolkit) {
    const MOST: u32 = 300;
    let filter = Filter { known_keys: MOST, ..FilterName::KnownKey.into() };
    let filter = super::load_filter(toolkit, filter, &Site::socket());
    let mut keys = filter.key_map().expect("it has one");
    assert_eq!(keys.spec().max_entries(), MOST);
    for key in 0..MOST {
        keys.update(key, 1, Update::Any).expect("there is room");
    }
    assert!(keys.update(MOST, 1, Update::Any).expect_err("it is full").is_full());
    let decide = |request: Request| {
        let payload = request.to_bytes();
        let packet = corpus::packet(weir_wire::udp::length_field(payload.len()), &payload);
        filter.decide(&packet, 1).expect("a test run")
    };
    assert_eq!(decide(Request::Put { key: MOST, value: 1 }), Verdict::Accept);
    assert_eq!(keys.get(MOST).expect("read"), None);
    assert_eq!(keys.get(MOST - 1).expect("read"), Some(1));
    keys.delete(0).expect("the server makes room");
    assert_eq!(decide(Request::Put { key: MOST, value: 1 }), Verdict::Accept);
    assert_eq!(decide(Request::Get { key: MOST }), Verdict::Accept);
}
