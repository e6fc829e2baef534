//! Operands of the `llvm` syntax.

use std::fmt::{self, Display, Formatter};

use crate::{Mem, Reg, Size, Width};

pub(super) struct Register(pub(super) Width, pub(super) Reg);

impl Display for Register {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letter = if self.0 == Width::W32 { 'w' } else { 'r' };
        write!(f, "{letter}{}", self.1.number())
    }
}

/// A number, with its sign before the prefix.
pub(super) struct Hex(pub(super) i64);

impl Display for Hex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}

/// `(r10 - 0x8)`.
pub(super) struct Address(pub(super) Mem);

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({})", Offset(self.0))
    }
}

/// `r10 - 0x8`.
pub(super) struct Offset(pub(super) Mem);

impl Display for Offset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Mem { base, off } = self.0;
        let sign = if off < 0 { '-' } else { '+' };
        write!(f, "{} {sign} {:#x}", Register(Width::W64, base), off.unsigned_abs())
    }
}

pub(super) const fn width(size: Size) -> Width {
    match size {
        Size::Dw => Width::W64,
        _ => Width::W32,
    }
}
