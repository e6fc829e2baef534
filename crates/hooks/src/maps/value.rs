//! Keys and values of maps whose types are known only when they are read.

use std::fmt;

use serde::{Serialize, Serializer};
use weir_asm::Layout;

/// A key or a value, as its type in BTF says; bytes where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapValue {
    /// An unsigned integer.
    Unsigned(u64),
    /// A signed one.
    Signed(i64),
    /// Bytes, in the order in which they lie: arrays of characters, and what no other variant has. In JSON hexadecimal
    /// digits.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<MapValue>),
    /// A struct's fields, in order.
    Fields(Vec<(String, MapValue)>),
}

impl MapValue {
    /// What the bytes are, laid out so; the bytes themselves where they are too few for that.
    pub(super) fn of(layout: &Layout, bytes: &[u8]) -> Self {
        if bytes.len() < layout.size() {
            return Self::Bytes(bytes.to_vec());
        }
        match layout {
            Layout::None => Self::Bytes(bytes.to_vec()),
            Layout::Unsigned(size) => Self::Unsigned(integer(bytes, *size)),
            Layout::Signed(size) => {
                let unused = 64 - 8 * u32::from((*size).clamp(1, 8));
                Self::Signed((integer(bytes, *size) << unused) as i64 >> unused)
            }
            Layout::Array(element, _) if element.size() <= 1 => Self::Bytes(bytes[..layout.size()].to_vec()),
            Layout::Array(element, _) => {
                let elements = bytes[..layout.size()].chunks_exact(element.size());
                Self::List(elements.map(|bytes| Self::of(element, bytes)).collect())
            }
            Layout::Struct(_, fields) => {
                let mut end = 0_usize;
                let field = |(name, layout): &(String, Layout)| {
                    let at = end.next_multiple_of(layout.align());
                    end = at + layout.size();
                    (name.clone(), Self::of(layout, &bytes[at..end]))
                };
                Self::Fields(fields.iter().map(field).collect())
            }
        }
    }

    /// The sum of values of one type, integer by integer, as a counter wraps; nothing where there are bytes in it.
    pub fn total<'a>(values: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut values = values.into_iter();
        let first = values.next()?.clone();
        values.try_fold(first, |sum, value| sum.plus(value)).filter(Self::is_of_integers)
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Unsigned(a), Self::Unsigned(b)) => Some(Self::Unsigned(a.wrapping_add(*b))),
            (Self::Signed(a), Self::Signed(b)) => Some(Self::Signed(a.wrapping_add(*b))),
            (Self::List(a), Self::List(b)) => {
                a.iter().zip(b).map(|(a, b)| a.plus(b)).collect::<Option<_>>().map(Self::List)
            }
            (Self::Fields(a), Self::Fields(b)) => {
                let sums = a.iter().zip(b).map(|((name, a), (_, b))| Some((name.clone(), a.plus(b)?)));
                sums.collect::<Option<_>>().map(Self::Fields)
            }
            _ => None,
        }
    }

    fn is_of_integers(&self) -> bool {
        match self {
            Self::Unsigned(_) | Self::Signed(_) => true,
            Self::Bytes(_) => false,
            Self::List(values) => values.iter().all(Self::is_of_integers),
            Self::Fields(fields) => fields.iter().all(|(_, value)| value.is_of_integers()),
        }
    }

    /// Whether nothing in it is other than 0.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Unsigned(value) => *value == 0,
            Self::Signed(value) => *value == 0,
            Self::Bytes(bytes) => bytes.iter().all(|&byte| byte == 0),
            Self::List(values) => values.iter().all(Self::is_zero),
            Self::Fields(fields) => fields.iter().all(|(_, value)| value.is_zero()),
        }
    }
}

fn integer(bytes: &[u8], size: u8) -> u64 {
    let size = usize::from(size).min(8);
    let mut whole = [0; 8];
    if cfg!(target_endian = "big") {
        whole[8 - size..].copy_from_slice(&bytes[..size]);
    } else {
        whole[..size].copy_from_slice(&bytes[..size]);
    }
    u64::from_ne_bytes(whole)
}

/// Elements of an array, and bytes, that are shown of one value.
const MOST_ELEMENTS: usize = 16;
const MOST_BYTES: usize = 32;

/// For people, on one line and of bounded length; text where bytes are printable ASCII that zeros fill up.
impl fmt::Display for MapValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Bytes(bytes) => match text(bytes) {
                Some(text) => write!(f, "{text:?}"),
                None => hexadecimal(f, bytes),
            },
            Self::List(values) => {
                let shown = &values[..values.len().min(MOST_ELEMENTS)];
                let shown: Vec<_> = shown.iter().map(Self::to_string).collect();
                let more = values.len() - shown.len();
                let more = if more > 0 { format!(", and {more} more") } else { String::new() };
                write!(f, "[{}{more}]", shown.join(", "))
            }
            Self::Fields(fields) => {
                let shown = fields.iter().map(|(name, value)| format!("{}: {value}", name.escape_debug()));
                write!(f, "{{{}}}", shown.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    let is_text = end > 0 && end <= MOST_BYTES && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (is_text && rest.iter().all(|&byte| byte == 0)).then(|| std::str::from_utf8(text).unwrap_or_default())
}

fn hexadecimal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let shown = &bytes[..bytes.len().min(MOST_BYTES)];
    f.write_str("0x")?;
    shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
    match bytes.len() - shown.len() {
        0 => Ok(()),
        more => write!(f, "… and {more} bytes more"),
    }
}

impl Serialize for MapValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Bytes(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                serializer.serialize_str(&digits)
            }
            Self::List(values) => serializer.collect_seq(values),
            Self::Fields(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(layout: &Layout, bytes: &[u8], expected: &str) {
        assert_eq!(MapValue::of(layout, bytes).to_string(), expected);
    }

    fn event() -> Layout {
        let fields = [
            ("pid", Layout::Unsigned(4)),
            ("name", Layout::Array(Box::new(Layout::Signed(1)), 4)),
            ("at", Layout::Signed(8)),
        ];
        let fields = fields.map(|(name, layout)| (name.to_owned(), layout)).to_vec();
        Layout::Struct("event".to_owned(), fields)
    }

    #[test]
    fn bytes_are_shown_as_their_type_says() {
        check(&Layout::Unsigned(2), &513_u16.to_ne_bytes(), "513");
        check(&Layout::Signed(4), &(-2_i32).to_ne_bytes(), "-2");
        check(&Layout::Signed(8), &i64::MIN.to_ne_bytes(), "-9223372036854775808");
        check(&Layout::Unsigned(8), &u64::MAX.to_ne_bytes(), "18446744073709551615");
        let bytes = [&7_u32.to_ne_bytes()[..], b"ab\0\0", &(-1_i64).to_ne_bytes()].concat();
        check(&event(), &bytes, "{pid: 7, name: \"ab\", at: -1}");
        check(&Layout::Array(Box::new(Layout::Unsigned(2)), 2), &[0; 4], "[0, 0]");
        check(&Layout::Array(Box::new(Layout::Unsigned(1)), 4), &[127, 0, 0, 1], "0x7f000001");
        check(&Layout::Array(Box::new(Layout::Unsigned(1)), 4), b"\x1b[2J", "0x1b5b324a");
        check(&Layout::None, &[1, 2], "0x0102");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        check(
            &Layout::Array(Box::new(Layout::Unsigned(1)), 40),
            &[0; 40],
            &format!("0x{}… and 8 bytes more", "00".repeat(32)),
        );
        let many = Layout::Array(Box::new(Layout::Unsigned(8)), 20);
        assert!(MapValue::of(&many, &[0; 160]).to_string().ends_with("0, and 4 more]"));
    }

    #[test]
    fn what_is_shorter_than_its_type_is_bytes() {
        check(&Layout::Unsigned(8), &[1, 2], "0x0102");
    }

    #[test]
    fn totals_add_integers_and_nothing_else() {
        let numbers = [MapValue::Unsigned(3), MapValue::Unsigned(u64::MAX)];
        assert_eq!(MapValue::total(&numbers), Some(MapValue::Unsigned(2)));
        let lists =
            [vec![MapValue::Signed(1), MapValue::Signed(2)], vec![MapValue::Signed(-3), MapValue::Signed(4)]];
        let sum = MapValue::List(vec![MapValue::Signed(-2), MapValue::Signed(6)]);
        assert_eq!(MapValue::total(&lists.map(MapValue::List)), Some(sum));
        assert_eq!(MapValue::total(&[MapValue::Bytes(vec![1])]), None);
        assert_eq!(MapValue::total(&[]), None);
    }

    #[test]
    fn json_has_numbers_fields_and_hexadecimal_digits() {
        let value = MapValue::of(&event(), &[0; 16]);
        let json = serde_json::to_string(&value).expect("it is JSON");
        assert_eq!(json, r#"{"pid":0,"name":"00000000","at":0}"#);
    }
}
