//! The end of a program: the verdict is counted and given.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_wire::maps;

use super::map;
use crate::Verdict;

/// What a socket filter returns, bytes of the packet to keep: -1 is more than any has (net/core/filter.c,
/// sk_filter_trim_cap).
const fn bytes_to_keep(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Accept => -1,
        Verdict::Drop => 0,
    }
}

/// Where a verdict is counted in the value of [`maps::VERDICTS`].
const fn slot(verdict: Verdict) -> i16 {
    let index = match verdict {
        Verdict::Accept => 0,
        Verdict::Drop => 1,
    };
    index * size_of::<u64>() as i16
}

/// Ends the program.
pub(super) fn give(code: &mut Code, verdict: Verdict) {
    ebpf! { in code;
        mov r0, {bytes_to_keep(verdict)}
        exit
    }
}

/// Counts the verdict and ends the program.
pub(super) fn count_and_give(code: &mut Code, verdict: Verdict) {
    map::count(code, maps::VERDICTS, slot(verdict));
    give(code, verdict);
}

/// The same at a label. Each verdict has code of its own: where it is counted is known when the program is made.
pub(super) fn place(code: &mut Code, label: Label, verdict: Verdict) {
    ebpf! { in code; $label: }
    count_and_give(code, verdict);
}
