//! What a socket filter returns, and how it counts it.

use aya_ebpf::btf_maps::PerCpuArray;

/// A socket filter's verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keep the whole packet.
    Accept,
    /// Keep none of it.
    Drop,
}

impl Verdict {
    /// How many bytes of the packet stay, as `sk_filter` in net/core/filter.c reads it: -1 is more than any has.
    #[inline(always)]
    pub fn bytes_to_keep(self) -> i64 {
        match self {
            Self::Accept => -1,
            Self::Drop => 0,
        }
    }
}

impl From<bool> for Verdict {
    #[inline(always)]
    fn from(accept: bool) -> Self {
        if accept { Self::Accept } else { Self::Drop }
    }
}

/// Each CPU's packets accepted and packets dropped, in this order.
pub type Verdicts = PerCpuArray<[u64; 2], 1>;

/// Counts a verdict and gives it back. A plain add is enough: a per-CPU slot is written by its own CPU alone, in
/// softirq or with bottom halves off.
#[inline(always)]
pub fn count(verdicts: &'static Verdicts, verdict: Verdict) -> i64 {
    if let Some(counts) = verdicts.get_ptr_mut(0) {
        let slot = usize::from(verdict == Verdict::Drop);
        // SAFETY: the lookup gave a live slot of two u64 and `slot` is 0 or 1.
        unsafe { (*counts)[slot] += 1 };
    }
    verdict.bytes_to_keep()
}
