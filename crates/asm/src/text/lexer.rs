//! From text to tokens, one at a time, without allocating.

use crate::Span;

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// Without its sign.
    pub magnitude: u64,
    /// Whether a minus stands before it.
    pub negative: bool,
    /// Whether it is hexadecimal, and so a pattern of bits rather than a quantity.
    pub hex: bool,
}

impl Number {
    /// Its value.
    pub const fn value(self) -> i128 {
        if self.negative { -(self.magnitude as i128) } else { self.magnitude as i128 }
    }
}

/// Two bytes: every token is copied several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Name,
    Number {
        hex: bool,
    },
    /// Text between quotes; the span is that of the text.
    Text,
    Splice,
    Sign(u8),
    Line,
    End,
    Bad(LexFault),
}

/// Why something is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LexFault {
    Character,
    /// Begins like a number and goes on like a name.
    Word,
    LargeNumber,
    OpenQuote,
    NamelessSplice,
    OpenBrace,
}

impl LexFault {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Character => "this character means nothing here",
            Self::Word => "this is neither a number nor a name",
            Self::LargeNumber => "this number takes more than 64 bits",
            Self::OpenQuote => "the quote is not closed on its line",
            Self::NamelessSplice => "a name follows `$`",
            Self::OpenBrace => "the brace is not closed",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
    /// A number's magnitude, or the place of an expression of the surrounding Rust; else without meaning.
    pub(crate) value: u64,
}

pub(crate) struct Lexer<'a> {
    pub(super) text: &'a str,
    at: usize,
    /// From 1, of what comes next.
    pub(super) line: u32,
    /// What the last number or splice stood for.
    value: u64,
    /// How many splices came so far; none where they have no meaning.
    splices: Option<u32>,
}

const BLANK: u8 = 1;
const NAME: u8 = 2;
const DIGIT: u8 = 4;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' => BLANK,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' => NAME,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        byte += 1;
    }
    class
};

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, splices: bool) -> Self {
        // A byte order mark is no part of the text.
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at, line: 1, value: 0, splices: splices.then_some(0) }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn next(&mut self) -> Token {
        let bytes = self.text.as_bytes();
        loop {
            while bytes.get(self.at).is_some_and(|&byte| CLASS[byte as usize] == BLANK) {
                self.at += 1;
            }
            match bytes.get(self.at) {
                Some(b';' | b'#') => self.skip_line(),
                Some(b'/') if bytes.get(self.at + 1) == Some(&b'/') => self.skip_line(),
                _ => break,
            }
        }
        let start = self.at;
        let kind = self.kind();
        let mut span = Span { start: start as u32, end: self.at as u32 };
        if kind == TokenKind::Text {
            span = Span { start: span.start + 1, end: span.end - 1 };
        }
        Token { kind, span, value: self.value }
    }

    fn kind(&mut self) -> TokenKind {
        let bytes = self.text.as_bytes();
        let Some(&byte) = bytes.get(self.at) else { return TokenKind::End };
        match (CLASS[byte as usize], byte) {
            (NAME, _) => {
                self.skip(NAME | DIGIT);
                TokenKind::Name
            }
            (DIGIT, _) => self.number(),
            (_, b'\n') => {
                self.at += 1;
                self.line += 1;
                TokenKind::Line
            }
            (_, b'"') => self.quoted(),
            (_, b'$' | b'{') if self.splices.is_some() => self.splice(byte),
            (_, b'[' | b']' | b'(' | b')' | b'{' | b'}' | b',' | b':' | b'=' | b'+' | b'-' | b'%' | b'/') => {
                self.at += 1;
                TokenKind::Sign(byte)
            }
            _ => {
                self.at += self.text[self.at..].chars().next().map_or(1, char::len_utf8);
                TokenKind::Bad(LexFault::Character)
            }
        }
    }

    fn skip(&mut self, classes: u8) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|&byte| CLASS[byte as usize] & classes != 0) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    fn number(&mut self) -> TokenKind {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let hex = bytes[start] == b'0' && matches!(bytes.get(start + 1), Some(b'x' | b'X'));
        let radix = if hex { 16 } else { 10 };
        self.at += if hex { 2 } else { 0 };
        let digits = self.at;
        let mut magnitude = Some(0_u64);
        while let Some(digit) = bytes.get(self.at).and_then(|&byte| char::from(byte).to_digit(radix)) {
            let wider = |value: u64| value.checked_mul(radix.into())?.checked_add(digit.into());
            magnitude = magnitude.and_then(wider);
            self.at += 1;
        }
        let digits = self.at - digits;
        let end = self.at;
        self.skip(NAME | DIGIT);
        if end != self.at || digits == 0 {
            return TokenKind::Bad(LexFault::Word);
        }
        let Some(magnitude) = magnitude else { return TokenKind::Bad(LexFault::LargeNumber) };
        self.value = magnitude;
        TokenKind::Number { hex }
    }

    fn quoted(&mut self) -> TokenKind {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let end = rest.iter().position(|&byte| matches!(byte, b'"' | b'\n')).unwrap_or(rest.len());
        self.at += 1 + end;
        if rest.get(end) == Some(&b'"') {
            self.at += 1;
            TokenKind::Text
        } else {
            TokenKind::Bad(LexFault::OpenQuote)
        }
    }

    fn splice(&mut self, first: u8) -> TokenKind {
        let start = self.at;
        self.at += 1;
        if first == b'$' {
            self.skip(NAME | DIGIT);
            if self.at == start + 1 {
                return TokenKind::Bad(LexFault::NamelessSplice);
            }
        } else if let Some(end) = closing(&self.text.as_bytes()[self.at..]) {
            let inside = &self.text.as_bytes()[self.at..self.at + end];
            self.line += inside.iter().filter(|&&byte| byte == b'\n').count() as u32;
            self.at += end + 1;
        } else {
            self.at = self.text.len();
            return TokenKind::Bad(LexFault::OpenBrace);
        }
        let splices = self.splices.as_mut().expect("the caller looked");
        self.value = (*splices).into();
        *splices += 1;
        TokenKind::Splice
    }
}

/// Where the brace that is open before `bytes` closes.
fn closing(bytes: &[u8]) -> Option<usize> {
    let mut open = 1;
    bytes.iter().position(|byte| {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        open == 0
    })
}
