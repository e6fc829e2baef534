//! Whether packets that are several datagrams at once can come in by an interface.

use std::io;

use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo};

use crate::{Interface, ethtool::Ethtool, route::link};

/// With this on, an interface takes a sender's UDP GSO packet whole, and hands it on so.
const SENDS_WHOLE: &str = "tx-udp-segmentation";
/// With one of these on, an interface makes one packet of several that came (GRO) for anybody's sockets.
const JOINS: [&str; 2] = ["rx-gro-list", "rx-udp-gro-forwarding"];

/// Why such packets can come in by it, and what to do; nothing where they can't, but for packets that came in by a
/// socket which asks for them (`UDP_GRO`), as none of weir's does.
pub(crate) fn reach(interface: &Interface) -> Option<String> {
    found(interface).unwrap_or_else(|error| {
        Some(format!("whether UDP super-packets can come in by {interface} can't be asked ({error})"))
    })
}

/// Whether what comes in by it is written by a program, such as a virtual machine's (tun), whose super-packets even its
/// driver's XDP takes whole (drivers/net/tun.c, tun_build_skb).
pub(crate) fn is_written_by_a_program(interface: &Interface) -> bool {
    matches!(Sender::to(interface), Ok(Sender::Program))
}

fn found(interface: &Interface) -> io::Result<Option<String>> {
    let sends_whole = |name: &str| {
        format!(
            "UDP super-packets can come in by {interface}: switch them off (`ethtool -K {name} {SENDS_WHOLE} off`)"
        )
    };
    match Sender::to(interface)? {
        Sender::Local(name) if is_on(&name, &[SENDS_WHOLE])? => return Ok(Some(sends_whole(&name))),
        Sender::Foreign => {
            return Ok(Some(format!(
                "UDP super-packets can come in by {interface}, whose other end is in another network namespace, where \
                 it can't be asked for {SENDS_WHOLE}"
            )));
        }
        Sender::Program => {
            return Ok(Some(format!(
                "UDP super-packets can come in by {interface}, from the program or virtual machine behind it"
            )));
        }
        Sender::Local(_) | Sender::Wire => {}
    }
    let joins = is_on(interface.name(), &JOINS)?;
    Ok(joins.then(|| {
        let off = JOINS.map(|name| format!("{name} off")).join(" ");
        format!("{interface} joins UDP packets: switch that off (`ethtool -K {interface} {off}`)")
    }))
}

fn is_on(interface: &str, features: &[&str]) -> io::Result<bool> {
    Ok(Ethtool::open()?.features(interface, features)?.values().any(|is_on| *is_on))
}

/// Who puts packets on the interface.
enum Sender {
    /// An interface of this namespace: itself (loopback), or the other end of its pair.
    Local(String),
    /// The other end of its pair, in another namespace.
    Foreign,
    /// A program that has it open, which may write super-packets (`IFF_VNET_HDR`).
    Program,
    /// Another machine: its datagrams come one by one.
    Wire,
}

impl Sender {
    fn to(interface: &Interface) -> io::Result<Self> {
        let link = link(interface.index())?;
        let info = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(info) => Some(info),
            _ => None,
        });
        let is_kind = |kind: InfoKind| {
            info.into_iter().flatten().any(|info| matches!(info, LinkInfo::Kind(found) if *found == kind))
        };
        let (is_pair, is_tap) = (is_kind(InfoKind::Veth), is_kind(InfoKind::Tun));
        let is_foreign =
            link.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::LinkNetNsId(_)));
        let peer = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Link(index) => Some(*index),
            _ => None,
        });
        Ok(match peer {
            _ if link.header.flags.contains(LinkFlags::Loopback) => Self::Local(interface.name().to_owned()),
            _ if is_tap => Self::Program,
            _ if is_pair && is_foreign => Self::Foreign,
            Some(peer) if is_pair => {
                let all = Interface::all()?;
                let found = all.into_iter().find(|other| other.index() == peer);
                found.map_or(Self::Foreign, |other| Self::Local(other.name().to_owned()))
            }
            _ => Self::Wire,
        })
    }
}
