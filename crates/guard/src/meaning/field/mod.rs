//! Fields: the parts of a payload that have a name.

mod integer;

pub use integer::{Integer, Operation, Order, Width};

use super::Packet;

/// A field of a [`crate::meaning::Protocol`], by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub usize);

/// A part of a payload that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name in conditions.
    pub name: String,
    /// How its bytes are read.
    pub kind: FieldKind,
    /// The offset of its first byte, from the payload's first. It names fields alone that stand before this one in the protocol's list.
    pub at: Integer,
}

/// How a field's bytes are read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// An integer of a fixed width, or some of its bits.
    Unsigned {
        /// How many bytes it has.
        width: Width,
        /// Which of them comes first.
        order: Order,
        /// The lowest and the highest bit, 0 being the least significant one; nothing for all of them.
        bits: Option<(u8, u8)>,
    },
    /// So many bytes.
    Bytes(u16),
    /// A variable-length integer as QUIC writes it (RFC 9000, 16): its first two bits say how many bytes it has.
    Varint,
    /// A domain name (RFC 1035, 3.1): labels behind their lengths, up to the empty one. A compression pointer (4.1.4), another kind
    /// of label or more than 255 bytes make it absent.
    DnsName,
    /// Text up to a byte, which is not part of the text and is the field's last byte. It stands within `within` bytes, or
    /// the field is absent.
    Until {
        /// The byte that ends it.
        terminator: u8,
        /// How many bytes are looked at, at most [`FieldKind::MOST_WALKED`].
        within: u16,
    },
    /// Text behind its own length.
    Counted(LengthForm),
    /// A decimal number in ASCII: at least one digit, without a sign; it ends before the first byte that is no digit, or with the
    /// payload. More than [`FieldKind::MOST_DIGITS`] digits make it absent.
    Decimal,
}

/// How the length of a [`FieldKind::Counted`] text is written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LengthForm {
    /// An integer of a fixed width.
    Unsigned(Width, Order),
    /// The low four bits of a byte (CoAP options, RFC 7252, 3.1); 13 to 15, which have lengths of their own, make it absent.
    Nibble,
    /// A variable-length integer as QUIC writes it.
    Varint,
    /// A definite length as BER writes it (X.690, 8.1.3): below 128 in one byte, else in one to four bytes behind their number.
    Ber,
}

/// Where a field stands in the payload, and where its text does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first byte of what it holds: behind its length, where it has one.
    pub start: u64,
    /// How many bytes that is.
    pub len: u64,
    /// Offset of the first byte behind the field: behind its terminator, where it has one.
    pub end: u64,
}

impl FieldKind {
    /// Bytes of a walked field that are looked at: as many as a domain name may have (RFC 1035, 2.3.4).
    pub const MOST_WALKED: u16 = 255;
    /// As many digits as always fit 64 bits.
    pub const MOST_DIGITS: u16 = 19;

    /// Whether the field is a number, which integers are made of.
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Unsigned { .. } | Self::Varint | Self::Decimal)
    }

    /// Whether the field is text, which is compared with texts.
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Until { .. } | Self::Counted(_))
    }
}

impl Field {
    /// Where it stands, or nothing where a byte of it is absent.
    pub fn extent(&self, packet: &Packet<'_>, fields: &[Field]) -> Option<Extent> {
        let at = self.at.of(packet, fields)?;
        let plain = |len: u64| {
            packet.bytes(at, len)?;
            Some(Extent { start: at, len, end: at + len })
        };
        match self.kind {
            FieldKind::Unsigned { width, .. } => plain(width.bytes()),
            FieldKind::Bytes(count) => plain(count.into()),
            FieldKind::Varint => plain(varint(packet, at)?.1),
            FieldKind::DnsName => plain(dns_name_len(packet, at)?),
            FieldKind::Until { terminator, within } => {
                let ends = |&len: &u64| packet.bytes(at + len, 1) == Some(&[terminator]);
                let is_there = |&len: &u64| packet.bytes(at, len + 1).is_some();
                let len = (0..within.into()).take_while(is_there).find(ends)?;
                Some(Extent { start: at, len, end: at + len + 1 })
            }
            FieldKind::Counted(form) => {
                let (len, before) = form.read(packet, at)?;
                let start = at.checked_add(before)?;
                packet.bytes(start, len)?;
                Some(Extent { start, len, end: start + len })
            }
            FieldKind::Decimal => plain(decimal(packet, at)?.1),
        }
    }

    /// The number that it holds, or nothing where it is absent or no number.
    pub fn number(&self, packet: &Packet<'_>, fields: &[Field]) -> Option<u64> {
        let at = self.at.of(packet, fields)?;
        match self.kind {
            FieldKind::Unsigned { width, order, bits } => {
                let whole = unsigned(packet, at, width, order)?;
                Some(bits.map_or(whole, |(low, high)| whole >> low & u64::MAX >> (63 - (high - low))))
            }
            FieldKind::Varint => Some(varint(packet, at)?.0),
            FieldKind::Decimal => Some(decimal(packet, at)?.0),
            FieldKind::Bytes(_) | FieldKind::DnsName | FieldKind::Until { .. } | FieldKind::Counted(_) => {
                None
            }
        }
    }

    /// The bytes of what it holds, or nothing where one of them is absent.
    pub fn text<'a>(&self, packet: &Packet<'a>, fields: &[Field]) -> Option<&'a [u8]> {
        let extent = self.extent(packet, fields)?;
        packet.bytes(extent.start, extent.len)
    }
}

fn unsigned(packet: &Packet<'_>, at: u64, width: Width, order: Order) -> Option<u64> {
    let bytes = packet.bytes(at, width.bytes())?.iter();
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Some(match order {
        Order::Big => bytes.fold(0, add),
        Order::Little => bytes.rev().fold(0, add),
    })
}

/// A variable-length integer and how many bytes it has.
fn varint(packet: &Packet<'_>, at: u64) -> Option<(u64, u64)> {
    let first = packet.bytes(at, 1)?[0];
    let (width, mask) = match first >> 6 {
        0 => (Width::One, 0x3f),
        1 => (Width::Two, 0x3fff),
        2 => (Width::Four, 0x3fff_ffff),
        _ => (Width::Eight, 0x3fff_ffff_ffff_ffff),
    };
    Some((unsigned(packet, at, width, Order::Big)? & mask, width.bytes()))
}

/// How many bytes a domain name has, its empty label counted.
fn dns_name_len(packet: &Packet<'_>, at: u64) -> Option<u64> {
    let mut len = 0;
    loop {
        let label = packet.bytes(at.checked_add(len)?, 1)?[0];
        len += 1 + u64::from(label);
        match label {
            _ if len > FieldKind::MOST_WALKED.into() => return None,
            0 => return Some(len),
            1..=63 => {}
            64.. => return None,
        }
    }
}

/// A decimal number and how many digits it has.
fn decimal(packet: &Packet<'_>, at: u64) -> Option<(u64, u64)> {
    let mut value = 0;
    let mut digits = 0;
    while let Some(&[digit @ b'0'..=b'9']) = packet.bytes(at.checked_add(digits)?, 1) {
        if digits == FieldKind::MOST_DIGITS.into() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
        digits += 1;
    }
    // Where a capture was cut off nobody knows what comes behind.
    let is_cut = at + digits < packet.len.into() && packet.bytes(at + digits, 1).is_none();
    (digits > 0 && !is_cut).then_some((value, digits))
}

impl LengthForm {
    /// The length that stands at `at`, and how many bytes that takes.
    fn read(self, packet: &Packet<'_>, at: u64) -> Option<(u64, u64)> {
        let byte = |at: u64| packet.bytes(at, 1).map(|bytes| bytes[0]);
        match self {
            Self::Unsigned(width, order) => Some((unsigned(packet, at, width, order)?, width.bytes())),
            Self::Nibble => {
                Some((byte(at)? & 0xf, 1)).filter(|(len, _)| *len < 13).map(|(len, size)| (len.into(), size))
            }
            Self::Varint => varint(packet, at),
            Self::Ber => match byte(at)? {
                short @ ..=0x7f => Some((short.into(), 1)),
                long @ 0x81..=0x84 => {
                    let count = u64::from(long & 0x7f);
                    let bytes = packet.bytes(at.checked_add(1)?, count)?;
                    Some((bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), 1 + count))
                }
                _ => None,
            },
        }
    }
}
