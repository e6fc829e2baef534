//! What an interface is, how it is set and what it has counted, as it is told by the kernel.

use std::io;

use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, State, Stats64};
use serde::{Deserialize, Serialize};
use weir_hooks::ethtool::Ethtool;
use weir_results::net::InterfaceRecord;

use super::{NetError, mask, route::Route, sysfs::Sysfs};

/// Segmentation offload, the features that [`weir_results::topology::Segmentation`] switches (`ethtool -k`).
pub(super) const SEGMENTATION: [&str; 4] =
    ["tx-generic-segmentation", "tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"];
/// Other features that change what a packet costs or how many there are.
const FEATURES: [&str; 6] = [
    "rx-checksum",
    "rx-gro",
    "rx-gro-list",
    "rx-udp-gro-forwarding",
    "tx-checksum-ip-generic",
    "tx-scatter-gather",
];
/// The receive queue of an interface that has one, and its cores (Documentation/networking/scaling).
pub(super) const RPS_CPUS: &str = "queues/rx-0/rps_cpus";

/// What an interface has counted since it was made (`ip -s link`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Packets that arrived; a super-packet is one.
    pub received: u64,
    /// Bytes that arrived.
    pub received_bytes: u64,
    /// Packets that were sent, likewise.
    pub sent: u64,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Packets that arrived and were dropped before a protocol saw them: for want of room in a core's backlog
    /// (`net.core.netdev_max_backlog`) among others. The end that sent them counts them as dropped, too.
    pub dropped_received: u64,
    /// Packets that were to be sent and were dropped.
    pub dropped_sent: u64,
}

impl LinkCounters {
    /// What was counted since `earlier`, of the same interface.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            received_bytes: self.received_bytes - earlier.received_bytes,
            sent: self.sent - earlier.sent,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            dropped_received: self.dropped_received - earlier.dropped_received,
            dropped_sent: self.dropped_sent - earlier.dropped_sent,
        }
    }
}

impl From<&Stats64> for LinkCounters {
    fn from(stats: &Stats64) -> Self {
        Self {
            received: stats.rx_packets,
            received_bytes: stats.rx_bytes,
            sent: stats.tx_packets,
            sent_bytes: stats.tx_bytes,
            dropped_received: stats.rx_dropped,
            dropped_sent: stats.tx_dropped,
        }
    }
}

/// Everything about the interface `name` of the calling thread's namespace; `sysfs` is that namespace's.
pub(super) fn describe(name: &str, sysfs: &Sysfs) -> Result<InterfaceRecord, NetError> {
    let failed = || NetError::tried(format!("reading how interface {name} is set"));
    let route = Route::open().map_err(failed())?;
    let link = route.link(name).map_err(failed())?;
    let ethtool = Ethtool::open().map_err(failed())?;
    let features = [SEGMENTATION.as_slice(), &FEATURES].concat();
    let number = |pick: fn(&LinkAttribute) -> Option<u32>| attribute(&link, pick).unwrap_or(0);
    Ok(InterfaceRecord {
        name: name.to_owned(),
        index: link.header.index,
        up: is_up(&link),
        addresses: route.addresses(link.header.index).map_err(failed())?,
        mtu: number(|attribute| if let LinkAttribute::Mtu(mtu) = attribute { Some(*mtu) } else { None }),
        queueing: attribute(&link, |attribute| match attribute {
            LinkAttribute::Qdisc(name) => Some(name.clone()),
            _ => None,
        })
        .unwrap_or_default(),
        receive_queues: number(|attribute| match attribute {
            LinkAttribute::NumRxQueues(queues) => Some(*queues),
            _ => None,
        }),
        transmit_queues: number(|attribute| match attribute {
            LinkAttribute::NumTxQueues(queues) => Some(*queues),
            _ => None,
        }),
        gso_max_segments: number(|attribute| match attribute {
            LinkAttribute::GsoMaxSegs(segments) => Some(*segments),
            _ => None,
        }),
        features: ethtool.features(name, &features).map_err(failed())?,
        receive_on: sysfs.read(name, RPS_CPUS).ok().and_then(|text| mask::cores(&text)),
        threaded: sysfs.read(name, "threaded").ok().map(|text| text.trim() != "0"),
    })
}

/// What the interface `name` of the calling thread's namespace has counted.
pub(super) fn counters(name: &str) -> Result<LinkCounters, NetError> {
    let failed = || NetError::tried(format!("reading the counters of interface {name}"));
    let link = Route::open().and_then(|route| route.link(name)).map_err(failed())?;
    let counters = attribute(&link, |attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(LinkCounters::from(stats)),
        _ => None,
    });
    counters.ok_or(io::Error::from(io::ErrorKind::Unsupported)).map_err(failed())
}

/// Whether packets that are sent through it arrive at its other end. Up alone is not enough: until the kernel has
/// seen the carrier, what is sent is dropped.
pub(super) fn is_up(link: &LinkMessage) -> bool {
    let state = attribute(link, |attribute| match attribute {
        LinkAttribute::OperState(state) => Some(*state),
        _ => None,
    });
    // The loopback interface has no carrier to tell of.
    matches!(state, Some(State::Up | State::Unknown))
}

fn attribute<T>(link: &LinkMessage, pick: impl Fn(&LinkAttribute) -> Option<T>) -> Option<T> {
    link.attributes.iter().find_map(pick)
}
