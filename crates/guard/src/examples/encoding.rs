//! Numbers, lengths and names as packets have them.

use crate::meaning::{FieldKind, LengthForm, Order, Width};

pub(super) const WIDTHS: [Width; 4] = [Width::One, Width::Two, Width::Four, Width::Eight];

/// An integer that fits its width, as a packet has it.
pub(super) fn unsigned(value: u64, width: Width, order: Order) -> Vec<u8> {
    let mut bytes = value.to_be_bytes()[8 - width.bytes() as usize..].to_vec();
    if order == Order::Little {
        bytes.reverse();
    }
    bytes
}

/// The integer that at most eight bytes are.
pub(super) fn number(bytes: &[u8], order: Order) -> u64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match order {
        Order::Big => bytes.iter().fold(0, add),
        Order::Little => bytes.iter().rev().fold(0, add),
    }
}

/// A variable-length integer of that width (RFC 9000, 16), where it fits.
pub(super) fn varint(value: u64, width: Width) -> Option<Vec<u8>> {
    let prefix = match width {
        Width::One => 0,
        Width::Two => 1,
        Width::Four => 2,
        Width::Eight => 3,
    };
    let bits = 8 * width.bytes() - 2;
    (value >> bits == 0).then(|| unsigned(prefix << bits | value, width, Order::Big))
}

pub(super) fn shortest_varint(value: u64) -> Option<Vec<u8>> {
    WIDTHS.into_iter().find_map(|width| varint(value, width))
}

/// A length in its shortest form, where it has one.
pub(super) fn length(form: LengthForm, len: u64) -> Option<Vec<u8>> {
    match form {
        LengthForm::Unsigned(width, order) => (len <= width.max()).then(|| unsigned(len, width, order)),
        LengthForm::Nibble => (len < 13).then(|| vec![len as u8]),
        LengthForm::Varint => shortest_varint(len),
        LengthForm::Ber if len < 0x80 => Some(vec![len as u8]),
        LengthForm::Ber => (1..=4).find_map(|count| long_ber(len, count)),
    }
}

/// A length as BER writes it in `count` bytes behind their number (X.690, 8.1.3.5), where it fits.
pub(super) fn long_ber(len: u64, count: u8) -> Option<Vec<u8>> {
    let bytes = len.to_be_bytes();
    let (above, held) = bytes.split_at(bytes.len() - usize::from(count));
    above.iter().all(|byte| *byte == 0).then(|| [&[0x80 | count][..], held].concat())
}

/// A domain name of so many bytes, where there is one.
pub(super) fn name_of_len(len: u64) -> Option<Vec<u8>> {
    /// The longest label behind its length.
    const LONGEST: usize = 64;
    let len = usize::try_from(len).ok().filter(|len| *len <= usize::from(FieldKind::MOST_WALKED))?;
    let mut left = len.checked_sub(1)?;
    let mut name = Vec::new();
    while left > 0 {
        let mut label = left.min(LONGEST);
        // No label has one byte alone, its length.
        if left - label == 1 {
            label -= 1;
        }
        if label < 2 {
            return None;
        }
        name.push(label as u8 - 1);
        name.resize(name.len() + label - 1, b'a');
        left -= label;
    }
    name.push(0);
    Some(name)
}
