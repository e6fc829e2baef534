//! One program of a comparison, and what came of it so far.

use std::time::{Duration, Instant};

use weir_filters::{Combination, Filter, Site, Verdict, corpus::Case};

use super::{Decided, Disagreement, Subject, minimise::minimise};

/// A program, and its tally.
pub(super) struct Program {
    pub(super) combination: Combination,
    pub(super) filter: Filter,
    pub(super) site: Site,
    pub(super) subject: Box<dyn Subject>,
    /// Packets that it is still to decide.
    pub(super) left: u64,
    pub(super) tally: Tally,
    /// The first disagreement, minimised.
    pub(super) first: Option<Disagreement>,
}

/// What came of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) decided: u64,
    pub(super) not_runnable: u64,
    pub(super) disagreements: u64,
    pub(super) spent: Duration,
}

impl Program {
    /// Its name in messages.
    pub(super) fn what(&self) -> String {
        let Combination { filter, toolkit, hook } = self.combination;
        format!("{filter} with {toolkit} at {hook}")
    }

    /// Compares as many of `cases` as are left to it, and gives their number; `made_in` is its share of the time that
    /// making them took.
    pub(super) fn compare(
        &mut self,
        cases: &[Case],
        decided: &mut Vec<Decided>,
        made_in: Duration,
    ) -> anyhow::Result<u64> {
        let started = Instant::now();
        let cases = &cases[..cases.len().min(self.left.try_into().unwrap_or(usize::MAX))];
        self.left -= cases.len() as u64;
        self.subject.decide(cases, decided)?;
        let mut first = None;
        for (case, decided) in cases.iter().zip(decided) {
            match *decided {
                Decided::NotRunnable => self.tally.not_runnable += 1,
                Decided::Verdict(verdict) => {
                    self.tally.decided += 1;
                    if verdict != self.expected(case) {
                        self.tally.disagreements += 1;
                        first = first.or(Some((case, verdict)));
                    }
                }
            }
        }
        self.tally.spent += started.elapsed() + made_in;
        if let (None, Some((case, said))) = (&self.first, first) {
            self.first = Some(self.disagreement(case, said));
        }
        Ok(cases.len() as u64)
    }

    /// What the reference says.
    pub(super) fn expected(&self, case: &Case) -> Verdict {
        self.filter.decide_at(&self.site, &case.seen, case.segments)
    }

    /// What the program says, where that isn't what the reference says; nothing where it can't be asked.
    pub(super) fn disagrees(&mut self, case: &Case) -> Option<Verdict> {
        let expected = self.expected(case);
        match self.subject.decide_one(case) {
            Ok(Decided::Verdict(said)) if said != expected => Some(said),
            _ => None,
        }
    }

    fn disagreement(&mut self, case: &Case, said: Verdict) -> Disagreement {
        let smallest = minimise(case, |case| self.disagrees(case).is_some());
        // Where the smallest one shows nothing any more, such as a program that decides by chance, the first one stays.
        let (case, said) = match self.disagrees(&smallest) {
            Some(said) => (smallest, said),
            None => (case.clone(), said),
        };
        let expected = self.expected(&case);
        let Self { filter, combination, site, .. } = *self;
        Disagreement { filter, combination, site, case, expected, said }
    }
}
