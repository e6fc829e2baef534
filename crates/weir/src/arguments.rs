//! Values of the command line that several commands take.

use std::{net::SocketAddr, time::Duration};

use jiff::SignedDuration;

/// An address and a port.
///
/// # Errors
/// Says how they are written: IPv6 in brackets, and no names.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "it takes an address and a port up to 65535, such as 127.0.0.1:12345 or [::1]:12345; names are not looked up"
            .to_owned()
    })
}

/// The same of a server that is there already: it has a port.
///
/// # Errors
/// As those of [`socket_address`], and that port 0 is nobody's.
pub fn server_address(text: &str) -> Result<SocketAddr, String> {
    let address = socket_address(text)?;
    if address.port() == 0 {
        return Err("no server is at port 0; `weir serve` says which one it took".to_owned());
    }
    Ok(address)
}

/// A time above 0 as people write it; see jiff's friendly format.
///
/// # Errors
/// Says how times are written.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "it takes a time above 0, such as 500ms, 5s, 10m or 2h".to_owned())
}
