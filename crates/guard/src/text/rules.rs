//! What a service's rules say of messages: which are accepted, from whom, and how many.

use std::collections::{HashMap, HashSet};

use weir_asm::{Diagnostic, Diagnostics, Span};

use super::{
    expression::{self, Scope},
    named_files::{Merged, NamedFiles},
    protocol::unknown_message,
    table::{Table, Value, shown},
    values,
};
use crate::meaning::{Acceptance, Condition, Limit, MessageId, Party, Per, RateLimit, Senders};

/// How many limits a service may have: each message of it meets those of the service, and each is counted for itself.
const MOST_LIMITS: usize = 64;

/// The message that a value names.
pub(super) fn message(value: Value<'_>, merged: &Merged, found: &mut Diagnostics) -> Option<MessageId> {
    let name = value.text(found)?;
    let known = merged.message(name);
    if known.is_none() {
        let whole = merged.whole_names(name);
        let error = if whole.is_empty() {
            let names = merged.protocol.messages.iter().map(|message| message.name.as_str());
            unknown_message(name, value.span(), names, found)
        } else {
            Diagnostic::error(value.span(), format!("several protocols have a message '{}'", shown(name)))
                .help(format!("write {}", whole.join(" or ")))
        };
        found.push(error);
    }
    known
}

/// A message that the service sends.
pub(super) fn sent_message(value: Value<'_>, merged: &Merged, found: &mut Diagnostics) -> Option<MessageId> {
    let id = message(value, merged, found)?;
    if merged.protocol.message(id).by == Some(Party::Client) {
        let name = &merged.protocol.message(id).name;
        found.push(Diagnostic::error(value.span(), format!("clients send '{name}', and no service")));
    }
    Some(id)
}

/// What the rules of a service are read with.
pub(super) struct Rules<'a, 'f> {
    pub(super) merged: &'a Merged,
    /// Whether it says which sources are known.
    pub(super) has_known: bool,
    pub(super) named_files: &'a mut NamedFiles<'f>,
    pub(super) found: &'a mut Diagnostics,
}

/// Whose packets a rule is about, as it is written.
type WrittenSenders = Vec<String>;

impl Rules<'_, '_> {
    /// What is accepted, and where that stands.
    pub(super) fn accept(&mut self, value: Value<'_>) -> Vec<(Acceptance, Span)> {
        let values = value.items(self.found).unwrap_or_default();
        if values.is_empty() {
            let warning =
                Diagnostic::warning(value.span(), "no message is accepted: only sources of 'allow' pass");
            self.found.push(warning);
        }
        let mut accepted = Vec::with_capacity(values.len());
        let mut without_bounds: HashMap<MessageId, Span> = HashMap::new();
        for value in values {
            let Some(acceptance) = self.acceptance(value) else {
                continue;
            };
            let first = without_bounds.get(&acceptance.message).copied();
            if let Some(first) = first {
                let name = &self.merged.protocol.message(acceptance.message).name;
                let warning = Diagnostic::warning(value.span(), format!("'{name}' is accepted already"));
                self.found.push(warning.related(first, "from everybody, whatever it holds"));
            } else if acceptance.from == Senders::Anyone && acceptance.when == Condition::TRUE {
                without_bounds.insert(acceptance.message, value.span());
            }
            accepted.push((acceptance, value.span()));
        }
        accepted
    }

    fn acceptance(&mut self, value: Value<'_>) -> Option<Acceptance> {
        if value.is_text() {
            let message = self.accepted_message(value)?;
            return Some(Acceptance { message, from: Senders::Anyone, when: Condition::TRUE });
        }
        let mut table = value.table(self.found)?;
        let message = table.need("message", self.found).and_then(|message| self.accepted_message(message));
        let from = self.senders(&mut table);
        let when = table.take("when");
        table.finish(self.found);
        let when = match when {
            Some(when) => self.condition(when, message?),
            None => Some(Condition::TRUE),
        };
        Some(Acceptance { message: message?, from: from?.0, when: when? })
    }

    /// A message that some packet is.
    fn accepted_message(&mut self, value: Value<'_>) -> Option<MessageId> {
        let id = message(value, self.merged, self.found)?;
        if self.merged.protocol.message(id).by == Some(Party::Service) {
            let error =
                format!("the service sends '{}', and no client", self.merged.protocol.message(id).name);
            let help = "what the service sends is never judged: leave it out";
            self.found.push(Diagnostic::error(value.span(), error).help(help.to_owned()));
        }
        if let Some(by) = self.merged.relations.hidden_by.get(&id) {
            let name = |id| &self.merged.protocol.message(id).name;
            let error = format!(
                "no packet is '{}': '{}' has all of them, and is tried before it",
                name(id),
                name(*by)
            );
            let help = "accept the earlier one; or put the other before it in the protocol, or its protocol before the other";
            self.found.push(Diagnostic::error(value.span(), error).help(help.to_owned()));
        }
        Some(id)
    }

    /// A condition about a message's own protocol's fields.
    fn condition(&mut self, value: Value<'_>, message: MessageId) -> Option<Condition> {
        let source = value.source(self.found)?;
        let (reading, protocol, before) = self.merged.part_of(message)?;
        let scope = Scope { fields: &protocol.fields, constants: &reading.constants };
        let mut when = expression::condition(&source, &scope, self.found)?;
        when.shift_fields(before);
        self.named_files.add_condition(&when, value.span(), self.found);
        Some(when)
    }

    /// Whose packets a rule is about.
    fn senders(&mut self, table: &mut Table<'_>) -> Option<(Senders, WrittenSenders)> {
        let Some(value) = table.take("from") else {
            return Some((Senders::Anyone, Vec::new()));
        };
        let values = value.items_or_itself();
        let written: Option<Vec<_>> = values.iter().map(|value| value.text(self.found)).collect();
        let mut written = written?;
        let senders = match written[..] {
            [] => {
                let help = "leave out 'from' for everybody, or the rule for nobody".to_owned();
                self.found.push(Diagnostic::error(value.span(), "nobody is in this list").help(help));
                return None;
            }
            ["known" | "unknown"] if !self.has_known => {
                let error =
                    Diagnostic::error(value.span(), "this service says of no source that it is known");
                let help = "known = { after = \"MESSAGE\", by = \"source/32,/64\", for = \"60s\" } does";
                self.found.push(error.help(help.to_owned()));
                return None;
            }
            ["known"] => Senders::Known,
            ["unknown"] => Senders::Unknown,
            _ => Senders::Listed(self.named_files.prefixes(&values, self.found).into_iter().collect()),
        };
        written.sort_unstable();
        Some((senders, written.into_iter().map(str::to_owned).collect()))
    }

    /// How many packets may come, and where that stands. `accepted` is what there is to limit.
    pub(super) fn limits(&mut self, value: Value<'_>, accepted: &[(Acceptance, Span)]) -> Vec<(Limit, Span)> {
        let accepted: HashSet<_> = accepted.iter().map(|(acceptance, _)| acceptance.message).collect();
        let mut limits = Vec::new();
        let mut same: HashMap<(Option<MessageId>, WrittenSenders, Per), Span> = HashMap::new();
        for value in value.items(self.found).unwrap_or_default() {
            if limits.len() == MOST_LIMITS {
                self.found.push(Diagnostic::error(value.span(), format!("more than {MOST_LIMITS} limits")));
                break;
            }
            let Some((limit, written)) = self.limit(value, &accepted) else {
                continue;
            };
            let key = (limit.message, written, limit.per);
            if let Some(first) = same.get(&key) {
                let warning = Diagnostic::warning(
                    value.span(),
                    "a second limit of the same packets, by the same sources",
                );
                self.found.push(warning.related(*first, "the first"));
            } else {
                same.insert(key, value.span());
            }
            limits.push((limit, value.span()));
        }
        limits
    }

    fn limit(&mut self, value: Value<'_>, accepted: &HashSet<MessageId>) -> Option<(Limit, WrittenSenders)> {
        let mut table = value.table(self.found)?;
        let of = table.take("message");
        let message = of.map(|of| message(of, self.merged, self.found));
        if let (Some(of), Some(Some(id))) = (of, message)
            && !accepted.contains(&id)
        {
            let name = &self.merged.protocol.message(id).name;
            let warning = format!("'{name}' is not accepted: there is nothing to limit");
            self.found.push(Diagnostic::warning(of.span(), warning));
        }
        let from = self.senders(&mut table);
        let per = table.need("per", self.found).and_then(|per| per.parsed(values::per, self.found));
        let rate = table.need("rate", self.found).and_then(|rate| rate.parsed(values::rate, self.found));
        let burst = table.take("burst").map(|burst| burst.integer(1..=u32::MAX.into(), self.found));
        table.finish(self.found);
        let message = match message {
            Some(named) => Some(named?),
            None => None,
        };
        let mut rate: RateLimit = rate?;
        if let Some(burst) = burst {
            rate.burst = u32::try_from(burst?).ok().and_then(std::num::NonZeroU32::new)?;
        }
        let (from, written) = from?;
        Some((Limit { message, from, per: per?, rate }, written))
    }

    /// Warns of messages that aren't accepted and are others, which are, when they are cut short.
    pub(super) fn warn_of_cuts(&mut self, accepted: &[(Acceptance, Span)]) {
        let mut spans: HashMap<MessageId, (Span, bool)> = HashMap::new();
        for (acceptance, span) in accepted {
            let is_without_bounds = acceptance.from == Senders::Anyone && acceptance.when == Condition::TRUE;
            let entry = spans.entry(acceptance.message).or_insert((*span, false));
            entry.1 |= is_without_bounds;
        }
        for cut in &self.merged.relations.cuts {
            let strict = spans.get(&cut.strict).is_some_and(|(_, is_without_bounds)| *is_without_bounds);
            let Some((span, true)) = spans.get(&cut.wide).filter(|_| !strict) else {
                continue;
            };
            let name = |id| &self.merged.protocol.message(id).name;
            let (strict, wide) = (name(cut.strict), name(cut.wide));
            let warning = format!(
                "whoever may not send '{strict}' may send it cut to {} bytes: that is '{wide}'",
                cut.len
            );
            let help = format!("let '{wide}' ask for as many bytes as '{strict}' reads");
            self.found.push(Diagnostic::warning(*span, warning).help(help));
        }
    }
}
