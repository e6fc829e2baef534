//! Where a kernel program runs, and for whose packets it decides there.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use weir_wire::endpoint;

use crate::{GsoLayout, Hook};

/// A place in the kernel's receive path: everything about it that goes into a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The hook.
    pub hook: Hook,
    /// Whose packets are decided; hooks that see one server's packets alone don't ask.
    pub endpoint: Endpoint,
    /// What becomes of packets that are several datagrams at once; hooks that never see one don't ask.
    pub super_packets: SuperPackets,
    /// How a program of the toolkit `fun` tells them at hooks whose context doesn't; nothing where it needn't, or can't.
    /// With it a program for xdp is one for generic XDP.
    pub gso: Option<GsoLayout>,
    /// Workers that share the server's port, between which a program at hook reuseport picks by a request's key
    /// ([`weir_wire::worker_of`]); with one there is nothing to pick.
    pub workers: u32,
    /// What the kernel can that the program is made for.
    pub features: Features,
}

/// What kernels can, as far as it decides how programs are written. Which of it a kernel can is probed, since
/// distributions take newer features into older kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Features {
    /// XDP programs for frames in several pieces (`BPF_F_XDP_HAS_FRAGS`), with `bpf_xdp_load_bytes` and
    /// `bpf_xdp_get_buff_len`: Linux 5.18. Without, an XDP program sees no such frame: the driver shows none, or takes no
    /// program where its frames are too large.
    pub xdp_frags: bool,
    /// Atomic instructions that give the old value (`BPF_CMPXCHG`): Linux 5.12. Without, CPUs that look at the same source
    /// at the same moment may each let a packet of it pass that its quota has room for once.
    pub compare_exchange: bool,
    /// Softirqs of a CPU never come between each other, as with PREEMPT_RT from Linux 6.18 on they may
    /// (CONFIG_PREEMPT_RT_NEEDS_BH_LOCK). Without, no guard is made a program that copies payloads to memory of its CPU.
    pub softirqs_apart: bool,
}

impl Features {
    /// Those of the newest kernels.
    pub const ALL: Self = Self { xdp_frags: true, compare_exchange: true, softirqs_apart: true };
}

/// A server's address and port, as packets name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address; unspecified stands for every address. `::` takes IPv4 packets too, as a socket bound to it does
    /// unless it is told otherwise (`IPV6_V6ONLY`, ipv6(7)).
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// What becomes of a packet for the server that segmentation offload made of several datagrams (UDP GSO, GRO), at a hook
/// that sees it before the kernel takes it apart: a decision about its first datagram would go for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SuperPackets {
    /// It ends there: nothing gets by unjudged.
    #[default]
    Drop,
    /// It goes on unjudged.
    Pass,
}

impl Site {
    /// At `hook`, for the server at `address`.
    pub fn new(hook: Hook, address: SocketAddr) -> Self {
        Self { hook, endpoint: address.into(), ..Self::socket() }
    }

    /// At the socket, where the packets are one server's already.
    pub const fn socket() -> Self {
        let endpoint = Endpoint { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), port: 0 };
        Self {
            hook: Hook::Socket,
            endpoint,
            super_packets: SuperPackets::Drop,
            gso: None,
            workers: 1,
            features: Features::ALL,
        }
    }

    /// The constant of an object compiled ahead of time.
    pub fn constant(&self) -> endpoint::Endpoint {
        let Endpoint { address, port } = self.endpoint;
        let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("a word is 4 bytes"));
        let mut words = [0; 4];
        match address {
            IpAddr::V4(address) => words[0] = word(&address.octets()),
            IpAddr::V6(address) => {
                for (to, from) in words.iter_mut().zip(address.octets().chunks(size_of::<u32>())) {
                    *to = word(from);
                }
            }
        }
        endpoint::Endpoint {
            address: words,
            port: port.to_be(),
            versions: (u8::from(self.endpoint.takes_ipv4()) * endpoint::V4)
                | (u8::from(self.endpoint.takes_ipv6()) * endpoint::V6),
            any_address: address.is_unspecified().into(),
            drop_super_packets: (self.super_packets == SuperPackets::Drop).into(),
            padding: [0; 3],
        }
    }
}

impl Endpoint {
    /// Whether IPv4 packets can be for it.
    pub fn takes_ipv4(&self) -> bool {
        self.address.is_ipv4() || self.address.is_unspecified()
    }

    /// Whether IPv6 packets can be for it.
    pub fn takes_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether packets to `address` and `port` are for it.
    pub fn is_reached_at(&self, address: IpAddr, port: u16) -> bool {
        self.takes(address) && self.port == port
    }

    /// Whether some packets to `address` come to it.
    pub(crate) fn takes(&self, address: IpAddr) -> bool {
        let takes_version = if address.is_ipv4() { self.takes_ipv4() } else { self.takes_ipv6() };
        takes_version && (self.address.is_unspecified() || self.address == address)
    }
}

impl From<SocketAddr> for Endpoint {
    /// An IPv4 address in IPv6's clothes (`::ffff:a.b.c.d`) is that IPv4 address.
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip().to_canonical(), port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_takes_its_address_its_port_and_what_its_wildcard_covers() {
        check("127.0.0.1:7", "127.0.0.1:7", true);
        check("127.0.0.1:7", "127.0.0.2:7", false);
        check("127.0.0.1:7", "127.0.0.1:8", false);
        check("0.0.0.0:7", "10.1.2.3:7", true);
        check("0.0.0.0:7", "[::1]:7", false);
        check("[::]:7", "10.1.2.3:7", true);
        check("[::]:7", "[fe80::1]:7", true);
        check("[::1]:7", "127.0.0.1:7", false);
        check("[::ffff:10.1.2.3]:7", "10.1.2.3:7", true);
    }

    fn check(endpoint: &str, reached: &str, expected: bool) {
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let reached = parse(reached);
        let endpoint = Endpoint::from(parse(endpoint));
        assert_eq!(
            endpoint.is_reached_at(reached.ip(), reached.port()),
            expected,
            "{endpoint:?} at {reached}"
        );
    }

    #[test]
    fn the_constant_has_address_and_port_in_network_byte_order() {
        let constant = Site::new(Hook::Xdp, "10.1.2.3:258".parse().expect("an address")).constant();
        assert_eq!(constant.address[0].to_ne_bytes(), [10, 1, 2, 3]);
        assert_eq!(constant.port.to_ne_bytes(), [1, 2]);
        assert_eq!((constant.versions, constant.any_address), (endpoint::V4, 0));
        let any = Site::new(Hook::Xdp, "[::]:1".parse().expect("an address")).constant();
        assert_eq!((any.versions, any.any_address), (endpoint::V4 | endpoint::V6, 1));
    }
}
