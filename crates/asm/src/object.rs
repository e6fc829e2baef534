//! What an assembled file holds: programs, the maps that they share, a licence.

use std::sync::Arc;

use crate::Code;

/// Programs and maps that are loaded together: one ELF object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The licence string that the kernel reads, such as "GPL" or "Dual MIT/GPL"; some helpers need a GPL-compatible
    /// one (include/linux/license.h).
    pub license: Option<String>,
    /// The maps, by unique names.
    pub maps: Vec<MapDef>,
    /// The programs, by unique names.
    pub programs: Vec<Program>,
}

/// A program: instructions, under a name, for a place to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name: a symbol in the object; the kernel keeps the first 15 bytes.
    pub name: String,
    /// The ELF section, which tells loaders the program type: "socket", "xdp", "tracepoint/syscalls/sys_enter_recvfrom"
    /// (libbpf, program types and ELF sections).
    pub section: String,
    /// The instructions; functions that it calls stand behind it, at labels.
    pub code: Code,
    /// The texts that it was made from, for the verifier's log to quote.
    pub sources: Vec<Source>,
    /// Its place among other XDP programs of an interface, for loaders that chain them.
    pub run_config: Option<RunConfig>,
}

/// What libxdp's dispatcher is told of an XDP program (section `.xdp_run_config`; xdp-tools, lib/libxdp/protocol.org).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunConfig {
    /// Programs of lower numbers run first; libxdp takes a program that doesn't say for 50.
    pub priority: u32,
    /// The actions by their names in `enum xdp_action` (include/uapi/linux/bpf.h) behind which the next program runs.
    pub chain_call_actions: &'static [&'static str],
}

/// A text that a program was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file's name, as the verifier's log will show it.
    pub file: String,
    /// Its whole text, shared by the programs of a file; [`Code::line`] counts in it.
    pub text: Arc<str>,
}

/// A map to be made when the object is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDef {
    /// Its name: a symbol in the object; the kernel keeps the first 15 bytes.
    pub name: String,
    /// What kind of map.
    pub kind: MapKind,
    /// Type of its keys; `Layout::None` where the kind has none.
    pub key: Layout,
    /// Type of its values; `Layout::None` where the kind has none.
    pub value: Layout,
    /// Most entries that it holds; for a ring buffer its size in bytes, a power of two and whole pages.
    pub max_entries: u32,
    /// Flags of BPF_MAP_CREATE, such as BPF_F_NO_PREALLOC (1), which LPM tries need.
    pub flags: u32,
}

/// Kinds of maps (enum bpf_map_type, include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    ProgArray = 3,
    PerfEventArray = 4,
    PerCpuHash = 5,
    PerCpuArray = 6,
    LruHash = 9,
    LruPerCpuHash = 10,
    LpmTrie = 11,
    ReuseportSockArray = 20,
    RingBuf = 27,
}

impl MapKind {
    /// Its name, as bpftool and the text syntax have it.
    pub fn as_str(self) -> &'static str {
        MAP_KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// Kinds of maps as bpftool names them.
pub(crate) const MAP_KINDS: [(&str, MapKind); 11] = [
    ("hash", MapKind::Hash),
    ("array", MapKind::Array),
    ("prog_array", MapKind::ProgArray),
    ("perf_event_array", MapKind::PerfEventArray),
    ("percpu_hash", MapKind::PerCpuHash),
    ("percpu_array", MapKind::PerCpuArray),
    ("lru_hash", MapKind::LruHash),
    ("lru_percpu_hash", MapKind::LruPerCpuHash),
    ("lpm_trie", MapKind::LpmTrie),
    ("reuseport_sockarray", MapKind::ReuseportSockArray),
    ("ringbuf", MapKind::RingBuf),
];

/// The type of a map's keys or values: its size and alignment in memory, and what BTF says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Nothing.
    #[default]
    None,
    /// An unsigned integer of 1, 2, 4 or 8 bytes.
    Unsigned(u8),
    /// A signed integer of 1, 2, 4 or 8 bytes.
    Signed(u8),
    /// So many of the same, one behind the other.
    Array(Box<Layout>, u32),
    /// Named fields, laid out as C does.
    Struct(String, Vec<(String, Layout)>),
}

impl Layout {
    /// Size in bytes, padding included.
    pub fn size(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Unsigned(bytes) | Self::Signed(bytes) => usize::from(*bytes),
            Self::Array(element, count) => element.size() * *count as usize,
            Self::Struct(_, fields) => {
                let end = fields
                    .iter()
                    .fold(0_usize, |at, (_, field)| at.next_multiple_of(field.align()) + field.size());
                end.next_multiple_of(self.align())
            }
        }
    }

    /// Alignment in bytes.
    pub fn align(&self) -> usize {
        match self {
            Self::None => 1,
            Self::Unsigned(bytes) | Self::Signed(bytes) => usize::from(*bytes).max(1),
            Self::Array(element, _) => element.align(),
            Self::Struct(_, fields) => fields.iter().map(|(_, field)| field.align()).max().unwrap_or(1),
        }
    }
}
