//! Where server and client stand to each other: on the loopback interface, or at the two ends of a veth pair.
//!
//! Over loopback the whole receive path runs on the sender's core. A pair of virtual interfaces (veth(4)) lets the
//! receive work be steered to the server's core, and gives hooks below the socket (XDP, tc) an interface of their
//! own. Both ends are in network namespaces that we make, not one of them in the host's:
//!
//! - nothing appears in the host's network, no address can collide, and the host's firewall and connection tracking
//!   don't run on the packets that are measured;
//! - a namespace that only file descriptors and processes hold is destroyed by the kernel with the last of them, its
//!   interfaces included (network_namespaces(7)): a killed harness leaves nothing.
//!
//! `net.core.rmem_default` and `rmem_max` are the same in every namespace, and so are the per-core figures of
//! `/proc/net/softnet_stat`; `/proc/net/udp` is each namespace's own (read it [within](Net::within), as
//! `/proc/thread-self/net/udp`). The rest of `net.ipv4` starts at the kernel's defaults in a new namespace.

mod error;
mod interface;
mod mask;
pub mod named;
mod namespace;
mod net;
mod pair;
mod proof;
mod route;
mod side;
mod sysfs;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use error::NetError;
pub use interface::{Interface, LinkCounters};
pub use namespace::{Inside, Namespace};
pub use net::{Net, NetRecord};
pub use side::{Side, Sided};

/// How server and client are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// Both on the loopback interface of the namespace that we are in.
    #[default]
    Loopback,
    /// Each at its end of a veth pair, in a network namespace of its own.
    Veth,
}

impl Topology {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Loopback, Self::Veth];

    /// The word that command lines, definitions and samples use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Veth => "veth",
        }
    }
}

/// Whether packets may cross the pair unsegmented, many datagrams (or much of a TCP stream) in one.
///
/// With it a UDP GSO send arrives as one super-packet, which only the socket cuts up: what runs below the socket
/// sees one packet for many. Without it every datagram is a packet of its own, as on a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segmentation {
    /// Whole: the interfaces take super-packets (`tx-*-segmentation` on, as the kernel makes a pair).
    On,
    /// Cut up before they cross.
    #[default]
    Off,
}

impl Segmentation {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::On, Self::Off];

    /// The word that command lines, definitions and samples use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// How a pair is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Segmentation offload of both ends.
    pub segmentation: Segmentation,
    /// Bytes of a packet without its Ethernet header, 1280 (IPv6's least) to 65535.
    pub mtu: u32,
    /// The cores that what arrives at the server's end is received on (RPS, `rps_cpus`); with none, on the core that
    /// sent it.
    pub receive_on: Vec<usize>,
    /// The same for the client's end, where replies arrive.
    pub replies_on: Vec<usize>,
}

impl Settings {
    /// The cores that what arrives at the end of `side` is received on.
    fn receives_on(&self, side: Side) -> &[usize] {
        match side {
            Side::Server => &self.receive_on,
            Side::Client => &self.replies_on,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segmentation: Segmentation::default(),
            mtu: 1500,
            receive_on: Vec::new(),
            replies_on: Vec::new(),
        }
    }
}

macro_rules! words {
    ($($name:ident: $what:literal),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|value| value.as_str() == word);
                found.ok_or_else(|| {
                    let words = Self::ALL.map(Self::as_str);
                    format!("there is no {} '{word}'; it is one of {}", $what, words.join(", "))
                })
            }
        }
    )*};
}

words!(Topology: "topology", Segmentation: "segmentation");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_others_are_refused() {
        for topology in Topology::ALL {
            assert_eq!(topology.to_string().parse(), Ok(topology));
            assert_eq!(serde_json::to_value(topology).unwrap(), topology.as_str());
        }
        for segmentation in Segmentation::ALL {
            assert_eq!(segmentation.to_string().parse(), Ok(segmentation));
            assert_eq!(serde_json::to_value(segmentation).unwrap(), segmentation.as_str());
        }
        assert_eq!(
            "bridge".parse::<Topology>().unwrap_err(),
            "there is no topology 'bridge'; it is one of loopback, veth"
        );
    }

    #[test]
    fn a_definition_sets_what_it_names() {
        let settings: Settings = toml::from_str("segmentation = \"on\"\nreceive_on = [0]").unwrap();
        let expected =
            Settings { segmentation: Segmentation::On, receive_on: vec![0], ..Settings::default() };
        assert_eq!(settings, expected);
        assert!(toml::from_str::<Settings>("rps = 1").is_err());
    }
}
