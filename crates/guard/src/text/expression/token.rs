//! Words, numbers, bytes and signs of an expression.

use std::ops::Range;

use winnow::{
    LocatingSlice, ModalResult, Parser as _,
    ascii::multispace0,
    combinator::{alt, repeat},
    error::EmptyError,
    stream::Location as _,
    token::{literal, none_of, take_while},
};

use crate::text::table::shown;

/// What is wrong with a text, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::text) struct Fault {
    pub(super) range: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    Number(u64),
    Bytes(Vec<u8>),
    Word(&'a str),
    Sign(&'static str),
}

/// Longer ones before those that they begin with.
const SIGNS: [&str; 24] = [
    "..=", "..", "==", "!=", "<=", ">=", "<<", ">>", "<", ">", "&", "|", "^", "+", "-", "(", ")", "[", "]",
    "{", "}", ",", "@", "/",
];

type Input<'a> = LocatingSlice<&'a str>;

/// An expression of more is refused: nobody reads it.
pub(super) const MOST_TOKENS: usize = 100_000;

/// Cuts a text up.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut input = LocatingSlice::new(text);
    let mut found = Vec::new();
    loop {
        blank(&mut input);
        let start = input.current_token_start();
        let Some(first) = input.chars().next() else {
            return Ok(found);
        };
        if found.len() == MOST_TOKENS {
            return Err(Fault::new(start..text.len(), format!("more than {MOST_TOKENS} words")));
        }
        let kind = match first {
            '0'..='9' => number(word(&mut input), start)?,
            'a'..='z' | 'A'..='Z' | '_' => TokenKind::Word(word(&mut input)),
            '\'' => TokenKind::Bytes(quoted(&mut input, start, text)?),
            _ => sign(&mut input).ok_or_else(|| unknown(first, start))?,
        };
        found.push(Token { kind, range: start..input.current_token_start() });
    }
}

fn blank(input: &mut Input<'_>) {
    let blanks: ModalResult<&str, EmptyError> = multispace0.parse_next(input);
    blanks.unwrap_or_default();
}

fn word<'a>(input: &mut Input<'a>) -> &'a str {
    let is_part = |each: char| each.is_ascii_alphanumeric() || each == '_';
    let word: ModalResult<&str, EmptyError> = take_while(0.., is_part).parse_next(input);
    word.unwrap_or_default()
}

fn sign(input: &mut Input<'_>) -> Option<TokenKind<'static>> {
    SIGNS.into_iter().find_map(|sign| {
        let taken: ModalResult<&str, EmptyError> = literal(sign).parse_next(input);
        taken.ok().map(|_| TokenKind::Sign(sign))
    })
}

fn unknown(first: char, start: usize) -> Fault {
    let help = match first {
        '"' => "bytes stand between ' and '",
        '=' => "== compares",
        '!' => "not is written as a word, and != compares",
        '~' => "a ^ 0xff turns the bits of a byte around",
        '*' | '%' => "numbers are added, subtracted, shifted and masked; there is no multiplication",
        _ => "see docs/guard-language.md, Expressions",
    };
    Fault::new(
        start..start + first.len_utf8(),
        format!("'{}' is no sign of the language", first.escape_debug()),
    )
    .help(help)
}

fn number(text: &str, start: usize) -> Result<TokenKind<'_>, Fault> {
    let range = start..start + text.len();
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2),
        _ => (text, 10),
    };
    let digits: String = digits.chars().filter(|digit| *digit != '_').collect();
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(
            Fault::new(range, format!("'{}' is no number", shown(text))).help("17, 0x11 and 0b1_0001 are")
        );
    }
    match u64::from_str_radix(&digits, radix) {
        Ok(number) => Ok(TokenKind::Number(number)),
        Err(_) => Err(Fault::new(range, format!("{} has more than 64 bits", shown(text)))),
    }
}

/// Bytes between quotes.
fn quoted(input: &mut Input<'_>, start: usize, text: &str) -> Result<Vec<u8>, Fault> {
    let plain = none_of(['\'', '\\']).take().map(|part: &str| part.as_bytes().to_vec());
    let escape = (
        '\\',
        alt((('x', take_while(2, |digit: char| digit.is_ascii_hexdigit())).take(), none_of(['x']).take())),
    )
        .verify_map(|(_, escape): (char, &str)| escaped(escape).map(|byte| vec![byte]));
    let part = alt((plain, escape));
    let parts = repeat(0.., part).fold(Vec::new, |mut all: Vec<u8>, part: Vec<u8>| {
        all.extend(part);
        all
    });
    let opened: ModalResult<(char, Vec<u8>), EmptyError> = ('\'', parts).parse_next(input);
    let bytes = opened.map_or_else(|_| Vec::new(), |(_, bytes)| bytes);
    let closed: ModalResult<char, EmptyError> = '\''.parse_next(input);
    let at = input.current_token_start();
    match closed {
        Ok(_) => Ok(bytes),
        Err(_) if input.starts_with('\\') => {
            let end = at + 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
            Err(Fault::new(at..end, "an unknown escape").help(r"there are \\, \', \0, \n, \r, \t and \x7f"))
        }
        Err(_) => Err(Fault::new(start..at, "the ' that ends these bytes is missing")),
    }
}

fn escaped(escape: &str) -> Option<u8> {
    match escape {
        "\\" => Some(b'\\'),
        "'" => Some(b'\''),
        "0" => Some(0),
        "n" => Some(b'\n'),
        "r" => Some(b'\r'),
        "t" => Some(b'\t'),
        _ => u8::from_str_radix(escape.strip_prefix('x')?, 16).ok(),
    }
}

impl std::fmt::Display for TokenKind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Bytes(_) => f.write_str("these bytes"),
            Self::Word(word) => write!(f, "'{}'", shown(word)),
            Self::Sign(sign) => write!(f, "'{sign}'"),
        }
    }
}
