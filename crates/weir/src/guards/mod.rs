//! Guards on the command line: read with the files that they name, told, tried on captures, begun.

mod calls;
mod capabilities;
mod commanded;
mod confined;
mod dropped;
mod files;
mod judged;
mod kept;
mod list_watch;
mod metrics;
mod new;
mod object;
mod reading;
mod running;
mod sampling;
mod shown;
mod summary;
mod together;
mod top;
mod trial;
mod unit;
mod words;

/// What is said of guards where filters are told of.
pub(crate) const BESIDE_FILTERS: &str = "A guard is no filter of the catalogue: it says which messages of a protocol a service \
    accepts, from whom and how many, and becomes a program at each hook. `weir guard protocols` begins there, `weir serve \
    --guard FILE` serves behind one (docs/guard.md).";

pub(crate) use capabilities::{HOOKS, named, needed_here};
pub(crate) use confined::{ConfiningError, keep_calls, keep_capabilities};
pub(crate) use files::Neighbours;
pub(crate) use kept::KeptRules;
pub(crate) use list_watch::ListWatch;
pub(crate) use metrics::metrics_page;
pub(crate) use new::{NewGuard, create};
pub(crate) use object::ExportedService;
pub(crate) use reading::{FollowedGuard, RuleTexts, Rules, chosen, read, rules, service, services};
pub(crate) use running::{RunningGuard, decision_table, unguarded_line};
pub(crate) use shown::status_text;
pub(crate) use summary::{ProtocolSummary, ServiceSummary};
pub(crate) use together::{ControlFolder, RunningGuards, control_sockets, kept_apart, name_of, refused};
pub(crate) use top::{Top, TopOrder};
pub(crate) use trial::Trial;
pub(crate) use unit::{GuardUnit, template};
