//! The worker that gets a request, at a shared port.

use aya_ebpf::{macros::map, maps::ReusePortSockArray, programs::SkReuseportContext};
use weir_wire::{Command, MOST_WORKERS, worker_of};

use crate::{hook::Reuseport, known_key::key_of, packet::Packet};

/// Sockets by worker.
#[map(name = "workers")]
static WORKERS: ReusePortSockArray = ReusePortSockArray::with_max_entries(MOST_WORKERS, 0);

/// Set by the loader; the verifier then knows it, and where there is one removes the pick.
#[unsafe(no_mangle)]
static WORKER_COUNT: u32 = 1;

/// Picks the worker of the request's key. What names none goes where the kernel's hash says, and so does a request whose
/// worker has no socket.
#[inline(always)]
pub(crate) fn pick(hook: &Reuseport) {
    // SAFETY: a live static; volatile, so that the compiler leaves the read to the loader's value.
    let workers = unsafe { (&raw const WORKER_COUNT).read_volatile() };
    if workers < 2 {
        return;
    }
    if let Some(key) = key(&Packet::whole(hook)) {
        let _ = WORKERS.select_reuseport(&SkReuseportContext::new(hook.0), worker_of(key, workers));
    }
}

#[inline(always)]
fn key(packet: &Packet<'_, Reuseport>) -> Option<u32> {
    let head = packet.head()?;
    if head.begins_with(Command::Put) {
        key_of(packet, Command::Put)
    } else if head.begins_with(Command::Get) {
        key_of(packet, Command::Get)
    } else if head.begins_with(Command::Delete) {
        key_of(packet, Command::Delete)
    } else {
        None
    }
}
