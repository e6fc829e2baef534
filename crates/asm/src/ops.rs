//! The parts that instructions are made of: registers, operations, conditions, sizes.

/// A register. r0 holds results, r1 to r5 arguments, r6 to r9 survive calls, r10 is the read-only frame pointer
/// (RFC 9669, section 2; the calling convention is the kernel's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

impl Reg {
    /// Every register, in order.
    pub const ALL: [Self; 11] = [
        Self::R0,
        Self::R1,
        Self::R2,
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R6,
        Self::R7,
        Self::R8,
        Self::R9,
        Self::R10,
    ];

    /// Its number, 0 to 10.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The register with that number; none from 11 on.
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
    }
}

impl std::fmt::Display for Reg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r{}", self.number())
    }
}

/// How wide an operation is: on all 64 bits, or on the lower 32 with the upper ones zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

/// An arithmetic operation with two operands, `dst = dst op src`; `Mov` is `dst = src` (RFC 9669, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    /// Unsigned; by zero it gives 0.
    Div,
    /// Signed.
    Sdiv,
    Or,
    And,
    Lsh,
    /// Zeros come in from the left.
    Rsh,
    /// Unsigned; by zero it leaves `dst`.
    Mod,
    /// Signed.
    Smod,
    Xor,
    Mov,
    /// The sign comes in from the left.
    Arsh,
}

impl AluOp {
    /// Every operation, in the order of their codes.
    pub const ALL: [Self; 14] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Sdiv,
        Self::Or,
        Self::And,
        Self::Lsh,
        Self::Rsh,
        Self::Mod,
        Self::Smod,
        Self::Xor,
        Self::Mov,
        Self::Arsh,
    ];
}

/// What a sign-extending move takes of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SxFrom {
    /// The lowest byte.
    B8 = 8,
    /// The lower 16 bits.
    B16 = 16,
    /// The lower 32 bits; into 64 bits only.
    B32 = 32,
}

/// A change of byte order (RFC 9669, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndOp {
    /// Between host order and little-endian.
    Le,
    /// Between host order and big-endian.
    Be,
    /// Always swapped.
    Swap,
}

/// How many of the lower bits a change of byte order takes; the others become zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Bits {
    B16 = 16,
    B32 = 32,
    B64 = 64,
}

/// How much of memory a load or store touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    Dw,
}

impl Size {
    /// In bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::Dw => 8,
        }
    }
}

/// How much a sign-extending load takes; a whole word of 8 bytes has no sign to extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SxSize {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
}

impl SxSize {
    /// The same as a plain size.
    pub const fn size(self) -> Size {
        match self {
            Self::B => Size::B,
            Self::H => Size::H,
            Self::W => Size::W,
        }
    }
}

/// What an atomic instruction does to memory (RFC 9669, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// `*mem += src`; with `fetch` the old value goes to `src`.
    Add {
        /// Give the old value back.
        fetch: bool,
    },
    /// `*mem |= src`.
    Or {
        /// Give the old value back.
        fetch: bool,
    },
    /// `*mem &= src`.
    And {
        /// Give the old value back.
        fetch: bool,
    },
    /// `*mem ^= src`.
    Xor {
        /// Give the old value back.
        fetch: bool,
    },
    /// Exchange `src` and `*mem`.
    Xchg,
    /// Write `src` where `*mem` equals r0; r0 gets the old value.
    Cmpxchg,
}

impl AtomicOp {
    /// Every operation, in the order of their codes.
    pub const ALL: [Self; 10] = [
        Self::Add { fetch: false },
        Self::Add { fetch: true },
        Self::Or { fetch: false },
        Self::Or { fetch: true },
        Self::And { fetch: false },
        Self::And { fetch: true },
        Self::Xor { fetch: false },
        Self::Xor { fetch: true },
        Self::Xchg,
        Self::Cmpxchg,
    ];
}

impl AtomicOp {
    /// Whether the old value goes to a register that the instruction names; `Cmpxchg` gives it to r0.
    pub const fn returns_old(self) -> bool {
        match self {
            Self::Add { fetch } | Self::Or { fetch } | Self::And { fetch } | Self::Xor { fetch } => fetch,
            Self::Xchg => true,
            Self::Cmpxchg => false,
        }
    }
}

/// When a conditional jump is taken (RFC 9669, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Cond {
    Eq,
    /// Unsigned.
    Gt,
    /// Unsigned.
    Ge,
    /// `dst & src` is not 0.
    Set,
    Ne,
    /// Signed.
    Sgt,
    /// Signed.
    Sge,
    /// Unsigned.
    Lt,
    /// Unsigned.
    Le,
    /// Signed.
    Slt,
    /// Signed.
    Sle,
}

impl Cond {
    /// Every condition, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Gt,
        Self::Ge,
        Self::Set,
        Self::Ne,
        Self::Sgt,
        Self::Sge,
        Self::Lt,
        Self::Le,
        Self::Slt,
        Self::Sle,
    ];
}
