//! From tokens to statements: operands are checked for their kind, names are left as they are.

use super::{
    Callee, Instruction, Name, Operand, OperandValue, Statement, StatementKind, Wide,
    lexer::{LexFault, Lexer, Token, TokenKind},
    mnemonic::{self, Form, register},
    suggest::{did_you_mean, nearest},
};
use crate::{Diagnostic, Span};

/// Reads a text statement by statement; after an error it goes on with the next line.
pub struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) token: Token,
    /// The line that `token` is on.
    line: u32,
    /// Where the token before `token` ended.
    pub(super) end: u32,
}

/// The error is boxed because it is large, and rare.
pub(super) type Parsed<T> = Result<T, Box<Diagnostic>>;

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Statement<'a>, Box<Diagnostic>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.skip_lines();
        if self.token.kind == TokenKind::End {
            return None;
        }
        let (line, start) = (self.line, self.token.span);
        let statement = self.statement();
        if statement.is_err() {
            while !self.at_end_of_line() {
                self.bump();
            }
        }
        let span = Span { start: start.start, end: self.end };
        Some(statement.map(|kind| Statement { kind, line, span }))
    }
}

impl<'a> Parser<'a> {
    /// For the text of a file. A text of 4 GiB or more is not read to its end.
    pub fn new(text: &'a str) -> Self {
        Self::with_splices(text, false)
    }

    /// For the text inside of Rust, where `$name` and `{expression}` stand for operands.
    pub fn with_splices(text: &'a str, splices: bool) -> Self {
        let mut lexer = Lexer::new(text, splices);
        let line = lexer.line;
        let token = lexer.next();
        Self { lexer, token, line, end: 0 }
    }

    /// Inlined like what it calls: an instruction is large, and copies of it were a third of the time.
    #[inline(always)]
    fn statement(&mut self) -> Parsed<StatementKind<'a>> {
        if self.token.kind == TokenKind::Splice {
            return self.spliced_statement(self.token.value as u32);
        }
        let name = self.statement_name()?;
        if self.eat(b':') {
            return label(name);
        }
        let Some(directive) = name.text.strip_prefix('.') else {
            return self.instruction(name).map(StatementKind::Instruction);
        };
        let kind = self.directive(name, directive)?;
        if self.at_end_of_line() {
            return Ok(kind);
        }
        let raw = matches!(kind, StatementKind::Instruction(_));
        Err(if raw { self.more_than_taken(name, None) } else { self.unended() })
    }

    /// What a statement begins with; a label may begin with a digit.
    #[inline]
    fn statement_name(&mut self) -> Parsed<Name<'a>> {
        let Token { kind, span, .. } = self.token;
        if kind == TokenKind::Bad(LexFault::Word) && self.lexer.rest().starts_with(':') {
            self.bump();
            return Ok(Name { text: self.text_of(span), span });
        }
        self.name("a label, an instruction or a directive")
    }

    #[cold]
    fn more_than_taken(&self, name: Name<'a>, form: Option<Form>) -> Box<Diagnostic> {
        let message = format!("there is more than '{}' takes", name.text);
        let usage = form.map(|form| takes(name, form));
        Box::new(Diagnostic::error(self.token.span, message).help(usage))
    }

    fn unended(&self) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(self.token.span, "the line should end here"))
    }

    fn spliced_statement(&mut self, splice: u32) -> Parsed<StatementKind<'a>> {
        self.bump();
        if self.eat(b':') {
            return Ok(StatementKind::LabelSplice(splice));
        }
        if self.at_end_of_line() {
            return Ok(StatementKind::CodeSplice(splice));
        }
        let help = "a splice that stands first is a label, with `:`, or a whole program";
        Err(Box::new(self.unended().help(help.to_owned())))
    }

    #[inline(always)]
    fn instruction(&mut self, mnemonic: Name<'a>) -> Parsed<Instruction<'a>> {
        let form = mnemonic::form(mnemonic.text).ok_or_else(|| unknown_mnemonic(mnemonic))?;
        match self.operands(form) {
            Ok(instruction) if self.at_end_of_line() => Ok(instruction),
            Ok(_) => Err(self.more_than_taken(mnemonic, Some(form))),
            Err(mut error) => {
                error.help.get_or_insert_with(|| takes(mnemonic, form));
                Err(error)
            }
        }
    }

    #[inline(always)]
    fn operands(&mut self, form: Form) -> Parsed<Instruction<'a>> {
        Ok(match form {
            Form::Alu(width, op) => {
                let (dst, src) = (self.reg_then()?, self.reg_or_imm()?);
                Instruction::Alu { width, op, dst, src }
            }
            Form::MovSx(width, from) => {
                let (dst, src) = (self.reg_then()?, self.reg()?);
                Instruction::MovSx { width, from, dst, src }
            }
            Form::Neg(width) => Instruction::Neg { width, dst: self.reg()? },
            Form::End(op, bits) => Instruction::End { op, bits, dst: self.reg()? },
            Form::LoadWide => Instruction::LoadImm { dst: self.reg_then()?, imm: self.wide()? },
            Form::LoadMapFd => Instruction::LoadImm { dst: self.reg_then()?, imm: Wide::MapFd(self.imm()?) },
            Form::LoadMap => Instruction::LoadImm { dst: self.reg_then()?, imm: Wide::Map(self.map_name()?) },
            Form::Load(size) => {
                let (dst, mem) = (self.reg_then()?, self.memory()?);
                Instruction::Load { size, dst, mem }
            }
            Form::LoadSx(size) => {
                let (dst, mem) = (self.reg_then()?, self.memory()?);
                Instruction::LoadSx { size, dst, mem }
            }
            Form::StoreReg(size) => {
                let (mem, src) = (self.memory_then()?, self.reg()?);
                Instruction::Store { size, mem, src }
            }
            Form::StoreImm(size) => {
                let (mem, src) = (self.memory_then()?, self.imm()?);
                Instruction::Store { size, mem, src }
            }
            Form::LoadAbs(size) => Instruction::LoadAbs { size, off: self.imm()? },
            Form::LoadInd(size) => {
                let (src, off) = (self.reg_then()?, self.imm()?);
                Instruction::LoadInd { size, src, off }
            }
            Form::Lock => self.lock()?,
            Form::Ja => Instruction::Ja(self.target()?),
            Form::Jal => Instruction::Jal(self.target()?),
            Form::Jump(width, cond) => {
                let dst = self.reg_then()?;
                let src = self.reg_or_imm()?;
                self.eat(b',');
                Instruction::Jump { width, cond, dst, src, target: self.target()? }
            }
            Form::Call => Instruction::Call(self.callee()?),
            Form::CallReg => Instruction::Call(Callee::Reg(self.reg()?)),
            Form::Exit => Instruction::Exit,
        })
    }

    fn lock(&mut self) -> Parsed<Instruction<'a>> {
        let mut name = self.name("an atomic operation")?;
        let fetch = name.text == "fetch";
        if fetch {
            name = self.name("an atomic operation")?;
        }
        let Some((width, op)) = mnemonic::atomic(name.text, fetch) else {
            let message = format!("unknown atomic operation '{}'", name.text);
            return refuse_with(name.span, message, did_you_mean(name.text, mnemonic::ATOMICS));
        };
        let (mem, src) = (self.memory_then()?, self.reg()?);
        Ok(Instruction::Atomic { width, op, mem, src })
    }

    fn callee(&mut self) -> Parsed<Callee<'a>> {
        let operand = self.operand("what to call")?;
        Ok(match operand.value {
            OperandValue::Reg(_) => Callee::Reg(operand),
            OperandValue::Name("helper") => {
                let operand = self.operand("a helper's number or a register")?;
                if matches!(operand.value, OperandValue::Reg(_)) {
                    Callee::Reg(operand)
                } else {
                    Callee::Helper(operand)
                }
            }
            OperandValue::Name("local") => Callee::Local(self.target()?),
            OperandValue::Name("runtime") => Callee::Kfunc(self.imm()?),
            OperandValue::Name(text) => Callee::Named(Name { text, span: operand.span }),
            _ => Callee::Helper(operand),
        })
    }

    fn wide(&mut self) -> Parsed<Wide<'a>> {
        let operand = self.imm()?;
        let (OperandValue::Name(function), TokenKind::Sign(b'(')) = (&operand.value, self.token.kind) else {
            return Ok(Wide::Value(operand));
        };
        match *function {
            "map_val" => self.map_value(),
            function => self.address(function, operand.span),
        }
    }

    /// `(…)` behind the name of a function that gives an address.
    fn address(&mut self, function: &str, span: Span) -> Parsed<Wide<'a>> {
        self.expect(b'(')?;
        let wide = match function {
            "map_by_fd" => {
                let map = self.imm()?;
                if matches!(map.value, OperandValue::Name(_)) { Wide::Map(map) } else { Wide::MapFd(map) }
            }
            "map_by_idx" => Wide::MapIndex(self.imm()?),
            "var_addr" => Wide::Var(self.imm()?),
            "code_addr" => Wide::Func(self.target()?),
            _ => {
                let known = ["map_by_fd", "map_by_idx", "map_val", "var_addr", "code_addr"];
                let help = format!("did you mean '{}'?", nearest(function, known).unwrap_or("map_val"));
                return refuse_with(span, format!("'{function}' gives no address"), help);
            }
        };
        self.expect(b')')?;
        Ok(wide)
    }

    /// `(map) + off`
    fn map_value(&mut self) -> Parsed<Wide<'a>> {
        self.expect(b'(')?;
        let map = self.imm()?;
        let map = match (&map.value, self.token.kind) {
            (OperandValue::Name(function), TokenKind::Sign(b'(')) => self.address(function, map.span)?,
            _ => Wide::Map(map),
        };
        self.expect(b')')?;
        let off = match self.token.kind {
            TokenKind::Sign(b'+') => Some(self.sum()?),
            _ => None,
        };
        match map {
            Wide::Map(map) => Ok(Wide::MapValue(map, off)),
            Wide::MapFd(map) => Ok(Wide::MapFdValue(map, off)),
            Wide::MapIndex(map) => Ok(Wide::MapIndexValue(map, off)),
            _ => refuse(self.token.span, "only a map has values"),
        }
    }

    fn map_name(&mut self) -> Parsed<Operand<'a>> {
        let operand = self.operand("a map's name")?;
        match operand.value {
            OperandValue::Name(_) | OperandValue::Splice(_) => Ok(operand),
            _ => Err(expected("a map's name", operand.span)),
        }
    }

    #[inline]
    pub(super) fn name(&mut self, what: &str) -> Parsed<Name<'a>> {
        if self.token.kind != TokenKind::Name {
            return Err(self.unexpected(what));
        }
        let span = self.token.span;
        self.bump();
        Ok(Name { text: self.text_of(span), span })
    }

    #[inline]
    pub(super) fn text_of(&self, span: Span) -> &'a str {
        &self.lexer.text[span.range()]
    }

    /// A text in quotes, or words joined by slashes.
    pub(super) fn text(&mut self, what: &str) -> Parsed<Name<'a>> {
        let mut span = self.token.span;
        if self.token.kind == TokenKind::Text {
            self.bump();
        } else {
            self.name(what)?;
            while matches!(self.token.kind, TokenKind::Sign(b'/') | TokenKind::Name)
                && self.token.span.start == self.end
            {
                self.bump();
            }
            span.end = self.end;
        }
        Ok(Name { text: self.text_of(span), span })
    }

    pub(super) fn at_end_of_line(&self) -> bool {
        matches!(self.token.kind, TokenKind::Line | TokenKind::End)
    }

    pub(super) fn skip_lines(&mut self) {
        while self.token.kind == TokenKind::Line {
            self.bump();
        }
    }

    pub(super) fn eat(&mut self, sign: u8) -> bool {
        let eaten = self.token.kind == TokenKind::Sign(sign);
        if eaten {
            self.bump();
        }
        eaten
    }

    pub(super) fn expect(&mut self, sign: u8) -> Parsed<()> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{}`", char::from(sign)))) }
    }

    pub(super) fn unexpected(&self, what: &str) -> Box<Diagnostic> {
        match self.token.kind {
            TokenKind::Bad(fault) => {
                Box::new(Diagnostic::error(self.token.span, fault.message()).help(format!("expected {what}")))
            }
            TokenKind::Line | TokenKind::End => {
                // The end of the line before is a better place to point at than the newline behind comments.
                let span = Span { start: self.end, end: self.end };
                Box::new(Diagnostic::error(span, format!("missing operand: expected {what}")))
            }
            _ => expected(what, self.token.span),
        }
    }

    pub(super) fn bump(&mut self) {
        self.end = self.token.span.end + u32::from(self.token.kind == TokenKind::Text);
        self.line = self.lexer.line;
        self.token = self.lexer.next();
    }
}

fn label(name: Name<'_>) -> Parsed<StatementKind<'_>> {
    if register(name.text).is_some() {
        return refuse(name.span, format!("'{}' is a register, and no label", name.text));
    }
    Ok(StatementKind::Label(name))
}

/// An error without help.
pub(super) fn refuse<T>(span: Span, message: impl Into<String>) -> Parsed<T> {
    Err(Box::new(Diagnostic::error(span, message)))
}

/// An error with help, where there is some.
pub(super) fn refuse_with<T>(
    span: Span,
    message: impl Into<String>,
    help: impl Into<Option<String>>,
) -> Parsed<T> {
    Err(Box::new(Diagnostic::error(span, message).help(help)))
}

/// Something is given again that a text has once.
pub(super) fn refuse_second<T>(span: Span, what: &str, first: Span) -> Parsed<T> {
    Err(Box::new(Diagnostic::error(span, format!("a second {what}")).related(first, "the first")))
}

pub(super) fn expected(what: &str, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(span, format!("expected {what}")))
}

fn takes(mnemonic: Name<'_>, form: Form) -> String {
    format!("'{}' takes {}", mnemonic.text, form.usage())
}

fn unknown_mnemonic(name: Name<'_>) -> Box<Diagnostic> {
    let help = did_you_mean(name.text, mnemonic::names());
    Box::new(Diagnostic::error(name.span, format!("unknown mnemonic '{}'", name.text)).help(help))
}
