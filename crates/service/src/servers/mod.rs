//! The servers of the catalogue: the bag server with something done before and after it serves.

mod after;
mod at_hook;
mod attachments;
mod front;
mod guard;
mod interfaces;
mod kind;
mod object;
mod place;
mod signals;
mod watch;
mod workers;

use std::{net::SocketAddr, path::Path, sync::Arc};

use thiserror::Error;
use weir_filters::{Filter, Gap, Hook, Owner, Site, Toolkit};
use weir_hooks::{HookError, KernelFilter, Statistics};

pub(crate) use at_hook::{AtHook, AttachedFilter};
pub(crate) use attachments::described;
pub use guard::serve_guard;
pub use kind::{Misfit, ServerKind};
pub use object::{ObjectProgram, serve_object};
pub use place::AttachChoice;
use place::Ground;
pub(crate) use place::{Healed, Standing};
use signals::Signals;
use watch::Watch;
pub use workers::Workers;
pub(crate) use workers::check as check_workers;

use crate::{
    ControlGroupError, Moderation, Server, ServerConfig, ServerError, ServerSummary,
    control::{Control, ControlError, Running, Setup},
};

/// What to serve: which server, behind which filter, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServePlan {
    /// The server.
    pub kind: ServerKind,
    /// The filter.
    pub filter: Filter,
    /// How the filter is written.
    pub toolkit: Toolkit,
    /// Where it runs.
    pub hook: Hook,
    /// What the hook belongs to, where there is a choice.
    pub place: AttachChoice,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How to serve; its `filter` is set here, from the hook.
    pub config: ServerConfig,
    /// Keep BPF statistics on while it serves; `ebpf-stats-server` does so by itself.
    pub statistics: bool,
}

/// Why serving failed.
#[derive(Debug, Error)]
pub enum ServeError {
    /// That filter can't run there.
    #[error("{filter} with toolkit {toolkit} at hook {hook}: {gap}; `weir filters` shows what there is")]
    Unavailable {
        /// The filter.
        filter: Filter,
        /// How it is written.
        toolkit: Toolkit,
        /// Where it was to run.
        hook: Hook,
        /// The reason.
        gap: Gap,
    },
    /// That server and that filter don't fit.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The kernel's BPF side.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The socket.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// There can be no control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The control group.
    #[error(transparent)]
    Group(#[from] ControlGroupError),
    /// No such interface to attach to.
    #[error(
        "attaching to the interface {name}: {cause}; `ip address` lists those there are, --interface names one"
    )]
    Interface {
        /// Its name, or what was looked for.
        name: String,
        /// What came back.
        cause: std::io::Error,
    },
    /// Several workers can't serve so.
    #[error("{workers} workers: {what}")]
    Workers {
        /// How many.
        workers: usize,
        /// The reason, and what to do.
        what: String,
    },
    /// That server can't serve behind a guard, or not behind this one.
    #[error("serving behind the guard of '{service}': {what}")]
    Guard {
        /// The service's name.
        service: String,
        /// The reason, and what to do.
        what: String,
    },
    /// Signals can't be caught.
    #[error("catching signals: {0}")]
    Signals(std::io::Error),
    /// Nobody says when interfaces come and go.
    #[error("asking to be told when interfaces come and go (rtnetlink): {0}")]
    Interfaces(std::io::Error),
}

impl ServeError {
    /// Whether what was asked for can't be, rather than that it failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Misfit(_) | Self::Workers { .. } | Self::Guard { .. })
    }
}

/// What is left when a server has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The record of the run.
    pub summary: ServerSummary,
    /// What this server shows at its end, for people to read; empty for `simple-server`.
    pub shown: String,
}

/// Serves until STOP, SIGINT or SIGTERM, then does what the server does at its end. `on_ready` is called when
/// requests are served. Through a control socket at `control` what decides can be changed meanwhile ([`crate::control`]).
pub fn serve(
    plan: ServePlan,
    control: Option<&Path>,
    on_ready: impl FnOnce(Ready<'_>),
) -> Result<Served, ServeError> {
    plan.check()?;
    let ServePlan { filter, toolkit, .. } = plan;
    let changeable = filter.has_changeable_parameter();
    let load = |site: &Site| KernelFilter::load(filter, toolkit, site);
    let behind = Between { load, changeable, names: None, control };
    serve_behind(&plan, behind, on_ready)
}

/// A server that serves.
#[derive(Clone, Copy, Debug)]
pub struct Ready<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its program is attached to, where that isn't its socket.
    pub attached_to: &'a [String],
    /// Its workers, where there are several.
    pub workers: Option<&'a Workers>,
    /// How its reading is moderated.
    pub moderation: Moderation,
}

/// What stands between the socket and the server.
struct Between<'a, L> {
    /// Loads the program, where the hook has one.
    load: L,
    /// Whether SIGUSR1 flips its parameter.
    changeable: bool,
    /// What the record calls filter and toolkit, where they aren't the catalogue's.
    names: Option<(String, String)>,
    control: Option<&'a Path>,
}

fn serve_behind(
    plan: &ServePlan,
    behind: Between<'_, impl Fn(&Site) -> Result<KernelFilter, HookError>>,
    on_ready: impl FnOnce(Ready<'_>),
) -> Result<Served, ServeError> {
    let Between { load, changeable, names, control } = behind;
    let ServePlan { kind, filter, toolkit, hook, .. } = *plan;
    let count = plan.config.workers.get();
    check_workers(count, kind, filter, hook)?;
    let ground = Ground::prepare(hook, &plan.place, count)?;
    let config = ServerConfig { filter: (hook == Hook::User).then_some(filter), ..plan.config };
    let mut server = Server::open(plan.listen, config)?;
    let mut standing = ground.listen(&mut server, load)?;
    let attached_to = standing.places();
    let decides_at = standing.decides_elsewhere_than(hook);
    let workers = standing.seats.workers();
    let program = standing.filter.take();
    let parameter = program.as_ref().filter(|_| changeable).map(KernelFilter::parameter_map).transpose()?;
    let setup =
        Setup { kind, filter, toolkit, hook, workers: count, program, standing: Some(standing), parameter };
    let running = Running::new(setup, server.inside())?;
    let signals = Signals::catch(server.stop_handle(), Arc::clone(&running)).map_err(ServeError::Signals)?;
    let control = control.map(|path| Control::start(path, Arc::clone(&running))).transpose()?;
    let interfaces = (hook.owner() == Owner::Interface)
        .then(|| interfaces::watch(server.stop_handle(), Arc::clone(&running)))
        .transpose()
        .map_err(ServeError::Interfaces)?;
    let watch = kind.probe().map(|probe| Watch::start(probe, server.socket())).transpose()?;
    let wants_statistics = hook != Hook::User && (plan.statistics || kind == ServerKind::EbpfStats);
    let statistics = wants_statistics.then(Statistics::enable).transpose()?;

    on_ready(Ready {
        listen: server.local_addr(),
        attached_to: &attached_to,
        workers: workers.as_ref(),
        moderation: plan.config.moderation(),
    });
    let served = server.run()?;

    interfaces.and_then(|mut watching| watching.end()).unwrap_or(Ok(()))?;
    drop(control);
    let mut state = running.state();
    let program = state.program();
    let runs = match (program, &statistics) {
        (Some(program), Some(_)) if program.can_be_asked() => Some(program.runs()?),
        _ => None,
    };
    let verdicts = state.verdicts()?;
    let decisions = program.map(KernelFilter::decisions).transpose()?.unwrap_or_default();
    let after = program.map(|program| after::show(kind, program, runs)).transpose()?;
    let seen = watch.map(Watch::end).transpose()?;
    let setup = &state.setup;
    let (filter, toolkit) = names.unwrap_or_else(|| (setup.filter.to_string(), setup.toolkit.to_string()));
    let replaced = state.replaced.clone();
    // The program is detached.
    state.setup.standing = None;
    // Signals want the state, too.
    drop(state);
    drop((signals, statistics));

    let summary = ServerSummary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        server: kind.to_string(),
        filter,
        toolkit,
        hook: hook.to_string(),
        worker_pick: workers.map(|workers| workers.pick),
        attached_to,
        decides_at: decides_at.map(|hook| hook.to_string()),
        verdicts,
        decisions,
        replaced,
        runs,
        served,
    };
    Ok(Served { summary, shown: [after, seen].into_iter().flatten().collect() })
}

impl ServePlan {
    /// Whether the parts fit each other.
    pub fn check(&self) -> Result<(), ServeError> {
        let Self { filter, toolkit, hook, .. } = *self;
        let refused = |gap| ServeError::Unavailable { filter, toolkit, hook, gap };
        weir_hooks::loadable(filter, toolkit, hook).map_err(refused)?;
        self.kind.check(filter.name, toolkit, hook)?;
        if self.statistics && !toolkit.can_be_asked() {
            return Err(refused(Gap("the kernel keeps no statistics of classic BPF; leave --stats out")));
        }
        Ok(())
    }
}
