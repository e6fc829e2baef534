//! A kernel filter in front of your own UDP socket: `cargo run --example filter_your_socket`, as root.

use std::{error::Error, net::UdpSocket, time::Duration};

use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::KernelFilter;

fn main() -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;

    let filter = KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Aya, &Site::socket())?;
    let attached = filter.attach(&socket)?; // detaches when dropped

    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.send_to(b"BAD request", socket.local_addr()?)?;
    sender.send_to(b"GET\x0a\0\0\0", socket.local_addr()?)?;

    let mut buffer = [0; 64];
    while let Ok(len) = socket.recv(&mut buffer) {
        println!("the socket got {:?}", String::from_utf8_lossy(&buffer[..len]));
    }
    drop(attached);
    println!("the kernel's verdicts: {:?}", filter.verdicts()?);
    Ok(())
}
