//! A program out of any object, ours or anyone's: loaded, run on bytes of our own, its maps read.

use std::time::Duration;

use aya::{
    Ebpf,
    programs::{Program, TestRunOptions},
};

use weir_asm::{
    ElfFile, MapDef,
    maps::{MapShape, MapSpec, MapType, RingBuf},
    read_elf,
};

use crate::{
    HookError, Map, ObjectFile, ProgramFacts, ProgramType, loader,
    maps::{AnyMap, Copies, Records},
    object_file::guarded,
    program_type::{self, run},
    section_names,
    test_run::behind_ethernet,
    test_run::segmented,
};

/// A program loaded into the kernel, with the maps of its object; unloaded when dropped.
pub struct AnyProgram {
    name: String,
    program_type: ProgramType,
    ebpf: Ebpf,
}

/// What running a program on bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// What was left in r0.
    pub return_value: u32,
    /// Mean time of a run, as the kernel measures it; the cost of the loop around it included.
    pub mean: Duration,
}

impl AnyProgram {
    /// Makes the maps of an ELF object and loads one of its programs; the only one where no name is given.
    ///
    /// Needs root, or CAP_BPF and CAP_NET_ADMIN. Minimum kernel 4.12, for [`AnyProgram::test_run`].
    ///
    /// # Errors
    /// An object that can't be read, no such program or several to choose from, a type that can't be run on bytes,
    /// and what the verifier refuses, with its log.
    pub fn load(object: &[u8], program: Option<&str>) -> Result<Self, HookError> {
        let what = program.unwrap_or("the program");
        let file = read_elf(object).map_err(|error| HookError::object(what, &error))?;
        let object = section_names::for_aya(object);
        let mut loader = loader::fit_for(file.has_core_relocations);
        let ebpf =
            guarded(what, || loader.load(&object))?.map_err(|error| HookError::object(what, &error))?;
        let mut names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        let name = choose(&names, program).map_err(|reason| other(what, reason))?;
        Self::loaded(name, ebpf, &file, &ProgramType::RUN, not_run)
    }

    /// Makes the maps of an object and loads one of its programs, to be attached; the only one of a type that
    /// [`AnyProgram::attach`] takes where no name is given.
    ///
    /// Needs root; or CAP_BPF, with CAP_PERFMON for a tracepoint and CAP_NET_ADMIN for control groups and interfaces.
    ///
    /// # Errors
    /// As [`ObjectFile::attachable`] says, and what the verifier refuses, with its log.
    pub fn load_to_attach(object: &ObjectFile, program: Option<&str>) -> Result<Self, HookError> {
        let chosen = object.attachable(program)?;
        let not_attached = |_: &Program| "weir attaches no program of its type".to_owned();
        let (name, ebpf) = (chosen.name.to_owned(), object.open()?);
        Self::loaded(name, ebpf, object.file(), &ProgramType::ATTACHED, not_attached)
    }

    /// Goes on with another program of the object, which has the same maps.
    ///
    /// # Errors
    /// As [`AnyProgram::load`]; then it stays with the one before.
    pub fn turn_to(&mut self, program: &str) -> Result<(), HookError> {
        self.program_type = load_in(&mut self.ebpf, program, &ProgramType::RUN, not_run)?;
        program.clone_into(&mut self.name);
        Ok(())
    }

    fn loaded(
        name: String,
        mut ebpf: Ebpf,
        file: &ElfFile,
        types: &[ProgramType],
        refusal: impl FnOnce(&Program) -> String,
    ) -> Result<Self, HookError> {
        let program_type =
            load_in(&mut ebpf, &name, types, refusal).map_err(|error| error.with_line_of(file, &name))?;
        Ok(Self { name, program_type, ebpf })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn program_type(&self) -> ProgramType {
        self.program_type
    }

    /// Runs it `repeat` times on one packet, for a socket filter from the transport header on, and for the others
    /// from the Ethernet header on.
    ///
    /// # Errors
    /// What the kernel says: of frames that are shorter than a header, or longer than a page less its overhead.
    pub fn test_run(&self, data: &[u8], repeat: u32) -> Result<RunOutput, HookError> {
        self.test_run_of(data, 1, repeat)
    }

    /// [`Self::test_run`] of a packet of which the kernel says that it is `segments` datagrams; 0 and 1 are both one.
    ///
    /// # Errors
    /// Those, and of `segments` above 1 at XDP, whose programs aren't told.
    pub fn test_run_of(&self, data: &[u8], segments: u32, repeat: u32) -> Result<RunOutput, HookError> {
        let framed;
        let frame = match self.program_type {
            ProgramType::Socket => {
                framed = behind_ethernet(data);
                &framed
            }
            _ => data,
        };
        let context = (segments > 1).then(segmented);
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: context.as_deref(),
            repeat,
            ..TestRunOptions::default()
        };
        let result = run(self.program(), options).map_err(|error| {
            HookError::program("a test run", &self.name, self.program_type.needed(), error)
        })?;
        Ok(RunOutput { return_value: result.return_value, mean: result.duration })
    }

    /// What the kernel says of the program.
    pub fn facts(&self) -> Result<ProgramFacts, HookError> {
        let info = self.program().info().map_err(|error| {
            HookError::program("asking the kernel", &self.name, self.program_type.needed(), error)
        })?;
        Ok(info.into())
    }

    /// A handle on the map of that declaration. It lives on its own.
    ///
    /// # Errors
    /// The object has no such map, or one of another kind or of other sizes.
    pub fn map<S: MapShape>(&self, spec: MapSpec<S>) -> Result<Map<S>, HookError>
    where
        S::Copies: Copies<S::Key, S::Value>,
    {
        Ok(Map::of(&self.ebpf, spec)?)
    }

    /// The reading end of that ring buffer; there is one.
    ///
    /// # Errors
    /// The object has no such ring buffer, or its reading end was taken.
    pub fn take_records<V: MapType>(&mut self, spec: MapSpec<RingBuf<V>>) -> Result<Records<V>, HookError> {
        Ok(Records::of(&mut self.ebpf, spec)?)
    }

    /// A handle on the map of that definition, one of [`ObjectFile::maps`]. It lives on its own.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn map_by_definition(&self, definition: &MapDef) -> Result<AnyMap, HookError> {
        Ok(AnyMap::of(&self.ebpf, definition)?)
    }

    pub(crate) fn ebpf(&self) -> &Ebpf {
        &self.ebpf
    }

    pub(crate) fn program(&self) -> &Program {
        self.ebpf.program(&self.name).expect("it was found to be loaded")
    }

    pub(crate) fn program_mut(&mut self) -> &mut Program {
        self.ebpf.program_mut(&self.name).expect("it was found to be loaded")
    }
}

/// Loads a program unless it is loaded.
fn load_in(
    ebpf: &mut Ebpf,
    name: &str,
    types: &[ProgramType],
    refusal: impl FnOnce(&Program) -> String,
) -> Result<ProgramType, HookError> {
    let program = ebpf.program_mut(name);
    let program = program.ok_or_else(|| other(name, format!("its object has no program '{name}'")))?;
    let fitting = ProgramType::of(program).filter(|found| types.contains(found));
    let program_type = fitting.ok_or_else(|| other(name, refusal(program)))?;
    if program.fd().is_ok() {
        return Ok(program_type);
    }
    program_type::load(program).map_err(|error| match program_type {
        ProgramType::TracePoint => HookError::probe("loading", name, error),
        _ => HookError::program("loading", name, program_type.needed(), error),
    })?;
    Ok(program_type)
}

/// The program that is meant.
fn choose(names: &[String], wanted: Option<&str>) -> Result<String, String> {
    let list = names.join(", ");
    match (wanted, names) {
        (_, []) => Err("the object has no program".to_owned()),
        (Some(wanted), _) if names.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        (Some(_), _) => Err(format!("the object has no program of that name; it has {list}")),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(format!("the object has several; name one: {list}")),
    }
}

fn not_run(program: &Program) -> String {
    format!(
        "the kernel runs no program of type {:?} on given bytes (BPF_PROG_TEST_RUN); it does {}",
        program.prog_type(),
        ProgramType::RUN.map(ProgramType::name).join(", ")
    )
}

fn other(what: &str, reason: String) -> HookError {
    HookError::Other { doing: "loading", what: what.to_owned(), reason }
}
