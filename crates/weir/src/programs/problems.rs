//! What is wrong with a text: shown in it with a caret, or one JSON object a line.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal as _},
    process::{ExitCode, Termination},
};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use weir_asm::{Diagnostic, Diagnostics, Object, Problem, Program, Severity, Span, check};
use weir_output::{Visible, exit::code_of};

/// Everything found in a file, or in several; as an error, for [`Findings::end`] to show, why they can't be used.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
}

impl std::error::Error for Findings {}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.human(false).trim_end())
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// "error" or "warning".
    kind: &'static str,
    /// What is wrong.
    message: String,
    /// Where.
    file: String,
    /// From 1; none where it is no line's fault.
    line: Option<usize>,
    /// From 1, in characters.
    column: Option<usize>,
    /// What to do about it.
    help: Option<String>,
    /// The program, where lines don't tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    /// The excerpts to show: the place itself, and one that has to do with it.
    #[serde(skip)]
    excerpts: Vec<LineExcerpt>,
}

/// A line, or the part of a long one that matters.
#[derive(Debug)]
struct LineExcerpt {
    line: usize,
    column: usize,
    text: String,
    marked: std::ops::Range<usize>,
    label: Option<String>,
    /// Whether the line begins before the text.
    cut: bool,
}

impl Findings {
    /// What is said about a text.
    pub(crate) fn in_text(file: &str, text: &[u8], diagnostics: &Diagnostics) -> Self {
        if diagnostics.is_empty() {
            return Self::default();
        }
        let lines = NumberedLines::of(text);
        let mut list: Vec<_> =
            diagnostics.iter().map(|found| Finding::in_text(file, &lines, found)).collect();
        if diagnostics.has_more() {
            let message = format!("there may be more; these are the first {}", Diagnostics::LIMIT);
            list.push(Finding::of_file("warning", file, message));
        }
        Self { list }
    }

    /// What [`weir_asm::check`] says about programs that came without their text; the lines that the object keeps are
    /// shown.
    pub(crate) fn in_object(file: &str, object: &Object) -> Self {
        Self { list: object.programs.iter().flat_map(|program| Finding::in_program(file, program)).collect() }
    }

    /// Adds what was found in another file.
    pub(crate) fn add(&mut self, other: Self) {
        self.list.extend(other.list);
    }

    /// Whether any stands in the way.
    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.kind == "error")
    }

    /// Says what to do about the last one.
    pub(crate) fn help(&mut self, help: &str) {
        if let Some(last) = self.list.last_mut() {
            last.help = Some(help.to_owned());
        }
    }

    /// Says them on stderr.
    pub(crate) fn say(&self, json: bool) {
        let text = if json { self.json() } else { self.human(colours()) };
        // Who closed stderr doesn't want to know.
        let _ = io::Write::write_all(&mut io::stderr().lock(), text.as_bytes());
    }

    /// Ends a command on `file`: what is wrong with a program is said in its source, and every error as JSON where
    /// that was asked for.
    ///
    /// # Errors
    /// Any other error, for `main` to say.
    pub(crate) fn end(
        done: anyhow::Result<impl Termination>,
        file: &str,
        json: bool,
    ) -> anyhow::Result<ExitCode> {
        let error = match done {
            Ok(done) => return Ok(done.report()),
            Err(error) => error,
        };
        match error.downcast_ref::<Self>() {
            Some(findings) => findings.say(json),
            None if json => {
                Self { list: vec![Finding::of_file("error", file, format!("{error:#}"))] }.say(true)
            }
            None => return Err(error),
        }
        Ok(code_of(&error))
    }

    fn json(&self) -> String {
        let mut text = String::new();
        for finding in &self.list {
            let line = serde_json::to_string(finding).expect("strings and numbers are JSON");
            writeln!(text, "{line}").expect("a string takes it");
        }
        text
    }

    fn human(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        self.list.iter().map(|finding| format!("{}\n\n", renderer.render(&finding.groups()))).collect()
    }
}

impl Finding {
    fn of_file(kind: &'static str, file: &str, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: Visible(message).to_string(),
            file: Visible(file).to_string(),
            line: None,
            column: None,
            help: None,
            program: None,
            excerpts: Vec::new(),
        }
    }

    fn in_text(file: &str, lines: &NumberedLines<'_>, found: &Diagnostic) -> Self {
        let place = lines.excerpt(found.span, None);
        let related = found.related.as_ref().map(|(span, label)| lines.excerpt(*span, Some(label)));
        Self {
            line: Some(place.line),
            column: Some(place.column),
            help: found.help.as_ref().map(|help| Visible(help).to_string()),
            excerpts: std::iter::once(place).chain(related).collect(),
            ..Self::of_file(kind(found.severity), file, &found.message)
        }
    }

    fn in_program(file: &str, program: &Program) -> Vec<Self> {
        let sources =
            program.sources.iter().map(|source| (source, NumberedLines::of(source.text.as_bytes())));
        let sources: Vec<_> = sources.collect();
        let finding = |problem: Problem| {
            let source = problem.line.and_then(|line| Some((line, sources.get(usize::from(line.source))?)));
            let message = format!("instruction {} ({}): {}", problem.index, problem.text, problem.kind);
            let mut finding = match source {
                Some((line, (source, lines))) => {
                    let span = lines.span(line.number as usize);
                    Self::in_text(&source.file, lines, &Diagnostic::error(span, message))
                }
                None => Self::of_file("error", file, message),
            };
            finding.kind = kind(problem.severity());
            finding.help = problem.kind.help();
            finding.program = Some(Visible(&program.name).to_string());
            finding
        };
        check(&program.code).into_iter().map(finding).collect()
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let level = if self.kind == "error" { Level::ERROR } else { Level::WARNING };
        let title = level.primary_title(self.message.as_str());
        let mut group = match self.excerpts.first() {
            Some(_) => Group::with_title(title),
            None => title.element(Origin::path(self.file.as_str())),
        };
        for (number, excerpt) in self.excerpts.iter().enumerate() {
            let kind = if number == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(excerpt.marked.clone()).label(excerpt.label.as_deref());
            let snippet =
                Snippet::source(excerpt.text.as_str()).line_start(excerpt.line).annotation(annotation);
            group = if excerpt.cut {
                let origin = Origin::path(self.file.as_str()).line(excerpt.line).char_column(excerpt.column);
                group.element(origin).element(snippet)
            } else {
                group.element(snippet.path(self.file.as_str()))
            };
        }
        if let Some(program) = &self.program {
            group = group.element(Level::NOTE.message(format!("in the program {program}")));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        vec![group]
    }
}

/// A text by lines.
struct NumberedLines<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
}

/// Characters shown on each side of a place in a long line.
const AROUND: usize = 100;

impl<'a> NumberedLines<'a> {
    fn of(text: &'a [u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// A line, from 1, without the blanks around it.
    fn span(&self, line: usize) -> Span {
        let start =
            line.checked_sub(1).and_then(|at| self.starts.get(at)).copied().unwrap_or(self.text.len());
        let inside = self.text[start..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let start = start + inside.len() - inside.trim_ascii_start().len();
        Span { start: start as u32, end: (start + inside.trim_ascii().len()) as u32 }
    }

    fn excerpt(&self, span: Span, label: Option<&str>) -> LineExcerpt {
        let at = (span.start as usize).min(self.text.len());
        let number = self.starts.partition_point(|start| *start <= at);
        let start = self.starts[number - 1];
        let line = self.text[start..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let from = (at - start).min(line.len());
        let to = (span.end as usize).saturating_sub(start).clamp(from, line.len());
        let to = to.min(from + AROUND);
        let before = quoted(&line[..from]);
        let cut = before.char_indices().rev().nth(AROUND).map_or(0, |(at, _)| at);
        let marked = quoted(&line[from..to]);
        let after = quoted(&line[to..(to + AROUND).min(line.len())]);
        let shown = &before[cut..];
        LineExcerpt {
            line: number,
            column: before.chars().count() + 1,
            marked: shown.len()..shown.len() + marked.len(),
            text: format!("{shown}{marked}{after}"),
            label: label.map(|label| Visible(label).to_string()),
            cut: cut > 0,
        }
    }
}

/// Somebody's text, in which the renderer replaces what acts on a terminal, but for the control characters behind ASCII.
fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace(|character| matches!(character, '\u{80}'..='\u{9f}'), "\u{fffd}")
}

fn kind(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Whether stderr is a terminal whose user didn't ask for none (no-color.org).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
