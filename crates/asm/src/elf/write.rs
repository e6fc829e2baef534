//! Objects to ELF files.

use std::collections::{HashMap, HashSet};

use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
    write::{Object as Elf, Relocation, SectionId, Symbol, SymbolId, SymbolSection},
};

use super::{
    ElfError, MapRefusal, R_BPF_64_32, R_BPF_64_64,
    lines::LineTable,
    pieces::{Piece, ProgramPieces},
    read_maps::is_variables,
};
use crate::{
    Endian, Imm64, Insn, Layout, MapDef, MapKind, Object, Program,
    btf::{Btf, BtfExt, Linkage, TypeId, function, map_fields, program, run_config, variable},
    place::SlotPlaces,
};

impl Object {
    /// The object as an ELF file that aya, libbpf (0.8 or newer) and tools such as bpftool load.
    ///
    /// Programs of one section stand one behind the other in it, each a global symbol. The functions that they call
    /// stand in `.text`. Maps are BTF-defined (`.maps`), and one named `.bss…`, `.data…` or `.rodata…` is a section of
    /// variables of that name, whose value's address programs may load. `.BTF.ext` gives the verifier the source line
    /// of each instruction, and `.xdp_run_config` libxdp what [`Program::run_config`] says.
    ///
    /// # Errors
    /// What has no representation that loaders understand; see [`ElfError`].
    pub fn to_elf(&self, endian: Endian) -> Result<Vec<u8>, ElfError> {
        check_names(self)?;
        let mut writer = Writer::new(self, endian);
        writer.add_maps()?;
        writer.add_license();
        writer.add_run_configs();
        for program in &self.programs {
            writer.add_program(program)?;
        }
        writer.finish()
    }
}

/// Sections that mean something else to loaders (libbpf.c, bpf_object__elf_collect; aya-obj, EbpfSectionKind).
const NOT_FOR_PROGRAMS: &[&str] = &["license", "version", "maps"];

fn check_names(object: &Object) -> Result<(), ElfError> {
    let is_name = |name: &str| !name.is_empty() && !name.contains('\0');
    let programs = object.programs.iter().map(|program| ("program", &program.name));
    let maps = object.maps.iter().map(|map| ("map", &map.name));
    let mut known = HashSet::new();
    for (what, name) in programs.chain(maps) {
        if !is_name(name) {
            return Err(ElfError::Name { what, name: name.clone() });
        }
        if !known.insert(name) {
            return Err(ElfError::Duplicate { name: name.clone() });
        }
    }
    for Program { name, section, .. } in &object.programs {
        if !is_name(section) {
            return Err(ElfError::Name { what: "section", name: section.clone() });
        }
        let is_taken = NOT_FOR_PROGRAMS.iter().any(|prefix| section.starts_with(prefix));
        if is_taken || section.starts_with('.') {
            return Err(ElfError::Section { program: name.clone(), section: section.clone() });
        }
    }
    Ok(())
}

struct Writer<'a> {
    object: &'a Object,
    endian: Endian,
    elf: Elf<'a>,
    maps: HashMap<&'a str, MapSymbol>,
    /// Sections with instructions, in the order in which they came.
    sections: Vec<WrittenSection<'a>>,
    by_name: HashMap<&'a str, usize>,
    btf: Btf,
    lines: LineTable<'a>,
}

#[derive(Clone, Copy)]
struct MapSymbol {
    symbol: SymbolId,
    is_variables: bool,
}

struct WrittenSection<'a> {
    name: &'a str,
    id: SectionId,
    functions: Vec<(u32, TypeId)>,
    lines: Vec<crate::btf::LineInfo>,
}

/// A part of a program where it is put.
struct PlacedPart {
    /// In [`Writer::sections`].
    section: usize,
    /// In bytes.
    offset: u64,
}

/// The loaders' name for the section of functions.
const TEXT: &str = ".text";

impl<'a> Writer<'a> {
    fn new(object: &'a Object, endian: Endian) -> Self {
        let endianness = match endian {
            Endian::Little => Endianness::Little,
            Endian::Big => Endianness::Big,
        };
        Self {
            object,
            endian,
            elf: Elf::new(BinaryFormat::Elf, Architecture::Bpf, endianness),
            maps: HashMap::new(),
            sections: Vec::new(),
            by_name: HashMap::new(),
            btf: Btf::new(),
            lines: LineTable::default(),
        }
    }

    fn add_maps(&mut self) -> Result<(), ElfError> {
        let (variables, maps): (Vec<_>, Vec<_>) =
            self.object.maps.iter().partition(|map| is_variables(&map.name));
        for map in variables {
            self.add_variables(map)?;
        }
        if maps.is_empty() {
            return Ok(());
        }
        let section = self.add_section(".maps", SectionKind::Data);
        let mut entries = Vec::new();
        for map in maps {
            let (var, bytes) = map_fields(&mut self.btf, map)
                .map_err(|why| ElfError::Layout { map: map.name.clone(), why })?;
            let offset = self.elf.append_section_data(section, &vec![0; bytes as usize], 8);
            let symbol = self.add_symbol(&map.name, section, offset, bytes.into(), SymbolScope::Dynamic);
            self.maps.insert(&map.name, MapSymbol { symbol, is_variables: false });
            entries.push((var, offset as u32, bytes));
        }
        let bytes = entries.last().map_or(0, |(_, offset, bytes)| offset + bytes);
        self.btf.data_section(".maps", bytes, &entries);
        Ok(())
    }

    fn add_variables(&mut self, map: &'a MapDef) -> Result<(), ElfError> {
        let is_one_value = map.kind == MapKind::Array && map.max_entries == 1 && map.flags == 0;
        if !is_one_value || !matches!(map.key, Layout::Unsigned(4) | Layout::Signed(4)) {
            return Err(ElfError::Variables { map: map.name.clone() });
        }
        let (var, bytes) = variable(&mut self.btf, &map.name, &map.value)
            .map_err(|why| ElfError::Layout { map: map.name.clone(), why })?;
        let kind = if map.name.starts_with(".bss") {
            SectionKind::UninitializedData
        } else if map.name.starts_with(".rodata") {
            SectionKind::ReadOnlyData
        } else {
            SectionKind::Data
        };
        let section = self.add_section(&map.name, kind);
        if kind == SectionKind::UninitializedData {
            self.elf.append_section_bss(section, bytes.into(), 8);
        } else {
            self.elf.append_section_data(section, &vec![0; bytes as usize], 8);
        }
        self.btf.data_section(&map.name, bytes, &[(var, 0, bytes)]);
        let symbol = self.elf.section_symbol(section);
        self.maps.insert(&map.name, MapSymbol { symbol, is_variables: true });
        Ok(())
    }

    fn add_license(&mut self) {
        let Some(license) = &self.object.license else { return };
        let bytes = [license.as_bytes(), b"\0"].concat();
        let len = bytes.len() as u32;
        let section = self.add_section("license", SectionKind::Data);
        self.elf.append_section_data(section, &bytes, 1);
        self.add_symbol("_license", section, 0, len.into(), SymbolScope::Dynamic);
        let char = self.btf.char();
        let array = self.btf.array(char, len);
        let var = self.btf.var("_license", array, Linkage::Global);
        self.btf.data_section("license", len, &[(var, 0, len)]);
    }

    fn add_run_configs(&mut self) {
        const RUN_CONFIG: &str = ".xdp_run_config";
        let configs = self.object.programs.iter().filter_map(|program| Some((program, program.run_config?)));
        let configs: Vec<_> =
            configs.map(|(program, config)| run_config(&mut self.btf, &program.name, &config)).collect();
        if configs.is_empty() {
            return;
        }
        let section = self.add_section(RUN_CONFIG, SectionKind::Data);
        let mut entries = Vec::new();
        for (var, name, bytes) in configs {
            let offset = self.elf.append_section_data(section, &vec![0; bytes as usize], 8);
            self.add_symbol(&name, section, offset, bytes.into(), SymbolScope::Dynamic);
            entries.push((var, offset as u32, bytes));
        }
        let bytes = entries.last().map_or(0, |(_, offset, bytes)| offset + bytes);
        self.btf.data_section(RUN_CONFIG, bytes, &entries);
    }

    fn add_program(&mut self, source: &'a Program) -> Result<(), ElfError> {
        let pieces = ProgramPieces::of(source)?;
        let encoded = source.code.encode(self.endian);
        let mut bytes = encoded.map_err(|error| ElfError::Encode { program: source.name.clone(), error })?;
        let placed = self.place(&source.section, &pieces);
        self.relocate_functions(&pieces, &placed, &mut bytes)?;
        self.relocate_maps(source, &pieces, &placed, &mut bytes)?;
        for (number, (piece, at)) in pieces.pieces.iter().zip(&placed).enumerate() {
            let (scope, id) = match number {
                0 => (SymbolScope::Dynamic, program(&mut self.btf, &piece.name, &source.section)),
                _ => (SymbolScope::Compilation, function(&mut self.btf, &piece.name)),
            };
            let own = &bytes[8 * piece.slots.start..8 * piece.slots.end];
            let section = self.sections[at.section].id;
            self.elf.append_section_data(section, own, 8);
            let symbol = self.add_symbol(&piece.name, section, at.offset, own.len() as u64, scope);
            self.elf.symbol_mut(symbol).kind = SymbolKind::Text;
            let lines = self.lines.of(&mut self.btf, source, piece, at.offset as u32);
            let section = &mut self.sections[at.section];
            section.functions.push((at.offset as u32, id));
            section.lines.extend(lines);
        }
        Ok(())
    }

    /// The entry goes to the program's section, the functions to `.text`.
    fn place(&mut self, section: &'a str, pieces: &ProgramPieces) -> Vec<PlacedPart> {
        let entry = self.code_section(section);
        let mut placed = vec![PlacedPart { section: entry, offset: self.end_of(entry) }];
        if let [_, functions @ ..] = &pieces.pieces[..]
            && !functions.is_empty()
        {
            let text = self.code_section(TEXT);
            let mut offset = self.end_of(text);
            for function in functions {
                placed.push(PlacedPart { section: text, offset });
                offset += 8 * function.slots.len() as u64;
            }
        }
        placed
    }

    fn code_section(&mut self, name: &'a str) -> usize {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let id = self.add_section(name, SectionKind::Text);
        self.sections.push(WrittenSection { name, id, functions: Vec::new(), lines: Vec::new() });
        self.by_name.insert(name, self.sections.len() - 1);
        self.sections.len() - 1
    }

    fn end_of(&self, section: usize) -> u64 {
        self.elf.section(self.sections[section].id).data().len() as u64
    }

    /// A function is referred to as clang does it: by its section, with its place in the immediate, in slots less one
    /// for a call and in bytes for an address. libbpf takes no symbol of a static function there.
    fn relocate_functions(
        &mut self,
        pieces: &ProgramPieces,
        placed: &[PlacedPart],
        bytes: &mut [u8],
    ) -> Result<(), ElfError> {
        for reference in &pieces.references {
            let PlacedPart { section, offset } = placed[reference.piece];
            let slot = &mut bytes[8 * reference.slot..];
            let r_type = if reference.is_call {
                set_immediate(slot, (offset / 8) as i32 - 1, self.endian);
                R_BPF_64_32
            } else {
                clear_source(slot, self.endian);
                set_immediate(slot, offset as i32, self.endian);
                R_BPF_64_64
            };
            let symbol = self.elf.section_symbol(self.sections[section].id);
            self.add_relocation(pieces, placed, reference.slot, symbol, r_type)?;
        }
        Ok(())
    }

    /// Loaders put the descriptor (or the value's address) and the mark of which it is where the symbol tells them to.
    fn relocate_maps(
        &mut self,
        source: &Program,
        pieces: &ProgramPieces,
        placed: &[PlacedPart],
        bytes: &mut [u8],
    ) -> Result<(), ElfError> {
        let places = SlotPlaces::of(&source.code);
        for (index, insn) in source.code.insns().iter().enumerate() {
            let Insn::LoadImm { imm, .. } = insn else { continue };
            let (map, off) = match *imm {
                Imm64::Map(map) => (map, None),
                Imm64::MapValue { map, off } => (map, Some(off)),
                _ => continue,
            };
            let name = source.code.map_name(map);
            let refused =
                |why| ElfError::Map { program: source.name.clone(), index, map: name.to_owned(), why };
            let known = *self.maps.get(name).ok_or_else(|| refused(MapRefusal::Undeclared))?;
            let place = places.slot(index) as usize;
            let slot = &mut bytes[8 * place..];
            clear_source(slot, self.endian);
            match off {
                None if known.is_variables => return Err(refused(MapRefusal::Variables)),
                Some(_) if !known.is_variables => return Err(refused(MapRefusal::Value)),
                None => {}
                Some(off) => {
                    set_immediate(slot, off as i32, self.endian);
                    set_immediate(&mut slot[8..], 0, self.endian);
                }
            }
            self.add_relocation(pieces, placed, place, known.symbol, R_BPF_64_64)?;
        }
        Ok(())
    }

    fn add_relocation(
        &mut self,
        pieces: &ProgramPieces,
        placed: &[PlacedPart],
        slot: usize,
        symbol: SymbolId,
        r_type: u32,
    ) -> Result<(), ElfError> {
        let number = pieces.pieces.partition_point(|piece: &Piece| piece.slots.end <= slot);
        let offset = placed[number].offset + 8 * (slot - pieces.pieces[number].slots.start) as u64;
        let relocation = Relocation { offset, symbol, addend: 0, flags: RelocationFlags::Elf { r_type } };
        let section = self.sections[placed[number].section].id;
        self.elf.add_relocation(section, relocation).map_err(|error| ElfError::Write(error.to_string()))
    }

    fn finish(mut self) -> Result<Vec<u8>, ElfError> {
        let mut ext = BtfExt::default();
        for section in &self.sections {
            ext.section(&mut self.btf, section.name, &section.functions, &section.lines);
        }
        let (btf, ext) = (self.btf.to_bytes(self.endian), ext.to_bytes(self.endian));
        for (name, bytes) in [(".BTF", btf), (".BTF.ext", ext)] {
            let section = self.add_section(name, SectionKind::Other);
            self.elf.append_section_data(section, &bytes, 4);
        }
        self.elf.write().map_err(|error| ElfError::Write(error.to_string()))
    }

    fn add_section(&mut self, name: &str, kind: SectionKind) -> SectionId {
        self.elf.add_section(Vec::new(), name.as_bytes().to_vec(), kind)
    }

    fn add_symbol(
        &mut self,
        name: &str,
        section: SectionId,
        value: u64,
        size: u64,
        scope: SymbolScope,
    ) -> SymbolId {
        self.elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size,
            kind: SymbolKind::Data,
            scope,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }
}

fn set_immediate(slot: &mut [u8], imm: i32, endian: Endian) {
    slot[4..8].copy_from_slice(&endian.order(imm.to_le_bytes()));
}

fn clear_source(slot: &mut [u8], endian: Endian) {
    slot[1] &= match endian {
        Endian::Little => 0x0f,
        Endian::Big => 0xf0,
    };
}
