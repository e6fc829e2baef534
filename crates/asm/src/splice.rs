//! What may stand in the splices of `ebpf!` (weir-asm-macros), by its type, where a place takes more than one type.

use crate::{Code, Insn, Label, MapDef, MapName, Mem, Reg, Src, Target};

/// The macro makes the code: no label and no map name of it can be known outside.
#[derive(Clone, Copy, Debug)]
pub enum Fresh {}

/// The macro adds to code that it is given, whose labels and map names may be known already.
#[derive(Clone, Copy, Debug)]
pub enum Given {}

/// The second operand of arithmetic and of a jump: a register or a number.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a register nor a number here",
    label = "expected a `Reg` or an `i32`"
)]
pub trait SrcSplice: Into<Src> {}

impl SrcSplice for Reg {}
impl SrcSplice for i32 {}

/// The operand.
pub fn src(splice: impl SrcSplice) -> Src {
    splice.into()
}

/// What may stand alone in brackets: a register, or one with its offset.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no memory operand",
    label = "expected a `Mem` such as `R10 - 8`, or a `Reg`"
)]
pub trait MemSplice: Into<Mem> {}

impl MemSplice for Reg {}
impl MemSplice for Mem {}

/// The operand.
pub fn mem(splice: impl MemSplice) -> Mem {
    splice.into()
}

/// Where a jump or a call may go to: a distance in slots, a label's name, or a label of the code that is added to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no target of a jump or a call here",
    label = "expected an `i32` distance, a label's name, or a `Label` of the code in `ebpf! {{ in …; }}`"
)]
pub trait TargetSplice<Of> {
    /// The target, as `code` knows it.
    fn target(self, code: &mut Code) -> Target;
}

impl<Of> TargetSplice<Of> for i32 {
    fn target(self, _: &mut Code) -> Target {
        Target::Off(self)
    }
}

impl<Of> TargetSplice<Of> for &str {
    fn target(self, code: &mut Code) -> Target {
        Target::Label(code.label(self))
    }
}

impl TargetSplice<Given> for Label {
    fn target(self, _: &mut Code) -> Target {
        Target::Label(self)
    }
}

/// What may be placed as a label: a name, or a label of the code that is added to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no label here",
    label = "expected a label's name, or a `Label` of the code in `ebpf! {{ in …; }}`"
)]
pub trait LabelSplice<Of> {
    /// The label, as `code` knows it.
    fn label(self, code: &mut Code) -> Label;
}

impl<Of> LabelSplice<Of> for &str {
    fn label(self, code: &mut Code) -> Label {
        code.label(self)
    }
}

impl LabelSplice<Given> for Label {
    fn label(self, _: &mut Code) -> Label {
        self
    }
}

/// Places a label before the next instruction.
///
/// # Panics
/// If it has a place already.
#[track_caller]
pub fn place(code: &mut Code, label: Label) {
    if let Err(index) = code.place(label) {
        let name = code.name_of(label).unwrap_or_default();
        panic!("the label '{name}' is placed a second time; it stands before instruction {index}");
    }
}

/// What refers to a map: its definition, its name, or its name as the code that is added to knows it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no map here",
    label = "expected a `&MapDef`, a map's name, or a `MapName` of the code in `ebpf! {{ in …; }}`"
)]
pub trait MapSplice<Of> {
    /// The map, as `code` knows it.
    fn map(self, code: &mut Code) -> MapName;
}

impl<Of> MapSplice<Of> for &str {
    fn map(self, code: &mut Code) -> MapName {
        code.map(self)
    }
}

impl<Of> MapSplice<Of> for &MapDef {
    fn map(self, code: &mut Code) -> MapName {
        code.map(&self.name)
    }
}

impl MapSplice<Given> for MapName {
    fn map(self, _: &mut Code) -> MapName {
        self
    }
}

/// Instructions that stand in a line of their own: code, whose labels stay its own, or anything that gives
/// instructions, such as [`crate::stack::string_on_stack`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no program",
    label = "expected `Code`, an `Insn`, or something that can be iterated over and gives `Insn`s"
)]
pub trait CodeSplice {
    /// Adds it behind `code`.
    fn append_to(self, code: &mut Code);
}

impl CodeSplice for &Code {
    fn append_to(self, code: &mut Code) {
        code.append(self);
    }
}

impl CodeSplice for Code {
    fn append_to(self, code: &mut Code) {
        code.append(&self);
    }
}

impl CodeSplice for Insn {
    fn append_to(self, code: &mut Code) {
        code.push(self);
    }
}

impl<T: IntoIterator<Item = Insn>> CodeSplice for T {
    fn append_to(self, code: &mut Code) {
        code.extend(self);
    }
}
