//! A packet of which the interpreter and a service's program think differently.

use std::fmt;

use pretty_hex::{HexConfig, config_hex};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use weir_filters::{Hook, Layer, Verdict, corpus::Case};
use weir_guard::{
    examples::Example,
    meaning::{Decision, MessageId, Service, ServicePart},
};

use super::{
    difference,
    program::{GuardProgram, Said},
};
use crate::{disagreement::hex, minimise::minimise};

/// A packet, and what both said.
#[derive(Clone, Debug)]
pub struct GuardDisagreement {
    /// The service.
    pub service: String,
    /// Where its program ran.
    pub hook: Hook,
    /// The packet, made as small as it goes.
    pub example: Example,
    /// The packet as the program sees it.
    pub frame: Vec<u8>,
    /// What the interpreter decided.
    pub expected: String,
    /// What the program returned.
    pub returned: i32,
    /// What it counted.
    pub counted: Vec<String>,
    /// Whether it takes the packets before to show it.
    pub is_behind_others: bool,
    /// The rules that the two went by, and who says what.
    pub rules: Vec<(ServicePart, String)>,
}

impl GuardDisagreement {
    /// Of a packet that showed it behind others; alone, and smaller, where it shows it so.
    pub(super) fn of(
        program: &mut GuardProgram,
        service: &Service,
        example: &Example,
        shown: (Decision, Said),
    ) -> Self {
        let mut smallest = example.clone();
        // What can't be run shows nothing.
        let mut shows = |example: &Example| difference(program, service, example).ok().flatten();
        let is_behind_others = shows(&smallest).is_none();
        if !is_behind_others {
            for smaller in [
                Example { behind: Vec::new(), ..smallest.clone() },
                Example { behind: Vec::new(), payload: Vec::new(), ..smallest.clone() },
            ] {
                if shows(&smaller).is_some() {
                    smallest = smaller;
                }
            }
            let with = |payload: &[u8]| Example { payload: payload.to_vec(), ..smallest.clone() };
            let whole = Case::of_one(smallest.payload.clone());
            let case = minimise(&whole, |case| shows(&with(&case.seen)).is_some());
            smallest = with(&case.seen);
        }
        let (expected, said) = if is_behind_others { shown } else { shows(&smallest).unwrap_or(shown) };
        let words = |decision: &Decision| words(*decision, service);
        Self {
            service: service.name.clone(),
            hook: program.hook(),
            frame: program.frame(&smallest),
            example: smallest,
            expected: words(&expected),
            returned: said.returned,
            counted: said.counted.iter().map(words).collect(),
            is_behind_others,
            rules: rules(service, program.hook(), expected, &said.counted),
        }
    }

    fn program(&self) -> String {
        let verdict = match self.hook.verdict(self.returned) {
            Some(Verdict::Accept) => "accepts",
            Some(Verdict::Drop) => "drops",
            None => "returns what is no verdict",
        };
        let counted = if self.counted.is_empty() { "nothing".to_owned() } else { self.counted.join(", ") };
        format!("{verdict} ({}) and counts {counted}", self.returned)
    }
}

/// The parts of a service by which the interpreter and a program decided, with what each said.
fn rules(
    service: &Service,
    hook: Hook,
    expected: Decision,
    counted: &[Decision],
) -> Vec<(ServicePart, String)> {
    let asks_acceptances = std::iter::once(&expected)
        .chain(counted)
        .any(|decision| matches!(decision, Decision::Unwelcome(id) if message_of(expected) == Some(*id)));
    let part = |decision| match decision {
        Decision::Allowed => Some(ServicePart::Allow),
        Decision::Blocked => Some(ServicePart::Block),
        Decision::NoMessage | Decision::Unjudged(..) => None,
        // There some are left out, so that the others have other numbers.
        Decision::OverLimit(_, limit) if hook.layer() != Layer::Udp => Some(ServicePart::Limit(limit)),
        Decision::OverLimit(id, _) | Decision::Accepted(id) | Decision::Unwelcome(id) => {
            let acceptance = service.accept.iter().position(|each| each.message == id);
            let acceptance = acceptance.filter(|_| asks_acceptances).map(ServicePart::Accept);
            acceptance.or(Some(ServicePart::Message(id)))
        }
    };
    let program = counted.iter().map(|decision| ("the program", *decision));
    let said = std::iter::once(("the interpreter", expected)).chain(program).filter_map(|(who, decision)| {
        let said = format!("of a packet at {hook} {who} says '{}'", words(decision, service));
        Some((part(decision)?, said))
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() {
        return vec![(ServicePart::Name, format!("at {hook} the program decides otherwise than the rules"))];
    }
    said
}

/// The message that a packet was found to be.
const fn message_of(decision: Decision) -> Option<MessageId> {
    match decision {
        Decision::Allowed | Decision::Blocked | Decision::NoMessage | Decision::Unjudged(..) => None,
        Decision::Unwelcome(id) | Decision::OverLimit(id, _) | Decision::Accepted(id) => Some(id),
    }
}

/// A decision in words.
pub(super) fn words(decision: Decision, service: &Service) -> String {
    let message = |id: MessageId| &service.protocol.message(id).name;
    match decision {
        Decision::Allowed => "allowed".to_owned(),
        Decision::Blocked => "blocked".to_owned(),
        Decision::NoMessage => "no message".to_owned(),
        Decision::Unwelcome(id) => format!("unwelcome: {}", message(id)),
        Decision::OverLimit(id, limit) => format!("over limit {}: {}", limit.0 + 1, message(id)),
        Decision::Accepted(id) => format!("accepted: {}", message(id)),
        Decision::Unjudged(kind, fate) => format!("not judged: {kind:?}, {fate:?}"),
    }
}

/// As many bytes of a packet are shown: the longest has 65 535, of which JSON has all.
const SHOWN: usize = 512;

/// The first bytes, in hexadecimal digits, and how many more there are.
fn beginning(bytes: &[u8]) -> String {
    match bytes.split_at_checked(SHOWN) {
        Some((shown, more)) if !more.is_empty() => format!("{}… and {} more", hex(shown), more.len()),
        _ => hex(bytes),
    }
}

impl fmt::Display for GuardDisagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, hook, expected, .. } = self;
        writeln!(f, "{service} at {hook}: the interpreter says {expected}, the program {}", self.program())?;
        let layout = HexConfig { title: false, max_bytes: SHOWN, ..HexConfig::default() };
        writeln!(f, "{}", config_hex(&self.frame, layout))?;
        let Example { source, payload, behind } = &self.example;
        write!(f, "from {source}, {} bytes of payload: {}", payload.len(), beginning(payload))?;
        if !behind.is_empty() {
            write!(f, ", behind it in the frame {}", beginning(behind))?;
        }
        if self.is_behind_others {
            write!(f, "\nby itself it shows nothing: packets before it had taken tokens of limits")?;
        }
        Ok(())
    }
}

impl Serialize for GuardDisagreement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("GuardDisagreement", 7)?;
        fields.serialize_field("packet", &hex(&self.frame))?;
        fields.serialize_field("source", &self.example.source)?;
        fields.serialize_field("payload", &hex(&self.example.payload))?;
        fields.serialize_field("interpreter", &self.expected)?;
        fields.serialize_field("returned", &self.returned)?;
        fields.serialize_field("counted", &self.counted)?;
        fields.serialize_field("is_behind_others", &self.is_behind_others)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use weir_guard::meaning::LimitId;

    use super::*;

    #[test]
    fn of_a_long_packet_the_beginning_is_shown() {
        assert_eq!(beginning(&[0xab; SHOWN]), "ab".repeat(SHOWN));
        assert_eq!(beginning(&[0xab; SHOWN + 2]), format!("{}… and 2 more", "ab".repeat(SHOWN)));
    }

    #[test]
    fn a_disagreement_is_shown_at_the_rules_by_which_both_decided() {
        let letters = |name| {
            let fault = super::super::faults::FAULTS.iter().find(|fault| fault.name == name);
            fault.expect("it is planted").service().expect("it has no error")
        };
        let check = |service: &Service, hook, expected, counted: &[Decision], parts: &[ServicePart]| {
            let said = rules(service, hook, expected, counted);
            assert_eq!(said.into_iter().map(|(part, _)| part).collect::<Vec<_>>(), parts, "{expected:?}");
        };
        let [query, notify] = [MessageId(0), MessageId(1)];
        let sources = letters("a message taken from everybody");
        let check_sources = |expected, counted, parts: &[ServicePart]| {
            check(&sources, Hook::Tc, expected, &[counted], parts);
        };
        let messages = [query, notify].map(ServicePart::Message);
        check_sources(Decision::Accepted(query), Decision::NoMessage, &messages[..1]);
        check_sources(Decision::Accepted(query), Decision::Accepted(notify), &messages);
        check_sources(
            Decision::Unwelcome(notify),
            Decision::Accepted(notify),
            &[ServicePart::Accept(1), ServicePart::Accept(1)],
        );
        check_sources(Decision::Allowed, Decision::Blocked, &[ServicePart::Allow, ServicePart::Block]);
        check(&sources, Hook::Tc, Decision::NoMessage, &[], &[ServicePart::Name]);
        let limits = letters("a token more than the burst");
        let over = Decision::OverLimit(query, LimitId(1));
        check(&limits, Hook::Tc, over, &[], &[ServicePart::Limit(LimitId(1))]);
        check(&limits, Hook::Socket, over, &[], &messages[..1]);
    }
}
