//! Names of sections that libbpf reads and aya 0.14 refuses, put into aya's in an object's bytes.

use std::borrow::Cow;

use object::{File, Object as _, ObjectSection as _};
use weir_asm::Endian;

/// What libbpf has classifiers in (docs/program_types.rst of libbpf); aya has them in sections `classifier`.
const CLASSIFIERS: [&str; 2] = ["tc", "tcx"];

/// The object with sections such as `tcx/ingress` called `classifier/tcx/ingress`, also where their line information and
/// CO-RE relocations name them. What isn't for this machine, or contradicts itself, is left as it is: aya says what is
/// wrong.
pub(crate) fn for_aya(elf: &[u8]) -> Cow<'_, [u8]> {
    let Ok(file) = File::parse(elf) else { return elf.into() };
    let is_native = file.is_little_endian() == (Endian::NATIVE == Endian::Little) && file.is_64();
    let named = file.sections().filter_map(|section| Some((section.index().0, section.name().ok()?)));
    let named: Vec<_> = named.filter(|(_, name)| is_classifier(name)).collect();
    if named.is_empty() || !is_native {
        return elf.into();
    }
    let index_of = |name| file.section_by_name(name).map(|section| section.index().0);
    let btf = index_of(".BTF").zip(index_of(".BTF.ext"));
    renamed(elf, &named, btf).map_or(elf.into(), Cow::Owned)
}

fn is_classifier(section: &str) -> bool {
    CLASSIFIERS.contains(&section.split('/').next().unwrap_or_default())
}

fn renamed(elf: &[u8], named: &[(usize, &str)], btf: Option<(usize, usize)>) -> Option<Vec<u8>> {
    let mut elf = Elf { bytes: elf.to_vec() };
    let names = usize::from(u16::from_ne_bytes(elf.at(SECTION_OF_NAMES)?));
    for (section, name) in named {
        let text = format!("classifier/{name}\0");
        let at = elf.extend(names, text.as_bytes())?;
        let header = elf.header(*section)?;
        elf.put(header, &u32::try_from(at).ok()?.to_ne_bytes())?;
        if let Some((types, ext)) = btf {
            elf.rename_in_btf(types, ext, name, &text)?;
        }
    }
    Some(elf.bytes)
}

/// Offsets in `Elf64_Ehdr` and `Elf64_Shdr` (elf(5)).
const HEADERS: usize = 40;
const HEADER_BYTES: usize = 58;
const SECTION_OF_NAMES: usize = 62;
const OFFSET: usize = 24;
const SIZE: usize = 32;

/// A 64-bit ELF file in this machine's byte order.
struct Elf {
    bytes: Vec<u8>,
}

impl Elf {
    fn at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk().copied()
    }

    fn word(&self, offset: usize) -> Option<usize> {
        Some(u32::from_ne_bytes(self.at(offset)?) as usize)
    }

    fn long(&self, offset: usize) -> Option<usize> {
        usize::try_from(u64::from_ne_bytes(self.at(offset)?)).ok()
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) -> Option<()> {
        self.bytes.get_mut(offset..offset.checked_add(bytes.len())?)?.copy_from_slice(bytes);
        Some(())
    }

    /// Where the section's header stands.
    fn header(&self, section: usize) -> Option<usize> {
        let each = usize::from(u16::from_ne_bytes(self.at(HEADER_BYTES)?));
        self.long(HEADERS)?.checked_add(section.checked_mul(each)?)
    }

    /// Where the section's bytes stand, and how many there are.
    fn section(&self, section: usize) -> Option<(usize, usize)> {
        let header = self.header(section)?;
        Some((self.long(header + OFFSET)?, self.long(header + SIZE)?))
    }

    /// Moves the section to the end of the file with `more` behind it; gives where in the section that begins.
    fn extend(&mut self, section: usize, more: &[u8]) -> Option<usize> {
        let (from, len) = self.section(section)?;
        let whole = [self.bytes.get(from..from.checked_add(len)?)?, more].concat();
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let header = self.header(section)?;
        self.put(header + OFFSET, &(self.bytes.len() as u64).to_ne_bytes())?;
        self.put(header + SIZE, &(whole.len() as u64).to_ne_bytes())?;
        self.bytes.extend(whole);
        Some(len)
    }

    /// `struct btf_header` (include/uapi/linux/btf.h) and `struct btf_ext_header` (tools/lib/bpf/libbpf_internal.h):
    /// a name is an offset in the strings, which end the section `.BTF`.
    fn rename_in_btf(&mut self, types: usize, ext: usize, name: &str, text: &str) -> Option<()> {
        const STRINGS_LEN: usize = 20;
        let (start, len) = self.section(types)?;
        let strings = self.word(start + 4)?.checked_add(self.word(start + 16)?)?;
        let strings_len = self.word(start + STRINGS_LEN)?;
        if strings.checked_add(strings_len)? != len {
            return None;
        }
        let moved = self.extend(types, text.as_bytes())?;
        let (start, _) = self.section(types)?;
        let new_len = u32::try_from(strings_len + text.len()).ok()?;
        self.put(start + STRINGS_LEN, &new_len.to_ne_bytes())?;
        let strings = start.checked_add(strings)?;
        let new = u32::try_from(moved + start - strings).ok()?;
        for place in self.names_in_ext(ext)? {
            let old = self.bytes.get(strings.checked_add(self.word(place)?)?..)?;
            if old.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
                self.put(place, &new.to_ne_bytes())?;
            }
        }
        Some(())
    }

    /// Where `.BTF.ext` names sections: before their functions, lines and relocations.
    fn names_in_ext(&self, ext: usize) -> Option<Vec<usize>> {
        let (start, len) = self.section(ext)?;
        let header = self.word(start + 4)?;
        let mut places = Vec::new();
        for part in [8, 16, 24].into_iter().filter(|part| part + 8 <= header) {
            let (offset, part_len) = (self.word(start + part)?, self.word(start + part + 4)?);
            let mut at = start.checked_add(header)?.checked_add(offset)?;
            let end = at.checked_add(part_len)?;
            if part_len == 0 || end > start.checked_add(len)? {
                continue;
            }
            let record = self.word(at)?;
            at += 4;
            while at < end {
                places.push(at);
                at = at.checked_add(8)?.checked_add(record.checked_mul(self.word(at + 4)?)?)?;
            }
        }
        Some(places)
    }
}

#[cfg(test)]
mod tests {
    use aya_obj::{Object, ProgramSection};
    use weir_asm::{read_elf, text::assemble};

    use super::*;

    fn elf(sections: [&str; 2]) -> Vec<u8> {
        let program = |(name, section)| format!(".program {name} {section}\nmov r0, 0\nexit\n");
        let text: String = ["first", "second"].into_iter().zip(sections).map(program).collect();
        assemble("text", text.as_bytes()).expect("it is right").to_elf(Endian::NATIVE).expect("it is written")
    }

    #[test]
    fn what_libbpf_calls_tc_is_read_as_a_classifier() {
        let elf = elf(["tcx/ingress", "tc"]);
        assert!(Object::parse(&elf).is_err(), "aya has learned it: this file can go");
        let renamed = for_aya(&elf);
        let object = Object::parse(&renamed).expect("aya reads it");
        let sections: Vec<_> = object.programs.values().map(|program| &program.section).collect();
        assert!(matches!(sections[..], [ProgramSection::SchedClassifier, ProgramSection::SchedClassifier]));
    }

    #[test]
    fn source_lines_stay_with_their_section() {
        let before = read_elf(&elf(["tcx/ingress", "socket"])).expect("it is ours");
        let after = read_elf(&for_aya(&elf(["tcx/ingress", "socket"]))).expect("it is readable still");
        assert_eq!(after.sections[0].name, "classifier/tcx/ingress");
        let lines =
            |file: &weir_asm::ElfFile| file.sections.iter().map(|s| s.lines.clone()).collect::<Vec<_>>();
        assert!(lines(&before).iter().all(|lines| lines.len() == 2), "{before:?}");
        assert_eq!(lines(&after), lines(&before));
    }

    #[test]
    fn other_objects_are_left_as_they_are() {
        let elf = elf(["socket", "xdp"]);
        assert!(matches!(for_aya(&elf), Cow::Borrowed(same) if same == elf));
        assert_eq!(for_aya(b"no ELF"), &b"no ELF"[..]);
    }
}
