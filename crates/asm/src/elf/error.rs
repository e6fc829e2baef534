//! What keeps an object from being written or read.

use thiserror::Error;

use crate::{EncodeError, btf::LayoutError};

/// An object that can't be written, or bytes that are no object.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ElfError {
    /// A program has an instruction that has no encoding.
    #[error("program {program}: {error}")]
    Encode {
        /// The program.
        program: String,
        /// What is wrong with it.
        #[source]
        error: EncodeError,
    },
    /// A program without instructions.
    #[error("program {program} has no instruction; at least `exit` is due")]
    Empty {
        /// The program.
        program: String,
    },
    /// Two symbols of one name: loaders find programs and maps by it.
    #[error("{name:?} is the name of two programs or maps; give one another name")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A name that can be no symbol or section.
    #[error("{what} {name:?}: a name is not empty and has no NUL")]
    Name {
        /// What is to have the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A section in which loaders look for something else than programs.
    #[error(
        "program {program}: section {section:?} is not for programs; use one such as \"socket\", \"xdp\" or \
         \"tracepoint/syscalls/sys_enter_openat\""
    )]
    Section {
        /// The program.
        program: String,
        /// The section.
        section: String,
    },
    /// A reference to a map that no loader could resolve.
    #[error("program {program}, instruction {index}: map {map:?} {why}")]
    Map {
        /// The program.
        program: String,
        /// The instruction's index.
        index: usize,
        /// The map's name.
        map: String,
        /// Why not.
        why: MapRefusal,
    },
    /// A map that can't be described.
    #[error("map {map}: {why}")]
    Layout {
        /// The map.
        map: String,
        /// What is wrong with its key or value.
        #[source]
        why: LayoutError,
    },
    /// A map that is a section of variables and can't be one.
    #[error("map {map}: a section of variables is an array of one value with a 4-byte key and no flags")]
    Variables {
        /// The map.
        map: String,
    },
    /// A call or a function's address that leads to no instruction of the program.
    #[error(
        "program {program}, instruction {index}: there is no function {slots} slots from the next instruction"
    )]
    NoFunction {
        /// The program.
        program: String,
        /// The instruction's index.
        index: usize,
        /// The distance.
        slots: i64,
    },
    /// A program that calls itself: loaders know functions in the section `.text` only, and the kernel takes no recursion.
    #[error(
        "program {program}, instruction {index}: calls the program's own entry; put what is called behind it"
    )]
    CallsEntry {
        /// The program.
        program: String,
        /// The instruction's index.
        index: usize,
    },
    /// A jump from one function into another, which the kernel refuses too.
    #[error(
        "program {program}, instruction {index}: the jump leaves its function, which begins at instruction {start}; \
         a function is entered by a call alone"
    )]
    Crossing {
        /// The program.
        program: String,
        /// The instruction's index.
        index: usize,
        /// The first instruction of the function that it stands in.
        start: usize,
    },
    /// A function whose last instruction is followed by another function.
    #[error(
        "program {program}, instruction {index}: falls through into the function behind it; end with `exit` or a jump"
    )]
    FallsThrough {
        /// The program.
        program: String,
        /// The instruction's index.
        index: usize,
    },
    /// The object file could not be put together.
    #[error("writing the ELF file: {0}")]
    Write(String),
    /// Not an ELF file, or one whose headers contradict themselves.
    #[error("reading the ELF file: {what}: {why}")]
    Read {
        /// What was to be read.
        what: String,
        /// What is wrong.
        why: String,
    },
}

/// Why a reference to a map can't be a relocation.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MapRefusal {
    /// No map of that name.
    #[error("is not declared")]
    Undeclared,
    /// Loaders put a map's descriptor there, never its value's address.
    #[error(
        "is no section of variables, and loaders know the addresses of values in such only; call map_lookup_elem, or \
         name the map \".bss\", \".data\" or \".rodata\""
    )]
    Value,
    /// Loaders put the value's address there, never the descriptor.
    #[error("is a section of variables: loaders put the value's address there; refer to the map's value")]
    Variables,
}

pub(super) fn unreadable(what: &str, why: impl ToString) -> ElfError {
    ElfError::Read { what: what.to_owned(), why: why.to_string() }
}
