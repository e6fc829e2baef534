//! Frames that somebody captured, aimed at the server so that they decide something.

use std::net::IpAddr;

use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use super::Case;
use crate::{Endpoint, Layer, Site, extension_len, u16_at};

/// A captured frame: bytes that nobody vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Its first header: Ethernet, or IP.
    pub layer: Layer,
    /// The frame, whole or cut by the capture.
    pub bytes: Vec<u8>,
}

/// Longest frame that is taken over; what is longer no hook sees in one piece without offloads.
const MAX_FRAME: usize = 1600;

/// Where things stand in a frame that carries UDP.
struct CaptureParts {
    ip: usize,
    destination: usize,
    udp: usize,
}

impl Captured {
    /// What a program at `site` sees of it, as it is and retargeted at the server; nothing where it has no such part.
    pub(super) fn cases(&self, site: &Site) -> Vec<Case> {
        if self.bytes.len() > MAX_FRAME {
            return Vec::new();
        }
        let parts = self.parts();
        let aimed = parts.as_ref().map(|parts| aimed(&self.bytes, parts, &site.endpoint));
        let frames = [Some(self.bytes.clone()), aimed].into_iter().flatten();
        let seen = frames.filter_map(|frame| self.begun_at(frame, parts.as_ref(), site.hook.layer()));
        seen.filter(|seen| !seen.is_empty()).map(Case::of_one).collect()
    }

    fn begun_at(&self, frame: Vec<u8>, parts: Option<&CaptureParts>, layer: Layer) -> Option<Vec<u8>> {
        match (self.layer, layer) {
            (Layer::Ethernet, Layer::Ethernet) | (Layer::Ip, Layer::Ip) => Some(frame),
            (Layer::Ethernet, Layer::Ip) => Some(frame[parts?.ip..].to_vec()),
            (Layer::Ip, Layer::Ethernet) => Some([&ethernet_header(&frame), frame.as_slice()].concat()),
            (_, Layer::Udp) => Some(frame[parts?.udp..].to_vec()),
            (Layer::Udp, _) => None,
        }
    }

    /// Looks for UDP behind any tags, options and extension headers, however odd, as far as the bytes go.
    fn parts(&self) -> Option<CaptureParts> {
        let bytes = &self.bytes;
        let ip = match self.layer {
            Layer::Ethernet => {
                let mut at = ethernet::TYPE_OFFSET;
                while let Some(ethernet::VLAN | ethernet::SERVICE_VLAN) = u16_at(bytes, at) {
                    at += ethernet::TAG_LEN;
                }
                at + size_of::<u16>()
            }
            Layer::Ip => 0,
            Layer::Udp => return None,
        };
        let header = bytes.get(ip..)?;
        let (destination, udp) = match header.first()? >> 4 {
            4 if *header.get(ipv4::PROTOCOL_OFFSET)? == headers::UDP => {
                (ipv4::DESTINATION_OFFSET, 4 * usize::from(header[0] & 0xf))
            }
            6 => (ipv6::DESTINATION_OFFSET, behind_extensions(header)?),
            _ => return None,
        };
        let is_there = bytes.len() >= ip + udp + udp::HEADER_LEN && udp >= destination;
        is_there.then_some(CaptureParts { ip, destination: ip + destination, udp: ip + udp })
    }
}

fn behind_extensions(header: &[u8]) -> Option<usize> {
    let mut next = *header.get(ipv6::NEXT_HEADER_OFFSET)?;
    let mut at = ipv6::HEADER_LEN;
    while next != headers::UDP {
        let len = extension_len(next, *header.get(at + ipv6::EXTENSION_LENGTH_OFFSET)?)?;
        next = header[at];
        at += len;
    }
    Some(at)
}

/// The frame with the server's port, and its address where it has one of that IP version.
fn aimed(frame: &[u8], parts: &CaptureParts, endpoint: &Endpoint) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(field) = frame.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    put(parts.udp + udp::DESTINATION_OFFSET, &endpoint.port.to_be_bytes());
    let is_v4 = parts.destination - parts.ip == ipv4::DESTINATION_OFFSET;
    match endpoint.address {
        address if address.is_unspecified() => {}
        IpAddr::V4(address) if is_v4 => put(parts.destination, &address.octets()),
        IpAddr::V6(address) if !is_v4 => put(parts.destination, &address.octets()),
        _ => {}
    }
    frame
}

fn ethernet_header(ip: &[u8]) -> [u8; ethernet::HEADER_LEN] {
    let mut header = [0; ethernet::HEADER_LEN];
    let is_v6 = ip.first().is_some_and(|byte| byte >> 4 == 6);
    let ethertype = if is_v6 { ethernet::IPV6 } else { ethernet::IPV4 };
    header[ethernet::TYPE_OFFSET..].copy_from_slice(&ethertype.to_be_bytes());
    header
}
