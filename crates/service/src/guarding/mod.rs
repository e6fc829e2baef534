//! Guards in front of services that run already: what each is attached to, for as long as this lives.
//!
//! A service that isn't there yet is looked for again until it is. Nothing of it is touched but its sockets' filters.

mod choice;
mod error;
mod reach;

use std::{net::SocketAddr, os::fd::AsFd as _, path::PathBuf, sync::Arc};

use weir_filters::{Hook, Owner, Site, SuperPackets, fun::service::SampledPacket};
use weir_guard::meaning::{Decision, Service};
use weir_hooks::{Attached, BoundSocket, HookError, KernelFilter, Owners, XdpMode, maps::Records};
use weir_records::ServiceDecisions;

pub use error::{Absent, GuardingError};

use crate::servers::{AtHook, AttachPlaces, AttachedFilter, described};
use choice::HookChoice;

/// The program of a guard's service, and what it is attached to; nothing stays attached where this is dropped.
pub struct GuardedService {
    service: Arc<Service>,
    choice: HookChoice,
    filter: KernelFilter,
    places: AttachPlaces,
    /// Why XDP isn't in the mode that it might be in.
    fallback: Option<String>,
    /// Where what the service sends is seen, if that is asked for.
    knowing: Vec<Attached>,
    sockets: Vec<BoundSocket>,
    groups: Vec<PathBuf>,
    /// Whether it was seen who has the sockets.
    is_seen: bool,
}

impl GuardedService {
    /// Loads the service's program, and attaches it where it belongs to interfaces. Elsewhere [`Self::look`] does.
    ///
    /// # Errors
    /// The service can't be guarded there; or what the kernel says.
    pub fn start(service: &Arc<Service>) -> Result<Self, GuardingError> {
        let choice = HookChoice::of(&service.at)?;
        match choice.hook.owner() {
            Owner::Interface => match Self::at_interfaces(service, choice.clone()) {
                Err(error) if choice.is_open => {
                    let error = error.to_string();
                    let reason =
                        format!("auto, since tc can't be: {}", error.lines().next().unwrap_or_default());
                    Self::apart(
                        service,
                        HookChoice { hook: Hook::Socket, reason: Some(reason), is_open: false },
                    )
                }
                started => started,
            },
            _ => Self::apart(service, choice),
        }
    }

    fn at_interfaces(service: &Arc<Service>, choice: HookChoice) -> Result<Self, GuardingError> {
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
            let attach = |interface| Ok((filter.attach_to(owners(interface, mode))?, interface.to_string()));
            interfaces.iter().map(attach).collect()
        };
        let AttachedFilter { filter, places, fallback } = at.attach(XdpMode::Auto, attach, &mut None)?;
        let knowing = interfaces
            .iter()
            .filter_map(|interface| filter.attach_knowing(owners(interface, XdpMode::Auto)).transpose());
        let knowing = knowing.collect::<Result<_, _>>()?;
        Ok(Self { places, fallback, knowing, ..Self::of(service, choice, filter) })
    }

    /// Its program alone.
    fn apart(service: &Arc<Service>, choice: HookChoice) -> Result<Self, GuardingError> {
        let listen = SocketAddr::new(reach::address(service), service.listen.port);
        let filter = KernelFilter::load_service(service, &Site::new(choice.hook, listen))?;
        Ok(Self::of(service, choice, filter))
    }

    fn of(service: &Arc<Service>, choice: HookChoice, filter: KernelFilter) -> Self {
        Self {
            service: Arc::clone(service),
            choice,
            filter,
            places: Vec::new(),
            fallback: None,
            knowing: Vec::new(),
            sockets: Vec::new(),
            groups: Vec::new(),
            is_seen: true,
        }
    }

    /// Attaches the program to what has come of the service since the last look; whether that was anything.
    ///
    /// # Errors
    /// Nothing of the service is there; or what is there can't be guarded.
    pub fn look(&mut self) -> Result<bool, GuardingError> {
        let before = self.places.len();
        match self.choice.hook {
            Hook::Socket => self.look_for_sockets()?,
            Hook::Cgroup => self.look_for_groups()?,
            _ => {}
        }
        Ok(self.places.len() > before)
    }

    fn look_for_sockets(&mut self) -> Result<(), GuardingError> {
        let sockets = reach::sockets(&self.service, Hook::Socket)?;
        if self.service.known.is_some() {
            self.look_for_groups()?;
        }
        for (socket, holder) in sockets {
            let is_guarded = self.sockets.iter().any(|guarded| guarded.cookie == socket.cookie);
            let Some(holder) = holder.filter(|_| !is_guarded) else { continue };
            let attached = self.filter.attach_to_anothers(&socket, holder)?;
            self.places.push((attached, format!("{socket} of process {}", holder.process)));
            self.sockets.push(socket);
        }
        Ok(())
    }

    /// At the socket only what the service sends is seen at a group.
    fn look_for_groups(&mut self) -> Result<(), GuardingError> {
        let (groups, is_seen) = reach::groups(&self.service, self.choice.hook)?;
        self.is_seen = is_seen;
        for (path, folder) in groups {
            if self.groups.contains(&path) {
                continue;
            }
            let owners = Owners { group: Some(folder.as_fd()), ..Owners::default() };
            self.knowing.extend(self.filter.attach_knowing(owners)?);
            if self.choice.hook == Hook::Cgroup {
                self.places.push((self.filter.attach_to(owners)?, path.display().to_string()));
            }
            self.groups.push(path);
        }
        Ok(())
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.service
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
        self.places.iter().map(|place| described(place, self.fallback.as_deref())).collect()
    }

    /// Whether the kernel itself may take packets before the program: nobody is shown who has the sockets.
    pub fn may_be_the_kernels(&self) -> bool {
        !self.is_seen
    }

    /// How many packets its program has decided how so far, in the order of [`Service::decisions`].
    ///
    /// # Errors
    /// What the kernel says.
    pub fn decisions(&self) -> Result<Vec<(Decision, u64)>, HookError> {
        self.filter.all_decisions()
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
    pub fn end(self) -> Result<(ServiceDecisions, Vec<HookError>), HookError> {
        let attached_to = self.places();
        drop(self.knowing);
        let staying: Vec<_> =
            self.places.into_iter().filter_map(|(attached, _)| attached.detach().err()).collect();
        let decisions = ServiceDecisions {
            service: self.service.name.clone(),
            mode: self.service.mode.name().to_owned(),
            hook: self.choice.hook.to_string(),
            attached_to,
            verdicts: self.filter.verdicts()?.unwrap_or_default(),
            decisions: self.filter.decisions()?,
        };
        Ok((decisions, staying))
    }
}
