//! What each hook takes of privileges: with these a filter is loaded and attached, with one less it is refused.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use weir_filters::{FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{HookError, KernelFilter, Obstacle, loadable};

use super::setting::{Setting, lo_without_super_packets, own_namespace};
use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("a_filter_takes_no_more_privileges_than_are_written_down", no_more_than_written_down),
    once("with_one_privilege_less_it_says_which_are_needed", one_less),
];

/// As in docs/hooks.md.
const NEEDED: [(Hook, &[CapabilitySet]); 5] = [
    (Hook::Socket, &[CapabilitySet::BPF]),
    (Hook::Reuseport, &[CapabilitySet::BPF]),
    (Hook::Cgroup, &[CapabilitySet::BPF, CapabilitySet::NET_ADMIN]),
    (Hook::Tc, &[CapabilitySet::BPF, CapabilitySet::NET_ADMIN]),
    (Hook::Xdp, &[CapabilitySet::BPF, CapabilitySet::NET_ADMIN, CapabilitySet::PERFMON]),
];

const FILTER: FilterName = FilterName::ValidCommand;

/// What comes of loading and attaching `valid-command` in a thread that has these capabilities alone. In its user
/// namespace, root is a user like others as soon as it lacks them.
fn tried_with(hook: Hook, toolkit: Toolkit, allowed: CapabilitySet) -> Result<(), HookError> {
    own_namespace(move || {
        lo_without_super_packets();
        let setting = Setting::new(hook, "127.0.0.1:0");
        let server = setting.receiver.local_addr().expect("it is bound");
        let all = capabilities(None).expect("a thread may know its own");
        let few = CapabilitySets { effective: allowed, ..all };
        set_capabilities(None, few).expect("a thread may leave some unused");
        let site = Site { super_packets: SuperPackets::Drop, ..Site::new(hook, server) };
        let tried = KernelFilter::load(FILTER.into(), toolkit, &site)
            .and_then(|filter| Ok((setting.try_attach(&filter)?, filter)));
        // Removing what the test made needs more of them.
        set_capabilities(None, all).expect("they are still permitted");
        if tried.is_ok() {
            setting.check_reached(false, "while valid-command decides about what is no command");
        }
        tried.map(drop)
    })
}

fn no_more_than_written_down() {
    for (hook, needed) in NEEDED {
        let is_there =
            |toolkit: &Toolkit| toolkit.can_be_asked() && loadable(FILTER.into(), *toolkit, hook).is_ok();
        for toolkit in Toolkit::ALL.into_iter().filter(is_there) {
            let needed: CapabilitySet = needed.iter().copied().collect();
            let tried = match tried_with(hook, toolkit, needed) {
                // On some kernels, as docs/hooks.md says.
                Err(error) if is_of_speculation(&error, toolkit, hook) => {
                    tried_with(hook, toolkit, needed | CapabilitySet::PERFMON)
                }
                tried => tried,
            };
            assert!(tried.is_ok(), "{toolkit} at {hook} with {needed:?}: {}", tried.unwrap_err());
        }
    }
}

/// What clang makes of the filters in C has ways to the other hooks' headers, which nothing but speculation takes; and along such
/// ways a verifier may find a fault of its own.
fn is_of_speculation(error: &HookError, toolkit: Toolkit, hook: Hook) -> bool {
    let has_headers = matches!(hook, Hook::Cgroup | Hook::Tc);
    match error.obstacle() {
        Some(Obstacle::VerifierWithoutPerfmon) => toolkit == Toolkit::C && has_headers,
        Some(Obstacle::VerifierBug) => matches!(toolkit, Toolkit::Aya | Toolkit::C) && has_headers,
        _ => false,
    }
}

fn one_less() {
    for (hook, needed) in NEEDED {
        for missing in needed {
            let rest = needed.iter().filter(|capability| *capability != missing).copied().collect();
            let error = tried_with(hook, Toolkit::Fun, rest).expect_err("too few").to_string();
            assert!(error.contains("needs"), "at {hook} without {missing:?}: {error}");
            let name = missing.iter_names().next().expect("it has a name").0;
            assert!(error.contains(&format!("CAP_{name}")), "at {hook} without CAP_{name}: {error}");
        }
    }
}
