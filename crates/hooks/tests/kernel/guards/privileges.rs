//! What the verifier asks of who loads a guard.

use std::{sync::Arc, thread};

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use weir_filters::{Hook, fun::service::reads_anywhere};
use weir_guard::meaning::Service;
use weir_hooks::{HookError, KernelFilter, Obstacle};

use super::{LISTEN, guard_of, site};

/// Those that a guard takes whose fields stand where it says.
pub(super) const FEW: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN);

/// What comes of loading the guard at tc in a thread that has these capabilities alone.
fn tried_with(guard: &Arc<Service>, allowed: CapabilitySet) -> Result<(), HookError> {
    let guard = Arc::clone(guard);
    with_capabilities(allowed, move || KernelFilter::load_service(&guard, &site(Hook::Tc, LISTEN)).map(drop))
}

/// Runs it in a thread that has these capabilities alone.
pub(super) fn with_capabilities<T: Send + 'static>(
    allowed: CapabilitySet,
    run: impl FnOnce() -> T + Send + 'static,
) -> T {
    let running = thread::spawn(move || {
        let all = capabilities(None).expect("a thread may know its own");
        set_capabilities(None, CapabilitySets { effective: allowed, ..all })
            .expect("it may leave some unused");
        run()
    });
    running.join().expect("it doesn't panic")
}

pub(super) fn are_asked_for_where_fields_stand_anywhere() {
    let bag = Arc::new(guard_of("protocol = \"bag\"\naccept = [\"get\"]"));
    let dns = Arc::new(guard_of("protocol = \"dns\"\naccept = [\"query\"]"));
    assert_eq!([&bag, &dns].map(|guard| reads_anywhere(guard)), [false, true]);
    tried_with(&bag, FEW).expect("its fields stand where the guard says");
    tried_with(&dns, FEW | CapabilitySet::PERFMON).expect("it has what it takes");
    // Where the kernel runs without measures against Spectre, it takes that too.
    if let Err(error) = tried_with(&dns, FEW) {
        assert_eq!(error.obstacle(), Some(Obstacle::VerifierWithoutPerfmon), "{error}");
    }
}
