//! Where things stand in what the kernel hands a program beside the packet (include/uapi/linux/bpf.h), in bytes.

/// `struct __sk_buff`, of programs at sockets, control groups and tc.
pub mod sk_buff {
    /// Length of the struct that Linux 5.5, which has all of these, has.
    pub const LEN: usize = 192;
    /// Offset of the `u32` length of the packet.
    pub const PACKET_LEN_OFFSET: usize = 0;
    /// Offset of the `u32` number of datagrams that segmentation offload made the packet of; 0 and 1 are both one.
    pub const GSO_SEGS_OFFSET: usize = 164;
}

/// `struct sk_reuseport_md`, of programs that pick one of the sockets of a port.
pub mod sk_reuseport_md {
    /// Offset of the `u32` length of the packet from its UDP header on.
    pub const PACKET_LEN_OFFSET: usize = 16;
}

/// `struct xdp_md`.
pub mod xdp_md {
    /// Offset of where the packet begins.
    pub const DATA_OFFSET: usize = 0;
    /// Offset of where its first piece, or all of it, ends.
    pub const DATA_END_OFFSET: usize = 4;
}
