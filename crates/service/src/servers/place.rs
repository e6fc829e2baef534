//! A server's filter in its place: at the socket before it is bound, or below it before anything gets through.

use std::{net::SocketAddr, os::fd::AsFd as _, path::PathBuf};

use weir_filters::{Hook, Site, SuperPackets};
use weir_hooks::{Attached, HookError, Interface, KernelFilter, Target, XdpMode, gso_layout};

use super::{ServeError, Workers, workers::Seats};
use crate::{Server, control_group::ControlGroup};

/// What a hook belongs to, where there is a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Interfaces of the hooks tc and xdp; where none is named, those by which packets from elsewhere reach the address
    /// that is listened on ([`Interface::reaching`]).
    pub interfaces: Vec<String>,
    /// The control group of the hook cgroup, which the server enters; where none is named, a new one that it removes.
    pub cgroup: Option<PathBuf>,
    /// Where XDP runs.
    pub xdp_mode: XdpMode,
    /// What becomes of packets that are several datagrams.
    pub super_packets: SuperPackets,
}

/// What a filter is attached to, each with its name; empty where that is the server's socket.
type Places = Vec<(Attached, String)>;

/// A filter that decides for a server, until this is dropped.
pub(crate) struct Standing {
    pub(super) filter: Option<KernelFilter>,
    attached: Places,
    seats: Seats,
    /// Why XDP runs in generic mode everywhere.
    fallback: Option<String>,
    /// Left when nothing is attached to it any more.
    _group: Option<ControlGroup>,
}

/// What a server's sockets must be made in.
pub(super) struct Ground<'a> {
    hook: Hook,
    place: &'a Place,
    workers: u32,
    group: Option<ControlGroup>,
}

impl<'a> Ground<'a> {
    /// To be called before the server is opened: a socket belongs to the control group that its process is in then.
    pub(super) fn prepare(hook: Hook, place: &'a Place, workers: usize) -> Result<Self, ServeError> {
        let group = match (hook, &place.cgroup) {
            (Hook::Cgroup, Some(path)) => Some(ControlGroup::existing(path)?),
            (Hook::Cgroup, None) => Some(ControlGroup::fresh()?),
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
        let standing = match self.hook {
            Hook::User => {
                server.listen()?;
                Standing { filter: None, attached: Vec::new(), fallback: None, seats, _group: None }
            }
            Hook::Socket | Hook::Reuseport => {
                if self.hook == Hook::Reuseport {
                    server.share_port()?;
                }
                let standing = self.stand(server, asked, seats, load)?;
                server.listen()?;
                standing
            }
            Hook::Cgroup | Hook::Tc | Hook::Xdp => {
                server.hold()?;
                let listen = server.listen()?;
                let standing = self.stand(server, listen, seats, load)?;
                server.release()?;
                standing
            }
        };
        standing.seats.fill(standing.filter.as_ref())?;
        Ok(standing)
    }

    fn stand(
        self,
        server: &Server,
        listen: SocketAddr,
        seats: Seats,
        load: impl Fn(&Site) -> Result<KernelFilter, HookError>,
    ) -> Result<Standing, ServeError> {
        let mode = self.place.xdp_mode;
        let filter = self.load(listen, mode, &load)?;
        let (filter, attached, fallback) = match self.attach(server, &filter, mode) {
            Err(ServeError::Hook(refusal)) if self.hook == Hook::Xdp && mode == XdpMode::Auto => {
                self.fall_back(server, listen, load, refusal)?
            }
            attached => (filter, attached?, None),
        };
        Ok(Standing { filter: Some(filter), attached, fallback, seats, _group: self.group })
    }

    /// Where an ordinary program was refused because super-packets can come in: one that tells them, in generic mode at every
    /// interface, since it is for no driver. Where there is none the refusal stays.
    fn fall_back(
        &self,
        server: &Server,
        listen: SocketAddr,
        load: impl Fn(&Site) -> Result<KernelFilter, HookError>,
        refusal: HookError,
    ) -> Result<(KernelFilter, Places, Option<String>), ServeError> {
        let HookError::SuperPackets { fallback, .. } = &refusal else { return Err(refusal.into()) };
        let reason = fallback.as_deref().unwrap_or("a program in the driver can't");
        let told = format!("to tell packets of several datagrams; {reason}");
        let generic =
            self.load(listen, XdpMode::Generic, load).map_err(ServeError::from).and_then(|filter| {
                let attached = self.attach(server, &filter, XdpMode::Generic)?;
                Ok((filter, attached, Some(told)))
            });
        generic.map_err(|_| refusal.into())
    }

    /// A program that tells super-packets, where it must and the kernel lets it; attaching another refuses if any can come.
    fn load(
        &self,
        listen: SocketAddr,
        mode: XdpMode,
        load: impl Fn(&Site) -> Result<KernelFilter, HookError>,
    ) -> Result<KernelFilter, HookError> {
        let site = self.site(listen, mode);
        let loaded = load(&site);
        if site.gso.is_some() && loaded.is_err() { load(&Site { gso: None, ..site }) } else { loaded }
    }

    fn site(&self, listen: SocketAddr, mode: XdpMode) -> Site {
        let super_packets = self.place.super_packets;
        let sees_whole = self.hook == Hook::Reuseport || self.hook == Hook::Xdp && mode == XdpMode::Generic;
        let must_tell = sees_whole && super_packets == SuperPackets::Drop;
        let gso = must_tell.then(|| gso_layout(self.hook).ok()).flatten();
        Site { super_packets, gso, workers: self.workers, ..Site::new(self.hook, listen) }
    }

    fn attach(&self, server: &Server, filter: &KernelFilter, mode: XdpMode) -> Result<Places, ServeError> {
        let sockets = server.sockets();
        let interfaces = match self.hook {
            Hook::Tc | Hook::Xdp => self.interfaces(server.local_addr())?,
            _ => Vec::new(),
        };
        let each = |target: fn(&Interface, XdpMode) -> Target<'_>| -> Vec<_> {
            interfaces.iter().map(|found| (target(found, mode), found.to_string())).collect()
        };
        let targets = match (self.hook, &self.group) {
            (Hook::Tc, _) => each(|interface, _| Target::Tc(interface)),
            (Hook::Xdp, _) => each(|interface, mode| Target::Xdp(interface, mode)),
            (_, Some(group)) => vec![(Target::Cgroup(group.as_fd()), group.path().display().to_string())],
            (Hook::Reuseport, None) => vec![(Target::Reuseport(sockets[0].as_fd()), String::new())],
            (_, None) => {
                sockets.iter().map(|socket| (Target::Socket(socket.as_fd()), String::new())).collect()
            }
        };
        let attached = targets.into_iter().map(|(target, name)| Ok((filter.attach(target)?, name)));
        Ok(attached.collect::<Result<_, HookError>>()?)
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

impl Standing {
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
        let seated = before.unseat().and_then(|()| next.seat(self.seats.sockets()));
        if seated.is_err() {
            self.put_back(before, self.attached.len());
        }
        seated
    }

    /// To the first so many: it was attached, and seated, there a moment ago.
    fn put_back(&self, before: &KernelFilter, places: usize) {
        for (attached, _) in &self.attached[..places] {
            let _ = attached.replace(before);
        }
        let _ = before.seat(self.seats.sockets());
    }

    /// The server's workers, where there are several.
    pub(super) fn workers(&self) -> Option<Workers> {
        self.seats.workers()
    }

    /// What the filter is attached to, a line each, where that isn't the server's socket.
    pub(super) fn places(&self) -> Vec<String> {
        let line = |(attached, name): &(Attached, String)| {
            let mode = attached.mode().map(|mode| format!(" ({mode})")).unwrap_or_default();
            let fallback = attached.fallback().or(self.fallback.as_deref());
            let fallback = fallback.map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{name}{mode}{fallback}")
        };
        self.attached.iter().filter(|(_, name)| !name.is_empty()).map(line).collect()
    }
}
