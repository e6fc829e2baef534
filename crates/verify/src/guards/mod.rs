//! Guards' programs against the interpreter: on packets that are made from the rules, on captured ones, and by chance.

mod disagreement;
mod faults;
mod frame;
mod planted;
mod program;
mod table;
mod unlikely;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use weir_filters::{Carried, Endpoint, Hook, Layer, corpus::Captured};
use weir_guard::{
    examples::{BATCH, Chance, Example, Examples},
    meaning::{Decision, Memory, MessageId, Per, PrefixList, RateLimit, Senders, Service},
};

pub use disagreement::GuardDisagreement;
pub use planted::{PlantedFault, all_noticed, planted, planted_text};
pub use table::{json, text};
pub use unlikely::random_guards;

use program::{GuardProgram, Said};

/// Hooks at which the kernel runs guards' programs on given bytes.
pub const HOOKS: [Hook; 4] = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];

/// What is compared, and on how many packets.
pub struct GuardPackets {
    /// This hook alone.
    pub hook: Option<Hook>,
    /// Packets for each program; never fewer than are made from the rules.
    pub count: u64,
    /// The same seed gives the same packets.
    pub seed: u64,
    /// Frames that somebody captured: the UDP packets in them are sent to each service.
    pub captured: Vec<Captured>,
}

/// What came of a service at a hook.
#[derive(Clone, Debug)]
pub struct ComparedGuard {
    /// The service.
    pub service: String,
    /// Where its program ran.
    pub hook: Hook,
    /// Programs that were compared.
    pub programs: u64,
    /// Packets that they decided.
    pub packets: u64,
    /// How many were made from its rules.
    pub made: u64,
    /// Packets that a test run doesn't take.
    pub not_runnable: u64,
    /// Packets that it decided otherwise than the interpreter.
    pub disagreements: u64,
    /// Time of making packets, deciding them and comparing.
    pub spent: Duration,
    /// The first disagreement.
    pub shown: Option<GuardDisagreement>,
    /// The messages of which no packet was found.
    pub missing: Vec<String>,
    /// What is not compared there although the rules say it.
    pub left_out: Option<&'static str>,
    /// Why there is no program.
    pub absent: Option<Absent>,
}

/// Why a service has no program at a hook.
#[derive(Clone, Debug)]
pub enum Absent {
    /// None is made of such rules.
    NotMade(String),
    /// The kernel refuses it.
    Refused(String),
}

impl ComparedGuard {
    /// Whether the program agreed with the interpreter, or none is made.
    pub fn agrees(&self) -> bool {
        self.disagreements == 0 && !matches!(self.absent, Some(Absent::Refused(_)))
    }
}

/// Compares every service at every hook, and says how far it is: packets decided, of how many.
///
/// # Errors
/// No service is made a program anywhere; a program that can't be run.
pub fn verify(
    services: &[Service],
    packets: &GuardPackets,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<Vec<ComparedGuard>> {
    let is_meant = |hook: &Hook| packets.hook.is_none_or(|wanted| wanted == *hook);
    let hooks: Vec<Hook> = HOOKS.into_iter().filter(is_meant).collect();
    let total = (services.len() * hooks.len()) as u64 * packets.count;
    let mut rows = Vec::new();
    for service in services {
        for hook in &hooks {
            let done = rows.iter().map(|row: &ComparedGuard| row.packets + row.not_runnable).sum::<u64>();
            let mut here = |here: u64| progress(done + here, total.max(done + here));
            let row = compare(service, *hook, packets, &mut here);
            rows.push(row.with_context(|| format!("service {} at {hook}", service.name))?);
        }
    }
    let reasons = rows.iter().map(|row| row.absent.as_ref());
    if let Some(reasons) = reasons.collect::<Option<Vec<_>>>() {
        let reason = reasons.first().map_or("the guard has no service", |absent| absent.reason());
        anyhow::bail!("nothing was compared: {reason}");
    }
    Ok(rows)
}

impl Absent {
    /// What was tried, and what came back.
    pub fn reason(&self) -> &str {
        match self {
            Self::NotMade(reason) | Self::Refused(reason) => reason,
        }
    }
}

fn compare(
    service: &Service,
    hook: Hook,
    packets: &GuardPackets,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<ComparedGuard> {
    let started = Instant::now();
    let tried = tried(service, hook);
    let mut row = ComparedGuard {
        left_out: left_out(service, hook),
        ..ComparedGuard::none(service.name.clone(), hook)
    };
    let mut program = match GuardProgram::load(&tried, hook) {
        Ok(program) => program,
        Err(absent) => return Ok(ComparedGuard { absent: Some(absent), ..row }),
    };
    row.programs = 1;
    let examples = Examples::of(&tried, packets.seed);
    let name = |id: &MessageId| tried.protocol.message(*id).name.clone();
    row.missing = examples.missing.iter().map(name).collect();
    row.made = examples.count() as u64;
    let captured = captured(&tried, &packets.captured);
    let mut chance = Chance::of(&tried, &examples, &captured, packets.seed);
    let mut given = examples.batches.into_iter().chain(captured.chunks(BATCH).map(<[_]>::to_vec));
    loop {
        let so_far = row.packets + row.not_runnable;
        let batch = match given.next() {
            Some(batch) => batch,
            None if so_far < packets.count => {
                let left = (packets.count - so_far).min(BATCH as u64);
                chance.by_ref().take(left as usize).collect()
            }
            None => break,
        };
        anyhow::ensure!(!batch.is_empty(), "no packet could be made");
        program.forget()?;
        compare_batch(&mut program, &tried, &batch, &mut row)?;
        progress(row.packets + row.not_runnable);
    }
    row.spent = started.elapsed();
    Ok(row)
}

fn compare_batch(
    program: &mut GuardProgram,
    service: &Service,
    batch: &[Example],
    row: &mut ComparedGuard,
) -> anyhow::Result<()> {
    let mut memory = Memory::default();
    let mut first = None;
    for example in batch {
        let Some(returned) = program.run(example)? else {
            row.not_runnable += 1;
            continue;
        };
        row.packets += 1;
        let expected = program.expected(service, example, &mut memory);
        let said = Said { returned, counted: program.counted(expected)? };
        if !said.is(expected, service.mode, program.hook()) {
            row.disagreements += 1;
            first.get_or_insert((example, expected, said));
        }
    }
    if row.shown.is_none()
        && let Some((example, expected, said)) = first
    {
        row.shown = Some(GuardDisagreement::of(program, service, example, (expected, said)));
    }
    let besides = program.counted_besides()?;
    anyhow::ensure!(besides.is_empty(), "decisions were counted that no packet had: {besides:?}");
    Ok(())
}

/// Whether a packet shows by itself that the program differs, and how.
fn difference(
    program: &mut GuardProgram,
    service: &Service,
    example: &Example,
) -> anyhow::Result<Option<(Decision, Said)>> {
    program.forget()?;
    let Some(returned) = program.run(example)? else {
        return Ok(None);
    };
    let expected = program.expected(service, example, &mut Memory::default());
    let said = Said { returned, counted: program.counted(expected)? };
    Ok((!said.is(expected, service.mode, program.hook())).then_some((expected, said)))
}

/// The service as it is compared: its limits' buckets come to the same whatever time it is, and are soon empty; at the socket it is
/// without what depends on sources.
fn tried(service: &Service, hook: Hook) -> Service {
    /// So rarely that no comparison lives to see the next token.
    const INTERVAL: NonZeroU64 = NonZeroU64::new(3_600_000_000_000).expect("it is not 0");
    const MOST_BURST: NonZeroU32 = NonZeroU32::new(8).expect("it is not 0");
    let mut tried = service.clone();
    for limit in &mut tried.limits {
        limit.rate = RateLimit { interval: INTERVAL, burst: limit.rate.burst.min(MOST_BURST) };
    }
    if hook.layer() == Layer::Udp {
        tried.allow = PrefixList::default();
        tried.block = PrefixList::default();
        tried.known = None;
        tried.limits.retain(|limit| limit.per == Per::All && limit.from == Senders::Anyone);
        tried.accept.iter_mut().for_each(|acceptance| acceptance.from = Senders::Anyone);
    }
    tried
}

/// What of a service is not compared at a hook.
fn left_out(service: &Service, hook: Hook) -> Option<&'static str> {
    let mut senders =
        service.accept.iter().map(|each| &each.from).chain(service.limits.iter().map(|each| &each.from));
    let has_sources = !service.allow.is_empty()
        || !service.block.is_empty()
        || senders.any(|from| *from != Senders::Anyone)
        || service.limits.iter().any(|limit| limit.per != Per::All);
    match hook.layer() {
        Layer::Udp if has_sources => {
            Some("what depends on sources, which a test run at the socket has none of")
        }
        Layer::Ip | Layer::Ethernet if service.known.is_some() => {
            Some("packets of known sources: the service answers nobody, so that none is known")
        }
        _ => None,
    }
}

/// The UDP packets of captured frames that can come to the service.
fn captured(service: &Service, frames: &[Captured]) -> Vec<Example> {
    let endpoint = Endpoint::from(frame::listen(service));
    let of_frame = |frame: &Captured| match Carried::of(frame.layer, &frame.bytes, 0) {
        Carried::Udp(udp) => {
            let source = SocketAddr::new(udp.source.ip().to_canonical(), udp.source.port());
            Some(Example { source, payload: udp.payload.to_vec(), behind: Vec::new() })
        }
        _ => None,
    };
    let fits = |example: &Example| {
        if example.source.is_ipv4() { endpoint.takes_ipv4() } else { endpoint.takes_ipv6() }
    };
    frames.iter().filter_map(of_frame).filter(fits).collect()
}
