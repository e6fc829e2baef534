//! Faults planted in programs, to see that the comparison finds each.

mod classic;
pub(super) mod code;
mod faults;
mod guards;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use serde::Serialize;
use weir_filters::{
    Combination, Filter, Site, Toolkit,
    cbpf::{self, ClassicInsn},
    corpus::Case,
};
use weir_hooks::{HookError, KernelFilter};
use weir_output::terminal;

use crate::{
    Packets, Plan, boundaries, cases,
    disagreement::hex,
    minimise::minimise,
    mutants::faults::{FAULTS, Fault, FaultKind},
    plan::Stand,
    program::AskedProgram,
};

/// A planted fault, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Mutant {
    /// The fault.
    pub fault: &'static str,
    /// Where it was planted.
    #[serde(flatten)]
    pub combination: Combination,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Detection,
}

/// What came of a planted fault.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Detection {
    /// Packets showed it.
    Caught {
        /// The packet, made as small as it goes, two digits a byte.
        packet: String,
        /// Datagrams that the kernel says it is.
        segments: u32,
        /// It came as the so manyth.
        after: u64,
    },
    /// None of them did: the comparison has a hole.
    NotCaught {
        /// How many there were.
        packets: u64,
    },
    /// The verifier didn't let it in.
    Refused,
    /// The kernel refuses the program as it is, so that nothing is known of the packets.
    Unavailable {
        /// What was tried, and what came back.
        reason: String,
    },
}

/// Plants each fault in each program of the plan that could have it. A program whose code has no such instruction can't
/// have it, and isn't listed.
///
/// # Errors
/// A program that can't be read or asked.
pub fn mutants(plan: &Plan, packets: &Packets) -> anyhow::Result<Vec<Mutant>> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let take = |place: Stand| {
        let count = packets.count.max(boundaries(&place, packets)) as usize;
        (place, cases(&place, packets).take(count).collect())
    };
    let places: Vec<(Stand, Vec<Case>)> = plan.places().into_iter().map(take).collect();
    for combination in plan.combinations() {
        let fits = |fault: &&Fault| {
            fault.filter == combination.filter && fault.layers.contains(&combination.hook.layer())
        };
        for fault in FAULTS.iter().chain(classic::FAULTS).chain(guards::FAULTS).filter(fits) {
            let is_there =
                |place: &Stand| place.site.hook == combination.hook && place.way == plan.way_of(combination);
            let there = places.iter().filter(|(place, _)| is_there(place));
            if let Some(outcome) = plant(plan, fault, combination, there).with_context(|| fault.name)? {
                mutants.push(Mutant { fault: fault.name, combination, outcome });
            }
        }
    }
    Ok(mutants)
}

/// What comes of a fault at each site in turn, until it is caught; nothing where it can't be there.
fn plant<'a>(
    plan: &Plan,
    fault: &Fault,
    combination: Combination,
    places: impl Iterator<Item = &'a (Stand, Vec<Case>)>,
) -> anyhow::Result<Option<Detection>> {
    let as_it_is = |site: &Site| KernelFilter::load(combination.filter.into(), combination.toolkit, site);
    let mut tried = None;
    let mut packets = 0;
    for (place, cases) in places {
        let loaded = match load(fault, combination, &place.site)? {
            None => continue,
            Some(Ok(loaded)) => loaded,
            Some(Err(_)) => match as_it_is(&place.site) {
                Ok(_) => {
                    tried.get_or_insert(Detection::Refused);
                    continue;
                }
                Err(error) => return Ok(Some(Detection::Unavailable { reason: error.in_a_line() })),
            },
        };
        let subject = place.way.subject(loaded)?;
        let mut program = plan.program(combination, combination.filter.into(), place.site, subject);
        if let (FaultKind::Memory(change), Some(memory)) = (&fault.kind, &mut program.memory) {
            memory.fault = *change;
        }
        if let Some((count, case)) = first_difference(&mut program, cases) {
            let (packet, segments, after) = (hex(&case.seen), case.segments, packets + count);
            return Ok(Some(Detection::Caught { packet, segments, after }));
        }
        packets += cases.len() as u64;
        tried = Some(Detection::NotCaught { packets });
    }
    Ok(tried)
}

/// Loads the program with the fault; an error is what the kernel says of it.
fn load(
    fault: &Fault,
    Combination { filter, toolkit, hook }: Combination,
    site: &Site,
) -> anyhow::Result<Option<Result<KernelFilter, HookError>>> {
    let filter = Filter::from(filter);
    match fault.kind {
        FaultKind::Memory(_) => Ok(Some(KernelFilter::load(filter, toolkit, site))),
        FaultKind::Site(change) => Ok(change(*site).map(|other| KernelFilter::load(filter, toolkit, &other))),
        FaultKind::Classic(change) if toolkit == Toolkit::Cbpf => {
            let program = cbpf::program(filter).map_err(|gap| anyhow::anyhow!("{}: {gap}", filter.name))?;
            let changed: Vec<ClassicInsn> =
                program.iter().map(|insn| change(*insn).unwrap_or(*insn)).collect();
            Ok((changed != program).then(|| KernelFilter::load_classic(filter, &changed, site)))
        }
        FaultKind::Classic(_) => Ok(None),
        FaultKind::Code(_) if toolkit == Toolkit::Cbpf => Ok(None),
        FaultKind::Code(change) => {
            let (mut elf, program) = KernelFilter::object(filter, toolkit, site)?;
            let changed = code::change(&mut elf, &program, |all, at| change(hook, all, at))?;
            Ok((changed > 0).then(|| KernelFilter::load_from(filter, &elf, &program, site)))
        }
    }
}

/// The first packet that the program decides otherwise than the reference, or with a verdict that there isn't, made as
/// small as it goes, and how many there were up to it.
fn first_difference(program: &mut AskedProgram, cases: &[Case]) -> Option<(u64, Case)> {
    let index = cases.iter().position(|case| !matches!(program.disagrees(case), Ok(None)))?;
    let smallest = minimise(&cases[index], |case| !matches!(program.disagrees_alone(case), Ok(None)));
    Some((index as u64 + 1, smallest))
}

/// Whether all that the verifier let in were caught, and no program is refused as it is.
pub fn all_caught(mutants: &[Mutant]) -> bool {
    mutants.iter().all(|mutant| matches!(mutant.outcome, Detection::Caught { .. } | Detection::Refused))
}

/// The table of planted faults.
pub fn mutants_text(mutants: &[Mutant]) -> String {
    /// Digits of a packet that are shown where stdout is a terminal.
    const SHOWN: usize = 160;
    let is_terminal = std::io::stdout().is_terminal();
    let mut table = terminal::table(!is_terminal);
    table.set_header(["planted fault", "filter", "toolkit", "hook", "caught after", "by the packet"]);
    for Mutant { fault, combination: Combination { filter, toolkit, hook }, outcome } in mutants {
        let (after, packet) = match outcome {
            Detection::Caught { packet, after, .. } => {
                let shown = if is_terminal { packet.len().min(SHOWN) } else { packet.len() };
                (after.to_string(), &packet[..shown])
            }
            Detection::NotCaught { packets } => (format!("NOT CAUGHT by {packets}"), ""),
            Detection::Refused => ("refused by the verifier".to_owned(), ""),
            Detection::Unavailable { reason } => (format!("refused without it too: {reason}"), ""),
        };
        table.add_row([*fault, filter.as_str(), toolkit.as_str(), hook.as_str(), &after, packet]);
    }
    let count = |is: fn(&Detection) -> bool| mutants.iter().filter(|mutant| is(&mutant.outcome)).count();
    let caught = count(|outcome| matches!(outcome, Detection::Caught { .. }));
    let missed = count(|outcome| matches!(outcome, Detection::NotCaught { .. }));
    let refused = count(|outcome| matches!(outcome, Detection::Refused));
    let unavailable = match count(|outcome| matches!(outcome, Detection::Unavailable { .. })) {
        0 => String::new(),
        count => format!("; {count} for programs that are refused as they are"),
    };
    format!(
        "{table}\n\n{caught} planted faults caught, {missed} not caught; {refused} refused by the verifier{unavailable}\n"
    )
}
