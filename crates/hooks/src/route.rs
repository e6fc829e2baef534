//! Interfaces of the calling thread's network namespace through rtnetlink(7), a question at a time.

use std::io;

use rtnetlink::{
    packet_core::NLM_F_ACK,
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkFlags, LinkMessage},
    },
    sys::protocols::NETLINK_ROUTE,
};

use crate::netlink;

/// What the kernel says of an interface.
pub(crate) fn link(index: u32) -> io::Result<LinkMessage> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    match netlink::ask(&netlink::open(NETLINK_ROUTE)?, RouteNetlinkMessage::GetLink(question), 0)? {
        Some(RouteNetlinkMessage::NewLink(link)) => Ok(link),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Switches an interface on.
pub(crate) fn set_up(index: u32) -> io::Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    order(RouteNetlinkMessage::SetLink(link), 0)
}

/// Has the kernel do what has no answer but that it is done.
pub(crate) fn order(what: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    netlink::ask(&netlink::open(NETLINK_ROUTE)?, what, NLM_F_ACK | flags).map(drop)
}

/// Asks what has any number of answers.
pub(crate) fn dump(question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    netlink::dump(&netlink::open(NETLINK_ROUTE)?, question)
}
