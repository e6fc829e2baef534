//! Network interfaces to attach to, of the namespace that the calling thread is in.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use nix::{
    ifaddrs::getifaddrs,
    net::if_::{InterfaceFlags, if_nameindex, if_nametoindex},
    sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage},
};

use crate::netlink::explained;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    name: String,
    index: u32,
}

impl Interface {
    /// The interface of that name.
    ///
    /// # Errors
    /// There is none here: ENODEV.
    pub fn named(name: &str) -> io::Result<Self> {
        Ok(Self { name: name.to_owned(), index: if_nametoindex(name)? })
    }

    /// The interfaces that packets from elsewhere to `address` come in by: the one that has it; for a loopback address
    /// the loopback interface; for an unspecified one all that are up.
    pub fn reaching(address: IpAddr) -> io::Result<Vec<Self>> {
        let mut found: Vec<Self> = Vec::new();
        for entry in getifaddrs().map_err(|error| explained(error.into()))? {
            let is_loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            let is_it = if address.is_unspecified() {
                entry.flags.contains(InterfaceFlags::IFF_UP)
            } else if address.to_canonical().is_loopback() {
                is_loopback
            } else {
                entry.address.and_then(ip_of) == Some(address.to_canonical())
            };
            if is_it && found.iter().all(|known| known.name != entry.interface_name) {
                found.push(Self::named(&entry.interface_name)?);
            }
        }
        Ok(found)
    }

    /// The interfaces by which packets for a socket on `address` can come in, from wherever: the loopback interface alone
    /// for a loopback address, and for every other all that are up. The kernel takes a packet for any address of its own
    /// by any interface, and what it sends to one itself comes in by loopback.
    pub fn delivering(address: IpAddr) -> io::Result<Vec<Self>> {
        let any = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::reaching(if address.to_canonical().is_loopback() { address } else { any })
    }

    /// Every interface here.
    pub fn all() -> io::Result<Vec<Self>> {
        let named = |entry: &nix::net::if_::Interface| Self {
            name: entry.name().to_string_lossy().into_owned(),
            index: entry.index(),
        };
        let all = if_nameindex().map_err(|error| explained(error.into()))?;
        Ok(all.iter().map(named).collect())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number for it, in this namespace.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

fn ip_of(address: SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        AddressFamily::Inet => address.as_sockaddr_in().map(|found| SocketAddr::V4((*found).into()).ip()),
        AddressFamily::Inet6 => address.as_sockaddr_in6().map(|found| SocketAddr::V6((*found).into()).ip()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_come_in_by_the_loopback_interface() {
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = address.parse().expect("an address");
            let found = Interface::reaching(address).expect("interfaces can be asked for");
            assert_eq!(found.iter().map(Interface::name).collect::<Vec<_>>(), ["lo"], "{address}");
        }
    }

    #[test]
    fn an_address_that_no_interface_has_comes_in_by_none() {
        let documentation = "192.0.2.77".parse().expect("an address");
        assert_eq!(Interface::reaching(documentation).expect("interfaces can be asked for"), []);
        assert!(Interface::named("no-such-if").is_err());
    }
}
