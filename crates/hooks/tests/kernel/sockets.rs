//! Sockets of other processes: found by their port, and filtered without being kept open.

use std::{
    net::{SocketAddr, UdpSocket},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    process::Command,
};

use nix::{
    setsockopt_impl, sockopt_impl,
    sys::socket::{setsockopt, sockopt::UdpGroSegment},
};
use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::{
    Attached, BoundSocket, HookError, KernelFilter, SocketHolder, SocketHolders, SocketRefusal,
    in_own_network,
};
use weir_testing::{ControlGroup, received, send};

use crate::{Test, load, once, pair};

pub(super) const TESTS: &[Test] = &[
    once("sockets_are_found_by_their_port", are_found_by_their_port),
    once("a_sockets_control_group_is_told", a_control_group_is_told),
    once("a_filtered_socket_of_anothers_is_not_kept_open", is_not_kept_open),
    once("a_socket_that_takes_no_filter_is_refused_and_left_alone", is_refused_and_left_alone),
    once("a_socket_whose_filter_is_locked_says_so", a_locked_one_says_so),
    once("a_socket_that_the_kernel_serves_is_refused", the_kernels_is_refused),
    once("another_program_takes_the_place_at_anothers_socket", another_takes_its_place),
];

sockopt_impl!(
    /// Who takes what comes to a socket.
    UdpEncap,
    SetOnly,
    libc::SOL_UDP,
    libc::UDP_ENCAP,
    i32
);
sockopt_impl!(
    /// Whether nobody may change the filter of a socket.
    LockFilter,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_LOCK_FILTER,
    i32
);
/// UDP_ENCAP_L2TPINUDP, include/uapi/linux/udp.h.
const L2TP: i32 = 3;

fn reject() -> KernelFilter {
    load(FilterName::Reject, Toolkit::Fun)
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("it is bound")
}

/// The only socket on the port of this one, and how this process has it.
fn found(socket: &UdpSocket) -> (BoundSocket, SocketHolder) {
    let all = BoundSocket::on_port(address(socket).port()).expect("the kernel has the table");
    let [only] = all.try_into().expect("it has the port alone");
    let holder = SocketHolders::of(std::slice::from_ref(&only)).one_of(&only).expect("this process has it");
    assert_eq!(holder.process, std::process::id());
    (only, holder)
}

fn attach(filter: &KernelFilter, socket: &UdpSocket) -> Result<Attached, HookError> {
    let (bound, holder) = found(socket);
    filter.attach_to_anothers(&bound, holder)
}

fn are_found_by_their_port() {
    for any in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let socket = UdpSocket::bind(any).expect("a free port");
        let (bound, _) = found(&socket);
        assert_eq!((bound.local, bound.remote), (address(&socket), None));
        let peer = UdpSocket::bind(any.replace("::]", "::1]")).expect("a free port");
        socket.connect(address(&peer)).expect("UDP connects at once");
        assert_eq!(found(&socket).0.remote, Some(address(&peer)));
        drop(socket);
        let port = bound.local.port();
        assert_eq!(BoundSocket::on_port(port).expect("the kernel has the table"), []);
    }
}

fn a_control_group_is_told() {
    let group = ControlGroup::new();
    let socket = group.within(|| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    let folder = std::fs::File::from(group.as_fd().try_clone_to_owned().expect("a descriptor"));
    let inode = folder.metadata().expect("it is open").ino();
    // Distributions take the attribute of 5.8 into older kernels; nobody has removed it.
    assert_eq!(found(&socket).0.group, Some(inode));
}

fn is_not_kept_open() {
    let filter = reject();
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let (receiver, sender) = pair(any);
        let attached = attach(&filter, &receiver).expect("it has no filter");
        send(&sender, b"dropped");
        assert_eq!(received(&receiver), Vec::<Vec<u8>>::new());
        attached.detach().expect("it is there");
        send(&sender, b"passes");
        assert_eq!(received(&receiver), [b"passes"]);

        let attached = attach(&filter, &receiver).expect("it has none any more");
        let place = address(&receiver);
        drop(receiver);
        // The service is started again.
        let receiver = UdpSocket::bind(place).expect("nobody else has the port");
        receiver.set_nonblocking(true).expect("it can be");
        attached.detach().expect("nothing is left to do");
        let _own = attach(&filter, &receiver).expect("it is another socket, without a filter");
    }
}

fn is_refused_and_left_alone() {
    let filter = reject();
    let refused = |socket: &UdpSocket, expected| match attach(&filter, socket) {
        Err(HookError::RefusedSocket { refusal, .. }) => assert_eq!(refusal, expected),
        other => panic!("{other:?}, not {expected:?}"),
    };
    let (receiver, sender) = pair("127.0.0.1:0");
    let classic = KernelFilter::load(FilterName::Simple.into(), Toolkit::Cbpf, &Site::socket());
    for (owners, kind) in [
        (load(FilterName::Simple, Toolkit::Fun), "an eBPF program"),
        (classic.expect("classic filters need nothing"), "a classic filter"),
    ] {
        let attached = owners.attach(&receiver).expect("it is our own");
        refused(&receiver, SocketRefusal::HasFilter(kind));
        send(&sender, b"passes");
        assert_eq!(received(&receiver), [b"passes"]);
        drop(attached);
    }
    let other = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    setsockopt(&other, UdpEncap, &L2TP).expect("any socket may");
    refused(&other, SocketRefusal::Encapsulates);
    setsockopt(&receiver, UdpGroSegment, &true).expect("any socket may");
    match attach(&filter, &receiver) {
        // Linux before 5.17 doesn't tell.
        Ok(_) => assert!(nix::sys::socket::getsockopt(&receiver, UdpGroSegment).is_err()),
        Err(_) => refused(&receiver, SocketRefusal::Coalesces),
    }
}

fn a_locked_one_says_so() {
    let filter = reject();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let attached = attach(&filter, &socket).expect("it is free");
    setsockopt(&socket, LockFilter, &1).expect("any socket may");
    let error = attached.detach().expect_err("it is locked").to_string();
    assert!(error.contains("SO_DETACH_BPF") && error.contains("not permitted"), "{error}");
    let other = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    setsockopt(&other, LockFilter, &1).expect("any socket may");
    let error = attach(&filter, &other).expect_err("it is locked").to_string();
    assert!(error.contains("has locked its filter"), "{error}");
}

fn the_kernels_is_refused() {
    in_own_network(|| {
        for line in ["link add tunnel type vxlan id 7 dstport 4789 local 127.0.0.1", "link set tunnel up"] {
            let done = Command::new("ip").args(line.split(' ')).status().expect("iproute2 is there");
            assert!(done.success(), "{line}");
        }
        let all = BoundSocket::on_port(4789).expect("the kernel has the table");
        let [socket] = &all[..] else { panic!("{all:?}") };
        match SocketHolders::of(&all).one_of(socket) {
            Err(HookError::RefusedSocket { refusal, .. }) => assert_eq!(refusal, SocketRefusal::HasNoProcess),
            other => panic!("{other:?}"),
        }
    })
    .expect("root may");
}

fn another_takes_its_place() {
    let (receiver, sender) = pair("127.0.0.1:0");
    let filter = reject();
    let attached = attach(&filter, &receiver).expect("it has no filter");
    attached.replace(&load(FilterName::Simple, Toolkit::Fun)).expect("the socket is there");
    send(&sender, b"passes");
    assert_eq!(received(&receiver), [b"passes"]);
    drop(receiver);
    attached.replace(&filter).expect("nothing is there to be replaced");
}
