//! Packets for a service as test runs want them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_filters::Layer;
use weir_guard::{examples::Example, meaning::Service};
use weir_wire::headers::{self, ethernet};

/// Where a program is told that its service listens.
pub(super) fn listen(service: &Service) -> SocketAddr {
    let address = service.listen.address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    SocketAddr::new(address, service.listen.port)
}

/// A packet from UDP's header on, or from Ethernet's.
pub(super) fn frame(layer: Layer, service: &Service, example: &Example) -> Vec<u8> {
    let listen = listen(service);
    let source = example.source;
    let len = (8 + example.payload.len()) as u16;
    let udp = [
        &source.port().to_be_bytes()[..],
        &listen.port().to_be_bytes(),
        &len.to_be_bytes(),
        &[0, 0],
        &example.payload,
    ]
    .concat();
    let to = Some(listen.ip()).filter(|address| !address.is_unspecified());
    let (ethertype, ip) = match source.ip() {
        _ if layer == Layer::Udp => return udp,
        IpAddr::V4(from) => {
            let to = match to {
                Some(IpAddr::V4(to)) => to,
                _ => Ipv4Addr::LOCALHOST,
            };
            (ethernet::IPV4, ipv4(from, to, len))
        }
        IpAddr::V6(from) => {
            let to = match to {
                Some(IpAddr::V6(to)) => to,
                _ => Ipv6Addr::LOCALHOST,
            };
            (ethernet::IPV6, ipv6(from, to, len))
        }
    };
    [&[0; 12][..], &ethertype.to_be_bytes(), &ip, &udp, &example.behind].concat()
}

/// A header without options, before so many bytes.
fn ipv4(from: Ipv4Addr, to: Ipv4Addr, len: u16) -> Vec<u8> {
    let total = len.saturating_add(20).to_be_bytes();
    let ends = [from.octets(), to.octets()].concat();
    [&[0x45, 0][..], &total, &[0, 0, 0, 0, 64, headers::UDP, 0, 0], &ends].concat()
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, len: u16) -> Vec<u8> {
    let ends = [from.octets(), to.octets()].concat();
    [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[headers::UDP, 64], &ends].concat()
}
