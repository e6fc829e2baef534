//! Text inside of Rust: instructions with holes that expressions of the surrounding Rust fill.

use super::{
    Callee, Instruction, MemoryOperand, Operand, OperandValue, Parser, Statement, StatementKind, Wide,
    lexer::Number,
    lower::Body,
    mnemonic::{self, Form},
    parser::{Parsed, refuse},
    scope::Scope,
};
use crate::{
    Code, Diagnostic, Diagnostics, Insn, Label, Line, Reg, Span, Target,
    place::{InsnPlaces, target_slot},
};

/// What [`quote`] makes of a text.
#[derive(Clone, Debug)]
pub struct Quoted {
    /// What to do, in order, to build the code.
    pub parts: Vec<Part>,
    /// Knows the names of the labels and maps that the parts refer to.
    pub names: Code,
}

/// A step in building code.
#[derive(Clone, Debug)]
pub enum Part {
    /// Add an instruction.
    Insn {
        /// What is known of it: holes have any value.
        insn: Insn,
        /// What is not.
        holes: Vec<Hole>,
        /// Where it stands in the text.
        span: Span,
    },
    /// Place a label.
    Label(Label),
    /// Place the label that this splice gives.
    LabelSplice(u32),
    /// Add the instructions that this splice gives.
    CodeSplice(u32),
}

/// A splice in an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// What it fills.
    pub field: SpliceField,
    /// Its place among the text's splices, from 0.
    pub splice: u32,
}

/// What a splice fills; its type follows from that and the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpliceField {
    /// The destination register.
    Dst,
    /// The source: a register, a number, or either.
    Src,
    /// All of `[…]`.
    Mem,
    /// The register in `[…]`.
    Base,
    /// The offset in `[…]`, or into a map's value.
    Off,
    /// A number, or the map of a 64-bit immediate.
    Imm,
    /// Where a jump or a call goes.
    Target,
}

/// Reads instructions and labels in which `$name` and `{…}` stand for operands, labels and whole programs; what is
/// between braces is not looked at.
///
/// As in [`super::assemble_code`], the instructions are not checked. Beyond it, distances in numbers must stay within
/// the text, and must not lead across a program whose length is not known yet.
///
/// # Errors
/// Everything wrong with the text, up to [`Diagnostics::LIMIT`], in its order.
pub fn quote(text: &str) -> Result<Quoted, Diagnostics> {
    let mut reader = QuoteReader { text, ..QuoteReader::default() };
    let mut diagnostics = Diagnostics::default();
    for statement in Parser::with_splices(text, true) {
        if let Err(error) = statement.and_then(|statement| reader.statement(statement)) {
            diagnostics.push(*error);
        }
    }
    reader.body.finish(&mut diagnostics);
    if diagnostics.is_empty() {
        reader.check_distances(&mut diagnostics);
    }
    diagnostics.sort();
    if diagnostics.is_empty() { Ok(reader.into_quoted()) } else { Err(diagnostics) }
}

#[derive(Default)]
struct QuoteReader<'a> {
    text: &'a str,
    scope: Scope<'a>,
    body: Body<'a>,
    parts: Vec<Part>,
    /// How many instructions stand before each spliced program.
    code_splices: Vec<usize>,
}

impl<'a> QuoteReader<'a> {
    fn statement(&mut self, statement: Statement<'a>) -> Parsed<()> {
        let only_in_files = |what: &str| refuse(statement.span, format!("{what} in a file of programs only"));
        match statement.kind {
            StatementKind::Instruction(instruction) => return self.instruction(instruction, statement.span),
            StatementKind::Label(name) => {
                self.body.place(name)?;
                self.parts.push(Part::Label(self.body.code.label(name.text)));
            }
            StatementKind::LabelSplice(splice) => self.parts.push(Part::LabelSplice(splice)),
            StatementKind::CodeSplice(splice) => {
                self.code_splices.push(self.body.code.len());
                self.parts.push(Part::CodeSplice(splice));
            }
            StatementKind::Equ(name, value) => {
                refuse_sums(&value)?;
                return self.scope.add_constant(name, &value);
            }
            StatementKind::Slot(slot) => return self.scope.add_slot(&slot),
            StatementKind::Struct(..) => return only_in_files("types are declared"),
            StatementKind::Map(_) => return only_in_files("maps are declared"),
            StatementKind::License(_) => return only_in_files("a licence is given"),
            StatementKind::Program(..) => return only_in_files("programs are declared"),
        }
        Ok(())
    }

    fn instruction(&mut self, mut instruction: Instruction<'a>, span: Span) -> Parsed<()> {
        let mnemonic = self.text[span.range()].split(|c: char| !c.is_alphanumeric()).next();
        let stores_reg = matches!(mnemonic.and_then(mnemonic::form), Some(Form::StoreReg(_)));
        let mut holes = Vec::new();
        for (field, filler, operand) in operands(&mut instruction, stores_reg) {
            refuse_sums(operand)?;
            if let OperandValue::Splice(splice) = operand.value {
                holes.push(Hole { field, splice });
                operand.value = filler;
            }
        }
        self.body.push(&self.scope, &instruction, Line::default())?;
        let insn = *self.body.code.insns().last().expect("it was just added");
        self.parts.push(Part::Insn { insn, holes, span });
        Ok(())
    }

    fn check_distances(&self, diagnostics: &mut Diagnostics) {
        let code = &self.body.code;
        let places = InsnPlaces::of(code);
        let insns = self.parts.iter().filter_map(|part| match part {
            Part::Insn { insn, holes, span } => Some((insn, holes, *span)),
            _ => None,
        });
        for (index, (insn, holes, span)) in insns.enumerate() {
            let spliced = holes.iter().any(|hole| hole.field == SpliceField::Target);
            let Some(Target::Off(_)) = insn.target().filter(|_| !spliced) else { continue };
            let slot = target_slot(code, &places, index).expect("a distance has a target");
            let crosses = |&before: &usize| {
                let splice = places.slot(before);
                if before > index { splice < slot } else { splice > slot }
            };
            let (end, error) = (places.len(), |message: String| Diagnostic::error(span, message));
            if !(0..=end).contains(&slot) {
                let message =
                    format!("it goes to slot {slot}, and these instructions have slots 0 to {}", end - 1);
                diagnostics
                    .push(error(message).help("a distance counts from the next instruction".to_owned()));
            } else if slot < end && places.index(slot).is_none() {
                diagnostics
                    .push(error(format!("it goes to slot {slot}, the second half of a 64-bit immediate")));
            } else if self.code_splices.iter().any(crosses) {
                let message = "it goes across a spliced program, whose length is not known yet";
                diagnostics.push(error(message.to_owned()).help("jump to a label".to_owned()));
            }
        }
    }

    fn into_quoted(mut self) -> Quoted {
        let names = self.body.code;
        for (label, place) in names.labels() {
            let has_part =
                self.parts.iter().any(|part| matches!(part, Part::Label(known) if *known == label));
            if let Some(place) = place.filter(|_| !has_part) {
                let insns =
                    self.parts.iter().enumerate().filter(|(_, part)| matches!(part, Part::Insn { .. }));
                let at = insns.map(|(at, _)| at).nth(place).unwrap_or(self.parts.len());
                self.parts.insert(at, Part::Label(label));
            }
        }
        Quoted { parts: self.parts, names }
    }
}

fn refuse_sums(operand: &Operand<'_>) -> Parsed<()> {
    let OperandValue::Sum(terms) = &operand.value else { return Ok(()) };
    match terms.iter().find(|term| matches!(term.operand.value, OperandValue::Splice(_))) {
        Some(term) => Err(Box::new(
            Diagnostic::error(term.operand.span, "a splice is no part of a sum")
                .help("write the whole sum in Rust, between braces".to_owned()),
        )),
        None => Ok(()),
    }
}

const REG: OperandValue<'static> = OperandValue::Reg(Reg::R0);
const NUMBER: OperandValue<'static> =
    OperandValue::Number(Number { magnitude: 0, negative: false, hex: false });
const MAP: OperandValue<'static> = OperandValue::Name("");

type Operands<'s, 'a> = Vec<(SpliceField, OperandValue<'static>, &'s mut Operand<'a>)>;

/// The operands in which splices may stand, in the order in which they are written, and what to fill such a hole with.
fn operands<'s, 'a>(instruction: &'s mut Instruction<'a>, stores_reg: bool) -> Operands<'s, 'a> {
    use SpliceField::{Dst, Imm, Src};
    match instruction {
        Instruction::Alu { dst, src, .. } => vec![(Dst, REG, dst), (Src, NUMBER, src)],
        Instruction::MovSx { dst, src, .. } => vec![(Dst, REG, dst), (Src, REG, src)],
        Instruction::Neg { dst, .. } | Instruction::End { dst, .. } => vec![(Dst, REG, dst)],
        Instruction::LoadImm { dst, imm } => joined(vec![(Dst, REG, dst)], of_wide(imm)),
        Instruction::Load { dst, mem, .. } | Instruction::LoadSx { dst, mem, .. } => {
            joined(vec![(Dst, REG, dst)], of_memory(mem))
        }
        Instruction::Store { mem, src, .. } => {
            joined(of_memory(mem), vec![(Src, if stores_reg { REG } else { NUMBER }, src)])
        }
        Instruction::Atomic { mem, src, .. } => joined(of_memory(mem), vec![(Src, REG, src)]),
        Instruction::LoadAbs { off, .. } => vec![(Imm, NUMBER, off)],
        Instruction::LoadInd { src, off, .. } => vec![(Src, REG, src), (Imm, NUMBER, off)],
        Instruction::Ja(target) | Instruction::Jal(target) => vec![(SpliceField::Target, NUMBER, target)],
        Instruction::Jump { dst, src, target, .. } => {
            vec![(Dst, REG, dst), (Src, NUMBER, src), (SpliceField::Target, NUMBER, target)]
        }
        Instruction::Call(Callee::Helper(id) | Callee::Kfunc(id)) => vec![(Imm, NUMBER, id)],
        Instruction::Call(Callee::Local(target)) => vec![(SpliceField::Target, NUMBER, target)],
        Instruction::Call(Callee::Reg(reg)) => vec![(Src, REG, reg)],
        Instruction::Call(Callee::Named(_)) | Instruction::Exit => vec![],
        Instruction::Raw(raw) => vec![(Imm, NUMBER, raw)],
    }
}

fn joined<'s, 'a>(mut first: Operands<'s, 'a>, then: Operands<'s, 'a>) -> Operands<'s, 'a> {
    first.extend(then);
    first
}

fn of_memory<'s, 'a>(memory: &'s mut MemoryOperand<'a>) -> Operands<'s, 'a> {
    let whole = if memory.off.is_none() { SpliceField::Mem } else { SpliceField::Base };
    let base = memory.base.as_mut().map(|base| (whole, REG, base));
    base.into_iter().chain(memory.off.as_mut().map(|off| (SpliceField::Off, NUMBER, off))).collect()
}

fn of_wide<'s, 'a>(wide: &'s mut Wide<'a>) -> Operands<'s, 'a> {
    let (field, filler, operand, off) = match wide {
        Wide::Value(operand) | Wide::MapFd(operand) | Wide::MapIndex(operand) | Wide::Var(operand) => {
            (SpliceField::Imm, NUMBER, operand, None)
        }
        Wide::Map(map) => (SpliceField::Imm, MAP, map, None),
        Wide::Func(target) => (SpliceField::Target, NUMBER, target, None),
        Wide::MapFdValue(map, off) | Wide::MapIndexValue(map, off) => {
            (SpliceField::Imm, NUMBER, map, off.as_mut())
        }
        Wide::MapValue(map, off) => (SpliceField::Imm, MAP, map, off.as_mut()),
    };
    std::iter::once((field, filler, operand)).chain(off.map(|off| (SpliceField::Off, NUMBER, off))).collect()
}
