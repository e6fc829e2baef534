//! Texts and domain names: where a field holds them, and which of several that is.

use std::collections::BTreeMap;

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Condition, FieldId, FieldKind, Integer, Width};

use super::{
    Compiler, Refusal,
    integer::{choose, constant, load, load_pointed, load_to, native},
    near::{PART_LEN, Part},
    walk::LABELS_IN_A_WORD,
};
use crate::fun::parse::PAYLOAD_LEN;

/// So many labels the names have that a field is looked for below, at most; nothing where it isn't.
pub(super) fn most_labels_below(condition: &Condition, of: FieldId) -> Option<usize> {
    match condition {
        Condition::Name { field, is_below_enough: true, names } if *field == of => {
            names.iter().map(|name| labels(name)).max()
        }
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().filter_map(|part| most_labels_below(part, of)).max()
        }
        Condition::Not(inner) => most_labels_below(inner, of),
        _ => None,
    }
}

/// Labels of a name as messages have it, without the empty one.
fn labels(name: &[u8]) -> usize {
    let mut left = name;
    let mut count = 0;
    while let Some((len, behind)) = left.split_first().filter(|(len, _)| **len > 0) {
        left = behind.get(usize::from(*len)..).unwrap_or_default();
        count += 1;
    }
    count
}

impl Compiler<'_> {
    /// r0 = how long a field's text is, r1 = where it begins in the payload.
    pub(super) fn text_place(&mut self, code: &mut Code, id: FieldId, absent: Label) -> Result<(), Refusal> {
        let field = self.field(id);
        match field.kind {
            FieldKind::Bytes(count) => {
                self.fixed(code, &field, count.into(), absent)?;
                ebpf! { in code;
                    mov r1, r0
                    sub r1, {i32::from(count)}
                    mov r0, {i32::from(count)}
                }
            }
            FieldKind::Until { .. } | FieldKind::DnsName | FieldKind::Counted(_) => {
                let terminator = i32::from(matches!(field.kind, FieldKind::Until { .. }));
                self.walked_end(code, id, absent);
                ebpf! { in code;
                    ldxw r1, [{self.walked[&id].begin}]
                    sub r0, r1
                    sub r0, $terminator
                }
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
        if texts.iter().any(|text| text.len() > PART_LEN) {
            return Err(Refusal::Unsupported("a comparison with a text of more than 256 bytes"));
        }
        let field = self.field(id);
        match (&field.kind, &field.at) {
            (FieldKind::Bytes(count), Integer::Constant(at)) if self.window.has_all(*at, (*count).into()) => {
                let is_told = texts.iter().all(|text| self.is_told_by_zeros(text));
                if no != absent || !is_told {
                    let end = at + u64::from(*count);
                    ebpf! { in code; jlt $PAYLOAD_LEN, {end as i32}, $absent }
                }
                for text in texts {
                    self.compare_at_hand(code, *at, text, ignores_case, yes);
                }
            }
            _ => {
                self.text_place(code, id, absent)?;
                let begins_at = !matches!(field.kind, FieldKind::Counted(_));
                let most = self.most(&field.at).filter(|_| begins_at);
                self.compare_any(code, texts, ignores_case, most, [yes, no, absent]);
                return Ok(());
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
            // What was loaded first stays where it can, for others to compare.
            let compared = match (ignores_case, left.len() < text.len()) {
                (true, _) => Reg::R0,
                (false, true) => Reg::R2,
                (false, false) if part.len() == 3 => Reg::R1,
                (false, false) => Reg::R0,
            };
            if compared == Reg::R2 {
                load_to(code, compared, width, self.window.at(at));
            } else {
                load(code, width, self.window.at(at));
            }
            if compared == Reg::R1 {
                ebpf! { in code; mov $compared, r0 }
            }
            if part.len() == 3 {
                ebpf! { in code; and32 $compared, {native(&[0xff, 0xff, 0xff, 0]) as u32 as i32} }
            }
            let part = [part, &[0]].concat();
            let part = &part[..width.bytes() as usize];
            fold_case(code, part, ignores_case);
            ebpf! { in code; jne32 $compared, {native(part) as u32 as i32}, $next }
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
        let most =
            self.most(&self.field(id).at).map(|most| most.saturating_add(FieldKind::MOST_WALKED.into()));
        let mut by_labels: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for name in names {
            by_labels.entry(labels(name)).or_default().push(name.clone());
        }
        self.text_place(code, id, absent)?;
        if !is_below_enough {
            self.compare_any(code, names, true, most, [yes, no, absent]);
            return Ok(());
        }
        let (len, begin) = (self.take_temporary()?, self.take_temporary()?);
        ebpf! { in code;
            stxdw [$len], r0
            stxdw [$begin], r1
        }
        let words = self.walked[&id].values.clone();
        for (labels, names) in by_labels {
            let next = code.fresh_label();
            let (word, number) = (words[labels / LABELS_IN_A_WORD], (labels % LABELS_IN_A_WORD) as i16);
            let byte =
                if cfg!(target_endian = "big") { LABELS_IN_A_WORD as i16 - 1 - number } else { number };
            // As many labels from the end on; from the beginning on where there are fewer, and then it is none of these names.
            ebpf! { in code;
                ldxb r2, [{Mem { off: word.off + byte, ..word }}]
                ldxdw r0, [$len]
                sub r0, r2
                ldxdw r1, [$begin]
                add r1, r2
            }
            self.compare_any(code, &names, true, most, [yes, next, absent]);
            ebpf! { in code; $next: }
        }
        self.temporaries -= 2;
        ebpf! { in code; ja $no }
        Ok(())
    }

    /// On at `yes` where the text that begins at r1, and has as many bytes as r0 says, is one of these, else at `no`. It begins at `most` at
    /// most.
    fn compare_any(
        &self,
        code: &mut Code,
        texts: &[Vec<u8>],
        ignores_case: bool,
        most: Option<u64>,
        [yes, no, absent]: [Label; 3],
    ) {
        let mut by_len: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        texts.iter().for_each(|text| by_len.entry(text.len()).or_default().push(text));
        let lens: Vec<_> = by_len.keys().map(|len| (*len as u64, code.fresh_label())).collect();
        choose(code, &lens, no);
        for ((_, label), texts) in lens.into_iter().zip(by_len.into_values()) {
            ebpf! { in code;
            $label:
                mov r0, r1
            }
            self.compare_at(code, &texts, ignores_case, most, [yes, absent]);
            ebpf! { in code; ja $no }
        }
    }

    /// On at `yes` where the text that begins at r0 is one of these, all of which are as long as it is.
    fn compare_at(
        &self,
        code: &mut Code,
        texts: &[&[u8]],
        ignores_case: bool,
        most: Option<u64>,
        [yes, absent]: [Label; 2],
    ) {
        let len = texts[0].len();
        if len > 0 {
            self.point(code, Part::Whole(len), most, absent);
        }
        for text in texts {
            let next = code.fresh_label();
            compare(code, text, ignores_case, next);
            ebpf! { in code;
                ja $yes
            $next:
            }
        }
    }
}

/// On at `other` where r1, which stays, doesn't point to that text. Its end is compared first, in which names differ that are below each
/// other's beginnings.
fn compare(code: &mut Code, text: &[u8], ignores_case: bool, other: Label) {
    let widths = [Width::Eight, Width::Four, Width::Two, Width::One];
    let Some(width) = widths.into_iter().find(|width| width.bytes() as usize <= text.len()) else { return };
    let bytes = width.bytes() as usize;
    let mut end = text.len();
    while end > 0 {
        // Some bytes are compared twice where they are no whole number of words.
        let at = end.saturating_sub(bytes);
        let part = &text[at..at + bytes];
        load_pointed(code, width, at as i16);
        fold_case(code, part, ignores_case);
        constant(code, Reg::R2, native(part));
        ebpf! { in code; jne r0, r2, $other }
        end = at;
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
