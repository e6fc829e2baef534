//! A guard's service as a program: [`Service::decide`] for the kernel.
//!
//! Every packet ends at one of the service's decisions, whose number is counted; a packet of somebody else goes on untouched.

mod bucket;
mod condition;
mod field;
mod integer;
mod source;

use std::{collections::HashMap, net::IpAddr};

use thiserror::Error;
use weir_asm::{
    Code, Label, MapDef, Mem, Object, Program, Reg,
    maps::{LpmTrie, LruHash, MapSpec, PerCpuArray},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{
    Acceptance, Decision, Fate, FieldId, FieldKind, Integer, Message, MessageId, Mode, Party, Senders,
    Service, Width,
};

use super::{
    LICENSE,
    access::Access,
    parse::{Judge, MOST_PAYLOAD, Wants, parse, payload},
};
use crate::{Site, Verdict};
use condition::Simplified;

/// Packets by decision, as [`Service::decisions`] lists them. The loader gives it its room.
pub const DECISIONS: MapSpec<PerCpuArray<u64>> = MapSpec::new("decisions", 1);

/// The prefixes of all of the service's lists in one trie: [`prefix_key`] says by which keys; the value is 1.
pub const PREFIXES: MapSpec<LpmTrie<20, u64>> = MapSpec::new("prefixes", 1);

/// When each bucket's next packet is due, nanoseconds of `CLOCK_MONOTONIC`.
pub const BUCKETS: MapSpec<LruHash<[u8; 32], u64>> = MapSpec::new("buckets", 65_536);

/// Integers that wait for another one on the stack.
const TEMPORARIES: usize = 8;
const TEMPORARY: i16 = -208;
/// Where walked fields end, and what decimal numbers are.
const WALKED: i16 = TEMPORARY - 8 * TEMPORARIES as i16;
const MOST_WALKED: usize = 8;

const fn stack(off: i16) -> Mem {
    Mem { base: Reg::R10, off }
}

/// Why a service can't be made a program.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// An expression needs more room than the stack has.
    #[error(
        "an expression has more than {TEMPORARIES} operands that wait for others; put them into parentheses otherwise, or use fewer"
    )]
    TooDeep,
    /// More walked fields than the stack has room for.
    #[error(
        "{0} fields are walked (dns-name, text until, decimal); at most {MOST_WALKED}, a decimal number counts twice"
    )]
    TooManyWalks(usize),
    /// A shift by a number that only the packet knows.
    #[error("a shift by a number that isn't known before the packet comes; shift by a constant")]
    UnknownShift,
    /// A number of a field that holds none.
    #[error("a field that holds no number is used as one")]
    NoNumber,
    /// A text of a field that holds none.
    #[error("a field that holds no text is used as one")]
    NoText,
    /// More instructions than a jump reaches over.
    #[error(
        "the program would have {0} instructions, and a jump reaches over {MOST_INSTRUCTIONS}; use fewer rules"
    )]
    TooLong(usize),
    /// What programs can't yet.
    #[error("{0} is not made a program")]
    Unsupported(&'static str),
}

/// Jumps have 16 bits (include/uapi/linux/bpf.h, `struct bpf_insn`).
const MOST_INSTRUCTIONS: usize = i16::MAX as usize;

/// The payload's first bytes, where they can be read without asking for them.
#[derive(Clone, Copy)]
struct Window {
    begin: Mem,
    len: u64,
}

impl Window {
    /// As long as the fields want it that stand at constant offsets.
    fn of(service: &Service, site: &Site) -> Self {
        let ends = service.protocol.fields.iter().filter_map(|field| match (&field.kind, &field.at) {
            (FieldKind::Unsigned { width, .. }, Integer::Constant(at)) => at.checked_add(width.bytes()),
            (FieldKind::Bytes(count), Integer::Constant(at)) => at.checked_add((*count).into()),
            _ => None,
        });
        let len = ends.filter(|end| *end <= MOST_PAYLOAD as u64).max().unwrap_or(0);
        Self { begin: payload(site), len }
    }

    fn has(self, at: u64, width: Width) -> bool {
        // What isn't aligned in the payload isn't on the stack, where the verifier wants it to be.
        at.is_multiple_of(width.bytes()) && at.checked_add(width.bytes()).is_some_and(|end| end <= self.len)
    }

    fn has_all(self, at: u64, count: u64) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.len)
    }

    fn at(self, at: u64) -> Mem {
        Mem { off: self.begin.off + at as i16, ..self.begin }
    }
}

struct Compiler<'a> {
    service: &'a Service,
    site: &'a Site,
    access: Access,
    window: Window,
    /// [`TEMPORARIES`] that are taken.
    temporaries: usize,
    /// Where a walked field's end stands, and the number that it is.
    walked: HashMap<FieldId, (Mem, Mem)>,
    /// Where each decision is given, and its number.
    ends: HashMap<Decision, (Label, i32)>,
    /// What is used of the ends.
    used: Vec<Decision>,
}

/// The service's program for a site, alone in its object, with the maps that it uses.
///
/// Minimum kernel: that of the hook, and 5.3 for loops.
pub fn service_object(service: &Service, site: &Site) -> Result<Object, Refusal> {
    let super_packets = match service.unjudged.super_packets {
        Fate::Drop => crate::SuperPackets::Drop,
        Fate::Pass => crate::SuperPackets::Pass,
    };
    let site = &Site { super_packets, ..*site };
    let code = program(service, site)?;
    if code.len() > MOST_INSTRUCTIONS {
        return Err(Refusal::TooLong(code.len()));
    }
    let sized = |map: MapDef, room: usize| MapDef { max_entries: room.max(1) as u32, ..map };
    let maps = [
        sized(DECISIONS.definition(), service.decisions().len()),
        sized(PREFIXES.definition(), lists(service).map(|list| list.prefixes().len()).sum()),
        BUCKETS.definition(),
        // Packets that can't be judged end there uncounted by decision.
        crate::maps::VERDICTS.definition(),
    ];
    let maps = maps.into_iter().filter(|map| code.maps().any(|(_, name)| name == map.name)).collect();
    let section = Access::at(site).section.to_owned();
    let program = Program { name: "guard".to_owned(), section, code, source: None };
    Ok(Object { license: Some(LICENSE.to_owned()), maps, programs: vec![program] })
}

/// The service's lists, in the order of their numbers: those that are allowed, those that are blocked, those of
/// acceptances and of limits.
pub fn lists(service: &Service) -> impl Iterator<Item = &weir_guard::meaning::PrefixList> {
    let senders =
        service.accept.iter().map(|each| &each.from).chain(service.limits.iter().map(|each| &each.from));
    let listed = senders.filter_map(|senders| match senders {
        Senders::Listed(list) => Some(list),
        Senders::Anyone | Senders::Known | Senders::Unknown => None,
    });
    [&service.allow, &service.block].into_iter().chain(listed)
}

/// A prefix as a key of [`PREFIXES`]: how many bits count, and the bits.
pub fn prefix_key(list: usize, prefix: ipnet::IpNet) -> (u32, [u8; 20]) {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&list_number(list, prefix.addr().is_ipv4()).to_ne_bytes());
    match prefix.network() {
        IpAddr::V4(address) => key[4..8].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => key[4..].copy_from_slice(&address.octets()),
    }
    (32 + u32::from(prefix.prefix_len()), key)
}

/// The word by which lists and IP versions differ.
const fn list_number(list: usize, is_v4: bool) -> u32 {
    2 * list as u32 + is_v4 as u32
}

fn program(service: &Service, site: &Site) -> Result<Code, Refusal> {
    let mut code = Code::new();
    let decisions = service.decisions();
    let ends = decisions.iter().enumerate();
    let ends = ends.map(|(number, decision)| (*decision, (code.fresh_label(), number as i32))).collect();
    let mut compiler = Compiler {
        service,
        site,
        access: Access::at(site),
        window: Window::of(service, site),
        temporaries: 0,
        walked: walked(service)?,
        ends,
        used: Vec::new(),
    };
    let no_message = compiler.ends[&Decision::NoMessage].0;
    let mut judged = Ok(());
    let wants = Wants::Payload { bytes: compiler.window.len as usize, source: compiler.asks_for_source() };
    let place = |code: &mut Code| judged = compiler.judge(code);
    parse(&mut code, site, Judge { wants, no_command: no_message, place });
    judged?;
    code.prune();
    Ok(code)
}

/// The fields that are walked and that anything depends on, each with its slots.
fn walked(service: &Service) -> Result<HashMap<FieldId, (Mem, Mem)>, Refusal> {
    let messages = service.protocol.messages.iter().filter(|message| message.by != Some(Party::Service));
    let conditions =
        messages.map(|message| &message.when).chain(service.accept.iter().map(|each| &each.when));
    let mut slots = 0;
    let mut walked = HashMap::new();
    for id in service.protocol.fields_of(conditions) {
        let (end, value) = match service.protocol.field(id).kind {
            FieldKind::DnsName | FieldKind::Until { .. } => (slots, slots),
            FieldKind::Decimal => (slots, slots + 1),
            _ => continue,
        };
        slots = value + 1;
        let slot = |number: usize| stack(WALKED - 8 * number.min(MOST_WALKED) as i16);
        walked.insert(id, (slot(end), slot(value)));
    }
    if slots > MOST_WALKED { Err(Refusal::TooManyWalks(slots)) } else { Ok(walked) }
}

impl Compiler<'_> {
    /// The label of a decision's end.
    fn end_at(&mut self, decision: Decision) -> Label {
        if !self.used.contains(&decision) {
            self.used.push(decision);
        }
        self.ends[&decision].0
    }

    fn judge(&mut self, code: &mut Code) -> Result<(), Refusal> {
        let no_message = self.end_at(Decision::NoMessage);
        self.walk_fields(code)?;
        if self.asks_for_source() {
            self.load_source(code, no_message);
        }
        for (number, list, decision) in
            [(0, &self.service.allow, Decision::Allowed), (1, &self.service.block, Decision::Blocked)]
        {
            if !list.is_empty() {
                let end = self.end_at(decision);
                self.find_in_list(code, number, end);
            }
        }
        let mut matched = Vec::new();
        let of_clients = |message: &Message| message.by != Some(Party::Service);
        let messages = self.service.protocol.messages.iter().enumerate();
        for (number, message) in messages.filter(|(_, message)| of_clients(message)) {
            let next = code.fresh_label();
            let here = code.fresh_label();
            match condition::simplified(&message.when) {
                Simplified::Always(false) => continue,
                Simplified::Always(true) => {
                    ebpf! { in code; ja $here }
                    matched.push((MessageId(number), here));
                    // Nothing comes behind a message that every packet is.
                    return self.finish(code, matched);
                }
                Simplified::Sometimes(condition) => self.require(code, &condition, true, next)?,
            }
            ebpf! { in code;
                ja $here
            $next:
            }
            matched.push((MessageId(number), here));
        }
        ebpf! { in code; ja $no_message }
        self.finish(code, matched)
    }

    /// What becomes of each message, and the ends of all.
    fn finish(&mut self, code: &mut Code, matched: Vec<(MessageId, Label)>) -> Result<(), Refusal> {
        for (message, label) in matched {
            ebpf! { in code; $label: }
            self.message(code, message)?;
        }
        let [accept, drop] = [(); 2].map(|()| code.fresh_label());
        let mut is_used = [false; 2];
        let observes = self.service.mode == Mode::Observe;
        for decision in std::mem::take(&mut self.used) {
            let (label, number) = self.ends[&decision];
            let is_accepted = decision.is_accepted() || observes;
            let end = if is_accepted { accept } else { drop };
            is_used[usize::from(!is_accepted)] = true;
            ebpf! { in code;
            $label:
                mov r1, $number
                ja $end
            }
        }
        for (label, verdict, is_used) in
            [(accept, Verdict::Accept, is_used[0]), (drop, Verdict::Drop, is_used[1])]
        {
            if is_used {
                self.count_and_give(code, label, verdict);
            }
        }
        Ok(())
    }

    /// Counts the decision whose number is in r1, and ends the program.
    fn count_and_give(&self, code: &mut Code, label: Label, verdict: Verdict) {
        let counted = code.fresh_label();
        ebpf! { in code;
        $label:
            stxw [{stack(-16)}], r1
            mov r2, r10
            add r2, -16
            lmap r1, {"decisions"}
            call map_lookup_elem
            jeq r0, 0, $counted
            ldxdw r1, [r0]
            add r1, 1
            stxdw [r0], r1
        $counted:
            mov r0, {self.access.return_value(verdict)}
            exit
        }
    }

    /// A packet is this message.
    fn message(&mut self, code: &mut Code, message: MessageId) -> Result<(), Refusal> {
        let unwelcome = self.end_at(Decision::Unwelcome(message));
        let accept: Vec<_> =
            self.service.accept.iter().filter(|each| each.message == message).cloned().collect();
        if accept.is_empty() {
            ebpf! { in code; ja $unwelcome }
            return Ok(());
        }
        let accepted = code.fresh_label();
        for (number, Acceptance { from, when, .. }) in accept.iter().enumerate() {
            let next = if number + 1 == accept.len() { unwelcome } else { code.fresh_label() };
            self.require_senders(code, from, next)?;
            match condition::simplified(when) {
                Simplified::Always(true) => {}
                Simplified::Always(false) => {
                    // As `require` with a condition that never holds would have it.
                    self.require(code, &never(), true, next)?;
                }
                Simplified::Sometimes(condition) => self.require(code, &condition, true, next)?,
            }
            ebpf! { in code; ja $accepted }
            if next != unwelcome {
                ebpf! { in code; $next: }
            }
        }
        ebpf! { in code; $accepted: }
        let limits: Vec<_> = self.service.limits_of(message).map(|(id, limit)| (id, limit.clone())).collect();
        for (id, limit) in limits {
            let next = code.fresh_label();
            self.require_senders(code, &limit.from, next)?;
            let refused = self.end_at(Decision::OverLimit(message, id));
            self.take_token(code, id, &limit, [next, refused]);
            ebpf! { in code; $next: }
        }
        let end = self.end_at(Decision::Accepted(message));
        ebpf! { in code; ja $end }
        Ok(())
    }
}

/// A condition that no packet fulfils.
fn never() -> weir_guard::meaning::Condition {
    use weir_guard::meaning::{Comparison, Condition, Integer};
    Condition::Compare(Comparison::Greater, Integer::Len, Integer::Constant(u16::MAX.into()))
}
