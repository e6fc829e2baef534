//! Instructions in the syntax that [`crate::text`] reads: what is shown assembles to the same bytes.

use std::fmt::{self, Display, Write};

use hashbrown::{HashMap, HashSet};

use crate::{
    Atomic, Call, Code, Imm64, Insn, Label, Layout, MapName, Mem, Object, Reg, Src, Target, Width, helpers,
    place::{InsnPlaces, target_slot},
    text::register,
};

/// A whole listing: labels on lines of their own, instructions indented.
pub fn code(code: &Code) -> impl Display {
    Listing { code, labels: Labels::of(code, false) }
}

/// The same, with labels L0, L1, … where jumps go by distance to an instruction.
pub fn code_with_labels(code: &Code) -> impl Display {
    Listing { code, labels: Labels::of(code, true) }
}

/// A whole file: licence, maps and programs.
pub fn object(object: &Object) -> impl Display {
    ListingFile(object)
}

/// One instruction, with jumps as they are: to a label by its name, by distance otherwise.
///
/// # Panics
/// If there is no instruction `index`.
pub fn insn(code: &Code, index: usize) -> String {
    Labels::of(code, false).line(code, index)
}

/// How the labels of one [`Code`] are shown: each by a name of its own.
pub(crate) struct Labels {
    /// By the label's number.
    names: Vec<String>,
    /// Names to show before an instruction, by its index.
    at: HashMap<usize, Vec<String>>,
    /// Names for the targets of jumps by distance, by the jump's index.
    of_jumps: HashMap<usize, String>,
}

impl Labels {
    pub(crate) fn of(code: &Code, by_distance: bool) -> Self {
        let named = code.labels().filter_map(|(label, _)| code.name_of(label));
        let mut taken: HashSet<String> = named.filter(|name| readable(name)).map(str::to_owned).collect();
        let (mut used, mut next) = (HashSet::new(), 0);
        let mut fresh = || loop {
            let name = format!("L{next}");
            next += 1;
            if taken.insert(name.clone()) {
                return name;
            }
        };
        let mut labels = Self { names: Vec::new(), at: HashMap::new(), of_jumps: HashMap::new() };
        for (label, place) in code.labels() {
            let own = code.name_of(label).filter(|name| readable(name) && used.insert(name.to_owned()));
            let name = own.map_or_else(&mut fresh, str::to_owned);
            if let Some(place) = place {
                labels.at.entry(place).or_default().push(name.clone());
            }
            labels.names.push(name);
        }
        if by_distance {
            labels.name_distances(code, fresh);
        }
        labels
    }

    fn name_distances(&mut self, code: &Code, mut fresh: impl FnMut() -> String) {
        let places = InsnPlaces::of(code);
        for (index, insn) in code.insns().iter().enumerate() {
            let Some(Target::Off(_)) = insn.target() else { continue };
            let place = target_slot(code, &places, index).and_then(|slot| places.index(slot));
            if let Some(place) = place {
                let at = self.at.entry(place).or_default();
                if at.is_empty() {
                    at.push(fresh());
                }
                self.of_jumps.insert(index, at[0].clone());
            }
        }
    }

    /// One instruction.
    pub(crate) fn line(&self, code: &Code, index: usize) -> String {
        let mut line = String::new();
        let shown = ShownInsn { code, labels: self, index };
        shown.insn(&mut line, &code.insns()[index]).expect("strings take all that is written");
        line
    }
}

/// Whether the parser would read it as one name that is no register.
fn readable(name: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.');
    let first = name.bytes().next().is_some_and(named);
    first && register(name).is_none() && name.bytes().all(|byte| named(byte) || byte.is_ascii_digit())
}

struct Listing<'a> {
    code: &'a Code,
    labels: Labels,
}

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, labels } = self;
        for (index, insn) in code.insns().iter().enumerate() {
            place_labels(f, labels, index)?;
            f.write_str("    ")?;
            ShownInsn { code, labels, index }.insn(f, insn)?;
            f.write_char('\n')?;
        }
        place_labels(f, labels, code.len())
    }
}

fn place_labels(f: &mut fmt::Formatter<'_>, labels: &Labels, index: usize) -> fmt::Result {
    labels.at.get(&index).into_iter().flatten().try_for_each(|name| writeln!(f, "{name}:"))
}

/// One instruction among its neighbours.
struct ShownInsn<'a> {
    code: &'a Code,
    labels: &'a Labels,
    index: usize,
}

impl ShownInsn<'_> {
    fn insn(&self, f: &mut impl Write, insn: &Insn) -> fmt::Result {
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                write!(f, "{}{} {dst}, {}", op.mnemonic(), suffix(width), ShownOperand(src))
            }
            Insn::MovSx { width, from, dst, src } => {
                let to = if width == Width::W64 { 64 } else { 32 };
                write!(f, "movsx{}{to} {dst}, {src}", from as u8)
            }
            Insn::Neg { width, dst } => write!(f, "neg{} {dst}", suffix(width)),
            Insn::End { op, bits, dst } => write!(f, "{}{} {dst}", op.mnemonic(), bits as u8),
            Insn::LoadImm { dst, imm } => self.load_imm(f, dst, imm),
            Insn::Load { size, dst, mem } => write!(f, "ldx{} {dst}, {mem}", size.suffix()),
            Insn::LoadSx { size, dst, mem } => write!(f, "ldxs{} {dst}, {mem}", size.size().suffix()),
            Insn::Store { size, mem, src: Src::Reg(src) } => write!(f, "stx{} {mem}, {src}", size.suffix()),
            Insn::Store { size, mem, src: Src::Imm(imm) } => {
                write!(f, "st{} {mem}, {}", size.suffix(), ShownNumber(imm))
            }
            Insn::LoadAbs { size, off } => write!(f, "ldabs{} {}", size.suffix(), ShownNumber(off)),
            Insn::LoadInd { size, src, off } => {
                write!(f, "ldind{} {src}, {}", size.suffix(), ShownNumber(off))
            }
            Insn::Atomic(Atomic { width, op, mem, src }) => {
                let fetch = if op.returns_old() && !op.is_exchange() { "fetch " } else { "" };
                write!(f, "lock {fetch}{}{} {mem}, {src}", op.row().0, suffix(width))
            }
            Insn::Ja(target) => {
                f.write_str("ja ")?;
                self.target(f, target)
            }
            Insn::Jal(target) => {
                f.write_str("gotol ")?;
                self.target(f, target)
            }
            Insn::Jump { width, cond, dst, src, target } => {
                write!(f, "{}{} {dst}, {}, ", cond.mnemonic(), suffix(width), ShownOperand(src))?;
                self.target(f, target)
            }
            Insn::Call(call) => self.call(f, call),
            Insn::Exit => f.write_str("exit"),
            Insn::Raw(raw) => write!(f, ".raw {raw:#018x}"),
        }
    }

    fn call(&self, f: &mut impl Write, call: Call) -> fmt::Result {
        match call {
            Call::Helper(number) => match helpers::name(number) {
                Some(name) => write!(f, "call {name}"),
                None => write!(f, "call {number}"),
            },
            Call::Local(target) => {
                f.write_str("call local ")?;
                self.target(f, target)
            }
            Call::Kfunc(id) => write!(f, "call runtime {id}"),
            Call::Reg(reg) => write!(f, "callx {reg}"),
        }
    }

    fn load_imm(&self, f: &mut impl Write, dst: Reg, imm: Imm64) -> fmt::Result {
        match imm {
            Imm64::Value(value) if value <= DECIMAL as u64 => write!(f, "lddw {dst}, {value}"),
            Imm64::Value(value) => write!(f, "lddw {dst}, {value:#x}"),
            Imm64::MapFd(fd) => write!(f, "lmfd {dst}, {fd}"),
            Imm64::MapFdValue { fd, off } => write!(f, "lddw {dst}, map_val(map_by_fd({fd})) + {off}"),
            Imm64::Var(id) => write!(f, "lddw {dst}, var_addr({id})"),
            Imm64::Func(target) => {
                write!(f, "lddw {dst}, code_addr(")?;
                self.target(f, target)?;
                f.write_char(')')
            }
            Imm64::MapIndex(index) => write!(f, "lddw {dst}, map_by_idx({index})"),
            Imm64::MapIndexValue { index, off } => {
                write!(f, "lddw {dst}, map_val(map_by_idx({index})) + {off}")
            }
            Imm64::Map(map) => write!(f, "lmap {dst}, {}", self.map(map)),
            Imm64::MapValue { map, off } => write!(f, "lddw {dst}, map_val({}) + {off}", self.map(map)),
        }
    }

    fn target(&self, f: &mut impl Write, target: Target) -> fmt::Result {
        match target {
            Target::Label(Label(label)) => f.write_str(&self.labels.names[label as usize]),
            Target::Off(off) => match self.labels.of_jumps.get(&self.index) {
                Some(name) => f.write_str(name),
                None => write!(f, "{off:+}"),
            },
        }
    }

    fn map(&self, map: MapName) -> &str {
        self.code.map_name(map)
    }
}

const fn suffix(width: Width) -> &'static str {
    match width {
        Width::W32 => "32",
        Width::W64 => "",
    }
}

/// Up to here, numbers are shown as quantities; above, as patterns of bits.
const DECIMAL: i32 = 0xffff;

struct ShownNumber(i32);

impl Display for ShownNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 <= DECIMAL { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}

struct ShownOperand(Src);

impl Display for ShownOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Src::Reg(reg) => write!(f, "{reg}"),
            Src::Imm(imm) => ShownNumber(imm).fmt(f),
        }
    }
}

impl Display for Mem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.off {
            0 => write!(f, "[{}]", self.base),
            off => write!(f, "[{} + {off}]", self.base),
        }
    }
}

struct ListingFile<'a>(&'a Object);

impl Display for ListingFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Object { license, maps, programs } = self.0;
        if let Some(license) = license {
            writeln!(f, ".license \"{license}\"")?;
        }
        let mut structs = HashSet::new();
        for layout in maps.iter().flat_map(|map| [&map.key, &map.value]) {
            declare_structs(f, layout, &mut structs)?;
        }
        for map in maps {
            write!(f, ".map {} {}", map.name, map.kind.as_str())?;
            for (side, layout) in [("key", &map.key), ("value", &map.value)] {
                if *layout != Layout::None {
                    write!(f, " {side}={}", TypeName(layout))?;
                }
            }
            write!(f, " entries={}", map.max_entries)?;
            if map.flags != 0 {
                write!(f, " flags={}", map.flags)?;
            }
            writeln!(f)?;
        }
        for program in programs {
            writeln!(f, ".program {} \"{}\"", program.name, program.section)?;
            write!(f, "{}", code(&program.code))?;
        }
        Ok(())
    }
}

fn declare_structs<'a>(
    f: &mut fmt::Formatter<'_>,
    layout: &'a Layout,
    declared: &mut HashSet<&'a str>,
) -> fmt::Result {
    match layout {
        Layout::None | Layout::Unsigned(_) | Layout::Signed(_) => Ok(()),
        Layout::Array(element, _) => declare_structs(f, element, declared),
        Layout::Struct(name, fields) => {
            for (_, field) in fields {
                declare_structs(f, field, declared)?;
            }
            if !declared.insert(name) {
                return Ok(());
            }
            writeln!(f, ".struct {name} {{")?;
            for (field, layout) in fields {
                writeln!(f, "    {field}: {},", TypeName(layout))?;
            }
            writeln!(f, "}}")
        }
    }
}

struct TypeName<'a>(&'a Layout);

impl Display for TypeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut inner, mut counts) = (self.0, String::new());
        while let Layout::Array(element, count) = inner {
            write!(counts, "[{count}]")?;
            inner = element;
        }
        match inner {
            Layout::None | Layout::Array(..) => Ok(()),
            Layout::Unsigned(bytes) => write!(f, "u{}", u32::from(*bytes) * 8),
            Layout::Signed(bytes) => write!(f, "i{}", u32::from(*bytes) * 8),
            Layout::Struct(name, _) => f.write_str(name),
        }?;
        f.write_str(&counts)
    }
}
