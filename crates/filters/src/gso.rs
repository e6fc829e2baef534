//! How a program learns that a packet is several datagrams where its context doesn't say so: from the running kernel's
//! own structures behind that context.

/// Where the running kernel keeps `gso_size` (`struct skb_shared_info`, include/linux/skbuff.h): offsets in bytes and
/// ids, from the kernel's types. A program made with it is for that kernel alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GsoLayout {
    /// BTF id of `bpf_cast_to_kern_ctx`, which gives the structure behind a program's context (Linux 6.2).
    pub cast_to_kern_ctx: i32,
    /// BTF id of `bpf_rdonly_cast`, which lets a program read an address as a structure (Linux 6.2).
    pub rdonly_cast: i32,
    /// BTF id of `struct skb_shared_info`.
    pub shared_info: i32,
    /// Offset of the 2 bytes of `gso_size` in it.
    pub gso_size: i16,
    /// The way there from the structure behind the context.
    pub way: WayToSharedInfo,
}

/// From the structure behind a program's context to the packet's `skb_shared_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WayToSharedInfo {
    /// From `struct sk_reuseport_kern` to its packet, behind whose memory it stands: at `head` + `end`.
    OfPacket {
        /// Offset of the packet's address.
        skb: i16,
        /// Offset of `head` in `struct sk_buff`, 8 bytes.
        head: i16,
        /// Offset of `end` in it, 4 bytes.
        end: i16,
    },
    /// From the `struct xdp_buff` that generic XDP makes of a packet's memory (`bpf_prog_run_generic_xdp`,
    /// net/core/dev.c), behind which it stands: at `data_hard_start` + `frame_sz` - `room`. In a driver's own buffer
    /// nothing need stand there.
    OfGenericXdp {
        /// Offset of the 8 bytes of `data_hard_start`.
        data_hard_start: i16,
        /// Offset of the 4 bytes of `frame_sz`.
        frame_sz: i16,
        /// Size of `struct skb_shared_info`, rounded up to cache lines (`SKB_DATA_ALIGN`).
        room: i32,
    },
}
