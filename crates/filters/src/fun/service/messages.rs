//! Which message a packet is: the first that matches, asked one by one, or, where many differ in one number, by that number.

use std::collections::BTreeMap;

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Comparison, Condition, Integer, MessageId, ServicePart};

use super::{
    Compiler, Refusal,
    condition::{Simplified, simplified},
    integer::jump_constant,
};

/// A message that some packet may be: everything that must hold of it, and where its packets go.
struct Candidate {
    id: MessageId,
    conjuncts: Vec<Condition>,
    /// Of each conjunct, which of the message's it is, or is a part of.
    places: Vec<usize>,
    label: Label,
}

/// Fewer messages are asked one by one.
const LEAST_IN_A_RUN: usize = 4;
/// A set of more numbers doesn't tell messages from each other.
const MOST_VALUES: u64 = 16;

impl Compiler<'_> {
    /// On at a message's label, or at `none`; the messages that there are, with their labels.
    pub(super) fn messages(
        &mut self,
        code: &mut Code,
        none: Label,
    ) -> Result<Vec<(MessageId, Label)>, Refusal> {
        let candidates = self.candidates(code);
        let mut left = &candidates[..];
        while let Some(first) = left.first() {
            let (asked, behind) = match longest_run(left) {
                Some((integer, len)) => {
                    self.by_number(code, integer, &left[..len])?;
                    left.split_at(len)
                }
                None => {
                    self.ask(code, first, &[])?;
                    left.split_at(1)
                }
            };
            let is_every_packet = asked.iter().any(|candidate| candidate.conjuncts.is_empty());
            left = if is_every_packet { &[] } else { behind };
        }
        ebpf! { in code; ja $none }
        Ok(candidates.into_iter().map(|candidate| (candidate.id, candidate.label)).collect())
    }

    fn candidates(&self, code: &mut Code) -> Vec<Candidate> {
        let messages = self.service.protocol.messages.iter().enumerate();
        let by = self.by;
        let sent = messages.filter(|(_, message)| message.by.is_none_or(|party| party == by));
        let candidates = sent.filter_map(|(id, message)| {
            let (mut conjuncts, mut places) = (Vec::new(), Vec::new());
            for (place, part) in message.when.conjuncts().iter().enumerate() {
                match simplified(part) {
                    Simplified::Always(false) => return None,
                    Simplified::Always(true) => {}
                    Simplified::Sometimes(Condition::All(parts)) => conjuncts.extend(parts),
                    Simplified::Sometimes(single) => conjuncts.push(single),
                }
                places.resize(conjuncts.len(), place);
            }
            Some(Candidate { id: MessageId(id), conjuncts, places, label: code.fresh_label() })
        });
        candidates.collect()
    }

    /// On at the message's label where everything holds but what is known already; falls through where something doesn't.
    fn ask(&mut self, code: &mut Code, candidate: &Candidate, known: &[&Condition]) -> Result<(), Refusal> {
        let next = code.fresh_label();
        for (conjunct, place) in candidate.conjuncts.iter().zip(&candidate.places) {
            if !known.contains(&conjunct) {
                self.mark(code, ServicePart::Conjunct(candidate.id, *place));
                self.require(code, conjunct, true, next)?;
            }
        }
        ebpf! { in code;
            ja {candidate.label}
        $next:
        }
        Ok(())
    }

    /// Messages each of which asks that a number is one of a few: those for which it is are asked alone. Where the number is absent,
    /// none of them matches.
    fn by_number(&mut self, code: &mut Code, integer: &Integer, run: &[Candidate]) -> Result<(), Refusal> {
        let mut asked: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, candidate) in run.iter().enumerate() {
            for value in values_of(candidate, integer).map(|(_, values)| values).unwrap_or_default() {
                asked.entry(value).or_default().push(at);
            }
        }
        let none = code.fresh_label();
        let mut groups: BTreeMap<&[usize], Label> = BTreeMap::new();
        let values: Vec<_> = asked
            .iter()
            .map(|(value, at)| (*value, *groups.entry(at).or_insert_with(|| code.fresh_label())))
            .collect();
        let by_number =
            run[0].conjuncts.iter().position(|each| few_values(each).is_some_and(|(of, _)| of == integer));
        if let Some(at) = by_number {
            self.mark(code, ServicePart::Conjunct(run[0].id, run[0].places[at]));
        }
        self.integer(code, integer, none)?;
        choose(code, &values, none);
        for (group, label) in groups {
            ebpf! { in code; $label: }
            for candidate in group.iter().map(|at| &run[*at]) {
                let known = values_of(candidate, integer).map(|(condition, _)| condition);
                self.ask(code, candidate, known.as_slice())?;
            }
            ebpf! { in code; ja $none }
        }
        ebpf! { in code; $none: }
        Ok(())
    }
}

/// The number in which the first messages differ, and how many of them.
fn longest_run(candidates: &[Candidate]) -> Option<(&Integer, usize)> {
    let of_the_first = candidates[0].conjuncts.iter().filter_map(few_values).map(|(integer, _)| integer);
    let runs = of_the_first.map(|integer| {
        let len = candidates.iter().take_while(|each| values_of(each, integer).is_some()).count();
        (integer, len)
    });
    runs.max_by_key(|(_, len)| *len).filter(|(_, len)| *len >= LEAST_IN_A_RUN)
}

/// What a message asks of a number, where that is one of a few.
fn values_of<'a>(candidate: &'a Candidate, of: &Integer) -> Option<(&'a Condition, Vec<u64>)> {
    candidate.conjuncts.iter().find_map(|condition| {
        few_values(condition).filter(|(integer, _)| *integer == of).map(|(_, values)| (condition, values))
    })
}

/// The number that a condition is about, and the few that it may be.
fn few_values(condition: &Condition) -> Option<(&Integer, Vec<u64>)> {
    match condition {
        Condition::Compare(Comparison::Equal, Integer::Constant(value), integer)
        | Condition::Compare(Comparison::Equal, integer, Integer::Constant(value)) => {
            Some((integer, vec![*value]))
        }
        Condition::Among(integer, ranges) => {
            let sizes = ranges.iter().map(|range| (range.end() - range.start()).saturating_add(1));
            let is_few = sizes.fold(0, u64::saturating_add) <= MOST_VALUES;
            is_few.then(|| (integer, ranges.iter().cloned().flatten().collect()))
        }
        _ => None,
    }
}

/// So many numbers are compared one by one; more are halved.
const IN_A_ROW: usize = 3;

/// On at the label of the number in r0, or at `none`.
fn choose(code: &mut Code, values: &[(u64, Label)], none: Label) {
    if values.len() > IN_A_ROW {
        let (low, high) = values.split_at(values.len() / 2);
        let below = code.fresh_label();
        jump_constant(code, Comparison::Less, high[0].0, below);
        choose(code, high, none);
        ebpf! { in code; $below: }
        return choose(code, low, none);
    }
    for (value, label) in values {
        jump_constant(code, Comparison::Equal, *value, *label);
    }
    ebpf! { in code; ja $none }
}
