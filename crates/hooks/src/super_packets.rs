//! Whether packets that are several datagrams at once can come in by an interface.

use std::io;

use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

use crate::{Interface, ethtool::Ethtool, route::link};

/// With this on, an interface takes a sender's UDP GSO packet whole, and hands it on so.
const SENDS_WHOLE: &str = "tx-udp-segmentation";
/// With one of these on, an interface makes one packet of several that came (GRO) for anybody's sockets.
const JOINS: [&str; 2] = ["rx-gro-list", "rx-udp-gro-forwarding"];
/// With this on, the host of a virtual machine may hand over UDP packets that are joined (drivers/net/virtio_net.c,
/// `GUEST_OFFLOAD_GRO_HW_MASK`); the driver switches it off for a program of its own.
const HOST_JOINS: &str = "rx-gro-hw";

/// How such packets can come in.
pub(crate) struct Reach {
    /// The way, behind the word "where".
    pub(crate) way: String,
    /// What stops them, where something does.
    pub(crate) remedy: Option<String>,
}

/// How such packets can come in by it; nothing where they can't, but for packets that came in by a socket which asks for
/// them (`UDP_GRO`), as none of weir's does.
pub(crate) fn reach(interface: &Interface) -> Option<Reach> {
    found(interface).unwrap_or_else(|error| {
        let way = format!("it can't be asked whether UDP super-packets come in by {interface} ({error})");
        Some(Reach { way, remedy: None })
    })
}

/// Whether what comes in by it is written by a program, such as a virtual machine's (tun), whose super-packets even its
/// driver's XDP takes whole (drivers/net/tun.c, tun_build_skb).
pub(crate) fn is_written_by_a_program(interface: &Interface) -> bool {
    let sources = sources(interface).unwrap_or_default();
    sources.iter().any(|(_, sender)| matches!(sender, PacketSource::Program))
}

fn found(interface: &Interface) -> io::Result<Option<Reach>> {
    for (source, sender) in sources(interface)? {
        if let Some(Reach { way, remedy }) = sender.reach(&source)? {
            let by = format!("UDP super-packets can come in by {interface}");
            let by = if source == *interface { by } else { format!("{by}, from {source} below it") };
            return Ok(Some(Reach { way: format!("{by}{way}"), remedy }));
        }
    }
    Ok(None)
}

/// The interface, and those below it, whose packets come in by it too.
fn sources(interface: &Interface) -> io::Result<Vec<(Interface, PacketSource)>> {
    let all: Vec<_> = Interface::all()?
        .into_iter()
        .map(|interface| Ok((link(interface.index())?, interface)))
        .collect::<io::Result<_>>()?;
    let mut sources = Vec::new();
    let mut waiting = vec![interface.index()];
    while let Some(index) = waiting.pop() {
        let is_known = |(known, _): &(Interface, PacketSource)| known.index() == index;
        let found = all.iter().find(|(link, _)| link.header.index == index);
        let Some((link, interface)) = found.filter(|_| !sources.iter().any(is_known)) else { continue };
        let sender = PacketSource::to(link);
        waiting.extend(match sender {
            PacketSource::Members => {
                all.iter().filter(|(link, _)| controller(link) == Some(index)).map(at).collect()
            }
            PacketSource::Lower(lower) => vec![lower],
            _ => Vec::new(),
        });
        sources.push((interface.clone(), sender));
    }
    Ok(sources)
}

fn at((link, _): &(LinkMessage, Interface)) -> u32 {
    link.header.index
}

fn is_on(interface: &str, features: &[&str]) -> io::Result<bool> {
    Ok(Ethtool::open()?.features(interface, features)?.values().any(|is_on| *is_on))
}

/// Who puts packets on an interface.
#[derive(Debug, PartialEq, Eq)]
enum PacketSource {
    /// This machine itself, by the interface (loopback).
    Itself,
    /// The other end of its pair, the interface of that index in this namespace.
    Peer(u32),
    /// The other end of its pair, in another namespace.
    Foreign,
    /// A program that has it open, which may write super-packets (`IFF_VNET_HDR`).
    Program,
    /// The host of this virtual machine.
    Host,
    /// Another machine: its datagrams come one by one.
    Wire,
    /// The interfaces that belong to it, such as a bridge's.
    Members,
    /// The interface of that index, which it divides, such as a VLAN's.
    Lower(u32),
    /// Nobody has looked at this kind of interface.
    Unknown(String),
}

impl PacketSource {
    fn to(link: &LinkMessage) -> Self {
        let is_foreign =
            link.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::LinkNetNsId(_)));
        let lower = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Link(index) => Some(*index),
            _ => None,
        });
        let lower = lower.filter(|_| !is_foreign);
        match kind(link) {
            _ if link.header.flags.contains(LinkFlags::Loopback) => Self::Itself,
            None if is_of_virtio(link) => Self::Host,
            None | Some(InfoKind::Dummy | InfoKind::Ifb | InfoKind::Wireguard) => Self::Wire,
            Some(InfoKind::Tun) => Self::Program,
            Some(InfoKind::Veth) => lower.map_or(Self::Foreign, Self::Peer),
            Some(InfoKind::Vlan) => lower.map_or(Self::Foreign, Self::Lower),
            Some(InfoKind::Bridge | InfoKind::Bond | InfoKind::Team | InfoKind::Vrf) => Self::Members,
            Some(other) => Self::Unknown(other.to_string()),
        }
    }

    /// How they come from it, behind "UDP super-packets can come in by it".
    fn reach(&self, interface: &Interface) -> io::Result<Option<Reach>> {
        let where_on = |way: &str, name: &str, features: &[&str]| -> io::Result<_> {
            let off: Vec<_> = features.iter().map(|feature| format!("{feature} off")).collect();
            let remedy = Some(format!("switch that off (`ethtool -K {name} {}`)", off.join(" ")));
            Ok(is_on(name, features)?.then(|| Reach { way: way.to_owned(), remedy }))
        };
        let joins = || where_on(", which joins UDP packets", interface.name(), &JOINS);
        let or_joins = |found: Option<Reach>| found.map_or_else(joins, |found| Ok(Some(found)));
        let by = |way: String| Ok(Some(Reach { way, remedy: None }));
        let elsewhere = || {
            by(format!(
                ", whose other end is in another network namespace, where it can't be asked for {SENDS_WHOLE}"
            ))
        };
        match self {
            Self::Itself => or_joins(where_on("", interface.name(), &[SENDS_WHOLE])?),
            Self::Peer(index) => match Interface::all()?.iter().find(|other| other.index() == *index) {
                Some(peer) => or_joins(where_on("", peer.name(), &[SENDS_WHOLE])?),
                None => elsewhere(),
            },
            Self::Foreign => elsewhere(),
            Self::Program => by(", from the program or virtual machine behind it".to_owned()),
            Self::Host => or_joins(where_on(", from the host", interface.name(), &[HOST_JOINS])?),
            Self::Unknown(kind) => by(format!(", for all that weir knows of interfaces of the kind {kind}")),
            Self::Wire | Self::Members | Self::Lower(_) => joins(),
        }
    }
}

fn kind(link: &LinkMessage) -> Option<InfoKind> {
    let infos = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    infos.flatten().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.clone()),
        _ => None,
    })
}

/// What it belongs to, such as a bridge.
fn controller(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Controller(index) => Some(*index),
        _ => None,
    })
}

/// Since Linux 5.14 the kernel says which bus an interface's device is on.
fn is_of_virtio(link: &LinkMessage) -> bool {
    link.attributes
        .iter()
        .any(|attribute| matches!(attribute, LinkAttribute::ParentDevBusName(bus) if bus == "virtio"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_is_told_by_the_interfaces_kind() {
        check(None, &[], PacketSource::Wire);
        check(None, &[LinkAttribute::ParentDevBusName("pci".to_owned())], PacketSource::Wire);
        check(None, &[LinkAttribute::ParentDevBusName("virtio".to_owned())], PacketSource::Host);
        check(Some(InfoKind::Tun), &[], PacketSource::Program);
        check(Some(InfoKind::Veth), &[LinkAttribute::Link(7)], PacketSource::Peer(7));
        check(
            Some(InfoKind::Veth),
            &[LinkAttribute::Link(7), LinkAttribute::LinkNetNsId(0)],
            PacketSource::Foreign,
        );
        check(Some(InfoKind::Vlan), &[LinkAttribute::Link(7)], PacketSource::Lower(7));
        check(
            Some(InfoKind::Vlan),
            &[LinkAttribute::Link(7), LinkAttribute::LinkNetNsId(0)],
            PacketSource::Foreign,
        );
        for kind in [InfoKind::Bridge, InfoKind::Bond, InfoKind::Team, InfoKind::Vrf] {
            check(Some(kind), &[], PacketSource::Members);
        }
        check(Some(InfoKind::Vxlan), &[], PacketSource::Unknown("vxlan".to_owned()));
        check(
            Some(InfoKind::MacVlan),
            &[LinkAttribute::Link(7)],
            PacketSource::Unknown("macvlan".to_owned()),
        );
    }

    fn check(kind: Option<InfoKind>, attributes: &[LinkAttribute], expected: PacketSource) {
        let mut link = LinkMessage::default();
        link.attributes = attributes.to_vec();
        link.attributes.extend(kind.map(|kind| LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])));
        assert_eq!(PacketSource::to(&link), expected, "{attributes:?}");
    }
}
