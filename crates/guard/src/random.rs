//! Guards that nobody would write, and packets that are about them.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use crate::meaning::{
    Acceptance, Comparison, Condition, Field, FieldId, FieldKind, Integer, KnownSources, LengthForm, Limit,
    Listen, Message, MessageId, Mode, Operation, Order, Party, Per, Placement, PrefixList, Protocol,
    RateLimit, Senders, Service, SourceKey, Unjudged, Width,
};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

/// Bytes of which constants and payloads are made, so that they meet.
const BYTES: [u8; 12] = [0, 1, 2, 3, b'0', b'7', b'a', b'A', b' ', 0x40, 0x80, 0xff];

/// Which fields a guard has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Any.
    All,
    /// Those whose length is known before a packet comes.
    Fixed,
}

/// A guard's service, its types right and everything else by chance. `listen` is where its packets go.
pub fn service(rng: &mut StdRng, listen: SocketAddr, kinds: Kinds) -> Service {
    let mut protocol = Protocol { name: "random".to_owned(), ..Protocol::default() };
    for number in 0..rng.random_range(1..6) {
        let field = Field { name: format!("f{number}"), kind: kind(rng, kinds), at: place(rng, &protocol) };
        protocol.fields.push(field);
    }
    // Now and then many that differ in one number.
    let told_by = rng.random_bool(0.3).then(|| integer(rng, &protocol, 1));
    let count = if told_by.is_some() { rng.random_range(4..20) } else { rng.random_range(1..6) };
    for number in 0..count {
        let when = match &told_by {
            Some(integer) => {
                let value = if rng.random_bool(0.5) { rng.random_range(0..24) } else { byte(rng).into() };
                let is = Condition::Compare(Comparison::Equal, integer.clone(), Integer::Constant(value));
                let is = if rng.random_bool(0.8) {
                    is
                } else {
                    Condition::Among(integer.clone(), vec![value..=value + 3])
                };
                Condition::All(vec![condition(rng, &protocol, 1), is])
            }
            None => condition(rng, &protocol, 3),
        };
        let by = if rng.random_bool(0.1) { Some(Party::Service) } else { None };
        protocol.messages.push(Message { name: format!("m{number}"), by, when });
    }
    let has_known = rng.random_bool(0.4);
    let accept = (0..rng.random_range(1..5)).map(|_| Acceptance {
        message: MessageId(rng.random_range(0..protocol.messages.len())),
        from: senders(rng, has_known),
        when: if rng.random_bool(0.7) { Condition::TRUE } else { condition(rng, &protocol, 1) },
    });
    let accept = accept.collect();
    let limits = (0..rng.random_range(0..3)).map(|_| Limit {
        message: rng.random_bool(0.5).then(|| MessageId(rng.random_range(0..protocol.messages.len()))),
        from: senders(rng, has_known),
        per: if rng.random_bool(0.5) { Per::All } else { Per::Source(key(rng)) },
        // So rarely that no test lives to see the next token.
        rate: RateLimit {
            interval: NonZeroU64::new(3_600_000_000_000).expect("not 0"),
            burst: NonZeroU32::new(rng.random_range(1..40)).expect("not 0"),
        },
    });
    let limits = limits.collect();
    Service {
        name: "random".to_owned(),
        listen: Listen { address: Some(listen.ip()), port: listen.port() },
        at: Placement::default(),
        mode: if rng.random_bool(0.9) { Mode::Enforce } else { Mode::Observe },
        accept,
        allow: list(rng, 0.3),
        block: list(rng, 0.3),
        limits,
        known: has_known.then(|| KnownSources {
            after: (0..2).map(|_| MessageId(rng.random_range(0..protocol.messages.len()))).collect(),
            by: key(rng),
            lasting: Duration::from_secs(3600),
        }),
        unjudged: Unjudged::default(),
        sample: None,
        protocol,
    }
}

fn key(rng: &mut StdRng) -> SourceKey {
    SourceKey { v4: rng.random_range(0..=32), v6: rng.random_range(0..=128), has_port: rng.random_bool(0.3) }
}

fn senders(rng: &mut StdRng, has_known: bool) -> Senders {
    match rng.random_range(0..10) {
        0..2 => Senders::Listed(list(rng, 1.0)),
        2..4 if has_known => Senders::Known,
        4..6 if has_known => Senders::Unknown,
        _ => Senders::Anyone,
    }
}

fn list(rng: &mut StdRng, share: f64) -> PrefixList {
    const PREFIXES: [&str; 8] = [
        "10.0.0.0/8",
        "10.9.8.0/24",
        "10.9.8.7/32",
        "0.0.0.0/0",
        "::/0",
        "fd00::/16",
        "fd00:9:8::/48",
        "fd00:9:8:7::1/128",
    ];
    let count = if rng.random_bool(share) { rng.random_range(1..4) } else { 0 };
    (0..count).map(|_| PREFIXES.choose(rng).expect("there are some").parse().expect("a prefix")).collect()
}

/// Sources that are in some of the lists.
pub fn source(rng: &mut StdRng, is_v4: bool) -> SocketAddr {
    const V4: [&str; 4] = ["10.9.8.7", "10.9.8.6", "10.1.2.3", "192.0.2.1"];
    const V6: [&str; 4] = ["fd00:9:8:7::1", "fd00:9:8:6::1", "::ffff:10.9.8.7", "2001:db8::1"];
    let address =
        if is_v4 { V4 } else { V6 }.choose(rng).expect("there are some").parse().expect("an address");
    SocketAddr::new(address, rng.random_range(1..4))
}

fn kind(rng: &mut StdRng, kinds: Kinds) -> FieldKind {
    let behind_last = match kinds {
        Kinds::All => 10,
        Kinds::Fixed => 6,
    };
    match rng.random_range(0..behind_last) {
        0..=4 => {
            let width = width(rng);
            let highest = 8 * width.bytes() as u8 - 1;
            let low = rng.random_range(0..=highest);
            let bits = rng.random_bool(0.2).then(|| (low, rng.random_range(low..=highest)));
            FieldKind::Unsigned { width, order: order(rng), bits }
        }
        5 => FieldKind::Bytes(rng.random_range(1..12)),
        6 => FieldKind::Varint,
        7 => FieldKind::DnsName,
        8 => FieldKind::Until { terminator: byte(rng), within: rng.random_range(1..20) },
        _ => match rng.random_range(0..5) {
            0 => FieldKind::Decimal,
            1 => FieldKind::Counted(LengthForm::Unsigned(width(rng), order(rng))),
            2 => FieldKind::Counted(LengthForm::Nibble),
            3 => FieldKind::Counted(LengthForm::Varint),
            _ => FieldKind::Counted(LengthForm::Ber),
        },
    }
}

fn width(rng: &mut StdRng) -> Width {
    *[Width::One, Width::Two, Width::Four, Width::Eight].choose(rng).expect("there are some")
}

fn order(rng: &mut StdRng) -> Order {
    if rng.random_bool(0.7) { Order::Big } else { Order::Little }
}

fn byte(rng: &mut StdRng) -> u8 {
    *BYTES.choose(rng).expect("there are some")
}

fn place(rng: &mut StdRng, protocol: &Protocol) -> Integer {
    match rng.random_range(0..8) {
        0 if !protocol.fields.is_empty() => Integer::End(FieldId(rng.random_range(0..protocol.fields.len()))),
        1 => Integer::Binary(
            Operation::Subtract,
            Box::new(Integer::Len),
            Box::new(Integer::Constant(rng.random_range(0..10))),
        ),
        2 => integer(rng, protocol, 1),
        _ => Integer::Constant(rng.random_range(0..20)),
    }
}

fn integer(rng: &mut StdRng, protocol: &Protocol, depth: u32) -> Integer {
    let numbers: Vec<_> =
        protocol.fields.iter().enumerate().filter(|(_, field)| field.kind.is_number()).collect();
    match rng.random_range(0..12) {
        0..=5 if !numbers.is_empty() => Integer::Field(FieldId(numbers.choose(rng).expect("not empty").0)),
        6 if !protocol.fields.is_empty() => Integer::End(FieldId(rng.random_range(0..protocol.fields.len()))),
        7 if !protocol.fields.is_empty() && rng.random_bool(0.3) => {
            Integer::Start(FieldId(rng.random_range(0..protocol.fields.len())))
        }
        7 => Integer::SourcePort,
        8 => constant(rng),
        9..=11 if depth > 0 => {
            let operations = [
                Operation::Add,
                Operation::Subtract,
                Operation::And,
                Operation::Or,
                Operation::Xor,
                Operation::ShiftLeft,
                Operation::ShiftRight,
            ];
            let operation = *operations.choose(rng).expect("there are some");
            let left = integer(rng, protocol, depth - 1);
            let right = match operation {
                Operation::ShiftLeft | Operation::ShiftRight => Integer::Constant(rng.random_range(0..64)),
                _ => integer(rng, protocol, depth - 1),
            };
            Integer::Binary(operation, Box::new(left), Box::new(right))
        }
        _ => Integer::Len,
    }
}

fn constant(rng: &mut StdRng) -> Integer {
    Integer::Constant(number(rng))
}

fn number(rng: &mut StdRng) -> u64 {
    match rng.random_range(0..6) {
        0 => byte(rng).into(),
        1 => u16::from_be_bytes([byte(rng), byte(rng)]).into(),
        2 => u32::from_be_bytes([(); 4].map(|()| byte(rng))).into(),
        3 => u64::from_be_bytes([(); 8].map(|()| byte(rng))),
        _ => rng.random_range(0..24),
    }
}

fn bytes(rng: &mut StdRng, len: usize) -> Vec<u8> {
    (0..len).map(|_| byte(rng)).collect()
}

/// What may be asked of a packet, made of at most so many layers of others.
pub fn condition(rng: &mut StdRng, protocol: &Protocol, depth: u32) -> Condition {
    if depth > 0 && rng.random_bool(0.5) {
        let count = rng.random_range(0..4);
        let parts = |rng: &mut StdRng| (0..count).map(|_| condition(rng, protocol, depth - 1)).collect();
        return match rng.random_range(0..3) {
            0 => Condition::All(parts(rng)),
            1 => Condition::Any(parts(rng)),
            _ => Condition::Not(Box::new(condition(rng, protocol, depth - 1))),
        };
    }
    let texts: Vec<_> =
        protocol.fields.iter().enumerate().filter(|(_, field)| !field.kind.is_number()).collect();
    if let Some((number, field)) = texts.choose(rng)
        && rng.random_bool(0.5)
    {
        return about_text(rng, FieldId(*number), &field.kind);
    }
    let left = integer(rng, protocol, 2);
    if rng.random_bool(0.3) {
        let mut ranges = Vec::new();
        let mut from = number(rng) % 300;
        for _ in 0..rng.random_range(1..8) {
            let end = from + rng.random_range(0..4);
            ranges.push(from..=end);
            from = end + rng.random_range(2..20);
        }
        return Condition::Among(left, ranges);
    }
    let comparisons = [
        Comparison::Equal,
        Comparison::Unequal,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];
    let right = if rng.random_bool(0.6) { constant(rng) } else { integer(rng, protocol, 2) };
    Condition::Compare(*comparisons.choose(rng).expect("there are some"), left, right)
}

fn about_text(rng: &mut StdRng, field: FieldId, kind: &FieldKind) -> Condition {
    let count = rng.random_range(1..4);
    if *kind == FieldKind::DnsName {
        let names = (0..count).map(|_| {
            let mut name = Vec::new();
            for _ in 0..rng.random_range(0..3) {
                let label = rng.random_range(1..3);
                name.push(label as u8);
                name.extend(bytes(rng, label));
            }
            name.push(0);
            name.to_ascii_lowercase()
        });
        let names = names.collect();
        return Condition::Name { field, is_below_enough: rng.random_bool(0.6), names };
    }
    let ignores_case = rng.random_bool(0.4);
    let texts = (0..count).map(|_| {
        let len = match kind {
            FieldKind::Bytes(count) => usize::from(*count),
            _ => rng.random_range(0..10),
        };
        let text = bytes(rng, len);
        if ignores_case { text.to_ascii_lowercase() } else { text }
    });
    Condition::Text { field, ignores_case, texts: texts.collect() }
}

/// A payload of bytes that constants have too, now and then with one of the protocol's texts in it.
pub fn payload(rng: &mut StdRng, protocol: &Protocol) -> Vec<u8> {
    let len = rng.random_range(0..48);
    let mut payload = bytes(rng, len);
    for message in &protocol.messages {
        if rng.random_bool(0.5) {
            plant(rng, &message.when, protocol, &mut payload);
        }
    }
    payload
}

/// Writes what a condition looks for to where it looks, as far as that is easy to say.
fn plant(rng: &mut StdRng, condition: &Condition, protocol: &Protocol, payload: &mut Vec<u8>) {
    let (field, bytes) = match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            return parts.iter().for_each(|part| plant(rng, part, protocol, payload));
        }
        Condition::Not(inner) => return plant(rng, inner, protocol, payload),
        Condition::Compare(_, Integer::Field(field), Integer::Constant(value)) => {
            let near = value.wrapping_add(rng.random_range(0..3)).wrapping_sub(1);
            match protocol.field(*field).kind {
                FieldKind::Unsigned { width, order: Order::Big, .. } => {
                    (field, near.to_be_bytes()[8 - width.bytes() as usize..].to_vec())
                }
                FieldKind::Unsigned { width, order: Order::Little, .. } => {
                    (field, near.to_le_bytes()[..width.bytes() as usize].to_vec())
                }
                FieldKind::Decimal => (field, value.to_string().into_bytes()),
                _ => return,
            }
        }
        Condition::Text { field, texts, .. } => {
            let text = texts.choose(rng).expect("there are some").clone();
            match protocol.field(*field).kind {
                FieldKind::Until { terminator, .. } => (field, [text, vec![terminator]].concat()),
                FieldKind::Counted(LengthForm::Nibble | LengthForm::Varint | LengthForm::Ber) => {
                    (field, [vec![text.len() as u8], text].concat())
                }
                FieldKind::Counted(LengthForm::Unsigned(width, order)) => {
                    let mut len = (text.len() as u64).to_be_bytes()[8 - width.bytes() as usize..].to_vec();
                    if order == Order::Little {
                        len.reverse();
                    }
                    (field, [len, text].concat())
                }
                _ => (field, text),
            }
        }
        Condition::Name { field, names, .. } => {
            let name = names.choose(rng).expect("there are some").clone();
            (field, if rng.random_bool(0.5) { [vec![1, byte(rng)], name].concat() } else { name })
        }
        Condition::Compare(..) | Condition::Among(..) => return,
    };
    let Integer::Constant(at @ 0..100) = protocol.field(*field).at else {
        return;
    };
    let end = at as usize + bytes.len();
    if payload.len() < end && rng.random_bool(0.8) {
        payload.resize(end, 0);
    }
    if let Some(place) = payload.get_mut(at as usize..end) {
        place.copy_from_slice(&bytes);
    }
}
