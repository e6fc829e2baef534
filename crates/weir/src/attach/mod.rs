//! Somebody's program while it is attached: where to, what its maps hold, and the lines that it writes.

mod screen;
mod session;
mod show;
mod target;

pub use screen::Screen;
pub use session::Session;
pub use show::{Event, MapShown};
pub use target::{OpenedTarget, TargetArgs};
