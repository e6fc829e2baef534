//! What a hook's test needs: a network namespace of its own, a receiver and a sender, and programs that always say the
//! same.

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use weir_asm::{Endian, text};
use weir_filters::{FilterName, Hook, Site, Verdict};
use weir_hooks::{
    Attached, HookError, Interface, KernelFilter, Owners, XdpMode, ethtool::Ethtool, in_own_network,
};
use weir_testing::{ControlGroup, received, send};

/// Does it in a network namespace of its own, with its loopback interface up.
pub(crate) fn own_namespace<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    in_own_network(run).expect("root may")
}

/// Has senders on the namespace's loopback interface cut their super-packets up.
pub(crate) fn lo_without_super_packets() {
    let ethtool = Ethtool::open().expect("Linux 5.6");
    ethtool.set_features("lo", &["tx-udp-segmentation"], false).expect("root may");
}

/// A program for `hook` that always gives that verdict, loaded, and a map, named so with `_m` behind it.
pub(crate) fn fixed(hook: Hook, verdict: Verdict, name: &str) -> KernelFilter {
    fixed_at(&Site::new(hook, "127.0.0.1:9".parse().expect("an address")), verdict, name)
}

/// The same for that site.
pub(crate) fn fixed_at(site: &Site, verdict: Verdict, name: &str) -> KernelFilter {
    let hook = site.hook;
    let (section, accept, drop) = match hook {
        Hook::User | Hook::Socket => ("socket", -1, 0),
        Hook::Reuseport => ("sk_reuseport", 1, 0),
        Hook::Cgroup => ("cgroup/skb", 1, 0),
        Hook::Tc => ("classifier", -1, 2),
        Hook::Xdp => ("xdp", 2, 1),
    };
    let value = if verdict == Verdict::Accept { accept } else { drop };
    let source = format!(
        ".license \"GPL\"\n.map {name}_m array key=u32 value=u64 entries=1\n.program {name} \"{section}\"\n    lmap r1, {name}_m\n    mov r0, {value}\n    exit\n"
    );
    let object = text::assemble("fixed.asm", source.as_bytes()).unwrap_or_else(|error| panic!("{error:?}"));
    let elf = object.to_elf(Endian::Little).expect("it is written");
    let loaded = KernelFilter::load_from(FilterName::Simple.into(), &elf, name, site);
    loaded.unwrap_or_else(|error| panic!("{hook}: {error}"))
}

/// A receiver, a sender, and what the hook's programs are attached to.
pub(crate) struct Setting {
    hook: Hook,
    pub(crate) receiver: UdpSocket,
    pub(crate) sender: UdpSocket,
    group: ControlGroup,
    loopback: Interface,
}

impl Setting {
    pub(crate) fn new(hook: Hook, address: &str) -> Self {
        let group = ControlGroup::new();
        let address: SocketAddr = address.parse().expect("an address");
        let receiver = group.within(|| shared_port(address));
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        let sender = UdpSocket::bind(address).expect("a free port");
        sender.connect(receiver.local_addr().expect("it is bound")).expect("UDP connects at once");
        let loopback = Interface::named("lo").expect("every namespace has it");
        Self { hook, receiver, sender, group, loopback }
    }

    pub(crate) fn try_attach(&self, filter: &KernelFilter) -> Result<Attached, HookError> {
        let owners = Owners {
            socket: Some(self.receiver.as_fd()),
            group: Some(self.group.as_fd()),
            interface: Some(&self.loopback),
            xdp_mode: XdpMode::Auto,
        };
        filter.attach(owners.target(self.hook).expect("it is a hook of the kernel"))
    }

    pub(crate) fn attach(&self, filter: &KernelFilter) -> Attached {
        self.try_attach(filter).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether a datagram that is sent now comes.
    pub(crate) fn check_reached(&self, expected: bool, when: &str) {
        send(&self.sender, b"x");
        self.receiver.set_nonblocking(!expected).expect("a socket can be non-blocking");
        let came = if expected {
            self.receiver.recv(&mut [0; 8]).is_ok()
        } else {
            !received(&self.receiver).is_empty()
        };
        assert_eq!(came, expected, "at {} {when}", self.hook);
    }
}

/// A receiver that takes programs at the hook reuseport.
fn shared_port(address: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("Linux 3.9");
    socket.bind(&address.into()).expect("a free port");
    socket.into()
}
