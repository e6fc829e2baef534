//! Offloads of an interface, through ethtool's netlink family (Linux 5.6; Documentation/networking/ethtool-netlink).

use std::{collections::BTreeMap, io};

use netlink_packet_generic::{
    GenlFamily, GenlHeader, GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use rtnetlink::{
    packet_core::{
        DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NLM_F_ACK, Nla as _, NlaBuffer, NlasIterator,
        Parseable as _, ParseableParametrized,
    },
    sys::{Socket, protocols::NETLINK_GENERIC},
};

use crate::netlink::{self, ask};

// include/uapi/linux/ethtool_netlink.h and ethtool_netlink_generated.h
const MSG_FEATURES_GET: u8 = 11;
const MSG_FEATURES_SET: u8 = 12;
const FEATURES_HEADER: u16 = 1;
const FEATURES_HW: u16 = 2;
const FEATURES_WANTED: u16 = 3;
const FEATURES_ACTIVE: u16 = 4;
const HEADER_DEV_NAME: u16 = 2;
const HEADER_FLAGS: u16 = 3;
const FLAG_OMIT_REPLY: u32 = 1 << 1;
const BITSET_BITS: u16 = 3;
const BITSET_BITS_BIT: u16 = 1;
const BIT_NAME: u16 = 2;
const BIT_VALUE: u16 = 3;

/// A connection to the namespace that it was opened in.
#[derive(Debug)]
pub struct Ethtool {
    socket: Socket,
    family: u16,
}

impl Ethtool {
    /// Opens one in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        let socket = netlink::open(NETLINK_GENERIC)?;
        let family = family_of(&socket)?;
        Ok(Self { socket, family })
    }

    /// Which of the features `names` (as `ethtool -k` writes them) the interface has on; those that the kernel
    /// doesn't know are left out.
    pub fn features(&self, interface: &str, names: &[&str]) -> io::Result<BTreeMap<String, bool>> {
        let request = FeatureMessage { command: MSG_FEATURES_GET, attributes: vec![header(interface, 0)] };
        let mut message = GenlMessage::from_payload(request);
        message.set_resolved_family_id(self.family);
        let reply = ask(&self.socket, message, 0)?;
        let attributes = reply.map_or_else(Vec::new, |reply| reply.payload.attributes);
        let known = bit_names(&attributes, FEATURES_HW)?;
        let active = bit_names(&attributes, FEATURES_ACTIVE)?;
        let known = known.into_iter().filter(|name| names.contains(&name.as_str()));
        Ok(known.map(|name| (name.clone(), active.contains(&name))).collect())
    }

    /// Switches the features `names` of the interface all on or all off. The kernel takes what it can: look again.
    pub fn set_features(&self, interface: &str, names: &[&str], on: bool) -> io::Result<()> {
        let bits: Vec<_> = names.iter().map(|name| bit(name, on)).collect();
        let wanted = nested(FEATURES_WANTED, &[nested(BITSET_BITS, &bits)]);
        let attributes = vec![header(interface, FLAG_OMIT_REPLY), wanted];
        let mut message = GenlMessage::from_payload(FeatureMessage { command: MSG_FEATURES_SET, attributes });
        message.set_resolved_family_id(self.family);
        ask(&self.socket, message, NLM_F_ACK).map(drop)
    }
}

/// The number that the running kernel has for the family.
fn family_of(socket: &Socket) -> io::Result<u16> {
    let name = GenlCtrlAttrs::FamilyName(FeatureMessage::family_name().to_owned());
    let question = GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![name] };
    let reply = ask(socket, GenlMessage::from_payload(question), 0)?;
    let number = reply.into_iter().flat_map(|reply| reply.payload.nlas).find_map(|nla| match nla {
        GenlCtrlAttrs::FamilyId(number) => Some(number),
        _ => None,
    });
    number.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// A message about features, either way.
#[derive(Debug)]
struct FeatureMessage {
    command: u8,
    attributes: Vec<DefaultNla>,
}

impl GenlFamily for FeatureMessage {
    fn family_name() -> &'static str {
        "ethtool"
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for FeatureMessage {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for FeatureMessage {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self { command: header.cmd, attributes: attributes_in(bytes)? })
    }
}

fn header(interface: &str, flags: u32) -> DefaultNla {
    let flags = DefaultNla::new(HEADER_FLAGS, flags.to_ne_bytes().to_vec());
    nested(FEATURES_HEADER, &[text(HEADER_DEV_NAME, interface), flags])
}

fn bit(name: &str, on: bool) -> DefaultNla {
    let value = on.then(|| DefaultNla::new(BIT_VALUE, Vec::new()));
    let parts: Vec<_> = [text(BIT_NAME, name)].into_iter().chain(value).collect();
    nested(BITSET_BITS_BIT, &parts)
}

fn text(kind: u16, text: &str) -> DefaultNla {
    DefaultNla::new(kind, [text.as_bytes(), &[0]].concat())
}

fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    DefaultNla::new(kind | NLA_F_NESTED, bytes)
}

/// The names of the bits that the set `kind` lists. The kernel lists all bits with what can be changed (`HW`), and
/// those that are set with what is active.
fn bit_names(attributes: &[DefaultNla], kind: u16) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for set in of_kind(attributes, kind) {
        for bits in of_kind(&parts(set)?, BITSET_BITS) {
            for bit in parts(bits)? {
                names.extend(of_kind(&parts(&bit)?, BIT_NAME).map(text_of));
            }
        }
    }
    Ok(names)
}

fn of_kind(attributes: &[DefaultNla], kind: u16) -> impl Iterator<Item = &DefaultNla> {
    attributes.iter().filter(move |attribute| attribute.kind() & !NLA_F_NESTED == kind)
}

fn text_of(attribute: &DefaultNla) -> String {
    String::from_utf8_lossy(&value(attribute)).trim_end_matches('\0').to_owned()
}

fn parts(attribute: &DefaultNla) -> io::Result<Vec<DefaultNla>> {
    attributes_in(&value(attribute)).map_err(io::Error::other)
}

fn value(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

fn attributes_in(bytes: &[u8]) -> Result<Vec<DefaultNla>, DecodeError> {
    NlasIterator::new(bytes)
        .map(|attribute: Result<NlaBuffer<&[u8]>, _>| DefaultNla::parse(&attribute?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_set_is_written_and_its_names_are_read_back() {
        let set = nested(
            FEATURES_WANTED,
            &[nested(BITSET_BITS, &[bit("rx-gro", true), bit("rx-checksum", false)])],
        );
        assert_eq!(bit_names(&[set], FEATURES_WANTED).unwrap(), ["rx-gro", "rx-checksum"]);
    }

    #[test]
    fn the_loopback_interface_tells_its_features() {
        let names = ["loopback", "rx-fcs", "no-such-feature"];
        let features = Ethtool::open().unwrap().features("lo", &names).unwrap();
        let expected = [("loopback".to_owned(), true), ("rx-fcs".to_owned(), false)];
        assert_eq!(features, BTreeMap::from(expected));
    }
}
