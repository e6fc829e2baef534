//! An object file that anyone made, looked into before the kernel hears of it: its programs, and whether its maps fit.

use std::{
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use aya::{Ebpf, EbpfLoader};
use aya_obj::{
    Object, ProgramSection,
    generated::bpf_map_type::{self, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY},
    maps::PinningType,
};
use weir_asm::{ElfFile, Endian, read_elf, text::nearest};
use weir_wire::maps::{CAPTURE, COUNTER, Capture, PARAMETER, VERDICTS};

use crate::{HookError, loader, objects::NATIVE};

/// An ELF object whose programs and maps are known; nothing of it is in the kernel yet.
pub struct ObjectFile {
    name: String,
    elf: Vec<u8>,
    needs_kernel_btf: bool,
    programs: Vec<ObjectProgram>,
    maps: Vec<ObjectMap>,
}

/// A program of an object file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ObjectProgram {
    name: String,
    section: String,
    /// As aya reads the section's name, in lower case.
    kind: String,
    is_socket_filter: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ObjectMap {
    name: String,
    layout: Layout,
}

/// What must be the same for a map to be read as one of ours (struct bpf_map_def; sizes in bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    kind: u32,
    key: u32,
    value: u32,
}

/// The maps that servers read, as [`weir_wire::maps`] describes them.
const OURS: [(&str, Layout); 4] = [
    (VERDICTS, Layout::one(BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<[u64; 2]>())),
    (PARAMETER, Layout::one(BPF_MAP_TYPE_ARRAY, size_of::<u32>())),
    (COUNTER, Layout::one(BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<u64>())),
    (CAPTURE, Layout::one(BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<Capture>())),
];

impl ObjectFile {
    /// Looks into `elf`, whatever it is; `name` is for messages. The kernel isn't asked.
    ///
    /// # Errors
    /// Bytes that are no object, or that contradict themselves; an object of the other byte order; maps that would
    /// outlive the server, because they are pinned.
    pub fn read(name: &str, elf: Vec<u8>) -> Result<Self, HookError> {
        let unfit = |reason: String| HookError::Unfit { what: name.to_owned(), reason };
        if !elf.starts_with(b"\x7fELF") {
            let remedy = "`weir asm FILE --elf -o OUT` makes one of a text";
            return Err(unfit(format!("it is no ELF object; {remedy}")));
        }
        let file = read_elf(&elf).map_err(|error| unfit(error.to_string()))?;
        if file.endian != NATIVE {
            return Err(unfit(format!(
                "it is {}; build it for this machine's byte order",
                order(file.endian)
            )));
        }
        let object = guarded(name, || Object::parse(&elf))?;
        let object = object.map_err(|error| unfit(format!("reading it: {error}")))?;
        if let Some((map, _)) = object.maps.iter().find(|(_, map)| map.pinning() != PinningType::None) {
            let remedy = "weir leaves nothing behind: declare the map without pinning";
            return Err(unfit(format!("its map '{map}' is to be pinned in bpffs; {remedy}")));
        }
        let mut programs: Vec<_> = object
            .programs
            .iter()
            .map(|(name, program)| ObjectProgram::new(&file, name, &program.section))
            .collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        let mut maps: Vec<_> = object
            .maps
            .iter()
            .map(|(name, map)| ObjectMap {
                name: name.clone(),
                layout: Layout { kind: map.map_type(), key: map.key_size(), value: map.value_size() },
            })
            .collect();
        maps.sort_by(|a, b| a.name.cmp(&b.name));
        let needs_kernel_btf = object.has_btf_relocations();
        Ok(Self { name: name.to_owned(), needs_kernel_btf, programs, maps, elf })
    }

    /// How it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program that is meant, if a socket can take it; where no name is given, the only one that it can.
    ///
    /// # Errors
    /// No such program (the nearest is suggested), one of another type, or several to choose from; each names what
    /// the file holds.
    pub fn socket_filter(&self, wanted: Option<&str>) -> Result<&str, HookError> {
        let fitting: Vec<_> = self.programs.iter().filter(|program| program.is_socket_filter).collect();
        let chosen = match wanted {
            Some(wanted) => self.programs.iter().find(|program| program.name == wanted),
            None => match fitting[..] {
                [only] => return Ok(&only.name),
                [] => None,
                _ => return Err(self.unfit("it has several socket filters; name one with --program")),
            },
        };
        match chosen {
            Some(program) if program.is_socket_filter => Ok(&program.name),
            Some(program) => {
                let found = format!("'{}' is of type {}, which no socket takes", program.name, program.kind);
                Err(self.unfit(&format!("{found}; {}", remedy(&fitting))))
            }
            None if self.programs.is_empty() => Err(self.unfit("it has no program")),
            None => Err(self.unfit(&match wanted {
                None => format!("it has no socket filter; {}", remedy(&fitting)),
                Some(wanted) => {
                    let names = self.programs.iter().map(|program| &*program.name);
                    let meant = nearest(wanted, names).map(|name| format!("; did you mean '{name}'?"));
                    format!("it has no program '{wanted}'{}", meant.unwrap_or_default())
                }
            })),
        }
    }

    /// Whether it has a map of that name of [`weir_wire::maps`].
    ///
    /// # Errors
    /// It has one of the name that is laid out otherwise.
    pub fn has_map(&self, name: &str) -> Result<bool, HookError> {
        let Some(map) = self.maps.iter().find(|map| map.name == name) else { return Ok(false) };
        match OURS.iter().find(|(ours, _)| *ours == name) {
            Some((_, wanted)) if map.layout != *wanted => Err(self.unfit_map(&format!(
                "its map '{name}' is {}, and weir reads {wanted} there; declare it so, or give it another name",
                map.layout
            ))),
            _ => Ok(true),
        }
    }

    /// Why it can't be served behind: `server` needs a map that it lacks.
    pub fn lacks_map(&self, server: &str, name: &str) -> HookError {
        let wanted = OURS.iter().find(|(ours, _)| *ours == name);
        let wanted = wanted.map_or_else(String::new, |(_, layout)| format!(" ({layout})"));
        let names: Vec<_> = self.maps.iter().map(|map| &*map.name).collect();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        self.unfit_map(&format!(
            "{server} needs a map '{name}'{wanted}, and its maps are: {has}; declare one, or serve with --server \
             simple-server"
        ))
    }

    /// Makes its maps and gives its programs to aya, not yet to the kernel.
    pub(crate) fn open(&self) -> Result<Ebpf, HookError> {
        let mut loader = if self.needs_kernel_btf { EbpfLoader::new() } else { loader::without_kernel_btf() };
        guarded(&self.name, || loader.load(&self.elf))?.map_err(|error| HookError::object(&self.name, error))
    }

    /// Names all that it holds.
    fn unfit(&self, reason: &str) -> HookError {
        let programs = self.programs.iter().map(ObjectProgram::to_string).collect::<Vec<_>>().join(", ");
        let holds = if programs.is_empty() { String::new() } else { format!("\nit holds: {programs}") };
        self.unfit_map(&format!("{reason}{holds}"))
    }

    fn unfit_map(&self, reason: &str) -> HookError {
        HookError::Unfit { what: self.name.clone(), reason: reason.to_owned() }
    }
}

thread_local! {
    /// Whether this thread's panics are caught, and not to be printed.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

fn remedy(fitting: &[&ObjectProgram]) -> String {
    match fitting {
        [] => "write it as a socket filter, in a section \"socket\"".to_owned(),
        [first, ..] => format!("choose another, such as --program {}", first.name),
    }
}

/// aya's reader takes headers for what they say; what contradicts itself may end in a panic of it, which is reported as
/// the error that it is.
fn guarded<T>(name: &str, read: impl FnOnce() -> T) -> Result<T, HookError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic)
            }
        }));
    });
    GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    done.map_err(|_| HookError::Unfit {
        what: name.to_owned(),
        reason: "its headers contradict each other; build it again".to_owned(),
    })
}

const fn order(endian: Endian) -> &'static str {
    match endian {
        Endian::Little => "little-endian",
        Endian::Big => "big-endian",
    }
}

impl ObjectProgram {
    fn new(file: &ElfFile, name: &str, kind: &ProgramSection) -> Self {
        let has = |section: &&weir_asm::CodeSection| section.symbols.iter().any(|found| *found.name == *name);
        let debug = format!("{kind:?}").to_lowercase();
        Self {
            name: name.to_owned(),
            section: file.sections.iter().find(has).map(|section| section.name.clone()).unwrap_or_default(),
            kind: debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned(),
            is_socket_filter: matches!(kind, ProgramSection::SocketFilter),
        }
    }
}

impl fmt::Display for ObjectProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, section {:?})", self.name, self.kind, self.section)
    }
}

impl Layout {
    const fn one(kind: bpf_map_type, value: usize) -> Self {
        Self { kind: kind as u32, key: size_of::<u32>() as u32, value: value as u32 }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = bpf_map_type::try_from(self.kind).map_or_else(
            |_| format!("map of type {}", self.kind),
            |kind| format!("{kind:?}").replace("BPF_MAP_TYPE_", "").to_lowercase(),
        );
        write!(f, "{name} with keys of {} and values of {} bytes", self.key, self.value)
    }
}
