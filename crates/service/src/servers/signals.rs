//! SIGINT and SIGTERM end a server as STOP does, and SIGHUP, which comes where its terminal goes, unless it was ignored from
//! the start (nohup(1)); SIGUSR1 flips its parameter.

use std::{io, sync::Arc, thread::JoinHandle};

use nix::sys::signal::SigSet;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::{Handle, Signals as Pending},
};
use weir_filters::Parameter;
use weir_hooks::HookError;

use crate::{StopHandle, control::Running, process::ignores};

/// Catches signals for as long as it lives, on a thread of its own: the one that serves blocks them, so that no
/// signal interrupts a receive call, which the kernel would begin again and a probe count twice.
pub(super) struct Signals {
    handle: Handle,
    unblocked: SigSet,
    thread: Option<JoinHandle<()>>,
}

const CAUGHT: [i32; 4] = [SIGINT, SIGTERM, SIGUSR1, SIGHUP];

impl Signals {
    /// From now on; without a parameter that can change, SIGUSR1 says so and does nothing.
    pub(super) fn catch(stop: StopHandle, running: Arc<Running>) -> io::Result<Self> {
        let is_nohup = ignores(SIGHUP);
        let caught: Vec<_> = CAUGHT.into_iter().filter(|signal| !(is_nohup && *signal == SIGHUP)).collect();
        let mut pending = Pending::new(&caught)?;
        let handle = pending.handle();
        let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in pending.forever() {
                match signal {
                    SIGUSR1 => on_usr1(running.flip()),
                    _ => stop.stop(),
                }
            }
        })?;
        let unblocked = SigSet::thread_get_mask()?;
        caught.into_iter().filter_map(|signal| signal.try_into().ok()).collect::<SigSet>().thread_block()?;
        Ok(Self { handle, unblocked, thread: Some(thread) })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // It fails for nothing that the mask of a thread could be.
        let _ = self.unblocked.thread_set_mask();
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn on_usr1(flipped: Option<Result<Parameter, HookError>>) {
    match flipped {
        None => eprintln!("weir: SIGUSR1: this filter has no parameter that can change while it runs"),
        Some(Ok(now)) => eprintln!("weir: SIGUSR1: the parameter is now {now}"),
        Some(Err(error)) => eprintln!("weir: SIGUSR1: {error}"),
    }
}
