//! Texts and domain names: where a field holds them, and which of several that is.

use std::collections::{BTreeMap, BTreeSet};

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Condition, FieldId, FieldKind, Integer, Width};

use super::{
    Compiler, Refusal,
    integer::{constant, load},
    stack,
    walk::{BEGIN, CURSOR, FOUND, LEFT, MOST_LABELS, forget, step},
};
use crate::fun::parse::{AT, PAYLOAD_LEN};

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
    /// [`CURSOR`] = where a field's text begins, [`FOUND`] = how long it is.
    pub(super) fn text_place(&mut self, code: &mut Code, id: FieldId, absent: Label) -> Result<(), Refusal> {
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
            // Three bytes are four without the last.
            let least = |width: &Width| if *width == Width::Four { 3 } else { width.bytes() as usize };
            let fits = |width: &Width| least(width) <= left.len() && self.window.has(at, *width);
            let width = [Width::Four, Width::Two].into_iter().find(fits).unwrap_or(Width::One);
            let (part, behind) = left.split_at(left.len().min(width.bytes() as usize));
            load(code, width, self.window.at(at));
            if part.len() == 3 {
                ebpf! { in code; and32 r0, {native(&[0xff, 0xff, 0xff, 0]) as u32 as i32} }
            }
            let part = [part, &[0]].concat();
            let part = &part[..width.bytes() as usize];
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
    pub(super) fn keep_lens(&self, code: &mut Code, lens: &[(Vec<usize>, Mem)], absent: Label) {
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

/// Makes the letters in r0 small that are letters in `part`, which has small ones. r2 is lost.
fn fold_case(code: &mut Code, part: &[u8], ignores_case: bool) {
    let letters = part.iter().map(|byte| if byte.is_ascii_lowercase() { 0x20 } else { 0 });
    let letters = native(letters.collect::<Vec<u8>>().as_slice());
    if ignores_case && letters != 0 {
        constant(code, Reg::R2, letters);
        ebpf! { in code; or r0, r2 }
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
