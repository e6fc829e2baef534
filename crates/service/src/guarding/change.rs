//! Other rules for a service, while packets come.

use std::{
    fs::File,
    os::fd::AsFd as _,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use weir_guard::meaning::{Decision, Service};
use weir_hooks::{
    Attached, HandedOn, HookError, KernelFilter, Owners, XdpMode, decision_count, wait_for_programs,
};

use super::{
    GuardedService, GuardingError,
    post::{Post, PostOwner},
};

/// What other rules came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// They are the same.
    Nothing,
    /// The program searches other lists.
    Lists,
    /// Another program judges.
    Program,
}

/// Packets that were decided by rules that hold no more.
#[derive(Clone, Debug)]
pub struct PastDecision {
    /// The service as it was then.
    pub service: Arc<Service>,
    /// What was decided.
    pub decision: Decision,
    /// How many there were.
    pub packets: u64,
}

/// As long as programs run at most, where nobody can wait for them.
const LONGEST_RUN: Duration = Duration::from_millis(50);

impl GuardedService {
    /// Has packets judged by other rules of the same service, which is at the same place: each by those before or by these. Lists
    /// change within the program, everything else takes another program; buckets, sources that are known, and the counts of decisions that
    /// both have stay.
    ///
    /// # Errors
    /// The service can't be a program there, or what the kernel says: the rules before hold on.
    pub fn change(&mut self, service: &Arc<Service>) -> Result<Changed, GuardingError> {
        if **service == *self.service {
            return Ok(Changed::Nothing);
        }
        // They may have outgrown the program's maps.
        if self.service.differs_in_lists_alone(service) && self.filter.change_lists(service).is_ok() {
            self.service = Arc::clone(service);
            self.say_kept(Vec::new());
            return Ok(Changed::Lists);
        }
        let network = self.network.clone();
        network.within(|| self.change_program(service))?;
        Ok(Changed::Program)
    }

    fn change_program(&mut self, service: &Arc<Service>) -> Result<(), GuardingError> {
        let pins = self.keep.as_ref().map(|keep| Arc::clone(keep.pins()));
        let next = KernelFilter::load_service(service, self.filter.site())?.kept_in(pins);
        let mut handed_on = HandedOn::default();
        let before = self.filter.remembered()?;
        next.take_over_from(&before, &mut handed_on)?;
        let (id, former_id) = (next.facts()?.id, self.filter.facts()?.id);
        if let Some(keep) = &self.keep {
            keep.beside(&next)?;
        }
        for claim in self.posts.iter().filter_map(|post| post.claim.as_ref()) {
            let _ = claim.announce(id);
        }
        let mut new = Vec::new();
        for (at, post) in self.posts.iter().enumerate() {
            match post.replace(&next) {
                Ok(knowing) => new.push((at, knowing)),
                Err(error) => {
                    detach(new.into_iter().filter_map(|(_, knowing)| knowing));
                    self.stay(at);
                    if let Some(keep) = &self.keep {
                        keep.forget(&id.to_string());
                    }
                    return Err(error.into());
                }
            }
        }
        for (at, knowing) in new {
            let post = &mut self.posts[at];
            if !next.is_knowing() {
                detach(post.knowing.take());
            } else if knowing.is_some() {
                post.knowing = knowing;
            }
            if let Some(claim) = &mut post.claim {
                let _ = claim.place(id);
            }
        }
        // What the program before was at counts there, and spends.
        wait_until_alone();
        // It judges already: what can't be handed on any more has been, up to a moment ago.
        let _ = next.take_over_from(&before, &mut handed_on);
        // The other one stands there, whatever can be told of this one: where counts can't be read, none goes on.
        let decided = self.decisions().unwrap_or_default();
        let before = std::mem::replace(&mut self.filter, next);
        drop(before);
        let former = std::mem::replace(&mut self.service, Arc::clone(service));
        self.keep_counts(&former, decided);
        self.say_kept(vec![former_id.to_string()]);
        // A socket's answers may be seen nowhere yet.
        self.due = Instant::now();
        Ok(())
    }

    /// Puts the program back that was at the posts up to that one, which may have got half of another.
    fn stay(&mut self, last: usize) {
        let before = self.filter.facts();
        for (at, post) in self.posts.iter_mut().enumerate() {
            if at <= last {
                let _ = post.replace(&self.filter);
            }
            if let (Some(claim), Ok(before)) = (&mut post.claim, &before) {
                let _ = claim.place(before.id);
            }
        }
    }

    /// Of decisions that there are still the counts go on.
    pub(super) fn keep_counts(&mut self, former: &Arc<Service>, decided: Vec<(Decision, u64)>) {
        self.kept.clear();
        for (decision, packets) in decided.into_iter().filter(|(_, packets)| *packets > 0) {
            match self.service.successor_of(decision, former) {
                Some(successor) => *self.kept.entry(successor).or_default() += packets,
                None => self.lay_aside(PastDecision { service: Arc::clone(former), decision, packets }),
            }
        }
    }

    /// Once for all that are told alike, however often rules change.
    fn lay_aside(&mut self, past: PastDecision) {
        let told = |each: &PastDecision| decision_count(&each.service, each.decision, 0);
        let is_alike = |each: &&mut PastDecision| told(each) == told(&past);
        match self.past.iter_mut().find(is_alike) {
            Some(each) => each.packets += past.packets,
            None => self.past.push(past),
        }
    }

    /// What was decided by rules that hold no more, or was dropped where it passes now.
    pub fn past_decisions(&self) -> &[PastDecision] {
        &self.past
    }
}

/// Waits until no program runs any more that was replaced.
pub(super) fn wait_until_alone() {
    if wait_for_programs().is_err() {
        thread::sleep(LONGEST_RUN);
    }
}

/// What fails of it is gone.
fn detach(all: impl IntoIterator<Item = Attached>) {
    all.into_iter().for_each(|attached| drop(attached.detach()));
}

impl Post {
    /// Puts that program there in the place of another one of the same service; gives what sees what the service sends, where nothing
    /// did.
    fn replace(&self, filter: &KernelFilter) -> Result<Option<Attached>, HookError> {
        let mut new = None;
        match &self.knowing {
            Some(knowing) if filter.is_knowing() => knowing.replace_knowing(filter)?,
            None if filter.is_knowing() => new = self.see_answers(filter)?,
            _ => {}
        }
        if let Some((judging, _)) = &self.judging {
            judging.replace(filter)?;
        }
        Ok(new)
    }

    fn see_answers(&self, filter: &KernelFilter) -> Result<Option<Attached>, HookError> {
        match &self.owner {
            // The control groups of sockets are looked for.
            PostOwner::Socket(_) => Ok(None),
            PostOwner::Group(path, _) => {
                // It is gone, which the next look finds.
                let Ok(folder) = File::open(path) else { return Ok(None) };
                filter.attach_knowing(Owners { group: Some(folder.as_fd()), ..Owners::default() })
            }
            PostOwner::Interface(interface) => {
                let xdp_mode = XdpMode::Auto;
                filter.attach_knowing(Owners { interface: Some(interface), xdp_mode, ..Owners::default() })
            }
        }
    }
}
