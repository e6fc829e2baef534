//! Packets of several datagrams that a program writes to a tap, as a virtual machine does: nobody has counted them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    net::{Ipv4Addr, UdpSocket},
    os::fd::{AsFd as _, AsRawFd},
    time::Duration,
};

use weir_filters::{FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Interface, KernelFilter, Target, XdpMode, loadable};
use weir_wire::headers::{self, ethernet};

use super::setting::{lo_without_super_packets, own_namespace};
use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("tc_drops_several_datagrams_that_nobody_counted", tc_drops_several_datagrams).unless(no_segments),
    once("a_tap_is_refused_where_several_datagrams_go_for_one", a_tap_is_refused),
    once("an_interface_without_ethernet_is_refused", without_ethernet_is_refused),
    once("what_a_bridge_gets_from_a_tap_is_known", a_bridge_of_a_tap_is_refused),
];

const NAME: &str = "tap0";
/// SIOCBRADDBR and SIOCBRADDIF (include/uapi/linux/sockios.h).
const ADD_BRIDGE: libc::c_ulong = 0x89a0;
const ADD_TO_BRIDGE: libc::c_ulong = 0x89a2;
const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 2);

fn tc_drops_several_datagrams() {
    for toolkit in Toolkit::ALL {
        if loadable(FilterName::ValidCommand.into(), toolkit, Hook::Tc).is_err() {
            continue;
        }
        own_namespace(move || {
            let mut tap = Tap::up();
            let server = UdpSocket::bind((OURS, 0)).expect("a free port");
            server.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
            let address = server.local_addr().expect("it is bound");
            let several = [b"PUT".repeat(5), b"BAD".repeat(5)].concat();
            tap.send(address.port(), &several, 15).expect("the interface is up");
            let came = || server.recv(&mut [0; 32]).expect("it comes");
            assert_eq!([came(), came()], [15, 15], "the kernel takes them apart");

            let filter =
                KernelFilter::load(FilterName::ValidCommand.into(), toolkit, &Site::new(Hook::Tc, address));
            let filter = filter.unwrap_or_else(|error| panic!("{toolkit}: {error}"));
            let interface = Interface::named(NAME).expect("it was made");
            let _attached = filter.attach(Target::Tc(&interface)).unwrap_or_else(|error| panic!("{error}"));
            tap.send(address.port(), &several, 15).expect("the interface is up");
            tap.send(address.port(), b"GET1234", 0).expect("the interface is up");
            assert_eq!(came(), 7, "{toolkit}: what is one datagram alone");
        });
    }
}

fn a_tap_is_refused() {
    own_namespace(|| {
        lo_without_super_packets();
        let _tap = Tap::up();
        let server = UdpSocket::bind((OURS, 0)).expect("a free port");
        let address = server.local_addr().expect("it is bound");
        let interface = Interface::named(NAME).expect("it was made");
        let load = |hook, super_packets| {
            let site = Site { super_packets, ..Site::new(hook, address) };
            KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Fun, &site).expect("root may")
        };
        let refused = load(Hook::Xdp, SuperPackets::Drop);
        for mode in [XdpMode::Native, XdpMode::Generic] {
            let shown = refused.attach(Target::Xdp(&interface, mode)).expect_err("they come").to_string();
            assert!(shown.contains("come in by tap0, from the program"), "{mode}: {shown}");
        }
        let shared = load(Hook::Reuseport, SuperPackets::Drop);
        let shown = shared.attach(Target::Reuseport(server.as_fd())).expect_err("they come").to_string();
        assert!(shown.contains("come in by tap0, from the program"), "{shown}");
        let passing = load(Hook::Xdp, SuperPackets::Pass);
        drop(passing.attach(Target::Xdp(&interface, XdpMode::Native)).expect("they may pass"));
    });
}

fn without_ethernet_is_refused() {
    own_namespace(|| {
        let _tun = Tap::of(libc::IFF_TUN);
        let interface = Interface::named(NAME).expect("it was made");
        for target in [
            Target::Tc(&interface),
            Target::TcEgress(&interface),
            Target::Xdp(&interface, XdpMode::Generic),
            Target::Xdp(&interface, XdpMode::Auto),
        ] {
            let site =
                Site { super_packets: SuperPackets::Pass, ..Site::new(target.hook(), (OURS, 1).into()) };
            let filter =
                KernelFilter::load(FilterName::Reject.into(), Toolkit::Aya, &site).expect("root may");
            let shown = filter.attach(target).expect_err("there is none").to_string();
            assert!(shown.contains("packets of tap0 begin with no Ethernet header"), "{target:?}: {shown}");
        }
    });
}

fn a_bridge_of_a_tap_is_refused() {
    own_namespace(|| {
        let _tap = Tap::up();
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        // SAFETY: the name ends with a zero.
        let made = unsafe { libc::ioctl(socket.as_raw_fd(), ADD_BRIDGE, c"bridge0".as_ptr()) };
        assert_eq!(made, 0, "SIOCBRADDBR: {}", std::io::Error::last_os_error());
        let bridge = Interface::named("bridge0").expect("it was made");
        let site = Site::new(Hook::Xdp, (OURS, 1).into());
        let filter =
            KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Aya, &site).expect("root may");
        let attach = || filter.attach(Target::Xdp(&bridge, XdpMode::Generic));
        drop(attach().expect("nobody belongs to it"));

        let tap = Interface::named(NAME).expect("it was made").index();
        let tap = libc::__c_anonymous_ifr_ifru { ifru_ifindex: tap as libc::c_int };
        set("bridge0", &socket, ADD_TO_BRIDGE, tap);
        let shown = attach().expect_err("they come").to_string();
        assert!(shown.contains("come in by bridge0, from tap0 below it, from the program"), "{shown}");
    });
}

/// tun takes packets of several UDP datagrams since Linux 6.2.
fn no_segments() -> Option<String> {
    let sent = own_namespace(|| Tap::up().send(1, &[0; 30], 15).map_err(|error| error.raw_os_error()));
    (sent == Err(Some(libc::EINVAL))).then(|| "tun takes no packets of several UDP datagrams".to_owned())
}

/// An interface whose packets this process writes, each behind a `struct virtio_net_hdr`.
struct Tap(File);

impl Tap {
    fn up() -> Self {
        Self::of(libc::IFF_TAP)
    }

    /// With Ethernet headers (`IFF_TAP`) or without (`IFF_TUN`).
    fn of(kind: libc::c_int) -> Self {
        let open = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
        let tap = Self(open.expect("the kernel has tun"));
        let flags = (kind | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
        set(NAME, &tap.0, libc::TUNSETIFF as _, libc::__c_anonymous_ifr_ifru { ifru_flags: flags });
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        let mut address = libc::sockaddr { sa_family: libc::AF_INET as _, sa_data: [0; 14] };
        for (to, octet) in address.sa_data[2..].iter_mut().zip(OURS.octets()) {
            *to = octet as libc::c_char;
        }
        let address = libc::__c_anonymous_ifr_ifru { ifru_addr: address };
        set(NAME, &socket, libc::SIOCSIFADDR as _, address);
        let up = libc::IFF_UP as libc::c_short;
        set(NAME, &socket, libc::SIOCSIFFLAGS as _, libc::__c_anonymous_ifr_ifru { ifru_flags: up });
        tap
    }

    /// `payload` in one packet, of datagrams of `each` bytes where that isn't 0.
    fn send(&mut self, port: u16, payload: &[u8], each: u16) -> io::Result<()> {
        const NEEDS_CHECKSUM: u8 = 1;
        const UDP: u8 = 5;
        let kind = if each == 0 { 0 } else { UDP };
        let [header_len, checksum_at, checksum_in] = [42_u16, 34, 6].map(u16::to_ne_bytes);
        let virtio =
            [&[NEEDS_CHECKSUM, kind][..], &header_len, &each.to_ne_bytes(), &checksum_at, &checksum_in]
                .concat();

        let udp_len = (8 + payload.len()) as u16;
        let addresses = [THEIRS.octets(), OURS.octets()].concat();
        let total = (20 + udp_len).to_be_bytes();
        let mut ip = [&[0x45, 0][..], &total, &[0, 1, 0, 0, 64, headers::UDP, 0, 0], &addresses].concat();
        let checksum = !sum(&ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        // The sum of what lies before the header, which the card that it was meant for would go on with.
        let begun = sum(&[&addresses[..], &[0, headers::UDP], &udp_len.to_be_bytes()].concat());
        let udp = [5555, port, udp_len, begun].map(u16::to_be_bytes).concat();
        let ethernet = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &ethernet::IPV4.to_be_bytes()].concat();
        let packet = [&virtio[..], &ethernet, &ip, &udp, payload].concat();
        let written = self.0.write(&packet)?;
        assert_eq!(written, packet.len());
        Ok(())
    }
}

/// An ioctl(2) for an interface.
fn set(interface: &str, descriptor: &impl AsRawFd, call: libc::c_ulong, value: libc::__c_anonymous_ifr_ifru) {
    // SAFETY: zeroes are a value of every field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = byte as libc::c_char;
    }
    request.ifr_ifru = value;
    // SAFETY: the request lives, and has the field that the call reads.
    let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), call, &request) };
    assert_eq!(result, 0, "ioctl: {}", std::io::Error::last_os_error());
}

/// RFC 1071, without the complement.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}
