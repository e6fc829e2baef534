//! A program out of any object, ours or anyone's: loaded, and run on bytes of our own.

use std::{fmt, time::Duration};

use aya::{
    Ebpf,
    programs::{
        CgroupSkb, FlowDissector, Program, ProgramError, ProgramInfo, SchedClassifier, SocketFilter,
        TestRun as _, TestRunOptions, TestRunResult, Xdp,
    },
};

use weir_asm::maps::{MapShape, MapSpec, MapType, RingBuf};

use crate::{
    HookError, Map, ProgramFacts, loader,
    maps::{Copies, Records},
    test_run::socket_frame,
};

/// The types of programs that the kernel runs on bytes of ours (`BPF_PROG_TEST_RUN` in net/core/filter.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgramType {
    /// A socket filter; sees the packet from the transport header on.
    Socket,
    /// XDP; sees the frame from the Ethernet header on.
    Xdp,
    /// A classifier of tc; sees the frame from the Ethernet header on.
    Tc,
    /// A filter of a control group; sees the packet from the IP header on.
    CgroupSkb,
    /// A flow dissector; sees the frame from the Ethernet header on.
    FlowDissector,
}

/// What is known of a type: its name, the section that aya reads as it, and what return values mean.
struct Row {
    program_type: ProgramType,
    name: &'static str,
    section: &'static str,
    verdicts: &'static [(i32, &'static str)],
    /// The verdict of any other value.
    otherwise: &'static str,
}

/// Verdicts are those of include/uapi/linux/bpf.h and pkt_cls.h.
const TYPES: [Row; 5] = [
    Row {
        program_type: ProgramType::Socket,
        name: "socket",
        section: "socket",
        verdicts: &[(0, "drop")],
        otherwise: "accept",
    },
    Row {
        program_type: ProgramType::Xdp,
        name: "xdp",
        section: "xdp",
        verdicts: &[(0, "aborted"), (1, "drop"), (2, "pass"), (3, "tx"), (4, "redirect")],
        otherwise: "invalid",
    },
    Row {
        program_type: ProgramType::Tc,
        name: "tc",
        section: "classifier",
        verdicts: &[
            (-1, "unspec"),
            (0, "ok"),
            (1, "reclassify"),
            (2, "shot"),
            (3, "pipe"),
            (4, "stolen"),
            (5, "queued"),
            (6, "repeat"),
            (7, "redirect"),
            (8, "trap"),
        ],
        otherwise: "invalid",
    },
    Row {
        program_type: ProgramType::CgroupSkb,
        name: "cgroup-skb",
        section: "cgroup/skb",
        verdicts: &[(0, "drop"), (1, "accept")],
        otherwise: "invalid",
    },
    Row {
        program_type: ProgramType::FlowDissector,
        name: "flow-dissector",
        section: "flow_dissector",
        verdicts: &[(0, "ok"), (2, "drop"), (129, "continue")],
        otherwise: "invalid",
    },
];

impl ProgramType {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::Socket, Self::Xdp, Self::Tc, Self::CgroupSkb, Self::FlowDissector];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The ELF section whose programs aya loads as this type.
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// What the kernel does at a return value.
    pub fn verdict(self, return_value: u32) -> &'static str {
        let known = self.row().verdicts.iter().find(|(value, _)| *value == return_value as i32);
        known.map_or(self.row().otherwise, |(_, verdict)| verdict)
    }

    fn row(self) -> &'static Row {
        TYPES.iter().find(|row| row.program_type == self).expect("every type has its row")
    }

    fn of(program: &Program) -> Option<Self> {
        match program {
            Program::SocketFilter(_) => Some(Self::Socket),
            Program::Xdp(_) => Some(Self::Xdp),
            Program::SchedClassifier(_) => Some(Self::Tc),
            Program::CgroupSkb(_) => Some(Self::CgroupSkb),
            Program::FlowDissector(_) => Some(Self::FlowDissector),
            _ => None,
        }
    }
}

impl fmt::Display for ProgramType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

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
        let program_type = ProgramType::of(program).ok_or_else(|| other(&name, not_run(program)))?;
        load(program).map_err(|error| HookError::program("loading", &name, error))?;
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
                framed = socket_frame(data);
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

fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SocketFilter(program) => SocketFilter::load(program),
        Program::Xdp(program) => Xdp::load(program),
        Program::SchedClassifier(program) => SchedClassifier::load(program),
        Program::CgroupSkb(program) => CgroupSkb::load(program),
        Program::FlowDissector(program) => FlowDissector::load(program),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn run(program: &Program, options: TestRunOptions<'_>) -> Result<TestRunResult, ProgramError> {
    match program {
        Program::SocketFilter(program) => program.test_run(options),
        Program::Xdp(program) => program.test_run(options),
        Program::SchedClassifier(program) => program.test_run(options),
        Program::CgroupSkb(program) => program.test_run(options),
        Program::FlowDissector(program) => program.test_run(options),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn not_run(program: &Program) -> String {
    format!(
        "the kernel runs no program of type {:?} on given bytes (BPF_PROG_TEST_RUN); it does {}",
        program.prog_type(),
        ProgramType::ALL.map(ProgramType::name).join(", ")
    )
}

fn no_program(name: &str) -> HookError {
    other(name, format!("its object has no program '{name}'"))
}

fn other(what: &str, reason: String) -> HookError {
    HookError::Other { doing: "loading", what: what.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_and_a_section_of_its_own() {
        for (number, program_type) in ProgramType::ALL.into_iter().enumerate() {
            for other in &ProgramType::ALL[number + 1..] {
                assert_ne!(program_type.name(), other.name());
                assert_ne!(program_type.section(), other.section());
            }
        }
    }

    #[test]
    fn verdicts_are_the_kernels() {
        let check = |program_type: ProgramType, value: i32, verdict| {
            assert_eq!(program_type.verdict(value as u32), verdict, "{program_type} {value}");
        };
        check(ProgramType::Socket, 0, "drop");
        check(ProgramType::Socket, -1, "accept");
        check(ProgramType::Xdp, 2, "pass");
        check(ProgramType::Xdp, 9, "invalid");
        check(ProgramType::Tc, -1, "unspec");
        check(ProgramType::CgroupSkb, 0, "drop");
    }
}
