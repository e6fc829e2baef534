//! An interface that is deleted takes the programs along that are attached to it. When one of its name comes again, the
//! filter is attached there again.

use std::{io, sync::Arc, time::Instant};

use nix::poll::PollTimeout;
use weir_hooks::{Changes, HookError};

use super::{Healed, ServeError};
use crate::{
    StopHandle,
    control::Running,
    side_thread::{SideThread, Stopped},
};

/// Looks after the interfaces of a server from now on, on a thread of its own. Where attaching again fails, or nobody says any
/// more what becomes of interfaces, the server is ended, since what comes in would go by unjudged; the thread says why.
pub(super) fn watch(
    server: StopHandle,
    running: Arc<Running>,
) -> io::Result<SideThread<Result<(), ServeError>>> {
    let changes = Changes::of_interfaces()?;
    SideThread::start("interfaces", move |stopped| {
        look_after(&changes, &stopped, &running).inspect_err(|_| server.stop())
    })
}

/// Until nobody wants it any more; begins by looking, for what changed before anybody listened.
fn look_after(changes: &Changes, stopped: &Stopped, running: &Running) -> Result<(), ServeError> {
    loop {
        heal(running)?;
        let is_over = stopped.wait(changes, PollTimeout::NONE).map_err(ServeError::Interfaces)?;
        changes.forget().map_err(ServeError::Interfaces)?;
        if is_over {
            return Ok(());
        }
    }
}

fn heal(running: &Running) -> Result<(), HookError> {
    let said = Instant::now();
    let Healed { deciding, before } = running.state().heal()?;
    for interface in deciding {
        eprintln!(
            "weir: {interface} was deleted and made again: its filter is attached there again; packets went by unjudged \
             for {:?} since the kernel said so",
            said.elapsed()
        );
    }
    match before {
        Ok(interfaces) => {
            for interface in interfaces {
                eprintln!(
                    "weir: {interface} was deleted and made again: what drops there before the server's socket is \
                     attached there again; the filter at the socket judged meanwhile"
                );
            }
        }
        Err(error) => {
            eprintln!(
                "weir: before the server's socket nothing is dropped any more, and the filter there judges: {error}"
            );
        }
    }
    Ok(())
}
