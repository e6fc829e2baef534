//! Somebody's program while it is attached: where to, what its maps hold, and the lines that it writes.

mod screen;
mod session;
mod show;
mod target;

pub(crate) use screen::Screen;
pub(crate) use session::Session;
pub(crate) use show::{Event, MapShown};
pub(crate) use target::TargetArgs;
