//! Tables of a TOML file, taken apart key by key with everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use weir_asm::{Diagnostic, Diagnostics, Span};

use super::{nearest, source::SourceString};

/// Bytes of a protocol's or a guard's text that are read.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Bytes of a name.
const MOST_OF_NAME: usize = 64;

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    help: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }

    /// It, said of a place.
    pub(super) fn at(self, span: Span) -> Diagnostic {
        Diagnostic::error(span, self.message).help(self.help)
    }
}

/// The TOML that a text is, or what is wrong with it.
pub(super) fn parse<'a>(text: &'a str, found: &mut Diagnostics) -> Option<DeTable<'a>> {
    if text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; at most {MOST_BYTES} are read", text.len());
        found.push(Diagnostic::error(Span::default(), message));
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().map_or(Span::default(), span_of);
        found.push(Diagnostic::error(span, format!("this is not TOML: {}", error.message())));
        if found.has_more() {
            break;
        }
    }
    errors.is_empty().then(|| table.into_inner())
}

/// A place that TOML's reader tells.
fn span_of(range: std::ops::Range<usize>) -> Span {
    Span { start: range.start as u32, end: range.end as u32 }
}

/// A key that somebody chose: a name.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) text: &'a str,
    pub(super) span: Span,
}

/// A table whose keys are taken one by one.
pub(super) struct Table<'a> {
    file: &'a str,
    span: Span,
    entries: BTreeMap<&'a str, (Span, &'a Spanned<DeValue<'a>>)>,
    /// Keys that were asked for.
    asked: BTreeSet<&'static str>,
}

impl<'a> Table<'a> {
    /// A file's whole table.
    pub(super) fn root(file: &'a str, table: &'a DeTable<'a>) -> Self {
        Self::of(file, Span::default(), table)
    }

    fn of(file: &'a str, span: Span, table: &'a DeTable<'a>) -> Self {
        let entry = |(key, value): (&'a Spanned<_>, _)| {
            let name: &'a std::borrow::Cow<'a, str> = key.get_ref();
            (&**name, (span_of(key.span()), value))
        };
        Self { file, span, entries: table.iter().map(entry).collect(), asked: BTreeSet::new() }
    }

    /// Its header, or the whole of it between braces.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// What a key says, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.insert(key);
        let (_, value) = self.entries.remove(key)?;
        Some(Value { file: self.file, key, value })
    }

    /// What a key says that must be there.
    pub(super) fn need(&mut self, key: &'static str, found: &mut Diagnostics) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() {
            // A word that was meant to be this key is one fault, not two.
            let near = nearest(key, self.entries.keys().copied());
            let near = near.and_then(|near| self.entries.remove_entry(near));
            found.push(match near {
                Some((near, (span, _))) => Diagnostic::error(span, format!("unknown key '{}'", shown(near)))
                    .help(format!("did you mean '{key}'? It is missing")),
                None => Diagnostic::error(self.span, format!("'{key}' is missing")),
            });
        }
        value
    }

    /// Says that what nobody asked for is unknown.
    pub(super) fn finish(self, found: &mut Diagnostics) {
        for (key, (span, _)) in self.entries {
            let known = self.asked.iter().copied();
            let help = match nearest(key, known.clone()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
            };
            found.push(Diagnostic::error(span, format!("unknown key '{}'", shown(key))).help(help));
            if found.has_more() {
                break;
            }
        }
    }

    /// All its keys as names, in the order in which they are written.
    pub(super) fn into_entries(self) -> Vec<(Key<'a>, Value<'a>)> {
        let value = |(text, (span, value))| (Key { text, span }, Value { file: self.file, key: text, value });
        let mut entries: Vec<_> = self.entries.into_iter().map(value).collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }
}

/// A value, and of which key.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    file: &'a str,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Where it stands, its quotes or brackets among it.
    pub(super) fn span(self) -> Span {
        span_of(self.value.span())
    }

    /// Its text.
    pub(super) fn text(self, found: &mut Diagnostics) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong("a string", found),
        }
    }

    /// Its text, and where each byte of it stands.
    pub(super) fn source(self, found: &mut Diagnostics) -> Option<SourceString> {
        Some(SourceString::of(self.file, self.span(), self.text(found)?))
    }

    /// What its text says by a grammar of its own.
    pub(super) fn parsed<T>(
        self,
        parse: impl FnOnce(&'a str) -> Result<T, Fault>,
        found: &mut Diagnostics,
    ) -> Option<T> {
        let text = self.text(found)?;
        parse(text).map_err(|fault| found.push(fault.at(self.span()))).ok()
    }

    /// The one of several words that it is.
    pub(super) fn one_of<T: Copy>(self, words: &[(&str, T)], found: &mut Diagnostics) -> Option<T> {
        let known = || words.iter().map(|(word, _)| *word);
        self.parsed(
            |text| {
                let meant = words.iter().find(|(word, _)| *word == text);
                meant.map(|(_, meaning)| *meaning).ok_or_else(|| {
                    let message = format!("'{}' can't be '{}'", self.key, shown(text));
                    match nearest(text, known()) {
                        Some(near) => Fault::new(message, format!("did you mean '{near}'?")),
                        None => Fault::new(
                            message,
                            format!("it is one of {}", known().collect::<Vec<_>>().join(", ")),
                        ),
                    }
                })
            },
            found,
        )
    }

    /// A name that people choose: a-z, 0-9, `-` and `_`, a letter first.
    pub(super) fn name(self, found: &mut Diagnostics) -> Option<&'a str> {
        self.parsed(|text| name(text).map(|()| text), found)
    }

    /// A number within bounds.
    pub(super) fn integer(
        self,
        bounds: std::ops::RangeInclusive<u64>,
        found: &mut Diagnostics,
    ) -> Option<u64> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return self.wrong("a whole number", found);
        };
        let value = u64::from_str_radix(integer.as_str(), integer.radix());
        let value = value.ok().filter(|value| bounds.contains(value));
        if value.is_none() {
            let message =
                format!("'{}' is a number from {} to {}", shown(self.key), bounds.start(), bounds.end());
            found.push(Diagnostic::error(self.span(), message));
        }
        value
    }

    /// The values of an array.
    pub(super) fn boolean(self, found: &mut Diagnostics) -> Option<bool> {
        let boolean = self.value.get_ref().as_bool();
        if boolean.is_none() {
            found.push(Diagnostic::error(self.span(), "this is neither true nor false"));
        }
        boolean
    }

    pub(super) fn items(self, found: &mut Diagnostics) -> Option<Vec<Self>> {
        match self.value.get_ref() {
            DeValue::Array(items) => Some(items.iter().map(|value| Self { value, ..self }).collect()),
            DeValue::Table(_) => self.wrong("an array: [[…]] begins each of its tables", found),
            _ => self.wrong("an array", found),
        }
    }

    /// The values of an array, or the value that stands for an array of one.
    pub(super) fn items_or_itself(self) -> Vec<Self> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().map(|value| Self { value, ..self }).collect(),
            _ => vec![self],
        }
    }

    /// The table that it is.
    pub(super) fn table(self, found: &mut Diagnostics) -> Option<Table<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(Table::of(self.file, self.span(), table)),
            _ => self.wrong("a table", found),
        }
    }

    /// Whether it is a string.
    pub(super) fn is_text(self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    fn wrong<T>(self, wanted: &str, found: &mut Diagnostics) -> Option<T> {
        let is = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        found.push(Diagnostic::error(self.span(), format!("'{}' is {wanted}, not {is}", shown(self.key))));
        None
    }
}

/// Whether a text can be the name of a protocol, a message or a service.
pub(super) fn name(text: &str) -> Result<(), Fault> {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if text.len() <= MOST_OF_NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_part)
    {
        return Ok(());
    }
    let help =
        format!("names have a-z, 0-9, - and _, begin with a letter, and have at most {MOST_OF_NAME} bytes");
    Err(Fault::new(format!("'{}' can't be a name", shown(text)), help))
}

/// As much of a text as fits into a message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST_OF_NAME) {
        Some((at, _)) => format!("{}…", text[..at].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}
