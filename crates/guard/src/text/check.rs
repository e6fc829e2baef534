//! What can be shown of a protocol's messages together: which none can be, which hide others, and which are evaded by a cut.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
};

use weir_asm::{Diagnostic, Diagnostics, Span};

use crate::meaning::{
    Comparison, Condition, Field, FieldId, FieldKind, Integer, LengthForm, MessageId, Operation, Party,
    Protocol,
};

/// How many conditions of two messages are compared in all: those beyond are not compared, and nothing is said of them.
const MOST_STEPS: usize = 4_000_000;
/// How many cuts are told.
const MOST_CUTS: usize = 10_000;

/// Sorted ranges, none touching the next.
type Ranges = Vec<RangeInclusive<u64>>;

/// A message that is shorter than another, and otherwise the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The message that stands first and asks more.
    pub(super) strict: MessageId,
    /// The message that its packets are when they are cut.
    pub(super) wide: MessageId,
    /// To how many bytes.
    pub(super) len: u64,
}

/// How messages of a protocol stand to each other, as far as it can be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Relations {
    /// Of messages that no packet is, an earlier one that has all their packets.
    pub(super) hidden_by: HashMap<MessageId, MessageId>,
    /// Messages of which a packet that is cut is another message.
    pub(super) cuts: Vec<Cut>,
}

/// Where a message stands in its file.
pub(super) struct MessageSpans {
    /// Its name.
    pub(super) name: Span,
    /// What it asks of packets by itself.
    pub(super) when: Span,
}

/// Warns of messages that no packet is.
pub(super) fn warn_of_messages(protocol: &Protocol, spans: &[MessageSpans], found: &mut Diagnostics) {
    let facts = Facts::of_all(protocol);
    for (facts, (message, spans)) in facts.iter().zip(protocol.messages.iter().zip(spans)) {
        if let Some(why) = &facts.contradiction {
            found.push(Diagnostic::warning(spans.when, format!("no packet is '{}': {why}", message.name)));
        }
    }
    for (hidden, by) in in_order(&Relations::among(&facts, &mut { MOST_STEPS }).hidden_by) {
        let (name, earlier) = (&protocol.message(hidden).name, &protocol.message(by).name);
        let message =
            format!("no packet is '{name}': '{earlier}', which is tried before it, has all of them");
        let warning = Diagnostic::warning(spans[hidden.0].when, message);
        let help = format!("put '{name}' before '{earlier}'");
        found.push(warning.related(spans[by.0].name, "the earlier one").help(help));
    }
}

fn in_order(hidden_by: &HashMap<MessageId, MessageId>) -> Vec<(MessageId, MessageId)> {
    let mut hidden: Vec<_> = hidden_by.iter().map(|(hidden, by)| (*hidden, *by)).collect();
    hidden.sort_unstable();
    hidden
}

impl Relations {
    /// Of a protocol's messages. `steps` is how much may be compared yet.
    pub(super) fn of(protocol: &Protocol, steps: &mut usize) -> Self {
        Self::among(&Facts::of_all(protocol), steps)
    }

    /// The steps that a guard's protocols have together.
    pub(super) const STEPS: usize = MOST_STEPS;

    fn among(facts: &[Facts], steps: &mut usize) -> Self {
        let mut relations = Self::default();
        for (at, later) in facts.iter().enumerate().filter(|(_, facts)| facts.contradiction.is_none()) {
            let earlier = facts[..at].iter().enumerate().filter(|(_, facts)| facts.contradiction.is_none());
            let mut cuts = Vec::new();
            for (before, earlier) in earlier {
                let is_of_the_same = earlier.by.is_none() || earlier.by == later.by;
                if is_of_the_same && later.implies(earlier, steps) {
                    relations.hidden_by.insert(MessageId(at), MessageId(before));
                    break;
                }
                let is_of_one = is_of_the_same || later.by.is_none() && earlier.by == Some(Party::Client);
                let len =
                    (is_of_one && earlier.implies(later, steps)).then(|| later.cut_from(earlier)).flatten();
                // A message between may be the cut packet before this one is asked.
                let is_between =
                    |len: &u64| facts[before + 1..at].iter().any(|between| between.may_have(*len));
                cuts.extend(len.filter(|len| !is_between(len)).map(|len| Cut {
                    strict: MessageId(before),
                    wide: MessageId(at),
                    len,
                }));
                if *steps == 0 {
                    return relations;
                }
            }
            if !relations.hidden_by.contains_key(&MessageId(at)) {
                let room = MOST_CUTS - relations.cuts.len();
                relations.cuts.extend(cuts.into_iter().take(room));
            }
        }
        relations
    }
}

/// What is known of a packet that is a message. Conditions and integers are numbered through all messages.
struct Facts {
    /// Who sends it, where not both do.
    by: Option<Party>,
    /// Conditions that hold.
    hold: HashSet<usize>,
    /// What integers are, `len` among them.
    ranges: HashMap<usize, Ranges>,
    /// Those that say all together: their numbers, and the integer with its ranges where it is about one.
    conjuncts: Vec<(usize, Option<(usize, Ranges)>)>,
    /// A packet of fewer bytes is no such message.
    least: u64,
    /// A packet cut to so many bytes, or more, still has everything that the conditions read. Nothing where that depends on
    /// what its bytes are, or where it is read how many there are.
    most: Option<u64>,
    /// The integer `len`.
    len: usize,
    /// Why no packet is one.
    contradiction: Option<String>,
}

impl Facts {
    fn of_all(protocol: &Protocol) -> Vec<Self> {
        let reach = Reach::of(protocol);
        let mut conditions: HashMap<&Condition, usize> = HashMap::new();
        let mut integers: HashMap<&Integer, usize> = HashMap::from([(&Integer::Len, 0)]);
        let mut all = Vec::with_capacity(protocol.messages.len());
        for message in &protocol.messages {
            let mut facts = Self {
                by: message.by,
                hold: HashSet::new(),
                ranges: HashMap::new(),
                conjuncts: Vec::new(),
                least: 0,
                most: Some(0),
                len: 0,
                contradiction: None,
            };
            for part in message.when.conjuncts() {
                let next = conditions.len();
                let condition = *conditions.entry(part).or_insert(next);
                let about = ranges_of(part).map(|(integer, ranges)| {
                    let next = integers.len();
                    (*integers.entry(integer).or_insert(next), ranges)
                });
                facts.least = facts.least.max(reach.least(part, true));
                if about.as_ref().is_none_or(|(integer, _)| *integer != facts.len) {
                    facts.most = facts.most.zip(reach.most(part)).map(|(one, other)| one.max(other));
                }
                facts.add(condition, about);
            }
            facts.look_for_contradiction();
            all.push(facts);
        }
        all
    }

    fn add(&mut self, condition: usize, about: Option<(usize, Ranges)>) {
        if !self.hold.insert(condition) {
            return;
        }
        if let Some((integer, ranges)) = &about {
            let held = self.ranges.entry(*integer).or_insert_with(|| vec![0..=u64::MAX]);
            *held = both(held, ranges);
        }
        self.conjuncts.push((condition, about));
    }

    fn look_for_contradiction(&mut self) {
        let longest = self.ranges.get(&self.len).and_then(|ranges| ranges.last()).map(|range| *range.end());
        self.contradiction = match longest {
            _ if self.ranges.values().any(Vec::is_empty) => {
                Some("what it asks of a number contradicts itself".to_owned())
            }
            Some(longest) if self.least > longest => {
                Some(format!("it needs {} bytes, and has at most {longest}", self.least))
            }
            _ => None,
        };
        let shortest =
            self.ranges.get(&self.len).and_then(|ranges| ranges.first()).map(|range| *range.start());
        self.least = self.least.max(shortest.unwrap_or(0));
    }

    /// Whether a packet for which these hold is shown to be one for which the others do.
    fn implies(&self, others: &Self, steps: &mut usize) -> bool {
        others.conjuncts.iter().all(|(condition, about)| {
            let held = about.as_ref().and_then(|(integer, ranges)| Some((self.ranges.get(integer)?, ranges)));
            *steps = steps.saturating_sub(1 + held.map_or(0, |(held, ranges)| held.len() + ranges.len()));
            *steps > 0
                && (self.hold.contains(condition)
                    || held.is_some_and(|(held, ranges)| both(held, ranges) == *held))
        })
    }

    /// Whether a packet of so many bytes may be one.
    fn may_have(&self, len: u64) -> bool {
        let lens = self.ranges.get(&self.len);
        self.contradiction.is_none()
            && self.least <= len
            && lens.is_none_or(|lens| lens.iter().any(|range| range.contains(&len)))
    }

    /// To how many bytes a packet of a stricter message is cut to be this one and no longer that.
    fn cut_from(&self, strict: &Self) -> Option<u64> {
        let most = self.most?;
        let all = [0..=u64::MAX];
        let lens = self.ranges.get(&self.len).map_or(&all[..], |ranges| ranges);
        let range = lens.iter().find(|range| *range.end() >= most)?;
        Some(most.max(*range.start())).filter(|len| *len < strict.least)
    }
}

/// The one integer that a condition is about, and what it is where the condition holds.
fn ranges_of(condition: &Condition) -> Option<(&Integer, Ranges)> {
    let (comparison, integer, value) = match condition {
        Condition::Among(integer, ranges) => return Some((integer, ranges.clone())),
        Condition::Compare(comparison, integer, Integer::Constant(value)) => (*comparison, integer, *value),
        Condition::Compare(comparison, Integer::Constant(value), integer) => {
            let turned = match comparison {
                Comparison::Less => Comparison::Greater,
                Comparison::LessOrEqual => Comparison::GreaterOrEqual,
                Comparison::Greater => Comparison::Less,
                Comparison::GreaterOrEqual => Comparison::LessOrEqual,
                other => *other,
            };
            (turned, integer, *value)
        }
        _ => return None,
    };
    let below = value.checked_sub(1).map(|below| 0..=below);
    let above = value.checked_add(1).map(|above| above..=u64::MAX);
    let ranges = match comparison {
        Comparison::Equal => vec![value..=value],
        Comparison::Unequal => below.into_iter().chain(above).collect(),
        Comparison::Less => Vec::from_iter(below),
        Comparison::LessOrEqual => vec![0..=value],
        Comparison::Greater => Vec::from_iter(above),
        Comparison::GreaterOrEqual => vec![value..=u64::MAX],
    };
    Some((integer, ranges))
}

/// What is in both.
fn both(one: &[RangeInclusive<u64>], other: &[RangeInclusive<u64>]) -> Ranges {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut both = Vec::new();
    while let (Some(left), Some(right)) = (one.peek(), other.peek()) {
        let (start, end) = (*left.start().max(right.start()), *left.end().min(right.end()));
        if start <= end {
            both.push(start..=end);
        }
        if left.end() < right.end() {
            one.next()
        } else {
            other.next()
        };
    }
    both
}

/// How many bytes of a packet conditions read.
struct Reach {
    fields: Vec<FieldReach>,
}

struct FieldReach {
    /// What `end` of it isn't below.
    end: u64,
    /// How many bytes a packet has at least where it is there.
    least: u64,
    /// How many bytes are looked at, unless that depends on what they are.
    most: Option<u64>,
}

impl Reach {
    fn of(protocol: &Protocol) -> Self {
        let mut reach = Self { fields: Vec::with_capacity(protocol.fields.len()) };
        for field in &protocol.fields {
            let len = least_len(field);
            let end = reach.lowest(&field.at).saturating_add(len);
            let least = end.max(reach.of_integer(&field.at));
            let most = match (&field.at, &field.kind) {
                (Integer::Constant(at), FieldKind::Unsigned { .. } | FieldKind::Bytes(_)) => {
                    at.checked_add(len)
                }
                _ => None,
            };
            reach.fields.push(FieldReach { end, least, most });
        }
        reach
    }

    /// A number that an integer isn't below.
    fn lowest(&self, integer: &Integer) -> u64 {
        match integer {
            Integer::Constant(value) => *value,
            Integer::End(field) => self.fields[field.0].end,
            Integer::Binary(Operation::Add, left, right) => {
                self.lowest(left).saturating_add(self.lowest(right))
            }
            _ => 0,
        }
    }

    /// How many bytes there are where an integer isn't absent.
    fn of_integer(&self, integer: &Integer) -> u64 {
        integer.fields().into_iter().map(|FieldId(field)| self.fields[field].least).max().unwrap_or(0)
    }

    /// How many bytes there are where a condition comes to `truth`.
    fn least(&self, condition: &Condition, truth: bool) -> u64 {
        let parts = |parts: &[Condition], is_every: bool| {
            let each = parts.iter().map(|part| self.least(part, truth));
            if is_every { each.max() } else { each.min() }.unwrap_or(0)
        };
        match condition {
            Condition::Compare(_, left, right) => self.of_integer(left).max(self.of_integer(right)),
            Condition::Among(integer, _) => self.of_integer(integer),
            Condition::Text { field, .. } | Condition::Name { field, .. } => self.fields[field.0].least,
            Condition::All(all) => parts(all, truth),
            Condition::Any(any) => parts(any, !truth),
            Condition::Not(inner) => self.least(inner, !truth),
        }
    }

    /// How many bytes a condition looks at; nothing where that isn't the same for every packet, or where it looks at `len`.
    fn most(&self, condition: &Condition) -> Option<u64> {
        match condition {
            Condition::Compare(_, left, right) => Some(self.most_of(left)?.max(self.most_of(right)?)),
            Condition::Among(integer, _) => self.most_of(integer),
            Condition::Text { field, .. } | Condition::Name { field, .. } => self.fields[field.0].most,
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter().try_fold(0, |most: u64, part| Some(most.max(self.most(part)?)))
            }
            Condition::Not(inner) => self.most(inner),
        }
    }

    fn most_of(&self, integer: &Integer) -> Option<u64> {
        match integer {
            Integer::Len => None,
            Integer::Constant(_) | Integer::SourcePort => Some(0),
            Integer::Field(field) | Integer::Start(field) | Integer::End(field) => self.fields[field.0].most,
            Integer::Binary(_, left, right) => Some(self.most_of(left)?.max(self.most_of(right)?)),
        }
    }
}

/// How many bytes a field has at least.
fn least_len(field: &Field) -> u64 {
    match field.kind {
        FieldKind::Unsigned { width, .. } | FieldKind::Counted(LengthForm::Unsigned(width, _)) => {
            width.bytes()
        }
        FieldKind::Bytes(count) => count.into(),
        _ => 1,
    }
}
