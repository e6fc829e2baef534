//! Mnemonics, the forms of instruction that they begin, and names of registers.

use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::{AluOp, AtomicOp, Bits, Cond, EndOp, Reg, Size, SxFrom, SxSize, Width, slot::SIZES};

/// What a mnemonic says; the operands follow it in the order of the fields of [`super::Instruction`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Alu(Width, AluOp),
    MovSx(Width, SxFrom),
    Neg(Width),
    End(EndOp, Bits),
    LoadWide,
    LoadMapFd,
    LoadMap,
    Load(Size),
    LoadSx(SxSize),
    StoreReg(Size),
    StoreImm(Size),
    LoadAbs(Size),
    LoadInd(Size),
    Lock,
    Ja,
    Jal,
    Jump(Width, Cond),
    Call,
    CallReg,
    Exit,
}

const WIDTHS: [(&str, Width); 3] = [("", Width::W64), ("64", Width::W64), ("32", Width::W32)];

const OTHERS: [(&str, Form); 16] = [
    ("movsx832", Form::MovSx(Width::W32, SxFrom::B8)),
    ("movsx1632", Form::MovSx(Width::W32, SxFrom::B16)),
    ("movsx864", Form::MovSx(Width::W64, SxFrom::B8)),
    ("movsx1664", Form::MovSx(Width::W64, SxFrom::B16)),
    ("movsx3264", Form::MovSx(Width::W64, SxFrom::B32)),
    ("lddw", Form::LoadWide),
    ("lmfd", Form::LoadMapFd),
    ("lmap", Form::LoadMap),
    ("lock", Form::Lock),
    ("ja", Form::Ja),
    ("jmp", Form::Ja),
    ("ja32", Form::Jal),
    ("gotol", Form::Jal),
    ("call", Form::Call),
    ("callx", Form::CallReg),
    ("exit", Form::Exit),
];

static FORMS: LazyLock<HashMap<Box<str>, Form>> = LazyLock::new(|| all().collect());

pub(crate) fn form(mnemonic: &str) -> Option<Form> {
    FORMS.get(mnemonic).copied()
}

/// Every mnemonic.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FORMS.keys().map(|name| &**name)
}

fn all() -> impl Iterator<Item = (Box<str>, Form)> {
    let alu = AluOp::ALL.into_iter().flat_map(|op| {
        WIDTHS.map(|(suffix, width)| (format!("{}{suffix}", op.mnemonic()), Form::Alu(width, op)))
    });
    let neg = WIDTHS.map(|(suffix, width)| (format!("neg{suffix}"), Form::Neg(width)));
    let end = [("le", EndOp::Le), ("be", EndOp::Be), ("swap", EndOp::Swap), ("bswap", EndOp::Swap)];
    let end = end.into_iter().flat_map(|(name, op)| {
        [Bits::B16, Bits::B32, Bits::B64].map(|bits| (format!("{name}{}", bits as u8), Form::End(op, bits)))
    });
    let memory = SIZES.into_iter().flat_map(|size| {
        let name = |stem| format!("{stem}{}", size.suffix());
        [
            (name("ldx"), Form::Load(size)),
            (name("stx"), Form::StoreReg(size)),
            (name("st"), Form::StoreImm(size)),
            (name("ldabs"), Form::LoadAbs(size)),
            (name("ldind"), Form::LoadInd(size)),
        ]
    });
    let signed = [SxSize::B, SxSize::H, SxSize::W]
        .map(|size| (format!("ldxs{}", size.size().suffix()), Form::LoadSx(size)));
    let jumps = Cond::ALL.into_iter().flat_map(|cond| {
        let name = cond.mnemonic();
        [(name.to_owned(), Form::Jump(Width::W64, cond)), (format!("{name}32"), Form::Jump(Width::W32, cond))]
    });
    let others = OTHERS.map(|(name, form)| (name.to_owned(), form));
    let all = alu.chain(neg).chain(end).chain(memory).chain(signed).chain(jumps).chain(others);
    all.map(|(name, form)| (name.into_boxed_str(), form))
}

/// What follows `lock`: the operation's name, with its width.
pub(crate) fn atomic(name: &str, fetch: bool) -> Option<(Width, AtomicOp)> {
    let (name, width) = match name.strip_suffix("32") {
        Some(stem) => (stem, Width::W32),
        None => (name.strip_suffix("64").unwrap_or(name), Width::W64),
    };
    let mut named = AtomicOp::ALL.into_iter().filter(|op| op.row().0 == name);
    let op = named.find(|&op| op.is_exchange() || op.returns_old() == fetch)?;
    Some((width, op))
}

pub(crate) const ATOMICS: [&str; 12] =
    ["add", "or", "and", "xor", "xchg", "cmpxchg", "add32", "or32", "and32", "xor32", "xchg32", "cmpxchg32"];

impl Form {
    /// The operands that it takes.
    pub(crate) const fn usage(self) -> &'static str {
        match self {
            Self::Alu(..) => "a register, then a register or a number",
            Self::MovSx(..) => "two registers",
            Self::Neg(_) | Self::End(..) | Self::CallReg => "a register",
            Self::LoadWide => {
                "a register, then a number of 64 bits, map_val(name), code_addr(label) or the like"
            }
            Self::LoadMapFd => "a register, then a file descriptor",
            Self::LoadMap => "a register, then a map's name",
            Self::Load(_) | Self::LoadSx(_) => "a register, then memory such as [r1 + 4]",
            Self::StoreReg(_) => "memory such as [r10 + -8], then a register",
            Self::StoreImm(_) => "memory such as [r10 + -8], then a number",
            Self::LoadAbs(_) => "a number",
            Self::LoadInd(_) => "a register, then a number",
            Self::Lock => "`fetch` or nothing, an operation, memory such as [r10 + -8], then a register",
            Self::Ja | Self::Jal => "a label, or a distance such as +3",
            Self::Jump(..) => "a register, a register or a number, then a label or a distance such as +3",
            Self::Call => {
                "a helper's name or number, `local` and a label, `runtime` and a number, or a register"
            }
            Self::Exit => "nothing",
        }
    }
}

/// The register of that name, or that there is none; nothing where it isn't the name of one.
#[inline]
pub(crate) fn register(name: &str) -> Option<Option<Reg>> {
    match name.as_bytes() {
        [b'r', digit @ b'0'..=b'9'] => Some(Reg::new(digit - b'0')),
        b"r10" => Some(Some(Reg::R10)),
        [b'r', digits @ ..] if digits.len() > 1 && digits.iter().all(u8::is_ascii_digit) => Some(None),
        _ => None,
    }
}
