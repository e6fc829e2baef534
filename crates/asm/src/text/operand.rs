//! Operands: registers, numbers, names, sums and memory.

use super::{
    MemoryOperand, Operand, OperandValue, Term,
    lexer::{LexFault, Number, Token, TokenKind},
    mnemonic::register,
    parser::{Parsed, Parser, expected},
};
use crate::{Diagnostic, Span};

impl<'a> Parser<'a> {
    #[inline]
    pub(super) fn reg_then(&mut self) -> Parsed<Operand<'a>> {
        let reg = self.reg()?;
        self.eat(b',');
        Ok(reg)
    }

    #[inline]
    pub(super) fn reg(&mut self) -> Parsed<Operand<'a>> {
        let Token { kind, span, .. } = self.token;
        if kind == TokenKind::Name
            && let Some(Some(reg)) = register(self.text_of(span))
        {
            self.bump();
            return Ok(Operand { value: OperandValue::Reg(reg), span });
        }
        self.other_reg()
    }

    /// Everything that is no plain name of a register.
    #[cold]
    fn other_reg(&mut self) -> Parsed<Operand<'a>> {
        let operand = self.operand("a register")?;
        match operand.value {
            OperandValue::Reg(_) | OperandValue::Splice(_) => Ok(operand),
            _ => Err(expected("a register", operand.span)),
        }
    }

    pub(super) fn reg_or_imm(&mut self) -> Parsed<Operand<'a>> {
        self.operand("a register or a number")
    }

    pub(super) fn imm(&mut self) -> Parsed<Operand<'a>> {
        let operand = self.operand("a number")?;
        match operand.value {
            OperandValue::Reg(_) => Err(expected("a number", operand.span)),
            _ => Ok(operand),
        }
    }

    pub(super) fn target(&mut self) -> Parsed<Operand<'a>> {
        let Token { kind, span, .. } = self.token;
        if kind == TokenKind::Bad(LexFault::Word) {
            self.bump();
            return Ok(Operand { value: OperandValue::Name(self.text_of(span)), span });
        }
        let operand = self.operand("a label or a distance")?;
        match operand.value {
            OperandValue::Reg(_) | OperandValue::Sum(_) => {
                Err(expected("a label or a distance", operand.span))
            }
            _ => Ok(operand),
        }
    }

    pub(super) fn memory_then(&mut self) -> Parsed<MemoryOperand<'a>> {
        let memory = self.memory()?;
        self.eat(b',');
        Ok(memory)
    }

    pub(super) fn memory(&mut self) -> Parsed<MemoryOperand<'a>> {
        let open = self.token.span;
        if !self.eat(b'[') {
            return Err(self.unexpected("memory such as [r10 + -8]"));
        }
        let signed = matches!(self.token.kind, TokenKind::Sign(b'+' | b'-'));
        let (base, off) = if signed {
            (None, Some(self.sum()?))
        } else {
            let first = self.operand("a register or a stack slot")?;
            match first.value {
                OperandValue::Reg(_) | OperandValue::Splice(_) => {
                    let signed = matches!(self.token.kind, TokenKind::Sign(b'+' | b'-'));
                    (Some(first), if signed { Some(self.sum()?) } else { None })
                }
                _ => (None, Some(self.sum_from(Term { minus: false, operand: first })?)),
            }
        };
        self.expect(b']')?;
        Ok(MemoryOperand { base, off, span: Span { start: open.start, end: self.end } })
    }

    /// One operand. Sums need brackets or parentheses, since commas between operands don't.
    #[inline]
    pub(super) fn operand(&mut self, what: &str) -> Parsed<Operand<'a>> {
        let Token { kind, span, value } = self.token;
        let value = match kind {
            TokenKind::Number { hex } => {
                OperandValue::Number(Number { magnitude: value, negative: false, hex })
            }
            TokenKind::Name => match register(self.text_of(span)) {
                None => OperandValue::Name(self.text_of(span)),
                Some(Some(reg)) => OperandValue::Reg(reg),
                Some(None) => return self.other_operand(what),
            },
            _ => return self.other_operand(what),
        };
        self.bump();
        Ok(Operand { value, span })
    }

    /// Everything that is more than a token of its own.
    #[inline(never)]
    fn other_operand(&mut self, what: &str) -> Parsed<Operand<'a>> {
        let Token { kind, span, value } = self.token;
        let value = match kind {
            TokenKind::Splice => OperandValue::Splice(value as u32),
            TokenKind::Name => return Err(no_register(self.text_of(span), span)),
            TokenKind::Sign(b'%') => return self.percent_register(),
            TokenKind::Sign(b'+' | b'-') => return self.term().map(Term::into_operand),
            TokenKind::Sign(b'(') => return self.parentheses(),
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
            Some(Some(reg)) => Ok(Operand { value: OperandValue::Reg(reg), span }),
            Some(None) => Err(no_register(name.text, span)),
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
        if !matches!(self.token.kind, TokenKind::Sign(b'+' | b'-')) {
            return Ok(first.into_operand());
        }
        let start = first.operand.span;
        let mut terms = vec![first];
        while matches!(self.token.kind, TokenKind::Sign(b'+' | b'-')) {
            terms.push(self.term()?);
        }
        Ok(Operand { value: OperandValue::Sum(terms), span: Span { start: start.start, end: self.end } })
    }

    /// A number or a name with its sign, or two as in `r1 + -8`.
    fn term(&mut self) -> Parsed<Term<'a>> {
        let start = self.token.span;
        let mut minus = false;
        for _ in 0..2 {
            match self.token.kind {
                TokenKind::Sign(b'-') => minus = !minus,
                TokenKind::Sign(b'+') => {}
                _ => break,
            }
            self.bump();
        }
        let mut operand = match self.token.kind {
            TokenKind::Number { .. } | TokenKind::Name | TokenKind::Splice => self.operand("a number")?,
            _ => return Err(self.unexpected("a number or a name")),
        };
        operand.span = start.to(operand.span);
        match &mut operand.value {
            OperandValue::Reg(_) => return Err(expected("a number or a name", operand.span)),
            OperandValue::Number(number) => {
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
            Operand { value: OperandValue::Sum(vec![self]), span }
        } else {
            self.operand
        }
    }
}

fn no_register(name: &str, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(span, format!("there is no register '{name}': they are r0 to r10")))
}
