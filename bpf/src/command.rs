//! The few bytes of a packet that decide.

use core::mem::MaybeUninit;

use aya_ebpf::{EbpfContext as _, helpers::generated::bpf_skb_load_bytes, programs::SkBuffContext};
use weir_wire::{Command, udp};

/// The first bytes of the payload, at most eight, as a little-endian integer; zero where the payload ends earlier,
/// and no command has a zero in its word.
#[derive(Clone, Copy)]
pub struct FirstBytes(u64);

impl FirstBytes {
    /// Loads them in one call whose length is bounded by the packet's.
    #[inline(always)]
    pub fn load(ctx: &SkBuffContext) -> Option<Self> {
        let [first] = load_at(ctx, udp::PAYLOAD_OFFSET, 0)?;
        Some(Self(u64::from_le(first)))
    }

    /// Whether the payload begins with the command's word.
    #[inline(always)]
    pub fn are(self, command: Command) -> bool {
        self.0 & command.mask() == command.magic()
    }
}

/// The UDP length field and the first bytes of the payload.
pub struct Head {
    /// The length field of the UDP header, header included.
    pub udp_length: u16,
    /// The first bytes of the payload.
    pub first: FirstBytes,
}

impl Head {
    /// Loads both in one call whose length is bounded by the packet's.
    #[inline(always)]
    pub fn load(ctx: &SkBuffContext) -> Option<Self> {
        // The fields stand in this buffer as far from each other as in the packet, the payload aligned.
        let [before, first] = load_at(ctx, udp::LENGTH_OFFSET, size_of::<u64>() - LENGTH_TO_PAYLOAD)?;
        let length = (u64::from_be(before) >> LENGTH_SHIFT) as u16;
        Some(Self { udp_length: length, first: FirstBytes(u64::from_le(first)) })
    }
}

const LENGTH_TO_PAYLOAD: usize = udp::PAYLOAD_OFFSET - udp::LENGTH_OFFSET;
const LENGTH_SHIFT: usize = 8 * (LENGTH_TO_PAYLOAD - size_of::<u16>());

/// Words that hold what the packet has from `offset` on, `skip` bytes behind their start, and zeros elsewhere;
/// `None` where the packet has nothing there.
#[inline(always)]
fn load_at<const N: usize>(ctx: &SkBuffContext, offset: usize, skip: usize) -> Option<[u64; N]> {
    let available = ctx.len().checked_sub(offset as u32)?;
    let len = available.min((size_of::<[u64; N]>() - skip) as u32);
    if len == 0 {
        return None;
    }
    let mut words = MaybeUninit::<[u64; N]>::uninit();
    let start = words.as_mut_ptr().cast::<u64>();
    for i in 0..N {
        // SAFETY: `i` is inside the array. Volatile, because the compiler would make a call of memset of it.
        unsafe { start.add(i).write_volatile(0) };
    }
    // SAFETY: all words are written, and `len` bytes from `skip` on end at the latest where they do.
    unsafe {
        let status = bpf_skb_load_bytes(ctx.as_ptr(), offset as u32, start.byte_add(skip).cast(), len);
        (status == 0).then(|| words.assume_init())
    }
}
