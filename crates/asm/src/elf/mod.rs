//! ELF objects with BTF: written for aya, libbpf and the kernel, and read whoever wrote them.

mod budget;
mod error;
mod lines;
mod link;
mod pieces;
mod read;
mod read_maps;
mod write;

pub use error::{ElfError, MapRefusal};
pub use read::{CodeSection, ElfFile, ElfRelocation, FunctionSymbol, RelocationKind, SourceLine, read_elf};

/// R_BPF_64_64: the address in a 64-bit immediate.
const R_BPF_64_64: u32 = 1;
/// R_BPF_64_32: the distance of a call.
const R_BPF_64_32: u32 = 10;
