//! A question to the kernel through netlink(7), and its answer.

use std::io;

use rtnetlink::{
    packet_core::{
        NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
    },
    sys::{Socket, SocketAddr},
};

/// The process may make no socket of AF_NETLINK.
#[derive(Debug, thiserror::Error)]
#[error(
    "making a netlink socket, which network interfaces are asked for by: Address family not supported by protocol; a \
     seccomp filter may keep this process from it (systemd: AF_NETLINK belongs into RestrictAddressFamilies=)"
)]
struct NoNetlink;

/// The error of a call that makes a netlink socket. That of a process that may make none looks like one of an address.
pub(crate) fn explained(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => io::Error::new(io::ErrorKind::Unsupported, NoNetlink),
        _ => error,
    }
}

/// A socket of the calling thread's network namespace, for a protocol of netlink.
pub(crate) fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol).map_err(explained)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// Sends a message and takes the reply; nothing where the kernel only says that it is done.
pub(crate) fn ask<T>(socket: &Socket, message: T, flags: u16) -> io::Result<Option<T>>
where
    T: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<T>>,
{
    send(socket, message, flags)?;
    let (reply, _) = socket.recv_from_full()?;
    match NetlinkMessage::deserialize(&reply).map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(reply) => Ok(Some(reply)),
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(None),
    }
}

/// Sends a message and takes all replies, up to the one that says that there is none left (`NLM_F_DUMP`).
pub(crate) fn dump<T>(socket: &Socket, message: T) -> io::Result<Vec<T>>
where
    T: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<T>>,
{
    send(socket, message, NLM_F_DUMP)?;
    let mut replies = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<T>::deserialize(rest).map_err(io::Error::other)?;
            // Messages begin at multiples of 4 bytes (netlink(7), NLMSG_ALIGN).
            let len = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(len.max(1)..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(reply) => replies.push(reply),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(replies),
                _ => {}
            }
        }
    }
}

fn send<T>(socket: &Socket, message: T, flags: u16) -> io::Result<()>
where
    T: NetlinkSerializable + Into<NetlinkPayload<T>>,
{
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | flags;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0).map(drop)
}
