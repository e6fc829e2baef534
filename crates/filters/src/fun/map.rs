//! Looking into maps.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;

/// Where the key of a lookup stands, below what is loaded of the packet.
pub(super) const KEY: i16 = -16;

/// r0 = the only value of an array, or on at `absent`, where the verifier wants to be led although it always exists.
/// r1 to r5 are lost.
pub(crate) fn look_up(code: &mut Code, map: &str, absent: Label) {
    ebpf! { in code;
        stw [r10 + $KEY], 0
        mov r2, r10
        add r2, {i32::from(KEY)}
        lmap r1, $map
        call map_lookup_elem
        jeq r0, 0, $absent
    }
}

/// Adds 1 to the `u64` that stands `off` bytes behind the start of a per-CPU array's only value. A plain add is
/// enough: a per-CPU slot is written by its own CPU alone, in softirq or with bottom halves off.
pub(super) fn count(code: &mut Code, map: &str, off: i16) {
    let counted = code.fresh_label();
    look_up(code, map, counted);
    ebpf! { in code;
        ldxdw r1, [r0 + $off]
        add r1, 1
        stxdw [r0 + $off], r1
    $counted:
    }
}
