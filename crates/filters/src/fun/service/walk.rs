//! Walks through the payload: a step after the other, as many as a field may have.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Field, FieldKind, Integer, LengthForm, Order, ServicePart};

use super::{
    Compiler, FORGOTTEN, Refusal,
    bounds::{MOST_BER, MOST_VARINT, looked_at},
    check_len,
    near::{BEGINNING, Near, Part},
    stack,
};
use crate::fun::{access::CONTEXT, parse::PAYLOAD_LEN};

/// Where a walk is, from the field's first byte on.
const OFFSET: Reg = Reg::R2;
/// What it has found so far.
const STATE: Reg = Reg::R3;
/// Where the packet's first piece ends.
const PIECE_END: Reg = Reg::R4;
/// Bytes of the payload from the field's first one on.
const REST: Reg = Reg::R5;
/// [`PAYLOAD_LEN`], with which the verifier doesn't connect it here: it would know another length wherever a walk begins or ends.
const FORGOTTEN_LEN: Mem = stack(-116);
/// Behind which offset a number's bytes end, of which the verifier knows nothing.
const COUNT: Mem = stack(-108);
/// [`BEGINNING`] of the payload, while it is a field's.
const KEPT_BEGINNING: Mem = stack(-128);
/// Offsets in instructions have 16 bits, and a field is no longer than the rest of them.
const MOST_CONSTANT: u64 = i16::MAX as u64 - 256;

/// So many labels of a name are told by a word: by a byte each, where it begins.
pub(super) const LABELS_IN_A_WORD: usize = size_of::<u64>();

/// Where a walk begins.
#[derive(Clone, Copy)]
enum WalkBegin {
    /// At an offset in the payload that is known.
    Constant(i16),
    /// At [`FORGOTTEN`], where [`BEGINNING`] is too.
    Elsewhere,
}

impl WalkBegin {
    /// From [`BEGINNING`] on.
    const fn constant(self) -> i16 {
        match self {
            Self::Constant(at) => at,
            Self::Elsewhere => 0,
        }
    }
}

impl Compiler<'_> {
    /// Finds the fields whose end the packet tells, each once, and keeps what is asked of them.
    pub(super) fn walk_fields(&mut self, code: &mut Code) -> Result<(), Refusal> {
        for (id, walked) in self.walked.clone() {
            check_len(code)?;
            let field = self.field(id);
            self.mark(code, ServicePart::Field(id));
            let [absent, done] = [(); 2].map(|()| code.fresh_label());
            let begin = self.begin_walk(code, &field, absent)?;
            match field.kind {
                FieldKind::DnsName => self.dns_name(code, begin, &walked.values, absent),
                FieldKind::Until { terminator, within } => {
                    self.until(code, begin, terminator, within, absent);
                }
                FieldKind::Decimal => self.decimal(code, begin, absent),
                FieldKind::Counted(form) => self.counted(code, begin, form, absent),
                _ => self.varint(code, begin, absent),
            }
            if let FieldKind::Decimal | FieldKind::Varint = field.kind {
                forget(code, walked.values[0], STATE);
            }
            match begin {
                WalkBegin::Constant(at) => ebpf! { in code; mov r0, {i32::from(at)} },
                WalkBegin::Elsewhere => ebpf! { in code; ldxw r0, [$FORGOTTEN] },
            }
            if let FieldKind::Counted(_) = field.kind {
                ebpf! { in code;
                    add r0, $OFFSET
                    mov $OFFSET, $STATE
                }
            }
            ebpf! { in code;
                add $OFFSET, r0
                ja $done
            // No zeros, of which the verifier would know.
            $absent:
                mov $OFFSET, -1
                mov r0, $OFFSET
            }
            for value in &walked.values {
                ebpf! { in code; mov r1, $OFFSET }
                forget(code, *value, Reg::R1);
            }
            ebpf! { in code;
            $done:
                stxw [{walked.begin}], r0
                stxw [{walked.end}], $OFFSET
            }
            if let WalkBegin::Elsewhere = begin {
                ebpf! { in code; ldxdw $BEGINNING, [$KEPT_BEGINNING] }
            }
        }
        Ok(())
    }

    /// [`OFFSET`] and [`REST`] become the field's, and [`BEGINNING`] unless its place is known.
    fn begin_walk(&mut self, code: &mut Code, field: &Field, absent: Label) -> Result<WalkBegin, Refusal> {
        let len = looked_at(&field.kind);
        let known = match (&field.at, self.near) {
            (Integer::Constant(at), Near::Copied(copied)) => at.saturating_add(len) <= copied as u64,
            (Integer::Constant(at), _) => *at <= MOST_CONSTANT,
            _ => false,
        };
        let begin = match field.at {
            Integer::Constant(at) if known => WalkBegin::Constant(at as i16),
            _ => WalkBegin::Elsewhere,
        };
        if let WalkBegin::Elsewhere = begin {
            ebpf! { in code; stxdw [$KEPT_BEGINNING], $BEGINNING }
        }
        self.integer(code, &field.at, absent)?;
        ebpf! { in code;
            stxw [$FORGOTTEN_LEN], $PAYLOAD_LEN
            ldxw r1, [$FORGOTTEN_LEN]
            jgt r0, r1, $absent
        }
        if let WalkBegin::Elsewhere = begin {
            self.point(code, Part::Begin(len as usize), self.most(&field.at), absent);
            ebpf! { in code;
                stxw [$FORGOTTEN], r0
                mov $BEGINNING, r1
            }
        }
        ebpf! { in code;
            ldxw $REST, [$FORGOTTEN_LEN]
            sub $REST, r0
            // 0, of which the verifier knows nothing: what it learns at an offset that it knows it would keep for the whole packet.
            mov $OFFSET, $REST
            xor $OFFSET, $REST
        }
        if let Near::InPlace(_) = self.near {
            ebpf! { in code; ldxw $PIECE_END, [$CONTEXT + {self.access.data[1]}] }
        }
        Ok(begin)
    }

    /// r0 = the byte at [`OFFSET`], or on at `absent`. r1 is lost.
    fn walked_byte(&self, code: &mut Code, begin: WalkBegin, absent: Label) {
        ebpf! { in code; jge $OFFSET, $REST, $absent }
        self.any_byte(code, begin);
    }

    /// r0 = the byte at [`OFFSET`], be it the payload's or not. r1 is lost.
    fn any_byte(&self, code: &mut Code, begin: WalkBegin) {
        let at = begin.constant();
        ebpf! { in code;
            mov r1, $BEGINNING
            add r1, $OFFSET
        }
        if let Near::InPlace(elsewhere) = self.near {
            ebpf! { in code;
                mov r0, r1
                add r0, {i32::from(at) + 1}
                jgt r0, $PIECE_END, $elsewhere
            }
        }
        ebpf! { in code; ldxb r0, [r1 + $at] }
    }

    /// [`OFFSET`] moves behind the name's last, empty label.
    ///
    /// Each question costs the verifier a way more at each label. In a copy those that can wait are asked at the end: whether it is
    /// the payload's, by all who ask for the field, and how long labels are. In place that would have packets judged by a copy that end
    /// too early.
    fn dns_name(&self, code: &mut Code, begin: WalkBegin, labels: &[Mem], absent: Label) {
        /// The bits of all lengths.
        const LENGTHS: Reg = REST;
        let is_copy = matches!(self.near, Near::Copied(_));
        let [again, done] = [(); 2].map(|()| code.fresh_label());
        if !labels.is_empty() {
            ebpf! { in code; mov $STATE, 0 }
        }
        for word in labels.iter().skip(1) {
            ebpf! { in code; stxdw [{*word}], $STATE }
        }
        let last = i32::from(FieldKind::MOST_WALKED) - 1;
        if is_copy {
            ebpf! { in code; mov $LENGTHS, 0 }
        }
        ebpf! { in code;
            jgt $OFFSET, $last, $absent
        $again:
        }
        // Where labels begin moves a byte on, from a word to the next.
        for number in (1..labels.len()).rev() {
            if number > 1 {
                ebpf! { in code; ldxdw r1, [{labels[number - 1]}] }
            } else {
                ebpf! { in code; mov r1, $STATE }
            }
            ebpf! { in code;
                ldxdw r0, [{labels[number]}]
                lsh r0, 8
                rsh r1, 56
                or r0, r1
                stxdw [{labels[number]}], r0
            }
        }
        if !labels.is_empty() {
            ebpf! { in code;
                lsh $STATE, 8
                or $STATE, $OFFSET
            }
        }
        if is_copy {
            self.any_byte(code, begin);
            ebpf! { in code; or $LENGTHS, r0 }
        } else {
            self.walked_byte(code, begin, absent);
            ebpf! { in code; jgt r0, $LONGEST_LABEL, $absent }
        }
        ebpf! { in code;
            jeq r0, 0, $done
            add $OFFSET, 1
            add $OFFSET, r0
            jle $OFFSET, $last, $again
            ja $absent
        $done:
        }
        if is_copy {
            ebpf! { in code; jset $LENGTHS, {!LONGEST_LABEL & 0xff}, $absent }
        }
        ebpf! { in code; add $OFFSET, 1 }
        for word in labels.iter().skip(1) {
            ebpf! { in code; ldxdw r0, [{*word}] }
            forget(code, *word, Reg::R0);
        }
        labels.iter().take(1).for_each(|word| forget(code, *word, STATE));
    }

    /// [`OFFSET`] moves behind the byte that ends the text; as with names, in a copy, should that be behind the payload too.
    fn until(&self, code: &mut Code, begin: WalkBegin, terminator: u8, within: u16, absent: Label) {
        let again = code.fresh_label();
        ebpf! { in code;
        $again:
            jge $OFFSET, {i32::from(within)}, $absent
        }
        match self.near {
            Near::Copied(_) => self.any_byte(code, begin),
            _ => self.walked_byte(code, begin, absent),
        }
        ebpf! { in code;
            add $OFFSET, 1
            jne r0, {i32::from(terminator)}, $again
        }
    }

    /// [`OFFSET`] moves behind the digits, whose number is [`STATE`].
    fn decimal(&self, code: &mut Code, begin: WalkBegin, absent: Label) {
        let [again, ended] = [(); 2].map(|()| code.fresh_label());
        ebpf! { in code;
            mov $STATE, 0
        $again:
            jgt $OFFSET, {i32::from(FieldKind::MOST_DIGITS)}, $absent
        }
        self.walked_byte(code, begin, ended);
        ebpf! { in code;
            jlt r0, {i32::from(b'0')}, $ended
            jgt r0, {i32::from(b'9')}, $ended
            jge $OFFSET, {i32::from(FieldKind::MOST_DIGITS)}, $absent
            sub r0, {i32::from(b'0')}
            mul $STATE, 10
            add $STATE, r0
            add $OFFSET, 1
            ja $again
        $ended:
            jeq $OFFSET, 0, $absent
        }
    }

    /// [`OFFSET`] moves behind the length, which is [`STATE`]; so many bytes are there.
    fn counted(&self, code: &mut Code, begin: WalkBegin, form: LengthForm, absent: Label) {
        match form {
            LengthForm::Unsigned(width, order) => {
                ebpf! { in code; mov $STATE, 0 }
                for number in 0..width.bytes() as i32 {
                    self.next_byte(code, begin, width.bytes(), absent);
                    match order {
                        Order::Big => ebpf! { in code; lsh $STATE, 8 },
                        Order::Little => ebpf! { in code; lsh r0, {8 * number} },
                    }
                    ebpf! { in code; or $STATE, r0 }
                }
            }
            LengthForm::Nibble => {
                self.next_byte(code, begin, 1, absent);
                ebpf! { in code;
                    and r0, 0xf
                    jgt r0, 12, $absent
                    mov $STATE, r0
                }
            }
            LengthForm::Varint => self.varint(code, begin, absent),
            LengthForm::Ber => self.ber(code, begin, absent),
        }
        ebpf! { in code;
            mov r1, $REST
            sub r1, $OFFSET
            jgt $STATE, r1, $absent
        }
    }

    /// [`OFFSET`] moves behind the integer, which is [`STATE`].
    fn varint(&self, code: &mut Code, begin: WalkBegin, absent: Label) {
        self.next_byte(code, begin, MOST_VARINT, absent);
        ebpf! { in code;
            mov $STATE, r0
            and $STATE, 0x3f
            rsh r0, 6
            mov r1, 1
            lsh r1, r0
            stxw [$COUNT], r1
        }
        self.bytes_of_number(code, begin, MOST_VARINT, absent);
    }

    /// [`OFFSET`] moves behind the length, which is [`STATE`].
    fn ber(&self, code: &mut Code, begin: WalkBegin, absent: Label) {
        let [long, done] = [(); 2].map(|()| code.fresh_label());
        self.next_byte(code, begin, MOST_BER, absent);
        ebpf! { in code;
            jgt r0, 0x7f, $long
            mov $STATE, r0
            ja $done
        $long:
            jgt r0, 0x84, $absent
            jeq r0, 0x80, $absent
            and r0, 0x7f
            add r0, 1
            stxw [$COUNT], r0
            mov $STATE, 0
        }
        self.bytes_of_number(code, begin, MOST_BER, absent);
        ebpf! { in code; $done: }
    }

    /// [`STATE`] takes the bytes up to the offset in [`COUNT`] up, `most` at most.
    fn bytes_of_number(&self, code: &mut Code, begin: WalkBegin, most: u64, absent: Label) {
        let [again, done] = [(); 2].map(|()| code.fresh_label());
        ebpf! { in code;
        $again:
            ldxw r0, [$COUNT]
            jge $OFFSET, r0, $done
        }
        self.next_byte(code, begin, most, absent);
        ebpf! { in code;
            lsh $STATE, 8
            or $STATE, r0
            ja $again
        $done:
        }
    }

    /// r0 = the byte at [`OFFSET`], which moves behind it and is below `most`.
    fn next_byte(&self, code: &mut Code, begin: WalkBegin, most: u64, absent: Label) {
        ebpf! { in code; jge $OFFSET, {most as i32}, $absent }
        self.walked_byte(code, begin, absent);
        ebpf! { in code; add $OFFSET, 1 }
    }
}

/// RFC 1035, 2.3.4: what is longer has a bit that no shorter one has.
const LONGEST_LABEL: i32 = 63;

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
