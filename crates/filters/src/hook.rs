//! The hooks: where a filter can run, and what holds of every program there, a row each.

use serde::{Deserialize, Serialize};
use weir_guard::meaning::GuardHook;

use crate::{Toolkit, Verdict, names};

/// Where a filter runs, from the application down towards the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// In the server's loop: no program is attached.
    User,
    /// At the socket, before a packet enters its receive buffer (`SO_ATTACH_BPF`, Linux 3.19).
    Socket,
    /// Where the kernel picks one of the sockets that share a port (`SO_ATTACH_REUSEPORT_EBPF`,
    /// `BPF_PROG_TYPE_SK_REUSEPORT`, Linux 4.19).
    Reuseport,
    /// At the server's control group, on the way in (`BPF_CGROUP_INET_INGRESS`, Linux 4.10).
    Cgroup,
    /// At the network device, behind the kernel's own work on a packet's buffer (tcx ingress, Linux 6.6; clsact before).
    Tc,
    /// At the network device's driver, before the kernel makes a packet's buffer (XDP, Linux 4.8).
    Xdp,
}

names! {
    /// The name on the command line and in samples.
    "hook", Hook::as_str {
        User = "user", Socket = "socket", Reuseport = "reuseport", Cgroup = "cgroup", Tc = "tc", Xdp = "xdp"
    }
}

/// The first header that a program at a hook sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Ethernet.
    Ethernet,
    /// IPv4 or IPv6.
    Ip,
    /// UDP.
    Udp,
}

/// How packets that are several datagrams (UDP GSO) come to a program at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GsoView {
    /// Cut up: a packet is a datagram.
    Cut,
    /// Whole, and the program is told (`gso_size` of `struct __sk_buff`).
    Told,
    /// Whole, and the program isn't told. To a driver's own XDP none come.
    Untold,
}

/// What a program at a hook belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The server: there is no program.
    Server,
    /// One socket.
    Socket,
    /// The sockets that share a port.
    SharedPort,
    /// A control group.
    ControlGroup,
    /// A network interface.
    Interface,
}

impl Owner {
    /// What people are told of where a hook is.
    pub const fn described(self) -> &'static str {
        match self {
            Self::Server => "in the server's loop, no program",
            Self::Socket => "the server's socket",
            Self::SharedPort => "where one of the sockets that share the port is picked",
            Self::ControlGroup => "the server's control group",
            Self::Interface => "an interface",
        }
    }
}

/// What holds of every program at a hook.
struct HookRow {
    layer: Layer,
    gso: GsoView,
    owner: Owner,
    /// What it returns to accept, and to drop.
    returns: (i32, i32),
    drop_reasons: &'static [&'static str],
}

impl Hook {
    /// Verdicts are those of include/uapi/linux/bpf.h: `TCX_NEXT` (programs behind this one have their turn) and `TCX_DROP`,
    /// `XDP_PASS` and `XDP_DROP`, `SK_PASS` and `SK_DROP`. A socket filter's is how many bytes to keep: -1 is more than any
    /// packet has (net/core/filter.c, sk_filter_trim_cap).
    const fn row(self) -> HookRow {
        let (layer, gso, owner, returns, drop_reasons): (_, _, _, _, &'static [&'static str]) = match self {
            Self::User => (Layer::Udp, GsoView::Cut, Owner::Server, (-1, 0), &[]),
            Self::Socket => (Layer::Udp, GsoView::Cut, Owner::Socket, (-1, 0), &["SOCKET_FILTER"]),
            Self::Reuseport => (Layer::Udp, GsoView::Untold, Owner::SharedPort, (1, 0), &["NO_SOCKET"]),
            Self::Cgroup => (Layer::Ip, GsoView::Cut, Owner::ControlGroup, (1, 0), &["SOCKET_FILTER"]),
            Self::Tc => (Layer::Ethernet, GsoView::Told, Owner::Interface, (-1, 2), &["TC_INGRESS"]),
            Self::Xdp => {
                (Layer::Ethernet, GsoView::Untold, Owner::Interface, (2, 1), &["XDP", "NOT_SPECIFIED"])
            }
        };
        HookRow { layer, gso, owner, returns, drop_reasons }
    }

    /// Those that the kernel has programs at.
    pub fn of_the_kernel() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|hook| *hook != Self::User)
    }

    /// Those of the kernel of which something holds, as a sentence names them: `the hooks tc and xdp`.
    pub fn named(holds: impl Fn(Self) -> bool) -> String {
        let names: Vec<_> = Self::of_the_kernel().filter(|hook| holds(*hook)).map(Self::as_str).collect();
        match names.as_slice() {
            [] => "no hook".to_owned(),
            [name] => format!("the hook {name}"),
            [names @ .., last] => format!("the hooks {} and {last}", names.join(", ")),
        }
    }

    /// The first header that a program there sees; the server's loop sees none, which is as good as UDP's.
    pub const fn layer(self) -> Layer {
        self.row().layer
    }

    /// How packets that are several datagrams come there.
    pub const fn gso(self) -> GsoView {
        self.row().gso
    }

    /// What a program there belongs to.
    pub const fn owner(self) -> Owner {
        self.row().owner
    }

    /// What a program there returns to accept a packet, and to drop it. A socket filter accepts with any number but 0.
    pub const fn returns(self) -> (i32, i32) {
        self.row().returns
    }

    /// What a program there says by returning `value`, if that is a verdict.
    pub fn verdict(self, value: i32) -> Option<Verdict> {
        let (accept, drop) = self.returns();
        match value {
            value if value == drop => Some(Verdict::Drop),
            value if value == accept || self == Self::Socket => Some(Verdict::Accept),
            _ => None,
        }
    }

    /// The reasons under which the kernel frees what a program there drops (`enum skb_drop_reason`,
    /// include/net/dropreason-core.h), as the tracepoint `skb:kfree_skb` shows them. XDP has its own in generic mode; veth
    /// gives none for what its native mode drops, and other drivers have no `sk_buff` there to free.
    pub const fn drop_reasons(self) -> &'static [&'static str] {
        self.row().drop_reasons
    }

    /// Whether the socket's own drop count (`SO_MEMINFO`, /proc/net/udp) has what a program there drops: the two hooks
    /// that run when the kernel has found the socket (net/ipv4/udp.c, udp_queue_rcv_one_skb).
    pub const fn is_counted_by_the_socket(self) -> bool {
        matches!(self, Self::Socket | Self::Cgroup)
    }

    /// The toolkit that a user who names only the hook means.
    pub const fn default_toolkit(self) -> Toolkit {
        match self {
            Self::User => Toolkit::Rust,
            _ => Toolkit::Aya,
        }
    }
}

impl From<GuardHook> for Hook {
    fn from(hook: GuardHook) -> Self {
        match hook {
            GuardHook::Socket => Self::Socket,
            GuardHook::Cgroup => Self::Cgroup,
            GuardHook::Tc => Self::Tc,
            GuardHook::Xdp => Self::Xdp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_named_as_a_sentence_names_them() {
        let check =
            |named: &[Hook], expected| assert_eq!(Hook::named(|hook| named.contains(&hook)), expected);
        check(&[Hook::User], "no hook");
        check(&[Hook::Xdp], "the hook xdp");
        check(&[Hook::Xdp, Hook::Tc], "the hooks tc and xdp");
        check(&[Hook::Cgroup, Hook::Tc, Hook::Xdp], "the hooks cgroup, tc and xdp");
    }
}
