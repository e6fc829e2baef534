//! A guard that runs in front of a service, what is said of it meanwhile, and what it counted.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use weir_filters::Hook;
use weir_guard::meaning::{Decision, Service};
use weir_hooks::HookError;
use weir_service::{
    AttachedPlace, DecisionStatus, GuardSummary, GuardVerdict, ServiceDecisions, ServiceStatus,
    guarding::{GuardedService, GuardingError},
};

use super::{sampling::Sampling, summary::table, words};

/// A guard of a service that runs already, or is waited for.
pub(crate) struct RunningGuard {
    guarded: GuardedService,
    sampling: Option<Sampling>,
    /// What its program is attached to, since when.
    places: Vec<AttachedPlace>,
    /// Whether the last look found nothing new: a service may open its sockets one after the other.
    is_settled: bool,
    /// What was said last.
    said: String,
}

impl RunningGuard {
    /// Attaches it to what of the service is there, and says so. Paths of captures are seen from the folder `beside`.
    ///
    /// # Errors
    /// The service can't be guarded; that it isn't there is none.
    pub(crate) fn start(service: &Arc<Service>, beside: &Path) -> Result<Self, GuardingError> {
        let mut guarded = GuardedService::start(service)?;
        let sampling = Sampling::start(service, &mut guarded, beside)?;
        let mut guard =
            Self { guarded, sampling, places: Vec::new(), is_settled: false, said: String::new() };
        guard.look()?;
        Ok(guard)
    }

    /// Looks for what isn't there yet. What fails now is said, and tried again the next time: other services stay guarded.
    pub(crate) fn look_again(&mut self) {
        if self.is_settled {
            return;
        }
        if let Err(error) = self.look() {
            self.say(format!("{} isn't guarded, or not all of it: {error}", self.name()));
        }
    }

    fn look(&mut self) -> Result<(), GuardingError> {
        let looked = self.guarded.look();
        self.note_places();
        match looked {
            Ok(is_new) => {
                self.is_settled = !is_new;
                self.say(self.line());
            }
            Err(GuardingError::Absent(absent)) => {
                self.say(format!("waiting for {}: {absent}", self.name()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
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
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        let mode = guarded.service().mode.name();
        format!(
            "guarding {} ({mode}) at {}{notes}: {}",
            self.name(),
            guarded.hook(),
            guarded.places().join(", ")
        )
    }

    fn say(&mut self, line: String) {
        if line != self.said {
            eprintln!("weir: {line}");
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

    /// Whether there is nothing to look for.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// How it stands before its service, and what it decided so far.
    pub(crate) fn status(&self) -> ServiceStatus {
        let (service, guarded) = (self.guarded.service(), &self.guarded);
        let counts = guarded.decisions().and_then(|decisions| Ok((decisions, guarded.lost_samples()?)));
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
            decisions: decisions
                .into_iter()
                .map(|(decision, packets)| counted(service, decision, packets))
                .collect(),
        }
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
        limit: match decision {
            Decision::OverLimit(_, limit) => Some(limit.0),
            _ => None,
        },
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
