//! A filter loaded into the kernel.

use std::os::fd::AsFd;

use aya::{
    Ebpf,
    programs::{ProgramInfo, SocketFilter},
};
use weir_asm::{
    Code,
    maps::{MapShape, MapSpec},
};
use weir_filters::{Filter, FilterName, Hook, Parameter, Toolkit};

use crate::{
    Attached, HookError, Map, ObjectFile, ParameterMap, loader,
    maps::Copies,
    objects::{self, Loadable},
};

/// A filter loaded into the kernel; unloaded when dropped, unless it is attached still.
pub struct KernelFilter {
    /// How it is called in messages: the filter's name, or the object's.
    what: String,
    pub(crate) ebpf: Ebpf,
    program: String,
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
    /// Loads the filter's program, written with `toolkit`, as a socket filter: verified, not yet attached.
    ///
    /// Needs root, or CAP_BPF alone. Minimum kernel 5.8 for CAP_BPF; socket filters are from 3.19, map
    /// definitions in BTF from 4.18.
    pub fn load(filter: Filter, toolkit: Toolkit) -> Result<Self, HookError> {
        Self::load_object(filter, objects::of(filter, toolkit)?)
    }

    /// Loads the filter from an ELF object that somebody else made: `program` must be a socket filter, and its maps
    /// must have the names and layouts of [`weir_wire::maps`]. `object` is aligned to 4 bytes.
    pub fn load_from(filter: Filter, object: &[u8], program: &str) -> Result<Self, HookError> {
        let constant = objects::constant(filter);
        Self::load_object(filter, Loadable { elf: object.into(), program: program.into(), constant })
    }

    fn load_object(filter: Filter, object: Loadable<'_>) -> Result<Self, HookError> {
        let Loadable { elf, program, constant } = object;
        let mut loader = loader::without_kernel_btf();
        if let Some((name, value)) = &constant {
            loader.override_global(name, value, true);
        }
        let ebpf = loader.load(&elf).map_err(|error| HookError::object(filter.name.as_str(), error))?;
        let mut loaded = Self { what: filter.name.to_string(), ebpf, program: program.into_owned() };
        loaded.load_program()?;
        if filter.has_changeable_parameter() {
            loaded.parameter_map()?.set(filter.parameter)?;
        }
        Ok(loaded)
    }

    /// Loads a program of somebody's object; [`ObjectFile::socket_filter`] says whether it fits. Its maps keep what the
    /// object says, but for the parameter where one is given.
    ///
    /// Needs root, or what the program's helpers need; CAP_BPF at least.
    pub fn load_file(
        object: &ObjectFile,
        program: &str,
        parameter: Option<Parameter>,
    ) -> Result<Self, HookError> {
        let what = format!("{program} of {}", object.name());
        let mut loaded = Self { what, ebpf: object.open()?, program: program.to_owned() };
        loaded.load_program()?;
        if let Some(parameter) = parameter {
            loaded.parameter_map()?.set(parameter)?;
        }
        Ok(loaded)
    }

    fn load_program(&mut self) -> Result<(), HookError> {
        self.socket_filter_mut()?.load().map_err(|error| self.program_error("loading", error))
    }

    /// The filter's program as `toolkit` writes it, before the kernel rewrites it; the kernel isn't asked.
    pub fn written(filter: Filter, toolkit: Toolkit) -> Result<Code, HookError> {
        objects::written(filter, toolkit)
    }

    /// Whether this process can load socket filters here: what comes back says what it lacks.
    pub fn probe() -> Result<(), HookError> {
        Self::load(Filter::from(FilterName::Simple), Hook::Socket.default_toolkit()).map(drop)
    }

    /// Attaches the program to a socket, where it decides from the next packet on. A socket has one slot: what was
    /// attached before is replaced.
    pub fn attach<S: AsFd>(&self, socket: S) -> Result<Attached<S>, HookError> {
        self.socket_filter()?
            .attach(socket.as_fd())
            .map_err(|error| self.program_error("attaching", error))?;
        Ok(Attached::new(socket))
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

    pub(crate) fn info(&self) -> Result<ProgramInfo, HookError> {
        self.socket_filter()?.info().map_err(|error| self.program_error("asking the kernel", error))
    }

    pub(crate) fn socket_filter(&self) -> Result<&SocketFilter, HookError> {
        let program = self.ebpf.program(&self.program).ok_or_else(|| self.no_program())?;
        program.try_into().map_err(|error| self.program_error("opening", error))
    }

    fn socket_filter_mut(&mut self) -> Result<&mut SocketFilter, HookError> {
        let missing = self.no_program();
        let program = self.ebpf.program_mut(&self.program).ok_or(missing)?;
        program.try_into().map_err(|error| HookError::program("opening", &self.what, error))
    }

    fn no_program(&self) -> HookError {
        self.other("opening", format!("its object has no program '{}'", self.program))
    }

    pub(crate) fn program_error(&self, doing: &'static str, error: aya::programs::ProgramError) -> HookError {
        HookError::program(doing, &self.what, error)
    }

    fn other(&self, doing: &'static str, reason: String) -> HookError {
        HookError::Other { doing, what: self.what.clone(), reason }
    }
}
