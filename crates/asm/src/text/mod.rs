//! The text syntax: from a file to an [`Object`], or from a list of instructions to [`Code`].
//!
//! A text becomes statements whose operands are as written ([`Parser`]), and those become instructions. The grammar
//! stands in `docs/asm.md`.

mod ast;
mod directive;
mod lexer;
mod lower;
mod mnemonic;
mod object;
mod operand;
mod parser;
mod quote;
mod scope;
mod suggest;

pub use ast::{
    Callee, Instruction, MapDeclaration, MemoryOperand, Name, Operand, OperandValue, SlotSize, StackSlot,
    Statement, StatementKind, Term, TypeExpr, Wide,
};
pub use lexer::Number;
pub(crate) use mnemonic::register;
pub use parser::Parser;
pub use quote::{Hole, Part, Quoted, SpliceField, quote};
pub use suggest::nearest;

use crate::{Code, Diagnostic, Diagnostics, Object, Problem, Program, Severity, Span, check, check_fragment};

/// Reads a file of programs, and checks them ([`check()`]): what it gives is meant to be loaded.
///
/// `name` is the file's, for the verifier's log to quote.
///
/// # Errors
/// Everything wrong with the text and the programs, up to [`Diagnostics::LIMIT`]; no warnings.
pub fn assemble(name: &str, text: &[u8]) -> Result<Object, Diagnostics> {
    let text = as_text(text)?;
    let mut file = object::ObjectText::read(text);
    if !file.diagnostics.has_more() {
        file.check_maps();
        if file.diagnostics.is_empty() && file.object.programs.is_empty() {
            let error = Diagnostic::error(Span::default(), "there is no instruction in it");
            file.diagnostics.push(error);
        }
    }
    if file.diagnostics.is_empty() {
        let programs = file.object.programs.iter();
        let found = programs.map(|Program { name, code, .. }| (code, check(code), file.program_span(name)));
        file.diagnostics = placed(found, text.as_bytes(), Severity::Error);
    }
    file.diagnostics.sort();
    if file.diagnostics.is_empty() { Ok(file.into_object(name, text)) } else { Err(file.diagnostics) }
}

/// Reads a list of instructions and labels; constants, structs and stack slots may be declared before them.
///
/// The instructions are not checked, maps need no declaration, and a list of none is fine.
///
/// # Errors
/// Everything wrong with the text, up to [`Diagnostics::LIMIT`]; also a second program.
pub fn assemble_code(text: &[u8]) -> Result<Code, Diagnostics> {
    let mut file = object::ObjectText::read(as_text(text)?);
    if let [_, second, ..] = &file.object.programs[..] {
        let span = file.program_span(&second.name);
        file.diagnostics.push(Diagnostic::error(span, "only one program can be taken as instructions"));
    }
    file.diagnostics.sort();
    if !file.diagnostics.is_empty() {
        return Err(file.diagnostics);
    }
    Ok(file.into_code())
}

/// Reads a part of a program as [`assemble_code`] does, and checks its instructions ([`check_fragment`]).
///
/// # Errors
/// Everything wrong with the text and the instructions, up to [`Diagnostics::LIMIT`]; no warnings; none of them at all.
pub fn assemble_fragment(text: &[u8]) -> Result<Code, Diagnostics> {
    let code = assemble_code(text)?;
    if code.is_empty() {
        return Err(Diagnostic::error(Span::default(), "there is no instruction in it").into());
    }
    let diagnostics = placed([(&code, check_fragment(&code), Span::default())], text, Severity::Error);
    if diagnostics.is_empty() { Ok(code) } else { Err(diagnostics) }
}

/// What [`check_fragment`] finds in instructions that were assembled from `text`, placed in it; warnings too.
pub fn diagnose_fragment(code: &Code, text: &[u8]) -> Diagnostics {
    placed([(code, check_fragment(code), Span::default())], text, Severity::Warning)
}

/// What [`check()`] finds in the programs of an object that was assembled from `text`, placed in it; warnings too.
pub fn diagnose(object: &Object, text: &[u8]) -> Diagnostics {
    let found = object.programs.iter().map(|Program { code, .. }| (code, check(code), Span::default()));
    placed(found, text, Severity::Warning)
}

/// What was found in each code that was assembled from `text`, at its line; a problem without a line stands at the span
/// beside its code, and one below `least` is left out.
fn placed<'a>(
    found: impl IntoIterator<Item = (&'a Code, Vec<Problem>, Span)>,
    text: &[u8],
    least: Severity,
) -> Diagnostics {
    let (mut diagnostics, lines) = (Diagnostics::default(), TextLines::of(text));
    for (code, problems, span) in found {
        for problem in problems.iter().filter(|problem| problem.severity() >= least) {
            let span = code.line(problem.index).map_or(span, |line| lines.span(line.number));
            let severity = problem.severity();
            let (message, help) = (problem.kind.to_string(), problem.kind.help());
            diagnostics.push(Diagnostic { severity, span, message, help, related: None });
            if diagnostics.is_full() {
                diagnostics.stopped();
                break;
            }
        }
    }
    diagnostics.sort();
    diagnostics
}

/// The lines of a text, found when first asked for.
struct TextLines<'a> {
    text: &'a [u8],
    starts: std::cell::OnceCell<Vec<u32>>,
}

impl<'a> TextLines<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, starts: std::cell::OnceCell::new() }
    }

    /// A line without what surrounds its statement: blanks and comments.
    fn span(&self, line: u32) -> Span {
        let starts = self.starts.get_or_init(|| {
            let ends = self.text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect()
        });
        let start = starts.get(line as usize - 1).copied().unwrap_or_default();
        let end = starts.get(line as usize).map_or(self.text.len() as u32, |next| next - 1);
        let inside = &self.text[start as usize..end as usize];
        let comment = inside.iter().position(|byte| matches!(byte, b';' | b'#'));
        let slashes = inside.windows(2).position(|pair| pair == b"//");
        let inside = &inside[..comment.into_iter().chain(slashes).min().unwrap_or(inside.len())];
        let blank = (inside.len() - inside.trim_ascii_start().len()) as u32;
        let start = start + blank;
        Span { start, end: start + inside.trim_ascii().len() as u32 }
    }
}

fn as_text(text: &[u8]) -> Result<&str, Diagnostics> {
    if u32::try_from(text.len()).is_err() {
        return Err(Diagnostic::error(Span::default(), "texts of 4 GiB or more are not read").into());
    }
    std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to() as u32;
        let message = format!("this is no UTF-8 text: byte {:#04x}", text[at as usize]);
        Diagnostic::error(Span { start: at, end: at + 1 }, message).into()
    })
}
