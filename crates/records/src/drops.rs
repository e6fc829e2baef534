//! What an audit counted.

use std::{collections::BTreeMap, ops::Sub};

use serde::{Deserialize, Serialize};

/// The reason of packets that a socket's filter dropped (include/net/dropreason-core.h).
const SOCKET_FILTER: &str = "SOCKET_FILTER";
/// The reason of packets for which a socket's receive buffer had no room.
const SOCKET_RCVBUFF: &str = "SOCKET_RCVBUFF";
/// Packets of a flow that the kernel dropped, over all CPUs, since the audit began. A packet that a segmentation
/// offload had not cut yet counts as the datagrams that it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// By reason, as `enum skb_drop_reason` names them without `SKB_DROP_REASON_`; the number where it has no name.
    /// Reasons that nothing was dropped for are left out.
    pub by_reason: BTreeMap<String, u64>,
    /// Packets that waited in the receive buffer when their socket closed: delivered, never read. Where the kernel
    /// hides the addresses of its code they count as `NOT_SPECIFIED` instead, and this is nothing.
    pub unread: Option<u64>,
    /// UDP fragments other than first ones with the flow's address. They have no port: they may be another flow's. A
    /// dropped datagram is counted once, by its first fragment, and these are no part of any sum.
    pub fragments: u64,
    /// Packets of the flow's protocol family, of anybody's, whose headers could not be read.
    pub unreadable: u64,
    /// Drops, of anybody's, at which the program did not run because one interrupted it on the same CPU
    /// (`recursion_misses`, Linux 5.12).
    pub missed: u64,
}

impl Drops {
    /// Packets dropped for the reason of that name.
    pub fn reason(&self, name: &str) -> u64 {
        self.by_reason.get(name).copied().unwrap_or_default()
    }

    /// Packets that the program attached to the socket dropped, whoever attached it.
    pub fn socket_filter(&self) -> u64 {
        self.reason(SOCKET_FILTER)
    }

    /// Packets for which the receive buffer had no room.
    pub fn receive_buffer(&self) -> u64 {
        self.reason(SOCKET_RCVBUFF)
    }

    /// Packets dropped for any other reason: on the sender's side, on the way, or at a socket.
    pub fn elsewhere(&self) -> u64 {
        self.by_reason.values().sum::<u64>() - self.socket_filter() - self.receive_buffer()
    }

    /// All packets of the flow that were freed undelivered or unread.
    pub fn total(&self) -> u64 {
        self.by_reason.values().sum::<u64>() + self.unread.unwrap_or_default()
    }

    /// Whether no drop can have gone uncounted. Where one may have, a ledger that doesn't balance has its reason.
    pub fn is_complete(&self) -> bool {
        self.missed == 0 && self.unreadable == 0
    }
}

/// What was counted between two reads of one audit, the earlier one on the right.
impl Sub for &Drops {
    type Output = Drops;

    fn sub(self, earlier: Self) -> Drops {
        let less = |(name, count): (&String, &u64)| (name.clone(), count - earlier.reason(name));
        Drops {
            by_reason: self.by_reason.iter().map(less).filter(|(_, count)| *count > 0).collect(),
            unread: self.unread.map(|unread| unread - earlier.unread.unwrap_or_default()),
            fragments: self.fragments - earlier.fragments,
            unreadable: self.unreadable - earlier.unreadable,
            missed: self.missed - earlier.missed,
        }
    }
}
