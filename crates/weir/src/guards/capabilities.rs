//! Which capabilities a guard takes, to load and attach its programs, and to do so again.

use std::fs;

use weir_filters::{Hook, fun::service::reads_anywhere};
use weir_guard::meaning::Service;
use weir_hooks::{Capability, ProgramType, follows_speculation};

/// The hooks that guards are attached to.
pub(crate) const HOOKS: [Hook; 4] = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];

/// What services take at these hooks on any kernel, each once, in the order of their names.
pub(crate) fn needed<'a>(services: impl IntoIterator<Item = (&'a Service, Hook)>) -> Vec<Capability> {
    in_order(services.into_iter().flat_map(|(service, hook)| of(service, hook, true)))
}

/// These, each once, in the order of their names.
pub(super) fn in_order(all: impl IntoIterator<Item = Capability>) -> Vec<Capability> {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|capability| capability.as_str());
    all.dedup();
    all
}

/// What they take on this kernel, whatever is commanded of them. Before Linux 5.14 the descriptors of another user's process are shown to who
/// may read every folder (fs/proc/fd.c, `proc_fd_permission`), as those are that tell no inode yet (proc_pid_fdinfo(5)).
pub(crate) fn needed_here<'a>(services: impl IntoIterator<Item = (&'a Service, Hook)>) -> Vec<Capability> {
    let is_older = follows_speculation();
    let all = services.into_iter().flat_map(|(service, hook)| of(service, hook, is_older));
    let mut all: Vec<_> = all.collect();
    let tells_inodes = || fs::read_to_string("/proc/self/fdinfo/0").is_ok_and(|info| info.contains("ino:"));
    if all.contains(&Capability::SysPtrace) && !tells_inodes() {
        all.push(Capability::DacReadSearch);
    }
    in_order(all)
}

/// What any service takes there.
pub(super) fn at_hook(hook: Hook) -> Vec<Capability> {
    let mut all = ProgramType::at(hook).map_or(&[][..], ProgramType::needed).to_vec();
    if hook == Hook::Socket {
        // Another user's socket is taken from its process (`pidfd_getfd`, `PTRACE_MODE_ATTACH_REALCREDS`).
        all.push(Capability::SysPtrace);
    }
    all
}

/// With what older kernels want ([`follows_speculation`]), where it may be one.
fn of(service: &Service, hook: Hook, may_be_older: bool) -> Vec<Capability> {
    let mut all = at_hook(hook);
    if may_be_older || reads_anywhere(service) {
        all.push(Capability::Perfmon);
    }
    if service.known.is_some() {
        // What the service sends is seen at the control group or tc.
        all.push(Capability::NetAdmin);
    }
    all
}

/// The hook that the service names, and all where it leaves that to weir.
pub(super) fn possible_hooks(service: &Service) -> Vec<Hook> {
    let named = service.at.hook.map(Hook::from);
    HOOKS.into_iter().filter(|hook| named.is_none_or(|named| named == *hook)).collect()
}

/// Their names, with spaces between them.
pub(crate) fn named(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|capability| capability.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use weir_guard::text;

    use super::*;
    use crate::guards::Neighbours;

    #[test]
    fn a_hook_takes_what_its_programs_take() {
        let guard = "[[service]]\nname = 's'\nlisten = 'udp/1'\nprotocol = 'bag'\naccept = ['get']";
        let services = text::guard(guard, &mut Neighbours::of(Path::new("guard.toml"))).services;
        let services = services.expect("it has no error");
        let service = &services[0];
        let check = |hook, older: &str, newer: &str| {
            assert_eq!(named(&needed([(service, hook)])), older, "{hook}");
            assert_eq!(named(&in_order(of(service, hook, false))), newer, "{hook}");
        };
        check(Hook::Socket, "CAP_BPF CAP_PERFMON CAP_SYS_PTRACE", "CAP_BPF CAP_SYS_PTRACE");
        check(Hook::Cgroup, "CAP_BPF CAP_NET_ADMIN CAP_PERFMON", "CAP_BPF CAP_NET_ADMIN");
        check(Hook::Tc, "CAP_BPF CAP_NET_ADMIN CAP_PERFMON", "CAP_BPF CAP_NET_ADMIN");
        check(Hook::Xdp, "CAP_BPF CAP_NET_ADMIN CAP_PERFMON", "CAP_BPF CAP_NET_ADMIN CAP_PERFMON");
        let all = possible_hooks(service).into_iter().map(|hook| (service, hook));
        assert_eq!(named(&needed(all)), "CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_SYS_PTRACE");
    }
}
