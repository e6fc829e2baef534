//! From Rust's tokens to text that the assembler reads, and from places in the text back to tokens.

use std::iter::Peekable;

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::quote_spanned;
use weir_asm::Diagnostic;

/// Text with what is needed to get back to the tokens that it was made of.
#[derive(Default)]
pub(crate) struct SourceText {
    pub(crate) text: String,
    /// The expression of each splice.
    pub(crate) splices: Vec<TokenStream>,
    /// Errors that the text could not show.
    pub(crate) errors: TokenStream,
    tokens: Vec<Written>,
    /// Whether `;` ends statements, and lines don't.
    semicolons: bool,
    /// The line on which the token before ended.
    line: usize,
    /// Whether the token before can be followed by a point that leads to a field.
    after_name: bool,
}

/// A token in the text.
struct Written {
    start: u32,
    span: Span,
    /// Whether it is the first of its line in Rust.
    first: bool,
}

/// Directives that only files have, and what does their work in Rust.
const ONLY_IN_FILES: [(&str, &str); 4] = [
    ("license", "it belongs to the `Object`"),
    ("map", "a map needs no declaration: `lmap r1, name`, or a spliced `&MapDef`"),
    ("program", "each `ebpf!` is the code of one program"),
    ("struct", "`{core::mem::offset_of!(Type, field) as i16}` does its work"),
];

impl SourceText {
    pub(crate) fn of(tokens: Vec<TokenTree>) -> Self {
        let semicolons = tokens.iter().any(|token| is(token, ';'));
        let mut source = Self { semicolons, ..Self::default() };
        let mut tokens = tokens.into_iter().peekable();
        let mut begins = true;
        while let Some(token) = tokens.next() {
            let line = token.span().unwrap().line();
            if is(&token, ';') || (!semicolons && !begins && line > source.line) {
                source.text.push('\n');
                source.after_name = false;
                begins = true;
            }
            if is(&token, ';') {
                source.line = line;
                continue;
            }
            if begins && is(&token, '.') {
                source.refuse_directive(tokens.peek());
            }
            begins = false;
            source.token(token, &mut tokens);
        }
        source
    }

    /// Writes a token, and takes a name behind `$` from the `rest` with it.
    fn token(&mut self, token: TokenTree, rest: &mut Peekable<impl Iterator<Item = TokenTree>>) {
        match token {
            TokenTree::Group(group) => self.group(&group),
            TokenTree::Ident(ident) => {
                self.write(&ident.to_string(), ident.span());
                self.after_name = true;
            }
            TokenTree::Literal(literal) => self.write(&number(&literal), literal.span()),
            TokenTree::Punct(punct) if punct.as_char() == '$' => match rest.next_if(is_ident) {
                Some(TokenTree::Ident(name)) => self.name_splice(&name),
                _ => self.write("$", punct.span()),
            },
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // The text would take it for the beginning of a comment.
                self.error(punct.span(), "`#` means nothing here; comments begin with `//`");
            }
            TokenTree::Punct(punct) if punct.as_char() == '.' => self.point(punct.span()),
            TokenTree::Punct(punct) => self.write(&punct.to_string(), punct.span()),
        }
    }

    /// The text's names contain points, and Rust's don't.
    fn point(&mut self, span: Span) {
        if self.after_name && self.text.ends_with(' ') {
            self.text.pop();
        }
        self.write(".", span);
        self.text.pop();
    }

    fn group(&mut self, group: &Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Brace => {
                let inside = group.stream();
                self.splices.push(quote_spanned!(group.span()=> { #inside }));
                return self.write("{}", group.span());
            }
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        self.write(open, group.span_open());
        let mut inside = group.stream().into_iter().peekable();
        while let Some(token) = inside.next() {
            self.token(token, &mut inside);
        }
        self.write(close, group.span_close());
    }

    fn name_splice(&mut self, name: &Ident) {
        self.splices.push(quote_spanned!(name.span()=> #name));
        self.write(&format!("${name}"), name.span());
    }

    fn write(&mut self, text: &str, span: Span) {
        if text.is_empty() {
            return;
        }
        let first = span.unwrap().line() > self.line;
        self.tokens.push(Written { start: self.text.len() as u32, span, first });
        self.line = span.unwrap().end().line();
        self.text.push_str(text);
        self.text.push(' ');
        self.after_name = false;
    }

    fn refuse_directive(&mut self, name: Option<&TokenTree>) {
        let Some(TokenTree::Ident(name)) = name else { return };
        let found = ONLY_IN_FILES.iter().find(|(directive, _)| name == directive);
        if let Some((directive, instead)) = found {
            self.error(name.span(), &format!("`.{directive}` is for files of programs; {instead}"));
        }
    }

    fn error(&mut self, span: Span, message: &str) {
        self.error_at(span, span, message);
    }

    /// The compiler underlines from the first token of what is wrong to its last.
    fn error_at(&mut self, start: Span, end: Span, message: &str) {
        let inside = quote_spanned!(end=> { #message });
        self.errors.extend(quote_spanned!(start=> ::core::compile_error! #inside));
    }

    /// Reports what the assembler found at the token where it found it.
    pub(crate) fn report(&mut self, diagnostic: &Diagnostic) {
        let place = diagnostic.span;
        let Some(&Written { span: start, first, .. }) = self.written(place.start) else {
            return self.error(Span::call_site(), &diagnostic.message);
        };
        let end =
            self.written(place.end.saturating_sub(1).max(place.start)).map_or(start, |token| token.span);
        let mut message = diagnostic.message.clone();
        if let Some((before, what)) = &diagnostic.related {
            message += &format!("; {what} is on line {}", self.line_of(before.start));
        }
        if let Some(help) = &diagnostic.help {
            message += &format!("\nhelp: {help}");
        }
        let begins = self.text[..place.start as usize].rsplit('\n').next();
        if self.semicolons && first && begins.is_some_and(|begins| !begins.trim().is_empty()) {
            message += "\nhelp: where one `;` ends a statement, all need theirs";
        }
        self.error_at(start, end, &message);
    }

    /// The line in Rust, from 1, of the token at this byte of the text.
    pub(crate) fn line_of(&self, offset: u32) -> u32 {
        self.written(offset).map_or(0, |token| token.span.unwrap().line() as u32)
    }

    fn written(&self, offset: u32) -> Option<&Written> {
        let behind = self.tokens.partition_point(|token| token.start <= offset);
        self.tokens.get(behind.saturating_sub(1))
    }
}

pub(crate) fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_ident(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(_))
}

/// A literal as the text has it: Rust's numbers may have underscores, and be binary or octal.
fn number(literal: &Literal) -> String {
    let written = literal.to_string();
    if !written.starts_with(|first: char| first.is_ascii_digit()) {
        return written;
    }
    let plain = written.replace('_', "");
    let radix = [("0b", 2), ("0o", 8)].into_iter().find(|(prefix, _)| plain.starts_with(prefix));
    let value = radix.and_then(|(_, radix)| u64::from_str_radix(&plain[2..], radix).ok());
    value.map_or(plain, |value| format!("{value:#x}"))
}
