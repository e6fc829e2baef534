//! What an interface is, how it is set and what it has counted, as it is told by the kernel.

use std::io;

use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, State, Stats64};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets that arrived; a super-packet is one.
    pub received: u64,
    /// Packets that were sent, likewise.
    pub sent: u64,
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
            sent: self.sent - earlier.sent,
            dropped_received: self.dropped_received - earlier.dropped_received,
            dropped_sent: self.dropped_sent - earlier.dropped_sent,
        }
    }
}

impl From<&Stats64> for LinkCounters {
    fn from(stats: &Stats64) -> Self {
        Self {
            received: stats.rx_packets,
            sent: stats.tx_packets,
            dropped_received: stats.rx_dropped,
            dropped_sent: stats.tx_dropped,
        }
    }
}

/// What a link's attribute of one kind holds, where it has one.
macro_rules! attribute {
    ($link:expr, $kind:ident) => {
        $link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::$kind(value) => Some(value),
            _ => None,
        })
    };
}

/// Everything about the interface `name` of the calling thread's namespace; `sysfs` is that namespace's.
pub(super) fn describe(name: &str, sysfs: &Sysfs) -> Result<InterfaceRecord, NetError> {
    let failed = || NetError::tried(format!("reading how interface {name} is set"));
    let route = Route::open().map_err(failed())?;
    let link = route.link(name).map_err(failed())?;
    let ethtool = Ethtool::open().map_err(failed())?;
    let features = [SEGMENTATION.as_slice(), &FEATURES].concat();
    Ok(InterfaceRecord {
        name: name.to_owned(),
        index: link.header.index,
        up: is_up(&link),
        addresses: route.addresses(link.header.index).map_err(failed())?,
        mtu: attribute!(link, Mtu).copied().unwrap_or(0),
        queueing: attribute!(link, Qdisc).cloned().unwrap_or_default(),
        receive_queues: attribute!(link, NumRxQueues).copied().unwrap_or(0),
        transmit_queues: attribute!(link, NumTxQueues).copied().unwrap_or(0),
        gso_max_segments: attribute!(link, GsoMaxSegs).copied().unwrap_or(0),
        features: ethtool.features(name, &features).map_err(failed())?,
        receive_on: sysfs.read(name, RPS_CPUS).ok().and_then(|text| mask::cores(&text)),
        threaded: sysfs.read(name, "threaded").ok().map(|text| text.trim() != "0"),
    })
}

/// What the interface `name` of the calling thread's namespace has counted.
pub(super) fn counters(name: &str) -> Result<LinkCounters, NetError> {
    let failed = || NetError::tried(format!("reading the counters of interface {name}"));
    let link = Route::open().and_then(|route| route.link(name)).map_err(failed())?;
    let counters = attribute!(link, Stats64).map(LinkCounters::from);
    counters.ok_or(io::Error::from(io::ErrorKind::Unsupported)).map_err(failed())
}

/// Whether packets that are sent through it arrive at its other end. Up alone is not enough: until the kernel has
/// seen the carrier, what is sent is dropped.
pub(super) fn is_up(link: &LinkMessage) -> bool {
    // The loopback interface has no carrier to tell of.
    matches!(attribute!(link, OperState), Some(State::Up | State::Unknown))
}
