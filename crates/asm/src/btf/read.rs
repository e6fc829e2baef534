//! `.BTF` and `.BTF.ext` of any object, read with every offset checked.

use std::cell::Cell;

use super::{MAGIC, kind};
use crate::{Endian, Layout, MapKind, object::MAP_KINDS};

/// Types and strings of a `.BTF` section, or of the kernel's own types (/sys/kernel/btf/vmlinux).
pub struct BtfFile<'a> {
    pub(super) types: Vec<BtfType<'a>>,
    pub(super) strings: &'a [u8],
    pub(super) endian: Endian,
    /// How many more fields and elements of keys and values are described; what goes past it is an array of bytes.
    parts: Cell<usize>,
}

#[derive(Clone, Copy)]
pub(super) struct BtfType<'a> {
    pub(super) name: u32,
    pub(super) kind: u32,
    /// Of a struct or union with bit fields: a member's offset has its width in bits in the upper 8 bits.
    pub(super) has_bit_fields: bool,
    pub(super) size_or_type: u32,
    pub(super) rest: &'a [u8],
}

/// A map's definition, as its variable's type says.
#[derive(Debug, Default)]
pub(crate) struct MapFields {
    pub(crate) kind: Option<MapKind>,
    pub(crate) key: Layout,
    pub(crate) value: Layout,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    pub(crate) is_pinned: bool,
}

/// One record of line information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineRecord<'a> {
    /// In bytes, from the section's start.
    pub(crate) offset: u32,
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
    pub(crate) line: u32,
    pub(crate) column: u16,
}

/// Types in types, as deep as the kernel resolves them (MAX_RESOLVE_DEPTH).
pub(super) const MAX_DEPTH: usize = 32;
/// `LIBBPF_PIN_NONE` (tools/lib/bpf/bpf_helpers.h): whatever else is said is a way of pinning.
const PIN_NONE: u32 = 0;
const MAX_PARTS: usize = 1 << 16;
/// More than any map's definition has.
const MAX_MEMBERS: usize = 64;

impl<'a> BtfFile<'a> {
    /// Nothing where the bytes are no BTF in that byte order.
    pub fn parse(bytes: &'a [u8], endian: Endian) -> Option<Self> {
        let word = |at| word(bytes, at, endian);
        if !has_magic(bytes, endian) {
            return None;
        }
        let header = word(4)?;
        let types = part(bytes, header, word(8)?, word(12)?)?;
        let strings = part(bytes, header, word(16)?, word(20)?)?;
        let mut file = Self { types: Vec::new(), strings, endian, parts: Cell::new(MAX_PARTS) };
        let mut rest = types;
        while !rest.is_empty() {
            let record = file.record(rest)?;
            rest = rest.get(12 + record.rest.len()..)?;
            file.types.push(record);
        }
        Some(file)
    }

    /// The variables of a section: their names, and what their types say where they are maps.
    pub(crate) fn maps(&self, section: &str) -> Vec<(&'a str, MapFields)> {
        let sections = self.types.iter().filter(|id| id.kind == kind::DATASEC);
        let Some(section) = sections.into_iter().find(|id| self.string(id.name) == Some(section)) else {
            return Vec::new();
        };
        let vars = section.rest.chunks_exact(12).filter_map(|entry| {
            let var = self.get(word(entry, 0, self.endian)?)?;
            (var.kind == kind::VAR).then_some(var)
        });
        vars.filter_map(|var| Some((self.string(var.name)?, self.map(var.size_or_type)?))).collect()
    }

    fn map(&self, id: u32) -> Option<MapFields> {
        let definition = self.get(self.resolve(id)?)?;
        let mut fields = MapFields::default();
        if definition.kind != kind::STRUCT {
            return None;
        }
        for member in definition.rest.chunks_exact(12).take(MAX_MEMBERS) {
            let (name, id) = (word(member, 0, self.endian)?, word(member, 4, self.endian)?);
            let name = self.string(name)?;
            let Some(pointer) = self.resolve(id).and_then(|id| self.get(id)) else { continue };
            if pointer.kind != kind::PTR {
                continue;
            }
            let number = || self.array(pointer.size_or_type).map(|(_, count)| count);
            let bytes = || number().map(|count| Layout::Array(Box::new(Layout::Unsigned(1)), count));
            match name {
                "type" => fields.kind = number().and_then(map_kind),
                "key" => fields.key = self.layout(pointer.size_or_type)?,
                "value" => fields.value = self.layout(pointer.size_or_type)?,
                "key_size" => fields.key = bytes()?,
                "value_size" => fields.value = bytes()?,
                "max_entries" => fields.max_entries = number()?,
                "map_flags" => fields.flags = number()?,
                "pinning" => fields.is_pinned = number()? != PIN_NONE,
                _ => {}
            }
        }
        Some(fields)
    }

    fn layout(&self, id: u32) -> Option<Layout> {
        self.layout_in(id, 0).or_else(|| {
            let bytes = self.size(id, 0)?;
            Some(Layout::Array(Box::new(Layout::Unsigned(1)), bytes))
        })
    }

    /// Nothing where a layout can't say what the type does: unions, bit fields, fields placed otherwise than C does.
    fn layout_in(&self, id: u32, depth: usize) -> Option<Layout> {
        self.parts.set(self.parts.get().checked_sub(1)?);
        if depth > MAX_DEPTH {
            return None;
        }
        let record = self.get(self.resolve(id)?)?;
        match record.kind {
            kind::INT | kind::ENUM | kind::ENUM64 | kind::PTR => {
                let bytes = if record.kind == kind::PTR { 8 } else { record.size_or_type };
                let encoding = word(record.rest, 0, self.endian).unwrap_or_default();
                let signed = record.kind == kind::INT && encoding >> 24 & 1 == 1;
                let bytes = u8::try_from(bytes).ok().filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8))?;
                Some(if signed { Layout::Signed(bytes) } else { Layout::Unsigned(bytes) })
            }
            kind::ARRAY => {
                let (element, count) = self.array(id)?;
                self.size(id, 0)?;
                Some(Layout::Array(Box::new(self.layout_in(element, depth + 1)?), count))
            }
            kind::STRUCT => self.fields(record, depth),
            _ => None,
        }
    }

    fn fields(&self, record: BtfType<'a>, depth: usize) -> Option<Layout> {
        let mut fields = Vec::new();
        let mut end = 0_usize;
        for member in record.rest.chunks_exact(12) {
            let member_word = |at| word(member, at, self.endian);
            let name = self.string(member_word(0)?)?;
            let layout = self.layout_in(member_word(4)?, depth + 1)?;
            let at = end.next_multiple_of(layout.align());
            if member_word(8)? as usize != 8 * at {
                return None;
            }
            end = at.checked_add(self.size(member_word(4)?, 0)? as usize)?;
            fields.push((name.to_owned(), layout));
        }
        let layout = Layout::Struct(self.string(record.name)?.to_owned(), fields);
        (end.next_multiple_of(layout.align()) == record.size_or_type as usize).then_some(layout)
    }

    /// A type's size in bytes, where it has one below 4 GiB.
    pub(super) fn size(&self, id: u32, depth: usize) -> Option<u32> {
        let id = self.resolve(id)?;
        let record = self.get(id)?;
        match record.kind {
            kind::PTR => Some(8),
            kind::ARRAY if depth <= MAX_DEPTH => {
                let (element, count) = self.array(id)?;
                self.size(element, depth + 1)?.checked_mul(count)
            }
            kind::INT | kind::ENUM | kind::ENUM64 | kind::STRUCT | kind::UNION | kind::FLOAT => {
                Some(record.size_or_type)
            }
            _ => None,
        }
    }

    /// The type behind names and qualifiers.
    pub(super) fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..MAX_DEPTH {
            let record = self.get(id)?;
            match record.kind {
                kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {
                    id = record.size_or_type;
                }
                _ => return Some(id),
            }
        }
        None
    }

    /// An array's element and length.
    fn array(&self, id: u32) -> Option<(u32, u32)> {
        let record = self.get(self.resolve(id)?)?;
        let rest = (record.kind == kind::ARRAY).then_some(record.rest)?;
        Some((word(rest, 0, self.endian)?, word(rest, 8, self.endian)?))
    }

    pub(super) fn get(&self, id: u32) -> Option<BtfType<'a>> {
        self.types.get((id as usize).checked_sub(1)?).copied()
    }

    /// A string; longer ones than anybody writes count as none, so that hostile tables cost no more than their size.
    pub(super) fn string(&self, offset: u32) -> Option<&'a str> {
        const LONGEST: usize = 1024;
        let from = self.strings.get(offset as usize..)?;
        let len = from.iter().take(LONGEST).position(|&byte| byte == 0)?;
        std::str::from_utf8(&from[..len]).ok()
    }

    fn record(&self, bytes: &'a [u8]) -> Option<BtfType<'a>> {
        let info = word(bytes, 4, self.endian)?;
        let (kind, vlen) = (info >> 24 & 31, (info & 0xffff) as usize);
        let len = match kind {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::PTR | kind::FWD..=kind::FUNC | kind::FLOAT | kind::TYPE_TAG => 0,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * vlen,
            kind::ENUM | kind::FUNC_PROTO => 8 * vlen,
            _ => return None,
        };
        Some(BtfType {
            name: word(bytes, 0, self.endian)?,
            kind,
            has_bit_fields: info >> 31 == 1,
            size_or_type: word(bytes, 8, self.endian)?,
            rest: bytes.get(12..12 + len)?,
        })
    }

    /// The line records of each section with instructions: its name, and they. Broken ones are left out; nothing where they
    /// can't be told.
    pub(crate) fn lines(&self, ext: &'a [u8]) -> Option<Vec<(&'a str, Vec<LineRecord<'a>>)>> {
        let ext_word = |at| word(ext, at, self.endian);
        if !has_magic(ext, self.endian) {
            return None;
        }
        let lines = part(ext, ext_word(4)?, ext_word(16)?, ext_word(20)?)?;
        let record = word(lines, 0, self.endian)? as usize;
        if !(16..=256).contains(&record) {
            return None;
        }
        let mut rest = &lines[4..];
        let mut sections = Vec::new();
        while let (Some(name), Some(count)) = (word(rest, 0, self.endian), word(rest, 4, self.endian)) {
            let Some(records) = (count as usize).checked_mul(record).and_then(|len| rest.get(8..8 + len))
            else {
                break;
            };
            rest = &rest[8 + records.len()..];
            let records = records.chunks_exact(record).filter_map(|record| self.line(record)).collect();
            sections.extend(self.string(name).map(|name| (name, records)));
        }
        Some(sections)
    }

    fn line(&self, record: &[u8]) -> Option<LineRecord<'a>> {
        let record_word = |at| word(record, at, self.endian);
        Some(LineRecord {
            offset: record_word(0)?,
            file: self.string(record_word(4)?)?,
            text: self.string(record_word(8)?)?,
            line: record_word(12)? >> 10,
            column: (record_word(12)? & 0x3ff) as u16,
        })
    }
}

/// Whether a `.BTF.ext` section has records of CO-RE relocations, whether its types can be read or not (`struct btf_ext_header`,
/// tools/lib/bpf/libbpf_internal.h; before libbpf 0.0.6 the header ended before that field).
pub(crate) fn has_core_relocations(ext: &[u8], endian: Endian) -> bool {
    const FIELD: usize = 28;
    let ext_word = |at| word(ext, at, endian);
    ext_word(4).is_some_and(|len| len as usize >= FIELD + size_of::<u32>())
        && ext_word(FIELD).is_some_and(|len| len > 0)
}

/// The kind of map with that number, where it is one that [`MapKind`] has.
pub(crate) fn map_kind(number: u32) -> Option<MapKind> {
    let mut kinds = MAP_KINDS.into_iter().map(|(_, kind)| kind);
    kinds.find(|kind| *kind as u32 == number)
}

pub(crate) fn word(bytes: &[u8], at: usize, endian: Endian) -> Option<u32> {
    Some(u32::from_le_bytes(endian.order(*bytes.get(at..)?.first_chunk()?)))
}

fn has_magic(bytes: &[u8], endian: Endian) -> bool {
    bytes.starts_with(&endian.order(MAGIC.to_le_bytes()))
}

fn part(bytes: &[u8], header: u32, offset: u32, len: u32) -> Option<&[u8]> {
    let start = header as usize + offset as usize;
    bytes.get(start..start.checked_add(len as usize)?)
}
