//! `gso_size` at hooks that don't tell it, read as the kernel reads it itself.
//!
//! The kernel hands such structures to programs that may see its memory, so that loading needs CAP_PERFMON.

use weir_asm::{Code, Mem, Reg};
use weir_asm_macros::ebpf;

use super::access::CONTEXT;
use crate::{GsoLayout, WayToSharedInfo};

/// Where it stands then, 4 bytes.
pub(super) const GSO_SIZE: Mem = Mem { base: Reg::R10, off: -144 };

/// r0 to r5 are lost.
pub(super) fn keep(code: &mut Code, layout: &GsoLayout) {
    ebpf! { in code;
        mov r1, $CONTEXT
        call runtime {layout.cast_to_kern_ctx}
    }
    match layout.way {
        WayToSharedInfo::OfPacket { skb, head, end } => ebpf! { in code;
            ldxdw r0, [r0 + $skb]
            ldxdw r1, [r0 + $head]
            ldxw r2, [r0 + $end]
            add r1, r2
        },
        WayToSharedInfo::OfGenericXdp { data_hard_start, frame_sz, room } => ebpf! { in code;
            ldxdw r1, [r0 + $data_hard_start]
            ldxw r2, [r0 + $frame_sz]
            add r1, r2
            sub r1, $room
        },
    }
    ebpf! { in code;
        mov r2, {layout.shared_info}
        call runtime {layout.rdonly_cast}
        ldxh r1, [r0 + {layout.gso_size}]
        stxw [$GSO_SIZE], r1
    }
}
