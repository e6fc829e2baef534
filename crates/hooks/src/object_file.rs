//! An object file that anyone made, looked into before the kernel hears of it: its programs, and whether its maps fit.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use aya::Ebpf;
use aya_obj::{
    Object, ProgramSection,
    generated::bpf_map_type::{self, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY},
    maps::PinningType,
};
use weir_asm::{Call, ElfFile, Endian, Insn, MapDef, read_elf, text::nearest};
use weir_wire::maps::{CAPTURE, COUNTER, Capture, PARAMETER, VERDICTS};

use crate::{Direction, HookError, ProgramType, loader, maps::untyped, section_names};

/// An ELF object whose programs and maps are known; nothing of it is in the kernel yet.
pub struct ObjectFile {
    name: String,
    elf: Vec<u8>,
    file: ElfFile,
    needs_kernel_btf: bool,
    programs: Vec<SectionProgram>,
    maps: BTreeMap<String, DeclaredShape>,
    definitions: Vec<MapDef>,
    writes_trace_lines: bool,
}

/// A program of an object file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SectionProgram {
    name: String,
    section: String,
    /// As aya reads the section's name, in lower case.
    kind: String,
    program_type: Option<ProgramType>,
}

/// What must be the same for a map to be read as one of ours (struct bpf_map_def; sizes in bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeclaredShape {
    kind: u32,
    key: u32,
    value: u32,
}

/// The maps that servers read, as [`weir_wire::maps`] describes them.
const OURS: [(&str, DeclaredShape); 4] = [
    (VERDICTS, DeclaredShape::one(BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<[u64; 2]>())),
    (PARAMETER, DeclaredShape::one(BPF_MAP_TYPE_ARRAY, size_of::<u32>())),
    (COUNTER, DeclaredShape::one(BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<u64>())),
    (CAPTURE, DeclaredShape::one(BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<Capture>())),
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
        if file.endian != Endian::NATIVE {
            let order = if file.endian == Endian::Big { "big" } else { "little" };
            return Err(unfit(format!("it is {order}-endian; build it for this machine's byte order")));
        }
        let writes_trace_lines = writes_trace_lines(&file);
        let elf = section_names::for_aya(&elf).into_owned();
        let object = guarded(name, || Object::parse(&elf))?;
        let object = object.map_err(|error| unfit(format!("reading it: {error}")))?;
        if let Some((map, _)) = object.maps.iter().find(|(_, map)| map.pinning() != PinningType::None) {
            let remedy = "weir leaves nothing behind: declare the map without pinning";
            return Err(unfit(format!("its map '{map}' is to be pinned in bpffs; {remedy}")));
        }
        let mut programs: Vec<_> = object
            .programs
            .iter()
            .map(|(name, program)| SectionProgram::new(&file, name, &program.section))
            .collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        let maps = object.maps.iter().map(|(name, map)| (name.clone(), DeclaredShape::of(map)));
        let maps: BTreeMap<_, _> = maps.collect();
        let definitions = maps.keys().filter_map(|name| definition(&file, name, &object.maps[name]));
        let definitions = definitions.collect();
        let needs_kernel_btf = object.has_btf_relocations();
        let name = name.to_owned();
        Ok(Self { name, elf, file, needs_kernel_btf, programs, maps, definitions, writes_trace_lines })
    }

    /// The same of what was assembled, for this machine.
    ///
    /// # Errors
    /// What can't be written as an object, and as [`ObjectFile::read`].
    pub fn assembled(name: &str, object: &weir_asm::Object) -> Result<Self, HookError> {
        let elf = object.to_elf(Endian::NATIVE);
        Self::read(name, elf.map_err(|error| HookError::object(name, &error))?)
    }

    /// What is in it, with the section names that it had.
    pub(crate) fn file(&self) -> &ElfFile {
        &self.file
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
        self.choose(wanted, &SOCKET_FILTERS).map(|program| &*program.name)
    }

    /// The program that is meant, if [`AnyProgram::attach`](crate::AnyProgram::attach) can attach it; where no name is
    /// given, the only one that it can.
    ///
    /// # Errors
    /// As those of [`ObjectFile::socket_filter`].
    pub fn attachable(&self, wanted: Option<&str>) -> Result<Attachable<'_>, HookError> {
        let program = self.choose(wanted, &ATTACHABLE)?;
        let program_type = program.program_type.expect("it was chosen by it");
        Ok(Attachable { name: &program.name, program_type, section: &program.section })
    }

    /// Its maps, by name; of those of kinds that [`weir_asm::MapKind`] hasn't nothing is known.
    pub fn maps(&self) -> &[MapDef] {
        &self.definitions
    }

    /// Whether a program of it calls what writes lines into the kernel's trace buffer (`bpf_trace_printk`,
    /// `bpf_trace_vprintk`).
    pub fn writes_trace_lines(&self) -> bool {
        self.writes_trace_lines
    }

    fn choose(&self, wanted: Option<&str>, choice: &ProgramUse) -> Result<&SectionProgram, HookError> {
        let fits = |program: &&SectionProgram| {
            program.program_type.is_some_and(|program_type| choice.types.contains(&program_type))
        };
        let fitting: Vec<_> = self.programs.iter().filter(fits).collect();
        let remedy = || match fitting[..] {
            [] => choice.remedy.to_owned(),
            [first, ..] => format!("choose another, such as --program {}", first.name),
        };
        let Some(wanted) = wanted else {
            return match fitting[..] {
                [only] => Ok(only),
                [] if self.programs.is_empty() => Err(self.unfit("it has no program")),
                [] => Err(self.unfit(&format!("it has no {}; {}", choice.what, remedy()))),
                _ => Err(self.unfit(&format!("it has several {}; name one with --program", choice.several))),
            };
        };
        match self.programs.iter().find(|program| program.name == wanted) {
            Some(program) if fits(&program) => Ok(program),
            Some(program) => {
                let found = format!("'{}' is of type {}, {}", program.name, program.kind, choice.refusal);
                Err(self.unfit(&format!("{found}; {}", remedy())))
            }
            None if self.programs.is_empty() => Err(self.unfit("it has no program")),
            None => {
                let names = self.programs.iter().map(|program| &*program.name);
                let meant = nearest(wanted, names).map(|name| format!("; did you mean '{name}'?"));
                Err(self.unfit(&format!("it has no program '{wanted}'{}", meant.unwrap_or_default())))
            }
        }
    }

    /// Whether it has a map of that name of [`weir_wire::maps`].
    ///
    /// # Errors
    /// It has one of the name that is laid out otherwise.
    pub fn has_map(&self, name: &str) -> Result<bool, HookError> {
        let Some(shape) = self.maps.get(name) else { return Ok(false) };
        match OURS.iter().find(|(ours, _)| *ours == name) {
            Some((_, wanted)) if shape != wanted => Err(self.unfit_map(&format!(
                "its map '{name}' is {shape}, and weir reads {wanted} there; declare it so, or give it another name"
            ))),
            _ => Ok(true),
        }
    }

    /// Why it can't be served behind: `server` needs a map that it lacks.
    pub fn lacks_map(&self, server: &str, name: &str) -> HookError {
        let wanted = OURS.iter().find(|(ours, _)| *ours == name);
        let wanted = wanted.map_or_else(String::new, |(_, layout)| format!(" ({layout})"));
        let names: Vec<_> = self.maps.keys().map(String::as_str).collect();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        self.unfit_map(&format!(
            "{server} needs a map '{name}'{wanted}, and its maps are: {has}; declare one, or serve with --server \
             simple-server"
        ))
    }

    /// Makes its maps and gives its programs to aya, not yet to the kernel.
    pub(crate) fn open(&self) -> Result<Ebpf, HookError> {
        let mut loader = loader::fit_for(self.needs_kernel_btf);
        guarded(&self.name, || loader.load(&self.elf))?.map_err(|error| HookError::object(&self.name, &error))
    }

    /// Names all that it holds.
    fn unfit(&self, reason: &str) -> HookError {
        let programs = self.programs.iter().map(SectionProgram::to_string).collect::<Vec<_>>().join(", ");
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

/// What a program is chosen for.
struct ProgramUse {
    types: &'static [ProgramType],
    what: &'static str,
    several: &'static str,
    refusal: &'static str,
    remedy: &'static str,
}

const SOCKET_FILTERS: ProgramUse = ProgramUse {
    types: &[ProgramType::Socket],
    what: "socket filter",
    several: "socket filters",
    refusal: "which no socket takes",
    remedy: "write it as a socket filter, in a section \"socket\"",
};

const ATTACHABLE: ProgramUse = ProgramUse {
    types: &ProgramType::ATTACHED,
    what: "program to attach",
    several: "programs to attach",
    refusal: "which weir attaches nowhere",
    remedy: "sections say the type: tracepoint/CATEGORY/NAME, socket, tc or tcx/ingress, xdp, cgroup_skb/ingress",
};

/// A program that can be attached, as its object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachable<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub program_type: ProgramType,
    section: &'a str,
}

impl<'a> Attachable<'a> {
    /// The tracepoint that its section names, category and name: `tracepoint/syscalls/sys_enter_recvfrom`, `tp/…`.
    pub fn tracepoint(&self) -> Option<(&'a str, &'a str)> {
        let (_, point) =
            self.section.split_once('/').filter(|_| self.program_type == ProgramType::TracePoint)?;
        point.split_once('/')
    }

    /// The way of packets that its section names: `tcx/egress`, `cgroup_skb/ingress`.
    pub fn direction(&self) -> Option<Direction> {
        let mut parts = self.section.split('/').skip(1);
        parts.find_map(|part| Direction::ALL.into_iter().find(|direction| direction.as_str() == part))
    }
}

/// The helpers that write lines (include/uapi/linux/bpf.h).
const TRACE_PRINTK: i32 = 6;
const TRACE_VPRINTK: i32 = 177;

fn writes_trace_lines(file: &ElfFile) -> bool {
    let writes = |insn: &Insn| matches!(insn, Insn::Call(Call::Helper(TRACE_PRINTK | TRACE_VPRINTK)));
    file.sections.iter().any(|section| section.code.insns().iter().any(writes))
}

/// The map's definition, where its kind is known; a side without a type in BTF is an integer where it has the size of one.
fn definition(file: &ElfFile, name: &str, map: &aya_obj::Map) -> Option<MapDef> {
    let mut found = file.maps.iter().find(|map| map.name == name)?.clone();
    let (key, value) = match map {
        aya_obj::Map::Btf(map) => (map.def.btf_key_type_id, map.def.btf_value_type_id),
        aya_obj::Map::Legacy(_) => (0, 0),
    };
    if key == 0 || found.key.size() != map.key_size() as usize {
        found.key = untyped(map.key_size());
    }
    if value == 0 || found.value.size() != map.value_size() as usize {
        found.value = untyped(map.value_size());
    }
    Some(found)
}

/// aya's reader takes headers for what they say; what contradicts itself may end in a panic of it, which is reported as
/// the error that it is.
pub(crate) fn guarded<T>(name: &str, read: impl FnOnce() -> T) -> Result<T, HookError> {
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

impl SectionProgram {
    fn new(file: &ElfFile, name: &str, kind: &ProgramSection) -> Self {
        let has = |section: &&weir_asm::CodeSection| section.symbols.iter().any(|found| *found.name == *name);
        let debug = format!("{kind:?}").to_lowercase();
        Self {
            name: name.to_owned(),
            section: file.sections.iter().find(has).map(|section| section.name.clone()).unwrap_or_default(),
            kind: debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned(),
            program_type: ProgramType::of_section(kind),
        }
    }
}

impl fmt::Display for SectionProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, section {:?})", self.name, self.kind, self.section)
    }
}

impl DeclaredShape {
    const fn one(kind: bpf_map_type, value: usize) -> Self {
        Self { kind: kind as u32, key: size_of::<u32>() as u32, value: value as u32 }
    }

    fn of(map: &aya_obj::Map) -> Self {
        Self { kind: map.map_type(), key: map.key_size(), value: map.value_size() }
    }
}

impl fmt::Display for DeclaredShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = bpf_map_type::try_from(self.kind).map_or_else(
            |_| format!("map of type {}", self.kind),
            |kind| format!("{kind:?}").replace("BPF_MAP_TYPE_", "").to_lowercase(),
        );
        write!(f, "{name} with keys of {} and values of {} bytes", self.key, self.value)
    }
}
