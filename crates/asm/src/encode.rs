//! From instructions to bytes.

use thiserror::Error;

use crate::{
    AluOp, Atomic, Call, Code, EndOp, Endian, Imm64, Insn, Label, Mem, Reg, Size, Src, Target, Width,
    place::SlotPlaces,
    slot::{
        CALL, CALL_HELPER, CALL_KFUNC, CALL_LOCAL, END, EXIT, LDDW, NEG, RawSlot, X, class, imm64, mode,
        size_bits,
    },
};

/// An instruction that has no encoding.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EncodeError {
    /// A jump's label was never placed.
    #[error("instruction {index}: its label has no place")]
    Unplaced {
        /// The instruction's index.
        index: usize,
        /// The label.
        label: Label,
    },
    /// A jump goes further than its 16-bit distance reaches.
    #[error(
        "instruction {index}: the jump goes {distance} slots, and -32768 to 32767 fit; `gotol` reaches further"
    )]
    TooFar {
        /// The instruction's index.
        index: usize,
        /// In slots.
        distance: i64,
    },
}

impl Code {
    /// The program's bytes, 8 a slot. A map referred to by name is encoded as descriptor 0 for a loader to fill in.
    ///
    /// # Errors
    /// The first instruction that has no encoding.
    pub fn encode(&self, endian: Endian) -> Result<Vec<u8>, EncodeError> {
        let places = SlotPlaces::of(self);
        let mut bytes = Vec::with_capacity(self.len() * 8 + 64);
        for (index, insn) in self.insns().iter().enumerate() {
            let (slot, second) = EncodeSite { code: self, places: &places, index }.slots(insn)?;
            bytes.extend_from_slice(&slot.to_bytes(endian));
            if let Some(second) = second {
                bytes.extend_from_slice(&second.to_bytes(endian));
            }
        }
        Ok(bytes)
    }
}

/// An instruction's surroundings, while it is encoded.
struct EncodeSite<'a> {
    code: &'a Code,
    places: &'a SlotPlaces,
    index: usize,
}

impl EncodeSite<'_> {
    fn slots(&self, insn: &Insn) -> Result<(RawSlot, Option<RawSlot>), EncodeError> {
        let slot = match *insn {
            Insn::Alu { width, op, dst, src } => {
                let (code, off) = op.code();
                let opcode = code << 4 | alu_class(width);
                with_src(RawSlot { opcode, dst: dst.number(), off, ..RawSlot::default() }, src)
            }
            Insn::MovSx { width, from, dst, src } => {
                let (mov, _) = AluOp::Mov.code();
                RawSlot {
                    opcode: mov << 4 | X | alu_class(width),
                    dst: dst.number(),
                    src: src.number(),
                    off: from as u8 as i16,
                    imm: 0,
                }
            }
            Insn::Neg { width, dst } => {
                RawSlot { opcode: NEG << 4 | alu_class(width), dst: dst.number(), ..RawSlot::default() }
            }
            Insn::End { op, bits, dst } => {
                let opcode = END << 4
                    | match op {
                        EndOp::Le => class::ALU,
                        EndOp::Be => class::ALU | X,
                        EndOp::Swap => class::ALU64,
                    };
                RawSlot { opcode, dst: dst.number(), imm: bits as u8 as i32, ..RawSlot::default() }
            }
            Insn::LoadImm { dst, imm } => return self.load_imm(dst, imm),
            Insn::Load { size, dst, mem } => load(mode::MEM, size, dst, mem),
            Insn::LoadSx { size, dst, mem } => load(mode::MEMSX, size.size(), dst, mem),
            Insn::Store { size, mem, src } => store(size, mem, src),
            Insn::LoadAbs { size, off } => {
                RawSlot { opcode: mode::ABS | size_bits(size) | class::LD, imm: off, ..RawSlot::default() }
            }
            Insn::LoadInd { size, src, off } => RawSlot {
                opcode: mode::IND | size_bits(size) | class::LD,
                src: src.number(),
                imm: off,
                ..RawSlot::default()
            },
            Insn::Atomic(atomic) => atomic_slot(atomic),
            Insn::Ja(target) => RawSlot { opcode: class::JMP, off: self.near(target)?, ..RawSlot::default() },
            Insn::Jal(target) => {
                RawSlot { opcode: class::JMP32, imm: self.far(target)?, ..RawSlot::default() }
            }
            Insn::Jump { width, cond, dst, src, target } => {
                let class = if width == Width::W64 { class::JMP } else { class::JMP32 };
                let (opcode, off) = (cond.code() << 4 | class, self.near(target)?);
                with_src(RawSlot { opcode, dst: dst.number(), off, ..RawSlot::default() }, src)
            }
            Insn::Call(call) => self.call(call)?,
            Insn::Exit => RawSlot { opcode: EXIT << 4 | class::JMP, ..RawSlot::default() },
            Insn::Raw(raw) => RawSlot::from_bytes(raw.to_le_bytes(), Endian::Little),
        };
        Ok((slot, None))
    }

    fn call(&self, call: Call) -> Result<RawSlot, EncodeError> {
        let slot = RawSlot { opcode: CALL << 4 | class::JMP, ..RawSlot::default() };
        Ok(match call {
            Call::Helper(helper) => RawSlot { src: CALL_HELPER, imm: helper, ..slot },
            Call::Local(target) => RawSlot { src: CALL_LOCAL, imm: self.far(target)?, ..slot },
            Call::Kfunc(id) => RawSlot { src: CALL_KFUNC, imm: id, ..slot },
            Call::Reg(reg) => RawSlot { opcode: slot.opcode | X, dst: reg.number(), ..slot },
        })
    }

    fn load_imm(&self, dst: Reg, imm: Imm64) -> Result<(RawSlot, Option<RawSlot>), EncodeError> {
        let (src, low, high) = match imm {
            Imm64::Value(value) => (imm64::VALUE, value as i32, (value >> 32) as i32),
            Imm64::MapFd(fd) => (imm64::MAP_FD, fd, 0),
            Imm64::MapFdValue { fd, off } => (imm64::MAP_FD_VALUE, fd, off as i32),
            Imm64::Var(id) => (imm64::VAR, id as i32, 0),
            Imm64::Func(target) => (imm64::FUNC, self.func(target)?, 0),
            Imm64::MapIndex(index) => (imm64::MAP_INDEX, index as i32, 0),
            Imm64::MapIndexValue { index, off } => (imm64::MAP_INDEX_VALUE, index as i32, off as i32),
            Imm64::Map(_) => (imm64::MAP_FD, 0, 0),
            Imm64::MapValue { off, .. } => (imm64::MAP_FD_VALUE, 0, off as i32),
        };
        let first = RawSlot { opcode: LDDW, dst: dst.number(), src, imm: low, ..RawSlot::default() };
        Ok((first, Some(RawSlot { imm: high, ..RawSlot::default() })))
    }

    /// A function's address counts from the slot behind the first, though the instruction takes two
    /// (kernel/bpf/verifier.c, check_ld_imm: `insn_idx + insn->imm + 1`).
    fn func(&self, target: Target) -> Result<i32, EncodeError> {
        Ok(match target {
            Target::Off(off) => off,
            Target::Label(_) => self.far(target)? + 1,
        })
    }

    fn near(&self, target: Target) -> Result<i16, EncodeError> {
        let distance = self.distance(target)?;
        i16::try_from(distance).map_err(|_| EncodeError::TooFar { index: self.index, distance })
    }

    fn far(&self, target: Target) -> Result<i32, EncodeError> {
        let distance = self.distance(target)?;
        i32::try_from(distance).map_err(|_| EncodeError::TooFar { index: self.index, distance })
    }

    fn distance(&self, target: Target) -> Result<i64, EncodeError> {
        match target {
            Target::Off(off) => Ok(off.into()),
            Target::Label(label) => {
                let place = self.code.place_of(label);
                let place = place.ok_or(EncodeError::Unplaced { index: self.index, label })?;
                Ok(self.places.slot(place) - self.places.slot(self.index + 1))
            }
        }
    }
}

const fn alu_class(width: Width) -> u8 {
    match width {
        Width::W32 => class::ALU,
        Width::W64 => class::ALU64,
    }
}

fn with_src(slot: RawSlot, src: Src) -> RawSlot {
    match src {
        Src::Reg(reg) => RawSlot { opcode: slot.opcode | X, src: reg.number(), ..slot },
        Src::Imm(imm) => RawSlot { imm, ..slot },
    }
}

fn load(mode: u8, size: Size, dst: Reg, mem: Mem) -> RawSlot {
    RawSlot {
        opcode: mode | size_bits(size) | class::LDX,
        dst: dst.number(),
        src: mem.base.number(),
        off: mem.off,
        imm: 0,
    }
}

fn store(size: Size, mem: Mem, src: Src) -> RawSlot {
    let slot = RawSlot { dst: mem.base.number(), off: mem.off, ..RawSlot::default() };
    let opcode = mode::MEM | size_bits(size);
    match src {
        Src::Reg(reg) => RawSlot { opcode: opcode | class::STX, src: reg.number(), ..slot },
        Src::Imm(imm) => RawSlot { opcode: opcode | class::ST, imm, ..slot },
    }
}

fn atomic_slot(atomic: Atomic) -> RawSlot {
    let size = if atomic.width == Width::W64 { Size::Dw } else { Size::W };
    let (_, _, imm) = atomic.op.row();
    RawSlot {
        opcode: mode::ATOMIC | size_bits(size) | class::STX,
        dst: atomic.mem.base.number(),
        src: atomic.src.number(),
        off: atomic.mem.off,
        imm,
    }
}
