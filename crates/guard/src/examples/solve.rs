//! Packets that are a message, made from its condition: what it wants is written, looked at, and written again where one part
//! undid another.

use std::net::SocketAddr;

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use super::draft::Draft;
use crate::meaning::{Condition, FieldId, Integer, MessageId, Party, Protocol};

/// How often a draft is looked at.
const ROUNDS: usize = 24;
/// How often of these with what is only better.
const CAREFUL: usize = 12;
/// After so many rounds two parts may want the same byte, which something longer may move apart.
const STUCK: usize = 3;

/// What must hold of a packet: comparisons, and whether each is to be true or false.
#[derive(Clone, Default)]
pub(super) struct Wants<'c> {
    must: Vec<(&'c Condition, bool)>,
    /// What decides alone where these come to something else.
    better_not: Vec<(&'c Condition, bool)>,
}

/// A packet that is a message, and what was wanted of it.
pub(super) struct Solution<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) wants: Wants<'a>,
}

/// The comparisons that a condition is made of.
pub(super) fn leaves(condition: &Condition) -> Vec<&Condition> {
    let (mut leaves, mut left) = (Vec::new(), vec![condition]);
    while let Some(condition) = left.pop() {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => left.extend(parts.iter().rev()),
            Condition::Not(inner) => left.push(inner),
            leaf => leaves.push(leaf),
        }
    }
    leaves
}

impl<'c> Wants<'c> {
    /// Wants a condition to be true or false. Of what can be so in several ways one is chosen: the one with the comparison
    /// `through` in it, which then is to decide, or else any.
    fn add(&mut self, condition: &'c Condition, wanted: bool, through: Option<&Condition>, rng: &mut StdRng) {
        match (condition, wanted) {
            (Condition::All(parts), true) | (Condition::Any(parts), false) => {
                parts.iter().for_each(|part| self.add(part, wanted, through, rng));
            }
            (Condition::All(parts), false) | (Condition::Any(parts), true) if !parts.is_empty() => {
                let decisive = through.and_then(|leaf| parts.iter().position(|part| has(part, leaf)));
                let chosen = decisive.unwrap_or_else(|| rng.random_range(0..parts.len()));
                self.add(&parts[chosen], wanted, through, rng);
                if decisive.is_some() {
                    let others = parts.iter().enumerate().filter(|(number, _)| *number != chosen);
                    self.better_not.extend(others.map(|(_, part)| (part, wanted)));
                }
            }
            (Condition::Not(inner), _) => self.add(inner, !wanted, through, rng),
            _ => self.must.push((condition, wanted)),
        }
    }

    /// Whether all of it holds; writes what doesn't, `except` for one comparison.
    pub(super) fn settle(
        &self,
        draft: &mut Draft<'_>,
        except: Option<&Condition>,
        is_careful: bool,
        rng: &mut StdRng,
    ) -> bool {
        let mut is_settled = true;
        for (leaf, wanted) in &self.must {
            if !is_same(except, leaf) && !draft.is(leaf, *wanted) {
                is_settled = false;
                draft.satisfy(leaf, *wanted, rng);
            }
        }
        for (part, unwanted) in self.better_not.iter().filter(|_| is_careful) {
            if draft.is(part, *unwanted) {
                is_settled = false;
                let mut other = Wants::default();
                other.add(part, !unwanted, None, rng);
                for (leaf, wanted) in other.must {
                    draft.satisfy(leaf, wanted, rng);
                }
            }
        }
        is_settled
    }
}

/// A packet that is the message, also what more is wanted, where one is found.
pub(super) fn solve<'a>(
    protocol: &'a Protocol,
    message: MessageId,
    also: Option<&'a Condition>,
    through: Option<&Condition>,
    source: SocketAddr,
    rng: &mut StdRng,
) -> Option<Solution<'a>> {
    let when = &protocol.message(message).when;
    let mut wants = Wants::default();
    for condition in [when].into_iter().chain(also) {
        wants.add(condition, true, through, rng);
    }
    let mut draft = Draft::new(protocol, source);
    let mut avoided = Vec::new();
    let fields = protocol.fields_of([when].into_iter().chain(also));
    for round in 0..ROUNDS {
        if !wants.settle(&mut draft, None, round < CAREFUL, rng) {
            if round >= STUCK && rng.random_bool(0.4) {
                lengthen(&mut draft, &fields, rng);
            }
            continue;
        }
        match taken_for(protocol, message, &draft) {
            None => break,
            Some(earlier) if !avoided.contains(&earlier) => {
                avoided.push(earlier);
                wants.add(&protocol.message(earlier).when, false, None, rng);
            }
            Some(_) => {}
        }
    }
    let holds = [when].into_iter().chain(also).all(|condition| draft.is(condition, true));
    (holds && taken_for(protocol, message, &draft).is_none()).then_some(Solution { draft, wants })
}

/// Makes the payload longer, or a field of several lengths.
fn lengthen(draft: &mut Draft<'_>, fields: &[FieldId], rng: &mut StdRng) {
    let by = rng.random_range(1..16);
    let longer = match fields.choose(rng) {
        Some(id) if !draft.field(*id).kind.is_number() && rng.random_bool(0.7) => Integer::End(*id),
        _ => Integer::Len,
    };
    if let Some(now) = draft.value(&longer) {
        draft.set(&longer, now + by);
    }
}

/// The earlier message that a packet is.
fn taken_for(protocol: &Protocol, message: MessageId, draft: &Draft<'_>) -> Option<MessageId> {
    let by = protocol.message(message).by.unwrap_or(Party::Client);
    protocol.message_of(&draft.packet(), by).filter(|taken| *taken < message)
}

fn has(condition: &Condition, leaf: &Condition) -> bool {
    let mut left = vec![condition];
    while let Some(condition) = left.pop() {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => left.extend(parts),
            Condition::Not(inner) => left.push(inner),
            other if std::ptr::eq(other, leaf) => return true,
            _ => {}
        }
    }
    false
}

/// Whether it is that very comparison, not one like it.
fn is_same(one: Option<&Condition>, other: &Condition) -> bool {
    one.is_some_and(|one| std::ptr::eq(one, other))
}
