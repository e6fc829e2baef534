//! Integers of a packet, in r0.

use weir_asm::{Code, Label, Mem, Reg, splice::SrcSplice};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Comparison, Field, FieldId, FieldKind, Integer, Operation, Order, Width};

use super::{
    Compiler, Refusal, TEMPORARIES, check_len,
    near::{Part, UNALIGNED},
    stack,
};
use crate::fun::parse::{AT, PAYLOAD_LEN};

/// Where a result stands.
pub(super) const RESULT: Reg = Reg::R0;

/// What is loaded of the UDP header.
const LOADED: i16 = -8;

impl Compiler<'_> {
    /// r0 = the integer, or on at `absent`. r1 to r5 are lost.
    pub(super) fn integer(
        &mut self,
        code: &mut Code,
        integer: &Integer,
        absent: Label,
    ) -> Result<(), Refusal> {
        // A field's place may name others whose places do.
        check_len(code)?;
        match integer {
            Integer::Constant(value) => constant(code, RESULT, *value),
            Integer::Len => ebpf! { in code; mov r0, $PAYLOAD_LEN },
            Integer::SourcePort => self.source_port(code, absent),
            Integer::Field(id) => self.number(code, *id, absent)?,
            Integer::Start(id) => self.start(code, *id, absent)?,
            Integer::End(id) => self.end(code, *id, absent)?,
            Integer::Binary(operation, left, right) => self.binary(code, *operation, left, right, absent)?,
        }
        Ok(())
    }

    fn binary(
        &mut self,
        code: &mut Code,
        operation: Operation,
        left: &Integer,
        right: &Integer,
        absent: Label,
    ) -> Result<(), Refusal> {
        if let Some(right) = small(right) {
            self.integer(code, left, absent)?;
            return apply(code, operation, right, absent);
        }
        self.both(code, left, right, absent)?;
        apply(code, operation, Reg::R2, absent)
    }

    /// r0 and r2 = two integers.
    fn both(
        &mut self,
        code: &mut Code,
        left: &Integer,
        right: &Integer,
        absent: Label,
    ) -> Result<(), Refusal> {
        self.integer(code, left, absent)?;
        let slot = self.take_temporary()?;
        ebpf! { in code; stxdw [$slot], r0 }
        self.integer(code, right, absent)?;
        ebpf! { in code;
            mov r2, r0
            ldxdw r0, [$slot]
        }
        self.temporaries -= 1;
        Ok(())
    }

    pub(super) fn take_temporary(&mut self) -> Result<Mem, Refusal> {
        let number = self.temporaries;
        if number == TEMPORARIES {
            return Err(Refusal::TooDeep);
        }
        self.temporaries += 1;
        Ok(stack(super::TEMPORARY - 8 * number as i16))
    }

    /// On at `target` where two integers compare so, and on at `absent` where one of them is absent.
    pub(super) fn jump_if(
        &mut self,
        code: &mut Code,
        (comparison, left, right): (Comparison, &Integer, &Integer),
        target: Label,
        absent: Label,
    ) -> Result<(), Refusal> {
        if let (Integer::Field(id), Integer::Constant(value)) = (left, right)
            && let Some(field) = self.as_it_stands(*id, *value)
            && let Comparison::Equal | Comparison::Unequal = comparison
        {
            let is_told = comparison == Comparison::Unequal && target == absent;
            match field.at {
                Integer::Constant(at) if is_told && self.has_told_by_zeros(at, &field) => {
                    load(code, field.width, self.window.at(at));
                }
                _ => self.load(code, &field.at, field.width, absent)?,
            }
            jump_where_stands(code, comparison == Comparison::Equal, field.value, target);
        } else if let Some(right) = small(right) {
            self.integer(code, left, absent)?;
            jump(code, comparison, right, target);
        } else if let Some(left) = small(left) {
            self.integer(code, right, absent)?;
            jump(code, comparison.mirrored(), left, target);
        } else {
            self.both(code, left, right, absent)?;
            jump(code, comparison, Reg::R2, target);
        }
        Ok(())
    }

    /// What a load of the field gives where it is this number; nothing where it is loaded as the number, or can't be that.
    fn as_it_stands(&self, id: FieldId, value: u64) -> Option<Standing> {
        let Field { kind: FieldKind::Unsigned { width, order, bits: None }, at, .. } = self.field(id) else {
            return None;
        };
        let (from, len) = (size_of::<u64>() - width.bytes() as usize, width.bytes() as usize);
        let value = match order {
            _ if !matches!(width, Width::Two | Width::Four) || value >> (8 * len) != 0 => return None,
            Order::Big => native(&value.to_be_bytes()[from..]),
            Order::Little => native(&value.to_le_bytes()[..len]),
        };
        Some(Standing { at, width, value })
    }

    /// Whether the field is at hand, and can't be that number where the payload ends before it does.
    fn has_told_by_zeros(&self, at: u64, field: &Standing) -> bool {
        let bytes = field.value.to_ne_bytes();
        let width = field.width.bytes() as usize;
        let standing =
            if cfg!(target_endian = "big") { &bytes[bytes.len() - width..] } else { &bytes[..width] };
        self.window.has(at, field.width) && self.is_told_by_zeros(standing)
    }

    fn source_port(&self, code: &mut Code, absent: Label) {
        ebpf! { in code;
            mov r2, $AT
            sub r2, {weir_wire::udp::PAYLOAD_OFFSET as i32}
            mov r3, r10
            add r3, {i32::from(LOADED)}
            mov r4, {Width::Two.bytes() as i32}
        }
        self.access.call_load(code, absent);
        ebpf! { in code;
            ldxh r0, [{stack(LOADED)}]
            be16 r0
        }
    }

    /// r0 = as many bytes of the payload as they stand there, from the offset in r0 on, or on at `absent`; it is at most `most`.
    fn load_behind(&self, code: &mut Code, width: Width, most: Option<u64>, absent: Label) {
        // The offset is compared, and not what is left behind it: what the verifier learns of the payload's length would differ
        // from step to step of a walk.
        ebpf! { in code;
            jgt r0, $PAYLOAD_LEN, $absent
            mov r2, r0
            add r2, {width.bytes() as i32}
            jgt r2, $PAYLOAD_LEN, $absent
        }
        self.point(code, Part::Whole(width.bytes() as usize), most, absent);
        load_pointed(code, width, 0);
    }

    /// r0 = as many bytes of the payload as they stand there, or on at `absent`.
    pub(super) fn load(
        &mut self,
        code: &mut Code,
        at: &Integer,
        width: Width,
        absent: Label,
    ) -> Result<(), Refusal> {
        match at {
            Integer::Constant(at) if self.window.has(*at, width) => {
                let end = at + width.bytes();
                ebpf! { in code; jlt $PAYLOAD_LEN, {end as i32}, $absent }
                load(code, width, self.window.at(*at));
            }
            _ => {
                self.integer(code, at, absent)?;
                self.load_behind(code, width, self.most(at), absent);
            }
        }
        Ok(())
    }
}

pub(super) fn load(code: &mut Code, width: Width, from: Mem) {
    load_to(code, Reg::R0, width, from);
}

pub(super) fn load_to(code: &mut Code, to: Reg, width: Width, from: Mem) {
    match width {
        Width::One => ebpf! { in code; ldxb $to, [$from] },
        Width::Two => ebpf! { in code; ldxh $to, [$from] },
        Width::Four => ebpf! { in code; ldxw $to, [$from] },
        Width::Eight => ebpf! { in code; ldxdw $to, [$from] },
    }
}

/// r0 = as many bytes as they stand `off` bytes behind where r1 points to; r2 is lost.
pub(super) fn load_pointed(code: &mut Code, width: Width, off: i16) {
    let place = |number: i16| Mem { base: Reg::R1, off: off + number };
    if UNALIGNED {
        return load(code, width, place(0));
    }
    ebpf! { in code; mov r0, 0 }
    for number in 0..width.bytes() as i16 {
        let above = if cfg!(target_endian = "big") { width.bytes() as i16 - 1 - number } else { number };
        ebpf! { in code;
            ldxb r2, [{place(number)}]
            lsh r2, {8 * i32::from(above)}
            or r0, r2
        }
    }
}

/// r0 from bytes as they stand in the packet to the integer that they are.
pub(super) fn ordered(code: &mut Code, width: Width, order: Order) {
    match (width, order) {
        (Width::One, _) => {}
        (Width::Two, Order::Big) => ebpf! { in code; be16 r0 },
        (Width::Four, Order::Big) => ebpf! { in code; be32 r0 },
        (Width::Eight, Order::Big) => ebpf! { in code; be64 r0 },
        (Width::Two, Order::Little) => ebpf! { in code; le16 r0 },
        (Width::Four, Order::Little) => ebpf! { in code; le32 r0 },
        (Width::Eight, Order::Little) => ebpf! { in code; le64 r0 },
    }
}

/// A constant that instructions have room for: they widen it with its sign.
fn small(integer: &Integer) -> Option<i32> {
    match integer {
        Integer::Constant(value) => i32::try_from(*value).ok(),
        _ => None,
    }
}

pub(super) fn constant(code: &mut Code, to: Reg, value: u64) {
    match i32::try_from(value) {
        Ok(value) => ebpf! { in code; mov $to, $value },
        Err(_) => ebpf! { in code; lddw $to, $value },
    }
}

/// r0 = r0 and `right` by the operation, or on at `absent`. r1 is lost.
fn apply(
    code: &mut Code,
    operation: Operation,
    right: impl SrcSplice + Bits,
    absent: Label,
) -> Result<(), Refusal> {
    match operation {
        Operation::Add => ebpf! { in code;
            mov r1, r0
            add r0, $right
            jlt r0, r1, $absent
        },
        Operation::Subtract => ebpf! { in code;
            jlt r0, $right, $absent
            sub r0, $right
        },
        Operation::And => ebpf! { in code; and r0, $right },
        Operation::Or => ebpf! { in code; or r0, $right },
        Operation::Xor => ebpf! { in code; xor r0, $right },
        Operation::ShiftLeft => {
            let by = right.bits().ok_or(Refusal::UnknownShift)?;
            ebpf! { in code;
                mov r1, r0
                lsh r0, $by
                mov r2, r0
                rsh r2, $by
                jne r1, r2, $absent
            }
        }
        Operation::ShiftRight => {
            let by = right.bits().ok_or(Refusal::UnknownShift)?;
            ebpf! { in code; rsh r0, $by }
        }
    }
    Ok(())
}

/// By how many bits something is shifted.
trait Bits: Copy {
    /// 0 to 63, where it is known.
    fn bits(self) -> Option<i32>;
}

impl Bits for i32 {
    fn bits(self) -> Option<i32> {
        Some(self).filter(|bits| (0..64).contains(bits))
    }
}

impl Bits for Reg {
    fn bits(self) -> Option<i32> {
        None
    }
}

/// On at `target` where r0 and `right` compare so.
fn jump(code: &mut Code, comparison: Comparison, right: impl SrcSplice, target: Label) {
    match comparison {
        Comparison::Equal => ebpf! { in code; jeq r0, $right, $target },
        Comparison::Unequal => ebpf! { in code; jne r0, $right, $target },
        Comparison::Less => ebpf! { in code; jlt r0, $right, $target },
        Comparison::LessOrEqual => ebpf! { in code; jle r0, $right, $target },
        Comparison::Greater => ebpf! { in code; jgt r0, $right, $target },
        Comparison::GreaterOrEqual => ebpf! { in code; jge r0, $right, $target },
    }
}

/// What a load of these bytes gives on this machine, for which programs are made.
pub(super) fn native(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    if cfg!(target_endian = "big") {
        word[8 - bytes.len()..].copy_from_slice(bytes);
    } else {
        word[..bytes.len()].copy_from_slice(bytes);
    }
    u64::from_ne_bytes(word)
}

/// A field that is compared with a constant as it stands in the payload: no byte is turned.
struct Standing {
    at: Integer,
    width: Width,
    value: u64,
}

/// On at `target` where r0, of 32 bits at most, is the value or is not.
fn jump_where_stands(code: &mut Code, is_equal: bool, value: u64, target: Label) {
    match (i32::try_from(value), is_equal) {
        (Ok(value), true) => ebpf! { in code; jeq r0, $value, $target },
        (Ok(value), false) => ebpf! { in code; jne r0, $value, $target },
        (Err(_), true) => ebpf! { in code; jeq32 r0, {value as u32 as i32}, $target },
        (Err(_), false) => ebpf! { in code; jne32 r0, {value as u32 as i32}, $target },
    }
}

/// On at `target` where r0 and a constant compare so. r2 is lost.
pub(super) fn jump_constant(code: &mut Code, comparison: Comparison, value: u64, target: Label) {
    match i32::try_from(value) {
        Ok(value) => jump(code, comparison, value, target),
        Err(_) => {
            constant(code, Reg::R2, value);
            jump(code, comparison, Reg::R2, target);
        }
    }
}

/// So many numbers are compared one by one; more are halved.
const IN_A_ROW: usize = 3;

/// On at the label of the number in r0, or at `none`.
pub(super) fn choose(code: &mut Code, values: &[(u64, Label)], none: Label) {
    if values.len() > IN_A_ROW {
        let (low, high) = values.split_at(values.len() / 2);
        let below = code.fresh_label();
        jump_constant(code, Comparison::Less, high[0].0, below);
        choose(code, high, none);
        ebpf! { in code; $below: }
        return choose(code, low, none);
    }
    for (value, label) in values {
        jump_constant(code, Comparison::Equal, *value, *label);
    }
    ebpf! { in code; ja $none }
}
