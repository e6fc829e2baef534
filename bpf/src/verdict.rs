//! What becomes of a packet, and how that is counted.

use aya_ebpf::btf_maps::PerCpuArray;

use crate::{
    frame::{self, Found},
    hook::Hook,
    packet::Packet,
};

/// A verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The packet goes on, whole.
    Accept,
    /// The packet ends here.
    Drop,
}

impl Verdict {
    /// What the program returns for it.
    #[inline(always)]
    pub fn at<H: Hook>(self) -> i64 {
        match self {
            Self::Accept => H::ACCEPT,
            Self::Drop => H::DROP,
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

/// Decides the server's packets, counts the verdicts, and lets other packets go on uncounted. Gives what the program
/// returns.
#[inline(always)]
pub fn decide<H: Hook>(
    hook: &H,
    verdicts: &'static Verdicts,
    decide: impl FnOnce(&Packet<'_, H>) -> Verdict,
) -> i64 {
    decide_uncounted(hook, |found| {
        let verdict = found.map_or(Verdict::Drop, decide);
        count(verdicts, verdict);
        verdict.at::<H>()
    })
}

/// The same where `decide` counts and gives what the program returns. It gets `None` for what ends here unjudged.
#[inline(always)]
pub fn decide_uncounted<H: Hook>(hook: &H, decide: impl FnOnce(Option<&Packet<'_, H>>) -> i64) -> i64 {
    match frame::find(hook) {
        Found::Packet(packet) => decide(Some(&packet)),
        Found::SuperPacket { is_dropped: true } | Found::Unreadable => decide(None),
        Found::SuperPacket { is_dropped: false } | Found::Other => H::ACCEPT,
    }
}

/// Counts a verdict. A plain add is enough: a per-CPU slot is written by its own CPU alone, in softirq or with bottom
/// halves off.
#[inline(always)]
pub fn count(verdicts: &'static Verdicts, verdict: Verdict) {
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
}

#[inline(always)]
unsafe fn increment(counter: *mut u64) {
    // SAFETY: the caller's pointer is live, and its CPU alone writes there.
    unsafe { counter.write_volatile(counter.read_volatile() + 1) };
}
