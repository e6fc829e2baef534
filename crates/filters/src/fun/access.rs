//! What a program at each hook is to the kernel: its section, what it returns, and how it gets at a packet's bytes.

use weir_asm::{Code, Label, Reg, splice::SrcSplice};
use weir_asm_macros::ebpf;
use weir_wire::context::{sk_buff, sk_reuseport_md, xdp_md};

use crate::{Hook, Site, Verdict};

/// The program's context, in every program that calls a helper before it is done with it.
pub(super) const CONTEXT: Reg = Reg::R6;

/// How programs at a hook are written.
#[derive(Clone, Copy)]
pub(super) struct Access {
    /// Loaders know the program's type by its section's name.
    pub(super) section: &'static str,
    hook: Hook,
    length: LengthOrigin,
    load: LoadWay,
    /// Offset of `gso_size` in the context, where it has one.
    pub(super) gso_size: Option<i16>,
    /// Where in the context it says where the packet begins, and where its first piece, or all of it, ends.
    pub(super) data: [i16; 2],
    /// Whether headers are read in place, between these.
    pub(super) is_direct: bool,
    /// Workers, where a program that accepts picks one.
    pub(super) workers: Option<u32>,
}

/// Where a program learns how many bytes it sees.
#[derive(Clone, Copy)]
enum LengthOrigin {
    /// A `u32` in the context.
    Field(i16),
    /// From a helper, since the context knows the end of the first piece alone (`bpf_xdp_get_buff_len`, Linux 5.18).
    Helper,
    /// From [`DATA`] to [`DATA_END`], where there is one piece.
    InPlace,
}

/// How bytes get from the packet to where they are read. The helpers take context, offset, destination and length, and give
/// 0 or an error.
#[derive(Clone, Copy)]
enum LoadWay {
    /// `bpf_skb_load_bytes`: Linux 4.5.
    Skb,
    /// `bpf_xdp_load_bytes`: Linux 5.18.
    Xdp,
    /// From the packet in place, where it has one piece.
    InPlace,
}

/// Where the packet begins, and where its first piece, or all of it, ends.
pub(super) const DATA: i16 = xdp_md::DATA_OFFSET as i16;
pub(super) const DATA_END: i16 = xdp_md::DATA_END_OFFSET as i16;

const SKB_LEN: i16 = sk_buff::PACKET_LEN_OFFSET as i16;
const REUSEPORT_LEN: i16 = sk_reuseport_md::PACKET_LEN_OFFSET as i16;
/// Linux 5.7.
const SKB_GSO_SIZE: i16 = sk_buff::GSO_SIZE_OFFSET as i16;

const SOCKET: Access = Access {
    section: "socket",
    hook: Hook::Socket,
    length: LengthOrigin::Field(SKB_LEN),
    load: LoadWay::Skb,
    gso_size: None,
    data: [sk_buff::DATA_OFFSET as i16, sk_buff::DATA_END_OFFSET as i16],
    is_direct: false,
    workers: None,
};

/// To accept without a socket chosen leaves the choice to the kernel's hash.
const REUSEPORT: Access = Access {
    section: "sk_reuseport",
    hook: Hook::Reuseport,
    length: LengthOrigin::Field(REUSEPORT_LEN),
    ..SOCKET
};

const CGROUP: Access =
    Access { section: "cgroup/skb", hook: Hook::Cgroup, gso_size: Some(SKB_GSO_SIZE), ..SOCKET };

const TC: Access = Access { section: "classifier", hook: Hook::Tc, gso_size: Some(SKB_GSO_SIZE), ..SOCKET };

/// "frags" says that the program deals with packets in several pieces, which jumbo frames are.
const XDP: Access = Access {
    section: "xdp.frags",
    hook: Hook::Xdp,
    length: LengthOrigin::Helper,
    load: LoadWay::Xdp,
    gso_size: None,
    data: [DATA, DATA_END],
    is_direct: true,
    workers: None,
};

/// Without "frags" the kernel shows no packet in several pieces, and before Linux 5.18 it knows none.
const XDP_WHOLE: Access =
    Access { section: "xdp", length: LengthOrigin::InPlace, load: LoadWay::InPlace, ..XDP };

/// More than any offset that is read at: of a header, or of the payload behind six IPv6 extension headers of 2 KiB. What is
/// read there ends before the last offset that the verifier follows (MAX_PACKET_OFF, 0xffff, include/linux/bpf_verifier.h).
const MOST_AT: i32 = 0x7fff;

impl Access {
    /// At the server's own loop runs no program; what is made for it is a socket filter.
    pub(super) fn at(site: &Site) -> Self {
        match site.hook {
            Hook::User | Hook::Socket => SOCKET,
            Hook::Reuseport => {
                Self { workers: Some(site.workers).filter(|workers| *workers > 1), ..REUSEPORT }
            }
            Hook::Cgroup => CGROUP,
            Hook::Tc => TC,
            Hook::Xdp if site.features.xdp_frags => XDP,
            Hook::Xdp => XDP_WHOLE,
        }
    }

    /// What the program returns.
    pub(super) const fn return_value(&self, verdict: Verdict) -> i32 {
        let (accept, drop) = self.hook.returns();
        match verdict {
            Verdict::Accept => accept,
            Verdict::Drop => drop,
        }
    }

    /// `to` = how many bytes the program sees. r0 to r5 are lost.
    pub(super) fn length(&self, code: &mut Code, to: Reg) {
        match self.length {
            LengthOrigin::Field(field) => ebpf! { in code; ldxw $to, [$CONTEXT + $field] },
            LengthOrigin::Helper => ebpf! { in code;
                mov r1, $CONTEXT
                call xdp_get_buff_len
                mov $to, r0
            },
            LengthOrigin::InPlace => ebpf! { in code;
                ldxw r0, [$CONTEXT + $DATA]
                ldxw $to, [$CONTEXT + $DATA_END]
                sub $to, r0
            },
        }
    }

    /// Copies `len` bytes from `offset` on to r10 + `slot`, or on at `absent` where not all of them are there. r0 to r5
    /// are lost.
    pub(super) fn load(&self, code: &mut Code, offset: impl SrcSplice, len: usize, slot: i16, absent: Label) {
        ebpf! { in code; mov r2, $offset }
        if let LoadWay::InPlace = self.load {
            locate(code, absent);
            return copy(code, len, slot, absent);
        }
        ebpf! { in code;
            mov r3, r10
            add r3, {i32::from(slot)}
            mov r4, {len as i32}
        }
        self.call_load(code, absent);
    }

    /// Copies to r3 as many bytes as r4 says, at least one, from the offset in r2 on, or on at `absent`. r0 to r5 are lost.
    pub(super) fn call_load(&self, code: &mut Code, absent: Label) {
        match self.load {
            LoadWay::Skb => ebpf! { in code;
                mov r1, $CONTEXT
                call skb_load_bytes
                jne r0, 0, $absent
            },
            LoadWay::Xdp => ebpf! { in code;
                mov r1, $CONTEXT
                call xdp_load_bytes
                jne r0, 0, $absent
            },
            LoadWay::InPlace => {
                locate(code, absent);
                copy_some(code, absent);
            }
        }
    }
}

/// r1 = where the offset in r2 is in the packet, r5 = where the packet ends. The verifier wants to see that an offset is
/// none that leads anywhere else; what is further off is absent.
fn locate(code: &mut Code, absent: Label) {
    ebpf! { in code;
        jgt r2, $MOST_AT, $absent
        ldxw r1, [$CONTEXT + $DATA]
        ldxw r5, [$CONTEXT + $DATA_END]
        add r1, r2
    }
}

/// Copies `len` bytes from r1 on to r10 + `slot`, by halves of words: a packet's have that alignment, the stack's have it
/// where `len` is even.
fn copy(code: &mut Code, len: usize, slot: i16, absent: Label) {
    ebpf! { in code;
        mov r2, r1
        add r2, {len as i32}
        jgt r2, r5, $absent
    }
    let width = if len.is_multiple_of(size_of::<u16>()) { size_of::<u16>() } else { 1 };
    for off in (0..len as i16).step_by(width) {
        if width == 1 {
            ebpf! { in code;
                ldxb r2, [r1 + $off]
                stxb [r10 + {slot + off}], r2
            }
        } else {
            ebpf! { in code;
                ldxh r2, [r1 + $off]
                stxh [r10 + {slot + off}], r2
            }
        }
    }
}

/// Copies to r3 as many bytes from r1 on as r4 says, one by one.
fn copy_some(code: &mut Code, absent: Label) {
    ebpf! { in code;
    again:
        mov r2, r1
        add r2, 1
        jgt r2, r5, $absent
        ldxb r0, [r1]
        stxb [r3], r0
        add r1, 1
        add r3, 1
        sub r4, 1
        jgt r4, 0, again
    }
}
