//! A server's filter in its place: at the socket before it is bound, or below it before anything gets through.

use std::{net::SocketAddr, os::fd::AsFd, path::PathBuf};

use weir_filters::{Filter, Hook, Owner, Site, SuperPackets, Toolkit};
use weir_hooks::{HookError, Interface, KernelFilter, Owners, VerdictCounts, XdpMode, gso_layout};

use super::{
    ServeError,
    at_hook::{AtHook, AttachedFilter},
    attachments::{AttachPlaces, described, heal},
    front::Front,
    workers::Seats,
};
use crate::{Server, control_group::ControlGroup};

/// What a hook belongs to, where there is a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachChoice {
    /// Interfaces of a hook that belongs to one; where none is named, those by which packets from elsewhere reach the
    /// address that is listened on ([`Interface::reaching`]).
    pub interfaces: Vec<String>,
    /// The control group of a hook that belongs to one, which the server enters; where none is named, a new one that it
    /// removes.
    pub cgroup: Option<PathBuf>,
    /// Where XDP runs.
    pub xdp_mode: XdpMode,
    /// What becomes of packets that are several datagrams.
    pub super_packets: SuperPackets,
}

/// A filter that decides for a server, until this is dropped.
#[derive(Default)]
pub(crate) struct Standing {
    pub(super) filter: Option<KernelFilter>,
    attached: AttachPlaces,
    /// At the hook, where the filter decides at the sockets because nothing can tell packets of several datagrams there.
    front: Option<Front>,
    pub(super) seats: Seats,
    /// Why it isn't where it was asked for, or not in that mode.
    fallback: Option<String>,
    /// Left when nothing is attached to it any more.
    _group: Option<ControlGroup>,
}

/// What a server's sockets must be made in.
pub(super) struct Ground<'a> {
    hook: Hook,
    place: &'a AttachChoice,
    workers: u32,
    group: Option<ControlGroup>,
}

impl<'a> Ground<'a> {
    /// To be called before the server is opened: a socket belongs to the control group that its process is in then.
    pub(super) fn prepare(hook: Hook, place: &'a AttachChoice, workers: usize) -> Result<Self, ServeError> {
        let group = match (hook.owner(), &place.cgroup) {
            (Owner::ControlGroup, Some(path)) => Some(ControlGroup::existing(path)?),
            (Owner::ControlGroup, None) => Some(ControlGroup::fresh()?),
            _ => None,
        };
        Ok(Self { hook, place, workers: workers as u32, group })
    }

    /// Has `server` listen, with what `load` loads deciding from the first packet on; below the socket the port must be
    /// known first, and nothing gets through until the filter decides.
    pub(super) fn listen(
        self,
        server: &mut Server,
        load: impl Fn(&Site) -> Result<KernelFilter, HookError>,
    ) -> Result<Standing, ServeError> {
        let asked = server.local_addr();
        let seats = Seats::prepare(server, self.hook);
        let owner = self.hook.owner();
        let mut standing = match owner {
            Owner::Server => {
                server.listen()?;
                Standing::default()
            }
            Owner::Socket | Owner::SharedPort => {
                if owner == Owner::SharedPort {
                    server.share_port()?;
                }
                let standing = self.stand(server, asked, load)?;
                server.listen()?;
                standing
            }
            Owner::ControlGroup | Owner::Interface => {
                server.hold()?;
                let listen = server.listen()?;
                let asked = self.hook;
                let standing = self.stand(server, listen, load)?;
                if standing.decides_elsewhere_than(asked).is_some() {
                    // What was put at the sockets took the place of what kept packets out.
                    server.released()?;
                } else {
                    server.release()?;
                }
                standing
            }
        };
        standing.seats = seats;
        let picks = standing.front.as_ref().map(|front| &front.program).or(standing.filter.as_ref());
        standing.seats.fill(picks)?;
        Ok(standing)
    }

    fn stand(
        self,
        server: &Server,
        listen: SocketAddr,
        load: impl Fn(&Site) -> Result<KernelFilter, HookError>,
    ) -> Result<Standing, ServeError> {
        let mode = self.place.xdp_mode;
        let interfaces = match self.hook.owner() {
            Owner::Interface => self.interfaces(listen)?,
            _ => Vec::new(),
        };
        let attach = |filter: &KernelFilter, mode| self.attach(server, &interfaces, filter, mode);
        let super_packets = self.place.super_packets;
        let at = AtHook { hook: self.hook, listen, super_packets, workers: self.workers, load };
        let mut untold = None;
        let standing = match at.attach(mode, attach, &mut untold) {
            Err(HookError::SuperPackets { .. }) if mode != XdpMode::Native => {
                self.judge_at_the_sockets(server, &at, untold.as_ref(), attach)?
            }
            attached => {
                let AttachedFilter { filter, places, fallback } = attached?;
                Standing { filter: Some(filter), attached: places, fallback, ..Standing::default() }
            }
        };
        Ok(Standing { _group: self.group, ..standing })
    }

    /// Where the program at the hook isn't told that a packet is several datagrams, by this kernel or by its toolkit;
    /// `untold` is why one that is couldn't be loaded.
    fn judge_at_the_sockets(
        &self,
        server: &Server,
        at: &AtHook<impl Fn(&Site) -> Result<KernelFilter, HookError>>,
        untold: Option<&HookError>,
        attach: impl Fn(&KernelFilter, XdpMode) -> Result<AttachPlaces, HookError>,
    ) -> Result<Standing, ServeError> {
        let filter = (at.load)(&Site::new(Hook::Socket, at.listen))?;
        let mode = XdpMode::Generic;
        let decides = filter.filter().map(|filter| Front::filter(filter, self.hook));
        let is_of_use = self.hook.owner() == Owner::Interface || self.workers > 1;
        let front = decides.filter(|_| is_of_use).map(|decides| {
            let site = Front::site(at.site(mode));
            let program = match filter.filter() {
                Some(filter) if filter == decides => (at.load)(&site)?,
                _ => KernelFilter::load(decides, Toolkit::Fun, &site)?,
            };
            let attached = attach(&program, mode)?;
            Ok::<_, HookError>(Front { program, attached })
        });
        let front = front.transpose()?;
        let sockets = server.sockets();
        let name = |number| if number == 0 { "the server's socket".to_owned() } else { String::new() };
        let attached =
            sockets.iter().enumerate().map(|(number, socket)| Ok((filter.attach(socket)?, name(number))));
        let attached = attached.collect::<Result<_, HookError>>()?;
        let untold = match (gso_layout(self.hook), untold) {
            (Err(lack), _) => lack.to_string(),
            (Ok(_), Some(error)) => error.in_a_line(),
            (Ok(_), None) => "one of the toolkit fun would be".to_owned(),
        };
        let reason = format!(
            "packets of several datagrams can come in at hook {}, of which the program there isn't told ({untold}); they \
             are one by one here",
            self.hook
        );
        Ok(Standing { filter: Some(filter), attached, front, fallback: Some(reason), ..Standing::default() })
    }

    fn attach(
        &self,
        server: &Server,
        interfaces: &[Interface],
        filter: &KernelFilter,
        mode: XdpMode,
    ) -> Result<AttachPlaces, HookError> {
        let none = Owners::default();
        let attach =
            |owners: Owners<'_>, name: String| filter.attach_to(owners).map(|attached| (attached, name));
        match self.hook.owner() {
            owner @ (Owner::Socket | Owner::SharedPort) => {
                let sockets = server.sockets();
                let count = if owner == Owner::Socket { sockets.len() } else { 1 };
                let of = |socket| Owners { socket: Some(socket), ..none };
                sockets.iter().take(count).map(|socket| attach(of(socket.as_fd()), String::new())).collect()
            }
            // Without one it is refused.
            Owner::Server | Owner::ControlGroup => {
                let group = self.group.as_ref();
                let name = group.map(|group| group.path().display().to_string()).unwrap_or_default();
                attach(Owners { group: group.map(AsFd::as_fd), ..none }, name).map(|place| vec![place])
            }
            Owner::Interface => {
                let of = |interface| Owners { interface: Some(interface), xdp_mode: mode, ..none };
                interfaces.iter().map(|interface| attach(of(interface), interface.to_string())).collect()
            }
        }
    }

    fn interfaces(&self, listen: SocketAddr) -> Result<Vec<Interface>, ServeError> {
        let named = |name: &String| {
            Interface::named(name).map_err(|cause| ServeError::Interface { name: name.clone(), cause })
        };
        if !self.place.interfaces.is_empty() {
            return self.place.interfaces.iter().map(named).collect();
        }
        let address = listen.ip();
        let failed = |cause| ServeError::Interface { name: format!("that has {address}"), cause };
        let found = Interface::reaching(address).map_err(failed)?;
        if found.is_empty() {
            return Err(failed(std::io::ErrorKind::NotFound.into()));
        }
        Ok(found)
    }
}

/// What is said of a program that decides before the sockets do.
const BEFORE: &str = "before that, by the first datagram of each packet";

/// The interfaces that were deleted and made again.
pub(crate) struct Healed {
    /// Where the filter is attached again: packets went by unjudged.
    pub(crate) deciding: Vec<String>,
    /// Where what drops before the sockets, which judge everything, is attached again; or why it can't be.
    pub(crate) before: Result<Vec<String>, HookError>,
}

impl Standing {
    /// The hook where the filter decides, if that isn't the one that was asked for: the sockets may have it instead.
    pub(crate) fn decides_elsewhere_than(&self, asked: Hook) -> Option<Hook> {
        self.attached.first().map(|(attached, _)| attached.hook()).filter(|hook| *hook != asked)
    }

    /// Puts `next` in the place of `before`, everywhere or nowhere: at several interfaces one after the other, so that for a
    /// moment both decide, each at its own.
    pub(crate) fn replace(&self, before: &KernelFilter, next: &KernelFilter) -> Result<(), HookError> {
        for (number, (attached, _)) in self.attached.iter().enumerate() {
            if let Err(error) = attached.replace(next) {
                self.put_back(before, number);
                return Err(error);
            }
        }
        // In between the kernel's hash picks.
        let seated = before.unseat().and_then(|()| next.seat(&self.seats.sockets));
        if seated.is_err() {
            self.put_back(before, self.attached.len());
        }
        seated
    }

    /// Attaches the filter again wherever an interface was deleted and made again.
    pub(crate) fn heal(&mut self, filter: &KernelFilter) -> Result<Healed, HookError> {
        Ok(Healed {
            deciding: heal(&mut self.attached, filter)?,
            before: self.front.as_mut().map_or(Ok(Vec::new()), Front::heal),
        })
    }

    /// What decides before the sockets follows what was put in place there, or that is taken back. Gives what it dropped
    /// before.
    pub(crate) fn replace_front(
        &mut self,
        before: &KernelFilter,
        filter: Filter,
        toolkit: Toolkit,
    ) -> Result<u64, HookError> {
        let Some(front) = &mut self.front else { return Ok(0) };
        let replaced = front.replace(filter, toolkit);
        if replaced.is_err() {
            self.put_back(before, self.attached.len());
        }
        replaced
    }

    /// What the filter decided, and what was dropped before it.
    pub(crate) fn verdicts(&self, filter: &KernelFilter) -> Result<Option<VerdictCounts>, HookError> {
        let counts = filter.verdicts()?;
        match (&self.front, counts) {
            (Some(front), Some(counts)) => front.add_to(counts).map(Some),
            _ => Ok(counts),
        }
    }

    /// To the first so many: it was attached, and seated, there a moment ago.
    fn put_back(&self, before: &KernelFilter, places: usize) {
        for (attached, _) in &self.attached[..places] {
            let _ = attached.replace(before);
        }
        let _ = before.seat(&self.seats.sockets);
    }

    /// What the filter is attached to, a line each, where that isn't the server's socket.
    pub(super) fn places(&self) -> Vec<String> {
        let here = self.attached.iter().map(|place| (place, self.fallback.as_deref()));
        let before = self.front.iter().flat_map(|front| &front.attached).map(|place| (place, Some(BEFORE)));
        let named = here.chain(before).filter(|((_, name), _)| !name.is_empty());
        named.map(|(place, fallback)| described(place, fallback)).collect()
    }
}
