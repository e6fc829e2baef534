//! A packet as rules see it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A UDP packet for a service.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// The payload's bytes, as far as they are there: a capture may have cut them off.
    pub payload: &'a [u8],
    /// How many bytes the payload has by UDP's length field (RFC 768), its header not counted.
    pub len: u16,
}

impl<'a> Packet<'a> {
    /// A packet of which every byte is there.
    ///
    /// # Panics
    /// The payload is longer than a UDP packet's can be.
    pub fn whole(source: SocketAddr, payload: &'a [u8]) -> Self {
        let len = payload.len().try_into().expect("a UDP packet has fewer bytes");
        Self { source, payload, len }
    }

    /// The bytes from `at` on, or nothing where one of them is absent.
    pub fn bytes(&self, at: u64, count: u64) -> Option<&'a [u8]> {
        let at = usize::try_from(at).ok()?;
        let end = at.checked_add(usize::try_from(count).ok()?)?;
        self.payload.get(..usize::from(self.len).min(self.payload.len()))?.get(at..end)
    }

    /// Who sent it, an IPv4-mapped address (RFC 4291, 2.5.5.2) as the IPv4 address that it is.
    pub fn source_address(&self) -> IpAddr {
        self.source.ip().to_canonical()
    }

    /// Without payload, from nobody.
    pub const EMPTY: Self =
        Self { source: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), payload: &[], len: 0 };
}
