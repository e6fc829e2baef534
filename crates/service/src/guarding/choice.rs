//! At which hook a service is guarded, and why.

use weir_filters::Hook;
use weir_guard::meaning::Placement;
use weir_hooks::{Privileges, ProgramType};

use super::GuardingError;

/// A hook, and why it was chosen where the guard leaves that open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HookChoice {
    pub(super) hook: Hook,
    pub(super) reason: Option<String>,
    /// Whether the socket's hook may take its place.
    pub(super) is_open: bool,
}

impl HookChoice {
    /// What the guard says; where it doesn't, tc where interfaces are named or this process may, else the socket: a packet that
    /// is dropped at tc has cost less, and nothing there depends on the service's process.
    pub(super) fn of(at: &Placement) -> Result<Self, GuardingError> {
        let chosen = |hook, reason: &str, is_open| Self { hook, reason: Some(reason.to_owned()), is_open };
        Ok(match (at.hook.map(Hook::from), at.pid) {
            (Some(hook @ (Hook::Tc | Hook::Xdp)), Some(_)) => return Err(GuardingError::Process { hook }),
            (Some(hook), _) => Self { hook, reason: None, is_open: false },
            (None, Some(_)) => chosen(Hook::Socket, "auto, since it is of one process", false),
            (None, None) if !at.interfaces.is_empty() => {
                chosen(Hook::Tc, "auto, since interfaces are named", false)
            }
            (None, None) if at.group.is_some() => {
                chosen(Hook::Cgroup, "auto, since a control group is named", false)
            }
            (None, None) if may_use_tc() => {
                chosen(Hook::Tc, "auto, since nothing there depends on the service's process", true)
            }
            (None, None) => chosen(Hook::Socket, "auto, since tc takes CAP_NET_ADMIN", false),
        })
    }
}

fn may_use_tc() -> bool {
    Privileges::of_this_thread().is_ok_and(|own| {
        own.is_in_first_user_namespace() && ProgramType::Tc.needed().iter().all(|needed| own.has(*needed))
    })
}

#[cfg(test)]
mod tests {
    use weir_guard::meaning::GuardHook;

    use super::*;

    #[test]
    fn the_hook_that_is_named_is_taken_and_another_is_explained() {
        let check = |at: &Placement, hook, is_explained: bool| {
            let chosen = HookChoice::of(at).expect("it can be");
            assert_eq!((chosen.hook, chosen.reason.is_some()), (hook, is_explained), "{at:?}");
        };
        let process = Placement { pid: Some(1), ..Placement::default() };
        let interface = Placement { interfaces: vec!["eth0".to_owned()], ..Placement::default() };
        check(&Placement { hook: Some(GuardHook::Cgroup), ..Placement::default() }, Hook::Cgroup, false);
        check(&process, Hook::Socket, true);
        check(&Placement { group: Some("/a".to_owned()), ..Placement::default() }, Hook::Cgroup, true);
        check(&interface, Hook::Tc, true);
        for hook in [GuardHook::Tc, GuardHook::Xdp] {
            let error = HookChoice::of(&Placement { hook: Some(hook), ..process.clone() });
            assert!(error.is_err_and(|error| error.is_usage()));
        }
    }
}
