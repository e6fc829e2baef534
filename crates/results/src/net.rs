//! A topology as a sample keeps it.

mod side;

pub use side::{PREFIX_V4, PREFIX_V6, Side, Sided};

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::topology::Topology;

/// A topology as a sample keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetRecord {
    /// Which it is.
    pub topology: Topology,
    /// The interface of each side; on loopback they are the same one.
    pub interfaces: Sided<InterfaceRecord>,
}

/// An interface: what a sample keeps of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceRecord {
    /// Its name.
    pub name: String,
    /// Its number in its namespace.
    pub index: u32,
    /// Whether packets go through it.
    pub up: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Bytes of the largest packet, without its Ethernet header.
    pub mtu: u32,
    /// What waits and schedules before it; `noqueue` where nothing does.
    pub queueing: String,
    /// Receive queues that it has room for.
    pub receive_queues: u32,
    /// Transmit queues that it has room for.
    pub transmit_queues: u32,
    /// Most segments that a super-packet through it may have.
    pub gso_max_segments: u32,
    /// Features and whether they are on, as `ethtool -k` calls them: segmentation, checksums, GRO.
    pub features: BTreeMap<String, bool>,
    /// Cores that what arrives in its first queue is received on (RPS); with none, on the core that it arrives on.
    /// Nothing where the kernel has no RPS.
    pub receive_on: Option<Vec<usize>>,
    /// Whether a thread of its own polls it (threaded NAPI); nothing where the kernel doesn't tell.
    pub threaded: Option<bool>,
}
