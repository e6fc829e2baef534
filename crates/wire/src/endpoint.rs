//! Whose packets a program below the socket decides: the constant that an object compiled ahead of time has for it.

/// Name of the [`Endpoint`] in an object: a constant that the loader sets before the kernel sees the program, so that
/// the verifier knows its value and removes the branches not taken.
pub const ENDPOINT: &str = "ENDPOINT";

/// A server's address and port, and what goes for packets that are several datagrams at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Endpoint {
    /// The address as it stands in a packet, each word as a load from there gives it; an IPv4 address is the first
    /// word alone.
    pub address: [u32; 4],
    /// The port as a load from a packet gives it.
    pub port: u16,
    /// Which IP versions reach the server: [`V4`] and [`V6`].
    pub versions: u8,
    /// 1 where every address does, and `address` isn't looked at.
    pub any_address: u8,
    /// What becomes of a packet for the server that segmentation offload made of several datagrams: 0 passes it
    /// unjudged, 1 drops it.
    pub drop_super_packets: u8,
    /// Nothing: up to the next multiple of 4 bytes.
    pub padding: [u8; 3],
}

/// Set in [`Endpoint::versions`] where IPv4 reaches the server.
pub const V4: u8 = 1;

/// Set in [`Endpoint::versions`] where IPv6 does.
pub const V6: u8 = 2;
