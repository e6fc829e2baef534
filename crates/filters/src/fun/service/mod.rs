//! A guard's service as a program: [`Service::decide`] for the kernel.
//!
//! Every packet ends at one of the service's decisions, whose number is counted; a packet of somebody else goes on untouched.

mod answers;
mod bounds;
mod bucket;
mod condition;
mod field;
mod integer;
pub(crate) mod lists;
mod messages;
mod near;
mod samples;
mod senders;
mod source;
mod text;
mod walk;
mod written;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use weir_asm::{
    Code, Label, MapDef, Mem, Object, Program, Reg, RunConfig,
    maps::{Array, Hash, LruHash, MapSpec, PerCpuArray},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{
    Acceptance, Decision, FieldId, FieldKind, Integer, Limit, LimitId, MessageId, Mode, Party, Service,
    ServicePart, UnjudgedKind, Width,
};

use super::{
    LICENSE,
    access::Access,
    parse::{Judge, MOST_PAYLOAD, Unjudged, Wants, parse, payload},
};
use crate::{
    Hook, Layer, Site, Verdict,
    refusal::{MOST_WALKED, Refusal, TEMPORARIES},
};
use bucket::Till;
use condition::Simplified;
pub use lists::{LIST_NODES, LIST_WORDS, ListIndex, ListLine, has_lists};
pub use near::MOST_READ_OF_FRAMES;
use near::{NEAR, Near};
use samples::SAMPLE_BUCKET;
pub use samples::{LOST_SAMPLES, SAMPLED_LEN, SAMPLES, SampledPacket};
use senders::asks_whether_known;
pub use written::WrittenService;

/// Packets by decision, as [`Service::decisions`] lists them. The loader gives it its room.
pub const DECISIONS: MapSpec<PerCpuArray<u64>> = MapSpec::new("decisions", 1);

/// When the next packet of each source's bucket is due, nanoseconds of `CLOCK_MONOTONIC`.
pub const BUCKETS: MapSpec<LruHash<[u8; 32], u64>> = MapSpec::new("buckets", 65_536);

/// The same of buckets for all, by the number of the limit: sources, be they forged, never take their places. The loader gives it
/// its room.
pub const SHARED_BUCKETS: MapSpec<Array<u64>> = MapSpec::new("shared_buckets", 1);

/// Until when sources are known, nanoseconds of `CLOCK_MONOTONIC`. None is evicted; the loader gives it its room.
pub const KNOWN: MapSpec<Hash<[u8; 32], u64>> = MapSpec::new("known", 1);

pub use answers::{ANSWERS, Answer};

/// Integers that wait for another one on the stack.
const TEMPORARY: i16 = bucket::KEY - 8;
/// Where walked fields end, and what decimal numbers are.
const WALKED: i16 = TEMPORARY - 8 * TEMPORARIES as i16;

const fn stack(off: i16) -> Mem {
    Mem { base: Reg::R10, off }
}

/// Where the verifier forgets what it knows of a number of 32 bits: it follows what is stored at the beginning of 8 bytes.
const FORGOTTEN: Mem = stack(-4);

/// Jumps have 16 bits (include/uapi/linux/bpf.h, `struct bpf_insn`).
const MOST_INSTRUCTIONS: usize = i16::MAX as usize;

/// The payload's first bytes, where they can be read without asking for them.
#[derive(Clone, Copy)]
struct Window {
    begin: Mem,
    len: u64,
    /// Of which integers the alignment is known there, which it must be; nothing where all can be loaded. Of a packet in place it is known of words alone.
    aligned: Option<Width>,
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
        let aligned = if Access::at(site).is_direct { Width::Four } else { Width::Eight };
        Self { begin: payload(site), len, aligned: Some(aligned) }
    }

    fn has(self, at: u64, width: Width) -> bool {
        // What isn't aligned in the payload isn't on the stack, where the verifier wants it to be.
        self.aligned.is_none_or(|widest| width <= widest && at.is_multiple_of(width.bytes()))
            && at.checked_add(width.bytes()).is_some_and(|end| end <= self.len)
    }

    fn has_all(self, at: u64, count: u64) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.len)
    }

    fn at(self, at: u64) -> Mem {
        Mem { off: self.begin.off + at as i16, ..self.begin }
    }
}

/// The numbers of a message's decisions that it is accepted, and that it is over the first limit of all messages. The verifier keeps
/// nothing there.
const ACCEPTED: Mem = stack(TEMPORARY + 4);
const REFUSED: Mem = stack(TEMPORARY - 4);

/// Where a decision is given whose number is a number behind that in a slot.
#[derive(Clone, Copy)]
struct NumberedEnd {
    label: Label,
    first: Mem,
    number: i32,
    accepts: bool,
}

/// Where the program ends, with a decision's number in r1.
#[derive(Clone, Copy)]
struct Ways {
    accept: Label,
    drop: Label,
    /// By way of the samples, where there are any.
    sample: Option<Label>,
}

impl Ways {
    fn new(code: &mut Code, service: &Service) -> Self {
        let sample = service.sample.as_ref().map(|_| code.fresh_label());
        Self { accept: code.fresh_label(), drop: code.fresh_label(), sample }
    }

    /// That of what the rules accept, or else is sampled, and what passes.
    fn of(self, is_accepted: bool, passes: bool) -> Label {
        let end = if passes { self.accept } else { self.drop };
        self.sample.filter(|_| !is_accepted).unwrap_or(end)
    }
}

struct Compiler<'a> {
    service: &'a Service,
    site: &'a Site,
    /// Whose packets are judged.
    by: Party,
    access: Access,
    window: Window,
    near: Near,
    /// [`TEMPORARIES`] that are taken.
    temporaries: usize,
    /// The fields that are walked.
    walked: BTreeMap<FieldId, Walked>,
    /// Where the limits of all messages are asked.
    limits_of_all: Option<Label>,
    /// Ends whose decisions are numbers that only the packet tells.
    numbered: Vec<NumberedEnd>,
    /// Where tokens of sources' buckets are spent, and of those for all.
    tills: [Till; 2],
    /// Levels that a tree of prefixes may have.
    list_levels: i32,
    /// Where each decision is given, and its number.
    ends: HashMap<Decision, (Label, i32)>,
    /// What is used of the ends.
    used: Vec<Decision>,
    /// How many of those are written.
    written_ends: usize,
    /// Where rules stand, if that is asked for.
    written: Option<WrittenService<'a>>,
    /// Where the instructions of a rule begin.
    marks: Vec<(usize, ServicePart)>,
}

/// The service's program for a site, [`GUARD`], with the maps that it uses; and where the service knows sources by what it
/// answers [`KNOWING`], which sees that: at tc's egress for hooks of an interface, at the control group's for others. Until the
/// service's lists are in its maps (their [`ListIndex::root`] is there) every source is blocked.
///
/// Minimum kernel: that of the hook, and 5.3 for loops.
pub fn service_object(service: &Service, site: &Site) -> Result<Object, Refusal> {
    object(service, site, None)
}

/// The service's program for loaders that know nothing of guards: the verifier's log and bpftool show the rule that an
/// instruction comes from, and libxdp's dispatcher runs it before programs that don't say when they run.
///
/// Minimum kernel: as [`service_object`].
pub fn exported_object(
    service: &Service,
    site: &Site,
    written: WrittenService<'_>,
) -> Result<Object, Refusal> {
    object(service, site, Some(written))
}

/// What libxdp is told: as xdp-filter of xdp-tools, before programs that do more than to drop.
const RUN_CONFIG: RunConfig = RunConfig { priority: 10, chain_call_actions: &["XDP_PASS"] };

fn object(service: &Service, site: &Site, written: Option<WrittenService<'_>>) -> Result<Object, Refusal> {
    if site.hook == Hook::Xdp && !site.features.xdp_frags {
        // There bytes are copied one by one, of which older verifiers follow each.
        return Err(Refusal::Unsupported("a program for xdp before Linux 5.18"));
    }
    let list_entries = lists::entries(service);
    let judging = judging(service, site, list_entries, written)?;
    let mut programs = vec![program(GUARD, site, judging, written)?];
    if let Some(known) = &service.known {
        let hook = if site.hook.layer() == Layer::Ethernet { Hook::Tc } else { Hook::Cgroup };
        let site = &Site { hook, ..*site };
        programs.push(program(KNOWING, site, answers::knowing(service, known, site, written)?, written)?);
    }
    let sized = |map: MapDef, room: usize| MapDef { max_entries: room.max(1) as u32, ..map };
    let maps = [
        sized(DECISIONS.definition(), service.decisions().len()),
        sized(LIST_NODES.definition(), list_entries[0]),
        sized(LIST_WORDS.definition(), list_entries[1]),
        BUCKETS.definition(),
        sized(KNOWN.definition(), service.known_room() as usize),
        ANSWERS.definition(),
        sized(SHARED_BUCKETS.definition(), service.limits.len()),
        SAMPLE_BUCKET.definition(),
        SAMPLES.definition(),
        LOST_SAMPLES.definition(),
        NEAR.definition(),
    ];
    let is_used =
        |map: &MapDef| programs.iter().any(|each| each.code.maps().any(|(_, name)| name == map.name));
    let maps = maps.into_iter().filter(is_used).collect();
    Ok(Object { license: Some(LICENSE.to_owned()), maps, programs })
}

/// Whether the verifier asks who loads the service's programs for CAP_PERFMON at any hook: fields stand where the packet says.
pub fn reads_anywhere(service: &Service) -> bool {
    let site = Site::new(Hook::Socket, SocketAddr::from(([0, 0, 0, 0], service.listen.port)));
    let window = Window::of(service, &site);
    let judges = [Some(Party::Client), service.known.as_ref().map(|_| Party::Service)];
    judges.into_iter().flatten().any(|party| !bounds::is_in_window(service, party, window))
}

/// Whether a program at that site can't read all of a frame that has so many bytes up to its payload's end, although fields stand
/// elsewhere than at its beginning: at xdp where it has more than [`MOST_READ_OF_FRAMES`].
pub fn is_out_of_reach(service: &Service, site: &Site, bytes: usize) -> bool {
    let is_in_window = || bounds::is_in_window(service, Party::Client, Window::of(service, site));
    site.hook == Hook::Xdp && bytes > MOST_READ_OF_FRAMES && !is_in_window()
}

/// The program that decides.
pub const GUARD: &str = "guard";
/// The program that sees what the service sends, and lets all of it pass.
pub const KNOWING: &str = "knowing";

fn program(
    name: &str,
    site: &Site,
    code: Code,
    written: Option<WrittenService<'_>>,
) -> Result<Program, Refusal> {
    // Jumps count slots, of which some instructions have two.
    if code.slots() > MOST_INSTRUCTIONS {
        return Err(Refusal::TooLong(MOST_INSTRUCTIONS));
    }
    let section = Access::at(site).section.to_owned();
    Ok(Program {
        name: name.to_owned(),
        section,
        code,
        sources: written.map(|written| written.sources.to_vec()).unwrap_or_default(),
        run_config: written.filter(|_| site.hook == Hook::Xdp).map(|_| RUN_CONFIG),
    })
}

/// Stops where it is too long already.
fn check_len(code: &Code) -> Result<(), Refusal> {
    if code.len() > MOST_INSTRUCTIONS { Err(Refusal::TooLong(MOST_INSTRUCTIONS)) } else { Ok(()) }
}

fn judging(
    service: &Service,
    site: &Site,
    list_entries: [usize; 2],
    written: Option<WrittenService<'_>>,
) -> Result<Code, Refusal> {
    let mut code = Code::new();
    let mut compiler = Compiler::new(service, site, Party::Client, written)?;
    compiler.list_levels = lists::most_levels(list_entries);
    let decisions = service.decisions().into_iter().enumerate();
    compiler.ends =
        decisions.map(|(number, decision)| (decision, (code.fresh_label(), number as i32))).collect();
    compiler.mark(&code, ServicePart::Listen);
    let no_message = compiler.ends[&Decision::NoMessage].0;
    let mut judged = Ok(());
    let wants = Wants::Payload { beginning: compiler.beginning(), source: compiler.asks_for_source() };
    let [fragment, unreadable, super_packet] = UnjudgedKind::ALL.map(|_| code.fresh_label());
    let kinds = UnjudgedKind::ALL.into_iter().zip([fragment, unreadable, super_packet]);
    let place = |code: &mut Code| judged = compiler.judge(code, kinds);
    let unjudged = Some(Unjudged { fragment, unreadable, super_packet });
    parse(&mut code, site, Judge { wants, by: Party::Client, no_command: no_message, unjudged, place });
    judged?;
    compiler.finish_code(&mut code);
    Ok(code)
}

/// What is kept of a field whose end the packet tells: numbers of 32 bits, of which the verifier knows nothing, since the second half
/// of 8 bytes is written last.
#[derive(Clone)]
struct Walked {
    /// Where it begins that it holds.
    begin: Mem,
    /// Where it ends; behind every payload where it is absent.
    end: Mem,
    /// The number that it is, 64 bits; of a domain name where its last labels begin, from the name's beginning on, a byte each: the last
    /// one, which is empty, in the least significant byte of the first.
    values: Vec<Mem>,
}

/// The fields that are walked and that anything depends on in packets by that party.
fn walked(service: &Service, by: Party) -> Result<BTreeMap<FieldId, Walked>, Refusal> {
    let conditions = bounds::conditions(service, by);
    let mut slots = 0;
    let mut slot = || {
        slots += 1;
        stack(WALKED - 8 * (slots - 1).min(MOST_WALKED) as i16)
    };
    let mut walked = BTreeMap::new();
    for id in service.protocol.fields_of(conditions.iter().copied()) {
        let values = match service.protocol.field(id).kind {
            FieldKind::Unsigned { .. } | FieldKind::Bytes(_) => continue,
            FieldKind::Until { .. } | FieldKind::Counted(_) => 0,
            FieldKind::Decimal | FieldKind::Varint => 1,
            FieldKind::DnsName => {
                let labels = conditions.iter().map(|condition| text::most_labels_below(condition, id)).max();
                labels.flatten().map_or(0, |labels| labels / walk::LABELS_IN_A_WORD + 1)
            }
        };
        let begin = slot();
        let end = Mem { off: begin.off + 4, ..begin };
        walked.insert(id, Walked { begin, end, values: (0..values).map(|_| slot()).collect() });
    }
    if slots > MOST_WALKED { Err(Refusal::TooManyWalks(slots)) } else { Ok(walked) }
}

impl<'a> Compiler<'a> {
    fn new(
        service: &'a Service,
        site: &'a Site,
        by: Party,
        written: Option<WrittenService<'a>>,
    ) -> Result<Self, Refusal> {
        let window = Window::of(service, site);
        // Which way it is at hand is known where it is brought there.
        let near = if bounds::is_in_window(service, by, window) { Near::Window } else { Near::Copied(0) };
        Ok(Self {
            service,
            site,
            by,
            access: Access::at(site),
            window,
            near,
            temporaries: 0,
            walked: walked(service, by)?,
            limits_of_all: None,
            numbered: Vec::new(),
            tills: [None, None],
            list_levels: 0,
            ends: HashMap::new(),
            used: Vec::new(),
            written_ends: 0,
            written,
            marks: Vec::new(),
        })
    }
}

impl Compiler<'_> {
    /// How much of the payload's beginning is wanted with its place.
    fn beginning(&self) -> Option<usize> {
        (self.near == Near::Window).then_some(self.window.len as usize)
    }

    /// The label of a decision's end.
    fn end_at(&mut self, decision: Decision) -> Label {
        if !self.used.contains(&decision) {
            self.used.push(decision);
        }
        self.ends[&decision].0
    }

    /// Judges a packet, and those of `unjudged` as far as that can be.
    fn judge(
        &mut self,
        code: &mut Code,
        unjudged: impl Iterator<Item = (UnjudgedKind, Label)>,
    ) -> Result<(), Refusal> {
        let no_message = self.end_at(Decision::NoMessage);
        if self.asks_for_source() {
            self.load_source(code, no_message);
        }
        self.by_source(code)?;
        let kinds: Vec<_> = unjudged.collect();
        let is_unreadable = |(kind, _): &&(UnjudgedKind, Label)| *kind == UnjudgedKind::Unreadable;
        let unreadable = kinds.iter().find(is_unreadable).map_or(no_message, |(_, label)| *label);
        self.at_hand(code, [no_message, unreadable], |compiler, code| {
            for (message, label) in compiler.messages(code, no_message)? {
                ebpf! { in code; $label: }
                compiler.message(code, message)?;
            }
            compiler.mark(code, ServicePart::Listen);
            Ok(())
        })?;
        self.limits_of_all(code)?;
        self.write_tills(code);
        let ways = Ways::new(code, self.service);
        // What is no message falls through from the last comparison to where it is counted.
        self.write_ends(code, ways);
        self.judge_by_source_alone(code, kinds.into_iter())?;
        self.write_ends(code, ways);
        self.finish(code, ways);
        Ok(())
    }

    /// On at the ends of those that are allowed, and blocked.
    fn by_source(&mut self, code: &mut Code) -> Result<(), Refusal> {
        if has_lists(self.service) {
            let unfilled = self.end_at(Decision::Blocked);
            self.search_lists(code, unfilled)?;
            for (list, part, decision) in [
                (&self.service.allow, ServicePart::Allow, Decision::Allowed),
                (&self.service.block, ServicePart::Block, Decision::Blocked),
            ] {
                self.mark(code, part);
                let (end, next) = (self.end_at(decision), code.fresh_label());
                self.require_list(code, list, next);
                ebpf! { in code;
                    ja $end
                $next:
                }
            }
            self.mark(code, ServicePart::Listen);
        }
        Ok(())
    }

    /// Packets that can't be judged otherwise.
    fn judge_by_source_alone(
        &mut self,
        code: &mut Code,
        kinds: impl Iterator<Item = (UnjudgedKind, Label)>,
    ) -> Result<(), Refusal> {
        // The half of a slot in which the verifier sees no number, so that it follows what comes behind but once.
        const KIND: Mem = stack(-140);
        let (asked, dispatch) = (code.fresh_label(), code.fresh_label());
        let kinds: Vec<_> = kinds.collect();
        for &(kind, label) in &kinds {
            ebpf! { in code;
            $label:
                mov r1, {kind as i32}
                stxw [$KIND], r1
                ja $asked
            }
        }
        ebpf! { in code; $asked: }
        if has_lists(self.service) {
            self.load_source(code, dispatch);
            self.by_source(code)?;
        }
        ebpf! { in code;
        $dispatch:
            ldxw r1, [$KIND]
        }
        for (number, (kind, _)) in kinds.iter().enumerate() {
            let end = self.end_at(self.service.unjudged.decision(*kind));
            if number + 1 < kinds.len() {
                ebpf! { in code; jeq r1, {*kind as i32}, $end }
            } else {
                ebpf! { in code; ja $end }
            }
        }
        Ok(())
    }

    /// The ends that something leads to so far.
    fn write_ends(&mut self, code: &mut Code, ways: Ways) {
        let begin = std::mem::replace(&mut self.written_ends, self.used.len());
        for decision in self.used[begin..].iter().copied() {
            let (label, number) = self.ends[&decision];
            let end = ways.of(decision.is_accepted(), self.service.lets_through(decision));
            ebpf! { in code;
            $label:
                mov r1, $number
                ja $end
            }
        }
        for NumberedEnd { label, first, number, accepts } in std::mem::take(&mut self.numbered) {
            let end = ways.of(accepts, accepts || self.service.mode == Mode::Observe);
            ebpf! { in code;
            $label:
                ldxw r1, [$first]
                add r1, $number
                ja $end
            }
        }
    }

    /// Where all ends lead.
    fn finish(&self, code: &mut Code, Ways { accept, drop, sample }: Ways) {
        if let (Some(wanted), Some(label)) = (&self.service.sample, sample) {
            let passes = self.service.mode == Mode::Observe;
            self.sample(code, wanted.rate, [label, if passes { accept } else { drop }]);
        }
        self.count_and_give(code, accept, DECISIONS.name(), Verdict::Accept);
        self.count_and_give(code, drop, DECISIONS.name(), Verdict::Drop);
    }

    /// Counts by the number in r1, and ends the program.
    fn count_and_give(&self, code: &mut Code, label: Label, counts: &str, verdict: Verdict) {
        let counted = code.fresh_label();
        ebpf! { in code;
        $label:
            stxw [{stack(-16)}], r1
            mov r2, r10
            add r2, -16
            lmap r1, $counts
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
        let service = self.service;
        let accept: Vec<_> =
            service.accept.iter().enumerate().filter(|(_, each)| each.message == message).collect();
        if accept.is_empty() {
            ebpf! { in code; ja $unwelcome }
            return Ok(());
        }
        let accepted = code.fresh_label();
        let limits = || service.limits_of(message).map(|(_, limit)| &limit.from);
        if let Some(known) = &service.known
            && accept.iter().map(|(_, each)| &each.from).chain(limits()).any(asks_whether_known)
        {
            self.look_up_known(code, known);
        }
        for (number, (place, Acceptance { from, when, .. })) in accept.iter().enumerate() {
            self.mark(code, ServicePart::Accept(*place));
            let next = if number + 1 == accept.len() { unwelcome } else { code.fresh_label() };
            self.require_senders(code, from, next);
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
        let (own, of_all): (Vec<_>, Vec<_>) =
            service.limits_of(message).partition(|(_, limit)| limit.message.is_some());
        for (id, limit) in own {
            let refused = self.end_at(Decision::OverLimit(message, id));
            self.limit(code, id, limit, refused)?;
        }
        let Some((first, _)) = of_all.first() else {
            let end = self.end_at(Decision::Accepted(message));
            ebpf! { in code; ja $end }
            return Ok(());
        };
        let number = |decision| self.ends[&decision].1;
        let limits = *self.limits_of_all.get_or_insert_with(|| code.fresh_label());
        ebpf! { in code;
            stw [$ACCEPTED], {number(Decision::Accepted(message))}
            stw [$REFUSED], {number(Decision::OverLimit(message, *first))}
            ja $limits
        }
        Ok(())
    }

    /// Goes on where a packet is within a limit.
    fn limit(&mut self, code: &mut Code, id: LimitId, limit: &Limit, refused: Label) -> Result<(), Refusal> {
        check_len(code)?;
        let next = code.fresh_label();
        self.mark(code, ServicePart::Limit(id));
        self.require_senders(code, &limit.from, next);
        self.take_token(code, id, limit, [next, refused]);
        ebpf! { in code; $next: }
        Ok(())
    }

    /// The limits of all messages, once for all of them. Their decisions follow each other, in the same order for each message.
    fn limits_of_all(&mut self, code: &mut Code) -> Result<(), Refusal> {
        let Some(label) = self.limits_of_all else { return Ok(()) };
        ebpf! { in code; $label: }
        let service = self.service;
        let of_all = service.limits.iter().enumerate().filter(|(_, limit)| limit.message.is_none());
        for (number, (id, limit)) in of_all.enumerate() {
            let refused = code.fresh_label();
            self.limit(code, LimitId(id), limit, refused)?;
            self.numbered.push(NumberedEnd {
                label: refused,
                first: REFUSED,
                number: number as i32,
                accepts: false,
            });
        }
        let accepted = code.fresh_label();
        ebpf! { in code; ja $accepted }
        self.numbered.push(NumberedEnd { label: accepted, first: ACCEPTED, number: 0, accepts: true });
        Ok(())
    }
}

/// A condition that no packet fulfils.
fn never() -> weir_guard::meaning::Condition {
    use weir_guard::meaning::{Comparison, Condition, Integer};
    Condition::Compare(Comparison::Greater, Integer::Len, Integer::Constant(u16::MAX.into()))
}
