//! A packet's headers in words, as far as its bytes go, for whoever looks at a disagreement.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use weir_filters::{Layer, extension_len, u16_at};
use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

/// The headers of `seen`, a line each, the first one being that of `layer`.
pub(super) fn fields(layer: Layer, seen: &[u8]) -> String {
    let mut reader = FieldReader { rest: seen, text: String::new() };
    let read = match layer {
        Layer::Ethernet => reader.ethernet().and_then(|()| reader.ip()),
        Layer::Ip => reader.ip(),
        Layer::Udp => reader.udp(),
    };
    if read.is_none() {
        let said_something = !reader.text.is_empty();
        let end = if said_something {
            "there it ends, or isn't read further"
        } else {
            "too short for its first header"
        };
        reader.line(end.to_owned());
    }
    reader.text.trim_end().to_owned()
}

struct FieldReader<'a> {
    rest: &'a [u8],
    text: String,
}

impl<'a> FieldReader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn line(&mut self, line: String) {
        let _ = writeln!(self.text, "{line}");
    }

    fn ethernet(&mut self) -> Option<()> {
        self.take(ethernet::TYPE_OFFSET)?;
        let mut tags = String::new();
        let mut ethertype = u16_at(self.take(2)?, 0)?;
        while matches!(ethertype, ethernet::VLAN | ethernet::SERVICE_VLAN) {
            let tag = self.take(ethernet::TAG_LEN)?;
            let _ = write!(tags, "tag {ethertype:#06x} ");
            ethertype = u16_at(tag, 2)?;
        }
        self.line(format!("Ethernet: {tags}type {ethertype:#06x}"));
        Some(())
    }

    fn ip(&mut self) -> Option<()> {
        match self.rest.first()? >> 4 {
            4 => self.ipv4(),
            6 => self.ipv6(),
            version => {
                self.line(format!("IP: version {version}"));
                None
            }
        }
    }

    fn ipv4(&mut self) -> Option<()> {
        let header = self.take(ipv4::MIN_HEADER_LEN)?;
        let header_len = 4 * usize::from(header[ipv4::VERSION_OFFSET] & 0xf);
        let destination: [u8; 4] = *header[ipv4::DESTINATION_OFFSET..].first_chunk()?;
        let protocol = header[ipv4::PROTOCOL_OFFSET];
        self.line(format!(
            "IPv4: header {header_len}, total {}, fragment {:#06x}, protocol {protocol}, to {}",
            u16_at(header, ipv4::TOTAL_LENGTH_OFFSET)?,
            u16_at(header, ipv4::FRAGMENT_OFFSET)?,
            Ipv4Addr::from(destination),
        ));
        self.take(header_len.checked_sub(ipv4::MIN_HEADER_LEN)?)?;
        (protocol == headers::UDP).then_some(())?;
        self.udp()
    }

    fn ipv6(&mut self) -> Option<()> {
        let header = self.take(ipv6::HEADER_LEN)?;
        let destination: [u8; 16] = *header[ipv6::DESTINATION_OFFSET..].first_chunk()?;
        let mut next = header[ipv6::NEXT_HEADER_OFFSET];
        self.line(format!(
            "IPv6: payload {}, next header {next}, to {}",
            u16_at(header, ipv6::PAYLOAD_LENGTH_OFFSET)?,
            Ipv6Addr::from(destination),
        ));
        while next != headers::UDP {
            let len = extension_len(next, *self.rest.get(ipv6::EXTENSION_LENGTH_OFFSET)?)?;
            let extension = self.take(len)?;
            let first = u32::from_be_bytes(*extension.first_chunk()?);
            self.line(format!("  extension {next}: {len} bytes, the first four {first:#010x}"));
            next = extension[0];
        }
        self.udp()
    }

    fn udp(&mut self) -> Option<()> {
        let header = self.take(udp::HEADER_LEN)?;
        let port = u16_at(header, udp::DESTINATION_OFFSET)?;
        let length = u16_at(header, udp::LENGTH_OFFSET)?;
        let rest = self.rest;
        let payload = String::from_utf8_lossy(&rest[..rest.len().min(16)]).escape_debug().to_string();
        self.line(format!(
            "UDP: to port {port}, length {length}; {} bytes follow: \"{payload}\"",
            rest.len()
        ));
        Some(())
    }
}
