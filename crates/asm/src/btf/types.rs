//! The `.BTF` section as it grows: types and strings, each once.

use std::collections::HashMap;

use super::{kind, magic_and_version, words_to_bytes};
use crate::Endian;

/// A type's number in one [`Btf`]; 0 is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TypeId(pub(crate) u32);

/// Who sees a function or variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// This object alone.
    Static = 0,
    /// Loaders too.
    Global = 1,
}

/// The kernel takes no string behind this offset (BTF_MAX_NAME_OFFSET).
const MAX_STRINGS: usize = 0xff_ffff;

/// Types and strings, written by [`Btf::to_bytes`].
#[derive(Debug)]
pub(crate) struct Btf {
    /// Every record of a type is whole 32-bit words.
    words: Vec<u32>,
    known_types: HashMap<Vec<u32>, TypeId>,
    strings: Vec<u8>,
    known_strings: HashMap<String, u32>,
}

impl Btf {
    /// Nothing but void and the empty string.
    pub(crate) fn new() -> Self {
        Self {
            words: Vec::new(),
            known_types: HashMap::new(),
            strings: vec![0],
            known_strings: HashMap::from([(String::new(), 0)]),
        }
    }

    /// The section's bytes.
    pub(crate) fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        const HEADER_LEN: u32 = 24;
        let types_len = 4 * self.words.len() as u32;
        let mut bytes = magic_and_version(endian).to_vec();
        let header = [HEADER_LEN, 0, types_len, types_len, self.strings.len() as u32];
        bytes.extend(words_to_bytes(&header, endian));
        bytes.extend(words_to_bytes(&self.words, endian));
        bytes.extend_from_slice(&self.strings);
        bytes
    }

    /// A string's offset. It ends at its first NUL; where the kernel's limit leaves no room for it, it is empty.
    pub(crate) fn string(&mut self, text: &str) -> u32 {
        let text = text.split('\0').next().unwrap_or_default();
        if let Some(&known) = self.known_strings.get(text) {
            return known;
        }
        let offset = self.strings.len();
        if offset + text.len() >= MAX_STRINGS {
            return 0;
        }
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.known_strings.insert(text.to_owned(), offset as u32);
        offset as u32
    }

    /// An integer of so many bytes, by its name in C.
    pub(crate) fn int(&mut self, bytes: u8, signed: bool) -> TypeId {
        let name = match (bytes, signed) {
            (1, false) => "unsigned char",
            (1, true) => "signed char",
            (2, false) => "unsigned short",
            (2, true) => "short",
            (4, false) => "unsigned int",
            (4, true) => "int",
            (_, false) => "unsigned long long",
            (_, true) => "long long",
        };
        let encoding = u32::from(signed) << 24;
        self.record(name, kind::INT, 0, bytes.into(), &[encoding | (8 * u32::from(bytes))])
    }

    /// One byte of text.
    pub(crate) fn char(&mut self) -> TypeId {
        self.record("char", kind::INT, 0, 1, &[(1 << 24) | 8])
    }

    /// A pointer.
    pub(crate) fn pointer(&mut self, to: TypeId) -> TypeId {
        self.record("", kind::PTR, 0, to.0, &[])
    }

    /// So many of the same.
    pub(crate) fn array(&mut self, element: TypeId, count: u32) -> TypeId {
        let index = self.int(4, false);
        self.record("", kind::ARRAY, 0, 0, &[element.0, index.0, count])
    }

    /// A struct of `bytes`: its fields with their types and offsets in bytes.
    pub(crate) fn structure(&mut self, name: &str, bytes: u32, fields: &[(&str, TypeId, u32)]) -> TypeId {
        let members: Vec<u32> =
            fields.iter().flat_map(|&(name, id, offset)| [self.string(name), id.0, 8 * offset]).collect();
        self.record(name, kind::STRUCT, fields.len() as u32, bytes, &members)
    }

    /// A function with at most one parameter.
    pub(crate) fn func(
        &mut self,
        name: &str,
        returns: TypeId,
        parameter: Option<(&str, TypeId)>,
        linkage: Linkage,
    ) -> TypeId {
        let parameters: Vec<u32> =
            parameter.iter().flat_map(|&(name, id)| [self.string(name), id.0]).collect();
        let count = parameters.len() as u32 / 2;
        let proto = self.record("", kind::FUNC_PROTO, count, returns.0, &parameters);
        self.record(name, kind::FUNC, linkage as u32, proto.0, &[])
    }

    /// A variable.
    pub(crate) fn var(&mut self, name: &str, id: TypeId, linkage: Linkage) -> TypeId {
        self.record(name, kind::VAR, 0, id.0, &[linkage as u32])
    }

    /// A section's variables with their offsets and sizes in bytes, in the order of their offsets.
    pub(crate) fn data_section(&mut self, name: &str, bytes: u32, vars: &[(TypeId, u32, u32)]) -> TypeId {
        let entries: Vec<u32> = vars.iter().flat_map(|&(id, offset, size)| [id.0, offset, size]).collect();
        self.record(name, kind::DATASEC, vars.len() as u32, bytes, &entries)
    }

    fn record(&mut self, name: &str, kind: u32, vlen: u32, size_or_type: u32, rest: &[u32]) -> TypeId {
        let mut words = vec![self.string(name), kind << 24 | vlen, size_or_type];
        words.extend_from_slice(rest);
        let next = TypeId(self.known_types.len() as u32 + 1);
        if let Some(&known) = self.known_types.get(&words) {
            return known;
        }
        self.words.extend_from_slice(&words);
        self.known_types.insert(words, next);
        next
    }
}
