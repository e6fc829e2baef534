//! Telling whoever started this process how it is doing: sd_notify(3).

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use sd_notify::NotifyState;

/// Says it at the socket that the environment names; sd-notify 0.5 leaves out sockets that no file has.
///
/// # Errors
/// What the kernel says.
pub(crate) fn notify(states: &[NotifyState<'_>]) -> io::Result<()> {
    let path = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let Some(name) = path.as_bytes().strip_prefix(b"@") else { return sd_notify::notify(states) };
    let said: String = states.iter().map(|state| format!("{state}\n")).collect();
    let to = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(said.as_bytes(), &to).map(drop)
}
