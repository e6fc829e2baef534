//! Directives: everything that begins with a point.

use super::{
    Instruction, MapDeclaration, Name, Operand, SlotSize, StackSlot, StatementKind, TypeExpr,
    lexer::TokenKind,
    mnemonic::register,
    parser::{Parsed, Parser, refuse, refuse_with},
    suggest::{did_you_mean, nearest},
};
use crate::object::MAP_KINDS;

const DIRECTIVES: [&str; 7] = ["equ", "license", "map", "program", "raw", "slot", "struct"];
const MAP_FIELDS: [&str; 4] = ["key", "value", "entries", "flags"];

impl<'a> Parser<'a> {
    pub(super) fn directive(&mut self, name: Name<'a>, directive: &str) -> Parsed<StatementKind<'a>> {
        match directive {
            "equ" => {
                let name = self.new_name("a constant's name")?;
                self.eat(b',');
                Ok(StatementKind::Equ(name, self.sum_or_parentheses()?))
            }
            "license" => Ok(StatementKind::License(self.text("a licence such as \"GPL\"")?)),
            "map" => self.map(),
            "program" => {
                let name = self.new_name("a program's name")?;
                let section = if self.at_end_of_line() { None } else { Some(self.text("a section")?) };
                Ok(StatementKind::Program(name, section))
            }
            "raw" => Ok(StatementKind::Instruction(Instruction::Raw(self.imm()?))),
            "slot" => self.slot(),
            "struct" => self.structure(),
            _ => {
                let help = nearest(directive, DIRECTIVES).map(|help| format!("did you mean '.{help}'?"));
                refuse_with(name.span, format!("unknown directive '{}'", name.text), help)
            }
        }
    }

    fn sum_or_parentheses(&mut self) -> Parsed<Operand<'a>> {
        if self.token.kind == TokenKind::Sign(b'(') { self.operand("a number") } else { self.sum() }
    }

    fn map(&mut self) -> Parsed<StatementKind<'a>> {
        let name = self.new_name("a map's name")?;
        let kind = self.name("a kind of map")?;
        let Some(&(_, of_kind)) = MAP_KINDS.iter().find(|(name, _)| *name == kind.text) else {
            let known = MAP_KINDS.map(|(name, _)| name);
            let help = did_you_mean(kind.text, known);
            let help = help.unwrap_or_else(|| format!("there are {}", known.join(", ")));
            return refuse_with(kind.span, format!("unknown kind of map '{}'", kind.text), help);
        };
        let (kind, kind_span) = (of_kind, kind.span);
        let mut map =
            MapDeclaration { name, kind, kind_span, key: None, value: None, entries: None, flags: None };
        while !self.at_end_of_line() {
            self.eat(b',');
            self.map_field(&mut map)?;
        }
        Ok(StatementKind::Map(Box::new(map)))
    }

    fn map_field(&mut self, map: &mut MapDeclaration<'a>) -> Parsed<()> {
        let field = self.name("key=, value=, entries= or flags=")?;
        self.expect(b'=')?;
        let twice = match field.text {
            "key" => map.key.replace(self.type_name()?).is_some(),
            "value" => map.value.replace(self.type_name()?).is_some(),
            "entries" => map.entries.replace(self.imm()?).is_some(),
            "flags" => map.flags.replace(self.imm()?).is_some(),
            other => {
                let help = did_you_mean(other, MAP_FIELDS);
                let help = help.unwrap_or_else(|| "it has key, value, entries and flags".to_owned());
                return refuse_with(field.span, format!("a map has no '{other}'"), help);
            }
        };
        if twice {
            return refuse(field.span, format!("'{}' is given twice", field.text));
        }
        Ok(())
    }

    fn slot(&mut self) -> Parsed<StatementKind<'a>> {
        let name = self.new_name("a slot's name")?;
        self.eat(b',');
        let size = match self.token.kind {
            TokenKind::Name => SlotSize::Type(self.type_name()?),
            _ => SlotSize::Bytes(self.imm()?),
        };
        let mut align = None;
        self.eat(b',');
        if !self.at_end_of_line() {
            let word = self.name("align=")?;
            if word.text != "align" {
                return refuse(word.span, "only align= may follow a slot's size");
            }
            self.expect(b'=')?;
            align = Some(self.imm()?);
        }
        Ok(StatementKind::Slot(StackSlot { name, size, align }))
    }

    fn structure(&mut self) -> Parsed<StatementKind<'a>> {
        let name = self.new_name("a struct's name")?;
        self.expect(b'{')?;
        let mut fields = Vec::new();
        loop {
            self.skip_lines();
            if self.eat(b'}') {
                return Ok(StatementKind::Struct(name, fields));
            }
            let field = self.name("a field's name")?;
            self.expect(b':')?;
            fields.push((field, self.type_name()?));
            self.eat(b',');
        }
    }

    fn type_name(&mut self) -> Parsed<TypeExpr<'a>> {
        let name = self.name("a type such as u32")?;
        let mut counts = Vec::new();
        while self.eat(b'[') {
            counts.push(self.sum()?);
            self.expect(b']')?;
        }
        Ok(TypeExpr { name, counts })
    }

    /// A name that is given here, and so must be none that means something already.
    fn new_name(&mut self, what: &str) -> Parsed<Name<'a>> {
        let name = self.name(what)?;
        if register(name.text).is_some() {
            return refuse(name.span, format!("'{}' is a register", name.text));
        }
        if name.text.contains('.') {
            return refuse(name.span, "a point in a name leads to a field, as in event.pid");
        }
        Ok(name)
    }
}
