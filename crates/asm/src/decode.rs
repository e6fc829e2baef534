//! From bytes to instructions.

use thiserror::Error;

use crate::{
    AluOp, Atomic, AtomicOp, Bits, Call, Code, Cond, EndOp, Endian, Imm64, Insn, Mem, Reg, Size, Src, SxFrom,
    SxSize, Target, Width,
    slot::{
        CALL, CALL_HELPER, CALL_KFUNC, CALL_LOCAL, END, EXIT, LDDW, NEG, RawSlot, SIZES, X, class, imm64,
        mode,
    },
};

/// Bytes that are no program.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Not a whole number of 8-byte slots.
    #[error("{len} bytes are no whole number of 8-byte slots")]
    Length {
        /// How many bytes there are.
        len: usize,
    },
    /// A slot that is no instruction.
    #[error("slot {slot}: {why}")]
    Slot {
        /// Its index.
        slot: usize,
        /// Why it is none.
        why: Undecodable,
    },
}

/// Why a slot is no instruction of RFC 9669.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Undecodable {
    /// No instruction has this opcode.
    #[error("no instruction has the opcode {0:#04x}")]
    Opcode(u8),
    /// There are registers 0 to 10.
    #[error("there is no register r{0}")]
    Register(u8),
    /// A field that this instruction doesn't use isn't zero.
    #[error("the {field} field of opcode {opcode:#04x} is {value}, and must be 0")]
    Reserved {
        /// The opcode.
        opcode: u8,
        /// The field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// A field holds a value that this instruction gives no meaning.
    #[error("the {field} field of opcode {opcode:#04x} is {value}, which means nothing there")]
    Meaningless {
        /// The opcode.
        opcode: u8,
        /// The field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// The second slot of a 64-bit immediate is missing.
    #[error("the program ends in the middle of a 64-bit immediate")]
    Half,
    /// The second slot of a 64-bit immediate holds more than the immediate.
    #[error("the second half of a 64-bit immediate has a field besides its immediate set")]
    SecondHalf,
}

/// Reads a program. Jump distances stay numbers.
///
/// What is read is written back by [`Code::encode`] byte for byte.
///
/// # Errors
/// The first slot that is no instruction, and why.
pub fn decode(bytes: &[u8], endian: Endian) -> Result<Code, DecodeError> {
    let (slots, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(DecodeError::Length { len: bytes.len() });
    }
    let mut code = Code::new();
    let mut at = 0;
    while let Some(&slot) = slots.get(at) {
        let next = slots.get(at + 1).map(|&bytes| RawSlot::from_bytes(bytes, endian));
        let insn = insn(RawSlot::from_bytes(slot, endian), next);
        let insn = insn.map_err(|(further, why)| DecodeError::Slot { slot: at + further, why })?;
        at += insn.slots();
        code.push(insn);
    }
    Ok(code)
}

fn insn(slot: RawSlot, next: Option<RawSlot>) -> Result<Insn, (usize, Undecodable)> {
    if slot.opcode == LDDW {
        return wide(slot, next);
    }
    let fields = SlotFields(slot);
    match slot.opcode & 7 {
        class::LD => fields.packet(),
        class::LDX => fields.load(),
        class::ST | class::STX => fields.store(),
        class::ALU => fields.alu(Width::W32),
        class::ALU64 => fields.alu(Width::W64),
        class::JMP => fields.jump(Width::W64),
        _ => fields.jump(Width::W32),
    }
    .map_err(|why| (0, why))
}

fn wide(slot: RawSlot, next: Option<RawSlot>) -> Result<Insn, (usize, Undecodable)> {
    let fields = SlotFields(slot);
    let first = |why| (0, why);
    let dst = fields.dst().map_err(first)?;
    fields.zero("offset", slot.off.into()).map_err(first)?;
    let next = next.ok_or((0, Undecodable::Half))?;
    if (RawSlot { imm: next.imm, ..RawSlot::default() }) != next {
        return Err((1, Undecodable::SecondHalf));
    }
    let (low, high) = (slot.imm, next.imm);
    let only_low = |imm| match high {
        0 => Ok(imm),
        _ => Err((1, Undecodable::Reserved { opcode: LDDW, field: "upper immediate", value: high.into() })),
    };
    let imm = match slot.src {
        imm64::VALUE => Imm64::Value(u64::from(high as u32) << 32 | u64::from(low as u32)),
        imm64::MAP_FD => only_low(Imm64::MapFd(low))?,
        imm64::MAP_FD_VALUE => Imm64::MapFdValue { fd: low, off: high as u32 },
        imm64::VAR => only_low(Imm64::Var(low as u32))?,
        imm64::FUNC => only_low(Imm64::Func(Target::Off(low)))?,
        imm64::MAP_INDEX => only_low(Imm64::MapIndex(low as u32))?,
        imm64::MAP_INDEX_VALUE => Imm64::MapIndexValue { index: low as u32, off: high as u32 },
        value => return Err(first(fields.meaningless("source", value.into()))),
    };
    Ok(Insn::LoadImm { dst, imm })
}

struct SlotFields(RawSlot);

type Decoded = Result<Insn, Undecodable>;

impl SlotFields {
    fn alu(&self, width: Width) -> Decoded {
        let slot = self.0;
        match slot.opcode >> 4 {
            NEG if slot.opcode & X == 0 => {
                self.zero("source", slot.src.into())?;
                self.zero("offset", slot.off.into())?;
                self.zero("immediate", slot.imm.into())?;
                Ok(Insn::Neg { width, dst: self.dst()? })
            }
            END => self.end(width),
            code => self.binary(width, code),
        }
    }

    fn binary(&self, width: Width, code: u8) -> Decoded {
        let slot = self.0;
        let (mov, _) = AluOp::Mov.code();
        if code == mov && slot.opcode & X != 0 && slot.off != 0 {
            return self.move_signed(width);
        }
        let mut of_code = AluOp::ALL.into_iter().filter(|op| op.code().0 == code).peekable();
        if of_code.peek().is_none() {
            return Err(Undecodable::Opcode(slot.opcode));
        }
        let op = of_code.find(|op| op.code().1 == slot.off);
        let op = op.ok_or_else(|| self.meaningless("offset", slot.off.into()))?;
        Ok(Insn::Alu { width, op, dst: self.dst()?, src: self.src()? })
    }

    fn move_signed(&self, width: Width) -> Decoded {
        let slot = self.0;
        let from = match (slot.off, width) {
            (8, _) => SxFrom::B8,
            (16, _) => SxFrom::B16,
            (32, Width::W64) => SxFrom::B32,
            _ => return Err(self.meaningless("offset", slot.off.into())),
        };
        self.zero("immediate", slot.imm.into())?;
        Ok(Insn::MovSx { width, from, dst: self.dst()?, src: reg(slot.src)? })
    }

    fn end(&self, width: Width) -> Decoded {
        let slot = self.0;
        let op = match (width, slot.opcode & X) {
            (Width::W32, 0) => EndOp::Le,
            (Width::W32, _) => EndOp::Be,
            (Width::W64, 0) => EndOp::Swap,
            (Width::W64, _) => return Err(Undecodable::Opcode(slot.opcode)),
        };
        let bits = match slot.imm {
            16 => Bits::B16,
            32 => Bits::B32,
            64 => Bits::B64,
            other => return Err(self.meaningless("immediate", other.into())),
        };
        self.zero("source", slot.src.into())?;
        self.zero("offset", slot.off.into())?;
        Ok(Insn::End { op, bits, dst: self.dst()? })
    }

    fn packet(&self) -> Decoded {
        let slot = self.0;
        self.zero("destination", slot.dst.into())?;
        self.zero("offset", slot.off.into())?;
        match slot.opcode & 0xe0 {
            mode::ABS => {
                self.zero("source", slot.src.into())?;
                Ok(Insn::LoadAbs { size: self.size(), off: slot.imm })
            }
            mode::IND => Ok(Insn::LoadInd { size: self.size(), src: reg(slot.src)?, off: slot.imm }),
            _ => Err(Undecodable::Opcode(slot.opcode)),
        }
    }

    fn load(&self) -> Decoded {
        let slot = self.0;
        let sign_extended = match (slot.opcode & 0xe0, self.size()) {
            (mode::MEM, _) => None,
            (mode::MEMSX, Size::B) => Some(SxSize::B),
            (mode::MEMSX, Size::H) => Some(SxSize::H),
            (mode::MEMSX, Size::W) => Some(SxSize::W),
            _ => return Err(Undecodable::Opcode(slot.opcode)),
        };
        self.zero("immediate", slot.imm.into())?;
        let (dst, mem) = (self.dst()?, Mem { base: reg(slot.src)?, off: slot.off });
        Ok(match sign_extended {
            None => Insn::Load { size: self.size(), dst, mem },
            Some(size) => Insn::LoadSx { size, dst, mem },
        })
    }

    fn store(&self) -> Decoded {
        let slot = self.0;
        let mem = Mem { base: self.dst()?, off: slot.off };
        match (slot.opcode & 0xe0, slot.opcode & 7) {
            (mode::MEM, class::ST) => {
                self.zero("source", slot.src.into())?;
                Ok(Insn::Store { size: self.size(), mem, src: Src::Imm(slot.imm) })
            }
            (mode::MEM, class::STX) => {
                self.zero("immediate", slot.imm.into())?;
                Ok(Insn::Store { size: self.size(), mem, src: Src::Reg(reg(slot.src)?) })
            }
            (mode::ATOMIC, class::STX) => self.atomic(mem),
            _ => Err(Undecodable::Opcode(slot.opcode)),
        }
    }

    fn atomic(&self, mem: Mem) -> Decoded {
        let slot = self.0;
        let width = match self.size() {
            Size::W => Width::W32,
            Size::Dw => Width::W64,
            Size::B | Size::H => return Err(Undecodable::Opcode(slot.opcode)),
        };
        let op = AtomicOp::ALL.into_iter().find(|op| op.row().2 == slot.imm);
        let op = op.ok_or_else(|| self.meaningless("immediate", slot.imm.into()))?;
        Ok(Insn::Atomic(Atomic { width, op, mem, src: reg(slot.src)? }))
    }

    fn jump(&self, width: Width) -> Decoded {
        let slot = self.0;
        match slot.opcode >> 4 {
            0 if slot.opcode & X == 0 => self.always(width),
            CALL if width == Width::W64 => self.call(),
            EXIT if width == Width::W64 && slot.opcode & X == 0 => {
                self.only_opcode()?;
                Ok(Insn::Exit)
            }
            code => {
                let cond = Cond::ALL.into_iter().find(|cond| cond.code() == code);
                let cond = cond.ok_or(Undecodable::Opcode(slot.opcode))?;
                let target = Target::Off(slot.off.into());
                Ok(Insn::Jump { width, cond, dst: self.dst()?, src: self.src()?, target })
            }
        }
    }

    fn always(&self, width: Width) -> Decoded {
        let slot = self.0;
        self.zero("destination", slot.dst.into())?;
        self.zero("source", slot.src.into())?;
        match width {
            Width::W64 => {
                self.zero("immediate", slot.imm.into())?;
                Ok(Insn::Ja(Target::Off(slot.off.into())))
            }
            Width::W32 => {
                self.zero("offset", slot.off.into())?;
                Ok(Insn::Jal(Target::Off(slot.imm)))
            }
        }
    }

    fn call(&self) -> Decoded {
        let slot = self.0;
        self.zero("offset", slot.off.into())?;
        if slot.opcode & X != 0 {
            self.zero("source", slot.src.into())?;
            self.zero("immediate", slot.imm.into())?;
            return Ok(Insn::Call(Call::Reg(self.dst()?)));
        }
        self.zero("destination", slot.dst.into())?;
        Ok(Insn::Call(match slot.src {
            CALL_HELPER => Call::Helper(slot.imm),
            CALL_LOCAL => Call::Local(Target::Off(slot.imm)),
            CALL_KFUNC => Call::Kfunc(slot.imm),
            value => return Err(self.meaningless("source", value.into())),
        }))
    }

    fn only_opcode(&self) -> Result<(), Undecodable> {
        let slot = self.0;
        self.zero("destination", slot.dst.into())?;
        self.zero("source", slot.src.into())?;
        self.zero("offset", slot.off.into())?;
        self.zero("immediate", slot.imm.into())
    }

    fn size(&self) -> Size {
        SIZES[usize::from(self.0.opcode >> 3 & 3)]
    }

    fn dst(&self) -> Result<Reg, Undecodable> {
        reg(self.0.dst)
    }

    /// The second operand; the field of the other kind must be zero.
    fn src(&self) -> Result<Src, Undecodable> {
        let slot = self.0;
        if slot.opcode & X == 0 {
            self.zero("source", slot.src.into())?;
            Ok(Src::Imm(slot.imm))
        } else {
            self.zero("immediate", slot.imm.into())?;
            reg(slot.src).map(Src::Reg)
        }
    }

    fn zero(&self, field: &'static str, value: i64) -> Result<(), Undecodable> {
        if value == 0 { Ok(()) } else { Err(Undecodable::Reserved { opcode: self.0.opcode, field, value }) }
    }

    fn meaningless(&self, field: &'static str, value: i64) -> Undecodable {
        Undecodable::Meaningless { opcode: self.0.opcode, field, value }
    }
}

fn reg(number: u8) -> Result<Reg, Undecodable> {
    Reg::new(number).ok_or(Undecodable::Register(number))
}
