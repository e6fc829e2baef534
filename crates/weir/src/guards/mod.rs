//! Guards on the command line: read with the files that they name, told, tried on captures, begun.

mod dropped;
mod files;
mod judged;
mod new;
mod object;
mod reading;
mod summary;
mod trial;
mod unit;
mod words;

pub(crate) use files::Neighbours;
pub(crate) use new::{NewGuard, create};
pub(crate) use object::ExportedService;
pub(crate) use reading::{RuleTexts, Rules, chosen, read, rules, services};
pub(crate) use summary::{HOOKS, ProtocolSummary, ServiceSummary};
pub(crate) use trial::Trial;
pub(crate) use unit::GuardUnit;
