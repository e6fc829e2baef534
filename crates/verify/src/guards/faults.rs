//! Faults that somebody could make in the making of programs, each with a guard that shows it.

use anyhow::Context as _;
use weir_asm::{AluOp, Cond, Insn, Reg, Src};
use weir_guard::{
    meaning::{
        Comparison, Condition, FieldId, FieldKind, Integer, LengthForm, Mode, Operation, Order, Per,
        PrefixList, Senders, Service, Width,
    },
    text::{Files, NamedText, Unavailable, guard},
};

use crate::mutants::code::{alu, with_imm};

/// A fault.
pub(super) struct GuardFault {
    pub(super) name: &'static str,
    /// The protocol of the guard that shows it.
    protocol: &'static str,
    /// What the guard says besides.
    pub(super) rules: &'static str,
    pub(super) kind: FaultKind,
    /// Whether programs at the socket, where packets end with their payloads, are right with it.
    pub(super) is_below_the_socket: bool,
}

/// Where a fault lies.
pub(super) enum FaultKind {
    /// The program is made of other rules.
    Meaning(fn(&mut Service)),
    /// What becomes of an instruction among the others; nothing where it isn't concerned. Jumps may be turned
    /// ([`weir_asm::Code::tighten`]), so that either condition is meant.
    Code(fn(&[Insn], usize) -> Option<Insn>),
}

const NUMBERS: &str = r#"
name = "numbers"
source = "made up"
[fields]
kind = "u16 @ 0"
size = "u16 @ 2"
order = "u32 le @ 4"
bits = "u8[2..=4] @ 8"
sum = "u64 @ 9"
[[message]]
name = "less"
when = "kind == 0x0102 and size < 700"
[[message]]
name = "masked"
when = "kind & 0xff00 == 0x0300 and order == 0x01020304"
[[message]]
name = "ranges"
length = "12..=40"
when = "kind in {5, 9..=12, 20, 40..=50, 0x4321}"
[[message]]
name = "differences"
when = "kind == 0x0600 and bits == 5 and not size - 3 >= 9"
[[message]]
name = "not"
when = "kind == 0x0777 and not size == 7"
[[message]]
name = "sums"
when = "kind == 0x0900 and not sum + 1 > 5"
[[message]]
name = "sent"
by = "service"
when = "kind == 0x0a01"
[[message]]
name = "others"
when = "kind == 0x0102 or kind == 0x0a01"
"#;
const ALL_NUMBERS: &str = r#"accept = ["less", "masked", "ranges", "differences", "not", "sums", { message = "others", when = "size == 9" }]"#;

const TEXTS: &str = r#"
name = "texts"
source = "made up"
[fields]
method = "text until ' ' within 12 @ 0"
path = "text behind u8 @ end(method)"
count = "decimal @ end(path)"
tag = "bytes 3 @ 0"
[[message]]
name = "get"
when = "lower(method) in {'get', 'head'} and path != '/private'"
[[message]]
name = "put"
when = "method == 'PUT' and count in 10..=99"
[[message]]
name = "tagged"
when = "tag == 'abc' and end(method) < len"
"#;
const ALL_TEXTS: &str = r#"accept = ["get", "put", "tagged"]"#;

const NAMES: &str = r#"
name = "names"
source = "made up"
[fields]
name = "dns-name @ 2"
[[message]]
name = "below"
when = "name under {'example.org', 'a.b'}"
[[message]]
name = "exact"
when = "name in {'example.net', 'www.example.com'} and end(name) == len"
"#;
const ALL_NAMES: &str = r#"accept = ["below", "exact"]"#;

const COUNTED: &str = r#"
name = "counted"
source = "made up"
[fields]
kind = "u8 @ 0"
token = "text behind varint @ 1"
value = "text behind ber @ end(token)"
number = "varint @ 1"
last = "u16 @ len - 2"
options = "text behind nibble @ 2"
behind = "u16 @ end(options)"
[[message]]
name = "token"
when = "kind == 1 and token == 'abcd' and value in {'ef', 'gh'}"
[[message]]
name = "number"
when = "kind == 2 and number in 300..=70000 and last == 0x0102"
[[message]]
name = "options"
when = "kind == 3 and end(options) == len"
[[message]]
name = "last"
when = "kind == 4 and last > 500"
[[message]]
name = "other"
when = "kind == 5 and value != 'ef'"
[[message]]
name = "behind"
when = "kind == 6 and behind == 0x4142"
"#;
const ALL_COUNTED: &str = r#"accept = ["token", "number", "options", "last", "other", "behind"]"#;

const LETTERS: &str = r#"
name = "letters"
source = "made up"
[fields]
kind = "u8 @ 0"
[[message]]
name = "query"
when = "kind == 'q'"
[[message]]
name = "notify"
when = "kind == 'n'"
"#;
const SOURCES: &str = r#"
accept = ["query", { message = "notify", from = "203.0.113.64/26" }]
allow = ["192.0.2.0/25", "198.51.100.9/32"]
block = ["198.51.100.0/24", "2001:db8:bad::/48", "2001:db8:1:2:3:4:5:6/128"]
"#;
const LIMITS: &str = r#"
accept = ["query", "notify"]
limit = [{ message = "query", per = "source/24,/56", rate = "10/s", burst = 3 }, { per = "all", rate = "100/s", burst = 6 }]
"#;

const fn numbers(name: &'static str, change: fn(&mut Service)) -> GuardFault {
    GuardFault {
        name,
        protocol: NUMBERS,
        rules: ALL_NUMBERS,
        kind: FaultKind::Meaning(change),
        is_below_the_socket: false,
    }
}

const fn texts(name: &'static str, change: fn(&mut Service)) -> GuardFault {
    GuardFault {
        name,
        protocol: TEXTS,
        rules: ALL_TEXTS,
        kind: FaultKind::Meaning(change),
        is_below_the_socket: false,
    }
}

const fn names(name: &'static str, change: fn(&mut Service)) -> GuardFault {
    GuardFault {
        name,
        protocol: NAMES,
        rules: ALL_NAMES,
        kind: FaultKind::Meaning(change),
        is_below_the_socket: false,
    }
}

const fn counted(name: &'static str, change: fn(&mut Service)) -> GuardFault {
    GuardFault {
        name,
        protocol: COUNTED,
        rules: ALL_COUNTED,
        kind: FaultKind::Meaning(change),
        is_below_the_socket: false,
    }
}

const fn letters(name: &'static str, rules: &'static str, change: fn(&mut Service)) -> GuardFault {
    GuardFault {
        name,
        protocol: LETTERS,
        rules,
        kind: FaultKind::Meaning(change),
        is_below_the_socket: false,
    }
}

const fn code(
    name: &'static str,
    (protocol, rules): (&'static str, &'static str),
    change: fn(&[Insn], usize) -> Option<Insn>,
) -> GuardFault {
    GuardFault { name, protocol, rules, kind: FaultKind::Code(change), is_below_the_socket: false }
}

/// All of them.
pub(super) const FAULTS: &[GuardFault] = &[
    numbers("a comparison that takes the constant too", |service| {
        change(service, 0, &|leaf| {
            if let Condition::Compare(comparison @ Comparison::Less, ..) = leaf {
                *comparison = Comparison::LessOrEqual;
            }
        });
    }),
    numbers("an integer in the other byte order", |service| {
        let number = field(service, "order");
        if let FieldKind::Unsigned { order, .. } = &mut service.protocol.fields[number].kind {
            *order = Order::Big;
        }
    }),
    numbers("a mask lost", |service| {
        change(service, 1, &|leaf| {
            if let Condition::Compare(_, left, _) = leaf
                && let Integer::Binary(Operation::And, inner, _) = left
            {
                *left = (**inner).clone();
            }
        });
    }),
    numbers("the last range of a set forgotten", |service| {
        ranges(service, |ranges| {
            ranges.pop();
        });
    }),
    numbers("the end of a range left out", |service| {
        ranges(service, |ranges| ranges[1] = *ranges[1].start()..=*ranges[1].end() - 1);
    }),
    numbers("the least length one byte less", |service| {
        lengths(service, |range| *range = range.start() - 1..=*range.end());
    }),
    numbers("the greatest length one byte more", |service| {
        lengths(service, |range| *range = *range.start()..=range.end() + 1);
    }),
    numbers("bits one place lower", |service| {
        let number = field(service, "bits");
        if let FieldKind::Unsigned { bits, .. } = &mut service.protocol.fields[number].kind {
            *bits = bits.map(|(low, high)| (low - 1, high - 1));
        }
    }),
    numbers("a difference below 0 taken for 0", |service| {
        or_not(service, 3, |service| less(service, "size", 3), false);
    }),
    numbers("a sum that is too large taken for a small one", |service| {
        or_not(service, 5, |service| less(service, "sum", u64::MAX), true);
    }),
    numbers("absent taken for false below not", |service| {
        let when = &mut service.protocol.messages[4].when;
        if let Condition::All(parts) = when {
            let not = parts.remove(1);
            let len = Condition::Compare(Comparison::Less, Integer::Len, Integer::Constant(4));
            parts.push(Condition::Any(vec![not, len]));
        }
    }),
    numbers("a wide message tried before a strict one", |service| {
        let wide = service.protocol.messages[7].when.clone();
        and(&mut service.protocol.messages[0].when, Condition::Not(Box::new(wide)));
    }),
    numbers("a message that the service sends taken from clients", |service| {
        service.protocol.messages[6].by = None;
    }),
    numbers("the condition of an acceptance forgotten", |service| {
        service.accept[6].when = Condition::TRUE;
    }),
    numbers("what is dropped let through", |service| {
        service.mode = Mode::Observe;
    }),
    texts("letters told apart where they aren't", |service| {
        text(service, 0, |ignores_case, _| *ignores_case = false);
    }),
    texts("letters not told apart where they are", |service| {
        text(service, 1, |ignores_case, texts| {
            *ignores_case = true;
            texts.iter_mut().for_each(|text| text.make_ascii_lowercase());
        });
    }),
    texts("the last text of a set forgotten", |service| {
        text(service, 0, |_, texts| {
            texts.pop();
        });
    }),
    texts("a text looked for one byte further", |service| {
        let number = field(service, "method");
        if let FieldKind::Until { within, .. } = &mut service.protocol.fields[number].kind {
            *within += 1;
        }
    }),
    texts("the end of a text taken for its terminator", |service| {
        change(service, 2, &|leaf| {
            if let Condition::Compare(comparison @ Comparison::Less, ..) = leaf {
                *comparison = Comparison::LessOrEqual;
            }
        });
    }),
    names("names below not counted", |service| {
        name(service, 0, |is_below_enough, _| *is_below_enough = false);
    }),
    names("names below counted", |service| {
        name(service, 1, |is_below_enough, _| *is_below_enough = true);
    }),
    names("the last name of a set forgotten", |service| {
        name(service, 0, |_, names| {
            names.pop();
        });
    }),
    names("a name that may end sooner than the packet", |service| {
        change(service, 1, &|leaf| {
            if let Condition::Compare(comparison @ Comparison::Equal, ..) = leaf {
                *comparison = Comparison::LessOrEqual;
            }
        });
    }),
    counted("a length of several bytes taken for one byte", |service| {
        let number = field(service, "token");
        service.protocol.fields[number].kind =
            FieldKind::Counted(LengthForm::Unsigned(Width::One, Order::Big));
    }),
    counted("a number of several widths taken for two bytes", |service| {
        let number = field(service, "number");
        service.protocol.fields[number].kind =
            FieldKind::Unsigned { width: Width::Two, order: Order::Big, bits: Some((0, 13)) };
    }),
    counted("a place from the end one byte sooner", |service| {
        let number = field(service, "last");
        service.protocol.fields[number].at =
            Integer::Binary(Operation::Subtract, Box::new(Integer::Len), Box::new(Integer::Constant(3)));
    }),
    letters("a prefix one bit shorter", SOURCES, |service| {
        service.allow = service.allow.prefixes().iter().filter_map(|prefix| prefix.supernet()).collect();
    }),
    letters("the last address of a prefix left out", SOURCES, |service| {
        let halves = service.block.prefixes().iter().flat_map(|prefix| {
            let longer = prefix.subnets(prefix.max_prefix_len()).into_iter().flatten();
            longer.take(if prefix.addr().is_ipv4() { 255 } else { 1 })
        });
        service.block = halves.collect();
    }),
    letters("block asked before allow", SOURCES, |service| {
        let allow = service.allow.prefixes().iter();
        let left = allow.filter(|prefix| !service.block.contains(prefix.addr())).copied();
        service.allow = left.collect();
    }),
    letters("the second half of an IPv6 address not looked at", SOURCES, |service| {
        let cut = service.block.prefixes().iter().map(|prefix| {
            let mut prefix = *prefix;
            while prefix.prefix_len() > 64
                && let Some(shorter) = prefix.supernet()
            {
                prefix = shorter;
            }
            prefix
        });
        service.block = cut.collect();
    }),
    letters("a message taken from everybody", SOURCES, |service| service.accept[1].from = Senders::Anyone),
    letters("a list of senders left empty", SOURCES, |service| {
        service.accept[1].from = Senders::Listed(PrefixList::default());
    }),
    letters("a limit by one bit more of IPv4 sources", LIMITS, |service| {
        if let Per::Source(key) = &mut service.limits[0].per {
            key.v4 += 1;
        }
    }),
    letters("a limit by one bit less of IPv6 sources", LIMITS, |service| {
        if let Per::Source(key) = &mut service.limits[0].per {
            key.v6 -= 1;
        }
    }),
    letters("a limit that tells ports apart", LIMITS, |service| {
        if let Per::Source(key) = &mut service.limits[0].per {
            key.has_port = true;
        }
    }),
    letters("a token more than the burst", LIMITS, |service| {
        let burst = &mut service.limits[0].rate.burst;
        *burst = burst.saturating_add(1);
    }),
    letters("a limit of one message taken for all", LIMITS, |service| service.limits[0].message = None),
    letters("the service's limit forgotten", LIMITS, |service| {
        service.limits.pop();
    }),
    code("a length asked for one byte short", (NUMBERS, ALL_NUMBERS), |all, at| match all[at] {
        // Payload bytes 2 and 3, of which the second may be absent: r9 is the payload's length.
        insn @ Insn::Jump { cond: Cond::Lt | Cond::Ge, dst: Reg::R9, src: Src::Imm(4), .. } => {
            Some(with_imm(insn, 3))
        }
        _ => None,
    }),
    // Right where the name has no more labels than the ones that it is looked for below.
    code("where the last labels begin told wrongly", (NAMES, ALL_NAMES), |all, at| match all[at] {
        insn @ Insn::Alu { op: AluOp::Lsh, dst: Reg::R3, src: Src::Imm(8), .. } => Some(with_imm(insn, 9)),
        _ => None,
    }),
    code("the longest name a byte shorter", (NAMES, ALL_NAMES), |all, at| match all[at] {
        insn @ Insn::Jump { cond: Cond::Gt | Cond::Le, dst: Reg::R2, src: Src::Imm(254), .. } => {
            Some(with_imm(insn, 253))
        }
        _ => None,
    }),
    code("the longest name a byte longer", (NAMES, ALL_NAMES), |all, at| match all[at] {
        insn @ Insn::Jump { cond: Cond::Gt | Cond::Le, dst: Reg::R2, src: Src::Imm(254), .. } => {
            Some(with_imm(insn, 255))
        }
        _ => None,
    }),
    code("the longest label a byte longer", (NAMES, ALL_NAMES), |all, at| match all[at] {
        insn @ Insn::Jump { cond: Cond::Set, dst: Reg::R5, src: Src::Imm(0xc0), .. } => {
            Some(with_imm(insn, 0x80))
        }
        // In place.
        insn @ Insn::Jump { cond: Cond::Gt | Cond::Le, dst: Reg::R0, src: Src::Imm(63), .. } => {
            Some(with_imm(insn, 64))
        }
        _ => None,
    }),
    GuardFault {
        is_below_the_socket: true,
        ..code("a byte behind the payload read", (COUNTED, ALL_COUNTED), |all, at| match all[at] {
            Insn::Jump {
                width,
                cond: cond @ (Cond::Gt | Cond::Le),
                dst: Reg::R2,
                src: src @ Src::Reg(Reg::R9),
                target,
            } => Some(Insn::Jump { width, cond, dst: Reg::R0, src, target }),
            _ => None,
        })
    },
    code("a varint's width taken for part of its number", (COUNTED, ALL_COUNTED), |all, at| match all[at] {
        insn @ Insn::Alu { op: AluOp::And, dst: Reg::R3, src: Src::Imm(0x3f), .. } => {
            Some(with_imm(insn, 0xff))
        }
        _ => None,
    }),
    code("a nibble of 13 taken for a length", (COUNTED, ALL_COUNTED), |all, at| match all[at] {
        insn @ Insn::Jump { cond: Cond::Gt | Cond::Le, dst: Reg::R0, src: Src::Imm(12), .. } => {
            Some(with_imm(insn, 13))
        }
        _ => None,
    }),
    code("a length without bytes taken for 0", (COUNTED, ALL_COUNTED), |all, at| match all[at] {
        insn @ Insn::Jump { cond: Cond::Eq | Cond::Ne, dst: Reg::R0, src: Src::Imm(0x80), .. } => {
            Some(with_imm(insn, 0x85))
        }
        _ => None,
    }),
    code("an IPv4 address in an IPv6 one not seen", (LETTERS, SOURCES), |all, at| match all[at] {
        insn @ Insn::Jump { cond: Cond::Ne | Cond::Eq, dst: Reg::R1, src: Src::Imm(word), .. }
            if word == i32::from_ne_bytes([0, 0, 0xff, 0xff]) =>
        {
            Some(with_imm(insn, 1))
        }
        _ => None,
    }),
    code("digits counted by eight", (TEXTS, ALL_TEXTS), |all, at| {
        alu(all[at], AluOp::Mul).filter(|(_, factor)| *factor == 10).map(|_| with_imm(all[at], 8))
    }),
];

impl GuardFault {
    /// The service of the guard that shows it.
    pub(super) fn service(&self) -> anyhow::Result<Service> {
        let text = format!(
            "[[service]]\nname = \"planted\"\nlisten = \"udp/53\"\nmode = \"enforce\"\nprotocol = \"./planted.toml\"\n{}",
            self.rules
        );
        let read = guard(&text, &mut Given(self.protocol));
        let wrong = || {
            let files = read.files.iter().flat_map(|file| &file.diagnostics);
            let all = read.diagnostics.iter().chain(files);
            let found: Vec<_> = all.map(|each| each.message.as_str()).collect();
            format!("the guard that shows '{}': {}", self.name, found.join("; "))
        };
        let services = read.services.as_ref().with_context(wrong)?;
        services.first().cloned().with_context(wrong)
    }
}

/// The one protocol that a guard names.
struct Given(&'static str);

impl Files for Given {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        Ok(NamedText { name: name.to_owned(), text: self.0.to_owned() })
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        Err(Unavailable { message: format!("{path} is not there"), help: None })
    }
}

/// Changes each comparison of a message.
fn change(service: &mut Service, message: usize, change: &dyn Fn(&mut Condition)) {
    each(&mut service.protocol.messages[message].when, change);
}

fn each(condition: &mut Condition, change: &dyn Fn(&mut Condition)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(|part| each(part, change)),
        Condition::Not(inner) => each(inner, change),
        leaf => change(leaf),
    }
}

fn field(service: &Service, name: &str) -> usize {
    let named = service.protocol.fields.iter().position(|field| field.name == name);
    named.expect("the guard's protocol has it")
}

type Range = std::ops::RangeInclusive<u64>;

/// Changes the ranges of kinds.
fn ranges(service: &mut Service, to: fn(&mut Vec<Range>)) {
    change(service, 2, &|leaf| {
        if let Condition::Among(Integer::Field(_), ranges) = leaf {
            to(ranges);
        }
    });
}

/// Changes the range of lengths.
fn lengths(service: &mut Service, to: fn(&mut Range)) {
    change(service, 2, &|leaf| {
        if let Condition::Among(Integer::Len, ranges) = leaf {
            ranges.iter_mut().for_each(to);
        }
    });
}

fn text(service: &mut Service, message: usize, to: fn(&mut bool, &mut Vec<Vec<u8>>)) {
    change(service, message, &|leaf| {
        if let Condition::Text { ignores_case, texts, .. } = leaf
            && texts.iter().all(|text| text.first() != Some(&b'/'))
        {
            to(ignores_case, texts);
        }
    });
}

fn name(service: &mut Service, message: usize, to: fn(&mut bool, &mut Vec<Vec<u8>>)) {
    change(service, message, &|leaf| {
        if let Condition::Name { is_below_enough, names, .. } = leaf {
            to(is_below_enough, names);
        }
    });
}

fn less(service: &Service, name: &str, than: u64) -> Condition {
    let field = FieldId(field(service, name));
    Condition::Compare(Comparison::Less, Integer::Field(field), Integer::Constant(than))
}

/// The last part of a message, which is a `not`, holds too where the other condition does, or where it doesn't.
fn or_not(service: &mut Service, message: usize, of: fn(&Service) -> Condition, is_negated: bool) {
    let other = of(service);
    let other = if is_negated { Condition::Not(Box::new(other)) } else { other };
    if let Condition::All(parts) = &mut service.protocol.messages[message].when
        && let Some(not) = parts.pop()
    {
        parts.push(Condition::Any(vec![not, other]));
    }
}

fn and(when: &mut Condition, more: Condition) {
    let held = std::mem::replace(when, Condition::TRUE);
    *when = Condition::All(vec![held, more]);
}
