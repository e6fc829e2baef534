//! A network namespace of one's own, for what must not touch the machine's.

use std::{io, thread};

use nix::sched::{CloneFlags, unshare};

use crate::{Interface, route};

/// Does it in a new network namespace, with the loopback interface up, on a thread of its own. The kernel destroys the
/// namespace with the last thread, socket or link in it, whatever ends the process.
///
/// # Errors
/// The namespace can't be made, which needs CAP_SYS_ADMIN and a kernel with CONFIG_NET_NS.
pub fn in_own_network<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        route::set_up(Interface::named("lo")?.index())?;
        Ok(run())
    };
    thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
