//! The files that a guard names: protocols and lists of prefixes, each asked for once.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    rc::Rc,
};

use ipnet::IpNet;
use weir_asm::{Diagnostic, Diagnostics, Span};

use super::{
    check::Relations,
    protocol::{ProtocolReading, protocol},
    table::{Fault, MOST_BYTES, Value, shown},
    values,
};
use crate::meaning::{Condition, MessageId, Protocol};

/// Bytes of protocols that are read for a guard; what is read again with other constants counts again.
const MOST_READ: usize = 32 * MOST_BYTES;
/// Prefixes of a guard's services, in lists or not; a list counts as often as it is named.
const MOST_PREFIXES: usize = 1 << 22;
/// Fields and parts of conditions of all the services of a guard.
const MOST_PARTS: usize = 1 << 20;

/// Bytes of all the lists of a guard.
const MOST_OF_LISTS: usize = 256 << 20;

/// Where the texts are that a guard names.
pub trait Files {
    /// The protocol that a guard calls `name`: one that weir ships, or a path.
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable>;
    /// The list of prefixes at a path, which is written without the `@`.
    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable>;
}

/// A text, and what to call the file in messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedText {
    /// Its path, or whatever tells people where it is.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Why there is no such text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unavailable {
    /// What is wrong, as a sentence about the file.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A file that a guard names, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct FileReading {
    /// The file.
    pub file: NamedText,
    /// What is wrong with it.
    pub diagnostics: Diagnostics,
}

/// The protocols of a service as one.
pub(super) struct Merged {
    pub(super) protocol: Protocol,
    pub(super) relations: Relations,
    /// Each protocol, and which of the messages are its.
    pub(super) parts: Vec<(Rc<ProtocolReading>, Range<usize>)>,
    by_name: HashMap<String, MessageId>,
    size: usize,
}

impl Merged {
    fn of(parts: Vec<Rc<ProtocolReading>>, steps: &mut usize) -> Self {
        let protocols: Vec<_> = parts.iter().filter_map(|part| part.protocol.clone()).collect();
        let mut end = 0;
        let ranges: Vec<_> = protocols
            .iter()
            .map(|protocol| {
                let start = end;
                end += protocol.messages.len();
                start..end
            })
            .collect();
        let protocol = Protocol::joined(protocols);
        let relations = Relations::of(&protocol, steps);
        let names = protocol.messages.iter().enumerate();
        let by_name = names.map(|(at, message)| (message.name.clone(), MessageId(at))).collect();
        let conditions = protocol.messages.iter().map(|message| message.when.size());
        let size = protocol.fields.iter().map(|field| field.at.size()).chain(conditions).sum();
        Self { protocol, relations, parts: parts.into_iter().zip(ranges).collect(), by_name, size }
    }

    /// The message that a guard calls so.
    pub(super) fn message(&self, name: &str) -> Option<MessageId> {
        self.by_name.get(name).copied()
    }

    /// What messages of several protocols that have one name are called.
    pub(super) fn whole_names(&self, name: &str) -> Vec<String> {
        let names = self
            .parts
            .iter()
            .filter_map(|(part, _)| Some(format!("{}.{name}", part.protocol.as_ref()?.name)));
        names.filter(|name| self.by_name.contains_key(name)).collect()
    }

    /// The protocol that a message is of, and how many fields stand before its own.
    pub(super) fn part_of(&self, message: MessageId) -> Option<(&ProtocolReading, &Protocol, usize)> {
        let mut before = 0;
        for (part, messages) in &self.parts {
            let protocol = part.protocol.as_ref()?;
            if messages.contains(&message.0) {
                return Some((part, protocol, before));
            }
            before += protocol.fields.len();
        }
        None
    }
}

/// What a protocol's file is read with.
type Constants = BTreeMap<String, u64>;

/// The files that a guard names.
pub(super) struct NamedFiles<'f> {
    files: &'f mut dyn Files,
    /// Them, in the order in which they were asked for.
    pub(super) read: Vec<FileReading>,
    /// Where protocols' files stand among them.
    texts: HashMap<String, Option<usize>>,
    protocols: HashMap<(String, Constants), Option<Rc<ProtocolReading>>>,
    merged: HashMap<(Vec<String>, Constants), Option<Rc<Merged>>>,
    lists: HashMap<String, Option<Rc<Vec<IpNet>>>>,
    bytes: usize,
    list_bytes: usize,
    prefixes: usize,
    parts: usize,
    steps: usize,
}

impl<'f> NamedFiles<'f> {
    pub(super) fn new(files: &'f mut dyn Files) -> Self {
        Self {
            files,
            read: Vec::new(),
            texts: HashMap::new(),
            protocols: HashMap::new(),
            merged: HashMap::new(),
            lists: HashMap::new(),
            bytes: 0,
            list_bytes: 0,
            prefixes: 0,
            parts: 0,
            steps: Relations::STEPS,
        }
    }

    /// The protocols that a service names, as one; nothing where one of them has an error.
    pub(super) fn merged(
        &mut self,
        names: &[(&str, Span)],
        constants: &Constants,
        found: &mut Diagnostics,
    ) -> Option<Rc<Merged>> {
        let key = (names.iter().map(|(name, _)| (*name).to_owned()).collect(), constants.clone());
        let merged = match self.merged.get(&key) {
            Some(merged) => merged.clone(),
            None => {
                let merged = self.merge(names, constants, found).map(Rc::new);
                self.merged.insert(key, merged.clone());
                merged
            }
        }?;
        let span = names.first().map_or(Span::default(), |(_, span)| *span);
        self.add_parts(merged.size, span, found).then_some(merged)
    }

    fn merge(
        &mut self,
        names: &[(&str, Span)],
        constants: &Constants,
        found: &mut Diagnostics,
    ) -> Option<Merged> {
        let mut parts: Vec<(Rc<ProtocolReading>, Span)> = Vec::new();
        for (name, span) in names {
            let Some(part) = self.protocol(name, *span, constants, found) else {
                continue;
            };
            let own =
                |part: &Rc<ProtocolReading>| part.protocol.as_ref().map(|protocol| protocol.name.clone());
            if let Some((_, first)) = parts.iter().find(|(earlier, _)| own(earlier) == own(&part)) {
                let message = format!("a second protocol '{}'", own(&part).unwrap_or_default());
                found.push(Diagnostic::error(*span, message).related(*first, "the first"));
                continue;
            }
            parts.push((part, *span));
        }
        let all = parts.len() == names.len();
        all.then(|| Merged::of(parts.into_iter().map(|(part, _)| part).collect(), &mut self.steps))
    }

    fn protocol(
        &mut self,
        name: &str,
        span: Span,
        constants: &Constants,
        found: &mut Diagnostics,
    ) -> Option<Rc<ProtocolReading>> {
        let key = (name.to_owned(), constants.clone());
        if let Some(known) = self.protocols.get(&key) {
            return known.clone();
        }
        let at = match self.texts.get(name) {
            Some(at) => *at,
            None => {
                let at = self.files.protocol(name).map(|file| self.add(file));
                let at = at.map_err(|why| found.push(unavailable("protocol", name, why, span))).ok();
                self.texts.insert(name.to_owned(), at);
                at
            }
        };
        let reading = at.and_then(|at| {
            self.bytes += self.read[at].file.text.len();
            if self.bytes > MOST_READ {
                let message = format!("more than {MOST_READ} bytes of protocols");
                let help = "a protocol's file is read for each choice of constants".to_owned();
                found.push(Diagnostic::error(span, message).help(help));
                return None;
            }
            let reading = protocol(&self.read[at].file.text, constants);
            let diagnostics = &mut self.read[at].diagnostics;
            for diagnostic in &reading.diagnostics {
                // Read with other constants, it has the faults that it had.
                if diagnostics.iter().all(|each| each != diagnostic) {
                    diagnostics.push(diagnostic.clone());
                }
            }
            reading.protocol.is_some().then(|| Rc::new(reading))
        });
        self.protocols.insert(key, reading.clone());
        reading
    }

    /// Which of the files is the protocol that a guard calls so.
    pub(super) fn file_of_protocol(&self, name: &str) -> Option<usize> {
        *self.texts.get(name)?
    }

    /// Counts parts of conditions, and says where there are too many.
    pub(super) fn add_parts(&mut self, parts: usize, span: Span, found: &mut Diagnostics) -> bool {
        let had_room = self.parts <= MOST_PARTS;
        self.parts = self.parts.saturating_add(parts);
        let has_room = self.parts <= MOST_PARTS;
        if had_room && !has_room {
            let message = format!("the services have more than {MOST_PARTS} parts of conditions together");
            let help = "each service has the whole of its protocols: put some into another guard".to_owned();
            found.push(Diagnostic::error(span, message).help(help));
        }
        has_room
    }

    /// A condition that a service has besides those of its messages.
    pub(super) fn add_condition(&mut self, when: &Condition, span: Span, found: &mut Diagnostics) {
        self.add_parts(when.size(), span, found);
    }

    /// Prefixes, and the files of them whose names have `@` before them.
    pub(super) fn prefixes(&mut self, values: &[Value<'_>], found: &mut Diagnostics) -> Vec<IpNet> {
        let mut prefixes = Vec::new();
        for value in values {
            let Some(text) = value.text(found) else {
                continue;
            };
            let listed = match text.strip_prefix('@') {
                Some(path) => self.list(path, value.span(), found),
                None => match values::prefix(text) {
                    Ok(prefix) => {
                        self.prefixes += 1;
                        prefixes.push(prefix);
                        None
                    }
                    Err(fault) => {
                        let is_sender = matches!(text, "known" | "unknown");
                        let alone = || {
                            Fault::new(
                                format!("'{text}' stands in a list"),
                                "it is said alone: a rule for each",
                            )
                        };
                        found.push(if is_sender { alone() } else { fault }.at(value.span()));
                        None
                    }
                },
            };
            if let Some(listed) = listed {
                self.prefixes += listed.len();
                if self.prefixes <= MOST_PREFIXES {
                    prefixes.extend_from_slice(&listed);
                } else {
                    let message = format!("more than {MOST_PREFIXES} prefixes in the lists of this guard");
                    let help = "a list counts as often as it is named".to_owned();
                    found.push(Diagnostic::error(value.span(), message).help(help));
                }
            }
        }
        prefixes
    }

    fn list(&mut self, path: &str, span: Span, found: &mut Diagnostics) -> Option<Rc<Vec<IpNet>>> {
        if let Some(known) = self.lists.get(path) {
            return known.clone();
        }
        let file = self.files.list(path).map_err(|why| found.push(unavailable("list", path, why, span)));
        let prefixes = file.ok().and_then(|file| {
            self.list_bytes += file.text.len();
            if self.list_bytes > MOST_OF_LISTS {
                let message = format!("more than {MOST_OF_LISTS} bytes of lists in this guard");
                found.push(Diagnostic::error(span, message));
                return None;
            }
            let at = self.add(file);
            let FileReading { file, diagnostics } = &mut self.read[at];
            let prefixes = read_list(&file.text, diagnostics);
            if diagnostics.is_empty() {
                // Nothing will be shown of it.
                file.text = String::new();
            }
            Some(Rc::new(prefixes))
        });
        self.lists.insert(path.to_owned(), prefixes.clone());
        prefixes
    }

    fn add(&mut self, file: NamedText) -> usize {
        self.read.push(FileReading { file, diagnostics: Diagnostics::default() });
        self.read.len() - 1
    }
}

fn unavailable(what: &str, name: &str, why: Unavailable, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("the {what} '{}' can't be read: {}", shown(name), why.message))
        .help(why.help)
}

/// The prefixes of a list: one a line, `#` begins a comment.
fn read_list(text: &str, found: &mut Diagnostics) -> Vec<IpNet> {
    let mut prefixes = Vec::new();
    if u32::try_from(text.len()).is_err() {
        found.push(Diagnostic::error(Span::default(), "lists of 4 GiB or more are not read"));
        return prefixes;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let before = line.find('#').map_or(line, |at| &line[..at]);
        let prefix = before.trim_ascii();
        if !prefix.is_empty() {
            match values::prefix(prefix) {
                Ok(prefix) => prefixes.push(prefix),
                Err(fault) => {
                    let at = start + before.len() - before.trim_ascii_start().len();
                    found.push(fault.at(Span { start: at as u32, end: (at + prefix.len()) as u32 }));
                }
            }
        }
        if found.has_more() || prefixes.len() > MOST_PREFIXES {
            break;
        }
        start += line.len();
    }
    prefixes
}
