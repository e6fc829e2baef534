//! Filters with a memory in the kernel: on real sockets, by IPv4 and IPv6, from several sources; and packet by packet as
//! the reference with a memory decides, where the kernel runs them on given bytes.

mod by_key;
mod by_source;
mod taking_over;

use std::net::{SocketAddr, UdpSocket};

use weir_filters::{Filter, Site, Toolkit};
use weir_hooks::KernelFilter;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    [by_key::TESTS, by_source::TESTS, taking_over::TESTS].concat()
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
