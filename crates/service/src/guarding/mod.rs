//! Guards in front of services that run already: what each is attached to, for as long as this lives.
//!
//! A service that isn't there yet is looked for again until it is. Nothing of it is touched but its sockets' filters.

mod change;
mod choice;
mod claim;
mod error;
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

use weir_filters::{Hook, Owner, Site, SuperPackets, fun::service::SampledPacket};
use weir_guard::meaning::{Decision, Service};
use weir_hooks::{
    Changes, HookError, KernelFilter, Occupant, Owners, XdpMode, decision_count, maps::Records, verdicts_of,
};
use weir_records::{ServiceDecisions, Unguarded};

pub use change::{Changed, PastDecision};
pub use error::{Absent, GuardingError};
pub use network::network_path;
pub use post::Looked;

use crate::servers::{AtHook, AttachedFilter, described};
use choice::HookChoice;
use claim::Claim;
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
}

impl GuardedService {
    /// Loads the service's program, and attaches it where it belongs to interfaces. Elsewhere [`Self::look`] does.
    ///
    /// # Errors
    /// The service can't be guarded there; or what the kernel says.
    pub fn start(service: &Arc<Service>) -> Result<Self, GuardingError> {
        let network = Network::of(service.at.network.as_deref())?;
        let mut started = network.within(|| Self::start_here(service))?;
        started.network = network;
        Ok(started)
    }

    fn start_here(service: &Arc<Service>) -> Result<Self, GuardingError> {
        let choice = HookChoice::of(&service.at)?;
        if choice.hook.owner() != Owner::Interface {
            return Self::apart(service, choice);
        }
        let instead = |hook, how: &str, error: &GuardingError| {
            let error = error.to_string();
            let reason = format!("{how} can't be: {}", error.lines().next().unwrap_or_default());
            HookChoice { hook, reason: Some(reason), is_open: false }
        };
        match Self::at_interfaces(service, choice.clone()) {
            Err(error) if choice.is_open && !matches!(error.occupant(), Some(Occupant::Guard(_))) => {
                Self::apart(service, instead(Hook::Socket, "auto, since tc", &error))
            }
            Err(error) if matches!(error.occupant(), Some(Occupant::Program(_))) => {
                Self::at_interfaces(service, instead(Hook::Tc, "since xdp", &error))
            }
            started => started,
        }
    }

    fn at_interfaces(service: &Arc<Service>, choice: HookChoice) -> Result<Self, GuardingError> {
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
            load: |site: &Site| KernelFilter::load_service(service, site),
        };
        let attach = |filter: &KernelFilter, mode| {
            let attach = |interface| {
                filter.refuse_occupied(owners(interface, mode))?;
                Ok((filter.attach_to(owners(interface, mode))?, interface.to_string()))
            };
            interfaces.iter().map(attach).collect()
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
    fn apart(service: &Arc<Service>, choice: HookChoice) -> Result<Self, GuardingError> {
        let listen = SocketAddr::new(reach::address(service), service.listen.port);
        let filter = KernelFilter::load_service(service, &Site::new(choice.hook, listen))?;
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

    /// Detaches the program from everything, and gives what it has decided, with what stays attached.
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
        for Post { judging, mut claim, .. } in self.posts.drain(..) {
            if let Some(Err(error)) = judging.map(|(attached, _)| attached.detach()) {
                staying.push(error);
                claim.iter_mut().for_each(Claim::leave);
            }
        }
        let now = self.decisions()?.into_iter();
        let now = now.map(|(decision, packets)| decision_count(&self.service, decision, packets));
        let past = self.past.iter().map(|past| decision_count(&past.service, past.decision, past.packets));
        let counts: Vec<_> = now.chain(past).filter(|count| count.packets > 0).collect();
        let decisions = ServiceDecisions {
            service: self.service.name.clone(),
            mode: self.service.mode.name().to_owned(),
            hook: self.choice.hook.to_string(),
            attached_to,
            unguarded: self.unguarded,
            verdicts: verdicts_of(&counts),
            decisions: counts,
        };
        Ok((decisions, staying))
    }
}

impl Drop for GuardedService {
    fn drop(&mut self) {
        // Interfaces are of its namespace.
        let network = self.network.clone();
        network.within(|| self.posts.clear());
    }
}
