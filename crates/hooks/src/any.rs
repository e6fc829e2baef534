//! A program out of any object, ours or anyone's: loaded, and run on bytes of our own.

use std::time::Duration;

use aya::{
    Ebpf,
    programs::{Program, ProgramInfo, TestRunOptions},
};

use weir_asm::maps::{MapShape, MapSpec, MapType, RingBuf};

use crate::{
    HookError, Map, ProgramFacts, ProgramType, loader,
    maps::{Copies, Records},
    place::behind_ethernet,
    program_type::{self, run},
};

/// A program loaded into the kernel, with the maps of its object; unloaded when dropped.
pub struct AnyProgram {
    name: String,
    program_type: ProgramType,
    ebpf: Ebpf,
}

/// What running a program on bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestRun {
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
        let mut ebpf =
            loader::fit_for(object).load(object).map_err(|error| HookError::object(what, error))?;
        let mut names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        let name = choose(&names, program).map_err(|reason| other(what, reason))?;
        let program = ebpf.program_mut(&name).ok_or_else(|| no_program(&name))?;
        let runnable = ProgramType::of(program).filter(|found| ProgramType::RUN.contains(found));
        let program_type = runnable.ok_or_else(|| other(&name, not_run(program)))?;
        program_type::load(program).map_err(|error| HookError::program("loading", &name, error))?;
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
    pub fn test_run(&self, data: &[u8], repeat: u32) -> Result<TestRun, HookError> {
        let framed;
        let frame = match self.program_type {
            ProgramType::Socket => {
                framed = behind_ethernet(data);
                &framed
            }
            _ => data,
        };
        let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::default() };
        let result = run(self.program()?, options)
            .map_err(|error| HookError::program("a test run", &self.name, error))?;
        Ok(TestRun { return_value: result.return_value, mean: result.duration })
    }

    /// What the kernel says of the program.
    pub fn facts(&self) -> Result<ProgramFacts, HookError> {
        let info: ProgramInfo = self
            .program()?
            .info()
            .map_err(|error| HookError::program("asking the kernel", &self.name, error))?;
        Ok(ProgramFacts::from(&info))
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

    fn program(&self) -> Result<&Program, HookError> {
        self.ebpf.program(&self.name).ok_or_else(|| no_program(&self.name))
    }
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

fn no_program(name: &str) -> HookError {
    other(name, format!("its object has no program '{name}'"))
}

fn other(what: &str, reason: String) -> HookError {
    HookError::Other { doing: "loading", what: what.to_owned(), reason }
}
