//! BPF Type Format: what an object says of its maps, functions and lines (Documentation/bpf/btf.rst).
//!
//! aya-obj can build BTF, but in the byte order of the machine alone and without `.BTF.ext`.

mod ext;
mod function;
mod map;
mod query;
mod read;
mod types;

pub(crate) use ext::{BtfExt, LineInfo};
pub(crate) use function::{c_name, function, program};
pub use map::LayoutError;
pub(crate) use map::{map_fields, run_config, variable};
pub use query::{Field, Structure};
pub use read::BtfFile;
pub(crate) use read::{has_core_relocations, map_kind, word};
pub(crate) use types::{Btf, Linkage, TypeId};

/// First two bytes of `.BTF` and `.BTF.ext`.
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;

/// Kinds of types (include/uapi/linux/btf.h).
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

fn magic_and_version(endian: crate::Endian) -> [u8; 4] {
    let [first, second] = endian.order(MAGIC.to_le_bytes());
    let flags = 0;
    [first, second, VERSION, flags]
}

fn words_to_bytes(words: &[u32], endian: crate::Endian) -> impl Iterator<Item = u8> {
    words.iter().flat_map(move |word| endian.order(word.to_le_bytes()))
}
