//! ELF files to instructions, symbols, relocations and maps.
//!
//! Whatever the bytes are, reading ends with an object or an error, and takes memory in proportion to their number.

use std::{collections::HashMap, fmt, sync::Arc};

use object::{
    Architecture, BinaryFormat, File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags,
    RelocationTarget, SectionIndex, SectionKind, SymbolIndex, SymbolKind,
    read::{Section, SymbolSection},
};

use super::{
    R_BPF_64_32, R_BPF_64_64,
    budget::Budget,
    error::{ElfError, unreadable},
};
use crate::{
    Code, Endian, Insn, Line, MapDef,
    btf::{BtfFile, has_core_relocations},
    decode,
    place::SlotPlaces,
    slot::{LDDW, RawSlot},
};

/// An ELF file of BPF programs, as it stands: relocations are beside the instructions, not in them.
/// [`ElfFile::object`] puts them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfFile {
    /// Its byte order.
    pub endian: Endian,
    /// What the section `license` says.
    pub license: Option<String>,
    /// The maps whose definitions could be read: `.maps` with BTF, `maps`, and sections of variables (their contents
    /// are not kept).
    pub maps: Vec<MapDef>,
    /// Names of maps of kinds that [`MapKind`](crate::MapKind) hasn't, or without a readable definition.
    pub unknown_maps: Vec<String>,
    /// Names of maps that are to be pinned, which [`MapDef`] doesn't say.
    pub pinned_maps: Vec<String>,
    /// Whether instructions are to be changed to what the kernel's types say (CO-RE), which [`Code`] doesn't say.
    pub has_core_relocations: bool,
    /// The sections with instructions, in the order in which they stand; empty ones left out.
    pub sections: Vec<CodeSection>,
}

impl ElfFile {
    /// The source line of a program's instruction, by the slot that the verifier counts; nothing for functions that it calls,
    /// which loaders put behind it.
    pub fn line_of(&self, program: &str, slot: usize) -> Option<&SourceLine> {
        let of = |section: &&CodeSection| section.symbols.iter().any(|symbol| &*symbol.name == program);
        let section = self.sections.iter().find(of)?;
        let symbol = section.symbols.iter().find(|symbol| &*symbol.name == program)?;
        let slot = (slot < symbol.slots).then_some(symbol.slot + slot)?;
        let behind = section.lines.partition_point(|line| line.slot <= slot);
        section.lines.get(behind.checked_sub(1)?).filter(|line| line.slot >= symbol.slot)
    }
}

/// A section with instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeSection {
    /// Its name, which tells loaders the program type.
    pub name: String,
    /// All its instructions, with the numbers of their source lines where there are some, whatever files these are of. A slot that is no
    /// instruction is [`Insn::Raw`].
    pub code: Code,
    /// Programs or functions, in the order of their slots.
    pub symbols: Vec<FunctionSymbol>,
    /// What loaders fill in, in the order of slots.
    pub relocations: Vec<ElfRelocation>,
    /// Source lines, in the order of slots.
    pub lines: Vec<SourceLine>,
}

/// A program's or function's symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSymbol {
    /// Its name.
    pub name: Arc<str>,
    /// Its first slot.
    pub slot: usize,
    /// How many slots it has.
    pub slots: usize,
}

/// A reference that a loader resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfRelocation {
    /// The slot of the instruction that refers.
    pub slot: usize,
    /// What kind of reference.
    pub kind: RelocationKind,
    /// The symbol's name, or its section's where it has none.
    pub symbol: Arc<str>,
    /// The section that the symbol stands in; nothing where it stands in none of this file.
    pub section: Option<Arc<str>>,
    /// The symbol's place in its section, in bytes.
    pub offset: u64,
}

/// Kinds of references (llvm/BinaryFormat/ELFRelocs/BPF.def).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationKind {
    /// R_BPF_64_64: a 64-bit immediate.
    Immediate,
    /// R_BPF_64_32: a call.
    Call,
}

impl RelocationKind {
    /// Its name in the ABI.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Immediate => "R_BPF_64_64",
            Self::Call => "R_BPF_64_32",
        }
    }
}

/// The source line of the instructions from a slot on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The first slot.
    pub slot: usize,
    /// The file's name.
    pub file: Arc<str>,
    /// The line's text; empty where it was not kept.
    pub text: Arc<str>,
    /// Its number, from 1; 0 where there is none.
    pub line: u32,
    /// The column, in bytes from 1; 0 where there is none.
    pub column: u16,
}

impl fmt::Display for SourceLine {
    /// `file:line:column: text`, as compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        let numbers = [self.line, self.column.into()];
        numbers.iter().take_while(|number| **number > 0).try_for_each(|number| write!(f, ":{number}"))?;
        write!(f, ": {}", self.text)
    }
}

/// Reads an ELF file of BPF programs, whoever made it.
///
/// # Errors
/// Bytes that are no 64-bit ELF file for BPF, or that contradict themselves.
pub fn read_elf(bytes: &[u8]) -> Result<ElfFile, ElfError> {
    let file = File::parse(bytes).map_err(|error| unreadable("its headers", error))?;
    if file.format() != BinaryFormat::Elf || !file.is_64() {
        return Err(unreadable("its headers", "it is no 64-bit ELF file"));
    }
    if file.architecture() != Architecture::Bpf {
        return Err(unreadable("its headers", format!("it is for {:?}, not for BPF", file.architecture())));
    }
    ElfReader::new(&file, bytes)?.read()
}

/// What was read of an object's maps.
#[derive(Default)]
pub(super) struct Maps {
    /// Those that could be read.
    pub(super) maps: Vec<MapDef>,
    /// The names of those that could not.
    pub(super) unknown: Vec<String>,
    /// The names of those that are to be pinned.
    pub(super) pinned: Vec<String>,
}

/// A symbol, as far as programs and maps are concerned.
pub(super) struct ElfSymbol {
    pub(super) index: SymbolIndex,
    pub(super) name: Arc<str>,
    pub(super) kind: SymbolKind,
    pub(super) section: Option<SectionIndex>,
    pub(super) address: u64,
    pub(super) size: u64,
}

pub(super) struct ElfReader<'a, 'b> {
    pub(super) file: &'b File<'a>,
    pub(super) endian: Endian,
    budget: Budget,
    /// In the order of the file.
    pub(super) sections: Vec<(SectionIndex, Arc<str>)>,
    section_names: HashMap<SectionIndex, Arc<str>>,
    pub(super) symbols: Vec<ElfSymbol>,
    /// Places in `symbols`.
    by_section: HashMap<SectionIndex, Vec<usize>>,
}

impl<'a, 'b> ElfReader<'a, 'b> {
    fn new(file: &'b File<'a>, bytes: &[u8]) -> Result<Self, ElfError> {
        let mut budget = Budget::of(bytes.len());
        let mut sections = Vec::new();
        for section in file.sections() {
            let name = section.name().map_err(|error| unreadable("a section's name", error))?;
            budget.text(name)?;
            sections.push((section.index(), Arc::from(name)));
        }
        let section_names = sections.iter().cloned().collect();
        let endian = if file.is_little_endian() { Endian::Little } else { Endian::Big };
        let mut reader = Self {
            file,
            endian,
            budget,
            sections,
            section_names,
            symbols: Vec::new(),
            by_section: HashMap::new(),
        };
        reader.read_symbols()?;
        Ok(reader)
    }

    fn read_symbols(&mut self) -> Result<(), ElfError> {
        for symbol in self.file.symbols() {
            let section = match symbol.section() {
                SymbolSection::Section(index) => Some(index),
                _ => None,
            };
            let own = symbol.name().map_err(|error| unreadable("a symbol's name", error))?;
            self.budget.text(own)?;
            let of_section = section.and_then(|index| self.section_names.get(&index));
            let name = if own.is_empty() { of_section.cloned() } else { Some(Arc::from(own)) };
            if let Some(section) = section {
                self.by_section.entry(section).or_default().push(self.symbols.len());
            }
            self.symbols.push(ElfSymbol {
                index: symbol.index(),
                name: name.unwrap_or_default(),
                kind: symbol.kind(),
                section,
                address: symbol.address(),
                size: symbol.size(),
            });
        }
        Ok(())
    }

    fn read(mut self) -> Result<ElfFile, ElfError> {
        let btf_bytes = self.data(".BTF");
        let btf = btf_bytes.and_then(|bytes| BtfFile::parse(bytes, self.endian));
        let Maps { maps, unknown: unknown_maps, pinned: pinned_maps } = self.maps(btf.as_ref());
        let ext = self.data(".BTF.ext").unwrap_or_default();
        let has_core_relocations = has_core_relocations(ext, self.endian);
        let mut lines: HashMap<&str, Vec<_>> = HashMap::new();
        for (section, records) in btf.as_ref().and_then(|btf| btf.lines(ext)).unwrap_or_default() {
            lines.entry(section).or_default().extend(records);
        }
        let mut sections = Vec::new();
        for section in self.file.sections() {
            if section.kind() == SectionKind::Text && section.size() > 0 {
                let mut read = self.code_section(&section)?;
                for record in lines.get(&*read.name).into_iter().flatten() {
                    self.budget.text(record.file)?;
                    self.budget.text(record.text)?;
                    read.lines.push(SourceLine {
                        slot: record.offset as usize / 8,
                        file: Arc::from(record.file),
                        text: Arc::from(record.text),
                        line: record.line,
                        column: record.column,
                    });
                }
                read.lines.sort_by_key(|line| line.slot);
                number_lines(&mut read);
                sections.push(read);
            }
        }
        let license = self.data("license").map(|bytes| {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        });
        Ok(ElfFile {
            endian: self.endian,
            license,
            maps,
            unknown_maps,
            pinned_maps,
            has_core_relocations,
            sections,
        })
    }

    pub(super) fn symbols_of(&self, section: SectionIndex) -> impl Iterator<Item = &ElfSymbol> {
        let places = self.by_section.get(&section).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|&place| &self.symbols[place])
    }

    /// The contents of the first section of that name.
    pub(super) fn data(&self, name: &str) -> Option<&'a [u8]> {
        let (index, _) = self.sections.iter().find(|(_, known)| **known == *name)?;
        self.file.section_by_index(*index).ok()?.data().ok()
    }

    fn code_section(&mut self, section: &Section<'a, '_>) -> Result<CodeSection, ElfError> {
        let index = section.index();
        let name = self.section_names.get(&index).cloned().unwrap_or_default();
        let what = || format!("section {name:?}");
        let data = section.data().map_err(|error| unreadable(&what(), error))?;
        self.budget.code(data.len())?;
        if !data.len().is_multiple_of(8) {
            let why = format!("its {} bytes are no whole number of 8-byte slots", data.len());
            return Err(unreadable(&what(), why));
        }
        let slots = data.len() / 8;
        let symbols = self.functions(index, slots)?;
        Ok(CodeSection {
            name: name.to_string(),
            code: decode_leniently(data, self.endian),
            symbols,
            relocations: self.relocations(section, slots)?,
            lines: Vec::new(),
        })
    }

    /// The symbols that are functions; where none is marked so, as by hand-written assembly, all.
    fn functions(&self, section: SectionIndex, slots: usize) -> Result<Vec<FunctionSymbol>, ElfError> {
        let is_function = |symbol: &ElfSymbol| symbol.kind == SymbolKind::Text;
        let any = !self.symbols_of(section).any(is_function);
        let named = self.symbols_of(section).filter(|symbol| symbol.kind != SymbolKind::Section);
        let bytes = 8 * slots as u64;
        let leaves =
            |symbol: &&ElfSymbol| symbol.address.checked_add(symbol.size).is_none_or(|end| end > bytes);
        if let Some(ElfSymbol { name, address, size, .. }) = self.symbols_of(section).find(leaves) {
            let why = format!("its {size} bytes from byte {address} on leave its section, which has {bytes}");
            return Err(unreadable(&format!("symbol {name:?}"), why));
        }
        let mut symbols: Vec<_> = named
            .filter(|symbol| any || is_function(symbol))
            .map(|symbol| FunctionSymbol {
                name: Arc::clone(&symbol.name),
                slot: (symbol.address / 8) as usize,
                slots: (symbol.size / 8) as usize,
            })
            .filter(|symbol| symbol.slot < slots && symbol.slots <= slots - symbol.slot)
            .collect();
        symbols.sort_by_key(|symbol| symbol.slot);
        let ends: Vec<_> = symbols.iter().skip(1).map(|symbol| symbol.slot).chain([slots]).collect();
        for (symbol, end) in symbols.iter_mut().zip(ends) {
            if symbol.slots == 0 {
                symbol.slots = end - symbol.slot;
            }
        }
        Ok(symbols)
    }

    fn relocations(
        &mut self,
        section: &Section<'a, '_>,
        slots: usize,
    ) -> Result<Vec<ElfRelocation>, ElfError> {
        let mut relocations = Vec::new();
        for (offset, relocation) in section.relocations() {
            self.budget.relocation()?;
            let kind = match relocation.flags() {
                RelocationFlags::Elf { r_type: R_BPF_64_64 } => RelocationKind::Immediate,
                RelocationFlags::Elf { r_type: R_BPF_64_32 } => RelocationKind::Call,
                // Data and debug information; neither stands in instructions.
                _ => continue,
            };
            let RelocationTarget::Symbol(target) = relocation.target() else { continue };
            let known = self.symbols.binary_search_by_key(&target.0, |symbol| symbol.index.0);
            let slot = (offset / 8) as usize;
            let (Ok(known), true) = (known, slot < slots) else { continue };
            let symbol = &self.symbols[known];
            relocations.push(ElfRelocation {
                slot,
                kind,
                symbol: Arc::clone(&symbol.name),
                section: symbol.section.and_then(|index| self.section_names.get(&index).cloned()),
                offset: symbol.address,
            });
        }
        relocations.sort_by_key(|relocation| relocation.slot);
        Ok(relocations)
    }
}

/// Reads slot by slot, and keeps those that are no instruction as they are.
fn decode_leniently(bytes: &[u8], endian: Endian) -> Code {
    if let Ok(code) = decode(bytes, endian) {
        return code;
    }
    let mut code = Code::new();
    let mut rest = bytes;
    while let Some(slot) = rest.first_chunk::<8>() {
        let len = if slot[0] == LDDW { 16 } else { 8 };
        let one = rest.get(..len).and_then(|bytes| decode(bytes, endian).ok());
        if let Some(insn) = one.and_then(|code| code.insns().first().copied()) {
            code.push(insn);
            rest = &rest[len..];
        } else {
            let little = RawSlot::from_bytes(*slot, endian).to_bytes(Endian::Little);
            code.push(Insn::Raw(u64::from_le_bytes(little)));
            rest = &rest[8..];
        }
    }
    code
}

/// Gives each instruction the number of its line.
fn number_lines(section: &mut CodeSection) {
    if section.lines.is_empty() {
        return;
    }
    let places = SlotPlaces::of(&section.code);
    let line = |index: usize| {
        let slot = places.slot(index) as usize;
        let behind = section.lines.partition_point(|line| line.slot <= slot);
        behind.checked_sub(1).map_or(Line::default(), |at| Line::at(section.lines[at].line))
    };
    let lines = (0..section.code.len()).map(line).collect();
    section.code.set_lines(lines);
}
