//! What is wrong with a text, where, and what to do about it: plain data, rendered elsewhere.

use std::fmt;

/// A range of bytes in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// Where it ends, exclusive.
    pub end: u32,
}

impl Span {
    /// From the beginning of one to the end of another behind it.
    pub const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// As a range to index the text with.
    pub const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Whether it stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and is likely not meant.
    Warning,
    /// It does not work.
    Error,
}

/// Something wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that has to do with it, and how.
    pub related: Option<(Span, String)>,
}

impl Diagnostic {
    /// An error without help.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span, message: message.into(), help: None, related: None }
    }

    /// A warning without help.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// The same with help, where there is some.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// The same with another place.
    #[must_use]
    pub fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related = Some((span, message.into()));
        self
    }
}

/// Everything wrong with a text, in the order in which it was found, up to [`Diagnostics::LIMIT`]; errors before warnings where
/// there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    more: bool,
}

impl Diagnostics {
    /// Nobody reads more.
    pub const LIMIT: usize = 50;

    /// Adds one, unless there are enough. An error takes the place of a warning then.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.more = true;
            let is_warning = |each: &Diagnostic| each.severity == Severity::Warning;
            match self.list.iter().rposition(is_warning) {
                Some(at) if !is_warning(&diagnostic) => self.list.remove(at),
                _ => return,
            };
        }
        self.list.push(diagnostic);
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|each| each.severity == Severity::Error)
    }

    /// Whether more would not be kept.
    pub fn is_full(&self) -> bool {
        self.list.len() >= Self::LIMIT
    }

    /// Whether there may be more than these: reading stops when there are enough.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// One line each, `file:line:column: error: message`, to be printed.
    pub fn display<'a>(&'a self, file: &'a str, text: &'a [u8]) -> impl fmt::Display + 'a {
        SourceListing { diagnostics: self, file, text }
    }

    pub(crate) fn stopped(&mut self) {
        self.more = true;
    }

    pub(crate) fn sort(&mut self) {
        self.list.sort_by_key(|diagnostic| diagnostic.span.start);
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic], more: false }
    }
}

/// A place in a text as people count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl LineColumn {
    /// Of the byte at `offset`. Looks through the text up to there.
    pub fn of(text: &[u8], offset: u32) -> Self {
        let before = &text[..text.len().min(offset as usize)];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        Self {
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: before[start..].utf8_chunks().map(|chunk| chunk.valid().chars().count()).sum::<usize>()
                + 1,
        }
    }
}

struct SourceListing<'a> {
    diagnostics: &'a Diagnostics,
    file: &'a str,
    text: &'a [u8],
}

impl fmt::Display for SourceListing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |span: Span| LineColumn::of(self.text, span.start);
        for diagnostic in self.diagnostics {
            let LineColumn { line, column } = at(diagnostic.span);
            let severity = match diagnostic.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            writeln!(f, "{}:{line}:{column}: {severity}: {}", self.file, diagnostic.message)?;
            if let Some((span, message)) = &diagnostic.related {
                let LineColumn { line, column } = at(*span);
                writeln!(f, "{}:{line}:{column}: note: {message}", self.file)?;
            }
            if let Some(help) = &diagnostic.help {
                writeln!(f, "    help: {help}")?;
            }
        }
        if self.diagnostics.has_more() {
            writeln!(f, "{}: there may be more; these are the first {}", self.file, Diagnostics::LIMIT)?;
        }
        Ok(())
    }
}
