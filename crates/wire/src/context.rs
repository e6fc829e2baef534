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
