//! The audit against real sockets: every drop of the flow is counted once, by its reason, and no other.

pub(crate) mod headers;

use std::{
    io::IoSlice,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    thread,
    time::{Duration, Instant},
};

use aya::programs::{loaded_links, loaded_programs};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::socket::{
        ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, sendmsg, setsockopt, sockopt,
    },
    unistd::Pid,
};
use weir_filters::{FilterName, Hook, audit::Flow};
use weir_hooks::{Attached, Audit, Drops, KernelFilter};
use weir_testing::received;

use crate::{Test, load, no_drop_reasons, once};

pub(crate) const TESTS: &[Test] = &[
    once("a_filters_drops_are_counted_to_the_packet", a_filters_drops_are_counted_to_the_packet)
        .unless(no_drop_reasons),
    once("a_full_buffers_drops_are_counted_to_the_packet", a_full_buffers_drops_are_counted_to_the_packet)
        .unless(no_drop_reasons),
    once("packets_unread_at_close_are_counted_apart", packets_unread_at_close_are_counted_apart)
        .unless(no_drop_reasons),
    once("a_port_without_a_socket_counts_as_elsewhere", a_port_without_a_socket_counts_as_elsewhere)
        .unless(no_drop_reasons),
    once("a_gso_send_counts_its_segments", a_gso_send_counts_its_segments).unless(no_drop_reasons),
    once("packets_that_are_read_are_no_drops", packets_that_are_read_are_no_drops).unless(no_drop_reasons),
    once("other_flows_are_not_counted", other_flows_are_not_counted).unless(no_drop_reasons),
    once("replies_are_counted_by_where_they_come_from", replies_are_counted_by_where_they_come_from)
        .unless(no_drop_reasons),
    once("an_unspecified_address_means_any", an_unspecified_address_means_any).unless(no_drop_reasons),
    once("senders_on_every_cpu_are_added_up", senders_on_every_cpu_are_added_up).unless(no_drop_reasons),
    once("two_audits_count_beside_each_other", two_audits_count_beside_each_other).unless(no_drop_reasons),
    once("a_dropped_audit_leaves_nothing", a_dropped_audit_leaves_nothing).unless(no_drop_reasons),
];

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const BOTH: [IpAddr; 2] = [V4, V6];

fn bind(ip: IpAddr) -> UdpSocket {
    UdpSocket::bind((ip, 0)).expect("a free port")
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("it is bound")
}

fn start(flow: Flow) -> Audit {
    Audit::start(flow).unwrap_or_else(|error| panic!("{error}"))
}

/// What was dropped, of which nothing may have gone uncounted.
fn read(audit: &Audit) -> Drops {
    let drops = audit.read().expect("read");
    assert!(drops.is_complete(), "{drops:?}");
    drops
}

fn reject(socket: &UdpSocket) -> (KernelFilter, Attached) {
    let filter = load(FilterName::Reject, Hook::Socket.default_toolkit());
    let attached = filter.attach(socket).expect("attach");
    (filter, attached)
}

fn send(to: SocketAddr, count: u64) {
    let sender = bind(loopback_of(to));
    for number in 0..count {
        sender.send_to(&number.to_le_bytes(), to).expect("send");
    }
}

fn loopback_of(address: SocketAddr) -> IpAddr {
    if address.is_ipv4() { V4 } else { V6 }
}

/// How many datagrams wait, all taken out.
fn drain(socket: &UdpSocket) -> u64 {
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    received(socket).len() as u64
}

/// The only reason, and how often.
fn check(audit: &Audit, reason: &str, expected: u64) {
    let drops = read(audit);
    assert_eq!(drops.reason(reason), expected, "{drops:?}");
    assert_eq!(drops.total(), expected, "{drops:?}");
}

fn a_filters_drops_are_counted_to_the_packet() {
    for ip in BOTH {
        let socket = bind(ip);
        let (filter, _attached) = reject(&socket);
        let audit = start(Flow::to(address(&socket)));
        check(&audit, "SOCKET_FILTER", 0);
        send(address(&socket), 1000);
        check(&audit, "SOCKET_FILTER", 1000);
        assert_eq!(filter.verdicts().expect("read").expect("counted").dropped, 1000);
        assert_eq!(read(&audit).socket_filter(), 1000);
    }
}

fn a_full_buffers_drops_are_counted_to_the_packet() {
    for ip in BOTH {
        let socket = bind(ip);
        setsockopt(&socket, sockopt::RcvBuf, &8192).expect("a buffer can be small");
        let audit = start(Flow::to(address(&socket)));
        send(address(&socket), 1000);
        let drops = read(&audit);
        let buffered = drain(&socket);
        assert!(buffered > 0 && buffered < 1000, "{buffered}");
        assert_eq!(drops.receive_buffer(), 1000 - buffered, "{drops:?}");
        check(&audit, "SOCKET_RCVBUFF", 1000 - buffered);
    }
}

fn packets_unread_at_close_are_counted_apart() {
    for ip in BOTH {
        let socket = bind(ip);
        let audit = start(Flow::to(address(&socket)));
        send(address(&socket), 50);
        // One read moves what waits to the reader's own queue, which is emptied otherwise.
        socket.recv(&mut [0; 16]).expect("one is there");
        send(address(&socket), 7);
        assert_eq!(read(&audit).total(), 0);
        drop(socket);
        // The kernel frees a UDP socket after an RCU grace period.
        let drops = eventually(|| Some(read(&audit)).filter(|drops| drops.total() >= 56));
        assert_eq!((drops.unread, drops.total()), (Some(56), 56), "{drops:?}");
    }
}

/// What comes within 5 s.
fn eventually<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match what() {
            Some(there) => return there,
            None => assert!(Instant::now() < deadline, "nothing came"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A port of which nobody has the address: its number is held on another one.
fn port_without_a_socket(ip: IpAddr) -> (UdpSocket, SocketAddr) {
    let holder = match ip {
        IpAddr::V4(_) => bind(Ipv4Addr::new(127, 0, 0, 2).into()),
        IpAddr::V6(_) => bind(V4),
    };
    let port = address(&holder).port();
    (holder, (ip, port).into())
}

fn a_port_without_a_socket_counts_as_elsewhere() {
    for ip in BOTH {
        let (_holder, nobody) = port_without_a_socket(ip);
        let audit = start(Flow::to(nobody));
        send(nobody, 100);
        check(&audit, "NO_SOCKET", 100);
        assert_eq!(read(&audit).elsewhere(), 100);
    }
}

/// One send of `segments` datagrams of 10 bytes each, the last of 5.
fn send_gso(to: SocketAddr, segments: usize) {
    let payload = vec![7; 10 * segments - 5];
    let sender = bind(loopback_of(to));
    match to {
        SocketAddr::V4(to) => send_segments(&sender, &payload, &SockaddrIn::from(to)),
        SocketAddr::V6(to) => send_segments(&sender, &payload, &SockaddrIn6::from(to)),
    }
}

fn send_segments(sender: &UdpSocket, payload: &[u8], to: &impl SockaddrLike) {
    let segments = [ControlMessage::UdpGsoSegments(&10)];
    let sent = sendmsg(sender.as_raw_fd(), &[IoSlice::new(payload)], &segments, MsgFlags::empty(), Some(to));
    assert_eq!(sent.expect("UDP GSO is in Linux 4.18"), payload.len());
}

fn a_gso_send_counts_its_segments() {
    for ip in BOTH {
        let socket = bind(ip);
        let (filter, _attached) = reject(&socket);
        let audit = start(Flow::to(address(&socket)));
        send_gso(address(&socket), 10);
        send_gso(address(&socket), 63);
        check(&audit, "SOCKET_FILTER", 73);
        assert_eq!(filter.verdicts().expect("read").expect("counted").dropped, 73);

        // Without a socket the packet is dropped in one piece.
        let (_holder, nobody) = port_without_a_socket(ip);
        let audit = start(Flow::to(nobody));
        send_gso(nobody, 10);
        send_gso(nobody, 63);
        check(&audit, "NO_SOCKET", 73);
    }
}

fn packets_that_are_read_are_no_drops() {
    for ip in BOTH {
        let socket = bind(ip);
        let audit = start(Flow::to(address(&socket)));
        for _ in 0..10 {
            send(address(&socket), 20);
            assert_eq!(drain(&socket), 20);
        }
        drop(socket);
        assert_eq!(read(&audit).total(), 0);
    }
}

fn other_flows_are_not_counted() {
    let [audited, other_port, other_family] = [bind(V4), bind(V4), bind(V6)];
    let same_port = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), address(&audited).port())).expect("free");
    let sockets = [&audited, &other_port, &other_family, &same_port];
    let _filters = sockets.map(reject);
    let audit = start(Flow::to(address(&audited)));
    for (socket, count) in sockets.into_iter().zip([3, 50, 50, 50]) {
        send(address(socket), count);
    }
    check(&audit, "SOCKET_FILTER", 3);
}

fn replies_are_counted_by_where_they_come_from() {
    for ip in BOTH {
        let (server, client) = (bind(ip), bind(ip));
        let _filter = reject(&client);
        let replies = start(Flow::from(address(&server)));
        let requests = start(Flow::to(address(&server)));
        for _ in 0..30 {
            server.send_to(b"1", address(&client)).expect("send");
        }
        send(address(&client), 10);
        check(&replies, "SOCKET_FILTER", 30);
        check(&requests, "SOCKET_FILTER", 0);
    }
}

fn an_unspecified_address_means_any() {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a free port");
    let port = address(&socket).port();
    let _filter = reject(&socket);
    let any = start(Flow::to(address(&socket)));
    let any_v4 = start(Flow::to((Ipv4Addr::UNSPECIFIED, port).into()));
    let mapped = start(Flow::to((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port).into()));
    send((V4, port).into(), 5);
    send((V6, port).into(), 70);
    send((Ipv4Addr::new(127, 0, 0, 9), port).into(), 200);
    check(&any, "SOCKET_FILTER", 275);
    check(&any_v4, "SOCKET_FILTER", 205);
    check(&mapped, "SOCKET_FILTER", 5);
}

fn senders_on_every_cpu_are_added_up() {
    let socket = bind(V4);
    let (filter, _attached) = reject(&socket);
    let to = address(&socket);
    let audit = start(Flow::to(to));
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("it is known");
    let cpus: Vec<_> = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).expect("in range")).collect();
    thread::scope(|scope| {
        for &cpu in &cpus {
            scope.spawn(move || {
                let mut only = CpuSet::new();
                only.set(cpu).expect("in range");
                sched_setaffinity(Pid::from_raw(0), &only).expect("it is allowed");
                send(to, 20_000);
            });
        }
    });
    check(&audit, "SOCKET_FILTER", 20_000 * cpus.len() as u64);
    assert_eq!(filter.verdicts().expect("read").expect("counted").dropped, 20_000 * cpus.len() as u64);
}

fn two_audits_count_beside_each_other() {
    let [one, two] = [bind(V4), bind(V6)];
    let _filters = [reject(&one), reject(&two)];
    let audits = [&one, &two].map(|socket| start(Flow::to(address(socket))));
    send(address(&one), 11);
    send(address(&two), 22);
    check(&audits[0], "SOCKET_FILTER", 11);
    check(&audits[1], "SOCKET_FILTER", 22);
}

fn a_dropped_audit_leaves_nothing() {
    let audit = start(Flow::to((V4, 9).into()));
    let id = audit.facts().expect("facts").id;
    let programs = || loaded_programs().filter_map(Result::ok).filter(|program| program.id() == id).count();
    let links = || loaded_links().filter_map(Result::ok).filter(|link| link.program_id() == id).count();
    assert_eq!((programs(), links()), (1, 1));
    drop(audit);
    assert_eq!(links(), 0, "it is detached at once");
    // The kernel frees what a tracepoint may be running still after an RCU grace period.
    eventually(|| (programs() == 0).then_some(()));
}
