//! Fields: where they end, which number they hold, and which text.

use std::collections::{BTreeMap, BTreeSet};

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Condition, Field, FieldId, FieldKind, Integer, LengthForm, Order, Width};

use super::{
    Compiler, Refusal,
    integer::{constant, load, ordered},
    stack,
};
use crate::fun::parse::{AT, PAYLOAD_LEN};

/// Where a walk is in the payload, or a text begins.
const CURSOR: Mem = stack(-112);
/// Where it began.
const BEGIN: Mem = stack(-120);
/// Steps that it may still make.
const LEFT: Mem = stack(-128);
/// What it has found so far, or how long a text is.
const FOUND: Mem = stack(-136);
/// Which lengths a name has that its last labels are compared at, a bit each.
const LENS: Mem = BEGIN;
/// How long the name is.
const NAME_LEN: Mem = stack(-16);
/// As many bits as an immediate has, less its sign.
pub(super) const LENS_IN_A_WALK: usize = 31;

/// The lengths of the names that a field is looked for below.
pub(super) fn lens_below(condition: &Condition, of: FieldId, lens: &mut BTreeSet<usize>) {
    match condition {
        Condition::Name { field, is_below_enough: true, names } if *field == of => {
            lens.extend(names.iter().map(Vec::len));
        }
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| lens_below(part, of, lens));
        }
        Condition::Not(inner) => lens_below(inner, of, lens),
        _ => {}
    }
}

impl Compiler<'_> {
    fn field(&self, id: FieldId) -> Field {
        self.service.protocol.field(id).clone()
    }

    /// r0 = the number that a field holds.
    pub(super) fn number(&mut self, code: &mut Code, id: FieldId, absent: Label) -> Result<(), Refusal> {
        let field = self.field(id);
        match field.kind {
            FieldKind::Unsigned { width, order, bits } => {
                self.load(code, &field.at, width, absent)?;
                ordered(code, width, order);
                if let Some((low, high)) = bits {
                    let above = 63 - i32::from(high);
                    ebpf! { in code;
                        lsh r0, $above
                        rsh r0, {above + i32::from(low)}
                    }
                }
            }
            FieldKind::Varint => {
                self.integer(code, &field.at, absent)?;
                ebpf! { in code; stxdw [$CURSOR], r0 }
                self.varint(code, absent);
                ebpf! { in code; ldxdw r0, [$FOUND] }
            }
            FieldKind::Decimal => {
                self.walked_end(code, id, absent);
                ebpf! { in code; ldxdw r0, [{self.walked[&id].1}] }
            }
            FieldKind::Bytes(_) | FieldKind::DnsName | FieldKind::Until { .. } | FieldKind::Counted(_) => {
                ebpf! { in code; ja $absent }
                return Err(Refusal::NoNumber);
            }
        }
        Ok(())
    }

    /// r0 = the offset of the first byte behind a field.
    pub(super) fn end(&mut self, code: &mut Code, id: FieldId, absent: Label) -> Result<(), Refusal> {
        let field = self.field(id);
        match field.kind {
            FieldKind::Unsigned { width, .. } => self.fixed(code, &field, width.bytes(), absent)?,
            FieldKind::Bytes(count) => self.fixed(code, &field, count.into(), absent)?,
            FieldKind::Varint => {
                self.integer(code, &field.at, absent)?;
                ebpf! { in code; stxdw [$CURSOR], r0 }
                self.varint(code, absent);
                ebpf! { in code; ldxdw r0, [$CURSOR] }
            }
            FieldKind::DnsName | FieldKind::Until { .. } | FieldKind::Decimal => {
                self.walked_end(code, id, absent);
            }
            FieldKind::Counted(form) => {
                self.integer(code, &field.at, absent)?;
                self.counted(code, form, absent);
                ebpf! { in code;
                    ldxdw r0, [$CURSOR]
                    ldxdw r1, [$FOUND]
                    add r0, r1
                }
            }
        }
        Ok(())
    }

    /// Walks the fields that are found so, each once: where each ends stays on the stack, and what a decimal number is.
    pub(super) fn walk_fields(&mut self, code: &mut Code) -> Result<(), Refusal> {
        let mut walked: Vec<_> = self.walked.iter().map(|(id, slots)| (*id, *slots)).collect();
        walked.sort_unstable_by_key(|(id, _)| *id);
        for (id, (end, value)) in walked {
            let field = self.field(id);
            let (absent, done) = (code.fresh_label(), code.fresh_label());
            let lens = self.lens.get(&id).cloned().unwrap_or_default();
            match field.kind {
                FieldKind::DnsName => {
                    self.integer(code, &field.at, absent)?;
                    self.dns_name(code, absent);
                    self.keep_lens(code, &lens, absent);
                }
                FieldKind::Until { terminator, within } => {
                    self.integer(code, &field.at, absent)?;
                    self.until(code, terminator, within, absent);
                }
                _ => self.decimal(code, &field, absent)?,
            }
            if field.kind == FieldKind::Decimal {
                ebpf! { in code; ldxdw r0, [$FOUND] }
                forget(code, value, Reg::R0);
            }
            ebpf! { in code;
                ldxdw r0, [$CURSOR]
                ja $done
            $absent:
                mov r0, 0
            }
            if field.kind == FieldKind::Decimal {
                forget(code, value, Reg::R0);
            }
            for (_, slot) in &lens {
                ebpf! { in code; stxdw [{*slot}], r0 }
            }
            ebpf! { in code;
                mov r0, -1
            $done:
            }
            forget(code, end, Reg::R0);
        }
        Ok(())
    }

    /// r0 = the end of a field that was walked. Where it is absent, its end is behind every payload's.
    fn walked_end(&self, code: &mut Code, id: FieldId, absent: Label) {
        ebpf! { in code;
            ldxdw r0, [{self.walked[&id].0}]
            jgt r0, $PAYLOAD_LEN, $absent
        }
    }

    /// r0 = the offset of the first byte that a field holds.
    pub(super) fn start(&mut self, code: &mut Code, id: FieldId, absent: Label) -> Result<(), Refusal> {
        let field = self.field(id);
        match field.kind {
            FieldKind::Unsigned { width, .. } => {
                self.fixed(code, &field, width.bytes(), absent)?;
                ebpf! { in code; sub r0, {width.bytes() as i32} }
            }
            FieldKind::Varint => {
                self.integer(code, &field.at, absent)?;
                ebpf! { in code;
                    stxdw [$CURSOR], r0
                    stxdw [$BEGIN], r0
                }
                self.varint(code, absent);
                ebpf! { in code; ldxdw r0, [$BEGIN] }
            }
            FieldKind::Decimal | FieldKind::DnsName | FieldKind::Until { .. } => {
                self.walked_end(code, id, absent);
                self.integer(code, &field.at, absent)?;
            }
            FieldKind::Bytes(_) | FieldKind::Counted(_) => {
                self.text_place(code, id, absent)?;
                ebpf! { in code; ldxdw r0, [$CURSOR] }
            }
        }
        Ok(())
    }

    /// r0 = the end of a field of so many bytes.
    fn fixed(&mut self, code: &mut Code, field: &Field, len: u64, absent: Label) -> Result<(), Refusal> {
        self.integer(code, &field.at, absent)?;
        ebpf! { in code;
            jgt r0, $PAYLOAD_LEN, $absent
            add r0, {len as i32}
            jgt r0, $PAYLOAD_LEN, $absent
        }
        Ok(())
    }

    /// r0 = the byte at [`CURSOR`].
    fn byte(&self, code: &mut Code, absent: Label) {
        ebpf! { in code; ldxdw r0, [$CURSOR] }
        self.load_behind(code, Width::One, absent);
    }

    /// From [`CURSOR`] on: it moves behind the integer, which is in [`FOUND`].
    fn varint(&self, code: &mut Code, absent: Label) {
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
    fn dns_name(&self, code: &mut Code, absent: Label) {
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
    fn until(&self, code: &mut Code, terminator: u8, within: u16, absent: Label) {
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
    fn decimal(&mut self, code: &mut Code, field: &Field, absent: Label) -> Result<(), Refusal> {
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
    fn counted(&self, code: &mut Code, form: LengthForm, absent: Label) {
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
    fn ber(&self, code: &mut Code, absent: Label) {
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

    /// [`CURSOR`] = where a field's text begins, [`FOUND`] = how long it is.
    fn text_place(&mut self, code: &mut Code, id: FieldId, absent: Label) -> Result<(), Refusal> {
        let field = self.field(id);
        match field.kind {
            FieldKind::Bytes(count) => {
                self.fixed(code, &field, count.into(), absent)?;
                ebpf! { in code;
                    sub r0, {i32::from(count)}
                    stxdw [$CURSOR], r0
                    mov r0, {i32::from(count)}
                    stxdw [$FOUND], r0
                }
            }
            FieldKind::Until { .. } | FieldKind::DnsName => {
                let terminator = i32::from(field.kind != FieldKind::DnsName);
                self.integer(code, &field.at, absent)?;
                let at = self.take_temporary()?;
                ebpf! { in code; stxdw [$at], r0 }
                self.walked_end(code, id, absent);
                self.temporaries -= 1;
                ebpf! { in code;
                    ldxdw r1, [$at]
                    stxdw [$CURSOR], r1
                    sub r0, r1
                    sub r0, $terminator
                }
                forget(code, FOUND, Reg::R0);
            }
            FieldKind::Counted(form) => {
                self.integer(code, &field.at, absent)?;
                self.counted(code, form, absent);
            }
            FieldKind::Unsigned { .. } | FieldKind::Varint | FieldKind::Decimal => {
                return Err(Refusal::NoText);
            }
        }
        Ok(())
    }

    /// On where a field's text is one of `texts`, where it is none, and where it is absent.
    pub(super) fn text(
        &mut self,
        code: &mut Code,
        id: FieldId,
        ignores_case: bool,
        texts: &[Vec<u8>],
        [yes, no, absent]: [Label; 3],
    ) -> Result<(), Refusal> {
        let field = self.field(id);
        match (&field.kind, &field.at) {
            (FieldKind::Bytes(count), Integer::Constant(at)) if self.window.has_all(*at, (*count).into()) => {
                let end = at + u64::from(*count);
                ebpf! { in code; jlt $PAYLOAD_LEN, {end as i32}, $absent }
                for text in texts {
                    self.compare_at_hand(code, *at, text, ignores_case, yes);
                }
            }
            _ => {
                self.text_place(code, id, absent)?;
                self.compare_any(code, texts.iter(), ignores_case, yes, absent);
            }
        }
        ebpf! { in code; ja $no }
        Ok(())
    }

    /// On at `yes` where the payload has this text at `at`, which is at hand.
    fn compare_at_hand(&self, code: &mut Code, at: u64, text: &[u8], ignores_case: bool, yes: Label) {
        let next = code.fresh_label();
        let (mut at, mut left) = (at, text);
        while !left.is_empty() {
            let fits = |width: &Width| width.bytes() as usize <= left.len() && self.window.has(at, *width);
            let width = [Width::Four, Width::Two].into_iter().find(fits).unwrap_or(Width::One);
            let (part, behind) = left.split_at(width.bytes() as usize);
            load(code, width, self.window.at(at));
            fold_case(code, part, ignores_case);
            ebpf! { in code; jne32 r0, {native(part) as u32 as i32}, $next }
            (at, left) = (at + width.bytes(), behind);
        }
        ebpf! { in code;
            ja $yes
        $next:
        }
    }

    /// On where a field's domain name is one of `names`, or below one of them.
    pub(super) fn name(
        &mut self,
        code: &mut Code,
        id: FieldId,
        is_below_enough: bool,
        names: &[Vec<u8>],
        [yes, no, absent]: [Label; 3],
    ) -> Result<(), Refusal> {
        self.text_place(code, id, absent)?;
        if !is_below_enough {
            self.compare_any(code, names.iter(), true, yes, absent);
            ebpf! { in code; ja $no }
            return Ok(());
        }
        for (lens, slot) in self.lens.get(&id).cloned().unwrap_or_default() {
            for (bit, len) in lens.iter().enumerate() {
                let of_that_len: Vec<_> = names.iter().filter(|name| name.len() == *len).collect();
                if of_that_len.is_empty() {
                    continue;
                }
                let next = code.fresh_label();
                ebpf! { in code;
                    ldxdw r1, [$slot]
                    and r1, {1 << bit}
                    jeq r1, 0, $next
                }
                self.walked_end(code, id, absent);
                ebpf! { in code; sub r0, {*len as i32} }
                forget(code, CURSOR, Reg::R0);
                for name in of_that_len {
                    self.compare_all(code, name, true, yes, absent);
                }
                ebpf! { in code; $next: }
            }
        }
        ebpf! { in code; ja $no }
        Ok(())
    }

    /// From a name's place on, which is at [`BEGIN`] and whose end is at [`CURSOR`]: at which of the lengths that names are
    /// looked for with it can be below one of them.
    fn keep_lens(&self, code: &mut Code, lens: &[(Vec<usize>, Mem)], absent: Label) {
        if lens.is_empty() {
            return;
        }
        ebpf! { in code;
            ldxdw r1, [$CURSOR]
            ldxdw r2, [$BEGIN]
            sub r1, r2
        }
        forget(code, FOUND, Reg::R1);
        forget(code, CURSOR, Reg::R2);
        for (lens, slot) in lens {
            self.find_lens(code, lens, absent);
            ebpf! { in code; ldxdw r1, [$LENS] }
            forget(code, *slot, Reg::R1);
            ebpf! { in code;
                ldxdw r1, [$CURSOR]
                ldxdw r2, [$NAME_LEN]
                sub r1, r2
            }
            forget(code, CURSOR, Reg::R1);
            forget(code, FOUND, Reg::R2);
        }
        ebpf! { in code;
            ldxdw r1, [$CURSOR]
            ldxdw r2, [$FOUND]
            add r1, r2
        }
        forget(code, CURSOR, Reg::R1);
    }

    /// Walks a name's labels from [`CURSOR`] on to its end, and notes in [`LENS`] which of these lengths are left at one of them: a
    /// name can be below another only there.
    fn find_lens(&self, code: &mut Code, lens: &[usize], absent: Label) {
        let (again, done) = (code.fresh_label(), code.fresh_label());
        ebpf! { in code;
            mov r1, $MOST_LABELS
            stxdw [$LEFT], r1
            mov r1, 0
            stxdw [$LENS], r1
            ldxdw r1, [$FOUND]
            stxdw [$NAME_LEN], r1
        $again:
            ldxdw r1, [$FOUND]
            ldxdw r2, [$LENS]
        }
        for (bit, len) in lens.iter().enumerate() {
            ebpf! { in code;
                jne r1, {*len as i32}, other
                or r2, {1 << bit}
            other:
            }
        }
        forget(code, LENS, Reg::R2);
        step(code, done);
        self.byte(code, absent);
        ebpf! { in code;
            add r0, 1
            ldxdw r1, [$CURSOR]
            add r1, r0
        }
        forget(code, CURSOR, Reg::R1);
        ebpf! { in code;
            ldxdw r1, [$FOUND]
            sub r1, r0
        }
        forget(code, FOUND, Reg::R1);
        ebpf! { in code;
            jne r0, 1, $again
        $done:
        }
    }

    /// On at `yes` where the text at [`CURSOR`], which has [`FOUND`] bytes, is one of these.
    fn compare_any<'a>(
        &self,
        code: &mut Code,
        texts: impl Iterator<Item = &'a Vec<u8>>,
        ignores_case: bool,
        yes: Label,
        absent: Label,
    ) {
        let mut by_len: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        texts.for_each(|text| by_len.entry(text.len()).or_default().push(text));
        for (len, texts) in by_len {
            let next = code.fresh_label();
            ebpf! { in code;
                ldxdw r1, [$FOUND]
                jne r1, {len as i32}, $next
            }
            for text in texts {
                self.compare_all(code, text, ignores_case, yes, absent);
            }
            ebpf! { in code; $next: }
        }
    }

    /// On at `yes` where at [`CURSOR`] is this text; as many bytes are there.
    fn compare_all(&self, code: &mut Code, text: &[u8], ignores_case: bool, yes: Label, absent: Label) {
        let next = code.fresh_label();
        let mut at = 0;
        while at < text.len() {
            let widths = [Width::Eight, Width::Four, Width::Two, Width::One];
            let width = widths.into_iter().find(|width| at + width.bytes() as usize <= text.len());
            let width = width.expect("a byte is left");
            let part = &text[at..at + width.bytes() as usize];
            // Nobody asks again whether it is there: each question is a way that the verifier goes.
            ebpf! { in code;
                ldxdw r2, [$CURSOR]
                add r2, {at as i32}
                add r2, $AT
            }
            self.load_at(code, width, absent);
            fold_case(code, part, ignores_case);
            constant(code, Reg::R2, native(part));
            ebpf! { in code; jne r0, r2, $next }
            at += part.len();
        }
        ebpf! { in code;
            ja $yes
        $next:
        }
    }
}

/// Labels of the longest name: 127 of one byte and the empty one.
const MOST_LABELS: i32 = 128;
/// RFC 1035, 2.3.4.
const LONGEST_LABEL: i32 = 63;

/// One step of [`LEFT`], or on at `none_left`; r1 = how many are left. r0 stays as it is.
fn step(code: &mut Code, none_left: Label) {
    ebpf! { in code;
        ldxdw r1, [$LEFT]
        jeq r1, 0, $none_left
        sub r1, 1
        stxdw [$LEFT], r1
    }
}

/// Makes the letters in r0 small that are letters in `part`, which has small ones. r2 is lost.
fn fold_case(code: &mut Code, part: &[u8], ignores_case: bool) {
    let letters = part.iter().map(|byte| if byte.is_ascii_lowercase() { 0x20 } else { 0 });
    let letters = native(letters.collect::<Vec<u8>>().as_slice());
    if ignores_case && letters != 0 {
        constant(code, Reg::R2, letters);
        ebpf! { in code; or r0, r2 }
    }
}

/// Keeps a register so that the verifier forgets what it knows of it, as two halves: what it knows differs from step to step of a walk, and it
/// would go on with each of them. The register is lost.
fn forget(code: &mut Code, slot: Mem, reg: Reg) {
    let (low, high) = if cfg!(target_endian = "big") { (4, 0) } else { (0, 4) };
    ebpf! { in code;
        stxw [{Mem { off: slot.off + low, ..slot }}], $reg
        rsh $reg, 32
        stxw [{Mem { off: slot.off + high, ..slot }}], $reg
    }
}

/// What a load of these bytes gives on this machine, for which programs are made.
fn native(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    if cfg!(target_endian = "big") {
        word[8 - bytes.len()..].copy_from_slice(bytes);
    } else {
        word[..bytes.len()].copy_from_slice(bytes);
    }
    u64::from_ne_bytes(word)
}
