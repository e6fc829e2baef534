//! Packets beside one that is a message: what a comparison looks at on either side of where its answer changes, and fields at the
//! ends of what they can be.

use rand::rngs::StdRng;

use super::{
    draft::Draft,
    encoding::{WIDTHS, long_ber, name_of_len, unsigned, varint},
    solve::Solution,
};
use crate::meaning::{Condition, FieldId, FieldKind, Integer, LengthForm};

/// Values, texts and names of one comparison that are tried: the first ones, and the last.
const MOST: usize = 96;
/// How often what a change undid is written again.
const ROUNDS: usize = 4;

/// Packets that differ from a solution in what a comparison looks at, and what stands behind their payloads in the frame.
pub(super) fn beside<'a>(
    solution: &Solution<'a>,
    leaf: &Condition,
    fields: &[FieldId],
    rng: &mut StdRng,
    take: &mut impl FnMut(Draft<'a>, &[u8]),
) {
    cut_inside(solution, leaf, fields, &solution.draft, rng, take);
    let mut with = |change: &dyn Fn(&mut Draft<'a>) -> bool| {
        let mut alone = solution.draft.again(true);
        if change(&mut alone) {
            if matches!(leaf, Condition::Compare(..) | Condition::Among(..)) {
                cut_inside(solution, leaf, fields, &alone, rng, take);
            }
            take(alone, &[]);
        }
        let mut repaired = solution.draft.again(false);
        let mut is_changed = change(&mut repaired);
        for _ in 0..ROUNDS {
            if solution.wants.settle(&mut repaired, Some(leaf), false, rng) {
                break;
            }
            is_changed = change(&mut repaired);
        }
        if is_changed {
            take(repaired, &[]);
        }
    };
    match leaf {
        Condition::Compare(_, left, right) => {
            for (side, other) in [(left, right), (right, left)] {
                let beside = solution.draft.value(other).filter(|_| !matches!(side, Integer::Constant(_)));
                for value in beside.into_iter().flat_map(around) {
                    with(&|draft| draft.set(side, value));
                }
                if let Integer::Binary(_, left, right) = side {
                    for (operand, value) in ends_of_operands(&solution.draft, [left, right]) {
                        with(&|draft| draft.set(operand, value));
                    }
                }
            }
        }
        Condition::Among(integer, ranges) => {
            for range in some(ranges) {
                for value in around(*range.start()).into_iter().chain(around(*range.end())) {
                    with(&|draft| draft.set(integer, value));
                }
            }
        }
        Condition::Text { field, texts, .. } => {
            for text in some(texts).flat_map(|text| beside_text(text)) {
                with(&|draft| draft.write_text(*field, &text));
            }
        }
        Condition::Name { field, names, .. } => {
            for name in some(names).flat_map(|name| beside_name(name)) {
                with(&|draft| draft.put(*field, &name).is_some());
            }
        }
        Condition::All(_) | Condition::Any(_) | Condition::Not(_) => {}
    }
}

/// Packets that end within a field that a comparison looks at, whose rest stands behind them in the frame; what else is wanted is
/// written again.
fn cut_inside<'a>(
    solution: &Solution<'a>,
    leaf: &Condition,
    fields: &[FieldId],
    draft: &Draft<'a>,
    rng: &mut StdRng,
    take: &mut impl FnMut(Draft<'a>, &[u8]),
) {
    for held in fields.iter().filter_map(|id| draft.extent(*id)) {
        for left in [1, 2, 3, held.end - held.start].into_iter().filter(|left| *left <= held.end - held.start)
        {
            let mut cut = draft.again(false);
            let behind = cut.payload.split_off((held.end - left) as usize);
            for _ in 0..ROUNDS {
                if solution.wants.settle(&mut cut, Some(leaf), false, rng) {
                    break;
                }
            }
            take(cut, &behind[..behind.len().min(16)]);
        }
    }
}

/// The first ones and the last ones.
fn some<T>(all: &[T]) -> impl Iterator<Item = &T> {
    let first = all.len().min(MOST);
    let last = first.max(all.len().saturating_sub(MOST / 4));
    all[..first].iter().chain(&all[last..])
}

/// A value and both beside it, and those that differ in a byte's order or in what is masked.
fn around(value: u64) -> Vec<u64> {
    let near = [value.wrapping_sub(1), value, value.wrapping_add(1)];
    let swapped = [u64::from((value as u16).swap_bytes()), u64::from((value as u32).swap_bytes())];
    near.into_iter().chain(swapped).chain([value.swap_bytes()]).collect()
}

/// Where what two integers are made into would be below 0, or too large, or not quite.
fn ends_of_operands<'i>(draft: &Draft<'_>, [left, right]: [&'i Integer; 2]) -> Vec<(&'i Integer, u64)> {
    let mut ends = Vec::new();
    for (side, other) in [(left, right), (right, left)] {
        if let Some(value) = draft.value(other) {
            let values = [value, value.wrapping_sub(1), u64::MAX - value, (u64::MAX - value).wrapping_add(1)];
            ends.extend(values.into_iter().chain([0, u64::MAX]).map(|value| (side, value)));
        }
    }
    ends.retain(|(side, _)| !matches!(side, Integer::Constant(_)));
    ends
}

/// A text, with one byte changed, with its letters changed, longer and shorter.
fn beside_text(text: &[u8]) -> Vec<Vec<u8>> {
    let changed = |at: usize, by: u8| {
        let mut text = text.to_vec();
        text[at] ^= by;
        text
    };
    let letters = |change: fn(&u8) -> u8| text.iter().map(change).collect::<Vec<u8>>();
    let mut texts = vec![
        text.to_vec(),
        letters(u8::to_ascii_uppercase),
        letters(u8::to_ascii_lowercase),
        letters(|byte| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { *byte }),
        [text, b"q"].concat(),
        [&b"q"[..], text].concat(),
        [text, text].concat(),
        Vec::new(),
    ];
    for at in 0..text.len().min(MOST) {
        // Another letter, another case, and what a case's bit makes of a byte that is no letter.
        texts.extend([1, 0x20, 0x80].map(|by| changed(at, by)));
    }
    if let Some((_, begin)) = text.split_last() {
        texts.push(begin.to_vec());
        texts.push(text[1..].to_vec());
    }
    texts
}

/// A name as packets have it, those below and above it, those that only end with its bytes, and what is no name.
fn beside_name(name: &[u8]) -> Vec<Vec<u8>> {
    let mut names = beside_text(name);
    names.truncate(4);
    names.extend([vec![0], [&b"\x01q"[..], name].concat(), [&b"\x01Q\x02qq"[..], name].concat()]);
    names.push([&[63][..], &[b'q'; 63], name].concat());
    if let Some((&len, behind)) = name.split_first().filter(|(len, _)| **len > 0) {
        let (label, rest) = behind.split_at(behind.len().min(len.into()));
        // Without its first label; with a letter more and a letter less in it.
        names.push(rest.to_vec());
        names.push([&[len.saturating_add(1), b'q'][..], behind].concat());
        names.push([&[len - 1][..], label.get(1..).unwrap_or_default(), rest].concat());
        // A label that holds the first one with its length: no label begins where the name does.
        names.push([&[len.saturating_add(2), b'q', len][..], behind].concat());
        names.push([&[len.saturating_add(2), b'q', len][..], &label.to_ascii_uppercase(), rest].concat());
    }
    for at in 0..name.len().saturating_sub(1) {
        let mut changed = name.to_vec();
        changed[at] ^= 1;
        names.push(changed);
    }
    // As long as names may be, and longer.
    for len in [254, 255, 256, 257_u64] {
        let before = len.checked_sub(name.len() as u64).and_then(|len| name_of_len(len + 1));
        names.extend(before.map(|before| [&before[..before.len() - 1], name].concat()));
    }
    // A compression pointer (RFC 1035, 4.1.4) in place of the last label, and before it.
    let labels = name.len().saturating_sub(1);
    names.push([&name[..labels], &[0xc0, 0x0c]].concat());
    names.push([&[0xc0, 0x0c][..], name].concat());
    names.push([&[0x40][..], &[b'q'; 64], name].concat());
    names
}

/// Bytes that a field may have at the ends of what its kind can be, whatever is asked of it; each is written in its place.
pub(super) fn ends(draft: &Draft<'_>, id: FieldId) -> Vec<Vec<u8>> {
    let field = draft.field(id);
    let held = draft.text(id).unwrap_or_default();
    match field.kind {
        FieldKind::Unsigned { width, order, .. } => {
            let Some(extent) = draft.extent(id) else {
                return Vec::new();
            };
            let now = draft.packet().bytes(extent.start, extent.len).unwrap_or_default();
            let swapped = now.iter().rev().copied().collect();
            let values = [0, 1, width.max() - 1, width.max(), width.max() >> 1, (width.max() >> 1) + 1];
            let least = values.map(|value| unsigned(value, width, order));
            least.into_iter().chain([swapped]).collect()
        }
        FieldKind::Bytes(count) => [0_u8, 0xff].map(|byte| vec![byte; usize::from(count)]).into(),
        FieldKind::Varint => {
            let now = draft.value(&Integer::Field(id)).unwrap_or_default();
            let most = WIDTHS.into_iter().map(|width| u64::MAX >> (66 - 8 * width.bytes()));
            let values = [now, 0].into_iter().chain(most);
            values.flat_map(varints).collect()
        }
        FieldKind::DnsName => {
            let lens = [1, 3, 65, 66, 255].into_iter().filter_map(name_of_len);
            let none = [vec![0xc0, 0x0c], [&[0x40][..], &[b'q'; 64], &[0]].concat()];
            let long = name_of_len(255).map(|name| [&b"\x01q"[..], &name].concat());
            lens.chain(none).chain(long).collect()
        }
        FieldKind::Until { terminator, within } => {
            let filler = if terminator == b'a' { b'b' } else { b'a' };
            let within = usize::from(within);
            let lens = [0, 1, within.saturating_sub(2), within.saturating_sub(1), within, within + 1];
            let text = held.iter().copied().chain(std::iter::repeat(filler));
            lens.map(|len| text.clone().take(len).chain([terminator]).collect::<Vec<u8>>()).into()
        }
        FieldKind::Decimal => {
            let most = usize::from(FieldKind::MOST_DIGITS);
            let padded = |digits: usize| [&vec![b'0'; digits.saturating_sub(held.len())][..], held].concat();
            let nines = |digits: usize| vec![b'9'; digits];
            let odd = [b"/".to_vec(), b":".to_vec(), b"-1".to_vec(), b"0".to_vec()];
            let long = [padded(most), padded(most + 1), nines(most), nines(most + 1), nines(most + 2)];
            long.into_iter().chain(odd).collect()
        }
        FieldKind::Counted(form) => {
            let lengths = lengths(form, held.len() as u64).into_iter();
            let written = lengths.map(|length| [&length[..], held].concat());
            // As much text as a nibble says, also where it isn't a length any more.
            let texts = (0..16).filter(|_| form == LengthForm::Nibble).map(|len| {
                let text = held.iter().copied().chain(std::iter::repeat(b'a')).take(len.into());
                std::iter::once(len).chain(text).collect()
            });
            written.chain(texts).collect()
        }
    }
}

/// Ways to write a length, and those around it.
fn lengths(form: LengthForm, len: u64) -> Vec<Vec<u8>> {
    let near = [len, len.wrapping_sub(1), len + 1, 0];
    match form {
        LengthForm::Unsigned(width, order) => {
            let values = near.into_iter().chain([width.max()]).filter(|value| *value <= width.max());
            values.map(|value| unsigned(value, width, order)).collect()
        }
        LengthForm::Nibble => (0..16).chain([0xf0 | len.min(12) as u8]).map(|byte| vec![byte]).collect(),
        LengthForm::Varint => {
            let values = near.into_iter().chain([u64::MAX >> 2]);
            values.flat_map(varints).collect()
        }
        LengthForm::Ber => {
            let short = near.into_iter().filter(|value| *value < 0x80).map(|value| vec![value as u8]);
            let long_forms = |value: u64| (1..=5).filter_map(move |count| long_ber(value, count));
            let long = near.into_iter().flat_map(long_forms);
            let odd = [vec![0x80], vec![0xff], vec![0x84, 0xff, 0xff, 0xff, 0xff]];
            short.chain(long).chain(odd).collect()
        }
    }
}

/// A number in each of the widths that it fits.
fn varints(value: u64) -> impl Iterator<Item = Vec<u8>> {
    WIDTHS.into_iter().filter_map(move |width| varint(value, width))
}
