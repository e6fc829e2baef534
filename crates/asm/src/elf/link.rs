//! What was read of an ELF file, as programs that stand for themselves: references resolved, functions behind them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    error::{ElfError, unreadable},
    read::{CodeSection, ElfFile, ElfRelocation, FunctionSymbol, RelocationKind},
    read_maps::is_variables,
};
use crate::{Call, Code, Imm64, Insn, Label, Line, Object, Program, Source, Target, place::SlotPlaces};

/// Slots of all programs together that any file may take, functions counted for each program that calls them. A file
/// of more may take twice what it has.
const MAX_SLOTS: usize = 1 << 23;
/// Bytes of source text rebuilt for all programs together.
const MAX_SOURCE: usize = 1 << 24;
/// Where compilers and this library put functions.
const TEXT: &str = ".text";

impl ElfFile {
    /// The programs with what they refer to, as [`Object::to_elf`] takes them: maps by name, variables as values of
    /// their sections' maps, and the functions that they call behind them, at labels. A section's program is each of
    /// its symbols; where it has none, the whole section under its own name.
    ///
    /// Initial values of variables and debug information other than lines are lost.
    ///
    /// # Errors
    /// A reference to something that isn't there, or programs that would take more than 8 million slots together, and more
    /// than twice what the file has.
    pub fn object(&self) -> Result<Object, ElfError> {
        let mut linker = Linker::new(self);
        let mut programs = Vec::new();
        for (number, section) in self.sections.iter().enumerate() {
            if section.name == TEXT {
                continue;
            }
            let whole =
                [FunctionSymbol { name: section.name.as_str().into(), slot: 0, slots: section.code.slots() }];
            let symbols = if section.symbols.is_empty() { &whole[..] } else { &section.symbols };
            for symbol in symbols {
                programs.push(linker.program(number, symbol)?);
            }
        }
        Ok(Object { license: self.license.clone(), maps: self.maps.clone(), programs })
    }
}

struct Linker<'a> {
    file: &'a ElfFile,
    places: Vec<SlotPlaces>,
    by_name: HashMap<&'a str, usize>,
    maps: HashSet<&'a str>,
    slots_left: usize,
    source_left: usize,
}

/// A function's section and first slot.
type Function = (usize, usize);

/// A program as it grows.
#[derive(Default)]
struct Linked {
    code: Code,
    labels: BTreeMap<Function, Label>,
    /// Functions referred to and not yet behind the program.
    due: BTreeSet<Function>,
    files: Vec<LinkedFile>,
}

/// The lines of a file that a program is known to come from.
struct LinkedFile {
    name: Arc<str>,
    lines: BTreeMap<u32, Arc<str>>,
}

/// More files than programs come from; lines of others are none.
const MAX_FILES: usize = 256;

impl<'a> Linker<'a> {
    fn new(file: &'a ElfFile) -> Self {
        let unknown = file.unknown_maps.iter().map(String::as_str);
        let sections = file.sections.iter().enumerate();
        let slots: usize = file.sections.iter().map(|section| section.code.slots()).sum();
        Self {
            file,
            places: file.sections.iter().map(|section| SlotPlaces::of(&section.code)).collect(),
            by_name: sections.rev().map(|(number, section)| (section.name.as_str(), number)).collect(),
            maps: file.maps.iter().map(|map| map.name.as_str()).chain(unknown).collect(),
            slots_left: MAX_SLOTS.max(2 * slots),
            source_left: MAX_SOURCE,
        }
    }

    fn program(&mut self, section: usize, symbol: &FunctionSymbol) -> Result<Program, ElfError> {
        let mut linked = Linked::default();
        self.append(&mut linked, &symbol.name, section, symbol)?;
        while let Some((section, slot)) = linked.due.pop_first() {
            let function = self.function(&symbol.name, section, slot)?;
            let label = linked.labels[&(section, slot)];
            // A label is due once only.
            let _ = linked.code.place(label);
            self.append(&mut linked, &symbol.name, section, &function)?;
        }
        let sources = self.sources(&linked);
        Ok(Program {
            name: symbol.name.to_string(),
            section: self.file.sections[section].name.clone(),
            code: linked.code,
            sources,
            ..Program::default()
        })
    }

    fn function(&self, program: &str, section: usize, slot: usize) -> Result<FunctionSymbol, ElfError> {
        let symbols = &self.file.sections[section].symbols;
        let at = symbols.partition_point(|symbol| symbol.slot < slot);
        let function = symbols.get(at).filter(|symbol| symbol.slot == slot);
        let why = || {
            format!(
                "it refers to slot {slot} of {:?}, and no function begins there",
                self.file.sections[section].name
            )
        };
        function.cloned().ok_or_else(|| unreadable(&format!("program {program}"), why()))
    }

    fn append(
        &mut self,
        linked: &mut Linked,
        program: &str,
        section: usize,
        symbol: &FunctionSymbol,
    ) -> Result<(), ElfError> {
        let what = || format!("program {program}");
        let left = self.slots_left.checked_sub(symbol.slots);
        self.slots_left = left.ok_or_else(|| unreadable(&what(), "the programs are too long together"))?;
        let from = &self.file.sections[section];
        let places = &self.places[section];
        let mut index = places.first_from(symbol.slot as i64, from.code.len());
        while index < from.code.len() && (places.slot(index) as usize) < symbol.slot + symbol.slots {
            let slot = places.slot(index) as usize;
            let insn = self.resolve(linked, section, slot, from.code.insns()[index]);
            let insn =
                insn.map_err(|why| unreadable(&what(), format!("slot {slot} of {:?}: {why}", from.name)))?;
            let line = linked.line(from, slot);
            linked.code.push_at(insn, line);
            index += 1;
        }
        Ok(())
    }

    /// The instruction with what its relocation says; calls and addresses of functions become labels.
    fn resolve(&self, linked: &mut Linked, section: usize, slot: usize, insn: Insn) -> Result<Insn, String> {
        let relocations = &self.file.sections[section].relocations;
        let at = relocations.partition_point(|relocation| relocation.slot < slot);
        let relocation = relocations.get(at).filter(|relocation| relocation.slot == slot);
        match (insn, relocation) {
            (Insn::Call(Call::Local(Target::Off(off))), relocation) => {
                let next = slot as i64 + 1;
                let function = match relocation {
                    Some(to) => (self.section_of(to)?, (to.offset / 8) as i64 + i64::from(off) + 1),
                    None => (section, next + i64::from(off)),
                };
                Ok(Insn::Call(Call::Local(self.target(linked, function)?)))
            }
            (Insn::LoadImm { dst, imm: Imm64::Func(Target::Off(off)) }, None) => {
                let function = (section, slot as i64 + 1 + i64::from(off));
                Ok(Insn::LoadImm { dst, imm: Imm64::Func(self.target(linked, function)?) })
            }
            (Insn::LoadImm { dst, imm: Imm64::Value(value) }, Some(to))
                if to.kind == RelocationKind::Immediate =>
            {
                Ok(Insn::LoadImm { dst, imm: self.immediate(linked, value, to)? })
            }
            (insn, _) => Ok(insn),
        }
    }

    fn immediate(&self, linked: &mut Linked, value: u64, to: &ElfRelocation) -> Result<Imm64, String> {
        let in_section = to.section.as_deref().unwrap_or_default();
        if is_variables(in_section) {
            let off = (value as u32).wrapping_add(to.offset as u32);
            return Ok(Imm64::MapValue { map: linked.code.map(in_section), off });
        }
        if self.maps.contains(&*to.symbol) {
            return Ok(Imm64::Map(linked.code.map(&to.symbol)));
        }
        if self.by_name.contains_key(in_section) {
            let slot = (to.offset as i64).wrapping_add(i64::from(value as i32)) / 8;
            return Ok(Imm64::Func(self.target(linked, (self.section_of(to)?, slot))?));
        }
        Err(format!("it refers to {:?}, which is no map, variable or function here", to.symbol))
    }

    fn section_of(&self, to: &ElfRelocation) -> Result<usize, String> {
        let known = to.section.as_deref().and_then(|name| self.by_name.get(name));
        known.copied().ok_or_else(|| format!("it refers to {:?}, which is no function here", to.symbol))
    }

    fn target(&self, linked: &mut Linked, (section, slot): (usize, i64)) -> Result<Target, String> {
        let slot = usize::try_from(slot).map_err(|_| "it refers to before its section".to_owned())?;
        if let Some(&label) = linked.labels.get(&(section, slot)) {
            return Ok(label.into());
        }
        let symbols = &self.file.sections[section].symbols;
        let at = symbols.partition_point(|symbol| symbol.slot < slot);
        let name = symbols.get(at).filter(|symbol| symbol.slot == slot).map(|symbol| symbol.name.to_string());
        let label = linked.code.add_label(name);
        linked.labels.insert((section, slot), label);
        linked.due.insert((section, slot));
        Ok(label.into())
    }

    /// Texts with the known lines in their places; all of them, or none where they would be too long.
    fn sources(&mut self, linked: &Linked) -> Vec<Source> {
        let len = |file: &LinkedFile| {
            let last = file.lines.last_key_value().map_or(0, |(&last, _)| last as usize);
            last + file.lines.values().map(|line| line.len()).sum::<usize>()
        };
        let Some(left) = self.source_left.checked_sub(linked.files.iter().map(len).sum()) else {
            return Vec::new();
        };
        self.source_left = left;
        let source = |file: &LinkedFile| {
            let mut text = String::with_capacity(len(file));
            let mut at = 1;
            for (&number, line) in &file.lines {
                text.extend(std::iter::repeat_n('\n', (number - at) as usize));
                at = number;
                text.push_str(line);
            }
            Source { file: file.name.to_string(), text: text.into() }
        };
        linked.files.iter().map(source).collect()
    }
}

impl Linked {
    /// The line of a slot, and its text kept.
    fn line(&mut self, from: &CodeSection, slot: usize) -> Line {
        let behind = from.lines.partition_point(|line| line.slot <= slot);
        let Some(known) = behind.checked_sub(1).map(|at| &from.lines[at]) else { return Line::default() };
        let file = self.files.iter().position(|file| file.name == known.file);
        let source = match file {
            _ if known.line == 0 => return Line::default(),
            Some(file) => file,
            None if self.files.len() == MAX_FILES => return Line::default(),
            None => {
                self.files.push(LinkedFile { name: Arc::clone(&known.file), lines: BTreeMap::new() });
                self.files.len() - 1
            }
        };
        self.files[source].lines.entry(known.line).or_insert_with(|| Arc::clone(&known.text));
        Line { number: known.line, column: known.column, source: source as u16 }
    }
}
