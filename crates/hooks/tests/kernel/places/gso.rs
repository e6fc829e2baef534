//! Programs that read `gso_size` where the kernel has it, at hooks that aren't told of packets of several datagrams.

use std::{
    io::IoSlice,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use socket2::{Domain, Socket, Type};
use weir_filters::{Filter, FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Attached, HookError, Interface, KernelFilter, Target, XdpMode, gso_layout};
use weir_testing::received;

use super::setting::own_namespace;
use crate::{Test, no_gso, once};

pub(super) const TESTS: &[Test] = &[
    once("several_datagrams_in_one_packet_end_where_a_program_reads_that_they_are", several_end)
        .unless(no_gso),
    once("a_program_that_is_not_told_takes_no_place_of_one_that_is", no_successor_that_is_not_told)
        .unless(no_gso),
    once("a_program_for_generic_xdp_is_not_attached_in_a_driver", generic_only).unless(no_gso),
];

/// One of each way through a generated program.
const FILTERS: [&str; 6] = [
    "valid-command",
    "robust-valid-command",
    "print-filter",
    "count-filter",
    "quota+valid-command",
    "parameterized-filter",
];

fn several_end() {
    for hook in [Hook::Reuseport, Hook::Xdp] {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            for filter in FILTERS {
                own_namespace(move || {
                    let setting = Setting::new(hook, address);
                    let filter = setting.load(filter, Toolkit::Fun, SuperPackets::Drop);
                    let _attached = setting.attach(&filter).unwrap_or_else(|error| panic!("{error}"));
                    setting.check(&filter);
                });
            }
            own_namespace(move || Setting::new(hook, address).check_passing());
        }
    }
}

fn no_successor_that_is_not_told() {
    for hook in [Hook::Reuseport, Hook::Xdp] {
        own_namespace(move || {
            let setting = Setting::new(hook, "127.0.0.1:0");
            let filter = setting.load("valid-command", Toolkit::Fun, SuperPackets::Drop);
            let attached = setting.attach(&filter).unwrap_or_else(|error| panic!("{error}"));
            let other =
                filter.load_successor(FilterName::ValidCommand.into(), Toolkit::Aya).expect("root may");
            let shown = attached.replace(&other).expect_err("it isn't told").to_string();
            for part in ["replacing", "can come in by lo", "the toolkit fun write it"] {
                assert!(shown.contains(part), "no '{part}' in: {shown}");
            }
            let shown = setting.attach(&other).expect_err("it isn't told").to_string();
            assert!(shown.contains("can come in by lo"), "{shown}");
            let next = other.load_successor("quota+valid-command".parse().unwrap(), Toolkit::Fun);
            let next = next.expect("root may");
            attached.replace(&next).expect("it is told");
            setting.check(&next);
            let passing = setting.load("valid-command", Toolkit::Aya, SuperPackets::Pass);
            attached.replace(&passing).expect("they may pass");
        });
    }
}

fn generic_only() {
    own_namespace(|| {
        let setting = Setting::new(Hook::Xdp, "127.0.0.1:0");
        let filter = setting.load("valid-command", Toolkit::Fun, SuperPackets::Drop);
        let interface = Interface::named("lo").expect("every namespace has it");
        for mode in [XdpMode::Auto, XdpMode::Native] {
            let shown = filter.attach(Target::Xdp(&interface, mode)).expect_err("no driver").to_string();
            assert!(shown.contains("made for generic XDP"), "{mode}: {shown}");
        }
    });
}

/// A receiver and a sender on a loopback interface that hands on several datagrams in one packet, as by default.
struct Setting {
    hook: Hook,
    receiver: UdpSocket,
    sender: UdpSocket,
}

impl Setting {
    fn new(hook: Hook, address: &str) -> Self {
        let address: SocketAddr = address.parse().expect("an address");
        let receiver =
            Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket can be made");
        receiver.set_reuse_port(true).expect("an option can be set");
        receiver.bind(&address.into()).expect("a free port");
        let receiver = UdpSocket::from(receiver);
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        let sender = UdpSocket::bind(address).expect("a free port");
        Self { hook, receiver, sender }
    }

    fn load(&self, filter: &str, toolkit: Toolkit, super_packets: SuperPackets) -> KernelFilter {
        let filter: Filter = filter.parse().expect("a filter");
        let address = self.receiver.local_addr().expect("it is bound");
        let gso = gso_layout(self.hook).expect("Linux 6.2 with BTF");
        let site = Site { gso: Some(gso), super_packets, ..Site::new(self.hook, address) };
        KernelFilter::load(filter, toolkit, &site).unwrap_or_else(|error| panic!("{filter}: {error}"))
    }

    fn attach(&self, filter: &KernelFilter) -> Result<Attached, HookError> {
        let loopback = Interface::named("lo").expect("every namespace has it");
        filter.attach(match self.hook {
            Hook::Reuseport => Target::Reuseport(self.receiver.as_fd()),
            _ => Target::Xdp(&loopback, XdpMode::Generic),
        })
    }

    /// Of several datagrams in one packet none comes, a short one nor a long one that isn't in one piece; one alone does.
    fn check(&self, filter: &KernelFilter) {
        let counts = || filter.verdicts().expect("they can be read").expect("it counts");
        let before = counts();
        for (datagram_len, datagrams) in [(16, 2), (1000, 40)] {
            let datagram = [b"PUT".to_vec(), vec![b'x'; datagram_len - 3]].concat();
            self.send(&datagram.repeat(datagrams), datagram_len);
        }
        let after = counts();
        let what = format!("at {}", self.hook);
        assert_eq!((after.accepted, after.dropped), (before.accepted, before.dropped + 2), "{what}");
        self.send(b"GET1234", 7);
        let mut buffer = [0; 2000];
        assert_eq!(
            self.receiver.recv(&mut buffer).map(|len| buffer[..len].to_vec()).unwrap(),
            b"GET1234",
            "{what}"
        );
        assert_eq!(counts().accepted, before.accepted + 1, "{what}");
        self.receiver.set_nonblocking(true).expect("a socket can be non-blocking");
        let more = received(&self.receiver);
        self.receiver.set_nonblocking(false).expect("a socket can be blocking");
        assert!(more.is_empty(), "{what}: {more:?}");
    }

    /// Where they may pass, all come, unjudged.
    fn check_passing(&self) {
        let filter = self.load("valid-command", Toolkit::Fun, SuperPackets::Pass);
        let _attached = self.attach(&filter).unwrap_or_else(|error| panic!("{error}"));
        self.send(b"BAD1BAD2", 4);
        let received = || {
            let mut buffer = [0; 8];
            self.receiver.recv(&mut buffer).map(|len| buffer[..len].to_vec())
        };
        assert_eq!(received().expect("it comes"), b"BAD1", "at {}", self.hook);
        assert_eq!(received().expect("it comes"), b"BAD2", "at {}", self.hook);
        let counts = filter.verdicts().expect("they can be read").expect("it counts");
        assert_eq!((counts.accepted, counts.dropped), (0, 0), "at {}", self.hook);
    }

    /// In datagrams of `each` bytes, which go as one packet where they are several.
    fn send(&self, bytes: &[u8], each: usize) {
        let each = u16::try_from(each).expect("it fits a packet");
        let to = SockaddrStorage::from(self.receiver.local_addr().expect("it is bound"));
        let segments = ControlMessage::UdpGsoSegments(&each);
        let sent = sendmsg(
            self.sender.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &[segments],
            MsgFlags::empty(),
            Some(&to),
        );
        assert!(
            matches!(sent, Ok(len) if len == bytes.len()) || sent == Err(nix::Error::ECONNREFUSED),
            "{sent:?}"
        );
    }
}
