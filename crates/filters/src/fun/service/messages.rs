//! Which message a packet is: the first that matches, asked one by one, or, where many differ in one number, by that number.
//!
//! A walk takes long, and most of what isn't wanted is told without. So all messages are asked first as far as that goes; at the first
//! question that needs a walk the packet is walked, and the questions go on from there.

use std::collections::BTreeMap;

use weir_asm::{Code, Label, Mem};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Comparison, Condition, Integer, MessageId, Party, ServicePart};

use super::{
    Compiler, FORGOTTEN, Refusal,
    bucket::KEY,
    condition::{Simplified, simplified},
    integer::choose,
    stack,
};
use crate::fun::parse::PAYLOAD_LEN;

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

/// What waits for a walk: the number of a question that needs one, counted from 1 on. It is no more needed when a key is made there. The
/// verifier forgets what stands in the second half of 8 bytes.
const WAITING: Mem = stack(KEY + 4);

/// How the questions are asked.
enum Asking {
    /// Before the walk, on at which the questions wait that need it: so many so far.
    Before { walk: Label, waiting: usize },
    /// Behind it: here each of those that waited goes on.
    Behind(std::vec::IntoIter<Label>),
}

impl Compiler<'_> {
    /// On at a message's label, or at `none`; the messages that there are, with their labels.
    pub(super) fn messages(
        &mut self,
        code: &mut Code,
        none: Label,
    ) -> Result<Vec<(MessageId, Label)>, Refusal> {
        let candidates = self.candidates(code);
        let walk = code.fresh_label();
        let mut asking = Asking::Before { walk, waiting: 0 };
        self.ask_all(code, &candidates, &mut asking, none)?;
        if let Asking::Before { waiting: waiting @ 1.., .. } = asking {
            // Whatever waits, the verifier knows as much of the payload's length: all of it that there can be.
            ebpf! { in code;
            $walk:
                stxw [$FORGOTTEN], $PAYLOAD_LEN
                ldxw $PAYLOAD_LEN, [$FORGOTTEN]
                jgt $PAYLOAD_LEN, {i32::from(u16::MAX)}, $none
            }
            self.walk_fields(code)?;
            let labels: Vec<_> = (0..waiting).map(|_| code.fresh_label()).collect();
            let numbers: Vec<_> = (1..).zip(labels.iter().copied()).collect();
            if let [(_, only)] = numbers[..] {
                ebpf! { in code; ja $only }
            } else {
                ebpf! { in code; ldxw r0, [$WAITING] }
                choose(code, &numbers, none);
            }
            self.ask_all(code, &candidates, &mut Asking::Behind(labels.into_iter()), none)?;
        }
        Ok(candidates.into_iter().map(|candidate| (candidate.id, candidate.label)).collect())
    }

    fn ask_all(
        &mut self,
        code: &mut Code,
        candidates: &[Candidate],
        asking: &mut Asking,
        none: Label,
    ) -> Result<(), Refusal> {
        let mut left = candidates;
        while let Some(first) = left.first() {
            let (asked, behind) = match longest_run(left) {
                Some((integer, len)) => {
                    self.by_number(code, integer, &left[..len], asking)?;
                    left.split_at(len)
                }
                None => {
                    self.ask(code, first, &[], asking)?;
                    left.split_at(1)
                }
            };
            let is_every_packet = asked.iter().any(|candidate| candidate.conjuncts.is_empty());
            left = if is_every_packet { &[] } else { behind };
        }
        ebpf! { in code; ja $none }
        Ok(())
    }

    /// Waits for the walk, or goes on behind it.
    fn wait(code: &mut Code, asking: &mut Asking) {
        match asking {
            Asking::Before { walk, waiting } => {
                *waiting += 1;
                ebpf! { in code;
                    stw [$WAITING], {*waiting as i32}
                    ja {*walk}
                }
            }
            Asking::Behind(labels) => {
                if let Some(label) = labels.next() {
                    ebpf! { in code; $label: }
                }
            }
        }
    }

    fn needs_walk(&self, condition: &Condition) -> bool {
        let fields = self.service.protocol.fields_of([condition]);
        fields.iter().any(|field| self.walked.contains_key(field))
    }

    /// Whether it takes a walk to know whether a message is accepted.
    fn is_accepted_by_walk(&self, message: MessageId) -> bool {
        let mut accept = self.service.accept.iter().filter(|_| self.by == Party::Client);
        accept.any(|each| each.message == message && self.needs_walk(&each.when))
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
    fn ask(
        &mut self,
        code: &mut Code,
        candidate: &Candidate,
        known: &[&Condition],
        asking: &mut Asking,
    ) -> Result<(), Refusal> {
        let next = code.fresh_label();
        let asked = candidate.conjuncts.iter().zip(&candidate.places);
        let (walking, plain): (Vec<_>, Vec<_>) = asked
            .filter(|(conjunct, _)| !known.contains(conjunct))
            .partition(|(conjunct, _)| self.needs_walk(conjunct));
        let require = |compiler: &mut Self, code: &mut Code, conjuncts: Vec<(&Condition, &usize)>| {
            conjuncts.into_iter().try_for_each(|(conjunct, place)| {
                compiler.mark(code, ServicePart::Conjunct(candidate.id, *place));
                compiler.require(code, conjunct, true, next)
            })
        };
        require(self, code, plain)?;
        if !walking.is_empty() || self.is_accepted_by_walk(candidate.id) {
            Self::wait(code, asking);
        }
        if let Asking::Behind(_) = asking {
            require(self, code, walking)?;
        }
        ebpf! { in code;
            ja {candidate.label}
        $next:
        }
        Ok(())
    }

    /// Messages each of which asks that a number is one of a few: those for which it is are asked alone. Where the number is absent,
    /// none of them matches.
    fn by_number(
        &mut self,
        code: &mut Code,
        integer: &Integer,
        run: &[Candidate],
        asking: &mut Asking,
    ) -> Result<(), Refusal> {
        let mut behind = Asking::Behind(Vec::new().into_iter());
        let asking = if self.needs_walk(&is_among(integer)) {
            Self::wait(code, asking);
            match asking {
                Asking::Before { .. } => return Ok(()),
                Asking::Behind(_) => &mut behind,
            }
        } else {
            asking
        };
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
                self.ask(code, candidate, known.as_slice(), asking)?;
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

/// A condition about a number.
fn is_among(integer: &Integer) -> Condition {
    Condition::Among(integer.clone(), Vec::new())
}
