//! A packet as a socket filter sees it.

use weir_wire::udp;

use crate::u16_at;

/// A UDP packet, seen from its header on: whatever part of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The length field of the UDP header, header included; absent when the packet ends before it.
    pub udp_length: Option<u16>,
    /// The bytes after the UDP header.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the bytes that a socket filter would see, the first being the UDP header's first.
    pub fn from_udp(bytes: &'a [u8]) -> Self {
        Self {
            udp_length: u16_at(bytes, udp::LENGTH_OFFSET),
            payload: bytes.get(udp::PAYLOAD_OFFSET..).unwrap_or_default(),
        }
    }

    /// A datagram as a server reads it: `payload_len` bytes arrived, of which `payload` are at hand.
    pub fn from_datagram(payload: &'a [u8], payload_len: usize) -> Self {
        Self { udp_length: Some(udp::length_field(payload_len)), payload }
    }
}
