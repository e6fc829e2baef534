//! The grammar: from words to a tree, by precedence.

use std::ops::Range;

use winnow::{
    ModalResult, Parser as _,
    combinator::{Infix, Prefix, alt, delimited, expression, opt, preceded, repeat, separated, terminated},
    error::{EmptyError, ErrMode},
    stream::{Stateful, Stream as _, TokenSlice},
    token::any,
};

use super::token::{Fault, Token, TokenKind, tokens};
use crate::meaning::{Comparison, LengthForm, Operation, Order, Width};

/// A part of an expression, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) range: Range<usize>,
    /// How many nodes stand above each other in it.
    depth: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeKind {
    Number(u64),
    Bytes(Vec<u8>),
    Truth(bool),
    Name(String),
    /// A function of a field, and where the field's name stands.
    Call(Function, String, Range<usize>),
    Arithmetic(Operation, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Under(Box<Node>, Box<Node>),
    /// Both ends, and whether the upper one is part of it.
    Range(Box<Node>, Box<Node>, bool),
    Set(Vec<Node>),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Start,
    End,
    Rest,
    Lower,
}

/// How a field's bytes are read, as it is written.
#[derive(Clone, Debug)]
pub(super) enum WrittenKind {
    Unsigned { width: Width, order: Order, bits: Option<(Node, Node, bool)> },
    Bytes(Node),
    Varint,
    DnsName,
    Until { terminator: Vec<u8>, within: Option<Node> },
    Counted(LengthForm),
    Decimal,
}

/// Nodes above each other; the stack has room for so many.
const MOST_DEPTH: u16 = 100;
/// Parentheses within each other.
const MOST_PARENTHESES: usize = 50;

type Input<'t, 'a> = Stateful<TokenSlice<'t, Token<'a>>, Reached>;

type Parsed<T> = ModalResult<T, EmptyError>;

/// How far a text was understood, for the message where it isn't.
#[derive(Clone, Debug, Default)]
struct Reached {
    /// How many words stand behind.
    left: Option<usize>,
    /// What was looked for there.
    wanted: &'static str,
    /// What is wrong though it was understood.
    too_deep: Option<Range<usize>>,
}

/// Reads a whole text as an expression.
pub(super) fn tree(text: &str) -> Result<Node, Fault> {
    whole(text, node)
}

/// Reads a whole text as a field: its kind and its place.
pub(super) fn field(text: &str) -> Result<(WrittenKind, Node), Fault> {
    whole(text, |input: &mut Input<'_, '_>| (kind, preceded(sign("@"), node)).parse_next(input))
}

fn whole<T>(text: &str, mut parser: impl FnMut(&mut Input<'_, '_>) -> Parsed<T>) -> Result<T, Fault> {
    let tokens = tokens(text)?;
    check_parentheses(&tokens)?;
    let mut input = Stateful { input: TokenSlice::new(&tokens), state: Reached::default() };
    let parsed = parser(&mut input);
    if let Some(range) = input.state.too_deep.take() {
        let help = "cut the condition into messages that are `like` each other";
        return Err(
            Fault::new(range, format!("more than {MOST_DEPTH} parts stand within each other")).help(help)
        );
    }
    match parsed {
        Ok(parsed) if input.eof_offset() == 0 => Ok(parsed),
        _ => Err(not_understood(&tokens, input.eof_offset(), &input.state, text)),
    }
}

fn not_understood(tokens: &[Token<'_>], left: usize, reached: &Reached, text: &str) -> Fault {
    let (left, wanted) = match reached.left {
        Some(furthest) if furthest <= left => (furthest, reached.wanted),
        _ => (left, "the end, or an operator that joins comparisons, such as and,"),
    };
    match tokens.get(tokens.len() - left) {
        Some(token) => {
            Fault::new(token.range.clone(), format!("{wanted} is wanted here, not {}", token.kind))
        }
        None => Fault::new(text.len()..text.len(), format!("{wanted} is wanted here, where the text ends")),
    }
}

/// Parentheses within each other use the stack before anybody can say that they are too many.
fn check_parentheses(tokens: &[Token<'_>]) -> Result<(), Fault> {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            TokenKind::Sign("(" | "{") => depth += 1,
            TokenKind::Sign(")" | "}") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MOST_PARENTHESES {
            let message = format!("more than {MOST_PARENTHESES} parentheses stand within each other");
            return Err(Fault::new(token.range.clone(), message));
        }
    }
    Ok(())
}

impl Node {
    fn leaf(kind: NodeKind, range: Range<usize>) -> Self {
        Self { kind, range, depth: 1 }
    }

    /// A node above others.
    fn above(kind: NodeKind, range: Range<usize>, depth: u16, input: &mut Input<'_, '_>) -> Parsed<Self> {
        let depth = depth + 1;
        if depth > MOST_DEPTH {
            input.state.too_deep = Some(range);
            return Err(ErrMode::Cut(EmptyError));
        }
        Ok(Self { kind, range, depth })
    }

    fn two(
        kind: impl FnOnce(Box<Self>, Box<Self>) -> NodeKind,
        left: Self,
        right: Self,
        input: &mut Input<'_, '_>,
    ) -> Parsed<Self> {
        let range = left.range.start..right.range.end;
        let depth = left.depth.max(right.depth);
        Self::above(kind(Box::new(left), Box::new(right)), range, depth, input)
    }

    /// Two of a kind that is written as a list: what is to the left may be such a list already.
    fn joined(is_all: bool, left: Self, right: Self, input: &mut Input<'_, '_>) -> Parsed<Self> {
        let range = left.range.start..right.range.end;
        let (mut parts, below) = match left {
            Self { kind: NodeKind::All(parts), depth, .. } if is_all => (parts, depth - 1),
            Self { kind: NodeKind::Any(parts), depth, .. } if !is_all => (parts, depth - 1),
            single => {
                let depth = single.depth;
                (vec![single], depth)
            }
        };
        let depth = below.max(right.depth);
        parts.push(right);
        let kind = if is_all { NodeKind::All(parts) } else { NodeKind::Any(parts) };
        Self::above(kind, range, depth, input)
    }
}

type Fold<'t, 'a> = fn(&mut Input<'t, 'a>, Node, Node) -> Parsed<Node>;

/// What stands between two parts: how tight it binds, and what it makes of them. Loosest first.
fn infix<'t, 'a>(token: &TokenKind<'a>) -> Option<Infix<Input<'t, 'a>, Node, ErrMode<EmptyError>>> {
    let left = |power, fold: Fold<'t, 'a>| Some(Infix::Left(power, fold));
    let neither = |power, fold: Fold<'t, 'a>| Some(Infix::Neither(power, fold));
    macro_rules! arithmetic {
        ($operation:ident) => {
            |input, left, right| {
                Node::two(
                    |left, right| NodeKind::Arithmetic(Operation::$operation, left, right),
                    left,
                    right,
                    input,
                )
            }
        };
    }
    macro_rules! compare {
        ($comparison:ident) => {
            |input, left, right| {
                Node::two(
                    |left, right| NodeKind::Compare(Comparison::$comparison, left, right),
                    left,
                    right,
                    input,
                )
            }
        };
    }
    match token {
        TokenKind::Word("or") => left(10, |input, left, right| Node::joined(false, left, right, input)),
        TokenKind::Word("and") => left(20, |input, left, right| Node::joined(true, left, right, input)),
        TokenKind::Word("in") => {
            neither(40, |input, left, right| Node::two(NodeKind::In, left, right, input))
        }
        TokenKind::Word("under") => {
            neither(40, |input, left, right| Node::two(NodeKind::Under, left, right, input))
        }
        TokenKind::Sign("==") => neither(40, compare!(Equal)),
        TokenKind::Sign("!=") => neither(40, compare!(Unequal)),
        TokenKind::Sign("<") => neither(40, compare!(Less)),
        TokenKind::Sign("<=") => neither(40, compare!(LessOrEqual)),
        TokenKind::Sign(">") => neither(40, compare!(Greater)),
        TokenKind::Sign(">=") => neither(40, compare!(GreaterOrEqual)),
        TokenKind::Sign("..=") => neither(50, |input, left, right| {
            Node::two(|left, right| NodeKind::Range(left, right, true), left, right, input)
        }),
        TokenKind::Sign("..") => neither(50, |input, left, right| {
            Node::two(|left, right| NodeKind::Range(left, right, false), left, right, input)
        }),
        TokenKind::Sign("|") => left(60, arithmetic!(Or)),
        TokenKind::Sign("^") => left(70, arithmetic!(Xor)),
        TokenKind::Sign("&") => left(80, arithmetic!(And)),
        TokenKind::Sign("<<") => left(90, arithmetic!(ShiftLeft)),
        TokenKind::Sign(">>") => left(90, arithmetic!(ShiftRight)),
        TokenKind::Sign("+") => left(100, arithmetic!(Add)),
        TokenKind::Sign("-") => left(100, arithmetic!(Subtract)),
        _ => None,
    }
}

/// How tight `not` binds: looser than comparisons.
const NOT: i64 = 30;

fn node<'t, 'a>(input: &mut Input<'t, 'a>) -> Parsed<Node> {
    node_above(input, 0)
}

/// Operators of that power and tighter ones.
fn node_above<'t, 'a>(input: &mut Input<'t, 'a>, power: i64) -> Parsed<Node> {
    expression(operand)
        .prefix(negation)
        .infix(|input: &mut Input<'t, 'a>| taken(input, "an operator, or the end", infix))
        .current_precedence_level(power)
        .parse_next(input)
}

/// Any number of `not`: two of them are none.
fn negation<'t, 'a>(input: &mut Input<'t, 'a>) -> Parsed<Prefix<Input<'t, 'a>, Node, ErrMode<EmptyError>>> {
    let count: usize = repeat(1.., word("not")).parse_next(input)?;
    Ok(if count % 2 == 1 {
        Prefix(NOT, |input, node: Node| {
            let (range, depth) = (node.range.clone(), node.depth);
            Node::above(NodeKind::Not(Box::new(node)), range, depth, input)
        })
    } else {
        Prefix(NOT, |_, node| Ok(node))
    })
}

fn operand(input: &mut Input<'_, '_>) -> Parsed<Node> {
    alt((leaf, parenthesised, set, call)).parse_next(input)
}

fn parenthesised(input: &mut Input<'_, '_>) -> Parsed<Node> {
    delimited(sign("("), node, sign(")")).parse_next(input)
}

fn set(input: &mut Input<'_, '_>) -> Parsed<Node> {
    let start = input.first().map_or(0, |token| token.range.start);
    let items = terminated(separated(1.., set_item, sign(",")), opt(sign(",")));
    let items: Vec<Node> = delimited(sign("{"), items, sign("}")).parse_next(input)?;
    let depth = items.iter().map(|item| item.depth).max().unwrap_or(0);
    let end = input.previous_tokens().next().map_or(start, |token| token.range.end);
    Node::above(NodeKind::Set(items), start..end, depth, input)
}

/// Something that is compared with, so nothing that compares.
fn set_item(input: &mut Input<'_, '_>) -> Parsed<Node> {
    node_above(input, 50)
}

fn call(input: &mut Input<'_, '_>) -> Parsed<Node> {
    let function = |input: &mut Input<'_, '_>| {
        taken(input, "a function", |kind| match kind {
            TokenKind::Word("start") => Some(Function::Start),
            TokenKind::Word("end") => Some(Function::End),
            TokenKind::Word("rest") => Some(Function::Rest),
            TokenKind::Word("lower") => Some(Function::Lower),
            _ => None,
        })
    };
    let start = input.first().map_or(0, |token| token.range.start);
    let (function, name) = (function, delimited(sign("("), name, sign(")"))).parse_next(input)?;
    let end = input.previous_tokens().next().map_or(start, |token| token.range.end);
    Ok(Node::leaf(NodeKind::Call(function, name.0, name.1), start..end))
}

fn name(input: &mut Input<'_, '_>) -> Parsed<(String, Range<usize>)> {
    let range = input.first().map_or(0..0, |token| token.range.clone());
    let name = taken(input, "a field's name", |kind| match kind {
        TokenKind::Word(word) if !super::RESERVED.contains(word) => Some((*word).to_owned()),
        _ => None,
    })?;
    Ok((name, range))
}

fn leaf(input: &mut Input<'_, '_>) -> Parsed<Node> {
    let range = input.first().map_or(0..0, |token| token.range.clone());
    let kind = taken(input, "a number, bytes, a name or (", |kind| match kind {
        TokenKind::Number(number) => Some(NodeKind::Number(*number)),
        TokenKind::Bytes(bytes) => Some(NodeKind::Bytes(bytes.clone())),
        TokenKind::Word("true") => Some(NodeKind::Truth(true)),
        TokenKind::Word("false") => Some(NodeKind::Truth(false)),
        TokenKind::Word(word @ ("len" | "source_port")) => Some(NodeKind::Name((*word).to_owned())),
        TokenKind::Word(word) if !super::RESERVED.contains(word) => Some(NodeKind::Name((*word).to_owned())),
        TokenKind::Word(_) | TokenKind::Sign(_) => None,
    })?;
    Ok(Node::leaf(kind, range))
}

fn kind(input: &mut Input<'_, '_>) -> Parsed<WrittenKind> {
    alt((
        unsigned,
        preceded(word("bytes"), leaf).map(WrittenKind::Bytes),
        word("varint").map(|()| WrittenKind::Varint),
        word("decimal").map(|()| WrittenKind::Decimal),
        (word("dns"), sign("-"), word("name")).map(|_| WrittenKind::DnsName),
        preceded((word("text"), word("until")), until),
        preceded((word("text"), word("behind")), length_form).map(WrittenKind::Counted),
        |input: &mut Input<'_, '_>| taken(input, "a field's kind, such as u16 or bytes 4,", |_| None),
    ))
    .parse_next(input)
}

fn unsigned(input: &mut Input<'_, '_>) -> Parsed<WrittenKind> {
    let (width, order) = (width, order).parse_next(input)?;
    let last = |input: &mut Input<'_, '_>| {
        let is_closed = alt((sign("..=").map(|()| true), sign("..").map(|()| false))).parse_next(input)?;
        Ok((is_closed, leaf.parse_next(input)?))
    };
    let bits = delimited(sign("["), (leaf, opt(last)), sign("]")).map(|(low, high)| match high {
        Some((is_closed, high)) => (low, high, is_closed),
        None => (low.clone(), low, true),
    });
    let bits = opt(bits).parse_next(input)?;
    Ok(WrittenKind::Unsigned { width, order, bits })
}

fn width(input: &mut Input<'_, '_>) -> Parsed<Width> {
    taken(input, "a field's kind, such as u16 or bytes 4,", |kind| match kind {
        TokenKind::Word("u8") => Some(Width::One),
        TokenKind::Word("u16") => Some(Width::Two),
        TokenKind::Word("u32") => Some(Width::Four),
        TokenKind::Word("u64") => Some(Width::Eight),
        _ => None,
    })
}

fn order(input: &mut Input<'_, '_>) -> Parsed<Order> {
    opt(word("le")).map(|little| if little.is_some() { Order::Little } else { Order::Big }).parse_next(input)
}

fn until(input: &mut Input<'_, '_>) -> Parsed<WrittenKind> {
    let bytes = |input: &mut Input<'_, '_>| {
        taken(input, "the byte that ends it, such as ' ',", |kind| match kind {
            TokenKind::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        })
    };
    let (terminator, within) = (bytes, opt(preceded(word("within"), leaf))).parse_next(input)?;
    Ok(WrittenKind::Until { terminator, within })
}

fn length_form(input: &mut Input<'_, '_>) -> Parsed<LengthForm> {
    alt((
        (width, order).map(|(width, order)| LengthForm::Unsigned(width, order)),
        word("nibble").map(|()| LengthForm::Nibble),
        word("varint").map(|()| LengthForm::Varint),
        word("ber").map(|()| LengthForm::Ber),
        |input: &mut Input<'_, '_>| taken(input, "u8, u16, u32, nibble, varint or ber", |_| None),
    ))
    .parse_next(input)
}

fn word<'t, 'a>(wanted: &'static str) -> impl FnMut(&mut Input<'t, 'a>) -> Parsed<()> {
    move |input| {
        taken(input, wanted, |kind| matches!(kind, TokenKind::Word(word) if *word == wanted).then_some(()))
    }
}

fn sign<'t, 'a>(wanted: &'static str) -> impl FnMut(&mut Input<'t, 'a>) -> Parsed<()> {
    move |input| {
        taken(input, wanted, |kind| matches!(kind, TokenKind::Sign(sign) if *sign == wanted).then_some(()))
    }
}

/// Takes the next word where `take` makes something of it, and notes what was wanted where it doesn't.
fn taken<'t, 'a, T>(
    input: &mut Input<'t, 'a>,
    wanted: &'static str,
    take: impl Fn(&TokenKind<'a>) -> Option<T>,
) -> Parsed<T> {
    let left = input.eof_offset();
    let found = any.verify_map(|token: &Token<'a>| take(&token.kind)).parse_next(input);
    if found.is_err() && input.state.left.is_none_or(|before| left < before) {
        input.state.left = Some(left);
        input.state.wanted = wanted;
    }
    found
}
