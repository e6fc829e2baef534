//! A guard's service as a program: [`Service::decide`] for the kernel.
//!
//! Every packet ends at one of the service's decisions, whose number is counted; a packet of somebody else goes on untouched.

mod answers;
mod bucket;
mod condition;
mod field;
mod integer;
pub(crate) mod lists;
mod messages;
mod samples;
mod senders;
mod source;
mod text;
mod walk;
mod written;

use std::collections::{BTreeSet, HashMap};

use weir_asm::{
    Code, Label, MapDef, Mem, Object, Program, Reg, RunConfig,
    maps::{Array, Hash, LruHash, MapSpec, PerCpuArray},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{
    Acceptance, Decision, FieldId, FieldKind, Integer, MessageId, Mode, Party, Service, ServicePart,
    UnjudgedKind, Width,
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
use condition::Simplified;
pub use lists::{BEFORE_LISTS, LIST_MASKS, LIST_NODES, ListHead, ListLine, ListTree, ListTrees, has_lists};
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
pub const KNOWN: MapSpec<Hash<[u8; 32], u64>> = MapSpec::new("known", 65_536);

pub use answers::{ANSWERS, Answer};

/// Integers that wait for another one on the stack.
const TEMPORARY: i16 = -208;
/// Where walked fields end, and what decimal numbers are.
const WALKED: i16 = TEMPORARY - 8 * TEMPORARIES as i16;

const fn stack(off: i16) -> Mem {
    Mem { base: Reg::R10, off }
}

/// Jumps have 16 bits (include/uapi/linux/bpf.h, `struct bpf_insn`).
const MOST_INSTRUCTIONS: usize = i16::MAX as usize;

/// The payload's first bytes, where they can be read without asking for them.
#[derive(Clone, Copy)]
struct Window {
    begin: Mem,
    len: u64,
    /// The widest integers that are aligned there: of a packet in place that is known of words alone.
    widest: Width,
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
        let widest = if Access::at(site).is_direct { Width::Four } else { Width::Eight };
        Self { begin: payload(site), len, widest }
    }

    fn has(self, at: u64, width: Width) -> bool {
        // What isn't aligned in the payload isn't on the stack, where the verifier wants it to be.
        width <= self.widest
            && at.is_multiple_of(width.bytes())
            && at.checked_add(width.bytes()).is_some_and(|end| end <= self.len)
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
    /// Whose packets are judged.
    by: Party,
    access: Access,
    window: Window,
    /// [`TEMPORARIES`] that are taken.
    temporaries: usize,
    /// Where a walked field's end stands, and the number that it is.
    walked: HashMap<FieldId, (Mem, Mem)>,
    /// Of domain names the lengths of those that they are looked for below, and where it stands at which of them they can be.
    lens: HashMap<FieldId, Vec<(Vec<usize>, Mem)>>,
    /// Where each decision is given, and its number.
    ends: HashMap<Decision, (Label, i32)>,
    /// What is used of the ends.
    used: Vec<Decision>,
    /// Where rules stand, if that is asked for.
    written: Option<WrittenService<'a>>,
    /// Where the instructions of a rule begin.
    marks: Vec<(usize, ServicePart)>,
}

/// The service's program for a site, [`GUARD`], with the maps that it uses; and where the service knows sources by what it
/// answers [`KNOWING`], which sees that: at tc's egress for hooks of an interface, at the control group's for others. Until the
/// service's lists are in its maps (a [`ListHead`] is there) every source is blocked.
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
    let mut programs = vec![program(GUARD, site, judging(service, site, written)?, written)?];
    if let Some(known) = &service.known {
        let hook = if site.hook.layer() == Layer::Ethernet { Hook::Tc } else { Hook::Cgroup };
        let site = &Site { hook, ..*site };
        programs.push(program(KNOWING, site, answers::knowing(service, known, site, written)?, written)?);
    }
    let sized = |map: MapDef, room: usize| MapDef { max_entries: room.max(1) as u32, ..map };
    let [lines, masks] = lists::entries(service);
    let maps = [
        sized(DECISIONS.definition(), service.decisions().len()),
        sized(LIST_NODES.definition(), lines),
        sized(LIST_MASKS.definition(), masks),
        BUCKETS.definition(),
        sized(KNOWN.definition(), known_room(service)),
        ANSWERS.definition(),
        sized(SHARED_BUCKETS.definition(), service.limits.len()),
        SAMPLE_BUCKET.definition(),
        SAMPLES.definition(),
        LOST_SAMPLES.definition(),
    ];
    let is_used =
        |map: &MapDef| programs.iter().any(|each| each.code.maps().any(|(_, name)| name == map.name));
    let maps = maps.into_iter().filter(is_used).collect();
    Ok(Object { license: Some(LICENSE.to_owned()), maps, programs })
}

/// How many sources can be known at once: as many as strangers can become so, and [`KNOWN`]'s room for those that are known
/// already; at most 4 194 304.
pub fn known_room(service: &Service) -> usize {
    const MOST: u64 = 1 << 22;
    let strangers = service.most_known().unwrap_or(0);
    strangers.saturating_add(KNOWN.max_entries().into()).min(MOST) as usize
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

fn judging(service: &Service, site: &Site, written: Option<WrittenService<'_>>) -> Result<Code, Refusal> {
    let mut code = Code::new();
    let mut compiler = Compiler::new(service, site, Party::Client, written)?;
    let decisions = service.decisions().into_iter().enumerate();
    compiler.ends =
        decisions.map(|(number, decision)| (decision, (code.fresh_label(), number as i32))).collect();
    compiler.mark(&code, ServicePart::Listen);
    let no_message = compiler.ends[&Decision::NoMessage].0;
    let mut judged = Ok(());
    let wants = Wants::Payload { bytes: compiler.window.len as usize, source: compiler.asks_for_source() };
    let [fragment, unreadable, super_packet] = UnjudgedKind::ALL.map(|_| code.fresh_label());
    let kinds = UnjudgedKind::ALL.into_iter().zip([fragment, unreadable, super_packet]);
    let place = |code: &mut Code| judged = compiler.judge(code, kinds);
    let unjudged = Some(Unjudged { fragment, unreadable, super_packet });
    parse(&mut code, site, Judge { wants, by: Party::Client, no_command: no_message, unjudged, place });
    judged?;
    compiler.finish_code(&mut code);
    Ok(code)
}

/// The fields that are walked, with their slots.
struct Walked {
    ends: HashMap<FieldId, (Mem, Mem)>,
    lens: HashMap<FieldId, Vec<(Vec<usize>, Mem)>>,
}

/// The fields that are walked and that anything depends on in packets by that party.
fn walked(service: &Service, by: Party) -> Result<Walked, Refusal> {
    let messages =
        service.protocol.messages.iter().filter(|message| message.by.is_none_or(|party| party == by));
    let accept = service.accept.iter().filter(|_| by == Party::Client);
    let conditions = messages.map(|message| &message.when).chain(accept.map(|each| &each.when));
    let conditions: Vec<_> = conditions.collect();
    let mut slots = 0;
    let mut slot = || {
        slots += 1;
        stack(WALKED - 8 * (slots - 1).min(MOST_WALKED) as i16)
    };
    let (mut ends, mut lens) = (HashMap::new(), HashMap::new());
    for id in service.protocol.fields_of(conditions.iter().copied()) {
        let kind = &service.protocol.field(id).kind;
        if !matches!(kind, FieldKind::DnsName | FieldKind::Until { .. } | FieldKind::Decimal) {
            continue;
        }
        let end = slot();
        let value = if *kind == FieldKind::Decimal { slot() } else { end };
        ends.insert(id, (end, value));
        let mut looked_for = BTreeSet::new();
        conditions.iter().for_each(|condition| text::lens_below(condition, id, &mut looked_for));
        let looked_for: Vec<_> = looked_for.into_iter().collect();
        let chunks = looked_for.chunks(text::LENS_IN_A_WALK).map(|chunk| (chunk.to_vec(), slot()));
        lens.insert(id, chunks.collect());
    }
    if slots > MOST_WALKED { Err(Refusal::TooManyWalks(slots)) } else { Ok(Walked { ends, lens }) }
}

impl<'a> Compiler<'a> {
    fn new(
        service: &'a Service,
        site: &'a Site,
        by: Party,
        written: Option<WrittenService<'a>>,
    ) -> Result<Self, Refusal> {
        let Walked { ends: walked, lens } = walked(service, by)?;
        Ok(Self {
            service,
            site,
            by,
            access: Access::at(site),
            window: Window::of(service, site),
            temporaries: 0,
            walked,
            lens,
            ends: HashMap::new(),
            used: Vec::new(),
            written,
            marks: Vec::new(),
        })
    }
}

impl Compiler<'_> {
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
        self.walk_fields(code)?;
        let messages = self.messages(code, no_message)?;
        self.mark(code, ServicePart::Listen);
        self.judge_by_source_alone(code, unjudged)?;
        self.finish(code, messages)
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
        const KIND: Reg = Reg::R9;
        let (asked, dispatch) = (code.fresh_label(), code.fresh_label());
        let kinds: Vec<_> = kinds.collect();
        for &(kind, label) in &kinds {
            ebpf! { in code;
            $label:
                mov $KIND, {kind as i32}
                ja $asked
            }
        }
        ebpf! { in code; $asked: }
        if has_lists(self.service) {
            self.load_source(code, dispatch);
            self.by_source(code)?;
        }
        ebpf! { in code; $dispatch: }
        for (number, (kind, _)) in kinds.iter().enumerate() {
            let end = self.end_at(self.service.unjudged.decision(*kind));
            if number + 1 < kinds.len() {
                ebpf! { in code; jeq $KIND, {*kind as i32}, $end }
            } else {
                ebpf! { in code; ja $end }
            }
        }
        Ok(())
    }

    /// What becomes of each message, and the ends of all.
    fn finish(&mut self, code: &mut Code, matched: Vec<(MessageId, Label)>) -> Result<(), Refusal> {
        for (message, label) in matched {
            ebpf! { in code; $label: }
            self.message(code, message)?;
        }
        self.mark(code, ServicePart::Listen);
        let [accept, drop] = [(); 2].map(|()| code.fresh_label());
        let mut is_used = [false; 2];
        let observes = self.service.mode == Mode::Observe;
        let sample = self.service.sample.as_ref().map(|sample| (sample.rate, code.fresh_label()));
        for decision in std::mem::take(&mut self.used) {
            let (label, number) = self.ends[&decision];
            let is_accepted = self.service.lets_through(decision);
            let end = if is_accepted { accept } else { drop };
            is_used[usize::from(!is_accepted)] = true;
            let end = sample.filter(|_| !decision.is_accepted()).map_or(end, |(_, label)| label);
            ebpf! { in code;
            $label:
                mov r1, $number
                ja $end
            }
        }
        if let Some((rate, label)) = sample {
            self.sample(code, rate, [label, if observes { accept } else { drop }]);
        }
        for (label, verdict, is_used) in
            [(accept, Verdict::Accept, is_used[0]), (drop, Verdict::Drop, is_used[1])]
        {
            if is_used {
                self.count_and_give(code, label, DECISIONS.name(), verdict);
            }
        }
        Ok(())
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
        for (id, limit) in service.limits_of(message) {
            check_len(code)?;
            let next = code.fresh_label();
            self.mark(code, ServicePart::Limit(id));
            self.require_senders(code, &limit.from, next);
            let refused = self.end_at(Decision::OverLimit(message, id));
            self.take_token(code, id, limit, [next, refused]);
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
