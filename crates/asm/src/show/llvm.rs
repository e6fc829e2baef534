//! The syntax of the kernel's verifier and of llvm-objdump: `r0 = *(u64 *)(r1 + 0x8)`.
//!
//! Instructions read to the byte as `llvm-objdump -d --no-show-raw-insn` of LLVM 22 prints them, which takes accesses of
//! less than 64 bits to be of `w` registers. Everything beside them (labels, names, lines) is asked for.

use std::fmt::{self, Display, Formatter};

use super::llvm_parts::{Address, Hex, Offset, Register, width};
use crate::{
    Atomic, AtomicOp, Call, Code, Imm64, Insn, Label, Reg, Source, Src, Target, Width, place::SlotPlaces,
    slot::imm64,
};

/// Code to be shown, a line each instruction: the index in 8-byte slots, and the instruction.
///
/// ```
/// use weir_asm::{Code, Reg::*, op::*, show::llvm::Llvm};
///
/// let code: Code = [ldxdw(R0, R1 + 8), jeq(R0, 0, 0), exit()].into_iter().collect();
/// assert_eq!(Llvm::new(&code).insn(0).to_string(), "r0 = *(u64 *)(r1 + 0x8)");
/// assert_eq!(Llvm::new(&code).symbols([(0, "main")]).insn(1).to_string(), "if r0 == 0x0 goto +0x0 <main+0x10>");
/// ```
pub struct Llvm<'a> {
    code: &'a Code,
    places: SlotPlaces,
    /// Functions by their first slot, in that order.
    symbols: Vec<(usize, &'a str)>,
    labels: bool,
    maps: bool,
    helper: Option<HelperName>,
    /// What stands behind the instruction at a slot, in the order of slots.
    notes: Vec<(usize, &'a str)>,
    /// The lines of each source.
    sources: Vec<Vec<&'a str>>,
}

/// A helper's name by its number.
pub type HelperName = fn(i32) -> Option<&'static str>;

impl<'a> Llvm<'a> {
    /// Shows instructions and nothing else.
    pub fn new(code: &'a Code) -> Self {
        Self {
            code,
            places: SlotPlaces::of(code),
            symbols: Vec::new(),
            labels: false,
            maps: false,
            helper: None,
            notes: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Says of jumps where in these functions they go (`<name+0x20>`, in bytes), and begins each with its name. They
    /// are given by their first slots.
    pub fn symbols(mut self, symbols: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        self.symbols.extend(symbols);
        self.symbols.sort_by_key(|(slot, _)| *slot);
        self
    }

    /// Shows labels on lines of their own, and as targets.
    pub fn labels(self) -> Self {
        Self { labels: true, ..self }
    }

    /// Shows the names of maps behind instructions that refer to them.
    pub fn maps(self) -> Self {
        Self { maps: true, ..self }
    }

    /// Shows the names of helpers behind calls.
    pub fn helpers(self, name: HelperName) -> Self {
        Self { helper: Some(name), ..self }
    }

    /// Shows a note, such as a relocation's symbol, behind the instructions at some slots.
    pub fn notes(mut self, notes: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        self.notes.extend(notes);
        self.notes.sort_by_key(|(slot, _)| *slot);
        self
    }

    /// Shows the line of these sources, a program's, that an instruction comes from before it.
    pub fn sources(self, sources: &'a [Source]) -> Self {
        Self { sources: sources.iter().map(|source| source.text.lines().collect()).collect(), ..self }
    }

    /// The instruction's text alone.
    ///
    /// # Panics
    /// Where there is no such instruction.
    pub fn insn(&self, index: usize) -> impl Display + '_ {
        LlvmInsn { llvm: self, index, insn: self.code.insns()[index] }
    }

    /// The slot of an instruction, from 0.
    pub fn slot(&self, index: usize) -> usize {
        self.places.slot(index) as usize
    }

    /// What stands behind an instruction: names of helpers and maps, notes.
    fn remarks(&self, index: usize) -> impl Iterator<Item = &str> {
        let insn = &self.code.insns()[index];
        let helper = match *insn {
            Insn::Call(Call::Helper(number)) => self.helper.and_then(|name| name(number)),
            _ => None,
        };
        let map = match *insn {
            Insn::LoadImm { imm: Imm64::Map(map) | Imm64::MapValue { map, .. }, .. } if self.maps => {
                Some(self.code.map_name(map))
            }
            _ => None,
        };
        let slot = self.slot(index);
        let first = self.notes.partition_point(|(at, _)| *at < slot);
        let notes = self.notes[first..].iter().take_while(move |(at, _)| *at == slot);
        helper.into_iter().chain(map).chain(notes.map(|(_, note)| *note))
    }

    fn labels_by_place(&self) -> Vec<(usize, Label)> {
        if !self.labels {
            return Vec::new();
        }
        let mut labels: Vec<_> =
            self.code.labels().filter_map(|(label, place)| Some((place?, label))).collect();
        labels.sort();
        labels
    }

    fn label_name(&self, label: Label) -> String {
        self.code.name_of(label).map_or_else(|| format!("L{}", label.0), str::to_owned)
    }

    /// The line of an instruction, where it is another than the one's before.
    fn new_line(&self, index: usize) -> Option<&str> {
        let line = self.code.line(index)?;
        let lines = self.sources.get(usize::from(line.source))?;
        let before = index.checked_sub(1).and_then(|before| self.code.line(before));
        (before != Some(line)).then(|| lines.get(line.number as usize - 1).copied())?
    }
}

impl Display for Llvm<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let labels = self.labels_by_place();
        let mut labels = labels.iter().peekable();
        let mut symbols = self.symbols.iter().peekable();
        for index in 0..self.code.len() {
            while let Some((_, name)) = symbols.next_if(|(slot, _)| *slot <= self.slot(index)) {
                writeln!(f, "<{name}>:")?;
            }
            while let Some((_, label)) = labels.next_if(|(place, _)| *place <= index) {
                writeln!(f, "{}:", self.label_name(*label))?;
            }
            if let Some(line) = self.new_line(index) {
                writeln!(f, "; {}", line.trim())?;
            }
            write!(f, "{:8}:\t{}", self.slot(index), self.insn(index))?;
            for remark in self.remarks(index) {
                write!(f, "  # {remark}")?;
            }
            writeln!(f)?;
        }
        labels.try_for_each(|(_, label)| writeln!(f, "{}:", self.label_name(*label)))
    }
}

struct LlvmInsn<'a> {
    llvm: &'a Llvm<'a>,
    index: usize,
    insn: Insn,
}

impl Display for LlvmInsn<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.insn {
            Insn::Alu { width, op, dst, src } => {
                write!(f, "{} {} ", Register(width, dst), op.sign())?;
                self.src(f, width, src)
            }
            Insn::MovSx { width, from, dst, src } => {
                write!(f, "{} = (s{}){}", Register(width, dst), from as u8, Register(width, src))
            }
            Insn::Neg { width, dst } => write!(f, "{0} = -{0}", Register(width, dst)),
            Insn::End { op, bits, dst } => {
                write!(f, "{0} = {1}{2} {0}", Register(Width::W64, dst), op.mnemonic(), bits as u8)
            }
            Insn::LoadImm { dst, imm } => self.load_imm(f, dst, imm),
            Insn::Load { size, dst, mem } => {
                write!(f, "{} = *(u{} *){}", Register(width(size), dst), 8 * size.bytes(), Address(mem))
            }
            Insn::LoadSx { size, dst, mem } => {
                let bits = 8 * size.size().bytes();
                write!(f, "{} = *(s{bits} *){}", Register(Width::W64, dst), Address(mem))
            }
            Insn::Store { size, mem, src } => {
                write!(f, "*(u{} *){} = ", 8 * size.bytes(), Address(mem))?;
                self.src(f, width(size), src)
            }
            Insn::LoadAbs { size, off } => {
                write!(f, "r0 = *(u{} *)skb[{}]", 8 * size.bytes(), Hex(off.into()))
            }
            Insn::LoadInd { size, src, off: 0 } => {
                write!(f, "r0 = *(u{} *)skb[{}]", 8 * size.bytes(), Register(Width::W64, src))
            }
            Insn::LoadInd { size, src, off } => {
                let src = Register(Width::W64, src);
                write!(f, "r0 = *(u{} *)skb[{src} + {}]", 8 * size.bytes(), Hex(off.into()))
            }
            Insn::Atomic(atomic) => self.atomic(f, atomic),
            Insn::Ja(target) => self.jump(f, "goto", target),
            Insn::Jal(target) => self.jump(f, "gotol", target),
            Insn::Jump { width, cond, dst, src, target } => {
                write!(f, "if {} {} ", Register(width, dst), cond.sign())?;
                self.src(f, width, src)?;
                self.jump(f, " goto", target)
            }
            Insn::Call(call) => self.call(f, call),
            Insn::Exit => f.write_str("exit"),
            Insn::Raw(_) => f.write_str("<unknown>"),
        }
    }
}

impl LlvmInsn<'_> {
    fn src(&self, f: &mut Formatter<'_>, width: Width, src: Src) -> fmt::Result {
        match src {
            Src::Reg(reg) => Register(width, reg).fmt(f),
            Src::Imm(imm) => Hex(imm.into()).fmt(f),
        }
    }

    fn atomic(&self, f: &mut Formatter<'_>, Atomic { width, op, mem, src }: Atomic) -> fmt::Result {
        let src = Register(width, src);
        let (bits, suffix) = match width {
            Width::W32 => ("u32", "32_32"),
            Width::W64 => ("u64", "_64"),
        };
        let (name, sign, _) = op.row();
        match op {
            AtomicOp::Xchg => write!(f, "{src} = xchg{suffix}({}, {src})", Offset(mem)),
            AtomicOp::Cmpxchg => {
                let r0 = Register(width, Reg::R0);
                write!(f, "{r0} = cmpxchg{suffix}({}, {r0}, {src})", Offset(mem))
            }
            _ if op.returns_old() => {
                write!(f, "{src} = atomic_fetch_{name}(({bits} *){}, {src})", Address(mem))
            }
            _ => write!(f, "lock *({bits} *){} {sign} {src}", Address(mem)),
        }
    }

    fn call(&self, f: &mut Formatter<'_>, call: Call) -> fmt::Result {
        match call {
            Call::Helper(number) | Call::Kfunc(number) => write!(f, "call {}", Hex(number.into())),
            Call::Local(target) => {
                self.distance(target).map_or(Ok(()), |slots| write!(f, "call {}", Hex(slots)))?;
                self.label(f, target, "call ")
            }
            Call::Reg(reg) => write!(f, "callx {}", Register(Width::W64, reg)),
        }
    }

    /// The distance, and what is there.
    fn jump(&self, f: &mut Formatter<'_>, goto: &str, target: Target) -> fmt::Result {
        write!(f, "{goto} ")?;
        let Some(slots) = self.distance(target) else { return self.label(f, target, "") };
        let sign = if slots < 0 { "-" } else { "+" };
        write!(f, "{sign}{:#x}", slots.unsigned_abs())?;
        if self.llvm.labels && matches!(target, Target::Label(_)) {
            return self.label(f, target, "");
        }
        self.symbol(f, 8 * (self.next_slot() + slots))
    }

    /// A label's name, where labels are shown or it is all that there is.
    fn label(&self, f: &mut Formatter<'_>, target: Target, unplaced: &str) -> fmt::Result {
        let Target::Label(label) = target else { return Ok(()) };
        match (self.distance(target), self.llvm.labels) {
            (None, _) => write!(f, "{unplaced}<{}>", self.llvm.label_name(label)),
            (Some(_), true) => write!(f, " <{}>", self.llvm.label_name(label)),
            (Some(_), false) => Ok(()),
        }
    }

    /// Addresses before the first symbol count from the last one, as 64-bit numbers do.
    fn symbol(&self, f: &mut Formatter<'_>, address: i64) -> fmt::Result {
        let symbols = &self.llvm.symbols;
        let behind = symbols.partition_point(|(slot, _)| (8 * *slot) as u64 <= address as u64);
        let Some((slot, name)) = behind.checked_sub(1).map(|at| symbols[at]) else { return Ok(()) };
        match (address as u64).wrapping_sub(8 * slot as u64) {
            0 => write!(f, " <{name}>"),
            offset => write!(f, " <{name}+{offset:#x}>"),
        }
    }

    fn next_slot(&self) -> i64 {
        self.llvm.places.slot(self.index + 1)
    }

    fn distance(&self, target: Target) -> Option<i64> {
        match target {
            Target::Off(off) => Some(off.into()),
            Target::Label(label) => {
                let place = self.llvm.code.place_of(label)?;
                Some(self.llvm.places.slot(place) - self.next_slot())
            }
        }
    }

    /// What a relocation will fill in reads as it stands in an object file; of the other pseudo forms, llvm-objdump
    /// shows the source field and the lower half.
    fn load_imm(&self, f: &mut Formatter<'_>, dst: Reg, imm: Imm64) -> fmt::Result {
        let dst = Register(Width::W64, dst);
        let (source, low) = match imm {
            Imm64::Value(value) => return write!(f, "{dst} = {} ll", Hex(value as i64)),
            Imm64::Map(_) => return write!(f, "{dst} = 0x0 ll"),
            Imm64::MapValue { off, .. } => return write!(f, "{dst} = {off:#x} ll"),
            Imm64::MapFd(fd) => (imm64::MAP_FD, fd as u32),
            Imm64::MapFdValue { fd, .. } => (imm64::MAP_FD_VALUE, fd as u32),
            Imm64::Var(id) => (imm64::VAR, id),
            Imm64::Func(Target::Off(off)) => (imm64::FUNC, off as u32),
            // As the encoder does: an address counts from the slot behind the first.
            Imm64::Func(target) => (imm64::FUNC, self.distance(target).map_or(0, |slots| slots + 1) as u32),
            Imm64::MapIndex(index) => (imm64::MAP_INDEX, index),
            Imm64::MapIndexValue { index, .. } => (imm64::MAP_INDEX_VALUE, index),
        };
        write!(f, "ld_pseudo\t{dst}, {source:#x}, {low:#x}")?;
        match imm {
            Imm64::Func(target) => self.label(f, target, ""),
            _ => Ok(()),
        }
    }
}
