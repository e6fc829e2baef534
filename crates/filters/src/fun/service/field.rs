//! Fields: where they begin and end, and which number they hold.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Field, FieldId, FieldKind};

use super::{Compiler, Refusal, integer::ordered};
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
            FieldKind::Varint | FieldKind::Decimal => {
                self.walked_end(code, id, absent);
                ebpf! { in code; ldxdw r0, [{self.walked[&id].values[0]}] }
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
            _ => self.walked_end(code, id, absent),
        }
        Ok(())
    }

    /// r0 = the end of a field that was walked. Where it is absent, its end is behind every payload's.
    pub(super) fn walked_end(&self, code: &mut Code, id: FieldId, absent: Label) {
        ebpf! { in code;
            ldxw r0, [{self.walked[&id].end}]
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
            FieldKind::Bytes(_) => {
                self.text_place(code, id, absent)?;
                ebpf! { in code; mov r0, r1 }
            }
            _ => {
                self.walked_end(code, id, absent);
                ebpf! { in code; ldxw r0, [{self.walked[&id].begin}] }
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
