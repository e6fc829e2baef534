//! From instructions as written to instructions: names get their meaning, numbers their ranges.

use hashbrown::HashMap;

use super::{
    Callee, Instruction, MemoryOperand, Name, Operand, OperandValue, Wide,
    lexer::Number,
    parser::{Parsed, refuse, refuse_second, refuse_with},
    scope::Scope,
    suggest::did_you_mean,
};
use crate::{
    Atomic, Call, Code, Diagnostic, Diagnostics, Imm64, Insn, Label, Line, MapName, Mem, Reg, Span, Src,
    Target, helpers,
};

/// The program that is being read.
#[derive(Default)]
pub(super) struct Body<'a> {
    pub(super) code: Code,
    labels: HashMap<&'a str, LabelUse>,
    maps: HashMap<&'a str, (MapName, Span)>,
    /// The label that a jump to `exit` goes to, once there is an exit.
    first_exit: Option<usize>,
}

struct LabelUse {
    label: Label,
    /// Where it was first used, or placed if that came first.
    span: Span,
    placed: bool,
    /// Whether all that is known of it is that it is called.
    called: bool,
}

/// More labels than anyone would look through for the one that was meant.
const SUGGEST_AMONG: usize = 10_000;

impl<'a> Body<'a> {
    pub(super) fn place(&mut self, name: Name<'a>) -> Parsed<()> {
        let code = &mut self.code;
        let entry = self.labels.entry(name.text).or_insert_with(|| LabelUse {
            label: code.add_label(Some(name.text.to_owned())),
            span: name.span,
            placed: false,
            called: false,
        });
        if entry.placed {
            return refuse_second(name.span, &format!("label '{}'", name.text), entry.span);
        }
        entry.placed = true;
        entry.span = name.span;
        let label = entry.label;
        code.place(label).expect("it was not placed before");
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        scope: &Scope<'a>,
        instruction: &Instruction<'a>,
        line: Line,
    ) -> Parsed<()> {
        let insn = Lowering { body: self, scope }.insn(instruction)?;
        if insn == Insn::Exit && self.first_exit.is_none() {
            self.first_exit = Some(self.code.len());
        }
        self.code.push_at(insn, line);
        Ok(())
    }

    /// Reports labels that have no place, and gives `exit` the place that it has by custom.
    pub(super) fn finish(&mut self, diagnostics: &mut Diagnostics) {
        let exit = self.labels.get_mut("exit").filter(|exit| !exit.placed);
        if let (Some(exit), Some(place)) = (exit, self.first_exit) {
            exit.placed = true;
            self.code.place_at(exit.label, place);
        }
        let missing = self.labels.iter().filter(|(_, label)| !label.placed);
        let mut missing: Vec<_> = missing.map(|(name, label)| (*name, label.span, label.called)).collect();
        missing.sort_by_key(|(_, span, _)| span.start);
        for (name, span, called) in missing {
            if diagnostics.is_full() {
                return diagnostics.stopped();
            }
            diagnostics.push(self.undefined(name, span, called));
        }
    }

    fn undefined(&self, name: &str, span: Span, called: bool) -> Diagnostic {
        let few = self.labels.len() <= SUGGEST_AMONG;
        let placed = self.labels.iter().filter(|(_, label)| few && label.placed).map(|(name, _)| *name);
        let helpers = helpers::names().filter(|_| called).map(|name| -> &'a str { name });
        let message = match (called, name) {
            (true, _) => format!("neither a helper nor a label is named '{name}'"),
            (false, "exit") => "a jump to `exit`, and the program has none".to_owned(),
            (false, _) => format!("no label is named '{name}'"),
        };
        Diagnostic::error(span, message).help(did_you_mean(name, placed.chain(helpers)))
    }

    /// Maps by the names used, each with the place of its first use.
    pub(super) fn maps(&self) -> impl Iterator<Item = (&'a str, Span)> {
        self.maps.iter().map(|(name, (_, span))| (*name, *span))
    }

    fn label(&mut self, name: &'a str, span: Span, called: bool) -> Label {
        let code = &mut self.code;
        let entry = self.labels.entry(name).or_insert_with(|| LabelUse {
            label: code.add_label(Some(name.to_owned())),
            span,
            placed: false,
            called: true,
        });
        entry.called &= called;
        entry.label
    }

    fn map(&mut self, name: &'a str, span: Span) -> MapName {
        let code = &mut self.code;
        self.maps.entry(name).or_insert_with(|| (code.add_map(name.to_owned()), span)).0
    }
}

struct Lowering<'b, 'a> {
    body: &'b mut Body<'a>,
    scope: &'b Scope<'a>,
}

impl<'a> Lowering<'_, 'a> {
    fn insn(&mut self, instruction: &Instruction<'a>) -> Parsed<Insn> {
        Ok(match instruction {
            Instruction::Alu { width, op, dst, src } => {
                Insn::Alu { width: *width, op: *op, dst: reg(dst)?, src: self.src(src)? }
            }
            Instruction::MovSx { width, from, dst, src } => {
                Insn::MovSx { width: *width, from: *from, dst: reg(dst)?, src: reg(src)? }
            }
            Instruction::Neg { width, dst } => Insn::Neg { width: *width, dst: reg(dst)? },
            Instruction::End { op, bits, dst } => Insn::End { op: *op, bits: *bits, dst: reg(dst)? },
            Instruction::LoadImm { dst, imm } => Insn::LoadImm { dst: reg(dst)?, imm: self.wide(imm)? },
            Instruction::Load { size, dst, mem } => {
                Insn::Load { size: *size, dst: reg(dst)?, mem: self.memory(mem)? }
            }
            Instruction::LoadSx { size, dst, mem } => {
                Insn::LoadSx { size: *size, dst: reg(dst)?, mem: self.memory(mem)? }
            }
            Instruction::Store { size, mem, src } => {
                Insn::Store { size: *size, mem: self.memory(mem)?, src: self.src(src)? }
            }
            Instruction::LoadAbs { size, off } => Insn::LoadAbs { size: *size, off: self.imm(off)? },
            Instruction::LoadInd { size, src, off } => {
                Insn::LoadInd { size: *size, src: reg(src)?, off: self.imm(off)? }
            }
            Instruction::Atomic { width, op, mem, src } => {
                Insn::Atomic(Atomic { width: *width, op: *op, mem: self.memory(mem)?, src: reg(src)? })
            }
            Instruction::Ja(target) => Insn::Ja(self.near(target)?),
            Instruction::Jal(target) => Insn::Jal(self.far(target, false)?),
            Instruction::Jump { width, cond, dst, src, target } => Insn::Jump {
                width: *width,
                cond: *cond,
                dst: reg(dst)?,
                src: self.src(src)?,
                target: self.near(target)?,
            },
            Instruction::Call(callee) => Insn::Call(self.call(callee)?),
            Instruction::Exit => Insn::Exit,
            Instruction::Raw(raw) => Insn::Raw(self.bits64(raw)?),
        })
    }

    fn call(&mut self, callee: &Callee<'a>) -> Parsed<Call> {
        Ok(match callee {
            Callee::Helper(operand) => Call::Helper(self.helper(operand)?),
            Callee::Local(target) => Call::Local(self.far(target, true)?),
            Callee::Kfunc(id) => Call::Kfunc(self.imm(id)?),
            Callee::Reg(operand) => Call::Reg(reg(operand)?),
            Callee::Named(name) => match helpers::number(name.text) {
                Some(number) => Call::Helper(number),
                None => Call::Local(Target::Label(self.body.label(name.text, name.span, true))),
            },
        })
    }

    fn helper(&self, operand: &Operand<'a>) -> Parsed<i32> {
        match operand.value {
            OperandValue::Name(name) => helpers::number(name).ok_or_else(|| {
                let help = did_you_mean(name, helpers::names());
                Box::new(Diagnostic::error(operand.span, format!("no helper is named '{name}'")).help(help))
            }),
            _ => self.imm(operand),
        }
    }

    fn wide(&mut self, wide: &Wide<'a>) -> Parsed<Imm64> {
        Ok(match wide {
            Wide::Value(operand) => Imm64::Value(self.bits64(operand)?),
            Wide::MapFd(fd) => Imm64::MapFd(self.imm(fd)?),
            Wide::MapIndex(index) => Imm64::MapIndex(self.unsigned(index)?),
            Wide::Map(name) => Imm64::Map(self.map(name)?),
            Wide::MapFdValue(fd, off) => Imm64::MapFdValue { fd: self.imm(fd)?, off: self.value_off(off)? },
            Wide::MapIndexValue(index, off) => {
                Imm64::MapIndexValue { index: self.unsigned(index)?, off: self.value_off(off)? }
            }
            Wide::MapValue(name, off) => Imm64::MapValue { map: self.map(name)?, off: self.value_off(off)? },
            Wide::Var(id) => Imm64::Var(self.unsigned(id)?),
            Wide::Func(target) => Imm64::Func(self.far(target, false)?),
        })
    }

    fn map(&mut self, operand: &Operand<'a>) -> Parsed<MapName> {
        match operand.value {
            OperandValue::Name(name) => Ok(self.body.map(name, operand.span)),
            _ => refuse(operand.span, "expected a map's name"),
        }
    }

    fn src(&self, operand: &Operand<'a>) -> Parsed<Src> {
        match operand.value {
            OperandValue::Reg(reg) => Ok(Src::Reg(reg)),
            _ => self.imm(operand).map(Src::Imm),
        }
    }

    /// A number that fits a signed 32 bits, or a pattern of 32 bits in hexadecimal.
    fn imm(&self, operand: &Operand<'a>) -> Parsed<i32> {
        let known = self.scope.known(operand)?;
        let pattern = u32::try_from(known.value).ok().filter(|_| known.hex);
        pattern.map(u32::cast_signed).or_else(|| i32::try_from(known.value).ok()).ok_or_else(|| {
            Box::new(Diagnostic::error(operand.span, "this number does not fit 32 bits").help(
                "decimals reach from -2147483648 to 2147483647 and hexadecimals to 0xffffffff; `lddw` takes 64 bits"
                    .to_owned(),
            ))
        })
    }

    fn unsigned(&self, operand: &Operand<'a>) -> Parsed<u32> {
        let known = self.scope.known(operand)?;
        u32::try_from(known.value).map_err(|_| {
            Diagnostic::error(operand.span, "this number does not fit an unsigned 32 bits").into()
        })
    }

    fn value_off(&self, operand: &Option<Operand<'a>>) -> Parsed<u32> {
        operand.as_ref().map_or(Ok(0), |operand| self.unsigned(operand))
    }

    fn bits64(&self, operand: &Operand<'a>) -> Parsed<u64> {
        let value = self.scope.known(operand)?.value;
        let bits = u64::try_from(value).or_else(|_| i64::try_from(value).map(i64::cast_unsigned));
        bits.map_err(|_| Diagnostic::error(operand.span, "this number does not fit 64 bits").into())
    }

    fn memory(&self, memory: &MemoryOperand<'a>) -> Parsed<Mem> {
        let base = memory.base.as_ref().map(reg).transpose()?;
        let Some(operand) = &memory.off else { return Ok(Mem { base: base.unwrap_or(Reg::R10), off: 0 }) };
        let off = self.scope.known(operand)?;
        let base = match base {
            Some(base) => base,
            None if off.slot => Reg::R10,
            None => {
                let help = "memory is [register + offset]; a stack slot's name alone counts from r10";
                return refuse_with(memory.span, "there is no register in it", help.to_owned());
            }
        };
        let off = i16::try_from(off.value).map_err(|_| {
            Diagnostic::error(operand.span, format!("the offset {} does not fit 16 bits", off.value))
                .help("-32768 to 32767 fit; add the rest to the register".to_owned())
        })?;
        Ok(Mem { base, off })
    }

    fn near(&mut self, target: &Operand<'a>) -> Parsed<Target> {
        if let OperandValue::Number(number) = target.value {
            return distance::<i16>(number).map(|off| Target::Off(off.into())).ok_or_else(|| {
                Diagnostic::error(target.span, "this distance does not fit 16 bits")
                    .help("`gotol` reaches further".to_owned())
                    .into()
            });
        }
        self.far(target, false)
    }

    fn far(&mut self, target: &Operand<'a>, called: bool) -> Parsed<Target> {
        match target.value {
            OperandValue::Number(number) => distance(number)
                .map(Target::Off)
                .ok_or_else(|| Diagnostic::error(target.span, "this distance does not fit 32 bits").into()),
            OperandValue::Name(name) => Ok(Target::Label(self.body.label(name, target.span, called))),
            _ => refuse(target.span, "expected a label or a distance"),
        }
    }
}

fn distance<T: TryFrom<i128>>(number: Number) -> Option<T> {
    T::try_from(number.value()).ok()
}

fn reg(operand: &Operand<'_>) -> Parsed<Reg> {
    match operand.value {
        OperandValue::Reg(reg) => Ok(reg),
        _ => refuse(operand.span, "expected a register"),
    }
}
