//! Where a run takes place: the network between its processes, their cores, and who else keeps those busy.

use std::net::IpAddr;

use weir_results::{
    cell::{Background, Cell, ReceiveWork},
    neighbour::NeighbourRecord,
    net::{NetRecord, Side, Sided},
    topology::Topology,
};

use super::{bench::Bench, failure::RunError, machine::Pinning};
use crate::{
    neighbour::Neighbours,
    topology::{LinkCounters, Net, Settings},
};

/// A site, until it is dropped: then its network and its neighbours are gone.
#[derive(Debug)]
pub struct RunSite {
    /// Which cores belong to whom.
    pub pinning: Pinning,
    net: Net,
    before: Sided<LinkCounters>,
    neighbours: Neighbours,
}

/// What a site leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteRecord {
    /// How client and server were joined; nothing for loopback.
    pub net: Option<NetRecord>,
    /// Requests that the pair of interfaces dropped; nothing for loopback, whose counts are everybody's.
    pub dropped_by_link: Option<u64>,
    /// What the neighbours did.
    pub neighbours: Vec<NeighbourRecord>,
}

impl RunSite {
    /// Makes the site that `cell` asks for.
    ///
    /// # Errors
    /// A step that the kernel refused, and what it needs.
    pub fn open(bench: &Bench<'_>, cell: &Cell) -> Result<Self, RunError> {
        let conditions = &cell.conditions;
        let pinning = match conditions.pinned {
            Some(false) => Pinning::none("the cell asks for none"),
            Some(true) => Pinning::of_this_machine(),
            None => bench.pinning.clone(),
        };
        let receive_on = match conditions.receive_work {
            ReceiveWork::Sender => Vec::new(),
            ReceiveWork::Server => server_cores(&pinning),
        };
        let net = Net::up(conditions.topology, &Settings { receive_on, ..Settings::default() })?;
        let before = net.counters()?;
        let neighbours = Neighbours::start(&places(conditions.background, &pinning))?;
        Ok(Self { pinning, net, before, neighbours })
    }

    /// Runs `f` where `side` is: what it opens and starts is there.
    ///
    /// # Errors
    /// Not allowed to enter the namespace.
    pub fn within<R>(&self, side: Side, f: impl FnOnce() -> Result<R, RunError>) -> Result<R, RunError> {
        self.net.within(side, f)?
    }

    /// The address that the server listens on.
    pub fn server_address(&self) -> IpAddr {
        self.net.address(Side::Server)
    }

    /// Whether only what this run started can reach the server.
    pub fn is_private(&self) -> bool {
        self.net.topology() != Topology::Loopback
    }

    /// Ends the site and tells what it was.
    ///
    /// # Errors
    /// A neighbour had ended by itself, or the pair can't be read.
    pub fn close(self) -> Result<SiteRecord, RunError> {
        let neighbours = self.neighbours.stop()?;
        if self.net.topology() == Topology::Loopback {
            return Ok(SiteRecord { neighbours, ..SiteRecord::default() });
        }
        let after = self.net.counters()?;
        let spent = |side: Side| after[side].since(self.before[side]);
        // What finds no room on the sender's own core counts at both ends, what was steered away at the far one only.
        let dropped = spent(Side::Client).dropped_sent.max(spent(Side::Server).dropped_received);
        let net = Some(self.net.record()?);
        Ok(SiteRecord { net, dropped_by_link: Some(dropped), neighbours })
    }
}

/// The server's cores, or the first one where none is the server's.
fn server_cores(pinning: &Pinning) -> Vec<usize> {
    match pinning.server.as_slice() {
        [] => Pinning::of_this_machine().server,
        cores => cores.to_vec(),
    }
}

/// The cores of each neighbour: beside those whom it disturbs, or anywhere where they are.
fn places(background: Background, pinning: &Pinning) -> Vec<Vec<usize>> {
    let (server, client) = (pinning.server.clone(), pinning.client(0).into_iter().collect());
    match background {
        Background::Idle => vec![],
        Background::Server => vec![server],
        Background::Client => vec![client],
        Background::Both => vec![server, client],
    }
}
