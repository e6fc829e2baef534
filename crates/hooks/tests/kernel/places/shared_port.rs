//! Several sockets behind one port, and one program for them all.

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use weir_filters::{FilterName, Hook, Site, Toolkit};
use weir_hooks::{KernelFilter, Target, loadable};

use super::setting::{lo_without_super_packets, own_namespace};
use crate::{Test, each};

pub(super) const TESTS: &[Test] =
    &[each("every_socket_behind_a_port_is_filtered_and_gets_its_share", every_socket_is_filtered)];

/// So many that with a fair hash one socket gets none of them in one of 2⁶³ runs.
const SENDERS: usize = 64;

fn every_socket_is_filtered(toolkit: Toolkit) {
    if loadable(FilterName::ValidCommand.into(), toolkit, Hook::Reuseport).is_err() {
        return;
    }
    for address in ["127.0.0.1:0", "[::1]:0"] {
        own_namespace(move || {
            lo_without_super_packets();
            let first = receiver(address.parse().expect("an address"));
            let reached = first.local_addr().expect("it is bound");
            let receivers = [first, receiver(reached)];
            let site = Site::new(Hook::Reuseport, reached);
            let filter = KernelFilter::load(FilterName::ValidCommand.into(), toolkit, &site);
            let filter = filter.unwrap_or_else(|error| panic!("{toolkit}: {error}"));
            let attached = filter.attach(Target::Reuseport(receivers[0].as_fd()));
            let _attached = attached.unwrap_or_else(|error| panic!("{toolkit}: {error}"));
            for _ in 0..SENDERS {
                let sender = UdpSocket::bind(SocketAddr::new(reached.ip(), 0)).expect("a free port");
                for payload in [&b"BAD1234"[..], b"GET1234"] {
                    sender.send_to(payload, reached).expect("it is sent");
                }
            }
            let shares = receivers.each_ref().map(|receiver| {
                let mut buffer = [0; 16];
                let valid =
                    std::iter::from_fn(|| receiver.recv(&mut buffer).ok().map(|len| buffer[..len].to_vec()));
                valid.inspect(|payload| assert_eq!(payload, b"GET1234", "{toolkit}")).count()
            });
            assert!(shares.iter().all(|share| *share > 0), "{toolkit}: {shares:?}");
            assert_eq!(shares.iter().sum::<usize>(), SENDERS, "{toolkit}");
            let counts = filter.verdicts().expect("they can be read").expect("it counts");
            assert_eq!((counts.accepted, counts.dropped), (SENDERS as u64, SENDERS as u64), "{toolkit}");
        });
    }
}

/// One more of a port, which gives up where nothing is left: over loopback all has come by the time that it is sent.
pub(super) fn receiver(address: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket can be made");
    socket.set_reuse_port(true).expect("an option can be set");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
    socket.bind(&address.into()).expect("the port is free or shared");
    socket.into()
}
