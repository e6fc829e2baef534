//! Between a port and its workers: what picks the one that gets a request.

use std::{fmt, net::UdpSocket, os::fd::AsFd as _, sync::Arc};

use weir_filters::{Filter, FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Attached, HookError, KernelFilter, Target};

use super::{ServeError, ServerKind};
use crate::{Server, WorkerPick};

/// Several workers, and how a request comes to one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many there are.
    pub count: usize,
    /// What picks.
    pub pick: WorkerPick,
    /// Why it isn't the key.
    pub reason: Option<String>,
}

/// The workers' sockets, and the program that picks among them where the filter's own doesn't.
#[derive(Default)]
pub(super) struct Seats {
    pub(super) sockets: Vec<Arc<UdpSocket>>,
    picker: Option<(KernelFilter, Attached)>,
    reason: Option<String>,
}

impl Seats {
    /// To be called before the server listens. At hook reuseport the filter's program is the one that picks.
    pub(super) fn prepare(server: &Server, hook: Hook) -> Self {
        let sockets = server.sockets();
        if sockets.len() < 2 || hook == Hook::Reuseport {
            return Self { sockets, picker: None, reason: None };
        }
        match picker(server, sockets.len() as u32) {
            Ok(picker) => Self { sockets, picker: Some(picker), reason: None },
            Err(error) => Self { sockets, picker: None, reason: Some(error.to_string()) },
        }
    }

    /// Gives the workers their places, once the server listens.
    pub(super) fn fill(&self, filter: Option<&KernelFilter>) -> Result<(), HookError> {
        let picker = self.picker.as_ref().map(|(picker, _)| picker).or(filter);
        picker.map_or(Ok(()), |picker| picker.seat(&self.sockets))
    }

    /// What to say of them; nothing where there is one.
    pub(super) fn workers(&self) -> Option<Workers> {
        let pick = if self.reason.is_none() { WorkerPick::Key } else { WorkerPick::Hash };
        let count = self.sockets.len();
        (count > 1).then(|| Workers { count, pick, reason: self.reason.clone() })
    }
}

/// A program that lets everything through and picks.
fn picker(server: &Server, workers: u32) -> Result<(KernelFilter, Attached), HookError> {
    // A packet of several datagrams goes where its first one does: any worker may serve any key.
    let site = Site {
        workers,
        super_packets: SuperPackets::Pass,
        ..Site::new(Hook::Reuseport, server.local_addr())
    };
    let filter = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site)?;
    let attached = filter.attach(Target::Reuseport(server.socket().as_fd()))?;
    Ok((filter, attached))
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => write!(f, "{} workers, each for its share of the keys", self.count),
            Some(reason) => write!(
                f,
                "{} workers, between which the kernel's hash of addresses and ports picks: {reason}",
                self.count
            ),
        }
    }
}

/// Whether several workers can serve so.
pub(crate) fn check(workers: usize, kind: ServerKind, filter: Filter, hook: Hook) -> Result<(), ServeError> {
    let refused = |what| Err(ServeError::Workers { workers, what });
    match () {
        () if workers < 2 => Ok(()),
        () if kind.probe().is_some() => {
            refused(format!("{kind} watches the receive calls on one socket; leave --workers out"))
        }
        () if hook == Hook::User && filter.is_dynamic() => refused(format!(
            "at hook user each would have a memory of its own for {filter}; filter in the kernel, where it is shared"
        )),
        () => Ok(()),
    }
}
