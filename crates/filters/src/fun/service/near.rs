//! The payload near at hand: bytes that stand where the packet says, read without a call for each.
//!
//! At most hooks the payload's beginning is copied once. At xdp, where packets are read in place, a program judges first what is in the
//! packet's first piece, and judges by a copy where a byte is elsewhere that it asks for. Nothing is counted in between.

use weir_asm::{
    Code, Label, Mem, Reg,
    maps::{MapSpec, PerCpuArray},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Party, Width};

use super::{
    Compiler, FORGOTTEN, Refusal, Window,
    bounds::{conditions, shortest_message},
};
use crate::{
    Hook, Layer,
    fun::{
        access::CONTEXT,
        map,
        parse::{AT, END, PAYLOAD_LEN},
    },
};

/// The payload's beginning, and behind it a part that stands further off. A program that uses it runs in softirq or with bottom
/// halves off: none disturbs another of the same CPU ([`crate::Features::softirqs_apart`]).
pub(super) const NEAR: MapSpec<PerCpuArray<[u64; (COPIED_LEN + PART_LEN) / 8]>> = MapSpec::new("near", 1);

/// Bytes of the beginning that are copied at most.
const COPIED_LEN: usize = 512;
/// Bytes of a part: no walk and no comparison has more.
pub(super) const PART_LEN: usize = 256;

/// Where the payload begins that is at hand.
pub(super) const BEGINNING: Reg = END;

/// Behind any header that is read, and behind any field that is read in place: together less than the verifier follows
/// (MAX_PACKET_OFF, 0xffff, include/linux/bpf_verifier.h).
const MOST_AT: i32 = 0x3fff;
const MOST_OFFSET: i32 = 0x7fff;

/// Bytes behind the headers of IPv4 and UDP in the shortest frame of Ethernet, which has 60 without its checksum (IEEE 802.3, 4.4.2).
const SHORTEST_FRAME: u64 = 60 - 14 - 20 - 8;

/// Whether the kernel lets programs load integers that aren't aligned (CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS).
pub(super) const UNALIGNED: bool = cfg!(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "powerpc64",
    target_arch = "s390x"
));

/// How the payload is at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    /// All that is read is in the [`Window`].
    Window,
    /// In the packet, from [`BEGINNING`] on; packets of which something isn't in the first piece go on at the label.
    InPlace(Label),
    /// From [`BEGINNING`] on in [`NEAR`], so many bytes of it; what is behind them is copied for each that is read.
    Copied(usize),
}

/// Of a frame at xdp no helper reads what is behind so many bytes (`bpf_xdp_pointer`, net/core/filter.c).
pub const MOST_READ_OF_FRAMES: usize = 1 << 16;

impl Compiler<'_> {
    /// Writes `judge` for each way in which the payload may be at hand, with what brings it there; where it can be nowhere else than in
    /// the packet, and isn't, or beyond [`MOST_READ_OF_FRAMES`], on at `unread`. Payloads that are shorter than any message go on at `none`.
    pub(super) fn at_hand(
        &mut self,
        code: &mut Code,
        [none, unread]: [Label; 2],
        mut judge: impl FnMut(&mut Self, &mut Code) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.near == Near::Window {
            return judge(self, code);
        }
        let fields = self.service.protocol.fields_of(conditions(self.service, self.by));
        let ends = fields.iter().map(|id| self.most_end(*id).unwrap_or(COPIED_LEN as u64));
        let copied = Near::Copied(ends.max().unwrap_or(0).min(COPIED_LEN as u64) as usize);
        if !self.site.features.softirqs_apart {
            return Err(Refusal::Unsupported(
                "a guard whose fields stand where the packet says, on PREEMPT_RT from Linux 6.18 on, where softirqs may come between \
                 each other,",
            ));
        }
        let ways = match (self.site.hook, self.by) {
            (Hook::Xdp, _) => vec![Near::InPlace(code.fresh_label()), copied],
            // There another program may come in between, and packets are whole but for the longest.
            (Hook::Cgroup, Party::Service) => vec![Near::InPlace(unread)],
            _ => vec![copied],
        };
        if self.site.hook == Hook::Xdp {
            ebpf! { in code;
                mov r1, $AT
                add r1, $PAYLOAD_LEN
                jgt r1, {MOST_READ_OF_FRAMES as i32}, $unread
            }
        }
        let shortest = shortest_message(self.service, self.by);
        if shortest > 0 {
            ebpf! { in code; jlt $PAYLOAD_LEN, {shortest as i32}, $none }
        }
        for way in ways {
            if let (Near::Copied(_), Near::InPlace(elsewhere)) = (way, self.near) {
                // Whatever was asked before, the verifier knows as much of its length as there.
                ebpf! { in code;
                $elsewhere:
                    stxw [$FORGOTTEN], $PAYLOAD_LEN
                    ldxw $PAYLOAD_LEN, [$FORGOTTEN]
                    jgt $PAYLOAD_LEN, {i32::from(u16::MAX)}, $none
                }
            }
            self.near = way;
            self.open(code, shortest, none);
            judge(self, code)?;
        }
        Ok(())
    }

    /// Whether bytes that are compared with these need not be asked for: zeros stand behind the payload's end, and the last of these is
    /// none. Where whole frames are read, other bytes may stand there.
    pub(super) fn is_told_by_zeros(&self, bytes: &[u8]) -> bool {
        self.near == Near::Window
            && self.site.hook.layer() == Layer::Udp
            && bytes.last().is_some_and(|last| *last != 0)
    }

    /// [`BEGINNING`], and the window of what can be read there without being asked for.
    fn open(&mut self, code: &mut Code, shortest: u64, none: Label) {
        let begin = Mem { base: BEGINNING, off: 0 };
        match self.near {
            Near::Window => {}
            Near::InPlace(elsewhere) => {
                let [data, data_end] = self.access.data;
                // Of frames; where packets are read without them, and nothing else is left to do, there is only what is there.
                let there = if self.site.hook == Hook::Xdp { shortest.max(SHORTEST_FRAME) } else { shortest };
                let len = self.window.len.min(there);
                self.window = Window { begin, len, aligned: (!UNALIGNED).then_some(Width::Four) };
                // Wherever it is, what comes behind is the same to the verifier.
                ebpf! { in code;
                    stxw [$FORGOTTEN], $AT
                    ldxw $AT, [$FORGOTTEN]
                    jgt $AT, $MOST_AT, $elsewhere
                    ldxw $BEGINNING, [$CONTEXT + $data]
                    add $BEGINNING, $AT
                    mov r1, $BEGINNING
                    add r1, {len as i32}
                    ldxw r2, [$CONTEXT + $data_end]
                    jgt r1, r2, $elsewhere
                }
            }
            Near::Copied(len) => {
                let [whole, copied] = [(); 2].map(|()| code.fresh_label());
                self.window =
                    Window { begin, len: len as u64, aligned: (!UNALIGNED).then_some(Width::Eight) };
                map::look_up(code, NEAR.name(), none);
                ebpf! { in code;
                    mov $BEGINNING, r0
                    mov r4, {len as i32}
                    jge $PAYLOAD_LEN, r4, $whole
                    mov r4, $PAYLOAD_LEN
                    // Not `jeq`: of that verifiers before Linux 6.8 learn no least length, and refuse a copy of none.
                    jlt r4, 1, $copied
                $whole:
                    mov r2, $AT
                    mov r3, $BEGINNING
                }
                self.access.call_load(code, none);
                ebpf! { in code; $copied: }
            }
        }
    }

    /// r1 = where the payload is at hand from the offset in r0 on, which isn't behind its end and is at most `most`. As many bytes as the
    /// part has can be read there; in place, of a part's beginning, who reads them asks for the packet's end too. r2 to r5 are lost, r0
    /// stays.
    pub(super) fn point(&self, code: &mut Code, part: Part, most: Option<u64>, absent: Label) {
        let len = part.len();
        match self.near {
            Near::Window => unreachable!("everything is in the window"),
            Near::InPlace(elsewhere) => {
                // With a 0 of which the verifier knows nothing: what it learns at an offset that it knows it would keep for the packet,
                // whether it came by there or not.
                ebpf! { in code;
                    jgt r0, $MOST_OFFSET, $elsewhere
                    mov r1, $PAYLOAD_LEN
                    xor r1, $PAYLOAD_LEN
                    and r1, 1
                    add r1, $BEGINNING
                    add r1, r0
                }
                if let Part::Whole(len) = part {
                    let [_, data_end] = self.access.data;
                    ebpf! { in code;
                        mov r2, r1
                        add r2, {len as i32}
                        ldxw r3, [$CONTEXT + $data_end]
                        jgt r2, r3, $elsewhere
                    }
                }
            }
            Near::Copied(copied) => {
                let last = copied.saturating_sub(len) as i32;
                ebpf! { in code; mov r2, r0 }
                if most.is_none_or(|most| most > last as u64) {
                    let near = code.fresh_label();
                    // The verifier goes this way first, and behind it it knows no more than there.
                    ebpf! { in code; jle r2, $last, $near }
                    self.copy_part(code, part, absent);
                    ebpf! { in code; $near: }
                }
                ebpf! { in code;
                    jgt r2, {(COPIED_LEN + PART_LEN - len) as i32}, $absent
                    mov r1, $BEGINNING
                    add r1, r2
                }
            }
        }
    }

    /// Copies what is too far off, and makes r2 its place, of which the verifier knows nothing.
    fn copy_part(&self, code: &mut Code, part: Part, absent: Label) {
        ebpf! { in code;
            stxw [$FORGOTTEN], r0
            mov r4, {part.len() as i32}
        }
        if let Part::Begin(len) = part {
            let whole = code.fresh_label();
            ebpf! { in code;
                mov r1, $PAYLOAD_LEN
                sub r1, r0
                jge r1, {len as i32}, $whole
                mov r4, r1
                jlt r4, 1, $absent
            $whole:
            }
        }
        ebpf! { in code;
            add r2, $AT
            mov r3, $BEGINNING
            add r3, {COPIED_LEN as i32}
        }
        self.access.call_load(code, absent);
        ebpf! { in code;
            ldxw r0, [$FORGOTTEN]
            mov r2, {COPIED_LEN as i32}
            stxw [$FORGOTTEN], r2
            ldxw r2, [$FORGOTTEN]
        }
    }
}

/// What is wanted of the payload.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// So many bytes, which are there.
    Whole(usize),
    /// As many as there are, and no more than that; who reads them asks for each whether it is there.
    Begin(usize),
}

impl Part {
    const fn len(self) -> usize {
        match self {
            Self::Whole(len) | Self::Begin(len) => len,
        }
    }
}
