//! Maps of an object, by each of the ways in which they are declared.

use object::{Object as _, ObjectSection as _};

use super::read::{ElfReader, ElfSymbol, Maps};
use crate::{
    Endian, Layout, MapDef, MapKind,
    btf::{BtfFile, map_kind, word},
};

impl ElfReader<'_, '_> {
    /// The maps, by each of the ways in which they are declared.
    pub(super) fn maps(&self, btf: Option<&BtfFile<'_>>) -> Maps {
        let Maps { mut maps, mut unknown, mut pinned } = Maps::default();
        let mut defined = btf.map(|btf| btf.maps(".maps")).unwrap_or_default();
        defined.sort_by_key(|(name, _)| *name);
        for (index, section) in &self.sections {
            let named = || self.symbols_of(*index).filter(|symbol| *symbol.name != **section);
            match &**section {
                ".maps" => {
                    for symbol in named() {
                        let at = defined.binary_search_by_key(&&*symbol.name, |(name, _)| *name);
                        let fields = at.ok().map(|at| std::mem::take(&mut defined[at].1));
                        if fields.as_ref().is_some_and(|fields| fields.is_pinned) {
                            pinned.push(symbol.name.to_string());
                        }
                        match fields.and_then(|fields| Some((fields.kind?, fields))) {
                            Some((kind, fields)) => maps.push(MapDef {
                                name: symbol.name.to_string(),
                                kind,
                                key: fields.key,
                                value: fields.value,
                                max_entries: fields.max_entries,
                                flags: fields.flags,
                            }),
                            None => unknown.push(symbol.name.to_string()),
                        }
                    }
                }
                "maps" => {
                    let section = self.file.section_by_index(*index);
                    let data = section.and_then(|section| section.data()).unwrap_or_default();
                    for symbol in named() {
                        match legacy(symbol, data, self.endian) {
                            Some(map) => maps.push(map),
                            None => unknown.push(symbol.name.to_string()),
                        }
                    }
                }
                name if is_variables(name) => {
                    let size = self.file.section_by_index(*index).map(|section| section.size());
                    if let Ok(size @ 1..) = size.map(|size| u32::try_from(size).unwrap_or_default()) {
                        maps.push(variables(name, size));
                    }
                }
                _ => {}
            }
        }
        Maps { maps, unknown, pinned }
    }
}

/// Whether loaders take a section of this name for variables.
pub(super) fn is_variables(name: &str) -> bool {
    let is = |of: &str| name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    [".bss", ".data", ".rodata"].into_iter().any(is)
}

fn bytes(count: u32) -> Layout {
    if count == 0 { Layout::None } else { Layout::Array(Box::new(Layout::Unsigned(1)), count) }
}

fn variables(name: &str, size: u32) -> MapDef {
    MapDef {
        name: name.to_owned(),
        kind: MapKind::Array,
        key: Layout::Unsigned(4),
        value: bytes(size),
        max_entries: 1,
        flags: 0,
    }
}

/// `struct bpf_map_def` of libbpf before 1.0: kind, key's size, value's size, entries, flags.
fn legacy(symbol: &ElfSymbol, data: &[u8], endian: Endian) -> Option<MapDef> {
    let start = usize::try_from(symbol.address).ok()?;
    let field = |index: usize| word(data, start.checked_add(4 * index)?, endian);
    let kind = map_kind(field(0)?)?;
    let key = match (kind, field(1)?) {
        (MapKind::Array | MapKind::PerCpuArray | MapKind::ProgArray | MapKind::PerfEventArray, 4) => {
            Layout::Unsigned(4)
        }
        (_, size) => bytes(size),
    };
    Some(MapDef {
        name: symbol.name.to_string(),
        kind,
        key,
        value: bytes(field(2)?),
        max_entries: field(3)?,
        flags: field(4).unwrap_or_default(),
    })
}
