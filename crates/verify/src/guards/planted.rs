//! Faults planted in guards' programs, to see that the packets find each, and which of them chance finds too.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use serde::Serialize;
use weir_filters::{Hook, Layer};
use weir_guard::{
    examples::{BATCH, Example, Examples, uniform},
    meaning::{Memory, Service},
};
use weir_output::terminal;

use super::{
    GuardDisagreement,
    faults::{FAULTS, FaultKind, GuardFault},
    program::{GuardProgram, Said},
    tried,
};
use crate::disagreement::hex;

/// A planted fault, and which packets showed it.
#[derive(Clone, Debug, Serialize)]
pub struct PlantedFault {
    /// The fault.
    pub fault: &'static str,
    /// What the guard says that shows it.
    pub guard: &'static str,
    /// Where its program ran.
    pub hook: Hook,
    /// Why the kernel doesn't let it in.
    pub refused: Option<String>,
    /// The packet that showed it, made as small as it goes, from its hook's first header on, two digits a byte.
    pub packet: Option<String>,
    /// As the so manyth of those that are made from the rules it came.
    pub after: Option<usize>,
    /// As the so manyth of as many that know nothing of the rules one showed it.
    pub by_chance_after: Option<usize>,
}

impl PlantedFault {
    /// Whether the packets made from the rules showed it, or it can't be.
    pub fn is_noticed(&self) -> bool {
        self.refused.is_some() || self.after.is_some()
    }
}

/// Plants each fault in the program of its guard at a hook. Faults that show below the socket alone aren't listed there:
/// those about sources, and about bytes behind the payload.
///
/// # Errors
/// A guard that can't be made a program; a fault that changes nothing; a program that can't be run.
pub fn planted(hook: Hook, seed: u64) -> anyhow::Result<Vec<PlantedFault>> {
    let planted = FAULTS.iter().map(|fault| plant(fault, hook, seed).with_context(|| fault.name).transpose());
    planted.flatten().collect()
}

fn plant(fault: &GuardFault, hook: Hook, seed: u64) -> anyhow::Result<Option<PlantedFault>> {
    let as_written = fault.service()?;
    let service = tried(&as_written, hook);
    let is_below = fault.is_below_the_socket || service != tried(&as_written, Hook::Tc);
    if hook.layer() == Layer::Udp && is_below {
        return Ok(None);
    }
    let mut row = PlantedFault {
        fault: fault.name,
        guard: fault.rules.trim(),
        hook,
        refused: None,
        packet: None,
        after: None,
        by_chance_after: None,
    };
    let examples = Examples::of(&service, seed);
    let chance = as_many(&service, &examples, seed);
    if let Err(error) = load(fault, &service, hook)? {
        row.refused = Some(format!("{error:#}"));
        return Ok(Some(row));
    }
    let made = examples.batches.iter().map(Vec::as_slice);
    if let Some((after, packet)) = first_difference(fault, &service, hook, made)? {
        (row.after, row.packet) = (Some(after), Some(packet));
    }
    let by_chance = first_difference(fault, &service, hook, chance.chunks(BATCH))?;
    row.by_chance_after = by_chance.map(|(after, _)| after);
    Ok(Some(row))
}

/// As many packets as were made from the rules, as long as these, of which nothing else is known.
fn as_many(service: &Service, examples: &Examples, seed: u64) -> Vec<Example> {
    let lens = examples.batches.iter().flatten().map(|example| example.payload.len()).collect();
    uniform(service, lens, seed).take(examples.count()).collect()
}

/// Whether each was noticed.
pub fn all_noticed(planted: &[PlantedFault]) -> bool {
    planted.iter().all(PlantedFault::is_noticed)
}

/// The table of planted faults.
pub fn planted_text(planted: &[PlantedFault]) -> String {
    /// Digits of a packet that are shown where stdout is a terminal.
    const SHOWN: usize = 120;
    let is_terminal = std::io::stdout().is_terminal();
    let mut table = terminal::table(!is_terminal);
    table.set_header(["planted fault", "hook", "caught after", "by chance after", "by the packet"]);
    for fault in planted {
        let number =
            |after: Option<usize>, none: &str| after.map_or(none.to_owned(), |after| after.to_string());
        let none = if fault.refused.is_some() { "refused by the verifier" } else { "NOT CAUGHT" };
        let packet = fault.packet.as_deref().unwrap_or_default();
        let shown = if is_terminal { packet.len().min(SHOWN) } else { packet.len() };
        table.add_row([
            fault.fault,
            fault.hook.as_str(),
            &number(fault.after, none),
            &number(fault.by_chance_after, "-"),
            &packet[..shown],
        ]);
    }
    let count = |is: fn(&&PlantedFault) -> bool| planted.iter().filter(is).count();
    format!(
        "{table}\n\n{} planted faults caught, {} not caught; {} refused by the verifier; {} of those that were caught are \
         not found by as many packets by chance, as long as the others\n",
        count(|fault| fault.after.is_some()),
        count(|fault| !fault.is_noticed()),
        count(|fault| fault.refused.is_some()),
        count(|fault| fault.after.is_some() && fault.by_chance_after.is_none()),
    )
}

/// The program with the fault, or what the kernel says of it.
fn load(fault: &GuardFault, service: &Service, hook: Hook) -> anyhow::Result<anyhow::Result<GuardProgram>> {
    let mut other = service.clone();
    if let FaultKind::Meaning(change) = fault.kind {
        change(&mut other);
        anyhow::ensure!(other != *service, "nothing is changed");
    }
    let object = GuardProgram::object(&other, hook);
    let mut object = object.map_err(|absent| anyhow::anyhow!("{}", absent.reason()))?;
    if let FaultKind::Code(change) = fault.kind {
        let mut changed = 0;
        for program in &mut object.programs {
            let insns = program.code.insns().to_vec();
            for (at, insn) in program.code.insns_mut().iter_mut().enumerate() {
                if let Some(new) = change(&insns, at).filter(|new| new != insn) {
                    *insn = new;
                    changed += 1;
                }
            }
        }
        anyhow::ensure!(changed > 0, "no instruction is changed");
    }
    Ok(GuardProgram::load_object(&object, &other, hook))
}

/// How many packets there were up to the first that shows the fault, and that, made as small as it goes. Each batch has a fresh
/// program.
fn first_difference<'e>(
    fault: &GuardFault,
    service: &Service,
    hook: Hook,
    batches: impl Iterator<Item = &'e [Example]>,
) -> anyhow::Result<Option<(usize, String)>> {
    let mut count = 0;
    for batch in batches {
        let mut program = load(fault, service, hook)??;
        let mut memory = Memory::default();
        for example in batch {
            count += 1;
            let Some(returned) = program.run(example)? else {
                continue;
            };
            let expected = program.expected(service, example, &mut memory);
            let said = Said { returned, counted: program.counted(expected)? };
            if !said.is(expected, service.mode, hook) {
                let shown = GuardDisagreement::of(&mut program, service, example, (expected, said));
                return Ok(Some((count, hex(&shown.frame))));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many packets the interpreter shows a fault of meaning.
    fn shown_by<'e>(
        one: &Service,
        other: &Service,
        batches: impl Iterator<Item = &'e [Example]>,
    ) -> Option<usize> {
        let mut count = 0;
        for batch in batches {
            let mut memories = [Memory::default(), Memory::default()];
            for example in batch {
                count += 1;
                let packet = example.packet();
                let [memory, others] = &mut memories;
                let is_same = one.decide(&packet, memory, 0) == other.decide(&packet, others, 0);
                if !is_same || one.mode != other.mode {
                    return Some(count);
                }
            }
        }
        None
    }

    #[test]
    fn packets_made_from_the_rules_show_every_change_of_meaning_and_chance_shows_few() {
        let mut hidden_from_chance = Vec::new();
        let mut missed = Vec::new();
        for fault in FAULTS {
            let FaultKind::Meaning(change) = fault.kind else {
                continue;
            };
            let service = tried(&fault.service().expect(fault.name), Hook::Tc);
            let mut other = service.clone();
            change(&mut other);
            assert_ne!(service, other, "{}", fault.name);
            let examples = Examples::of(&service, 1);
            if shown_by(&service, &other, examples.batches.iter().map(Vec::as_slice)).is_none() {
                missed.push(fault.name);
            }
            let chance = as_many(&service, &examples, 1);
            if shown_by(&service, &other, chance.chunks(BATCH)).is_none() {
                hidden_from_chance.push(fault.name);
            }
        }
        assert!(missed.is_empty(), "not shown: {missed:?}");
        assert!(hidden_from_chance.len() >= 10, "hidden from chance: {hidden_from_chance:?}");
    }

    #[test]
    fn the_guards_that_show_faults_have_an_example_of_every_message() {
        for fault in FAULTS {
            let service = fault.service().expect(fault.name);
            let missing = Examples::of(&service, 1).missing;
            assert!(missing.is_empty(), "{}: {missing:?}", fault.name);
        }
    }
}
