//! Where things stand in the headers below UDP, for programs that see a packet from its Ethernet or IP header on.
//!
//! Offsets are bytes from the start of the header that the constant's module names; multi-byte fields are big-endian.

/// Ethernet II (IEEE 802.3) and the VLAN tags behind its addresses (IEEE 802.1Q, 802.1ad).
pub mod ethernet {
    /// Length of the header without VLAN tags.
    pub const HEADER_LEN: usize = 14;
    /// Offset of the `u16` ethertype, or of the first tag's.
    pub const TYPE_OFFSET: usize = 12;
    /// Ethertype of IPv4.
    pub const IPV4: u16 = 0x0800;
    /// Ethertype of IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// Ethertype that stands before a VLAN tag (802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// Ethertype that stands before the outer one of two VLAN tags (802.1ad).
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// Length of a VLAN tag: its two bytes, and the ethertype of what comes after it.
    pub const TAG_LEN: usize = 4;
    /// How many tags are read; a frame with more is nobody's that a filter decides for.
    pub const MAX_TAGS: usize = 2;
}

/// IPv4 (RFC 791).
pub mod ipv4 {
    /// Length of the header without options.
    pub const MIN_HEADER_LEN: usize = 20;
    /// Offset of the byte with the version in its high and the header's length in its low four bits.
    pub const VERSION_OFFSET: usize = 0;
    /// Offset of the `u16` length of header and payload.
    pub const TOTAL_LENGTH_OFFSET: usize = 2;
    /// Offset of the `u16` with the flags and the fragment's offset.
    pub const FRAGMENT_OFFSET: usize = 6;
    /// The bits of it that are set in a fragment: "more fragments", and the offset.
    pub const FRAGMENT_MASK: u16 = 0x3fff;
    /// Those of a first fragment.
    pub const MORE_FRAGMENTS: u16 = 0x2000;
    /// Offset of the byte with the payload's protocol.
    pub const PROTOCOL_OFFSET: usize = 9;
    /// Offset of the source address.
    pub const SOURCE_OFFSET: usize = 12;
    /// Offset of the destination address.
    pub const DESTINATION_OFFSET: usize = 16;
}

/// IPv6 (RFC 8200).
pub mod ipv6 {
    /// Length of the header without extension headers.
    pub const HEADER_LEN: usize = 40;
    /// Offset of the `u16` length of what follows the header; 0 in a jumbogram (RFC 2675).
    pub const PAYLOAD_LENGTH_OFFSET: usize = 4;
    /// Offset of the byte with the type of the next header.
    pub const NEXT_HEADER_OFFSET: usize = 6;
    /// Offset of the source address.
    pub const SOURCE_OFFSET: usize = 8;
    /// Offset of the destination address.
    pub const DESTINATION_OFFSET: usize = 24;

    /// How many extension headers are read: as many as RFC 8200, section 4.1, orders before an upper layer.
    pub const MAX_EXTENSIONS: usize = 6;
    /// The types of those that are read.
    pub const EXTENSIONS: [u8; 5] = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS];
    /// Each begins with the type of the next header, and its own length in the byte behind that.
    pub const EXTENSION_LENGTH_OFFSET: usize = 1;
    /// Hop-by-hop options: (length + 1) × 8 bytes long.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing header, (length + 1) × 8 bytes long.
    pub const ROUTING: u8 = 43;
    /// Offset in it of the byte with the segments left; the packet is at its destination where it is 0.
    pub const SEGMENTS_LEFT_OFFSET: usize = 3;
    /// Fragment header, 8 bytes long.
    pub const FRAGMENT: u8 = 44;
    /// Length of the fragment header.
    pub const FRAGMENT_LEN: usize = 8;
    /// Offset in it of the `u16` with the fragment's offset and the "more fragments" bit.
    pub const FRAGMENT_OFFSET: usize = 2;
    /// The bits of it that are 0 in a fragment that is the whole packet (RFC 6946).
    pub const FRAGMENT_MASK: u16 = 0xfff9;
    /// Those of a first fragment.
    pub const MORE_FRAGMENTS: u16 = 1;
    /// Authentication header (RFC 4302): (length + 2) × 4 bytes long.
    pub const AUTHENTICATION: u8 = 51;
    /// Destination options, (length + 1) × 8 bytes long.
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// Protocol number of UDP in IPv4 and IPv6.
pub const UDP: u8 = 17;
