//! Fields: where they begin and end, and which number they hold.

use weir_asm::{Code, Label, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Field, FieldId, FieldKind, ServicePart};

use super::{
    Compiler, Refusal,
    integer::ordered,
    walk::{BEGIN, CURSOR, FOUND, forget},
};
use crate::fun::parse::PAYLOAD_LEN;

impl Compiler<'_> {
    pub(super) fn field(&self, id: FieldId) -> Field {
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
            self.mark(code, ServicePart::Field(id));
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
    pub(super) fn walked_end(&self, code: &mut Code, id: FieldId, absent: Label) {
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
    pub(super) fn fixed(
        &mut self,
        code: &mut Code,
        field: &Field,
        len: u64,
        absent: Label,
    ) -> Result<(), Refusal> {
        self.integer(code, &field.at, absent)?;
        ebpf! { in code;
            jgt r0, $PAYLOAD_LEN, $absent
            add r0, {len as i32}
            jgt r0, $PAYLOAD_LEN, $absent
        }
        Ok(())
    }
}
