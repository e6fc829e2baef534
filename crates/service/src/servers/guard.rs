//! Serving behind a guard's program, in place of a filter of the catalogue.

use std::sync::Arc;

use weir_filters::{FilterName, Hook, Site, Toolkit};
use weir_guard::meaning::Service;
use weir_hooks::KernelFilter;

use super::{Between, Ready, ServeError, ServePlan, Served, ServerKind, serve_behind};

/// What the record calls the toolkit of a guard's program.
const TOOLKIT: &str = "guard";

/// Serves as [`super::serve`] does, behind the program of a guard's service: `plan`'s filter and toolkit are not looked at. What
/// it decided how is in the record, and shown at the end.
///
/// # Errors
/// The server, or the hook, is none for a guard, before the kernel is asked; or what [`super::serve`] says.
pub fn serve_guard(
    plan: ServePlan,
    service: &Arc<Service>,
    on_ready: impl FnOnce(Ready<'_>),
) -> Result<Served, ServeError> {
    check(&plan, service).map_err(|what| ServeError::Guard { service: service.name.clone(), what })?;
    let load = |site: &Site| KernelFilter::load_service(service, site);
    let names = Some((service.name.clone(), TOOLKIT.to_owned()));
    let plan = ServePlan { filter: FilterName::Simple.into(), toolkit: Toolkit::Fun, ..plan };
    let behind = Between { load, changeable: false, names, control: None };
    let mut served = serve_behind(&plan, behind, on_ready)?;
    for count in &served.summary.decisions {
        served.shown += &format!("{count}\n");
    }
    Ok(served)
}

/// Whether the service's program can stand before that server.
fn check(plan: &ServePlan, service: &Service) -> Result<(), String> {
    let ServePlan { kind, hook, .. } = *plan;
    let fits = |kind: &ServerKind| kind.check(FilterName::Simple, Toolkit::Fun, hook).is_ok();
    match () {
        () if hook == Hook::User => {
            Err(format!("it is a program, and the server's own loop takes none; choose one of {}", Hook::named(|_| true)))
        }
        () if service.known.is_some() => {
            let what = "it asks which sources the service has answered (`known`), which a second program sees; a server carries \
                        one: leave `known` out";
            Err(what.to_owned())
        }
        () if hook == Hook::Reuseport && plan.config.workers.get() > 1 => {
            Err("at hook reuseport its program gives no worker its keys; leave --workers out, or choose another hook".to_owned())
        }
        () if !fits(&kind) => {
            let others: Vec<_> = ServerKind::ALL.into_iter().filter(fits).map(ServerKind::as_str).collect();
            Err(format!("{kind} is for a filter of the catalogue; behind a guard serve {}", others.join(", ")))
        }
        () => Ok(()),
    }
}
