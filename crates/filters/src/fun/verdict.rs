//! The end of a program: the verdict is counted and given.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_wire::maps;

use super::{access::Access, map, pick};
use crate::Verdict;

/// Where a verdict is counted in the value of [`maps::VERDICTS`].
const fn slot(verdict: Verdict) -> i16 {
    let index = match verdict {
        Verdict::Accept => 0,
        Verdict::Drop => 1,
    };
    index * size_of::<u64>() as i16
}

/// Ends the program, at a shared port with a worker picked for what is accepted.
pub(super) fn give(code: &mut Code, access: &Access, verdict: Verdict) {
    if let (Verdict::Accept, Some(workers)) = (verdict, access.workers) {
        pick::worker(code, access, workers);
    }
    ebpf! { in code;
        mov r0, {access.return_value(verdict)}
        exit
    }
}

/// Counts the verdict and ends the program.
pub(super) fn count_and_give(code: &mut Code, access: &Access, verdict: Verdict) {
    map::count(code, maps::VERDICTS, slot(verdict));
    give(code, access, verdict);
}

/// The same at a label. Each verdict has code of its own: where it is counted is known when the program is made.
pub(super) fn place(code: &mut Code, access: &Access, label: Label, verdict: Verdict) {
    ebpf! { in code; $label: }
    count_and_give(code, access, verdict);
}
