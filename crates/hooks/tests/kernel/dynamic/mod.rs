//! Filters with a memory in the kernel: on real sockets, by IPv4 and IPv6, from several sources; and packet by packet as
//! the reference with a memory decides, where the kernel runs them on given bytes.

mod by_key;
mod by_source;
mod taking_over;

use std::net::{SocketAddr, UdpSocket};

use weir_filters::{
    Binding, Filter, FilterName, Moment, Packet, Parameter, Reference, Site, Toolkit, corpus,
};
use weir_hooks::KernelFilter;

use crate::{Test, once};

const TESTS: &[Test] =
    &[once("every_filter_decides_behind_a_guard_as_the_reference", || both(every_filter_behind_a_guard))];

pub(crate) fn tests() -> Vec<Test> {
    [TESTS, by_key::TESTS, by_source::TESTS, taking_over::TESTS].concat()
}

/// A test run at the socket has no source, so that guards pass everything on: what is left is the last one's decision.
fn every_filter_behind_a_guard(toolkit: Toolkit) {
    for name in FilterName::ALL.into_iter().filter(|name| name.source_check().is_none()) {
        let chain: Filter = format!("blocklist+{name}").parse().expect("a chain");
        let with = |parameter| Binding::ALL.map(|binding| Filter { parameter, binding, ..chain });
        let all = Parameter::ALL.into_iter().flat_map(with);
        for filter in all.take(if name == FilterName::Parameterized { usize::MAX } else { 1 }) {
            let program = load_filter(toolkit, filter, &Site::socket());
            let mut reference = Reference::new(filter);
            for packet in corpus::swept().step_by(5) {
                let expected = reference.decide(Packet::from_udp(&packet), None, Moment::ZERO);
                let decided = program.decide(&packet, 1).expect("a test run");
                assert_eq!(decided, expected, "{filter:?} by {toolkit}: {packet:02x?}");
            }
        }
    }
}

/// The test with either toolkit that has such filters.
fn both(test: fn(Toolkit)) {
    [Toolkit::Fun, Toolkit::Aya].into_iter().for_each(test);
}

fn load(toolkit: Toolkit, chain: &str, site: &Site) -> KernelFilter {
    load_filter(toolkit, chain.parse().expect("a chain"), site)
}

fn load_filter(toolkit: Toolkit, filter: Filter, site: &Site) -> KernelFilter {
    let loaded = KernelFilter::load(filter, toolkit, site);
    loaded.unwrap_or_else(|error| panic!("{filter} by {toolkit} at {}: {error}", site.hook))
}

fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    let address = socket.local_addr().expect("it is bound");
    (socket, address)
}

fn sender(address: &str) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("an address of this machine")
}

/// How many packets have come.
fn received(socket: &UdpSocket) -> usize {
    weir_testing::received(socket).len()
}
