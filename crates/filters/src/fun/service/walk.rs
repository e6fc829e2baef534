//! Walks through the payload: a step after the other, as many as a field may have.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Field, FieldKind, LengthForm, Order, Width};

use super::{Compiler, Refusal, integer::ordered, stack};
use crate::fun::parse::PAYLOAD_LEN;

/// Where a walk is in the payload, or a text begins.
pub(super) const CURSOR: Mem = stack(-112);
/// Where it began.
pub(super) const BEGIN: Mem = stack(-120);
/// Steps that it may still make.
pub(super) const LEFT: Mem = stack(-128);
/// What it has found so far, or how long a text is.
pub(super) const FOUND: Mem = stack(-136);

impl Compiler<'_> {
    /// r0 = the byte at [`CURSOR`].
    pub(super) fn byte(&self, code: &mut Code, absent: Label) {
        ebpf! { in code; ldxdw r0, [$CURSOR] }
        self.load_behind(code, Width::One, absent);
    }

    /// From [`CURSOR`] on: it moves behind the integer, which is in [`FOUND`].
    pub(super) fn varint(&self, code: &mut Code, absent: Label) {
        let done = code.fresh_label();
        for (prefix, width) in [(0, Width::One), (1, Width::Two), (2, Width::Four), (3, Width::Eight)] {
            let next = code.fresh_label();
            self.byte(code, absent);
            if prefix < 3 {
                ebpf! { in code;
                    rsh r0, 6
                    jne r0, $prefix, $next
                }
            }
            ebpf! { in code; ldxdw r0, [$CURSOR] }
            self.load_behind(code, width, absent);
            ordered(code, width, Order::Big);
            let above = 64 - 8 * width.bytes() as i32 + 2;
            ebpf! { in code;
                lsh r0, $above
                rsh r0, $above
            }
            forget(code, FOUND, Reg::R0);
            ebpf! { in code;
                ldxdw r0, [$CURSOR]
                add r0, {width.bytes() as i32}
            }
            forget(code, CURSOR, Reg::R0);
            if prefix < 3 {
                ebpf! { in code;
                    ja $done
                $next:
                }
            }
        }
        ebpf! { in code; $done: }
    }

    /// From r0 on: [`CURSOR`] moves behind the name's last, empty label; [`BEGIN`] is where it begins.
    pub(super) fn dns_name(&self, code: &mut Code, absent: Label) {
        let again = code.fresh_label();
        ebpf! { in code;
            stxdw [$CURSOR], r0
            stxdw [$BEGIN], r0
            // From a register: verifiers before Linux 6.3 keep no number that is stored as an immediate.
            mov r1, $MOST_LABELS
            stxdw [$LEFT], r1
        $again:
        }
        step(code, absent);
        self.byte(code, absent);
        ebpf! { in code;
            jgt r0, $LONGEST_LABEL, $absent
            ldxdw r1, [$CURSOR]
            add r1, 1
            add r1, r0
            mov r2, r1
            ldxdw r3, [$BEGIN]
            sub r2, r3
            jgt r2, {i32::from(FieldKind::MOST_WALKED)}, $absent
        }
        forget(code, CURSOR, Reg::R1);
        ebpf! { in code; jne r0, 0, $again }
    }

    /// From r0 on: [`BEGIN`] is there, [`CURSOR`] moves behind the byte that ends the text.
    pub(super) fn until(&self, code: &mut Code, terminator: u8, within: u16, absent: Label) {
        let again = code.fresh_label();
        ebpf! { in code;
            stxdw [$CURSOR], r0
            stxdw [$BEGIN], r0
            mov r1, {i32::from(within)}
            stxdw [$LEFT], r1
        $again:
        }
        step(code, absent);
        self.byte(code, absent);
        ebpf! { in code;
            ldxdw r1, [$CURSOR]
            add r1, 1
        }
        forget(code, CURSOR, Reg::R1);
        ebpf! { in code; jne r0, {i32::from(terminator)}, $again }
    }

    /// [`CURSOR`] moves behind the digits, whose number is in [`FOUND`].
    pub(super) fn decimal(&mut self, code: &mut Code, field: &Field, absent: Label) -> Result<(), Refusal> {
        self.integer(code, &field.at, absent)?;
        let [again, ended] = [(); 2].map(|()| code.fresh_label());
        ebpf! { in code;
            stxdw [$CURSOR], r0
            stxdw [$BEGIN], r0
            mov r1, 0
            stxdw [$FOUND], r1
            mov r1, {i32::from(FieldKind::MOST_DIGITS) + 1}
            stxdw [$LEFT], r1
        $again:
            ldxdw r0, [$CURSOR]
            jge r0, $PAYLOAD_LEN, $ended
        }
        self.byte(code, absent);
        ebpf! { in code;
            jlt r0, {i32::from(b'0')}, $ended
            jgt r0, {i32::from(b'9')}, $ended
            sub r0, {i32::from(b'0')}
            stxdw [{stack(-16)}], r0
        }
        step(code, absent);
        ebpf! { in code;
            jeq r1, 0, $absent
            ldxdw r0, [{stack(-16)}]
            ldxdw r1, [$FOUND]
            mul r1, 10
            add r1, r0
        }
        forget(code, FOUND, Reg::R1);
        ebpf! { in code;
            ldxdw r1, [$CURSOR]
            add r1, 1
        }
        forget(code, CURSOR, Reg::R1);
        ebpf! { in code;
            ja $again
        $ended:
            ldxdw r0, [$CURSOR]
            ldxdw r1, [$BEGIN]
            jeq r0, r1, $absent
        }
        Ok(())
    }

    /// From r0 on: [`CURSOR`] moves behind the length, which is in [`FOUND`]; so many bytes are there.
    pub(super) fn counted(&self, code: &mut Code, form: LengthForm, absent: Label) {
        ebpf! { in code; stxdw [$CURSOR], r0 }
        let keep = |code: &mut Code, size: i32| {
            ebpf! { in code;
                stxdw [$FOUND], r0
                ldxdw r0, [$CURSOR]
                add r0, $size
                stxdw [$CURSOR], r0
            }
        };
        match form {
            LengthForm::Unsigned(width, order) => {
                self.load_behind(code, width, absent);
                ordered(code, width, order);
                keep(code, width.bytes() as i32);
            }
            LengthForm::Nibble => {
                self.load_behind(code, Width::One, absent);
                ebpf! { in code;
                    and r0, 0xf
                    jgt r0, 12, $absent
                }
                keep(code, 1);
            }
            LengthForm::Varint => self.varint(code, absent),
            LengthForm::Ber => self.ber(code, absent),
        }
        // Bytes of the text: no more than behind the length, which is not beyond the payload's end.
        ebpf! { in code;
            ldxdw r1, [$CURSOR]
            jgt r1, $PAYLOAD_LEN, $absent
            mov r2, $PAYLOAD_LEN
            sub r2, r1
            ldxdw r1, [$FOUND]
            jgt r1, r2, $absent
        }
    }

    /// From [`CURSOR`] on, as [`Self::counted`].
    pub(super) fn ber(&self, code: &mut Code, absent: Label) {
        let [long, done] = [(); 2].map(|()| code.fresh_label());
        self.byte(code, absent);
        ebpf! { in code;
            ldxdw r1, [$CURSOR]
            add r1, 1
            stxdw [$CURSOR], r1
            jgt r0, 0x7f, $long
            stxdw [$FOUND], r0
            ja $done
        $long:
            jgt r0, 0x84, $absent
            jeq r0, 0x80, $absent
            and r0, 0x7f
            stxdw [$LEFT], r0
            mov r1, 0
            stxdw [$FOUND], r1
        }
        // At most four times, and each has its own code, since how often is in the packet.
        for number in 0..4 {
            ebpf! { in code;
                ldxdw r1, [$LEFT]
                jeq r1, $number, $done
            }
            self.byte(code, absent);
            ebpf! { in code;
                ldxdw r1, [$FOUND]
                lsh r1, 8
                or r1, r0
                stxdw [$FOUND], r1
                ldxdw r1, [$CURSOR]
                add r1, 1
                stxdw [$CURSOR], r1
            }
        }
        ebpf! { in code;
        $done:
            ldxdw r0, [$FOUND]
        }
        forget(code, FOUND, Reg::R0);
        ebpf! { in code; ldxdw r0, [$CURSOR] }
        forget(code, CURSOR, Reg::R0);
    }
}

/// Labels of the longest name: 127 of one byte and the empty one.
pub(super) const MOST_LABELS: i32 = 128;
/// RFC 1035, 2.3.4.
pub(super) const LONGEST_LABEL: i32 = 63;

/// One step of [`LEFT`], or on at `none_left`; r1 = how many are left. r0 stays as it is.
pub(super) fn step(code: &mut Code, none_left: Label) {
    ebpf! { in code;
        ldxdw r1, [$LEFT]
        jeq r1, 0, $none_left
        sub r1, 1
        stxdw [$LEFT], r1
    }
}

/// Keeps a register so that the verifier forgets what it knows of it, as two halves: what it knows differs from step to step of a walk, and it
/// would go on with each of them. The register is lost.
pub(super) fn forget(code: &mut Code, slot: Mem, reg: Reg) {
    let (low, high) = if cfg!(target_endian = "big") { (4, 0) } else { (0, 4) };
    ebpf! { in code;
        stxw [{Mem { off: slot.off + low, ..slot }}], $reg
        rsh $reg, 32
        stxw [{Mem { off: slot.off + high, ..slot }}], $reg
    }
}
