//! Joining two namespaces by a veth pair whose packets go through from the first on.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    time::{Duration, Instant},
};

use rtnetlink::{
    LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{
        AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute, LinkMessage,
    },
};
use weir_hooks::ethtool::Ethtool;
use weir_results::{
    net::{PREFIX_V4, PREFIX_V6, Side, Sided},
    topology::Segmentation,
};

use super::{
    Namespace, NetError, Settings,
    interface::{RPS_CPUS, SEGMENTATION, is_up},
    mask, proof,
    route::Route,
    sysfs::Sysfs,
};

/// How long an interface may take to carry packets.
const UP_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Makes the pair in `ends`, sets it, and waits until packets go through it.
pub(super) fn join(ends: &Sided<Namespace>, settings: &Settings) -> Result<(), NetError> {
    let routes = Sided::try_with(|side| {
        ends[side].within(Route::open)?.map_err(NetError::tried("opening rtnetlink"))
    })?;
    // The server's end is made by whom it is for, and the client's is put where it belongs before anybody sees it.
    let link = pair(ends, settings);
    let name = Side::Server.name();
    routes.server.add_link(link).map_err(NetError::tried(format!("making the veth pair {name}")))?;
    let v6 = Path::new("/proc/sys/net/ipv6").exists();
    for side in Side::ALL {
        ends[side].within(|| set(side, settings))??;
        let failed = NetError::tried(format!("setting up interface {}", side.name()));
        bring_up(&routes[side], side, v6).map_err(failed)?;
    }
    for side in Side::ALL {
        wait_until_up(&routes[side], side)?;
    }
    proof::datagrams_go_through(ends, v6)
}

fn pair(ends: &Sided<Namespace>, settings: &Settings) -> LinkMessage {
    let client = end::<LinkUnspec>(LinkMessageBuilder::default(), Side::Client, settings)
        .setns_by_fd(ends.client.as_fd().as_raw_fd())
        .build();
    end(LinkVeth::new(Side::Server.name(), Side::Client.name()), Side::Server, settings)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(client)))
        .build()
}

/// One queue each way, so that packets stay in the order in which they were sent.
fn end<T>(link: LinkMessageBuilder<T>, side: Side, settings: &Settings) -> LinkMessageBuilder<T> {
    link.name(side.name())
        .address(side.mac().to_vec())
        .mtu(settings.mtu)
        .append_extra_attribute(LinkAttribute::NumRxQueues(1))
        .append_extra_attribute(LinkAttribute::NumTxQueues(1))
}

/// Sets offloads and the cores to receive on. The calling thread is in the side's namespace.
fn set(side: Side, settings: &Settings) -> Result<(), NetError> {
    let name = side.name();
    let on = settings.segmentation == Segmentation::On;
    let tried = || format!("switching segmentation offload of {name} {}", settings.segmentation);
    let ethtool = Ethtool::open().map_err(NetError::tried("opening ethtool's netlink family"))?;
    ethtool.set_features(name, &SEGMENTATION, on).map_err(NetError::tried(tried()))?;
    let found = ethtool.features(name, &SEGMENTATION).map_err(NetError::tried(tried()))?;
    if let Some(feature) = SEGMENTATION.iter().find(|feature| found.get(**feature) != Some(&on)) {
        let found = format!("{feature} is not");
        return Err(NetError::NoEffect { tried: tried(), found });
    }

    let cores = settings.receives_on(side);
    let tried = || format!("receiving what arrives at {name} on cores {cores:?} ({RPS_CPUS})");
    if cores.is_empty() {
        return Ok(());
    }
    let sysfs = Sysfs::of_this_namespace().map_err(NetError::tried("opening the namespace's sysfs"))?;
    sysfs.write(name, RPS_CPUS, &mask::of(cores)).map_err(NetError::tried(tried()))?;
    let found = sysfs.read(name, RPS_CPUS).map_err(NetError::tried(tried()))?;
    let wanted: BTreeSet<_> = cores.iter().copied().collect();
    match mask::cores(&found) {
        Some(is) if wanted.iter().eq(&is) => Ok(()),
        _ => Err(NetError::NoEffect { tried: tried(), found: format!("the mask is {}", found.trim()) }),
    }
}

/// Addresses, neighbours, and both interfaces of a side up.
fn bring_up(route: &Route, side: Side, v6: bool) -> io::Result<()> {
    let across = side.other();
    let index = route.link(side.name())?.header.index;
    if v6 {
        // No address but ours: others make the kernel send packets of its own accord.
        let none = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        let link =
            LinkUnspec::new_with_index(index).append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![none]));
        route.set_link(link.build())?;
        route.add_address(index, side.ipv6().into(), PREFIX_V6)?;
    }
    route.add_address(index, side.ipv4().into(), PREFIX_V4)?;
    let loopback = route.link("lo")?.header.index;
    for index in [loopback, index] {
        route.set_link(LinkUnspec::new_with_index(index).up().build())?;
    }
    // Known for good, so that no packet waits for ARP or neighbour discovery. The kernel forgets those of an
    // interface that is down.
    route.add_neighbour(index, across.ipv4().into(), &across.mac())?;
    if v6 {
        route.add_neighbour(index, across.ipv6().into(), &across.mac())?;
    }
    Ok(())
}

fn wait_until_up(route: &Route, side: Side) -> Result<(), NetError> {
    let what = format!("interface {} to carry packets", side.name());
    let deadline = Instant::now() + UP_WITHIN;
    while !is_up(&route.link(side.name()).map_err(NetError::tried(format!("waiting for {what}")))?) {
        if Instant::now() > deadline {
            return Err(NetError::NeverReady { what, seconds: UP_WITHIN.as_secs() });
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
