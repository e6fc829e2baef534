//! Filters in classic BPF on real sockets: packet by packet what the reference accepts is received.

use std::{io::ErrorKind, net::UdpSocket};

use weir_filters::{
    Binding, Filter, FilterName, Hook, Owner, Packet, Parameter, Site, Toolkit, Verdict, corpus,
};
use weir_hooks::{HookError, KernelFilter};
use weir_wire::udp;

use crate::{Test, load, once, pair};

pub(crate) const TESTS: &[Test] = &[
    once("classic_filters_decide_as_the_reference_on_a_socket", decide_as_the_reference),
    once("dropping_the_guard_detaches_a_classic_filter", dropping_the_guard_detaches),
    once("a_classic_filter_and_another_replace_each_other", replace_each_other),
    once("a_classic_filter_counts_nothing_and_says_why_it_cant_be_asked", it_cant_be_asked),
    once("a_classic_filter_that_needs_a_map_or_another_hook_is_refused", what_it_cant_do_is_refused),
];

const ADDRESSES: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// Payloads for each filter.
const PAYLOADS: usize = 3000;

fn decide_as_the_reference() {
    for address in ADDRESSES {
        for name in
            [FilterName::Simple, FilterName::Reject, FilterName::ValidCommand, FilterName::RobustValidCommand]
        {
            check(name.into(), address);
        }
        for parameter in [Parameter::Accept, Parameter::Drop] {
            check(
                Filter { parameter, binding: Binding::Constant, ..FilterName::Parameterized.into() },
                address,
            );
        }
    }
}

fn check(filter: Filter, address: &str) {
    let (receiver, sender) = pair(address);
    let _attached = load(filter, Toolkit::Cbpf).attach(&receiver).expect("it attaches");
    let payloads = corpus::packets(0xc1a5).step_by(11).filter(|packet| packet.len() >= udp::HEADER_LEN);
    let mut buffer = [0; 2048];
    for packet in payloads.take(PAYLOADS) {
        let payload = &packet[udp::PAYLOAD_OFFSET..];
        sender.send(payload).expect("it is sent");
        let received = match receiver.recv(&mut buffer) {
            Ok(len) => Some(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("recv: {error}"),
        };
        let expected = filter.decide(Packet::from_datagram(payload, payload.len()));
        let expected = (expected == Verdict::Accept).then_some(payload);
        assert_eq!(received, expected, "{filter:?}");
    }
}

fn dropping_the_guard_detaches() {
    for address in ADDRESSES {
        let (receiver, sender) = pair(address);
        let attached = load(FilterName::Reject, Toolkit::Cbpf).attach(&receiver).expect("it attaches");
        sender.send(b"x").expect("it is sent");
        drop(attached);
        sender.send(b"y").expect("it is sent");
        check_received(&receiver, Some(b'y'));
    }
}

fn replace_each_other() {
    for address in ADDRESSES {
        let (receiver, sender) = pair(address);
        let [reject, simple] = [FilterName::Reject, FilterName::Simple];
        let attached = load(reject, Toolkit::Cbpf).attach(&receiver).expect("it attaches");
        let steps = [
            (simple, Toolkit::Cbpf, Some(b'a')),
            (reject, Toolkit::Fun, None),
            (simple, Toolkit::Cbpf, Some(b'c')),
            (reject, Toolkit::Cbpf, None),
        ];
        for (byte, (filter, toolkit, expected)) in (b'a'..).zip(steps) {
            attached.replace(&load(filter, toolkit)).expect("it is replaced");
            sender.send(&[byte]).expect("it is sent");
            check_received(&receiver, expected);
        }
        drop(attached);
        sender.send(b"z").expect("it is sent");
        check_received(&receiver, Some(b'z'));
    }
}

/// The one byte of the packet that was received; nothing where none was.
fn check_received(receiver: &UdpSocket, expected: Option<u8>) {
    let mut buffer = [0; 2];
    let received = receiver.recv(&mut buffer).map(|len| buffer[..len].to_vec()).ok();
    assert_eq!(received, expected.map(|byte| vec![byte]));
}

fn it_cant_be_asked() {
    let filter = load(FilterName::ValidCommand, Toolkit::Cbpf);
    assert_eq!(filter.verdicts().expect("it has none"), None);
    let check = |asked: Result<(), HookError>, reason: &str| {
        let error = asked.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("valid-command") && error.contains(reason), "{error}");
    };
    let no_descriptor = "no descriptor of classic BPF";
    check(filter.facts().map(drop), no_descriptor);
    check(filter.runs().map(drop), no_descriptor);
    check(filter.decide(&[0; 20], 1).map(drop), no_descriptor);
    check(filter.time(&[0; 20], 1, 1).map(drop), no_descriptor);
    check(filter.bare_loop(&[0; 20], 1).map(drop), no_descriptor);
    check(filter.counter().map(drop), "classic BPF has none");
    check(filter.parameter_map().map(drop), "classic BPF has none");
    let object = KernelFilter::object(FilterName::ValidCommand.into(), Toolkit::Cbpf, &Site::socket());
    check(object.map(drop), "isn't loaded from objects");
}

fn what_it_cant_do_is_refused() {
    let check = |filter: Filter, site: &Site, reason: &str| {
        let error = KernelFilter::load(filter, Toolkit::Cbpf, site).err();
        assert!(matches!(error, Some(HookError::Unavailable { .. })), "{filter:?}: {error:?}");
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(reason), "{error}");
    };
    for name in [FilterName::Parameterized, FilterName::Print, FilterName::Count] {
        check(name.into(), &Site::socket(), "classic BPF has no maps");
    }
    let at = |hook| Site { hook, ..Site::socket() };
    let is_no_sockets = |hook: &Hook| !matches!(hook.owner(), Owner::Socket | Owner::SharedPort);
    for hook in Hook::of_the_kernel().filter(is_no_sockets) {
        check(FilterName::ValidCommand.into(), &at(hook), "at sockets alone");
    }
    check(FilterName::ValidCommand.into(), &at(Hook::Reuseport), "it can't drop");
}
