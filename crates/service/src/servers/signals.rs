//! SIGINT and SIGTERM end a server as STOP does; SIGUSR1 flips its parameter.

use std::{io, thread::JoinHandle};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::{Handle, Signals as Pending},
};
use weir_hooks::{HookError, ParameterMap};

use crate::StopHandle;

/// Catches signals for as long as it lives.
pub(super) struct Signals {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// From now on; without a parameter that can change, SIGUSR1 says so and does nothing.
    pub(super) fn catch(stop: StopHandle, mut parameter: Option<ParameterMap>) -> io::Result<Self> {
        let mut pending = Pending::new([SIGINT, SIGTERM, SIGUSR1])?;
        let handle = pending.handle();
        let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in pending.forever() {
                match signal {
                    SIGUSR1 => on_usr1(parameter.as_mut()),
                    _ => stop.stop(),
                }
            }
        })?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn on_usr1(parameter: Option<&mut ParameterMap>) {
    match parameter.map(flip) {
        None => eprintln!("weir: SIGUSR1: this filter has no parameter that can change while it runs"),
        Some(Ok(now)) => eprintln!("weir: SIGUSR1: the parameter is now {now}"),
        Some(Err(error)) => eprintln!("weir: SIGUSR1: {error}"),
    }
}

fn flip(map: &mut ParameterMap) -> Result<weir_filters::Parameter, HookError> {
    let flipped = map.get()?.flipped();
    map.set(flipped)?;
    Ok(flipped)
}
