//! A filter on the clients' way out, where a cell has one: what it drops never crosses to the server.

use std::net::SocketAddr;

use weir_filters::{Filter, Hook, Site};
use weir_hooks::{Attached, HookError, Interface, KernelFilter, Target, VerdictCounts};
use weir_results::{
    cell::{Cell, Placement},
    net::Side,
};

use super::{
    failure::{RunError, refused},
    site::RunSite,
};

/// The filter, attached until this is dropped.
pub struct AtTheSender {
    filter: KernelFilter,
    _attached: Attached,
}

impl AtTheSender {
    /// Attaches what `cell` places there; nothing where it places nothing there.
    ///
    /// # Errors
    /// The clients' interface isn't there, or the kernel refuses the program.
    pub fn attach(site: &RunSite, cell: &Cell, server: SocketAddr) -> Result<Option<Self>, RunError> {
        if cell.placement != Placement::Sender {
            return Ok(None);
        }
        let name = Side::Client.name();
        let tried = format!("putting a filter on the clients' interface {name}");
        site.within(Side::Client, || {
            let interface = Interface::named(name).map_err(refused(&tried))?;
            let attached = || {
                let filter = KernelFilter::load(
                    Filter::from(cell.filter),
                    cell.toolkit,
                    &Site::new(Hook::Tc, server),
                )?;
                let attached = filter.attach(Target::TcEgress(&interface))?;
                Ok::<_, HookError>(Self { filter, _attached: attached })
            };
            attached().map(Some).map_err(refused(&tried))
        })
    }

    /// What it counted.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn verdicts(self) -> Result<Option<VerdictCounts>, RunError> {
        Ok(self.filter.verdicts()?)
    }
}
