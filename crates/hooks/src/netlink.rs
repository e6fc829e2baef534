//! A question to the kernel through netlink(7), and its answer.

use std::io;

use rtnetlink::{
    packet_core::{NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable},
    sys::{Socket, SocketAddr},
};

/// A socket of the calling thread's network namespace, for a protocol of netlink.
pub(crate) fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// Sends a message and takes the reply; nothing where the kernel only says that it is done.
pub(crate) fn ask<T>(socket: &Socket, message: T, flags: u16) -> io::Result<Option<T>>
where
    T: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<T>>,
{
    let mut request = NetlinkMessage::from(message);
    request.header.flags = flags;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (reply, _) = socket.recv_from_full()?;
    match NetlinkMessage::deserialize(&reply).map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(reply) => Ok(Some(reply)),
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(None),
    }
}
