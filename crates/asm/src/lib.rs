//! An eBPF assembler: the instruction set of RFC 9669 as types, encoded, decoded and shown.
//!
//! It knows nothing of kernels, sockets or files: what goes in and comes out are values and bytes.
#![forbid(unsafe_code)]

mod btf;
mod check;
mod code;
mod decode;
mod diagnostic;
mod elf;
mod encode;
pub mod helpers;
mod insn;
pub mod maps;
mod object;
pub mod op;
mod ops;
mod place;
mod problem;
pub mod show;
mod slot;
pub mod splice;
pub mod stack;
pub mod text;
mod tighten;

pub use btf::{BtfFile, Field, LayoutError, Structure};
pub use check::{check, check_fragment};
pub use code::{Code, Line};
pub use decode::{DecodeError, Undecodable, decode};
pub use diagnostic::{Diagnostic, Diagnostics, LineColumn, Severity, Span};
pub use elf::{
    CodeSection, ElfError, ElfFile, ElfRelocation, FunctionSymbol, MapRefusal, RelocationKind, SourceLine,
    read_elf,
};
pub use encode::EncodeError;
pub use insn::{Atomic, Call, Imm64, Insn, Label, MapName, Mem, Src, Target};
pub use object::{Layout, MapDef, MapKind, Object, Program, RunConfig, Source};
pub use ops::{AluOp, AtomicOp, Bits, Cond, EndOp, Reg, Size, SxFrom, SxSize, Width};
pub use problem::{Problem, ProblemKind};
pub use slot::Endian;
