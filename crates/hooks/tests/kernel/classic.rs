//! Filters in classic BPF on real sockets: packet by packet what the reference accepts is received.

use std::{io::ErrorKind, net::UdpSocket};

use weir_filters::{Binding, Filter, FilterName, Packet, Parameter, Verdict, corpus};
use weir_hooks::ClassicFilter;
use weir_wire::udp;

use crate::{Test, once};

pub(crate) const TESTS: &[Test] = &[
    once("classic_filters_decide_as_the_reference_on_a_socket", decide_as_the_reference),
    once("dropping_the_guard_detaches_a_classic_filter", dropping_the_guard_detaches),
];

/// Payloads for each filter.
const PAYLOADS: usize = 3000;

fn decide_as_the_reference() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
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
    let _attached =
        ClassicFilter::new(filter).expect("it needs no map").attach(&receiver).expect("it attaches");
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
    let (receiver, sender) = pair("127.0.0.1:0");
    let reject = ClassicFilter::new(FilterName::Reject.into()).expect("it needs no map");
    let attached = reject.attach(&receiver).expect("it attaches");
    sender.send(b"x").expect("it is sent");
    drop(attached);
    sender.send(b"y").expect("it is sent");
    let mut buffer = [0; 2];
    assert_eq!(receiver.recv(&mut buffer).expect("one is there"), 1);
    assert_eq!(buffer[0], b'y');
}

/// Over loopback a packet is delivered, or dropped, before `send` returns.
fn pair(address: &str) -> (UdpSocket, UdpSocket) {
    let receiver = UdpSocket::bind(address).expect("a free port");
    receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    let sender = UdpSocket::bind(address).expect("a free port");
    sender.connect(receiver.local_addr().expect("it is bound")).expect("UDP connects at once");
    (receiver, sender)
}
