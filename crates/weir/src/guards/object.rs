//! A service as an object for loaders that know nothing of guards, and what puts its lists into its maps.

use std::fmt::Write as _;

use anyhow::Context as _;
use weir_asm::{Endian, Object};
use weir_filters::{
    Hook, Site,
    fun::service::{LIST_NODES, LIST_WORDS, ListIndex, WrittenService, exported_object},
};
use weir_guard::meaning::Service;
use weir_hooks::kernel_features;

use super::summary::site;

/// What is written of a service.
pub(crate) struct ExportedService {
    /// An ELF object of this machine's byte order, for what its kernel can.
    pub(crate) elf: Vec<u8>,
    /// Commands of `bpftool batch file` that fill its lists, where it has any: until then it lets nothing in.
    pub(crate) lists: Option<String>,
}

impl ExportedService {
    /// Of a service at a hook.
    ///
    /// # Errors
    /// It can't be a program there.
    pub(crate) fn of(service: &Service, hook: Hook, written: WrittenService<'_>) -> anyhow::Result<Self> {
        let cannot = || format!("the guard of '{}' can't be an object for {hook}", service.name);
        let site = Site { features: kernel_features(), ..site(service, hook) };
        let object = exported_object(service, &site, written).with_context(cannot)?;
        let lists = filling(service, &object);
        Ok(Self { elf: object.to_elf(Endian::NATIVE).with_context(cannot)?, lists })
    }
}

/// Commands of bpftool(8), a line each: nothing is searched while they are carried out, and then these lists in the second half.
fn filling(service: &Service, object: &Object) -> Option<String> {
    let entries = |name| object.maps.iter().find(|map| map.name == name).map(|map| map.max_entries as usize);
    let entries = [entries(LIST_NODES.name())?, entries(LIST_WORDS.name())?];
    let (nodes, words) = (LIST_NODES.name(), LIST_WORDS.name());
    let mut text = format!(
        "# Fills the lists of '{}': bpftool batch file FILE, once its object is loaded. Until then it lets nothing in.\n\
         # Where several guards are loaded, put `pinned PATH` or `id ID` in place of `name {nodes}` and `name {words}`.\n",
        service.name.escape_default(),
    );
    let mut update = |map: &str, entry: usize, words: &[u64]| {
        let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        let key = hex(&(entry as u32).to_ne_bytes());
        let _ = writeln!(text, "map update name {map} key hex{key} value hex{}", hex(&bytes));
    };
    let index = ListIndex::of(service, 1, entries);
    let [line, word] = index.begins;
    update(words, 0, &[0]);
    index.lines.iter().enumerate().for_each(|(at, each)| update(nodes, line + at, each));
    index.words.iter().enumerate().for_each(|(at, each)| update(words, word + at, &[*each]));
    update(words, 0, &[index.root()]);
    Some(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!(" {byte:02x}")).collect()
}
