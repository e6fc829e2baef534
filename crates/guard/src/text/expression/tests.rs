//! Expressions: what they mean, and what is said of those that mean nothing.

use std::{collections::BTreeMap, net::SocketAddr};

use weir_asm::{Diagnostics, Severity, Span};

use super::{Scope, WrittenField, condition, length};
use crate::{
    meaning::{Field, Packet, Protocol, Truth},
    text::source::SourceString,
};

fn source(text: &str) -> SourceString {
    let quoted = format!("'''{text}'''");
    SourceString::of(&quoted, Span { start: 0, end: quoted.len() as u32 }, text)
}

const FIELDS: [(&str, &str); 14] = [
    ("kind", "u8 @ 0"),
    ("flags", "u16 @ 2"),
    ("low", "u16 le @ 2"),
    ("top", "u16[12..=15] @ 2"),
    ("word", "u32 @ 0"),
    ("word_le", "u32 le @ 0"),
    ("magic", "bytes 3 @ 0"),
    ("number", "varint @ 0"),
    ("name", "dns-name @ 0"),
    ("line", "text until ' ' @ 0"),
    ("short", "text until '\\n' within 4 @ 0"),
    ("counted", "text behind u16 @ 0"),
    ("digits", "decimal @ end(line)"),
    ("last", "u32 @ len - 4"),
];

fn fields() -> Vec<Field> {
    let constants = constants();
    let mut fields = Vec::new();
    for (name, text) in FIELDS {
        let mut found = Diagnostics::default();
        let written = WrittenField::read(&source(text), &mut found);
        let scope = Scope { fields: &fields, constants: &constants };
        let field = written.and_then(|written| written.resolve(name, &scope, &source(text), &mut found));
        fields.push(field.unwrap_or_else(|| panic!("{text}: {found:?}")));
    }
    fields
}

fn constants() -> BTreeMap<String, u64> {
    BTreeMap::from([("most".to_owned(), 10)])
}

fn truth_of(text: &str, payload: &[u8]) -> Truth {
    let mut found = Diagnostics::default();
    let protocol = Protocol { fields: fields(), ..Protocol::default() };
    let scope = Scope { fields: &protocol.fields, constants: &constants() };
    let condition =
        condition(&source(text), &scope, &mut found).unwrap_or_else(|| panic!("{text}: {found:?}"));
    condition.of(&Packet::whole(SocketAddr::from(([192, 0, 2, 1], 4660)), payload), &protocol.fields)
}

#[test]
fn every_operator_and_kind_has_a_vector_by_hand() {
    use Truth::{Absent, False, True};
    let cases: &[(&str, &[u8], Truth)] = &[
        ("true", b"", True),
        ("false", b"", False),
        ("not false", b"", True),
        ("not not false", b"", False),
        ("true and false or true", b"", True),
        ("true or false and false", b"", True),
        ("not true or true", b"", True),
        ("len == 3", b"abc", True),
        ("len >= 4", b"abc", False),
        ("len < most", b"abc", True),
        ("source_port == 0x1234", b"", True),
        ("kind == 0b1", b"\x01", True),
        ("kind == 1", b"", Absent),
        ("not kind == 1", b"", Absent),
        ("kind == 1 or true", b"", True),
        ("kind == 1 and false", b"", False),
        ("kind == 1 and true", b"", Absent),
        ("flags == 0x8001", b"\0\0\x80\x01", True),
        ("low == 0x0180", b"\0\0\x80\x01", True),
        ("top == 8", b"\0\0\x80\x01", True),
        ("flags & 0xf000 == 0x8000", b"\0\0\x80\x01", True),
        ("flags & 1 | 2 == 3", b"\0\0\x80\x01", True),
        ("flags ^ 0x8000 == 1", b"\0\0\x80\x01", True),
        ("flags >> 12 == 8", b"\0\0\x80\x01", True),
        ("flags << 1 == 0x1_0002", b"\0\0\x80\x01", True),
        ("word == 'STOP'", b"STOP", True),
        ("word_le == 'STOP'", b"STOP", True),
        ("word_le == 0x504f5453", b"STOP", True),
        ("word != 'STOP'", b"STOQ", True),
        ("word != 'STOP'", b"STO", Absent),
        ("magic == 'PUT'", b"PUT", True),
        ("magic in {'GET', 'PUT'}", b"GETx", True),
        ("magic != 'PUT'", b"PU", Absent),
        ("lower(magic) == 'put'", b"pUt", True),
        ("kind in {1, 3..=5, 'x'}", b"x", True),
        ("kind in {1, 3..=5}", b"\x04", True),
        ("kind in 3..5", b"\x05", False),
        ("kind - 1 == 0", b"\0", Absent),
        ("kind + 1 == 1", b"\0", True),
        ("number == 494878333", b"\x9d\x7f\x3e\x7d", True),
        ("number == 15293", b"\x7b\xbd", True),
        ("number == 37", b"\x25", True),
        ("number == 37", b"\x40", Absent),
        ("end(number) == 2", b"\x7b\xbd", True),
        ("number == 151288809941952652", b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", True),
        ("name == 'Example.org'", b"\x07eXample\x03ORG\0", True),
        ("name == 'example.org'", b"\x03www\x07example\x03org\0", False),
        ("name under 'example.org'", b"\x03www\x07example\x03org\0", True),
        ("name under 'ample.org'", b"\x03www\x07example\x03org\0", False),
        ("name under {'example.net', 'org.'}", b"\x03www\x07example\x03org\0", True),
        ("name under 'example.org'", b"\x03www\x07example\x03org", Absent),
        ("name under '.'", b"\xc0\x0c", Absent),
        ("end(name) + 4 <= len", b"\x01a\0\0\x01\0\x01", True),
        ("line == 'GET'", b"GET /", True),
        ("line == 'GET'", b"GET/", Absent),
        ("end(line) == 4", b"GET /", True),
        ("rest(line) == 1", b"GET /", True),
        ("short == 'abc'", b"abc\n", True),
        ("short == 'abc'", b"abcd\n", Absent),
        ("counted == 'ab'", b"\0\x02ab", True),
        ("counted == 'ab'", b"\0\x03ab", Absent),
        ("digits == 17", b"x 017", True),
        ("digits == 17", b"x 17y", True),
        ("digits == 17", b"x y", Absent),
        ("last == 1", b"\0\0\0\0\0\x01", True),
        ("last == 1", b"\0\0\x01", Absent),
    ];
    for (text, payload, expected) in cases {
        assert_eq!(truth_of(text, payload), *expected, "{text} on {}", payload.escape_ascii());
    }
}

#[test]
fn what_is_wrong_is_said_at_its_place() {
    let check = |text: &str, severity: Severity, at: &str, words: &str| {
        let mut found = Diagnostics::default();
        let fields = fields();
        let scope = Scope { fields: &fields, constants: &constants() };
        let read = condition(&source(text), &scope, &mut found);
        assert_eq!(read.is_none(), severity == Severity::Error, "{text}: {found:?}");
        let first = found.iter().next().unwrap_or_else(|| panic!("{text}: nothing is wrong"));
        let start = text.find(at).expect("the place is there") + 3;
        assert_eq!((first.severity, first.span.start as usize), (severity, start), "{text}: {found:?}");
        let said = format!("{} {}", first.message, first.help.as_deref().unwrap_or_default());
        assert!(said.contains(words), "{text}: {said}");
    };
    let error = |text: &str, at: &str, words: &str| check(text, Severity::Error, at, words);
    let warning = |text: &str, at: &str, words: &str| check(text, Severity::Warning, at, words);
    error("flgas == 1", "flgas", "'flags' is there");
    error("flags = 1", "= 1", "== compares");
    error("flags == \"x\"", "\"x", "between ' and '");
    error("flags == 'abc'", "'abc'", "3 bytes are compared with an integer of 2");
    error("flags == 'ab", "'ab", "is missing");
    error("flags == '\\q'", "\\q", "escape");
    error("flags == 0xfffffffffffffffff", "0xf", "64 bits");
    error("flags == 12ab", "12ab", "no number");
    error("flags", "flags", "no condition");
    error("magic == 'ABCD'", "'ABCD'", "4 bytes are compared with 3");
    error("lower(magic) == 'PUT'", "'PUT'", "write 'put'");
    error("lower(kind) == 'p'", "kind", "no text");
    error("magic < 'PUT'", "magic", "neither less nor greater");
    error("name under 'a..b'", "'a..b'", "empty");
    error("kind under 'a'", "kind", "no domain name");
    error("kind in 5..=3", "5..=3", "no number in it");
    error("kind in flags", "flags", "constant");
    error("kind << flags == 1", "flags", "0 to 63");
    error("1 - 2 == len", "1 - 2", "never a number");
    error("kind == 1 == 2", "== 2", "operator");
    error("kind == (1 2)", "2)", "operator");
    error("kind == and", "and", "a number, bytes, a name or (");
    warning("flags == 0x1_0000", "flags", "never");
    warning("flags >= 0", "flags", "is true wherever");
    warning("flags & 0xf000 == 0x0800", "flags", "never");
    warning("top > 15", "top", "never");
    warning("kind in 0..=255", "kind", "is true wherever");
    warning("kind in {1, 256}", "256", "no number");
}

#[test]
fn lengths_are_numbers_ranges_and_sets() {
    let check = |text: &str, len: usize, expected: bool| {
        let mut found = Diagnostics::default();
        let scope = Scope { fields: &[], constants: &constants() };
        let condition =
            length(&source(text), &scope, &mut found).unwrap_or_else(|| panic!("{text}: {found:?}"));
        let payload = vec![0; len];
        let packet = Packet::whole(SocketAddr::from(([0; 4], 0)), &payload);
        assert_eq!(condition[0].0.of(&packet, &[]), Truth::of(Some(expected)), "{text}, {len} bytes");
    };
    check("12", 12, true);
    check("12", 13, false);
    check("4..=most", 10, true);
    check("4..=most", 11, false);
    check("{4, 8..12}", 11, true);
    check("{4, 8..12}", 12, false);
}

#[test]
fn nothing_nests_so_deep_that_the_stack_ends() {
    let scope = Scope { fields: &[], constants: &constants() };
    let bad = |text: &str| {
        let mut found = Diagnostics::default();
        assert_eq!(condition(&source(text), &scope, &mut found), None);
        assert!(!found.is_empty());
    };
    let good = |text: &str| {
        let mut found = Diagnostics::default();
        assert!(condition(&source(text), &scope, &mut found).is_some(), "{found:?}");
    };
    bad(&format!("{}true{}", "(".repeat(1000), ")".repeat(1000)));
    bad(&format!("len == {}", "{".repeat(1000)));
    bad(&format!("len{} == 1", " + len".repeat(1000)));
    bad(&"(".repeat(100_000));
    good(&format!("{}true", "not ".repeat(1000)));
    good(&format!("{}true{}", "(".repeat(40), ")".repeat(40)));
    good(&format!("len == 1{}", " or len == 1".repeat(10_000)));
    good(&format!("len in {{1{}}}", ", 1".repeat(10_000)));
}
