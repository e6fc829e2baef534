//! Protocols' files: constants, fields and messages, each read in an order in which it names those alone that are there.

use std::collections::{BTreeMap, HashMap, HashSet};

use weir_asm::{Diagnostic, Diagnostics, Span};

use super::{
    check::{self, MessageSpans},
    expression::{self, Conjuncts, RESERVED, Scope, WrittenField, is_name},
    nearest,
    source::SourceString,
    table::{self, Fault, Key, Table, Value, shown},
};
use crate::meaning::{Condition, Field, Message, Party, Protocol};

/// How many fields a protocol may have.
const MOST_FIELDS: usize = 1000;
/// How many messages a protocol may have.
const MOST_MESSAGES: usize = 10_000;
/// How many fields are read to read one, itself counted.
const MOST_READS: usize = 256;
/// How many parts ([`Condition::size`]) all the messages' conditions have.
const MOST_PARTS: usize = 100_000;

/// A protocol's file.
#[derive(Clone, Debug)]
pub struct ProtocolReading {
    /// What it says, unless there are errors.
    pub protocol: Option<Protocol>,
    /// Its constants, as far as they could be read, with those values that it was read with.
    pub constants: BTreeMap<String, u64>,
    /// What is wrong with it.
    pub diagnostics: Diagnostics,
    /// Where what it says stands.
    pub(super) places: ProtocolPlaces,
}

/// Where each field's name stands, and each message.
#[derive(Clone, Debug, Default)]
pub(super) struct ProtocolPlaces {
    pub(super) fields: Vec<Span>,
    pub(super) messages: Vec<MessagePlaces>,
}

/// Where a message's condition stands, and what it asks, part by part ([`Condition::conjuncts`]).
#[derive(Clone, Debug, Default)]
pub(super) struct MessagePlaces {
    pub(super) when: Span,
    pub(super) conjuncts: Vec<Span>,
}

/// Reads a protocol's file. `set` is what a guard sets constants to; what the file has no constant for is passed over.
pub fn protocol(text: &str, set: &BTreeMap<String, u64>) -> ProtocolReading {
    let mut reading = ProtocolReading {
        protocol: None,
        constants: BTreeMap::new(),
        diagnostics: Diagnostics::default(),
        places: ProtocolPlaces::default(),
    };
    let found = &mut reading.diagnostics;
    let Some(file) = table::parse(text, found) else {
        return reading;
    };
    let mut root = Table::root(text, &file);
    let name = root.need("name", found).and_then(|name| name.name(found));
    let source = root.take("source").and_then(|source| source.text(found));
    if let Some(constants) = root.take("constants").and_then(|constants| constants.table(found)) {
        reading.constants = read_constants(constants, set, found);
    }
    let written = root.take("fields").and_then(|fields| fields.table(found));
    let written = written.map(|fields| written_fields(fields, &reading.constants, found)).unwrap_or_default();
    let fields = resolve_fields(&written, &reading.constants, found);
    let messages = root.need("message", found).and_then(|messages| messages.items(found)).unwrap_or_default();
    // A condition that names a field with an error would have one for that alone.
    let scope = fields.as_ref().map(|(fields, _)| Scope { fields, constants: &reading.constants });
    let messages = read_messages(&messages, scope.as_ref(), found);
    root.finish(found);
    if found.has_errors() {
        return reading;
    }
    if let (Some(name), Some(fields), Some(read)) = (name, fields, messages) {
        let (fields, field_spans) = fields;
        let source = source.unwrap_or_default().to_owned();
        let protocol = Protocol { name: name.to_owned(), source, fields, messages: read.messages };
        check::warn_of_messages(&protocol, &read.spans, found);
        reading.protocol = Some(protocol);
        let places = |(spans, conjuncts): (&MessageSpans, _)| MessagePlaces { when: spans.when, conjuncts };
        let messages = read.spans.iter().zip(read.conjuncts).map(places).collect();
        reading.places = ProtocolPlaces { fields: field_spans, messages };
    }
    reading
}

fn read_constants(
    constants: Table<'_>,
    set: &BTreeMap<String, u64>,
    found: &mut Diagnostics,
) -> BTreeMap<String, u64> {
    let mut read = BTreeMap::new();
    for (key, value) in constants.into_entries() {
        check_name(key, found);
        let default = value.integer(0..=u64::MAX, found).unwrap_or(0);
        read.insert(key.text.to_owned(), set.get(key.text).copied().unwrap_or(default));
    }
    read
}

/// Says that a name can't be a field's or a constant's.
fn check_name(key: Key<'_>, found: &mut Diagnostics) {
    if !is_name(key.text) || table::name(key.text).is_err() {
        let message = format!("'{}' can't be the name of a field or a constant", shown(key.text));
        let help = if RESERVED.contains(&key.text) {
            "it is a word of the language"
        } else {
            "such names have a-z, 0-9 and _, begin with a letter, and have at most 64 bytes"
        };
        found.push(Diagnostic::error(key.span, message).help(help.to_owned()));
    }
}

/// A field, and where its name and its text stand; without what it is where that can't be read.
struct NamedField<'a> {
    key: Key<'a>,
    read: Option<(WrittenField, SourceString)>,
}

fn written_fields<'a>(
    fields: Table<'a>,
    constants: &BTreeMap<String, u64>,
    found: &mut Diagnostics,
) -> Vec<NamedField<'a>> {
    let mut fields = fields.into_entries();
    if let Some((key, _)) = fields.get(MOST_FIELDS) {
        found.push(Diagnostic::error(key.span, format!("more than {MOST_FIELDS} fields")));
        fields.truncate(MOST_FIELDS);
    }
    let mut read = |(key, value): (Key<'a>, Value<'a>)| {
        check_name(key, found);
        if constants.contains_key(key.text) {
            let message = format!("'{}' is a constant already", shown(key.text));
            found.push(Diagnostic::error(key.span, message).help("call one of the two otherwise".to_owned()));
        }
        let source = value.source(found);
        let read = source.and_then(|source| Some((WrittenField::read(&source, found)?, source)));
        NamedField { key, read }
    };
    fields.into_iter().map(&mut read).collect()
}

/// The fields, each behind those that it names, and where they stand; nothing where there is an error.
fn resolve_fields(
    written: &[NamedField<'_>],
    constants: &BTreeMap<String, u64>,
    found: &mut Diagnostics,
) -> Option<(Vec<Field>, Vec<Span>)> {
    let by_name: HashMap<_, _> = written.iter().enumerate().map(|(at, field)| (field.key.text, at)).collect();
    let named = |field: &NamedField<'_>| -> Vec<usize> {
        let names = field.read.iter().flat_map(|(written, _)| written.names());
        names.filter_map(|name| by_name.get(name).copied()).collect()
    };
    let named: Vec<_> = written.iter().map(named).collect();
    let (order, circles) = ordered(&named);
    for circle in &circles {
        let names = circle.iter().map(|at| written[*at].key.text);
        found.push(circle_of("field", names.collect(), written[circle[0]].key.span));
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    let mut reads: Vec<usize> = Vec::new();
    let mut failed: HashSet<usize> = circles.into_iter().flatten().collect();
    for at in order {
        if failed.contains(&at) || named[at].iter().any(|named| failed.contains(named)) {
            failed.insert(at);
            continue;
        }
        let NamedField { key, read } = &written[at];
        let scope = Scope { fields: &fields, constants };
        let field =
            read.as_ref().and_then(|(written, source)| written.resolve(key.text, &scope, source, found));
        let Some(field) = field else {
            failed.insert(at);
            continue;
        };
        let cost = 1 + field.at.fields().iter().map(|field| reads[field.0]).sum::<usize>();
        if cost > MOST_READS {
            let message =
                format!("'{}' is found by reading {cost} fields; at most {MOST_READS} are read", key.text);
            let help = "name fewer fields in its place, and those of which the places name few".to_owned();
            found.push(Diagnostic::error(key.span, message).help(help));
            failed.insert(at);
            continue;
        }
        fields.push(field);
        spans.push(key.span);
        reads.push(cost);
    }
    failed.is_empty().then_some((fields, spans))
}

/// The places of a list in an order in which each stands behind those that it names, and the circles that there are.
fn ordered(named: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        Begun,
        Done,
    }
    let mut visits = vec![Visit::Not; named.len()];
    let (mut order, mut circles) = (Vec::new(), Vec::new());
    // A stack of its own: chains may be as long as the file.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..named.len() {
        if visits[start] == Visit::Not {
            visits[start] = Visit::Begun;
            path.push((start, 0));
        }
        while let Some((at, next)) = path.last_mut() {
            let Some(&to) = named[*at].get(*next) else {
                visits[*at] = Visit::Done;
                order.push(*at);
                path.pop();
                continue;
            };
            *next += 1;
            match visits[to] {
                Visit::Not => {
                    visits[to] = Visit::Begun;
                    path.push((to, 0));
                }
                Visit::Begun if circles.len() < Diagnostics::LIMIT => {
                    let begin = path.iter().position(|(at, _)| *at == to).unwrap_or(0);
                    circles.push(path[begin..].iter().map(|(at, _)| *at).collect());
                }
                Visit::Begun | Visit::Done => {}
            }
        }
    }
    (order, circles)
}

fn circle_of(what: &str, mut names: Vec<&str>, span: Span) -> Diagnostic {
    names.push(names[0]);
    let shown = match names.len() {
        ..=8 => names.join(" → "),
        many => format!("{} → … → {}", names[..6].join(" → "), names[many - 1]),
    };
    Diagnostic::error(span, format!("this {what} needs itself: {shown}"))
        .help("take one of the names out of the circle".to_owned())
}

/// A message as it is written, before it is known which others it is like.
struct WrittenMessage<'a> {
    name: &'a str,
    spans: MessageSpans,
    by: Option<Party>,
    like: Option<(&'a str, Span)>,
    /// What its length and its condition ask, unless that can't be read.
    own: Option<Conjuncts>,
}

/// A protocol's messages, and where each stands and each part of its condition.
struct ReadMessages {
    messages: Vec<Message>,
    spans: Vec<MessageSpans>,
    conjuncts: Vec<Vec<Span>>,
}

fn read_messages(
    values: &[Value<'_>],
    scope: Option<&Scope<'_>>,
    found: &mut Diagnostics,
) -> Option<ReadMessages> {
    if let Some(value) = values.get(MOST_MESSAGES) {
        found.push(Diagnostic::error(value.span(), format!("more than {MOST_MESSAGES} messages")));
        return None;
    }
    let written: Vec<_> = values.iter().filter_map(|value| written_message(*value, scope, found)).collect();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (at, message) in written.iter().enumerate() {
        if let Some(first) = by_name.get(message.name) {
            let error = Diagnostic::error(message.spans.name, format!("a second message '{}'", message.name));
            found.push(error.related(written[*first].spans.name, "the first"));
        } else {
            by_name.insert(message.name, at);
        }
    }
    let mut liked = Vec::with_capacity(written.len());
    for message in &written {
        liked.push(Vec::from_iter(message.like.and_then(|(name, span)| {
            let at = by_name.get(name).copied();
            if at.is_none() {
                found.push(unknown_message(name, span, written.iter().map(|message| message.name), found));
            }
            at
        })));
    }
    let (order, circles) = ordered(&liked);
    for circle in &circles {
        let first = &written[circle[0]];
        let span = first.like.map_or(first.spans.name, |(_, span)| span);
        found.push(circle_of("message", circle.iter().map(|at| written[*at].name).collect(), span));
    }
    if scope.is_none() || found.has_errors() {
        return None;
    }
    let mut parts = 0;
    let mut conjuncts: Vec<Conjuncts> = vec![Vec::new(); written.len()];
    for at in order {
        let liked = liked[at].first().map_or(&[][..], |liked| &conjuncts[*liked]);
        let own = written[at].own.as_deref().unwrap_or_default();
        parts += liked.iter().chain(own).map(|(each, _)| each.size()).sum::<usize>();
        if parts > MOST_PARTS {
            let message = format!("the messages' conditions have more than {MOST_PARTS} parts");
            let help = "what a message is like counts as part of it".to_owned();
            found.push(Diagnostic::error(written[at].spans.when, message).help(help));
            return None;
        }
        conjuncts[at] = liked.iter().chain(own).cloned().collect();
    }
    let mut read = ReadMessages { messages: Vec::new(), spans: Vec::new(), conjuncts: Vec::new() };
    for (message, conjuncts) in written.into_iter().zip(conjuncts) {
        let (conditions, spans) = conjuncts.into_iter().unzip();
        read.messages.push(Message { name: message.name.to_owned(), by: message.by, when: all(conditions) });
        read.spans.push(message.spans);
        read.conjuncts.push(spans);
    }
    Some(read)
}

fn written_message<'a>(
    value: Value<'a>,
    scope: Option<&Scope<'_>>,
    found: &mut Diagnostics,
) -> Option<WrittenMessage<'a>> {
    let mut table = value.table(found)?;
    let header = table.span();
    let name = table.need("name", found);
    let by = table.take("by");
    let (length, when, like) = (table.take("length"), table.take("when"), table.take("like"));
    if length.or(when).or(like).is_none() {
        let help = "when = \"true\" is every packet".to_owned();
        found.push(Diagnostic::error(header, "nothing tells this message's packets from others").help(help));
    }
    let spans = MessageSpans {
        name: name.map_or(header, Value::span),
        when: when.or(length).or(like).map_or(header, Value::span),
    };
    table.finish(found);
    let mut own = Some(Vec::new());
    type Read = fn(&SourceString, &Scope<'_>, &mut Diagnostics) -> Option<Conjuncts>;
    for (value, read) in [(length, expression::length as Read), (when, expression::conjuncts as Read)] {
        let source = value.map(|value| value.source(found));
        if let (Some(source), Some(scope)) = (source, scope) {
            let conditions = source.and_then(|source| read(&source, scope, found));
            own = own.zip(conditions).map(|(mut own, conditions)| {
                conditions.into_iter().for_each(|(each, span)| add_conjuncts(each, span, &mut own));
                own
            });
        }
    }
    let like = like.and_then(|like| Some((like.text(found)?, like.span())));
    let by = match by {
        Some(by) => Some(by.parsed(party, found)?),
        None => None,
    };
    Some(WrittenMessage { name: name?.name(found)?, spans, by, like, own })
}

/// Who sends a message.
fn party(text: &str) -> Result<Party, Fault> {
    match text {
        "client" => Ok(Party::Client),
        "service" => Ok(Party::Service),
        _ => Err(Fault::new(
            format!("'{}' sends no message", shown(text)),
            "by = \"client\" or by = \"service\"",
        )),
    }
}

/// What must hold together, each for itself.
fn add_conjuncts(condition: Condition, span: Span, conjuncts: &mut Conjuncts) {
    match condition {
        Condition::All(parts) => parts.into_iter().for_each(|part| add_conjuncts(part, span, conjuncts)),
        other => conjuncts.push((other, span)),
    }
}

fn all(mut conjuncts: Vec<Condition>) -> Condition {
    match conjuncts.len() {
        1 => conjuncts.remove(0),
        _ => Condition::All(conjuncts),
    }
}

/// That no message has a name, and which one may be meant; `found` is what was said before.
pub(super) fn unknown_message<'a>(
    name: &str,
    span: Span,
    names: impl Iterator<Item = &'a str>,
    found: &Diagnostics,
) -> Diagnostic {
    // Looking through all names is spared where nobody will read it.
    let near = if found.has_more() { None } else { nearest(name, names) };
    Diagnostic::error(span, format!("there is no message '{}'", shown(name)))
        .help(near.map(|near| format!("did you mean '{near}'?")))
}
