//! Operands: registers, numbers, names, sums and memory.

use super::{
    Memory, Operand, Term, Value,
    lexer::{Kind, Token},
    parser::{Parsed, Parser, expected},
};
use crate::{Diagnostic, Reg, Span};

impl<'a> Parser<'a> {
    pub(super) fn reg_then(&mut self) -> Parsed<Operand<'a>> {
        let reg = self.reg()?;
        self.eat(b',');
        Ok(reg)
    }

    pub(super) fn reg(&mut self) -> Parsed<Operand<'a>> {
        let operand = self.operand("a register")?;
        match operand.value {
            Value::Reg(_) | Value::Splice(_) => Ok(operand),
            _ => Err(expected("a register", operand.span)),
        }
    }

    pub(super) fn reg_or_imm(&mut self) -> Parsed<Operand<'a>> {
        self.operand("a register or a number")
    }

    pub(super) fn imm(&mut self) -> Parsed<Operand<'a>> {
        let operand = self.operand("a number")?;
        match operand.value {
            Value::Reg(_) => Err(expected("a number", operand.span)),
            _ => Ok(operand),
        }
    }

    pub(super) fn target(&mut self) -> Parsed<Operand<'a>> {
        let operand = self.operand("a label or a distance")?;
        match operand.value {
            Value::Reg(_) | Value::Sum(_) => Err(expected("a label or a distance", operand.span)),
            _ => Ok(operand),
        }
    }

    pub(super) fn memory_then(&mut self) -> Parsed<Memory<'a>> {
        let memory = self.memory()?;
        self.eat(b',');
        Ok(memory)
    }

    pub(super) fn memory(&mut self) -> Parsed<Memory<'a>> {
        let open = self.token.span;
        if !self.eat(b'[') {
            return Err(self.unexpected("memory such as [r10 + -8]"));
        }
        let signed = matches!(self.token.kind, Kind::Sign(b'+' | b'-'));
        let (base, off) = if signed {
            (None, Some(self.sum()?))
        } else {
            let first = self.operand("a register or a stack slot")?;
            match first.value {
                Value::Reg(_) | Value::Splice(_) => {
                    let signed = matches!(self.token.kind, Kind::Sign(b'+' | b'-'));
                    (Some(first), if signed { Some(self.sum()?) } else { None })
                }
                _ => (None, Some(self.sum_from(Term { minus: false, operand: first })?)),
            }
        };
        if !self.eat(b']') {
            return Err(self.unexpected("`]`"));
        }
        Ok(Memory { base, off, span: Span { start: open.start, end: self.end } })
    }

    /// One operand. Sums need brackets or parentheses, since commas between operands don't.
    pub(super) fn operand(&mut self, what: &str) -> Parsed<Operand<'a>> {
        let Token { kind, span } = self.token;
        let value = match kind {
            Kind::Number(number) => Value::Number(number),
            Kind::Splice(splice) => Value::Splice(splice),
            Kind::Name => match register(&self.lexer.text()[span.range()]) {
                Some(reg) => Value::Reg(reg.map_err(|message| Diagnostic::error(span, message))?),
                None => Value::Name(&self.lexer.text()[span.range()]),
            },
            Kind::Sign(b'%') => return self.percent_register(),
            Kind::Sign(b'+' | b'-') => return self.term().map(Term::into_operand),
            Kind::Sign(b'(') => return self.parentheses(),
            _ => return Err(self.unexpected(what)),
        };
        self.bump();
        Ok(Operand { value, span })
    }

    fn percent_register(&mut self) -> Parsed<Operand<'a>> {
        let percent = self.token.span;
        self.bump();
        let name = self.name("a register")?;
        let span = percent.to(name.span);
        match register(name.text) {
            Some(Ok(reg)) => Ok(Operand { value: Value::Reg(reg), span }),
            Some(Err(message)) => Err(Box::new(Diagnostic::error(span, message))),
            None => Err(expected("a register", span)),
        }
    }

    fn parentheses(&mut self) -> Parsed<Operand<'a>> {
        let open = self.token.span;
        self.bump();
        let sum = self.sum()?;
        self.expect(b')')?;
        Ok(Operand { span: Span { start: open.start, end: self.end }, ..sum })
    }

    /// Numbers and names, added and taken away.
    pub(super) fn sum(&mut self) -> Parsed<Operand<'a>> {
        let first = self.term()?;
        self.sum_from(first)
    }

    fn sum_from(&mut self, first: Term<'a>) -> Parsed<Operand<'a>> {
        if !matches!(self.token.kind, Kind::Sign(b'+' | b'-')) {
            return Ok(first.into_operand());
        }
        let start = first.operand.span;
        let mut terms = vec![first];
        while matches!(self.token.kind, Kind::Sign(b'+' | b'-')) {
            terms.push(self.term()?);
        }
        Ok(Operand { value: Value::Sum(terms), span: Span { start: start.start, end: self.end } })
    }

    /// A number or a name with its sign, or two as in `r1 + -8`.
    fn term(&mut self) -> Parsed<Term<'a>> {
        let start = self.token.span;
        let mut minus = false;
        for _ in 0..2 {
            match self.token.kind {
                Kind::Sign(b'-') => minus = !minus,
                Kind::Sign(b'+') => {}
                _ => break,
            }
            self.bump();
        }
        let mut operand = match self.token.kind {
            Kind::Number(_) | Kind::Name | Kind::Splice(_) => self.operand("a number")?,
            _ => return Err(self.unexpected("a number or a name")),
        };
        operand.span = start.to(operand.span);
        match &mut operand.value {
            Value::Reg(_) => return Err(expected("a number or a name", operand.span)),
            Value::Number(number) => {
                number.negative = minus;
                minus = false;
            }
            _ => {}
        }
        Ok(Term { minus, operand })
    }
}

impl<'a> Term<'a> {
    /// Itself, where nothing is added to it.
    fn into_operand(self) -> Operand<'a> {
        if self.minus {
            let span = self.operand.span;
            Operand { value: Value::Sum(vec![self]), span }
        } else {
            self.operand
        }
    }
}

/// The register of that name, or why there is none; nothing where it isn't the name of one.
pub(super) fn register(name: &str) -> Option<Result<Reg, String>> {
    let digits = name.strip_prefix('r').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    match digits.len() {
        0 => None,
        1 => Reg::new(digits.as_bytes()[0] - b'0').map(Ok),
        _ if digits == "10" => Some(Ok(Reg::R10)),
        _ => Some(Err(format!("there is no register '{name}': they are r0 to r10"))),
    }
}
