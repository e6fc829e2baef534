//! What the verifier asks of who loads a guard.

use std::{sync::Arc, thread};

use rand::{SeedableRng as _, rngs::StdRng};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use weir_filters::{Hook, fun::service::reads_anywhere};
use weir_guard::{meaning::Service, random};
use weir_hooks::{HookError, KernelFilter, Obstacle, follows_speculation};
use weir_testing::scaled;

use super::{guard_of, site};

/// Those that a guard takes whose fields stand where it says.
pub(super) const FEW: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN);

/// What comes of loading the guard there in a thread that has these capabilities alone.
fn tried_with(guard: &Arc<Service>, hook: Hook, allowed: CapabilitySet) -> Result<(), HookError> {
    let guard = Arc::clone(guard);
    let listen = "[::]:53".parse().expect("an address");
    with_capabilities(allowed, move || KernelFilter::load_service(&guard, &site(hook, listen)).map(drop))
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
    tried_with(&bag, Hook::Tc, few()).expect("its fields stand where the guard says");
    tried_with(&dns, Hook::Tc, FEW | CapabilitySet::PERFMON).expect("it has what it takes");
    // Where the kernel runs without measures against Spectre, it takes that too.
    if let Err(error) = tried_with(&dns, Hook::Tc, FEW) {
        assert_eq!(error.obstacle(), Some(Obstacle::VerifierWithoutPerfmon), "{error}");
    }
}

/// What a guard takes whose fields stand where it says.
fn few() -> CapabilitySet {
    if follows_speculation() { FEW | CapabilitySet::PERFMON } else { FEW }
}

/// Whatever else a guard asks: its lists, of one prefix and of so many that a tree of them has levels, its limits, who is known.
pub(super) fn are_few_where_fields_stand_where_the_guard_says() {
    let many: Vec<_> = (0..2000).map(|at| format!("\"10.{}.{}.0/28\"", at / 200, at % 200)).collect();
    for prefixes in ["\"192.0.2.0/24\"", &many.join(", ")] {
        let guard = Arc::new(guard_of(&format!(
            "protocol = \"a2s\"\naccept = [\"ping\", {{ message = \"info\", from = \"known\" }}]\nblock = [{prefixes}]\n\
             allow = [\"2001:db8::/32\"]\nknown = {{ after = \"ping-reply\", by = \"source/32,/64\", for = \"60s\" }}\n\
             sample = {{ dropped = \"10/s\", to = \"s.pcapng\" }}\n\
             limit = [{{ message = \"info\", per = \"source/24,/56\", rate = \"5/s\" }}, {{ per = \"all\", rate = \"9/s\" }}]"
        )));
        assert!(!reads_anywhere(&guard));
        for hook in [Hook::Socket, Hook::Cgroup, Hook::Tc] {
            tried_with(&guard, hook, few()).unwrap_or_else(|error| panic!("at {hook}: {error}"));
        }
    }
    let mut tried = 0;
    for seed in 0..scaled(40) as u64 {
        let listen = "[::]:53".parse().expect("an address");
        let guard = random::service(&mut StdRng::seed_from_u64(seed), listen, random::Kinds::All);
        if !reads_anywhere(&guard) {
            tried += 1;
            let guard = Arc::new(guard);
            for hook in [Hook::Socket, Hook::Cgroup, Hook::Tc] {
                tried_with(&guard, hook, few()).unwrap_or_else(|error| panic!("{seed} at {hook}: {error}"));
            }
        }
    }
    assert!(tried > 0, "some read nothing elsewhere");
}
