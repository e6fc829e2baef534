//! One program of a comparison, and what came of it so far.

use std::time::{Duration, Instant};

use serde::Serialize;
use weir_filters::{Combination, Filter, Site, Verdict, corpus::Case};
use weir_hooks::HookError;
use weir_service::monotonic_now;

use crate::{Decided, Disagreement, Subject, memory::ReferenceMemory, minimise::minimise};

/// A program, and its tally.
pub(super) struct AskedProgram {
    pub(super) combination: Combination,
    pub(super) filter: Filter,
    pub(super) site: Site,
    pub(super) subject: Box<dyn Subject>,
    /// What the reference remembers, where the filter remembers anything.
    pub(super) memory: Option<ReferenceMemory>,
    /// Packets that it is still to decide.
    pub(super) left: u64,
    pub(super) tally: Tally,
    /// The first disagreement, minimised.
    pub(super) first: Option<Disagreement>,
}

/// A program that couldn't be loaded, or not be asked.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// What it would have been.
    #[serde(skip)]
    pub combination: Combination,
    /// The filter with its parameters, or the chain.
    #[serde(serialize_with = "weir_filters::text::serialize")]
    pub filter: Filter,
    /// What was tried, and what came back.
    pub reason: String,
}

impl Refusal {
    /// Of that program, for that error.
    pub(super) fn new(combination: Combination, filter: Filter, error: &anyhow::Error) -> Self {
        // The verifier's log may be long; `weir serve` with that program shows it.
        let said = error.downcast_ref().map(HookError::in_a_line);
        Self { combination, filter, reason: said.unwrap_or_else(|| format!("{error:#}")) }
    }
}

/// What came of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) decided: u64,
    pub(super) not_runnable: u64,
    pub(super) disagreements: u64,
    pub(super) spent: Duration,
}

impl AskedProgram {
    /// Compares as many of `cases` as are left to it, and gives their number; `waited` is its share of the time that
    /// it took until they were made.
    pub(super) fn compare(
        &mut self,
        cases: &[Case],
        decided: &mut Vec<Decided>,
        waited: Duration,
    ) -> anyhow::Result<u64> {
        let started = Instant::now();
        let cases = &cases[..cases.len().min(self.left.try_into().unwrap_or(usize::MAX))];
        self.left -= cases.len() as u64;
        let mut first = None;
        if self.memory.is_none() {
            self.subject.decide_all(cases, decided)?;
            for (case, decided) in cases.iter().zip(decided) {
                first = first.or(self.note(case, *decided, |program| program.filter_says(case)));
            }
        } else {
            for case in cases {
                let (decided, expected) = self.ask(case)?;
                first = first.or(self.note(case, decided, |_| expected));
            }
        }
        self.tally.spent += started.elapsed() + waited;
        if let (None, Some((case, said, expected))) = (&self.first, first) {
            self.first = Some(self.disagreement(case, said, expected));
        }
        Ok(cases.len() as u64)
    }

    /// Counts what came of a packet, and gives it back with both verdicts where they differ.
    fn note<'a>(
        &mut self,
        case: &'a Case,
        decided: Decided,
        expected: impl FnOnce(&Self) -> Verdict,
    ) -> Option<(&'a Case, Verdict, Verdict)> {
        let Decided::Verdict(said) = decided else {
            self.tally.not_runnable += 1;
            return None;
        };
        self.tally.decided += 1;
        let expected = expected(self);
        let differs = said != expected;
        self.tally.disagreements += u64::from(differs);
        differs.then_some((case, said, expected))
    }

    /// What the reference says where it remembers nothing.
    fn filter_says(&self, case: &Case) -> Verdict {
        self.filter.decide_at(&self.site, &case.seen, case.segments)
    }

    /// What came of the next packet, and what the reference says.
    pub(super) fn ask(&mut self, case: &Case) -> anyhow::Result<(Decided, Verdict)> {
        let Some(memory) = &mut self.memory else {
            return Ok((self.subject.decide_one(case)?, self.filter_says(case)));
        };
        memory.pass(self.subject.program())?;
        let before = monotonic_now();
        let decided = self.subject.decide_one(case)?;
        let (during, sender) = ([before, monotonic_now()], self.subject.sender(case));
        let Decided::Verdict(said) = decided else {
            // A packet that can't be run changes nothing; its verdict is nobody's.
            return Ok((decided, Verdict::Accept));
        };
        let expected = memory.expected(&self.site, case, sender, during, said);
        if said != expected {
            // What both remember may differ from here on.
            memory.restore(self.subject.program())?;
        }
        Ok((decided, expected))
    }

    /// Both verdicts on the next packet, where they differ: the program's, and the reference's.
    pub(super) fn disagrees(&mut self, case: &Case) -> anyhow::Result<Option<(Verdict, Verdict)>> {
        Ok(match self.ask(case)? {
            (Decided::Verdict(said), expected) if said != expected => Some((said, expected)),
            _ => None,
        })
    }

    /// The same on a packet by itself.
    pub(super) fn disagrees_alone(&mut self, case: &Case) -> anyhow::Result<Option<(Verdict, Verdict)>> {
        if let Some(memory) = &mut self.memory {
            memory.restore(self.subject.program())?;
        }
        self.disagrees(case)
    }

    fn disagreement(&mut self, case: &Case, said: Verdict, expected: Verdict) -> Disagreement {
        let smallest = minimise(case, |case| matches!(self.disagrees_alone(case), Ok(Some(_))));
        // Where the smallest one shows nothing, such as a program that decides by chance or by packets before, the
        // first one stays.
        let (case, said, expected) = match self.disagrees_alone(&smallest) {
            Ok(Some((said, expected))) => (smallest, said, expected),
            _ => (case.clone(), said, expected),
        };
        let turn = self.memory.as_ref().map(ReferenceMemory::turn);
        let Self { filter, combination, site, .. } = *self;
        Disagreement { filter, combination, site, turn, case, expected, said }
    }
}
