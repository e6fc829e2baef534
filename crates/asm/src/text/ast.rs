//! What the parser makes of a text: statements whose operands are still as written.

use super::lexer::Number;
use crate::{AluOp, AtomicOp, Bits, Cond, EndOp, MapKind, Reg, Size, Span, SxFrom, SxSize, Width};

/// One statement and where it stands.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// What it says.
    pub kind: StatementKind<'a>,
    /// Its line, from 1.
    pub line: u32,
    /// Its bytes.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum StatementKind<'a> {
    /// `name:`
    Label(Name<'a>),
    Instruction(Instruction<'a>),
    /// `.license "GPL"`
    License(Name<'a>),
    /// `.equ name, value`
    Equ(Name<'a>, Operand<'a>),
    /// `.struct name { field: type, … }`
    Struct(Name<'a>, Vec<(Name<'a>, TypeExpr<'a>)>),
    /// `.map name kind key=type value=type entries=n flags=n`
    Map(Box<MapDeclaration<'a>>),
    /// `.program name section`
    Program(Name<'a>, Option<Name<'a>>),
    /// `.slot name type`
    Slot(StackSlot<'a>),
    /// `$name:`, inside of Rust only
    LabelSplice(u32),
    /// `$name`, a whole program, inside of Rust only
    CodeSplice(u32),
}

/// A word, or the inside of a quoted text.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    /// As written.
    pub text: &'a str,
    /// Where.
    pub span: Span,
}

/// An operand and where it stands.
#[derive(Clone, Debug)]
pub struct Operand<'a> {
    /// What is written.
    pub value: OperandValue<'a>,
    /// Where.
    pub span: Span,
}

/// An operand as written.
#[derive(Clone, Debug)]
pub enum OperandValue<'a> {
    /// `r1` or `%r1`
    Reg(Reg),
    /// `-1`, `0xff`
    Number(Number),
    /// A constant, slot, field, label, map or helper.
    Name(&'a str),
    /// The place of an expression of the surrounding Rust, counted from 0.
    Splice(u32),
    /// `name + 4 - other`; numbers and names only.
    Sum(Vec<Term<'a>>),
}

/// One part of a sum.
#[derive(Clone, Debug)]
pub struct Term<'a> {
    /// Whether it is taken away.
    pub minus: bool,
    /// What is added.
    pub operand: Operand<'a>,
}

/// Memory: `[base + off]`.
#[derive(Clone, Debug)]
pub struct MemoryOperand<'a> {
    /// The register; where none is written, what is must be a stack slot.
    pub base: Option<Operand<'a>>,
    /// What is added to it, where something is.
    pub off: Option<Operand<'a>>,
    /// From bracket to bracket.
    pub span: Span,
}

/// What a call calls.
#[derive(Clone, Debug)]
pub enum Callee<'a> {
    /// `call helper 1`, `call 1`
    Helper(Operand<'a>),
    /// `call local name`, `call local +3`
    Local(Operand<'a>),
    /// `call runtime 1`
    Kfunc(Operand<'a>),
    /// `call r2`, `call helper r2`, `callx r2`
    Reg(Operand<'a>),
    /// `call name`: a helper, or a function of this program.
    Named(Name<'a>),
}

/// What a 64-bit immediate holds.
#[derive(Clone, Debug)]
pub enum Wide<'a> {
    /// A number.
    Value(Operand<'a>),
    /// `map_by_fd(n)`, a name for a declared map.
    MapFd(Operand<'a>),
    /// `map_by_idx(n)`
    MapIndex(Operand<'a>),
    /// A declared map's name.
    Map(Operand<'a>),
    /// `map_val(map_by_fd(n)) + off`
    MapFdValue(Operand<'a>, Option<Operand<'a>>),
    /// `map_val(map_by_idx(n)) + off`
    MapIndexValue(Operand<'a>, Option<Operand<'a>>),
    /// `map_val(name) + off`
    MapValue(Operand<'a>, Option<Operand<'a>>),
    /// `var_addr(n)`
    Var(Operand<'a>),
    /// `code_addr(label)`
    Func(Operand<'a>),
}

/// An instruction whose operands are as written; the forms are those of [`crate::Insn`].
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Instruction<'a> {
    Alu { width: Width, op: AluOp, dst: Operand<'a>, src: Operand<'a> },
    MovSx { width: Width, from: SxFrom, dst: Operand<'a>, src: Operand<'a> },
    Neg { width: Width, dst: Operand<'a> },
    End { op: EndOp, bits: Bits, dst: Operand<'a> },
    LoadImm { dst: Operand<'a>, imm: Wide<'a> },
    Load { size: Size, dst: Operand<'a>, mem: MemoryOperand<'a> },
    LoadSx { size: SxSize, dst: Operand<'a>, mem: MemoryOperand<'a> },
    Store { size: Size, mem: MemoryOperand<'a>, src: Operand<'a> },
    LoadAbs { size: Size, off: Operand<'a> },
    LoadInd { size: Size, src: Operand<'a>, off: Operand<'a> },
    Atomic { width: Width, op: AtomicOp, mem: MemoryOperand<'a>, src: Operand<'a> },
    Ja(Operand<'a>),
    Jal(Operand<'a>),
    Jump { width: Width, cond: Cond, dst: Operand<'a>, src: Operand<'a>, target: Operand<'a> },
    Call(Callee<'a>),
    Exit,
    Raw(Operand<'a>),
}

/// A type as written: `u32`, `u8[16]`, `event`.
#[derive(Clone, Debug)]
pub struct TypeExpr<'a> {
    /// The name before the brackets.
    pub name: Name<'a>,
    /// What stands in the brackets, as in C: the first is the outermost.
    pub counts: Vec<Operand<'a>>,
}

/// A declared map.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct MapDeclaration<'a> {
    pub name: Name<'a>,
    pub kind: MapKind,
    pub kind_span: Span,
    pub key: Option<TypeExpr<'a>>,
    pub value: Option<TypeExpr<'a>>,
    pub entries: Option<Operand<'a>>,
    pub flags: Option<Operand<'a>>,
}

/// A declared stack slot.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct StackSlot<'a> {
    pub name: Name<'a>,
    pub size: SlotSize<'a>,
    pub align: Option<Operand<'a>>,
}

/// How large a stack slot is.
#[derive(Clone, Debug)]
pub enum SlotSize<'a> {
    /// As large and aligned as a type.
    Type(TypeExpr<'a>),
    /// So many bytes.
    Bytes(Operand<'a>),
}
