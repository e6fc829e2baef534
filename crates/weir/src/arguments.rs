//! Values of the command line that several commands take.

use std::net::SocketAddr;

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
