//! The two sides of a pair: what each is called, and its addresses.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Index,
};

use serde::{Deserialize, Serialize};
use weir_filters::names;

/// A side of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where the server runs, and where hooks are attached.
    Server,
    /// Where clients run.
    Client,
}

names! {
    /// The interface's name; also the namespace's, where that has one.
    Side::name { Server = "weir-server", Client = "weir-client" }
}

impl Side {
    /// The side across.
    pub fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }

    /// The interface's address, in the range for benchmarking (RFC 2544, 198.18.0.0/15).
    pub const fn ipv4(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, self.number())
    }

    /// The interface's address, in the range for benchmarking (RFC 5180, 2001:2::/48).
    pub const fn ipv6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, self.number() as u16)
    }

    /// The interface's link-layer address, locally administered.
    pub const fn mac(self) -> [u8; 6] {
        [0x02, b'w', b'e', b'i', b'r', self.number()]
    }

    const fn number(self) -> u8 {
        match self {
            Self::Server => 1,
            Self::Client => 2,
        }
    }
}

/// Bits of the addresses that both sides share.
pub const PREFIX_V4: u8 = 24;
/// Bits of the addresses that both sides share.
pub const PREFIX_V6: u8 = 64;

/// One of something for each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sided<T> {
    /// The server's.
    pub server: T,
    /// The client's.
    pub client: T,
}

impl<T> Sided<T> {
    /// Makes each by `make`, the server's first.
    ///
    /// # Errors
    /// The first that `make` gives.
    pub fn try_with<E>(mut make: impl FnMut(Side) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { server: make(Side::Server)?, client: make(Side::Client)? })
    }
}

impl<T> Index<Side> for Sided<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }
}
