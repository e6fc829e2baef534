//! Where things stand in what the kernel hands a program beside the packet (include/uapi/linux/bpf.h), in bytes.

/// `struct __sk_buff`, of programs at sockets, control groups and tc.
pub mod sk_buff {
    /// Length of the struct that Linux 5.16 has; an older kernel takes what it doesn't know where that is 0.
    pub const LEN: usize = 192;
    /// Offset of the `u32` length of the packet.
    pub const PACKET_LEN_OFFSET: usize = 0;
    /// Offset of where the packet begins, for programs that may read it in place.
    pub const DATA_OFFSET: usize = 76;
    /// Offset of where its first piece, or all of it, ends.
    pub const DATA_END_OFFSET: usize = 80;
    /// Offset of the `u32` payload that each datagram of the packet has where there are several; 0 where it is one.
    ///
    /// Their number, `gso_segs`, doesn't tell: it is 0 of what comes from a virtual machine (drivers/net/tun.c,
    /// virtio_net_hdr_to_skb in include/linux/virtio_net.h), until something counts.
    pub const GSO_SIZE_OFFSET: usize = 176;
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
