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
mod sysfs;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_results::{net::Side, topology::Segmentation};

pub use error::NetError;
pub use interface::LinkCounters;
pub use namespace::{Entered, Namespace};
pub use net::Net;

/// Where iproute2 keeps the names of namespaces (ip-netns(8)).
const NAMES: &str = "/run/netns";

/// Where the name of a side's namespace is.
pub fn name_path(side: Side) -> PathBuf {
    Path::new(NAMES).join(side.name())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_sets_what_it_names() {
        let settings: Settings = toml::from_str("segmentation = \"on\"\nreceive_on = [0]").unwrap();
        let expected =
            Settings { segmentation: Segmentation::On, receive_on: vec![0], ..Settings::default() };
        assert_eq!(settings, expected);
        assert!(toml::from_str::<Settings>("rps = 1").is_err());
    }
}
