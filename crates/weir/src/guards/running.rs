//! A guard that runs in front of a service, what is said of it meanwhile, and what it counted.

use std::{
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use weir_filters::Hook;
use weir_guard::meaning::{Decision, Service};
use weir_hooks::HookError;
use weir_service::{
    AttachedPlace, DecisionStatus, GuardSummary, GuardVerdict, ServiceDecisions, ServiceStatus, Unguarded,
    guarding::{Changed, GuardedService, GuardingError, Keep},
};

use super::{commanded::Commanded, kept::KeptRules, sampling::Sampling, summary::table, words};

/// A guard of a service that runs already, or is waited for.
pub(crate) struct RunningGuard {
    guarded: GuardedService,
    /// The service as its file says.
    rules: Arc<Service>,
    /// What was changed besides.
    commanded: Commanded,
    /// The rules in words.
    kept: KeptRules,
    /// From where relative paths of captures are seen.
    beside: PathBuf,
    sampling: Option<Sampling>,
    /// What its program is attached to, since when.
    places: Vec<AttachedPlace>,
    /// What was said last.
    said: String,
}

impl RunningGuard {
    /// Attaches it to what of the service is there, and says so.
    ///
    /// # Errors
    /// The service can't be guarded; that it isn't there is none.
    /// `name` is the guard's, and `kept` are the rules in words, for a service that is kept.
    pub(crate) fn start(
        rules: &Arc<Service>,
        beside: &Path,
        name: &str,
        kept: KeptRules,
    ) -> Result<Self, GuardingError> {
        let mut commanded = Commanded::default();
        let keep = match rules.at.keep {
            true => {
                let keep = Keep::open(name, &rules.name, KeptRules::read)?;
                let before = keep.kept_rules()?;
                commanded = before
                    .and_then(|(_, before)| KeptRules::commanded_over(&before, rules))
                    .unwrap_or_default();
                Some(keep.saying(kept.with(&commanded)))
            }
            false => None,
        };
        let guarded = GuardedService::start(&commanded.over(rules), keep)?;
        if let Some(error) = guarded.deafness() {
            let name = &rules.name;
            eprintln!(
                "weir: {name}: what comes and goes is noticed within a second only, since nobody is told: {error}"
            );
        }
        let mut guard = Self {
            guarded,
            rules: Arc::clone(rules),
            commanded,
            kept,
            beside: beside.to_owned(),
            sampling: None,
            places: Vec::new(),
            said: String::new(),
        };
        guard.look()?;
        Ok(guard)
    }

    /// Writes what the program samples from now on, where the guard wants that.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub(crate) fn sample(&mut self) -> Result<(), GuardingError> {
        let service = self.guarded.shared_service();
        let before = self.sampling.take();
        self.sampling = Sampling::start(&service, &mut self.guarded, &self.beside, before)?;
        Ok(())
    }

    /// Has it stand for other rules of the same service, where that can be without standing elsewhere. A mode that was commanded holds
    /// until the file says another one than before.
    ///
    /// # Errors
    /// As [`GuardedService::change`]: then nothing has changed.
    pub(crate) fn take_rules(
        &mut self,
        rules: &Arc<Service>,
        kept: KeptRules,
    ) -> Result<Changed, GuardingError> {
        let mut commanded = self.commanded.clone();
        if rules.mode != self.rules.mode {
            commanded.mode = None;
        }
        self.change(rules, commanded, kept)
    }

    /// The rules in words.
    pub(crate) fn kept(&self) -> &KeptRules {
        &self.kept
    }

    /// Whether these rules are of the same packets, at the same place.
    pub(crate) fn stands_for(&self, rules: &Service) -> bool {
        (&self.rules.name, self.rules.listen, &self.rules.at) == (&rules.name, rules.listen, &rules.at)
    }

    /// The service as its file says.
    pub(crate) fn rules(&self) -> &Arc<Service> {
        &self.rules
    }

    /// What was changed besides.
    pub(crate) fn commanded(&self) -> &Commanded {
        &self.commanded
    }

    /// Has it stand for the rules of its file and for what is commanded besides.
    ///
    /// # Errors
    /// As [`GuardedService::change`]: then nothing has changed.
    pub(crate) fn command(&mut self, commanded: Commanded) -> Result<Changed, GuardingError> {
        let (rules, kept) = (Arc::clone(&self.rules), self.kept.clone());
        self.change(&rules, commanded, kept)
    }

    fn change(
        &mut self,
        rules: &Arc<Service>,
        commanded: Commanded,
        kept: KeptRules,
    ) -> Result<Changed, GuardingError> {
        let before = self.guarded.say_rules(kept.with(&commanded));
        let changed = match self.guarded.change(&commanded.over(rules)) {
            Ok(changed) => changed,
            Err(error) => {
                self.guarded.say_rules(before);
                return Err(error);
            }
        };
        (self.rules, self.commanded, self.kept) = (Arc::clone(rules), commanded, kept);
        if changed == Changed::Program {
            self.sample()?;
        }
        if changed != Changed::Nothing {
            self.say(self.line(), None);
        }
        Ok(changed)
    }

    /// As [`GuardedService::within`].
    pub(crate) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.guarded.within(act)
    }

    /// What becomes readable when something of it comes or goes.
    pub(crate) fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.guarded.changes()
    }

    /// When [`Self::follow`] is to be called, if nothing comes or goes before.
    pub(crate) fn due(&mut self) -> Instant {
        self.guarded.due()
    }

    /// Looks for what has come, where it is time. What fails now is said, and tried again the next time: other services stay guarded.
    pub(crate) fn follow(&mut self) {
        if self.guarded.due() > Instant::now() {
            return;
        }
        if let Err(error) = self.look() {
            self.say(format!("{} isn't guarded, or not all of it: {error}", self.name()), None);
        }
    }

    fn look(&mut self) -> Result<(), GuardingError> {
        let (looked, done) = self.guarded.look();
        self.note_places();
        if looked.is_new || done.is_ok() {
            self.say(self.line(), looked.unguarded);
        }
        match done {
            Err(GuardingError::Absent(absent)) => {
                self.say(format!("waiting for {}: {absent}", self.name()), None);
                Ok(())
            }
            done => done,
        }
    }

    fn note_places(&mut self) {
        let now = milliseconds(SystemTime::now());
        let since =
            |place: &str| self.places.iter().find(|known| known.place == place).map(|known| known.since_ms);
        let place = |place: String| AttachedPlace { since_ms: since(&place).unwrap_or(now), place };
        self.places = self.guarded.places().into_iter().map(place).collect();
    }

    fn line(&self) -> String {
        let guarded = &self.guarded;
        let mut notes: Vec<_> = guarded.reason().into_iter().collect();
        if guarded.may_be_the_kernels() {
            notes.push(
                "whether the kernel itself serves it, before the program, can't be told without CAP_SYS_PTRACE",
            );
        }
        let kept = guarded.kept_in().map(|folder| format!("kept in {}", folder.display()));
        notes.extend(kept.as_deref());
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        let mode = guarded.service().mode.name();
        format!(
            "guarding {} ({mode}) at {}{notes}: {}",
            self.name(),
            guarded.hook(),
            guarded.places().join(", ")
        )
    }

    fn say(&mut self, line: String, unguarded: Option<Duration>) {
        if line != self.said || unguarded.is_some() {
            let unguarded = unguarded.map(|time| format!("; unguarded for {time:.1?} at most"));
            eprintln!("weir: {line}{}", unguarded.unwrap_or_default());
            self.said = line;
        }
    }

    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        &self.guarded.service().name
    }

    /// The service.
    pub(crate) fn service(&self) -> &Service {
        self.guarded.service()
    }

    /// The hook that it stands at.
    pub(crate) fn hook(&self) -> Hook {
        self.guarded.hook()
    }

    /// Whether its program is attached to anything.
    pub(crate) fn is_attached(&self) -> bool {
        !self.guarded.places().is_empty()
    }

    /// Whether it opens files for writing while it runs: captures, and files that tell which sockets have its program.
    pub(crate) fn writes(&self) -> bool {
        self.hook() == Hook::Socket || self.service().sample.is_some() || self.rules.at.keep
    }

    /// How it stands before its service, and what it decided so far.
    pub(crate) fn status(&self) -> ServiceStatus {
        let (service, guarded) = (self.guarded.service(), &self.guarded);
        let counts = guarded.decisions().and_then(|decisions| Ok((decisions, guarded.lost_samples()?)));
        let past = guarded.past_decisions().iter();
        let past = past.map(|past| counted(&past.service, past.decision, past.packets));
        let ((decisions, lost), error) = match counts {
            Ok(counts) => (counts, None),
            Err(error) => ((Vec::new(), 0), Some(error.to_string())),
        };
        ServiceStatus {
            service: service.name.clone(),
            listen: words::listen(service.listen),
            mode: service.mode.name().to_owned(),
            hook: guarded.hook().to_string(),
            reason: guarded.reason().map(str::to_owned),
            places: self.places.clone(),
            said: self.said.clone(),
            error,
            samples: self.sampling.as_ref().map(|sampling| sampling.status(lost)),
            commanded: self.commanded.lines(),
            decisions: decisions
                .into_iter()
                .map(|(decision, packets)| counted(service, decision, packets))
                .chain(past)
                .collect(),
        }
    }

    /// Ends this, and leaves what is kept; gives what it decided, and what stays otherwise.
    ///
    /// # Errors
    /// What it decided can't be told.
    pub(crate) fn leave(self) -> Result<(ServiceDecisions, Vec<HookError>), HookError> {
        if self.is_kept() {
            return Ok((self.guarded.leave()?, Vec::new()));
        }
        self.end()
    }

    /// Ends this as if it had never begun: what was kept before it is kept on.
    pub(crate) fn abandon(self) {
        if !self.guarded.is_inherited()
            && let Err(error) = self.end()
        {
            eprintln!("weir: {error}");
        }
    }

    /// Whether its program stays when this ends.
    pub(crate) fn is_kept(&self) -> bool {
        self.guarded.kept_in().is_some()
    }

    /// As [`GuardedService::end`].
    ///
    /// # Errors
    /// Those.
    pub(crate) fn end(self) -> Result<(ServiceDecisions, Vec<HookError>), HookError> {
        // Nothing is sampled any more, and what was is written, once the program is detached and `sampling` dropped.
        self.guarded.end()
    }
}

fn counted(service: &Service, decision: Decision, packets: u64) -> DecisionStatus {
    DecisionStatus {
        decision: decision.name().to_owned(),
        message: decision.message().map(|id| service.protocol.message(id).name.clone()),
        limit: decision.limit().map(|limit| limit.0),
        rule: words::sentence(decision, service),
        verdict: match decision.is_accepted() {
            true => GuardVerdict::Accept,
            false if service.lets_through(decision) => GuardVerdict::WouldDrop,
            false => GuardVerdict::Drop,
        },
        packets,
    }
}

/// Since 1970.
pub(super) fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// How long what came after a guard was unguarded; nothing where nothing came.
pub(crate) fn unguarded_line(service: &ServiceDecisions) -> Option<String> {
    let Unguarded { times, total_us, longest_us } = service.unguarded;
    let [total, longest] = [total_us, longest_us].map(Duration::from_micros);
    let text = format!(
        "{}: unguarded {times} times, {total:.1?} in all, {longest:.1?} the longest",
        service.service
    );
    (times > 0).then_some(text)
}

/// What was decided how, a row each.
pub(crate) fn decision_table(summary: &GuardSummary, plain: bool) -> String {
    let row = |service: &ServiceDecisions, decision: String, message: &str, packets: u64, fate: &str| {
        [service.service.clone(), decision, message.to_owned(), packets.to_string(), fate.to_owned()]
    };
    let mut rows = Vec::new();
    for service in &summary.services {
        if service.decisions.is_empty() {
            rows.push(row(service, "none".to_owned(), "", 0, ""));
        }
        for each in &service.decisions {
            let limit = each.limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
            let fate = if each.dropped { "dropped" } else { "passed" };
            let message = each.message.as_deref().unwrap_or_default();
            rows.push(row(service, format!("{}{limit}", each.decision), message, each.packets, fate));
        }
    }
    table(["service", "decision", "message", "packets", "fate"], rows, plain)
}
