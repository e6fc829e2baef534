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
    pub const ALL: [Self; 11] = {
        use Reg::*;
        [R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10]
    };

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

/// An enum of operations: a row for each has its variant, its mnemonic (the one place that both reading and showing take
/// it from), its sign in the syntax of LLVM, and its code (RFC 9669, section 4).
macro_rules! operations {
    ($(#[$meta:meta])* $name:ident, $count:literal of $code:ty;
        $($(#[$doc:meta])* $variant:ident, $mnemonic:literal, $sign:literal, $value:expr;)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every one of them, in the order of their codes.
            pub const ALL: [Self; $count] = [$(Self::$variant),*];

            pub(crate) const fn mnemonic(self) -> &'static str {
                match self { $(Self::$variant => $mnemonic,)* }
            }

            pub(crate) const fn sign(self) -> &'static str {
                match self { $(Self::$variant => $sign,)* }
            }

            pub(crate) const fn code(self) -> $code {
                match self { $(Self::$variant => $value,)* }
            }
        }
    };
}

operations! {
    /// An arithmetic operation with two operands, `dst = dst op src`; `Mov` is `dst = src` (RFC 9669, section 4.1).
    // The offset beside the code tells signed division from unsigned.
    AluOp, 14 of (u8, i16);
    Add, "add", "+=", (0x0, 0);
    Sub, "sub", "-=", (0x1, 0);
    Mul, "mul", "*=", (0x2, 0);
    /// Unsigned; by zero it gives 0.
    Div, "div", "/=", (0x3, 0);
    /// Signed.
    Sdiv, "sdiv", "s/=", (0x3, 1);
    Or, "or", "|=", (0x4, 0);
    And, "and", "&=", (0x5, 0);
    Lsh, "lsh", "<<=", (0x6, 0);
    /// Zeros come in from the left.
    Rsh, "rsh", ">>=", (0x7, 0);
    /// Unsigned; by zero it leaves `dst`.
    Mod, "mod", "%=", (0x9, 0);
    /// Signed.
    Smod, "smod", "s%=", (0x9, 1);
    Xor, "xor", "^=", (0xa, 0);
    Mov, "mov", "=", (0xb, 0);
    /// The sign comes in from the left.
    Arsh, "arsh", "s>>=", (0xc, 0);
}

operations! {
    /// When a conditional jump is taken (RFC 9669, section 4.3).
    Cond, 11 of u8;
    Eq, "jeq", "==", 0x1;
    /// Unsigned.
    Gt, "jgt", ">", 0x2;
    /// Unsigned.
    Ge, "jge", ">=", 0x3;
    /// `dst & src` is not 0.
    Set, "jset", "&", 0x4;
    Ne, "jne", "!=", 0x5;
    /// Signed.
    Sgt, "jsgt", "s>", 0x6;
    /// Signed.
    Sge, "jsge", "s>=", 0x7;
    /// Unsigned.
    Lt, "jlt", "<", 0xa;
    /// Unsigned.
    Le, "jle", "<=", 0xb;
    /// Signed.
    Slt, "jslt", "s<", 0xc;
    /// Signed.
    Sle, "jsle", "s<=", 0xd;
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

impl EndOp {
    pub(crate) const fn mnemonic(self) -> &'static str {
        match self {
            Self::Le => "le",
            Self::Be => "be",
            Self::Swap => "bswap",
        }
    }
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

    /// What mnemonics end in.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::B => "b",
            Self::H => "h",
            Self::W => "w",
            Self::Dw => "dw",
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

    /// Whether the old value goes to a register that the instruction names; `Cmpxchg` gives it to r0.
    pub const fn returns_old(self) -> bool {
        self.row().2 & 1 == 1 && !matches!(self, Self::Cmpxchg)
    }

    /// Whether it gives the old value back without being written with `fetch`.
    pub(crate) const fn is_exchange(self) -> bool {
        matches!(self, Self::Xchg | Self::Cmpxchg)
    }

    /// Its mnemonic without `fetch`, its sign in the syntax of LLVM where it has one, and its code, whose lowest bit is
    /// set where the old value is given back.
    pub(crate) const fn row(self) -> (&'static str, &'static str, i32) {
        match self {
            Self::Add { fetch } => ("add", "+=", fetch as i32),
            Self::Or { fetch } => ("or", "|=", 0x40 | fetch as i32),
            Self::And { fetch } => ("and", "&=", 0x50 | fetch as i32),
            Self::Xor { fetch } => ("xor", "^=", 0xa0 | fetch as i32),
            Self::Xchg => ("xchg", "", 0xe1),
            Self::Cmpxchg => ("cmpxchg", "", 0xf1),
        }
    }
}
