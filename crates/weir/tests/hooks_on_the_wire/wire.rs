//! A veth pair with a server at one end, a filter at one of its hooks, and frames of our own sent from the other.

use std::{
    net::{IpAddr, Ipv6Addr, TcpListener, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::Duration,
};

use nix::{
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send,
            setsockopt, socket, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
};
use weir_filters::{Filter, FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Attached, Interface, KernelFilter, Owners, XdpMode};
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::ControlGroup;

use crate::frames::{Mac, Path};

/// A column of the page's table.
pub(crate) type Column = (Hook, XdpMode);

pub(crate) const COLUMNS: [Column; 6] = [
    (Hook::Socket, XdpMode::Auto),
    (Hook::Reuseport, XdpMode::Auto),
    (Hook::Cgroup, XdpMode::Auto),
    (Hook::Tc, XdpMode::Auto),
    (Hook::Xdp, XdpMode::Native),
    (Hook::Xdp, XdpMode::Generic),
];

/// How long anything may take that comes at all.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Wire {
    pub(crate) net: Net,
    /// Sends and receives frames at the client's interface.
    raw: OwnedFd,
    macs: (Mac, Mac),
    group: ControlGroup,
    /// Whose packets a filter decides.
    pub(crate) server: UdpSocket,
    /// Another's, to which markers go.
    pub(crate) other: UdpSocket,
    pub(crate) listener: TcpListener,
}

impl Wire {
    pub(crate) fn new(mtu: u32) -> Self {
        let net = Net::up(Topology::Veth, &Settings { mtu, ..Settings::default() }).expect("root may");
        let link = |side| net.within(side, || link_address(side.name())).expect("root may");
        let (client, server) = (link(Side::Client), link(Side::Server));
        let mac = |link: LinkAddr| link.addr().expect("Ethernet has addresses");
        let raw = net.within(Side::Client, || packet_socket(&client)).expect("root may");
        let group = ControlGroup::new();
        let any = (Ipv6Addr::UNSPECIFIED, 0);
        let inside = || {
            group.within(|| {
                let udp = || socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None);
                let shared = udp().expect("a socket");
                shared.set_reuse_port(true).expect("Linux 3.9");
                shared.bind(&std::net::SocketAddr::from(any).into()).expect("a free port");
                let listener = TcpListener::bind(any).expect("a free port");
                (UdpSocket::from(shared), UdpSocket::bind(any).expect("a free port"), listener)
            })
        };
        let (server_socket, other, listener) = net.within(Side::Server, inside).expect("root may");
        server_socket.set_nonblocking(true).expect("it can be");
        other.set_read_timeout(Some(PATIENCE)).expect("it can be");
        Self { net, raw, macs: (mac(client), mac(server)), group, server: server_socket, other, listener }
    }

    /// From the client's address to the server's.
    pub(crate) fn path(&self, v6: bool) -> Path {
        let address = |side: Side| -> IpAddr { if v6 { side.ipv6().into() } else { side.ipv4().into() } };
        Path { macs: self.macs, addresses: (address(Side::Client), address(Side::Server)) }
    }

    /// Attaches the filter that drops everything for the server. The pair has segmentation offload off, which the
    /// program's end can't see.
    pub(crate) fn attach(&self, column: Column) -> (KernelFilter, Attached) {
        self.attach_filter(column, FilterName::Reject.into(), Toolkit::Fun)
    }

    /// The same with another filter.
    pub(crate) fn attach_filter(
        &self,
        (hook, mode): Column,
        filter: Filter,
        toolkit: Toolkit,
    ) -> (KernelFilter, Attached) {
        let address = self.server.local_addr().expect("it is bound");
        let site = Site { super_packets: SuperPackets::Pass, ..Site::new(hook, address) };
        let filter = KernelFilter::load(filter, toolkit, &site)
            .unwrap_or_else(|error| panic!("{filter} by {toolkit}: {error}"));
        let attach = || {
            let interface = Interface::named(Side::Server.name()).expect("it is there");
            filter.attach_to(Owners {
                socket: Some(self.server.as_fd()),
                group: Some(self.group.as_fd()),
                interface: Some(&interface),
                xdp_mode: mode,
            })
        };
        let attached = self.net.within(Side::Server, attach).expect("root may");
        let attached = attached.unwrap_or_else(|error| panic!("{hook} {mode}: {error}"));
        (filter, attached)
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = send(self.raw.as_raw_fd(), frame, MsgFlags::empty());
        assert_eq!(sent.expect("it is sent"), frame.len());
    }

    /// Waits until everything that was sent before is dealt with: packets stay in order.
    pub(crate) fn settle(&self) {
        let port = self.other.local_addr().expect("it is bound").port();
        let path = self.path(false);
        self.send(&path.frame(&path.packet(weir_wire::headers::UDP, &path.udp(port, b"marker", true))));
        let mut buffer = [0; 16];
        let len = self.other.recv(&mut buffer).expect("other ports are open");
        assert_eq!(&buffer[..len], b"marker");
    }

    /// Whether a frame that `is_reply` comes back.
    pub(crate) fn is_answered(&self, is_reply: impl Fn(&[u8]) -> bool) -> bool {
        let mut buffer = [0; 2048];
        while let Ok(len) = recv(self.raw.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            if is_reply(&buffer[..len]) {
                return true;
            }
        }
        false
    }
}

fn link_address(name: &str) -> LinkAddr {
    let found = getifaddrs()
        .expect("interfaces can be asked for")
        .find_map(|entry| entry.address.filter(|_| entry.interface_name == name)?.as_link_addr().copied());
    found.expect("every interface has one")
}

fn packet_socket(link: &LinkAddr) -> OwnedFd {
    let raw = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll);
    let raw = raw.expect("needs CAP_NET_RAW");
    bind(raw.as_raw_fd(), link).expect("it is an interface of this namespace");
    setsockopt(&raw, ReceiveTimeout, &TimeVal::new(PATIENCE.as_secs() as i64, 0)).expect("it can be");
    raw
}
