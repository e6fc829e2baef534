//! Interfaces of the calling thread's network namespace through rtnetlink(7), a question at a time.

use std::io;

use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_REQUEST},
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
    match ask(RouteNetlinkMessage::GetLink(question), NLM_F_REQUEST)? {
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
    ask(RouteNetlinkMessage::SetLink(link), NLM_F_REQUEST | NLM_F_ACK).map(|_| ())
}

/// Asks what has one answer, or none but that it is done.
pub(crate) fn ask(question: RouteNetlinkMessage, flags: u16) -> io::Result<Option<RouteNetlinkMessage>> {
    netlink::ask(&netlink::open(NETLINK_ROUTE)?, question, flags)
}

/// Asks what has any number of answers (`NLM_F_DUMP`).
pub(crate) fn dump(question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    netlink::dump(&netlink::open(NETLINK_ROUTE)?, question, flags)
}
