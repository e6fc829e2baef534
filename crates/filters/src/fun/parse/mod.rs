//! From the bytes that a program sees below the socket to the server's packet in them, for one site: addresses, ports
//! and what else is known when the program is made are immediates, and what can't be for the server isn't looked at.
//!
//! Two ways lead to the decision. [`common`] takes packets without VLAN tags, IPv4 options and IPv6 extension headers,
//! whose headers it has at once. What it can't settle goes through [`walk`], header by header.

mod alone;
mod checks;
mod common;
mod payload;
mod walk;
mod window;

pub(super) use checks::{half, word};
pub(super) use payload::{MOST_PAYLOAD, PAYLOAD_LEN, payload, stack_blocks};
pub(super) use walk::beginning;

use std::net::IpAddr;

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::Party;
use weir_wire::headers::{ethernet, ipv4, ipv6};

use super::{
    access::{Access, CONTEXT},
    gso, verdict,
};
use crate::{Layer, Site, SuperPackets, Verdict};

/// Offset of the UDP payload, or behind [`walk`] of the header that is next.
pub(super) const AT: Reg = Reg::R7;
/// Offset of the payload's end, or behind [`walk`] of the headers' that were read.
pub(super) const END: Reg = Reg::R8;
/// The UDP length field.
pub(super) const LENGTH: Reg = Reg::R9;
/// The first four bytes of the payload as a load gives them, zeros for those that are absent.
pub(super) const FIRST: Reg = Reg::R1;
/// The two bytes behind them.
pub(super) const REST: Reg = Reg::R2;

/// Where the offset of the IP header in the packet stands, for those who want it.
pub(super) const IP_AT: Mem = Mem { base: Reg::R10, off: -80 };

/// Where the IP header stands on the stack. 8 divides it, so that fields have the alignment that the kernel wants.
const IP: i16 = -72;

/// What a decision wants to know of a packet for the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// Nothing but that it is one.
    Nothing,
    /// [`FIRST`] and [`REST`], and [`LENGTH`] where it says so.
    Beginning { length: bool },
    /// [`AT`], [`END`] and [`LENGTH`].
    Place,
    /// The same, and below UDP [`IP_AT`] too.
    Source,
    /// [`AT`], [`PAYLOAD_LEN`], so many bytes of the beginning at [`payload()`] or none, and below UDP [`IP_AT`] where it says so.
    Payload { beginning: Option<usize>, source: bool },
}

/// A program's decision: what it wants to know, and the code that ends the program, written at the label.
pub(super) struct Judge<F> {
    pub(super) wants: Wants,
    /// Whose packets are judged: those that clients send to the site's endpoint, or those that the service sends from it.
    pub(super) by: Party,
    /// Where payloads go that are too short for any command.
    pub(super) no_command: Label,
    /// Where packets go that can't be judged; nothing where first fragments go on uncounted, and the others to the verdicts
    /// that the site says.
    pub(super) unjudged: Option<Unjudged>,
    pub(super) place: F,
}

/// Where packets for the server go that can't be judged. [`IP_AT`] is there where the decision wants it.
#[derive(Clone, Copy)]
pub(super) struct Unjudged {
    /// First fragments: of others no port is known.
    pub(super) fragment: Label,
    /// Those with more extension headers than are read, or without a length.
    pub(super) unreadable: Label,
    pub(super) super_packet: Label,
}

struct PacketParser<'a> {
    site: &'a Site,
    access: Access,
    wants: Wants,
    by: Party,
    judge: Label,
    no_command: Label,
    /// Not settled by the common case.
    walk: Label,
    /// Somebody else's packet.
    other: Label,
    super_packet: Label,
    /// A header of IPv6 behind as many as are read, and the end of a packet where that is an extension header.
    unread: Label,
    unreadable: Label,
    /// A first fragment, and its UDP header; nothing where fragments are somebody else's.
    fragment: Option<(Label, Label)>,
    /// What is not 0 of a packet that is several datagrams, where the program can know.
    gso_size: Option<Mem>,
}

/// Finds the server's packet and has it judged; everything else goes on uncounted.
pub(super) fn parse(code: &mut Code, site: &Site, judge: Judge<impl FnOnce(&mut Code)>) {
    let access = Access::at(site);
    let in_context = access.gso_size.map(|off| Mem { base: CONTEXT, off });
    let parser = PacketParser {
        site,
        access,
        wants: judge.wants,
        by: judge.by,
        judge: code.label("judge"),
        no_command: judge.no_command,
        walk: code.label("walk"),
        other: code.label("other"),
        super_packet: judge.unjudged.map_or_else(|| code.label("super_packet"), |ends| ends.super_packet),
        unread: code.label("unread"),
        unreadable: judge.unjudged.map_or_else(|| code.label("unreadable"), |ends| ends.unreadable),
        fragment: judge.unjudged.map(|ends| (ends.fragment, code.label("fragment_udp"))),
        gso_size: in_context.or(site.gso.map(|_| gso::GSO_SIZE)),
    };
    let is_alone = site.hook.layer() == Layer::Udp;
    if is_alone && judge.wants == Wants::Nothing && parser.gso_size.is_none() && access.workers.is_none() {
        return (judge.place)(code);
    }
    ebpf! { in code; mov $CONTEXT, r1 }
    if let Some(layout) = &site.gso {
        gso::keep(code, layout);
    }
    if is_alone {
        parser.check_segments(code);
    }
    match (site.hook.layer(), judge.wants) {
        (_, Wants::Payload { beginning, .. }) => parser.payload(code, beginning, judge.place),
        (_, Wants::Place | Wants::Source) => {
            parser.walk(code);
            ebpf! { in code; {parser.judge}: }
            (judge.place)(code);
        }
        (Layer::Udp, Wants::Nothing) => (judge.place)(code),
        (Layer::Udp, _) => parser.common_alone(code, judge.place),
        _ => {
            parser.common(code, judge.place);
            parser.walk(code);
            ebpf! { in code; ja {parser.judge} }
        }
    }
    parser.end_without_decision(code, judge.unjudged.is_none());
}

impl PacketParser<'_> {
    /// `places_unjudged` says whether packets that can't be judged end here too.
    fn end_without_decision(&self, code: &mut Code, places_unjudged: bool) {
        if self.site.hook.layer() != Layer::Udp {
            if self.versions().any(|version| version.number == IpVersion::V6.number) {
                self.end_unread(code);
            }
            if places_unjudged {
                verdict::place(code, &self.access, self.unreadable, Verdict::Drop);
            }
            ebpf! { in code; {self.other}: }
            verdict::give(code, &self.access, Verdict::Accept);
        }
        if self.gso_size.is_some() && places_unjudged {
            match self.site.super_packets {
                SuperPackets::Drop => verdict::place(code, &self.access, self.super_packet, Verdict::Drop),
                SuperPackets::Pass => {
                    ebpf! { in code; {self.super_packet}: }
                    verdict::give(code, &self.access, Verdict::Accept);
                }
            }
        }
    }

    /// Of a packet with more extension headers than are read nobody says whether it is for the server.
    fn end_unread(&self, code: &mut Code) {
        ebpf! { in code;
        {self.unread}:
            jgt $AT, $END, {self.other}
        }
        self.end_at_extensions(code, walk::NEXT, self.unreadable);
    }

    /// On at `end` where that type is an IPv6 extension header's, else it is somebody else's packet.
    fn end_at_extensions(&self, code: &mut Code, kind: Reg, end: Label) {
        for extension in ipv6::EXTENSIONS {
            ebpf! { in code; jeq $kind, {i32::from(extension)}, $end }
        }
        ebpf! { in code; ja {self.other} }
    }

    /// The IP versions in which packets for the server come.
    fn versions(&self) -> impl Iterator<Item = &'static IpVersion> {
        let endpoint = self.site.endpoint;
        let v4 = endpoint.takes_ipv4().then_some(&IpVersion::V4);
        v4.into_iter().chain(endpoint.takes_ipv6().then_some(&IpVersion::V6))
    }

    /// Whether [`IP_AT`] is wanted.
    fn wants_source(&self) -> bool {
        matches!(self.wants, Wants::Source | Wants::Payload { source: true, .. })
    }

    /// The server's address, unless every address is the server's.
    fn address(&self) -> Option<IpAddr> {
        Some(self.site.endpoint.address).filter(|address| !address.is_unspecified())
    }
}

/// An IP version, as far as it differs from the other.
struct IpVersion {
    number: i32,
    ethertype: u16,
    /// Length of the header without options or extension headers.
    header_len: usize,
    /// Offset of the byte that says what comes behind that header.
    protocol_offset: usize,
    source_offset: usize,
    destination_offset: usize,
    /// Offset of the field that says how long the packet is, and what of the packet it doesn't count.
    length_offset: usize,
    uncounted: usize,
}

impl IpVersion {
    const V4: Self = Self {
        number: 4,
        ethertype: ethernet::IPV4,
        header_len: ipv4::MIN_HEADER_LEN,
        protocol_offset: ipv4::PROTOCOL_OFFSET,
        source_offset: ipv4::SOURCE_OFFSET,
        destination_offset: ipv4::DESTINATION_OFFSET,
        length_offset: ipv4::TOTAL_LENGTH_OFFSET,
        uncounted: 0,
    };
    const V6: Self = Self {
        number: 6,
        ethertype: ethernet::IPV6,
        header_len: ipv6::HEADER_LEN,
        protocol_offset: ipv6::NEXT_HEADER_OFFSET,
        source_offset: ipv6::SOURCE_OFFSET,
        destination_offset: ipv6::DESTINATION_OFFSET,
        length_offset: ipv6::PAYLOAD_LENGTH_OFFSET,
        uncounted: ipv6::HEADER_LEN,
    };
}
