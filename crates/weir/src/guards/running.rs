//! A guard that runs in front of a service, what is said of it meanwhile, and what it counted.

use std::{
    os::fd::BorrowedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use weir_guard::meaning::Service;
use weir_hooks::HookError;
use weir_service::{
    GuardSummary, ServiceDecisions, Unguarded,
    guarding::{GuardedService, GuardingError},
};

use super::summary::table;

/// A guard of a service that runs already, or is waited for.
pub(crate) struct RunningGuard {
    guarded: GuardedService,
    /// What was said last.
    said: String,
}

impl RunningGuard {
    /// Attaches it to what of the service is there, and says so.
    ///
    /// # Errors
    /// The service can't be guarded; that it isn't there is none.
    pub(crate) fn start(service: &Arc<Service>) -> Result<Self, GuardingError> {
        if service.sample.is_some() {
            eprintln!("weir: {}: 'sample' isn't looked at here yet, no capture is written", service.name);
        }
        let guarded = GuardedService::start(service)?;
        if let Some(error) = guarded.deafness() {
            let name = &service.name;
            eprintln!(
                "weir: {name}: what comes and goes is noticed within a second only, since nobody is told: {error}"
            );
        }
        let mut guard = Self { guarded, said: String::new() };
        guard.look()?;
        Ok(guard)
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

    fn line(&self) -> String {
        let guarded = &self.guarded;
        let mut notes: Vec<_> = guarded.reason().into_iter().collect();
        if guarded.may_be_the_kernels() {
            notes.push(
                "whether the kernel itself serves it, before the program, can't be told without CAP_SYS_PTRACE",
            );
        }
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

    /// Whether its program is attached to anything.
    pub(crate) fn is_attached(&self) -> bool {
        !self.guarded.places().is_empty()
    }

    /// As [`GuardedService::end`].
    ///
    /// # Errors
    /// Those.
    pub(crate) fn end(self) -> Result<(ServiceDecisions, Vec<HookError>), HookError> {
        self.guarded.end()
    }
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
