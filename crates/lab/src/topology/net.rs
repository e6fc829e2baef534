//! A topology while it is up: how an experiment makes one, runs processes in it, and records it.

use std::net::{IpAddr, Ipv4Addr};

use weir_results::{
    net::{NetRecord, Side, Sided},
    topology::Topology,
};

use super::{LinkCounters, Namespace, NetError, Settings, interface, pair, sysfs::Sysfs};

/// A topology that is up until this is dropped.
///
/// Of a pair nothing has a name outside: only this and the processes that were started in it hold it. Whatever ends
/// the process that has it (a return, a panic, a signal, SIGKILL), the kernel takes it down.
#[derive(Debug)]
pub struct Net {
    /// Nothing for loopback: both sides are where we are.
    ends: Option<Sided<Namespace>>,
}

impl Net {
    /// Makes `topology`, set as `settings` say; loopback stays as it is.
    ///
    /// # Errors
    /// A step that the kernel refused, and what it needs; a veth pair needs root, or CAP_SYS_ADMIN and
    /// CAP_NET_ADMIN, and Linux 5.6.
    pub fn up(topology: Topology, settings: &Settings) -> Result<Self, NetError> {
        match topology {
            Topology::Loopback => Ok(Self { ends: None }),
            Topology::Veth => {
                let ends = Sided::try_with(|_| Namespace::new())?;
                pair::join(&ends, settings)?;
                Ok(Self { ends: Some(ends) })
            }
        }
    }

    /// Takes the ends of a pair that somebody else holds.
    pub(super) fn of(ends: Sided<Namespace>) -> Self {
        Self { ends: Some(ends) }
    }

    /// Which it is.
    pub fn topology(&self) -> Topology {
        if self.ends.is_some() { Topology::Veth } else { Topology::Loopback }
    }

    /// Its namespaces; nothing for loopback.
    pub fn ends(&self) -> Option<&Sided<Namespace>> {
        self.ends.as_ref()
    }

    /// Runs `f` on a side: what it opens and starts is in that side's namespace. Processes start so without a
    /// closure of their own between fork and exec, and a parent-death signal is tied to the thread that calls this.
    ///
    /// # Errors
    /// Not allowed to enter the namespace: it needs CAP_SYS_ADMIN.
    pub fn within<R>(&self, side: Side, f: impl FnOnce() -> R) -> Result<R, NetError> {
        match &self.ends {
            None => Ok(f()),
            Some(ends) => ends[side].within(f),
        }
    }

    /// The IPv4 address that a server on `side` listens on.
    pub fn address(&self, side: Side) -> IpAddr {
        match self.topology() {
            Topology::Loopback => Ipv4Addr::LOCALHOST.into(),
            Topology::Veth => side.ipv4().into(),
        }
    }

    /// The interface of `side`: the same for both on loopback.
    pub fn interface(&self, side: Side) -> &'static str {
        match self.topology() {
            Topology::Loopback => "lo",
            Topology::Veth => side.name(),
        }
    }

    /// How it is now, for the sample.
    ///
    /// # Errors
    /// What can't be read.
    pub fn record(&self) -> Result<NetRecord, NetError> {
        let interfaces = Sided::try_with(|side| {
            self.within(side, || {
                let sysfs = match self.topology() {
                    Topology::Loopback => Sysfs::mounted(),
                    Topology::Veth => Sysfs::of_this_namespace(),
                };
                let sysfs = sysfs.map_err(NetError::tried("opening the namespace's sysfs"))?;
                interface::describe(self.interface(side), &sysfs)
            })?
        })?;
        Ok(NetRecord { topology: self.topology(), interfaces })
    }

    /// What its interfaces have counted so far: on loopback everybody's packets.
    ///
    /// # Errors
    /// What can't be read.
    pub fn counters(&self) -> Result<Sided<LinkCounters>, NetError> {
        Sided::try_with(|side| self.within(side, || interface::counters(self.interface(side)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_taken_as_it_is() {
        let net = Net::up(Topology::Loopback, &Settings::default()).unwrap();
        assert_eq!(net.within(Side::Server, || 7).unwrap(), 7);
        assert_eq!(net.address(Side::Server), Ipv4Addr::LOCALHOST);
        let record = net.record().unwrap();
        assert_eq!(record.interfaces.server, record.interfaces.client);
        assert_eq!(record.interfaces.server.name, "lo");
        assert!(record.interfaces.server.mtu > 1500);
        let read: NetRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        assert_eq!(read, record);
    }
}
