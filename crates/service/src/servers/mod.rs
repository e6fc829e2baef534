//! The servers of the catalogue: the bag server with something done before and after it serves.

mod after;
mod kind;
mod object;
mod signals;
mod watch;

use std::net::SocketAddr;

use thiserror::Error;
use weir_filters::{Combination, Filter, Gap, Hook, Site, Toolkit};
use weir_hooks::{HookError, KernelFilter, ParameterMap, Statistics};

pub use kind::{Misfit, ServerKind};
pub use object::{ObjectProgram, serve_object};
use signals::Signals;
use watch::Watch;

use crate::{Server, ServerConfig, ServerError, ServerSummary};

/// What to serve: which server, behind which filter, where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The server.
    pub kind: ServerKind,
    /// The filter.
    pub filter: Filter,
    /// How the filter is written.
    pub toolkit: Toolkit,
    /// Where it runs.
    pub hook: Hook,
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
        /// The filter's name.
        filter: String,
        /// The toolkit's name.
        toolkit: String,
        /// The hook's name.
        hook: String,
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
    /// Signals can't be caught.
    #[error("catching signals: {0}")]
    Signals(std::io::Error),
}

impl ServeError {
    /// Whether what was asked for can't be, rather than that it failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Misfit(_))
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
/// requests are served, with the address.
pub fn serve(plan: Plan, on_ready: impl FnOnce(SocketAddr)) -> Result<Served, ServeError> {
    plan.check()?;
    let program = plan.load()?;
    let parameter = plan.changeable_parameter(program.as_ref())?;
    let names = Names { filter: plan.filter.name.to_string(), toolkit: plan.toolkit.to_string() };
    serve_behind(plan, Behind { program, parameter, names }, on_ready)
}

/// What stands between the socket and the server.
struct Behind {
    program: Option<KernelFilter>,
    /// What SIGUSR1 flips.
    parameter: Option<ParameterMap>,
    names: Names,
}

/// What the record calls it.
struct Names {
    filter: String,
    toolkit: String,
}

fn serve_behind(plan: Plan, behind: Behind, on_ready: impl FnOnce(SocketAddr)) -> Result<Served, ServeError> {
    let Behind { program, parameter, names } = behind;
    let mut server = Server::open(plan.listen, plan.config())?;
    let signals = Signals::catch(server.stop_handle(), parameter).map_err(ServeError::Signals)?;
    let attached = program.as_ref().map(|program| program.attach(&server.socket())).transpose()?;
    let watch = plan.kind.probe().map(|probe| Watch::start(probe, server.socket())).transpose()?;
    let statistics = plan.wants_statistics().then(Statistics::enable).transpose()?;

    on_ready(server.listen()?);
    let served = server.run()?;

    let runs = match (&program, &statistics) {
        (Some(program), Some(_)) => Some(program.runs()?),
        _ => None,
    };
    let verdicts = program.as_ref().map(KernelFilter::verdicts).transpose()?.flatten();
    let after = program.as_ref().map(|program| after::show(plan.kind, program, runs)).transpose()?;
    let seen = watch.map(Watch::end).transpose()?;
    drop((signals, attached, statistics));

    let summary = ServerSummary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        server: plan.kind.to_string(),
        filter: names.filter,
        toolkit: names.toolkit,
        hook: plan.hook.to_string(),
        verdicts,
        runs,
        served,
    };
    Ok(Served { summary, shown: [after, seen].into_iter().flatten().collect() })
}

impl Plan {
    /// Whether the parts fit each other.
    pub fn check(&self) -> Result<(), ServeError> {
        let Self { filter, toolkit, hook, .. } = *self;
        let combination = Combination { filter: filter.name, toolkit, hook };
        weir_hooks::available(combination).map_err(|gap| ServeError::Unavailable {
            filter: filter.name.to_string(),
            toolkit: toolkit.to_string(),
            hook: hook.to_string(),
            gap,
        })?;
        Ok(self.kind.check(filter.name, hook)?)
    }

    fn config(&self) -> ServerConfig {
        let decides_in_the_loop = self.hook == Hook::User;
        ServerConfig { filter: decides_in_the_loop.then_some(self.filter), ..self.config }
    }

    fn load(&self) -> Result<Option<KernelFilter>, HookError> {
        match self.hook {
            Hook::User => Ok(None),
            _ => KernelFilter::load(self.filter, self.toolkit, &Site::socket()).map(Some),
        }
    }

    fn wants_statistics(&self) -> bool {
        self.hook != Hook::User && (self.statistics || self.kind == ServerKind::EbpfStats)
    }

    fn changeable_parameter(
        &self,
        program: Option<&KernelFilter>,
    ) -> Result<Option<ParameterMap>, HookError> {
        match program {
            Some(program) if self.filter.has_changeable_parameter() => program.parameter_map().map(Some),
            _ => Ok(None),
        }
    }
}
