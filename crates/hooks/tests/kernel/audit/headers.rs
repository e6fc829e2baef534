//! The audit's way from the IP header to the port: options, extension headers, fragments.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    thread,
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket,
    },
};
use weir_filters::audit::Flow;

use super::{V4, V6, address, bind, check, drain, eventually, read, reject, start};
use crate::{Test, no_drop_reasons, once};

pub(crate) const TESTS: &[Test] = &[
    once("ipv4_options_and_ipv6_extensions_are_passed", ipv4_options_and_ipv6_extensions_are_passed)
        .unless(no_drop_reasons),
    once("a_fragmented_datagram_counts_once", a_fragmented_datagram_counts_once).unless(no_drop_reasons),
    once("fragments_without_a_port_are_counted_apart", fragments_without_a_port_are_counted_apart)
        .unless(no_drop_reasons),
];

/// Sets an option of a socket to bytes, for which nix has no type.
fn set_option(socket: &UdpSocket, level: i32, option: i32, value: &[u8]) {
    // SAFETY: the kernel reads `value.len()` bytes from `value`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "setsockopt: {}", std::io::Error::last_os_error());
}

fn ipv4_options_and_ipv6_extensions_are_passed() {
    // Four no-operations (RFC 791); 16 bytes with an option for experiments that who doesn't know it skips (RFC 4727).
    let no_operations = [1; 4];
    let unknown = [0, 1, 0x1e, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let v4 = (V4, vec![(libc::IPPROTO_IP, libc::IP_OPTIONS, &no_operations[..])]);
    let v6 = (
        V6,
        vec![
            (libc::IPPROTO_IPV6, libc::IPV6_HOPOPTS, &unknown[..]),
            (libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS, &unknown[..]),
        ],
    );
    for (ip, options) in [v4, v6] {
        let socket = bind(ip);
        let _filter = reject(&socket);
        let audit = start(Flow::to(address(&socket)));
        let sender = bind(ip);
        for (level, option, value) in options {
            set_option(&sender, level, option, value);
            for _ in 0..10 {
                sender.send_to(b"GET\0\0\0\0", address(&socket)).expect("send");
            }
        }
        let expected = if ip.is_ipv4() { 10 } else { 20 };
        check(&audit, "SOCKET_FILTER", expected);
    }
}

/// In a network namespace with an MTU of 1280 bytes; datagrams dropped, and datagrams read.
fn a_fragmented_datagram_counts_once() {
    thread::spawn(|| {
        for ip in enter_namespace(1280, 1) {
            let (rejecting, reading) = (bind(ip), bind(ip));
            let _filter = reject(&rejecting);
            let [dropped, read_by] = [&rejecting, &reading].map(|socket| start(Flow::to(address(socket))));
            let sender = bind(ip);
            for _ in 0..10 {
                sender.send_to(&[0; 5000], address(&rejecting)).expect("send");
                sender.send_to(&[0; 5000], address(&reading)).expect("send");
            }
            // A busy kernel puts reassembled datagrams together later.
            let mut drained = 0;
            weir_testing::wait_until("all have come", || {
                drained += drain(&reading);
                drained == 10
            });
            check(&dropped, "SOCKET_FILTER", 10);
            check(&read_by, "SOCKET_FILTER", 0);
            assert_eq!(read(&dropped).fragments, 0, "they went with their datagrams");
        }
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Puts this thread in a namespace of its own, which ends with it. The audit counts fragments by their address alone, in
/// every namespace: what comes back are addresses that nobody else sends to, one for each `number`.
fn enter_namespace(mtu: i32, number: u8) -> [IpAddr; 2] {
    unshare(CloneFlags::CLONE_NEWNET).expect("needs CAP_SYS_ADMIN");
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    // SAFETY: zeroes are a value of every field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    let flags = libc::IFF_UP as libc::c_short;
    for (call, value) in [
        (libc::SIOCSIFMTU, libc::__c_anonymous_ifr_ifru { ifru_mtu: mtu }),
        (libc::SIOCSIFFLAGS, libc::__c_anonymous_ifr_ifru { ifru_flags: flags }),
    ] {
        request.ifr_ifru = value;
        // SAFETY: the request lives, and has the field that the call reads.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), call as _, &request) };
        assert_eq!(result, 0, "ioctl: {}", std::io::Error::last_os_error());
    }
    let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into());
    add_to_loopback(v6);
    [Ipv4Addr::new(127, 77, 0, number).into(), v6.into()]
}

/// The loopback interface has all of 127.0.0.0/8, but one address of IPv6 (netdevice(7)).
fn add_to_loopback(address: Ipv6Addr) {
    const INDEX: i32 = 1;
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a free port");
    let mut request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr { s6_addr: address.octets() },
        ifr6_prefixlen: 128,
        ifr6_ifindex: INDEX,
    };
    // SAFETY: the request lives, and is what the call reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR as _, &raw mut request) };
    assert_eq!(result, 0, "ioctl: {}", std::io::Error::last_os_error());
}

/// A lone first fragment and a lone last one, which the kernel gives up waiting for after a second.
fn fragments_without_a_port_are_counted_apart() {
    thread::spawn(|| {
        for (ip, timeout) in
            enter_namespace(1280, 2).into_iter().zip(["ipv4/ipfrag_time", "ipv6/ip6frag_time"])
        {
            std::fs::write(format!("/proc/sys/net/{timeout}"), "1").expect("it can be set");
            let to = SocketAddr::new(ip, 9);
            let audit = start(Flow::to(to));
            send_raw(to, &fragment(to, 1, 0, true));
            send_raw(to, &fragment(to, 2, 8, false));
            let drops =
                eventually(|| Some(read(&audit)).filter(|drops| drops.total() + drops.fragments == 2));
            assert_eq!((drops.total(), drops.fragments), (1, 1), "{drops:?}");
        }
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// 16 bytes from byte `at` on of the datagram `id`: from its UDP header on where `at` is 0 (RFC 791, 8200, 768).
fn fragment(to: SocketAddr, id: u8, at: u8, more: bool) -> Vec<u8> {
    let place = (u16::from(at / 8)).to_be_bytes();
    let header = match to.ip() {
        IpAddr::V4(ip) => {
            let place = [place[0] | u8::from(more) << 5, place[1]];
            let fixed = [0x45, 0, 0, 36, 0, id, place[0], place[1], 64, 17, 0, 0];
            [&fixed[..], &ip.octets(), &ip.octets()].concat()
        }
        IpAddr::V6(ip) => {
            let fixed = [0x60, 0, 0, 0, 0, 24, 44, 64];
            let extension = [17, 0, 0, at & !7 | u8::from(more), 0, 0, 0, id];
            [&fixed[..], &ip.octets(), &ip.octets(), &extension].concat()
        }
    };
    [&header[..], &[0, 9, 0, to.port() as u8, 0, 24, 0, 0], &[0; 8]].concat()
}

/// Sends a packet with its IP header, whose checksum the kernel fills in (raw(7)).
fn send_raw(to: SocketAddr, packet: &[u8]) {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let raw = socket(family, SockType::Raw, SockFlag::empty(), SockProtocol::Raw).expect("needs CAP_NET_RAW");
    let to = SockaddrStorage::from(SocketAddr::new(to.ip(), 0));
    assert_eq!(sendto(raw.as_raw_fd(), packet, &to, MsgFlags::empty()).expect("send"), packet.len());
}
