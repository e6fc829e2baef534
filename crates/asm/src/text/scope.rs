//! What names stand for: constants, structs and their fields, stack slots.

use hashbrown::HashMap;

use super::{
    Name, Operand, OperandValue, SlotSize, StackSlot, TypeExpr,
    parser::{Parsed, refuse, refuse_second, refuse_with},
    suggest::did_you_mean,
};
use crate::{Diagnostic, Layout, Span};

/// Bytes of stack that a program has (MAX_BPF_STACK, include/linux/filter.h).
const STACK: u64 = 512;
/// Largest type, and most nodes in one: hostile declarations double with each line.
const MAX_SIZE: usize = 1 << 30;
const MAX_NODES: usize = 10_000;

/// The value of an operand that is no register.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownOperand {
    pub(super) value: i128,
    /// Whether only hexadecimal numbers went into it, so that it is a pattern of bits.
    pub(super) hex: bool,
    /// Whether a stack slot went into it, so that it counts from r10.
    pub(super) slot: bool,
}

#[derive(Debug)]
struct NamedConstant {
    known: KnownOperand,
    span: Span,
}

#[derive(Debug)]
struct TextStructure {
    layout: Layout,
    nodes: usize,
    span: Span,
}

#[derive(Debug)]
struct SlotPlace {
    off: i32,
    layout: Option<Layout>,
    span: Span,
}

/// The names of a file.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    constants: HashMap<&'a str, NamedConstant>,
    structs: HashMap<&'a str, TextStructure>,
    slots: HashMap<&'a str, SlotPlace>,
    stack: u64,
}

impl<'a> Scope<'a> {
    /// Another program begins, with its own stack.
    pub(super) fn leave_program(&mut self) {
        self.slots.clear();
        self.stack = 0;
    }

    pub(super) fn add_constant(&mut self, name: Name<'a>, value: &Operand<'a>) -> Parsed<()> {
        let known = self.known(value)?;
        self.free(name)?;
        self.constants.insert(name.text, NamedConstant { known, span: name.span });
        Ok(())
    }

    pub(super) fn add_struct(&mut self, name: Name<'a>, fields: &[(Name<'a>, TypeExpr<'a>)]) -> Parsed<()> {
        if primitive(name.text).is_some() {
            return refuse(name.span, format!("'{}' is a type already", name.text));
        }
        self.free(name)?;
        if fields.is_empty() {
            return refuse(name.span, "a struct needs fields");
        }
        let (mut nodes, mut laid_out) = (1, Vec::with_capacity(fields.len()));
        let mut spans = HashMap::new();
        for (field, of_type) in fields {
            if let Some(before) = spans.insert(field.text, field.span) {
                return refuse_second(field.span, &format!("field '{}'", field.text), before);
            }
            let (layout, more) = self.layout_and_nodes(of_type)?;
            nodes += more;
            laid_out.push((field.text.to_owned(), layout));
        }
        let layout = Layout::Struct(name.text.to_owned(), laid_out);
        check_size(name.span, Some(layout.size()), nodes)?;
        self.structs.insert(name.text, TextStructure { layout, nodes, span: name.span });
        Ok(())
    }

    pub(super) fn add_slot(&mut self, slot: &StackSlot<'a>) -> Parsed<()> {
        self.free(slot.name)?;
        let (size, natural, layout) = self.slot_size(&slot.size)?;
        let align = match &slot.align {
            Some(operand) => {
                let align = self.known(operand)?.value;
                if !matches!(align, 1 | 2 | 4 | 8) {
                    return refuse(operand.span, "a slot is aligned to 1, 2, 4 or 8 bytes");
                }
                align as u64
            }
            None => natural,
        };
        let end = (self.stack + size).next_multiple_of(align);
        if end > STACK {
            let (name, left) = (slot.name.text, STACK - self.stack);
            let message = format!("'{name}' takes {size} bytes, and {left} of the {STACK} are left");
            let help = "keep larger things in a percpu_array map".to_owned();
            return refuse_with(slot.name.span, message, help);
        }
        self.stack = end;
        let place = SlotPlace { off: -(end as i32), layout, span: slot.name.span };
        self.slots.insert(slot.name.text, place);
        Ok(())
    }

    /// Size, alignment and, where it has one, type.
    fn slot_size(&self, size: &SlotSize<'a>) -> Parsed<(u64, u64, Option<Layout>)> {
        let (bytes, span) = match size {
            SlotSize::Type(of_type)
                if self.constants.contains_key(of_type.name.text) && of_type.counts.is_empty() =>
            {
                (self.constants[of_type.name.text].known.value, of_type.name.span)
            }
            SlotSize::Type(of_type) => {
                let layout = self.layout(of_type)?;
                return Ok((layout.size() as u64, layout.align() as u64, Some(layout)));
            }
            SlotSize::Bytes(operand) => (self.known(operand)?.value, operand.span),
        };
        let bytes = u64::try_from(bytes).ok().filter(|bytes| (1..=u64::from(u32::MAX)).contains(bytes));
        let bytes =
            bytes.ok_or_else(|| Diagnostic::error(span, "a slot has at least one byte, and at most 512"))?;
        Ok((bytes, 1 << bytes.trailing_zeros().min(3), None))
    }

    pub(super) fn layout(&self, of_type: &TypeExpr<'a>) -> Parsed<Layout> {
        self.layout_and_nodes(of_type).map(|(layout, _)| layout)
    }

    fn layout_and_nodes(&self, of_type: &TypeExpr<'a>) -> Parsed<(Layout, usize)> {
        let name = of_type.name;
        let (mut layout, mut nodes) = match (primitive(name.text), self.structs.get(name.text)) {
            (Some(layout), _) => (layout, 1),
            (None, Some(known)) => (known.layout.clone(), known.nodes),
            (None, None) => return Err(self.unknown_type(name)),
        };
        for count in of_type.counts.iter().rev() {
            let known = self.known(count)?.value;
            let count = u32::try_from(known)
                .ok()
                .filter(|&count| count > 0)
                .ok_or_else(|| Diagnostic::error(count.span, format!("an array of {known} elements")))?;
            nodes += 1;
            check_size(name.span, layout.size().checked_mul(count as usize), nodes)?;
            layout = Layout::Array(Box::new(layout), count);
        }
        Ok((layout, nodes))
    }

    fn unknown_type(&self, name: Name<'a>) -> Box<Diagnostic> {
        let known = PRIMITIVES.iter().map(|(name, _)| *name).chain(self.structs.keys().copied());
        let help = did_you_mean(name.text, known)
            .unwrap_or_else(|| "types are u8 to u64, i8 to i64, structs declared above, and arrays".into());
        Box::new(Diagnostic::error(name.span, format!("unknown type '{}'", name.text)).help(help))
    }

    /// The value of a number, a name or a sum of such.
    pub(super) fn known(&self, operand: &Operand<'a>) -> Parsed<KnownOperand> {
        match &operand.value {
            OperandValue::Number(number) => {
                Ok(KnownOperand { value: number.value(), hex: number.hex, slot: false })
            }
            OperandValue::Name(name) => self.named(name, operand.span),
            OperandValue::Sum(terms) => {
                let mut sum = KnownOperand { value: 0, hex: true, slot: false };
                for term in terms {
                    let KnownOperand { value, hex, slot } = self.known(&term.operand)?;
                    // Terms are within 65 bits and lines within 4 GiB: no overflow.
                    sum.value += if term.minus { -value } else { value };
                    sum.hex &= hex;
                    sum.slot ^= slot;
                }
                Ok(sum)
            }
            OperandValue::Reg(_) | OperandValue::Splice(_) => refuse(operand.span, "expected a number"),
        }
    }

    fn named(&self, name: &str, span: Span) -> Parsed<KnownOperand> {
        if let Some(constant) = self.constants.get(name) {
            return Ok(constant.known);
        }
        let (first, path) = name.split_once('.').map_or((name, None), |(first, path)| (first, Some(path)));
        let (start, layout, slot) = match (self.slots.get(first), self.structs.get(first)) {
            (Some(place), _) => (place.off, place.layout.as_ref(), true),
            (None, Some(known)) if path.is_some() => (0, Some(&known.layout), false),
            _ => return Err(self.unknown_name(name, span)),
        };
        let Some(path) = path else { return Ok(KnownOperand { value: start.into(), hex: false, slot }) };
        let off = layout.and_then(|layout| field(layout, path));
        let off = off.ok_or_else(|| Diagnostic::error(span, format!("'{first}' has no field '{path}'")))?;
        Ok(KnownOperand { value: i128::from(start) + off as i128, hex: false, slot })
    }

    fn unknown_name(&self, name: &str, span: Span) -> Box<Diagnostic> {
        let known = self.constants.keys().chain(self.slots.keys()).copied();
        let help = did_you_mean(name, known).unwrap_or_else(|| {
            "constants come from .equ and stack slots from .slot, before they are used".into()
        });
        let message = format!("no constant and no stack slot is named '{name}'");
        Box::new(Diagnostic::error(span, message).help(help))
    }

    fn free(&self, name: Name<'a>) -> Parsed<()> {
        let constant = self.constants.get(name.text).map(|constant| constant.span);
        let slot = self.slots.get(name.text).map(|slot| slot.span);
        let structure = self.structs.get(name.text).map(|structure| structure.span);
        match constant.or(slot).or(structure) {
            Some(before) => Err(again(name, before)),
            None => Ok(()),
        }
    }
}

/// A name that is taken.
pub(super) fn again(name: Name<'_>, before: Span) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error(name.span, format!("'{}' is given a second time", name.text))
            .related(before, "the first time"),
    )
}

const PRIMITIVES: [(&str, Layout); 8] = [
    ("u8", Layout::Unsigned(1)),
    ("u16", Layout::Unsigned(2)),
    ("u32", Layout::Unsigned(4)),
    ("u64", Layout::Unsigned(8)),
    ("i8", Layout::Signed(1)),
    ("i16", Layout::Signed(2)),
    ("i32", Layout::Signed(4)),
    ("i64", Layout::Signed(8)),
];

fn primitive(name: &str) -> Option<Layout> {
    PRIMITIVES.iter().find(|(known, _)| *known == name).map(|(_, layout)| layout.clone())
}

fn check_size(span: Span, size: Option<usize>, nodes: usize) -> Parsed<()> {
    if size.is_none_or(|size| size > MAX_SIZE) {
        return refuse(span, "a type of more than 1 GiB");
    }
    if nodes > MAX_NODES {
        return refuse(span, format!("a type of more than {MAX_NODES} parts"));
    }
    Ok(())
}

/// Where a field begins, in bytes; `path` leads through structs by points.
fn field(layout: &Layout, path: &str) -> Option<usize> {
    let Layout::Struct(_, fields) = layout else { return None };
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let mut at = 0_usize;
    for (name, of_field) in fields {
        at = at.next_multiple_of(of_field.align());
        if name == first {
            return rest.map_or(Some(at), |rest| Some(at + field(of_field, rest)?));
        }
        at += of_field.size();
    }
    None
}
