//! A filter loaded into the kernel.

use std::{path::PathBuf, sync::Arc};

use aya::{
    Ebpf,
    programs::{Program, ProgramInfo},
};
use weir_asm::{
    Code,
    maps::{MapShape, MapSpec},
    read_elf,
};
use weir_filters::{Combination, Filter, FilterName, Hook, Parameter, Site, Toolkit, cbpf};
use weir_guard::meaning::Service;

use crate::{
    Capability, HookError, Map, ObjectFile, Pins, ProgramType,
    classic::ClassicProgram,
    features, loader,
    maps::Copies,
    objects::{self, Loadable},
    program_type,
};

/// A filter loaded into the kernel; unloaded when dropped, unless it is attached still.
pub struct KernelFilter {
    /// How it is called in messages: the filter's name, or the object's.
    pub(crate) what: String,
    /// What it decides, where it has the maps for that.
    pub(crate) filter: Option<Filter>,
    /// The service that it guards, where it is a guard's program.
    pub(crate) service: Option<Arc<Service>>,
    pub(crate) loaded: Loaded,
    /// Where its links are kept, where they are.
    pub(crate) pins: Option<Arc<Pins>>,
    pub(crate) site: Site,
    pub(crate) program_type: ProgramType,
    /// Whether it tells packets of several datagrams as [`Site::gso`] says.
    pub(crate) reads_gso: bool,
    /// Whether it picks a worker as [`Site::workers`] says.
    pub(crate) picks_workers: bool,
}

/// What of a filter is loaded.
pub(crate) enum Loaded {
    /// A program of an object, with the object's maps.
    Object { ebpf: Ebpf, program: String },
    /// Classic BPF, which the kernel gets only when it is attached.
    Classic(ClassicProgram),
}

/// What the kernel says of a loaded program (`bpf_prog_info`, include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// The kernel's id for it, as `bpftool prog` lists it.
    pub id: u32,
    /// Size after the verifier's rewriting, bytes (8 an instruction); kernels may hide it.
    pub translated_bytes: Option<u32>,
    /// Size of the machine code, bytes; 0 where the JIT is off.
    pub jited_bytes: u32,
    /// Instructions that the verifier walked through (Linux 5.16).
    pub verified_instructions: Option<u32>,
}

const CLASSIC_HAS_NO_MAPS: &str = "classic BPF has none; another toolkit's program has";

const CLASSIC_HAS_NO_DESCRIPTOR: &str = "the kernel gives no descriptor of classic BPF, so that it can't be asked about it \
                                         and can't run it on given bytes (BPF_PROG_TEST_RUN); attach it and send packets";

impl From<ProgramInfo> for ProgramFacts {
    fn from(info: ProgramInfo) -> Self {
        Self {
            id: info.id(),
            translated_bytes: info.size_translated(),
            jited_bytes: info.size_jitted(),
            verified_instructions: info.verified_instruction_count(),
        }
    }
}

impl KernelFilter {
    /// Loads the filter's program, written with `toolkit` for `site`: verified, not yet attached.
    ///
    /// Needs root, or CAP_BPF alone at the socket and CAP_NET_ADMIN too elsewhere. Minimum kernel 5.8 for CAP_BPF;
    /// [`Hook`] says which each hook needs; map definitions in BTF are from 4.18.
    ///
    /// Classic BPF (`cbpf`) needs nothing: the kernel gets, checks and translates it when it is attached. It has no maps,
    /// and the kernel gives no descriptor of it: what asks for either says so.
    pub fn load(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<Self, HookError> {
        if toolkit != Toolkit::Cbpf {
            let site = &features::fit(site, filter);
            let loaded = Self::load_object(filter, objects::of(filter, toolkit, site)?, true, site, &[])?;
            return Ok(loaded.written_with(toolkit));
        }
        let unavailable = |gap| HookError::Unavailable { what: filter.to_string(), gap };
        objects::loadable(filter, toolkit, site.hook).map_err(unavailable)?;
        Self::load_classic(filter, &cbpf::program(filter).map_err(unavailable)?, site)
    }

    /// The same from classic instructions that somebody else made.
    ///
    /// # Errors
    /// The site's hook takes no classic BPF.
    pub fn load_classic(
        filter: Filter,
        program: &[cbpf::ClassicInsn],
        site: &Site,
    ) -> Result<Self, HookError> {
        let what = filter.to_string();
        let combination = Combination { filter: filter.name, toolkit: Toolkit::Cbpf, hook: site.hook };
        match objects::available(combination) {
            Ok(()) => Self::of(what, Loaded::Classic(ClassicProgram::new(program)), site),
            Err(gap) => Err(HookError::Unavailable { what, gap }),
        }
    }

    fn of(what: String, loaded: Loaded, site: &Site) -> Result<Self, HookError> {
        Ok(Self {
            what,
            filter: None,
            service: None,
            pins: None,
            loaded,
            site: *site,
            program_type: type_at(site.hook)?,
            reads_gso: false,
            picks_workers: false,
        })
    }

    /// Loads the filter from an ELF object that somebody else made: `program` must be of the type that the site's hook
    /// takes, and its maps must have the names and layouts of [`weir_wire::maps`]; the filter's and the site's
    /// constants are set where it has them. `object` is aligned to 4 bytes.
    pub fn load_from(filter: Filter, object: &[u8], program: &str, site: &Site) -> Result<Self, HookError> {
        let constants = objects::constants(filter, site);
        let object = Loadable { elf: object.into(), program: program.into(), constants };
        Self::load_object(filter, object, false, site, &[])
    }

    /// Maps of `places` are those that are there already.
    pub(crate) fn load_object(
        filter: Filter,
        object: Loadable<'_>,
        has_constants: bool,
        site: &Site,
        places: &[(&'static str, PathBuf)],
    ) -> Result<Self, HookError> {
        let Loadable { elf, program, constants } = object;
        let mut loader = loader::without_kernel_btf();
        for (name, bytes) in &constants {
            loader.override_global(name, bytes.as_slice(), has_constants);
        }
        for (name, room) in objects::rooms(filter, site) {
            loader.map_max_entries(name, room);
        }
        for (name, place) in places {
            loader.map_pin_path(name, place);
        }
        let ebpf = loader.load(&elf).map_err(|error| HookError::object(filter.name.as_str(), &error))?;
        let mut loaded = Self::load_program(filter.to_string(), ebpf, program.into_owned(), site)?;
        loaded.filter = Some(filter);
        loaded.set_parameters(filter)?;
        Ok(loaded)
    }

    /// Loads a program of somebody's object for a socket; [`ObjectFile::socket_filter`] says whether it fits. Its maps
    /// keep what the object says, but for the parameter where one is given.
    ///
    /// Needs root, or what the program's helpers need; CAP_BPF at least.
    pub fn load_file(
        object: &ObjectFile,
        program: &str,
        parameter: Option<Parameter>,
    ) -> Result<Self, HookError> {
        let what = format!("{program} of {}", object.name());
        let loaded = Self::load_program(what, object.open()?, program.to_owned(), &Site::socket())?;
        if let Some(parameter) = parameter {
            loaded.parameter_map()?.set(parameter)?;
        }
        Ok(loaded)
    }

    pub(crate) fn load_program(
        what: String,
        mut ebpf: Ebpf,
        program: String,
        site: &Site,
    ) -> Result<Self, HookError> {
        let wanted = type_at(site.hook)?;
        let other = |reason| HookError::Other { doing: "loading", what: what.clone(), reason };
        let found = ebpf
            .program_mut(&program)
            .ok_or_else(|| other(format!("its object has no program '{program}'")))?;
        let program_type = ProgramType::of(found);
        if program_type != Some(wanted) {
            let name = program_type.map_or("another", ProgramType::name);
            return Err(other(format!("it is of type {name}, and hook {} takes {wanted}", site.hook)));
        }
        let loaded = program_type::load(found);
        loaded.map_err(|error| HookError::program("loading", &what, wanted.needed(), error))?;
        Self::of(what, Loaded::Object { ebpf, program }, site)
    }

    pub(crate) fn written_with(self, toolkit: Toolkit) -> Self {
        let is_fun = toolkit == Toolkit::Fun;
        let Site { hook, gso, workers, .. } = self.site;
        Self {
            reads_gso: is_fun && gso.is_some(),
            picks_workers: hook == Hook::Reuseport && workers > 1,
            ..self
        }
    }

    /// The filter's program as `toolkit` writes it for `site`, before the kernel rewrites it, with the functions that it
    /// calls behind it; the kernel isn't asked.
    pub fn written(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<Code, HookError> {
        let loadable = objects::of(filter, toolkit, site)?;
        let object = read_elf(&loadable.elf).and_then(|file| file.object());
        let object = object.map_err(|error| HookError::object(filter.name.to_string(), &error))?;
        let program = object.programs.into_iter().find(|program| program.name == loadable.program);
        Ok(program.expect("objects::of names a program of its object").code)
    }

    /// The ELF object that [`Self::load`] would load on this kernel, and the program's name in it: what [`Self::load_from`]
    /// takes.
    pub fn object(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<(Vec<u8>, String), HookError> {
        let Loadable { elf, program, .. } = objects::of(filter, toolkit, &features::fit(site, filter))?;
        Ok((elf.into_owned(), program.into_owned()))
    }

    /// What the machine or this process lacks to load socket filters, in a line.
    pub fn lack() -> Option<String> {
        Self::probe().err()?.lack()
    }

    /// Whether this process can load socket filters here: what comes back says what it lacks.
    pub fn probe() -> Result<(), HookError> {
        Self::load(FilterName::Simple.into(), Hook::Socket.default_toolkit(), &Site::socket()).map(drop)
    }

    /// What the kernel says of the program.
    pub fn facts(&self) -> Result<ProgramFacts, HookError> {
        Ok(self.info()?.into())
    }

    /// A handle on the map of that declaration. It lives on its own.
    ///
    /// # Errors
    /// The filter has no such map, or one of another kind or of other sizes.
    pub fn map<S: MapShape>(&self, spec: MapSpec<S>) -> Result<Map<S>, HookError>
    where
        S::Copies: Copies<S::Key, S::Value>,
    {
        let ebpf = self.ebpf().ok_or_else(|| self.other("opening a map", CLASSIC_HAS_NO_MAPS.to_owned()))?;
        Ok(Map::of(ebpf, spec)?)
    }

    /// Whether the kernel can be asked about it, as [`Toolkit::can_be_asked`] says.
    pub fn can_be_asked(&self) -> bool {
        self.ebpf().is_some()
    }

    /// What it decides; nothing is known of somebody's own program.
    pub fn filter(&self) -> Option<Filter> {
        self.filter
    }

    /// Where it was loaded for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn info(&self) -> Result<ProgramInfo, HookError> {
        self.program()?.info().map_err(|error| self.program_error("asking the kernel", error))
    }

    pub(crate) fn program(&self) -> Result<&Program, HookError> {
        match &self.loaded {
            Loaded::Object { ebpf, program } => Ok(ebpf.program(program).expect("it was found to be loaded")),
            Loaded::Classic(_) => Err(self.other("asking the kernel", CLASSIC_HAS_NO_DESCRIPTOR.to_owned())),
        }
    }

    /// The object that it was loaded from; classic BPF has none.
    pub(crate) fn ebpf(&self) -> Option<&Ebpf> {
        match &self.loaded {
            Loaded::Object { ebpf, .. } => Some(ebpf),
            Loaded::Classic(_) => None,
        }
    }

    /// The capabilities that loading and attaching its program take.
    pub(crate) fn needed(&self) -> &'static [Capability] {
        self.program_type.needed()
    }

    pub(crate) fn program_error(&self, doing: &'static str, error: aya::programs::ProgramError) -> HookError {
        HookError::program(doing, &self.what, self.needed(), error)
    }

    pub(crate) fn other(&self, doing: &'static str, reason: String) -> HookError {
        HookError::Other { doing, what: self.what.clone(), reason }
    }
}

/// The type of the programs at a hook of the kernel.
fn type_at(hook: Hook) -> Result<ProgramType, HookError> {
    ProgramType::at(hook).ok_or_else(|| HookError::Other {
        doing: "loading",
        what: format!("a program for hook {hook}"),
        reason: "the kernel has none there: it is the server's own loop".to_owned(),
    })
}
