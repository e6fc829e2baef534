//! What decides in a running server, and changing it.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use rustix::thread::{MembarrierCommand, membarrier};
use weir_filters::{
    Blocklist, Effective, Filter, FilterName, Hook, Moment, Parameter, Quota, Reference, Toolkit, Until,
    prefix_key,
};
use weir_hooks::{HookError, KernelFilter, ParameterMap, VerdictCounts, maps::Update};

use super::{BlockedPrefix, ControlRequest, Prefix, Reply, Status, listener::Answers};
use crate::{
    Replaced, monotonic_now,
    server::Inside,
    servers::{Healed, ServeError, ServerKind, Standing, check_workers},
};

/// What a server begins with.
pub(crate) struct Setup {
    pub(crate) kind: ServerKind,
    pub(crate) filter: Filter,
    pub(crate) toolkit: Toolkit,
    pub(crate) hook: Hook,
    pub(crate) workers: usize,
    pub(crate) program: Option<KernelFilter>,
    pub(crate) standing: Option<Standing>,
    /// What can be changed while the program runs.
    pub(crate) parameter: Option<ParameterMap>,
}

/// The filter that decides now, and those that did before it.
pub(crate) struct Running {
    state: Mutex<State>,
    inside: Inside,
    since: Moment,
}

/// What decides, behind its lock.
pub(crate) struct State {
    pub(crate) setup: Setup,
    blocklist: Blocklist,
    /// The filters before it.
    pub(crate) replaced: Vec<Replaced>,
}

/// Prefixes that are forgotten at a time.
const MOST_EXPIRED: usize = 4096;

/// Why something was not done, for people.
type Failure = Box<dyn std::error::Error>;

impl Running {
    /// Takes over what was loaded and attached.
    pub(crate) fn new(setup: Setup, inside: Inside) -> Result<Arc<Self>, HookError> {
        if let Some(program) = &setup.program
            && setup.filter.has(FilterName::KnownKey)
        {
            inside.follow(Some(program.key_map()?));
        }
        let state = State { setup, blocklist: Blocklist::default(), replaced: Vec::new() };
        Ok(Arc::new(Self { state: Mutex::new(state), inside, since: monotonic_now() }))
    }

    /// What decides at this moment; it doesn't change before this is dropped.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Turns the parameter round, and says what it is now; nothing where it can't change.
    pub(crate) fn flip(&self) -> Option<Result<Parameter, HookError>> {
        let mut state = self.state();
        let map = state.setup.parameter.as_mut()?;
        Some(map.get().and_then(|now| map.set(now.flipped()).map(|()| now.flipped())))
    }

    fn try_answer(&self, state: &mut State, request: ControlRequest) -> Result<Reply, Failure> {
        let did = match request {
            ControlRequest::Status => return Ok(Reply::Status(state.status(&self.inside, self.since)?)),
            ControlRequest::List => {
                state.needs(FilterName::Blocklist)?;
                state.expire(&self.inside)?;
                return Ok(Reply::Blocked { prefixes: state.blocked() });
            }
            ControlRequest::Block { prefix, for_ms } => state.block(&self.inside, &[prefix], for_ms)?,
            ControlRequest::BlockAll { prefixes, for_ms } => state.block(&self.inside, &prefixes, for_ms)?,
            ControlRequest::Unblock { prefix } => state.unblock(&self.inside, prefix)?,
            ControlRequest::Parameter { parameter } => state.set_parameter(&self.inside, parameter)?,
            ControlRequest::Quota { rate, burst } => {
                let quota = Quota::new(rate, burst).ok_or_else(|| format!("{rate}/{burst}").parse::<Quota>());
                let quota = quota.or_else(|refused| refused)?;
                state.set_quota(&self.inside, quota)?
            }
            ControlRequest::Swap { filter, toolkit } => state.swap(&self.inside, filter, toolkit)?,
        };
        Ok(Reply::Done { did })
    }
}

impl Answers for Running {
    type Request = ControlRequest;

    fn answer(&self, request: ControlRequest) -> Reply {
        let mut state = self.state();
        let answered = self.try_answer(&mut state, request);
        // A client with many requests doesn't get in again before those that wait.
        MutexGuard::unlock_fair(state);
        answered.unwrap_or_else(|error| Reply::Error { error: error.to_string() })
    }

    /// Failures come up again where a client asks.
    fn tick(&self) {
        let _ = self.state().expire(&self.inside);
    }
}

impl State {
    /// The program that decides, where one does.
    pub(crate) fn program(&self) -> Option<&KernelFilter> {
        self.setup.program.as_ref()
    }

    /// Attaches what decides again wherever an interface was deleted and made again.
    pub(crate) fn heal(&mut self) -> Result<Healed, HookError> {
        match (&mut self.setup.standing, &self.setup.program) {
            (Some(standing), Some(program)) => standing.heal(program),
            _ => Ok(Healed { deciding: Vec::new(), before: Ok(Vec::new()) }),
        }
    }

    /// What all programs so far accepted and dropped; nothing where one of them keeps no counts.
    pub(crate) fn verdicts(&self) -> Result<Option<VerdictCounts>, HookError> {
        let last = match (self.program(), &self.setup.standing) {
            (Some(program), Some(standing)) => standing.verdicts(program)?,
            (program, _) => program.map(KernelFilter::verdicts).transpose()?.flatten(),
        };
        let before = self.replaced.iter().map(|replaced| replaced.verdicts);
        let counts: Option<Vec<_>> = before.chain([last]).collect();
        Ok(counts.map(|counts| VerdictCounts {
            accepted: counts.iter().map(|counts| counts.accepted).sum(),
            dropped: counts.iter().map(|counts| counts.dropped).sum(),
        }))
    }

    fn status(&self, inside: &Inside, since: Moment) -> Result<Status, HookError> {
        let Setup { filter, toolkit, hook, parameter, .. } = &self.setup;
        let verdicts = match hook {
            Hook::User => {
                let [accepted, dropped] = inside.filtered();
                Some(VerdictCounts { accepted, dropped })
            }
            _ => self.verdicts()?,
        };
        let parameter = match parameter {
            Some(map) => Some(map.get()?),
            None => (filter.name == FilterName::Parameterized).then_some(filter.parameter),
        };
        Ok(Status {
            filter: filter.to_string(),
            toolkit: *toolkit,
            hook: *hook,
            decides_at: self
                .setup
                .standing
                .as_ref()
                .and_then(|standing| standing.decides_elsewhere_than(*hook)),
            verdicts,
            replaced: self.replaced.clone(),
            parameter,
            quota: filter.has(FilterName::Quota).then_some(filter.quota),
            blocked: filter.has(FilterName::Blocklist).then(|| self.blocklist.len()),
            uptime_ms: monotonic_now().since(since).as_millis() as u64,
        })
    }

    /// The chain has that filter, or what to do about it.
    fn needs(&self, name: FilterName) -> Result<(), Failure> {
        let filter = self.setup.filter;
        if filter.has(name) {
            return Ok(());
        }
        // A source check goes before a filter; any other takes its place behind the same ones.
        let wanted = match name.source_check() {
            Some(_) => format!("{name}+{filter}"),
            None => Filter { name, ..filter }.to_string(),
        };
        Err(format!(
            "the filter that runs is {filter}, which has no {name}; `weir filter swap {wanted}` gives it one"
        )
        .into())
    }

    fn blocked(&self) -> Vec<BlockedPrefix> {
        let now = monotonic_now();
        let left = |until| match until {
            Until::Moment(moment) => Some(moment.since(now).as_millis() as u64),
            Until::Unblocked => None,
        };
        let prefixes = self.blocklist.iter().filter(|(_, until)| !until.is_over(now));
        prefixes
            .map(|(prefix, until)| BlockedPrefix { prefix: Prefix(prefix), left_ms: left(until) })
            .collect()
    }

    /// All of them or none.
    fn block(
        &mut self,
        inside: &Inside,
        prefixes: &[Prefix],
        for_ms: Option<NonZeroU64>,
    ) -> Result<String, Failure> {
        self.needs(FilterName::Blocklist)?;
        let lasting = for_ms.map(|ms| Duration::from_millis(ms.get()));
        let until = lasting.map_or(Until::Unblocked, |time| Until::Moment(monotonic_now() + time));
        let before: Vec<_> =
            prefixes.iter().map(|Prefix(prefix)| self.blocklist.block(*prefix, until)).collect();
        if let Some(program) = self.program()
            && let Err(error) = program.block(&self.effective_within(prefixes))
        {
            for (Prefix(prefix), before) in prefixes.iter().zip(before).rev() {
                match before {
                    Some(until) => self.blocklist.block(*prefix, until),
                    None => self.blocklist.unblock(*prefix),
                };
            }
            // What was in the map before fits into it.
            let new = prefixes.iter().filter(|Prefix(prefix)| !self.blocklist.has(*prefix));
            let new: Vec<_> = new.map(|Prefix(prefix)| prefix_key(*prefix)).collect();
            if let Some(program) = self.program() {
                let _ = program.unblock(new);
                let _ = program.block(&self.effective_within(prefixes));
            }
            return Err(error.into());
        }
        inside.with_reference(|reference| {
            for Prefix(prefix) in prefixes {
                reference.blocklist.block(*prefix, until);
            }
        });
        let (what, end) = match prefixes {
            [one] => (format!("{one} is"), "it is unblocked"),
            many => (format!("{} prefixes are", many.len()), "they are unblocked"),
        };
        Ok(match lasting {
            Some(time) => format!("{what} blocked for {time:?}"),
            None => format!("{what} blocked until {end}"),
        })
    }

    /// What of the list lies in any of the prefixes.
    fn effective_within(&self, prefixes: &[Prefix]) -> Vec<Effective> {
        self.blocklist.effective_within(prefixes.iter().map(|Prefix(prefix)| *prefix))
    }

    fn unblock(&mut self, inside: &Inside, prefix: Prefix) -> Result<String, Failure> {
        self.needs(FilterName::Blocklist)?;
        let Some(before) = self.blocklist.unblock(prefix.0) else {
            return Err(format!("{prefix} was not blocked as such; `weir filter list` shows what is").into());
        };
        let within = self.effective_within(&[prefix]);
        let unblock = |program: &KernelFilter| {
            program.block(&within).and_then(|()| program.unblock([prefix_key(prefix.0)]))
        };
        if let Err(error) = self.program().map_or(Ok(()), unblock) {
            self.blocklist.block(prefix.0, before);
            let within = self.effective_within(&[prefix]);
            let _ = self.program().map(|program| program.block(&within));
            return Err(error.into());
        }
        inside.with_reference(|reference| {
            reference.blocklist.unblock(prefix.0);
        });
        Ok(format!("{prefix} is not blocked any more"))
    }

    /// Forgets what is over, in the list and in the map, where it has no effect any more: so much at a time that others
    /// don't wait for it.
    fn expire(&mut self, inside: &Inside) -> Result<(), HookError> {
        let now = monotonic_now();
        let over = self.blocklist.expire(now, MOST_EXPIRED);
        if over.is_empty() {
            return Ok(());
        }
        if let Some(program) = self.program() {
            program.unblock(over.into_iter().map(prefix_key))?;
        }
        inside.with_reference(|reference| drop(reference.blocklist.expire(now, MOST_EXPIRED)));
        Ok(())
    }

    fn set_parameter(&mut self, inside: &Inside, parameter: Parameter) -> Result<String, Failure> {
        self.needs(FilterName::Parameterized)?;
        match (&mut self.setup.parameter, self.setup.hook) {
            (Some(map), _) => map.set(parameter)?,
            (None, Hook::User) => {
                inside.with_reference(|reference| reference.filter.parameter = parameter);
            }
            (None, _) => {
                return Err(
                    "the parameter was bound to a constant when the filter was loaded; serve with --bind map"
                        .into(),
                );
            }
        }
        self.setup.filter.parameter = parameter;
        Ok(format!("the parameter is now {parameter}"))
    }

    fn set_quota(&mut self, inside: &Inside, quota: Quota) -> Result<String, Failure> {
        self.needs(FilterName::Quota)?;
        if let Some(program) = self.program() {
            program.set_quota(quota)?;
        }
        inside.with_reference(|reference| reference.set_quota(quota));
        self.setup.filter.quota = quota;
        Ok(format!("each source may send {} packets/s, {} at once", quota.rate(), quota.burst()))
    }

    fn swap(&mut self, inside: &Inside, filter: Filter, toolkit: Option<Toolkit>) -> Result<String, Failure> {
        let Setup { kind, hook, workers, filter: before, .. } = self.setup;
        let toolkit = toolkit.unwrap_or_else(|| self.toolkit_for(filter));
        let filter = Filter { name: filter.name, checks: filter.checks, ..before };
        weir_hooks::loadable(filter, toolkit, hook).map_err(|gap| ServeError::Unavailable {
            filter,
            toolkit,
            hook,
            gap,
        })?;
        kind.check(filter.name, toolkit, hook).map_err(ServeError::from)?;
        check_workers(workers, kind, filter, hook)?;
        let verdicts = match &self.setup.program {
            None => {
                let mut reference = Reference::new(filter);
                reference.blocklist = self.blocklist.clone();
                inside.replace_reference(reference);
                None
            }
            Some(program) => {
                let next = self.load(inside, program, filter, toolkit)?;
                self.put_in_place(inside, next, filter, toolkit)?
            }
        };
        let replaced =
            Replaced { filter: before.to_string(), toolkit: self.setup.toolkit.to_string(), verdicts };
        self.replaced.push(replaced);
        self.setup.filter = filter;
        self.setup.toolkit = toolkit;
        Ok(format!("{filter} by {toolkit} decides in place of {before}"))
    }

    fn toolkit_for(&self, filter: Filter) -> Toolkit {
        let Setup { toolkit, hook, .. } = self.setup;
        let fits = |toolkit: &Toolkit| weir_hooks::loadable(filter, *toolkit, hook).is_ok();
        [toolkit, Toolkit::Fun].into_iter().find(fits).unwrap_or(toolkit)
    }

    /// The next program with everything in its maps.
    fn load(
        &self,
        inside: &Inside,
        program: &KernelFilter,
        filter: Filter,
        toolkit: Toolkit,
    ) -> Result<KernelFilter, HookError> {
        let next = program.load_successor(filter, toolkit)?;
        if filter.has(FilterName::Blocklist) {
            next.set_blocklist(&self.blocklist)?;
        }
        if filter.has(FilterName::KnownKey) && !self.setup.filter.has(FilterName::KnownKey) {
            // What comes or goes from here on goes to the map by itself.
            let mut map = next.key_map()?;
            for key in inside.follow(Some(next.key_map()?)) {
                map.update(key, 1, Update::Any)?;
            }
        }
        Ok(next)
    }

    /// Attaches `next`, and says what the program before it decided, up to its last packet.
    fn put_in_place(
        &mut self,
        inside: &Inside,
        next: KernelFilter,
        filter: Filter,
        toolkit: Toolkit,
    ) -> Result<Option<VerdictCounts>, HookError> {
        let parameter = filter.has_changeable_parameter().then(|| next.parameter_map()).transpose()?;
        let standing = self.setup.standing.as_mut().expect("a program that runs is attached");
        let before = self.setup.program.as_ref().expect("a program runs");
        if let Err(error) = standing.replace(before, &next) {
            if !self.setup.filter.has(FilterName::KnownKey) {
                inside.follow(None);
            }
            return Err(error);
        }
        if !filter.has(FilterName::KnownKey) {
            inside.follow(None);
        }
        let dropped_before = standing.replace_front(before, filter, toolkit)?;
        let before = self.setup.program.replace(next).expect("a program ran");
        self.setup.parameter = parameter;
        // Packets that it still decides are let finish: the command waits for a grace period of RCU, under which
        // programs run (kernel/sched/membarrier.c). Where the kernel refuses it the counts may lack their last few.
        let _ = membarrier(MembarrierCommand::Global);
        let counts = before.verdicts()?;
        Ok(counts.map(|counts| VerdictCounts { dropped: counts.dropped + dropped_before, ..counts }))
    }
}
