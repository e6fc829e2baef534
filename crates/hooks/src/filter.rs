//! A filter loaded into the kernel.

use aya::{
    Ebpf,
    programs::{Program, ProgramInfo},
};
use weir_asm::{
    Code,
    maps::{MapShape, MapSpec},
};
use weir_filters::{Filter, FilterName, Hook, Parameter, Site, Toolkit};

use crate::{
    HookError, Map, ObjectFile, ParameterMap, ProgramType, loader,
    maps::Copies,
    objects::{self, Loadable},
    place::Place,
    program_type,
};

/// A filter loaded into the kernel; unloaded when dropped, unless it is attached still.
pub struct KernelFilter {
    /// How it is called in messages: the filter's name, or the object's.
    what: String,
    pub(crate) ebpf: Ebpf,
    program: String,
    pub(crate) site: Site,
    place: &'static Place,
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

impl From<&ProgramInfo> for ProgramFacts {
    fn from(info: &ProgramInfo) -> Self {
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
    pub fn load(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<Self, HookError> {
        Self::load_object(filter, objects::of(filter, toolkit, site)?, true, site)
    }

    /// Loads the filter from an ELF object that somebody else made: `program` must be of the type that the site's hook
    /// takes, and its maps must have the names and layouts of [`weir_wire::maps`]; the filter's and the site's
    /// constants are set where it has them. `object` is aligned to 4 bytes.
    pub fn load_from(filter: Filter, object: &[u8], program: &str, site: &Site) -> Result<Self, HookError> {
        let constants = objects::constants(filter, site);
        let object = Loadable { elf: object.into(), program: program.into(), constants };
        Self::load_object(filter, object, false, site)
    }

    fn load_object(
        filter: Filter,
        object: Loadable<'_>,
        has_constants: bool,
        site: &Site,
    ) -> Result<Self, HookError> {
        let Loadable { elf, program, constants } = object;
        let mut loader = loader::without_kernel_btf();
        for constant in &constants {
            loader.override_global(constant.name, &*constant.bytes, has_constants);
        }
        let ebpf = loader.load(&elf).map_err(|error| HookError::object(filter.name.as_str(), error))?;
        let loaded = Self::load_program(filter.name.to_string(), ebpf, program.into_owned(), site)?;
        if filter.has_changeable_parameter() {
            loaded.parameter_map()?.set(filter.parameter)?;
        }
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

    fn load_program(what: String, ebpf: Ebpf, program: String, site: &Site) -> Result<Self, HookError> {
        let place = Place::of(site.hook)?;
        let mut loaded = Self { what, ebpf, program, site: *site, place };
        let found = ProgramType::of(loaded.program()?);
        if found != Some(place.program_type) {
            let found = found.map_or("another", ProgramType::name);
            let reason =
                format!("it is of type {found}, and hook {} takes {}", site.hook, place.program_type);
            return Err(loaded.other("loading", reason));
        }
        let program = loaded.ebpf.program_mut(&loaded.program).expect("it was found above");
        program_type::load(program).map_err(|error| HookError::program("loading", &loaded.what, error))?;
        Ok(loaded)
    }

    /// The filter's program as `toolkit` writes it for `site`, before the kernel rewrites it; the kernel isn't asked.
    pub fn written(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<Code, HookError> {
        objects::written(filter, toolkit, site)
    }

    /// The ELF object that [`Self::load`] would load, and the program's name in it: what [`Self::load_from`] takes.
    pub fn object(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<(Vec<u8>, String), HookError> {
        let Loadable { elf, program, .. } = objects::of(filter, toolkit, site)?;
        Ok((elf.into_owned(), program.into_owned()))
    }

    /// Whether this process can load socket filters here: what comes back says what it lacks.
    pub fn probe() -> Result<(), HookError> {
        Self::load(FilterName::Simple.into(), Hook::Socket.default_toolkit(), &Site::socket()).map(drop)
    }

    /// What the kernel says of the program.
    pub fn facts(&self) -> Result<ProgramFacts, HookError> {
        Ok(ProgramFacts::from(&self.info()?))
    }

    /// A handle on the map that holds the parameter, to change it while the program runs. It lives on its own.
    pub fn parameter_map(&self) -> Result<ParameterMap, HookError> {
        ParameterMap::of(self)
    }

    /// A handle on the map of that declaration. It lives on its own.
    ///
    /// # Errors
    /// The filter has no such map, or one of another kind or of other sizes.
    pub fn map<S: MapShape>(&self, spec: MapSpec<S>) -> Result<Map<S>, HookError>
    where
        S::Copies: Copies<S::Key, S::Value>,
    {
        Ok(Map::of(&self.ebpf, spec)?)
    }

    /// Where it was loaded for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn place(&self) -> &'static Place {
        self.place
    }

    pub(crate) fn info(&self) -> Result<ProgramInfo, HookError> {
        self.program()?.info().map_err(|error| self.program_error("asking the kernel", error))
    }

    pub(crate) fn program(&self) -> Result<&Program, HookError> {
        let missing = || self.other("opening", format!("its object has no program '{}'", self.program));
        self.ebpf.program(&self.program).ok_or_else(missing)
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn program_error(&self, doing: &'static str, error: aya::programs::ProgramError) -> HookError {
        HookError::program(doing, &self.what, error)
    }

    pub(crate) fn other(&self, doing: &'static str, reason: String) -> HookError {
        HookError::Other { doing, what: self.what.clone(), reason }
    }
}
