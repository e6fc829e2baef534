//! The types of programs: what they are called, how they are loaded and run, and what their return values mean.

use std::fmt;

use aya::programs::{
    CgroupSkb, FlowDissector, Program, ProgramError, SchedClassifier, SkReuseport, SocketFilter,
    TestRun as _, TestRunOptions, TestRunResult, TracePoint, Xdp,
};
use aya_obj::{ProgramSection, programs::XdpAttachType};
use weir_filters::Hook;

use crate::obstacle::Capability::{self, Bpf, NetAdmin, Perfmon};

/// The types of programs that are loaded here: to be attached, or to be run on bytes of ours (`BPF_PROG_TEST_RUN` in
/// net/core/filter.c).
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
    /// What picks one of the sockets that share a port; sees the packet from the transport header on. The kernel runs
    /// none on bytes of ours.
    SkReuseport,
    /// A program at a tracepoint; sees its record. The kernel runs none on bytes of ours.
    TracePoint,
}

/// What is known of a type: its name, the section that aya reads as it, the capabilities that loading and attaching it
/// take together (`is_net_admin_prog_type` in kernel/bpf/syscall.c; XDP's programs compare addresses), and what return
/// values mean.
struct TypeFacts {
    program_type: ProgramType,
    name: &'static str,
    section: &'static str,
    needed: &'static [Capability],
    verdicts: Verdicts,
    /// The verdict of any other value.
    otherwise: &'static str,
}

const TYPES: [TypeFacts; 7] = [
    row(ProgramType::Socket, "socket", "socket", &[Bpf], &[(0, "drop")], "accept"),
    row(ProgramType::Xdp, "xdp", "xdp", &[Bpf, NetAdmin, Perfmon], XDP, "invalid"),
    row(ProgramType::Tc, "tc", "classifier", &[Bpf, NetAdmin], TC, "invalid"),
    row(ProgramType::CgroupSkb, "cgroup-skb", "cgroup/skb", &[Bpf, NetAdmin], CGROUP, "invalid"),
    row(ProgramType::FlowDissector, "flow-dissector", "flow_dissector", &[Bpf, NetAdmin], FLOW, "invalid"),
    row(ProgramType::SkReuseport, "sk-reuseport", "sk_reuseport", &[Bpf], REUSEPORT, "invalid"),
    row(ProgramType::TracePoint, "tracepoint", "tracepoint", &[Bpf, Perfmon], RECORD, "recorded"),
];

/// Verdicts, those of include/uapi/linux/bpf.h and pkt_cls.h.
type Verdicts = &'static [(i32, &'static str)];

const XDP: Verdicts = &[(0, "aborted"), (1, "drop"), (2, "pass"), (3, "tx"), (4, "redirect")];
const TC: Verdicts = &[
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
];
const CGROUP: Verdicts = &[(0, "drop"), (1, "accept")];
const FLOW: Verdicts = &[(0, "ok"), (2, "drop"), (129, "continue")];
const REUSEPORT: Verdicts = &[(0, "drop"), (1, "pass")];
const RECORD: Verdicts = &[(0, "unrecorded")];

const fn row(
    program_type: ProgramType,
    name: &'static str,
    section: &'static str,
    needed: &'static [Capability],
    verdicts: Verdicts,
    otherwise: &'static str,
) -> TypeFacts {
    TypeFacts { program_type, name, section, needed, verdicts, otherwise }
}

impl ProgramType {
    /// Every type that the kernel runs on bytes of ours.
    pub const RUN: [Self; 5] = [Self::Socket, Self::Xdp, Self::Tc, Self::CgroupSkb, Self::FlowDissector];

    /// Every type that [`AnyProgram::attach`](crate::AnyProgram::attach) attaches.
    pub const ATTACHED: [Self; 5] = [Self::TracePoint, Self::Socket, Self::CgroupSkb, Self::Tc, Self::Xdp];

    /// The type of the programs at a hook; the server's own loop has none.
    pub const fn at(hook: Hook) -> Option<Self> {
        match hook {
            Hook::User => None,
            Hook::Socket => Some(Self::Socket),
            Hook::Reuseport => Some(Self::SkReuseport),
            Hook::Cgroup => Some(Self::CgroupSkb),
            Hook::Tc => Some(Self::Tc),
            Hook::Xdp => Some(Self::Xdp),
        }
    }

    /// Whether the kernel runs programs of this type on bytes of ours.
    pub fn runs_on_bytes(self) -> bool {
        Self::RUN.contains(&self)
    }

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

    /// The capabilities that loading and attaching a program of this type take.
    pub fn needed(self) -> &'static [Capability] {
        self.row().needed
    }

    fn row(self) -> &'static TypeFacts {
        TYPES.iter().find(|row| row.program_type == self).expect("every type has its row")
    }

    pub(crate) fn of(program: &Program) -> Option<Self> {
        match program {
            Program::SocketFilter(_) => Some(Self::Socket),
            Program::Xdp(_) => Some(Self::Xdp),
            Program::SchedClassifier(_) => Some(Self::Tc),
            Program::CgroupSkb(_) => Some(Self::CgroupSkb),
            Program::FlowDissector(_) => Some(Self::FlowDissector),
            Program::SkReuseport(_) => Some(Self::SkReuseport),
            Program::TracePoint(_) => Some(Self::TracePoint),
            _ => None,
        }
    }

    /// The type that aya gives to programs of that section.
    pub(crate) fn of_section(section: &ProgramSection) -> Option<Self> {
        match section {
            ProgramSection::SocketFilter => Some(Self::Socket),
            ProgramSection::Xdp { attach_type: XdpAttachType::Interface, .. } => Some(Self::Xdp),
            ProgramSection::SchedClassifier => Some(Self::Tc),
            ProgramSection::CgroupSkb { .. } => Some(Self::CgroupSkb),
            ProgramSection::FlowDissector => Some(Self::FlowDissector),
            ProgramSection::SkReuseport { .. } => Some(Self::SkReuseport),
            ProgramSection::TracePoint => Some(Self::TracePoint),
            _ => None,
        }
    }
}

impl fmt::Display for ProgramType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Has the kernel verify and load it.
pub(crate) fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SocketFilter(program) => SocketFilter::load(program),
        Program::Xdp(program) => Xdp::load(program),
        Program::SchedClassifier(program) => SchedClassifier::load(program),
        Program::CgroupSkb(program) => CgroupSkb::load(program),
        Program::FlowDissector(program) => FlowDissector::load(program),
        Program::SkReuseport(program) => SkReuseport::load(program),
        Program::TracePoint(program) => TracePoint::load(program),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Runs it on bytes of ours.
pub(crate) fn run(program: &Program, options: TestRunOptions<'_>) -> Result<TestRunResult, ProgramError> {
    match program {
        Program::SocketFilter(program) => program.test_run(options),
        Program::Xdp(program) => program.test_run(options),
        Program::SchedClassifier(program) => program.test_run(options),
        Program::CgroupSkb(program) => program.test_run(options),
        Program::FlowDissector(program) => program.test_run(options),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_and_a_section_of_its_own() {
        for (number, row) in TYPES.iter().enumerate() {
            for other in &TYPES[number + 1..] {
                assert_ne!(row.name, other.name);
                assert_ne!(row.section, other.section);
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
