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
        // Volatile, so that the compiler doesn't make one add at a computed address of the two: a loader without
        // CAP_PERFMON may not add what it knows only at run time to a pointer (kernel/bpf/verifier.c,
        // sanitize_ptr_alu).
        // SAFETY: the lookup gave a live slot of two u64.
        match verdict {
            Verdict::Accept => unsafe { increment(&raw mut (*counts)[0]) },
            Verdict::Drop => unsafe { increment(&raw mut (*counts)[1]) },
        }
    }
    verdict.bytes_to_keep()
}

#[inline(always)]
unsafe fn increment(counter: *mut u64) {
    // SAFETY: the caller's pointer is live, and its CPU alone writes there.
    unsafe { counter.write_volatile(counter.read_volatile() + 1) };
}
