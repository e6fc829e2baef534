//! What named types say: where a field stands, which values an enumeration has, what a function takes.

use super::{
    kind,
    read::{BtfFile, BtfType, MAX_DEPTH, word},
};

/// Where a field stands in its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the structure's start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// A structure as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Its BTF id.
    pub id: u32,
    /// Bytes.
    pub size: u32,
}

impl<'a> BtfFile<'a> {
    /// The BTF id of the function `name`: of the kernel's, what a call of it as a kfunc names.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.named(name).find(|(_, found)| found.kind == kind::FUNC).map(|(id, _)| id)
    }

    /// `struct structure`, where it is defined and not only declared.
    pub fn structure(&self, structure: &str) -> Option<Structure> {
        let (id, found) = self.defined(structure)?;
        Some(Structure { id, size: found.size_or_type })
    }

    /// The field `name` of `struct structure`, also where it stands in unnamed structs and unions inside of it.
    /// Nothing where there is none, or where it is a bit field.
    pub fn field(&self, structure: &str, name: &str) -> Option<Field> {
        let (_, structure) = self.defined(structure)?;
        self.field_in(structure, name, 0)
    }

    /// The names and values of `enum enumeration`, in the order of the source; a value appears as often as names have
    /// it. Nothing where there is no such enumeration of 32 bits.
    pub fn enumerators(&self, enumeration: &str) -> Option<Vec<(&'a str, u32)>> {
        let is_it = |found: &BtfType<'_>| found.kind == kind::ENUM && !found.rest.is_empty();
        let (_, found) = self.named(enumeration).find(|(_, found)| is_it(found))?;
        let entries = found.rest.chunks_exact(8);
        entries
            .map(|entry| Some((self.string(word(entry, 0, self.endian)?)?, word(entry, 4, self.endian)?)))
            .collect()
    }

    /// What a function of the type `typedef` takes: for each argument the name of its type, or of what it points at;
    /// empty where that has none.
    pub fn arguments(&self, typedef: &str) -> Option<Vec<&'a str>> {
        let (_, found) = self.named(typedef).find(|(_, found)| found.kind == kind::TYPEDEF)?;
        let function = self.behind_pointers(found.size_or_type)?;
        let arguments = (function.kind == kind::FUNC_PROTO).then_some(function.rest)?.chunks_exact(8);
        let name = |argument| {
            let id = word(argument, 4, self.endian)?;
            Some(self.behind_pointers(id).and_then(|found| self.string(found.name)).unwrap_or_default())
        };
        arguments.map(name).collect()
    }

    fn defined(&self, structure: &str) -> Option<(u32, &BtfType<'a>)> {
        let is_it = |found: &BtfType<'_>| found.kind == kind::STRUCT && !found.rest.is_empty();
        self.named(structure).find(|(_, found)| is_it(found))
    }

    /// With their ids.
    fn named(&self, name: &str) -> impl Iterator<Item = (u32, &BtfType<'a>)> {
        (1..).zip(&self.types).filter(move |(_, found)| {
            let from = self.strings.get(found.name as usize..).unwrap_or_default();
            from.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
        })
    }

    fn field_in(&self, structure: &BtfType<'a>, name: &str, depth: usize) -> Option<Field> {
        structure.rest.chunks_exact(12).find_map(|member| {
            let member_word = |at| word(member, at, self.endian);
            let (id, place) = (member_word(4)?, member_word(8)?);
            let (bits, width) =
                if structure.has_bit_fields { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
            let offset = bits / 8;
            match self.string(member_word(0)?)? {
                "" if depth < MAX_DEPTH => {
                    let unnamed = self.get(self.resolve(id)?)?;
                    let is_composite = matches!(unnamed.kind, kind::STRUCT | kind::UNION);
                    let inner = is_composite.then(|| self.field_in(&unnamed, name, depth + 1))??;
                    Some(Field { offset: offset.checked_add(inner.offset)?, ..inner })
                }
                found if found == name && width == 0 && bits % 8 == 0 => {
                    Some(Field { offset, size: self.size(id, 0)? })
                }
                _ => None,
            }
        })
    }

    /// The type behind names, qualifiers and pointers; nothing for void.
    fn behind_pointers(&self, mut id: u32) -> Option<BtfType<'a>> {
        for _ in 0..MAX_DEPTH {
            let found = self.get(self.resolve(id)?)?;
            if found.kind != kind::PTR {
                return Some(found);
            }
            id = found.size_or_type;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Endian,
        btf::{magic_and_version, words_to_bytes},
    };

    const STRINGS: &str = "\0int\0packet\0len\0cloned\0head\0reason\0NO\0YES\0called\0call\0";

    fn name(of: &str) -> u32 {
        let padded = format!("\0{of}\0");
        STRINGS.find(&padded).expect("it is there") as u32 + 1
    }

    fn header(kind: u32, vlen: u32) -> u32 {
        kind << 24 | vlen
    }

    /// `struct packet { int len; int cloned:1; struct { union { int *head; }; }; }`, `enum reason { NO, YES = 7 }` and
    /// `typedef void (*called)(void *, struct packet *, enum reason)`, and a function `call` of that type.
    fn types(endian: Endian) -> Vec<u8> {
        let bit_fields = 1 << 31;
        let words = [
            &[name("int"), header(kind::INT, 0), 4, 32][..],
            &[0, header(kind::PTR, 0), 1],
            &[0, header(kind::UNION, 1), 8, name("head"), 2, 0],
            &[0, header(kind::STRUCT, 1), 16, 0, 3, 64],
            &[name("packet"), header(kind::STRUCT, 3) | bit_fields, 24],
            &[name("len"), 1, 0, name("cloned"), 1, 1 << 24 | 32, 0, 4, 64],
            &[name("reason"), header(kind::ENUM, 2), 4, name("NO"), 0, name("YES"), 7],
            &[0, header(kind::PTR, 0), 5],
            &[0, header(kind::FUNC_PROTO, 3), 0, 0, 10, 0, 7, 0, 6],
            &[0, header(kind::PTR, 0), 8],
            &[0, header(kind::PTR, 0), 0],
            &[name("called"), header(kind::TYPEDEF, 0), 9],
            &[name("call"), header(kind::FUNC, 1), 8],
        ]
        .concat();
        let lengths = [24, 0, 4 * words.len() as u32, 4 * words.len() as u32, STRINGS.len() as u32];
        let mut bytes = magic_and_version(endian).to_vec();
        bytes.extend(words_to_bytes(&lengths, endian));
        bytes.extend(words_to_bytes(&words, endian));
        bytes.extend(STRINGS.as_bytes());
        bytes
    }

    fn check<T: PartialEq + std::fmt::Debug>(ask: impl Fn(&BtfFile<'_>) -> T, expected: T) {
        for endian in [Endian::Little, Endian::Big] {
            let bytes = types(endian);
            let file = BtfFile::parse(&bytes, endian).expect("it is BTF");
            assert_eq!(ask(&file), expected);
        }
    }

    #[test]
    fn a_field_is_found_also_inside_of_what_has_no_name() {
        check(|file| file.field("packet", "len"), Some(Field { offset: 0, size: 4 }));
        check(|file| file.field("packet", "head"), Some(Field { offset: 16, size: 8 }));
    }

    #[test]
    fn a_function_and_a_structure_are_known_by_their_ids() {
        check(|file| file.function("call"), Some(12));
        check(|file| file.function("called"), None);
        check(|file| file.structure("packet"), Some(Structure { id: 5, size: 24 }));
        check(|file| file.structure("reason"), None);
    }

    #[test]
    fn what_has_no_offset_in_bytes_or_is_not_there_is_none() {
        for (structure, field) in
            [("packet", "cloned"), ("packet", "nobody"), ("pack", "len"), ("reason", "NO")]
        {
            check(|file| file.field(structure, field), None);
        }
    }

    #[test]
    fn an_enumeration_has_its_names_and_values() {
        check(|file| file.enumerators("reason").is_some_and(|all| all == [("NO", 0), ("YES", 7)]), true);
        check(|file| file.enumerators("packet").is_none(), true);
    }

    #[test]
    fn arguments_are_named_by_what_they_point_at() {
        check(|file| file.arguments("called").is_some_and(|all| all == ["", "packet", "reason"]), true);
        check(|file| file.arguments("packet").is_none(), true);
    }
}
