//! Where things stand in a UDP packet as a socket filter sees it: the first byte is that of the UDP header.

/// Offset of the source port, a big-endian `u16`.
pub const SOURCE_OFFSET: usize = 0;

/// Offset of the destination port, a big-endian `u16`.
pub const DESTINATION_OFFSET: usize = 2;

/// Offset of the UDP length, a big-endian `u16` that counts header and payload (RFC 768).
pub const LENGTH_OFFSET: usize = 4;

/// Length of the UDP header, which is the offset of the payload.
pub const HEADER_LEN: usize = 8;

/// Offset of the first payload byte, where a request's command begins.
pub const PAYLOAD_OFFSET: usize = HEADER_LEN;

/// The value of the UDP length field for a payload of `payload_len` bytes.
pub const fn length_field(payload_len: usize) -> u16 {
    (HEADER_LEN + payload_len) as u16
}
