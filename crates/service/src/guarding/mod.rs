//! Guards in front of services that run already: what each is attached to, for as long as this lives.
//!
//! A service that isn't there yet is looked for again until it is. Nothing of it is touched but its sockets' filters.

mod change;
mod choice;
mod claim;
mod error;
mod kept;
mod network;
mod pace;
mod post;
mod reach;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use weir_filters::{Hook, Owner, Site, SuperPackets, fun::service::SampledPacket};
use weir_guard::meaning::{Decision, Service};
use weir_hooks::{
    Changes, HookError, KernelFilter, Occupant, Owners, XdpMode, decision_count, maps::Records, verdicts_of,
};
use weir_records::{DecisionCount, ServiceDecisions, Unguarded};

pub use change::{Changed, PastDecision};
pub use error::{Absent, GuardingError};
pub use kept::Keep;
pub use network::network_path;
pub use post::Looked;

use crate::servers::{AtHook, AttachedFilter, described};
use choice::HookChoice;
use claim::Claim;
use kept::Inherited;
use network::Network;
use pace::LookPace;
use post::{Post, PostOwner};

/// Looks are no closer to each other, however often something is said.
const CLOSEST: Duration = Duration::from_millis(1);

/// The program of a guard's service, and what it is attached to; nothing stays attached where this is dropped.
pub struct GuardedService {
    service: Arc<Service>,
    network: Network,
    choice: HookChoice,
    filter: KernelFilter,
    posts: Vec<Post>,
    /// Why XDP isn't in the mode that it might be in.
    fallback: Option<String>,
    /// Whether it was seen who has the sockets.
    is_seen: bool,
    /// The sockets whose groups are guarded, by their cookies.
    seen: Vec<u64>,
    /// What was found and can't be guarded, and since when.
    missed: Vec<(PostOwner, Instant)>,
    changes: io::Result<Changes>,
    pace: LookPace,
    looked: Option<Instant>,
    due: Instant,
    unguarded: Unguarded,
    /// What programs before this one have decided, of decisions that there are still.
    kept: HashMap<Decision, u64>,
    /// The others.
    past: Vec<PastDecision>,
    /// Those of other processes.
    older: Vec<DecisionCount>,
    keep: Option<Keep>,
    /// What is kept and not yet taken over.
    inherited: Vec<Inherited>,
    /// Whether nothing is kept but what is its own.
    is_kept: bool,
    /// Whether it stood there before this process.
    is_inherited: bool,
}

/// A service that is to be guarded.
struct Starting<'a> {
    service: &'a Arc<Service>,
    keep: Option<Keep>,
    inherited: Mutex<Vec<Inherited>>,
    /// Whether anything was kept.
    is_inherited: bool,
}

impl Starting<'_> {
    /// Its program, which remembers what those before it did.
    fn load(&self, site: &Site) -> Result<KernelFilter, HookError> {
        let pins = self.keep.as_ref().map(|keep| Arc::clone(keep.pins()));
        let filter = KernelFilter::load_service(self.service, site)?.kept_in(pins);
        for inherited in &mut *self.inherited.lock() {
            inherited.begin();
            inherited.hand_on(&filter)?;
        }
        self.keep.as_ref().map_or(Ok(()), |keep| keep.beside(&filter))?;
        Ok(filter)
    }
}

impl GuardedService {
    /// Loads the service's program, and attaches it where it belongs to interfaces. Elsewhere [`Self::look`] does. What is kept of it is
    /// taken over: no packet is judged by none meanwhile.
    ///
    /// # Errors
    /// The service can't be guarded there; or what the kernel says. What was kept is kept on.
    pub fn start(service: &Arc<Service>, keep: Option<Keep>) -> Result<Self, GuardingError> {
        let is_inherited = keep.as_ref().map_or(Ok(false), |keep| keep.pins().is_any_kept());
        let is_inherited = is_inherited.map_err(HookError::from)?;
        let inherited = keep.as_ref().map(Keep::inherited).transpose()?.unwrap_or_default();
        let starting = Starting { service, keep, inherited: Mutex::new(inherited), is_inherited };
        let started = Network::of(service.at.network.as_deref()).and_then(|network| {
            let mut started = network.within(|| Self::start_here(&starting))?;
            started.network = network;
            Ok(started)
        });
        let Starting { keep, inherited, .. } = starting;
        match started {
            Ok(mut started) => {
                (started.keep, started.inherited) = (keep, inherited.into_inner());
                started.is_inherited = is_inherited;
                Ok(started)
            }
            Err(error) => {
                // Where nothing was kept, nothing is to be: not even what was attached before it failed.
                if let Some(Err(error)) = keep.filter(|_| !is_inherited).map(Keep::end) {
                    eprintln!("weir: {error}");
                }
                Err(error)
            }
        }
    }

    fn start_here(starting: &Starting<'_>) -> Result<Self, GuardingError> {
        let service = starting.service;
        let choice = HookChoice::of(&service.at)?;
        if choice.hook.owner() != Owner::Interface {
            return Self::apart(starting, choice);
        }
        let instead = |hook, how: &str, error: &GuardingError| {
            let error = error.to_string();
            let reason = format!("{how} can't be: {}", error.lines().next().unwrap_or_default());
            HookChoice { hook, reason: Some(reason), is_open: false }
        };
        match Self::at_interfaces(starting, choice.clone()) {
            Err(error) if choice.is_open && !matches!(error.occupant(), Some(Occupant::Guard(_))) => {
                Self::apart(starting, instead(Hook::Socket, "auto, since tc", &error))
            }
            Err(error) if matches!(error.occupant(), Some(Occupant::Program(_))) => {
                Self::at_interfaces(starting, instead(Hook::Tc, "since xdp", &error))
            }
            started => started,
        }
    }

    fn at_interfaces(starting: &Starting<'_>, choice: HookChoice) -> Result<Self, GuardingError> {
        let service = starting.service;
        // What comes from now on is said.
        let changes = Changes::of_interfaces();
        let interfaces = reach::interfaces(service)?;
        let owners =
            |interface, xdp_mode| Owners { interface: Some(interface), xdp_mode, ..Owners::default() };
        let at = AtHook {
            hook: choice.hook,
            listen: SocketAddr::new(reach::address(service), service.listen.port),
            super_packets: SuperPackets::Drop,
            workers: 1,
            load: |site: &Site| starting.load(site),
        };
        let attach = |filter: &KernelFilter, mode| {
            let attach = |interface| {
                filter.refuse_occupied(owners(interface, mode))?;
                Ok((filter.attach_to(owners(interface, mode))?, interface.to_string()))
            };
            let mut places = Vec::new();
            for place in interfaces.iter().map(attach) {
                match place {
                    Ok(place) => places.push(place),
                    Err(error) => {
                        // What is kept wouldn't go by itself, and may be in the way of what is tried next.
                        let new = places.into_iter().filter(|_| !starting.is_inherited);
                        new.for_each(|(attached, _)| drop(attached.detach()));
                        return Err(error);
                    }
                }
            }
            Ok(places)
        };
        let AttachedFilter { filter, places, fallback } = at.attach(XdpMode::Auto, attach, &mut None)?;
        let mut posts = Vec::new();
        for ((attached, name), interface) in places.into_iter().zip(&interfaces) {
            let knowing = filter.attach_knowing(owners(interface, XdpMode::Auto))?;
            let owner = PostOwner::Interface(interface.clone());
            posts.push(Post { owner, judging: Some((attached, name)), knowing, claim: None });
        }
        let mut guarded = Self::of(service, choice, filter, changes);
        guarded.posts = posts;
        guarded.fallback = fallback;
        guarded.looked = Some(Instant::now());
        Ok(guarded)
    }

    /// Its program alone.
    fn apart(starting: &Starting<'_>, choice: HookChoice) -> Result<Self, GuardingError> {
        let service = starting.service;
        let listen = SocketAddr::new(reach::address(service), service.listen.port);
        let filter = starting.load(&Site::new(choice.hook, listen))?;
        if choice.hook == Hook::Socket {
            claim::sweep();
        }
        let changes = Changes::of_closed_sockets(service.listen.port);
        Ok(Self::of(service, choice, filter, changes))
    }

    fn of(
        service: &Arc<Service>,
        choice: HookChoice,
        filter: KernelFilter,
        changes: io::Result<Changes>,
    ) -> Self {
        let now = Instant::now();
        Self {
            service: Arc::clone(service),
            network: Network::default(),
            choice,
            filter,
            posts: Vec::new(),
            fallback: None,
            is_seen: true,
            seen: Vec::new(),
            missed: Vec::new(),
            changes,
            pace: LookPace::new(now),
            looked: None,
            due: now,
            unguarded: Unguarded::default(),
            kept: HashMap::new(),
            past: Vec::new(),
            older: Vec::new(),
            keep: None,
            inherited: Vec::new(),
            is_kept: false,
            is_inherited: false,
        }
    }

    /// What becomes readable when something of it comes or goes; nothing where the kernel can't be listened to.
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.changes.as_ref().ok().map(AsFd::as_fd)
    }

    /// When it is to be looked for next: at once where something was said, but no more than once a millisecond.
    pub fn due(&mut self) -> Instant {
        let was_said = match self.changes.as_ref().map(Changes::forget) {
            Ok(Ok(was_said)) => was_said,
            Ok(Err(error)) => {
                self.changes = Err(error);
                true
            }
            Err(_) => false,
        };
        if was_said {
            self.pace.lost(Instant::now());
            self.due = self.looked.map_or_else(Instant::now, |looked| looked + CLOSEST);
        }
        self.due
    }

    /// Why what comes and goes is noticed by looking alone, each second.
    pub fn deafness(&self) -> Option<&io::Error> {
        self.changes.as_ref().err()
    }

    /// What was unguarded since it stood there first.
    pub fn unguarded(&self) -> Unguarded {
        self.unguarded
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The service, for those who outlive this.
    pub fn shared_service(&self) -> Arc<Service> {
        Arc::clone(&self.service)
    }

    /// Does it on the thread that finds and attaches what is of the service: this one, but for another network namespace.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.network.within(act)
    }

    /// The hook that it is guarded at.
    pub fn hook(&self) -> Hook {
        self.choice.hook
    }

    /// Why that hook, where the guard leaves it open.
    pub fn reason(&self) -> Option<&str> {
        self.choice.reason.as_deref()
    }

    /// What its program is attached to, a line each.
    pub fn places(&self) -> Vec<String> {
        let places = self.posts.iter().filter_map(|post| post.judging.as_ref());
        places.map(|place| described(place, self.fallback.as_deref())).collect()
    }

    /// Whether the kernel itself may take packets before the program: nobody is shown who has the sockets.
    pub fn may_be_the_kernels(&self) -> bool {
        !self.is_seen
    }

    /// How many packets were decided how so far, in the order of [`Service::decisions`]; those before which
    /// [`Self::past_decisions`] tells are left out.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn decisions(&self) -> Result<Vec<(Decision, u64)>, HookError> {
        let mut decisions = self.filter.all_decisions()?;
        for (decision, packets) in &mut decisions {
            *packets += self.kept.get(decision).copied().unwrap_or_default();
        }
        Ok(decisions)
    }

    /// As [`KernelFilter::take_samples`].
    ///
    /// # Errors
    /// Those.
    pub fn take_samples(&mut self) -> Result<Option<Records<SampledPacket>>, HookError> {
        self.filter.take_samples()
    }

    /// As [`KernelFilter::lost_samples`].
    ///
    /// # Errors
    /// Those.
    pub fn lost_samples(&self) -> Result<u64, HookError> {
        self.filter.lost_samples()
    }

    /// Detaches the program from everything, keeps nothing, and gives what it has decided, with what stays attached.
    ///
    /// # Errors
    /// Its counts can't be read; nothing that can be detached is attached any more.
    pub fn end(mut self) -> Result<(ServiceDecisions, Vec<HookError>), HookError> {
        let network = self.network.clone();
        network.within(|| self.end_here())
    }

    fn end_here(&mut self) -> Result<(ServiceDecisions, Vec<HookError>), HookError> {
        let attached_to = self.places();
        let mut staying = Vec::new();
        // Of what isn't there, nothing was taken over yet: its counts are told all the same.
        if let Err(error) = self.finish_taking_over() {
            eprintln!("weir: {}: {error}", self.service.name);
        }
        for Post { judging, knowing, mut claim, .. } in self.posts.drain(..) {
            if let Some(Err(error)) = judging.map(|(attached, _)| attached.detach()) {
                staying.push(error);
                claim.iter_mut().for_each(Claim::leave);
            }
            staying.extend(knowing.and_then(|attached| attached.detach().err()));
        }
        let decisions = self.decided(attached_to);
        staying.extend(self.keep.take().and_then(|keep| keep.end().err()));
        Ok((decisions?, staying))
    }

    /// Leaves the program where it is, with all that it remembers, to the next process; gives what it has decided so far.
    ///
    /// # Errors
    /// Its counts can't be read; it stays all the same.
    pub fn leave(self) -> Result<ServiceDecisions, HookError> {
        self.decided(self.places())
    }

    fn decided(&self, attached_to: Vec<String>) -> Result<ServiceDecisions, HookError> {
        let now = self.decisions()?.into_iter();
        let now = now.map(|(decision, packets)| decision_count(&self.service, decision, packets));
        let counts: Vec<_> = now.chain(self.past_counts()).filter(|count| count.packets > 0).collect();
        Ok(ServiceDecisions {
            service: self.service.name.clone(),
            mode: self.service.mode.name().to_owned(),
            hook: self.choice.hook.to_string(),
            attached_to,
            unguarded: self.unguarded,
            verdicts: verdicts_of(&counts),
            decisions: counts,
        })
    }

    /// What was decided by rules that hold no more, of other processes too; each once.
    fn past_counts(&self) -> Vec<DecisionCount> {
        let past = self.past.iter().map(|past| decision_count(&past.service, past.decision, past.packets));
        let mut counts: Vec<DecisionCount> = Vec::new();
        for count in past.chain(self.older.iter().cloned()) {
            let is_alike = |each: &&mut DecisionCount| {
                DecisionCount { packets: count.packets, ..(**each).clone() } == count
            };
            match counts.iter_mut().find(is_alike) {
                Some(each) => each.packets += count.packets,
                None => counts.push(count),
            }
        }
        counts
    }
}

impl Drop for GuardedService {
    fn drop(&mut self) {
        // Interfaces are of its namespace.
        let network = self.network.clone();
        let is_kept = self.keep.is_some();
        network.within(|| {
            let posts = self.posts.drain(..);
            if is_kept { posts.for_each(Post::leave) } else { drop(posts) }
        });
    }
}
