//! Guards that nobody would write, one after the other: their programs against the interpreter.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_filters::Hook;
use weir_guard::{
    examples::{Example, Examples},
    meaning::Service,
    random::{self, Kinds},
};

use super::{Absent, ComparedGuard, GuardPackets, HOOKS, compare_batch, program::GuardProgram, tried};

/// Compares the programs of so many random guards at every hook, and says how far it is: guards, of how many. The guard of number `n`
/// is that of the seed `n` further. Half of a program's packets are made from the rules, as far as there are so many.
///
/// # Errors
/// A program that can't be run.
pub fn random_guards(
    guards: u64,
    packets: &GuardPackets,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<Vec<ComparedGuard>> {
    let is_meant = |hook: &Hook| packets.hook.is_none_or(|wanted| wanted == *hook);
    let name = format!("{guards} random guards");
    let mut rows: Vec<_> =
        HOOKS.into_iter().filter(is_meant).map(|hook| ComparedGuard::none(name.clone(), hook)).collect();
    for number in 0..guards {
        let seed = packets.seed.wrapping_add(number);
        for row in &mut rows {
            compare(seed, packets.count as usize, row)?;
        }
        progress(number + 1, guards);
    }
    Ok(rows)
}

fn compare(seed: u64, count: usize, row: &mut ComparedGuard) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let listen = if rng.random_bool(0.5) { "0.0.0.0:53" } else { "[::]:53" };
    let listen = listen.parse()?;
    let service = random::service(&mut rng, listen, Kinds::All);
    let service = Service { name: format!("the guard of --random-guards 1 --seed {seed}"), ..service };
    let service = tried(&service, row.hook);
    match GuardProgram::load(&service, row.hook) {
        Ok(mut program) => {
            let mut batch = from_rules(&service, seed, count / 2);
            row.made += batch.len() as u64;
            let chance = std::iter::repeat_with(|| {
                let is_v4 = listen.is_ipv4() || rng.random_bool(0.5);
                let source = random::source(&mut rng, is_v4);
                Example { source, payload: random::payload(&mut rng, &service.protocol), behind: Vec::new() }
            });
            batch.extend(chance.take(count - batch.len()));
            compare_batch(&mut program, &service, &batch, row)?;
            row.programs += 1;
        }
        Err(absent) => {
            let reason = format!("{}: {}", service.name, absent.reason());
            let is_refused = matches!(absent, Absent::Refused(_));
            // What is refused is worth more to know than what isn't made.
            if row.absent.is_none() || is_refused && !matches!(row.absent, Some(Absent::Refused(_))) {
                row.absent = Some(if is_refused { Absent::Refused(reason) } else { Absent::NotMade(reason) });
            }
        }
    }
    row.spent += started.elapsed();
    Ok(())
}

/// Some of the packets that are made from a service's rules, from all of them.
fn from_rules(service: &Service, seed: u64, most: usize) -> Vec<Example> {
    let examples = Examples::of(service, seed);
    let step = examples.count().div_ceil(most.max(1)).max(1);
    examples.batches.into_iter().flatten().step_by(step).take(most).collect()
}

impl ComparedGuard {
    /// Nothing so far.
    pub(super) fn none(service: String, hook: Hook) -> Self {
        Self {
            service,
            hook,
            programs: 0,
            packets: 0,
            made: 0,
            not_runnable: 0,
            disagreements: 0,
            spent: Duration::ZERO,
            shown: None,
            missing: Vec::new(),
            left_out: None,
            absent: None,
        }
    }
}
