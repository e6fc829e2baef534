//! Each hook, by really loading a program there and attaching it in a network namespace of its own.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::AsFd,
};

use anyhow::Context as _;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt::ReusePort};
use weir_filters::{FilterName, GsoView, Hook, Owner, Site, SuperPackets, Toolkit};
use weir_hooks::{HookError, Interface, KernelFilter, Owners, XdpMode, gso_layout, in_own_network};
use weir_service::ControlGroup;

use super::Check;

/// What a hook's row is called.
pub(super) fn name(hook: Hook) -> String {
    format!("hook {hook}")
}

pub(super) fn findings() -> Vec<Check> {
    Hook::of_the_kernel().map(finding).collect()
}

fn finding(hook: Hook) -> Check {
    // A socket is no namespace's business, and one who may make none can serve there all the same.
    let tried = match hook.owner() {
        Owner::Socket => attach(hook),
        _ => in_own_network(move || attach(hook))
            .context("making a network namespace to try it in (CONFIG_NET_NS, CAP_SYS_ADMIN)")
            .and_then(|tried| tried),
    };
    match tried {
        Ok(found) => Check::ok(name(hook), found),
        Err(error) => {
            let refused: Option<&HookError> = error.downcast_ref();
            let obstacle = refused.and_then(HookError::obstacle);
            let found = refused.map_or_else(|| format!("{error:#}"), HookError::what_happened);
            let remedy = obstacle.map_or_else(|| REMEDY.to_owned(), |obstacle| obstacle.to_string());
            Check::gap(name(hook), found, remedy)
        }
    }
}

/// Where it isn't known what the kernel refused for.
const REMEDY: &str = "be root, where it is permission that is missing; or use another hook";

fn attach(hook: Hook) -> anyhow::Result<String> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .context("making a UDP socket")?;
    setsockopt(&socket, ReusePort, &true).context("setting SO_REUSEPORT")?;
    // The group comes before the program: what is dropped first is the program's link.
    let group = (hook.owner() == Owner::ControlGroup).then(ControlGroup::fresh).transpose()?;
    let site = Site { super_packets: SuperPackets::Pass, ..Site::new(hook, NOBODY) };
    let filter = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site)?;
    let loopback = Interface::named("lo").context("looking for the loopback interface")?;
    let attached = filter.attach_to(Owners {
        socket: Some(socket.as_fd()),
        group: group.as_ref().map(AsFd::as_fd),
        interface: Some(&loopback),
        xdp_mode: XdpMode::Auto,
    })?;
    let done = match attached.mode() {
        Some(mode) => format!("{DONE} to lo, {mode} mode; another driver may have its own"),
        None => DONE.to_owned(),
    };
    Ok(match hook.gso() {
        GsoView::Untold => format!("{done}; {}", telling(hook)),
        _ => done,
    })
}

/// Whether programs there can tell packets of several datagrams, which they aren't told.
fn telling(hook: Hook) -> &'static str {
    let told = gso_layout(hook).and_then(|gso| {
        let site = Site { gso: Some(gso), ..Site::new(hook, NOBODY) };
        KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Fun, &site)
    });
    match (told, hook) {
        (Ok(_), Hook::Xdp) => "in generic mode fun tells GSO packets",
        (Ok(_), _) => "fun tells GSO packets",
        (Err(_), _) => "nobody tells GSO packets (Linux 6.2, BTF, CAP_PERFMON)",
    }
}

/// An address for programs that decide for none.
pub(super) const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const DONE: &str = "a program is loaded and attached";
