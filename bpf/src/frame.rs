//! From what a hook shows to the server's packet in it; `weir_filters::Site::find` is the reference.

use weir_wire::{
    endpoint::{self, Endpoint},
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use crate::{
    hook::{Hook, Layer},
    packet::{Head, Packet},
    view::{Buffer, Fields},
    window::{self, Window},
};

/// Set by the loader for hooks below the socket; the verifier then knows it and removes the branches not taken.
#[unsafe(no_mangle)]
static ENDPOINT: Endpoint = Endpoint {
    address: [0; 4],
    port: 0,
    versions: 0,
    any_address: 0,
    drop_super_packets: 0,
    padding: [0; 3],
};

/// A field of [`ENDPOINT`].
macro_rules! endpoint {
    ($($field:tt)+) => {
        // SAFETY: a live static; volatile, so that the compiler leaves the read to the loader's value.
        unsafe { (&raw const ENDPOINT.$($field)+).read_volatile() }
    };
}

/// What a hook shows.
pub(crate) enum Found<'a, H> {
    /// A packet for the server.
    Packet(Packet<'a, H>),
    /// For the server, and several datagrams in one: whether it ends here.
    SuperPacket { is_dropped: bool },
    /// For the server's address, and behind more IPv6 extension headers than are read, or its lengths say 0: it ends here.
    Unreadable,
    /// Somebody else's.
    Other,
}

/// Finds the server's packet.
#[inline(always)]
pub(crate) fn find<H: Hook>(hook: &H) -> Found<'_, H> {
    if matches!(H::LAYER, Layer::Udp) {
        return Found::Packet(Packet::whole(hook));
    }
    match packet(hook) {
        Ok(_) if hook.is_super_packet() => {
            Found::SuperPacket { is_dropped: endpoint!(drop_super_packets) != 0 }
        }
        Ok(packet) => Found::Packet(packet),
        Err(Miss::Unreadable) => Found::Unreadable,
        Err(_) => Found::Other,
    }
}

#[inline(always)]
fn packet<H: Hook>(hook: &H) -> Result<Packet<'_, H>, Miss> {
    match at_hand(hook) {
        Err(Miss::Beyond) => hook.find_in_pieces().map(|place| Packet::at(hook, place)),
        found => found,
    }
}

/// Why no packet for the server was found.
pub enum Miss {
    /// It is somebody else's, or none.
    Other,
    /// Something of it isn't at hand, if it is anywhere.
    Beyond,
    /// It is for the server's address, and behind more IPv6 extension headers than are read, or its lengths say 0.
    Unreadable,
}

#[inline(always)]
fn at_hand<H: Hook>(hook: &H) -> Result<Packet<'_, H>, Miss> {
    let mut buffer = Buffer::new();
    if endpoint!(versions) & endpoint::V4 != 0
        && let Some(window) = Window::open(hook, &mut buffer)
    {
        let (header_len, total) = udp_in_ipv4(&window).ok_or(Miss::Other)?;
        let at = window::ip_offset(H::LAYER);
        return datagram(hook, at + header_len, at + total, |_| Some(window.head(hook)));
    }
    walk(hook)
}

/// The general case: header by header.
#[inline(always)]
pub(crate) fn walk<H: Hook>(hook: &H) -> Result<Packet<'_, H>, Miss> {
    let (at, ethertype) = match H::LAYER {
        Layer::Ethernet => behind_ethernet(|at| hook.load(at)).ok_or(Miss::Beyond)?,
        Layer::Ip | Layer::Udp => (0, None),
    };
    let is = |kind: u16| ethertype.is_none_or(|ethertype| ethertype == kind);
    let header = hook.load(at).ok_or(Miss::Beyond)?;
    match header.byte(ipv4::VERSION_OFFSET) >> 4 {
        4 if is(ethernet::IPV4) => in_ipv4(hook, at, &header),
        6 if is(ethernet::IPV6) => in_ipv6(hook, at, &header),
        _ => Err(Miss::Other),
    }
}

/// Where the IP header is, and the ethertype before it.
#[inline(always)]
pub(crate) fn behind_ethernet(load: impl Fn(u32) -> Option<[u16; 1]>) -> Option<(u32, Option<u16>)> {
    let load = |at| load(at).map(|[word]| u16::from_be(word));
    let mut at = ethernet::TYPE_OFFSET as u32;
    let mut ethertype = load(at)?;
    for _ in 0..ethernet::MAX_TAGS {
        if ethertype != ethernet::VLAN && ethertype != ethernet::SERVICE_VLAN {
            break;
        }
        at += ethernet::TAG_LEN as u32;
        ethertype = load(at)?;
    }
    Some((at + size_of::<u16>() as u32, Some(ethertype)))
}

/// The beginning that both versions' headers have room for.
type IpHeader = [u16; ipv4::MIN_HEADER_LEN / 2];

#[inline(always)]
fn in_ipv4<'a, H: Hook>(hook: &'a H, at: u32, header: &IpHeader) -> Result<Packet<'a, H>, Miss> {
    let (header_len, total) = udp_in_ipv4(header).ok_or(Miss::Other)?;
    datagram(hook, at + header_len, at + total, |rest| hook.load_head(at + header_len, rest))
}

/// Lengths of the header and of the packet, where that is UDP in one piece to the server's address.
#[inline(always)]
fn udp_in_ipv4(header: &impl Fields) -> Option<(u32, u32)> {
    let header_len = 4 * u32::from(header.byte(ipv4::VERSION_OFFSET) & 0xf);
    let is_fragment = header.u16(ipv4::FRAGMENT_OFFSET) & ipv4::FRAGMENT_MASK != 0;
    let is_udp = header.byte(ipv4::PROTOCOL_OFFSET) == headers::UDP;
    let total = u32::from(header.u16(ipv4::TOTAL_LENGTH_OFFSET));
    let is_ours = endpoint!(versions) & endpoint::V4 != 0
        && (endpoint!(any_address) != 0 || header.word(ipv4::DESTINATION_OFFSET) == endpoint!(address[0]));
    if !is_udp || is_fragment || !is_ours || header_len < ipv4::MIN_HEADER_LEN as u32 || total < header_len {
        return None;
    }
    Some((header_len, total))
}

#[inline(always)]
fn in_ipv6<'a, H: Hook>(hook: &'a H, at: u32, header: &IpHeader) -> Result<Packet<'a, H>, Miss> {
    if endpoint!(versions) & endpoint::V6 == 0 {
        return Err(Miss::Other);
    }
    if endpoint!(any_address) == 0 {
        let address: [u16; 8] = hook.load(at + ipv6::DESTINATION_OFFSET as u32).ok_or(Miss::Beyond)?;
        let is_ours = address.word(0) == endpoint!(address[0])
            && address.word(4) == endpoint!(address[1])
            && address.word(8) == endpoint!(address[2])
            && address.word(12) == endpoint!(address[3]);
        if !is_ours {
            return Err(Miss::Other);
        }
    }
    let mut at = at + ipv6::HEADER_LEN as u32;
    let end = at + u32::from(header.u16(ipv6::PAYLOAD_LENGTH_OFFSET));
    let mut next = header.byte(ipv6::NEXT_HEADER_OFFSET);
    // Longer than its length can say (RFC 2675).
    if at == end && next == ipv6::HOP_BY_HOP {
        return Err(if hook.reaches(at) { Miss::Unreadable } else { Miss::Beyond });
    }
    for _ in 0..ipv6::MAX_EXTENSIONS {
        if next == headers::UDP {
            break;
        }
        let extension = hook.load(at).ok_or(Miss::Beyond)?;
        at += extension_len(next, &extension).ok_or(Miss::Other)?;
        if at > end {
            return Err(Miss::Other);
        }
        next = extension.byte(0);
    }
    if next != headers::UDP {
        return Err(match is_extension(next) {
            true if hook.reaches(end) => Miss::Unreadable,
            true => Miss::Beyond,
            false => Miss::Other,
        });
    }
    datagram(hook, at, end, |rest| hook.load_head(at, rest))
}

/// Whether headers of that kind are read.
#[inline(always)]
fn is_extension(kind: u8) -> bool {
    matches!(
        kind,
        ipv6::HOP_BY_HOP | ipv6::DESTINATION_OPTIONS | ipv6::ROUTING | ipv6::AUTHENTICATION | ipv6::FRAGMENT
    )
}

/// Length of an extension header that is read.
#[inline(always)]
fn extension_len(kind: u8, extension: &[u16; 4]) -> Option<u32> {
    let units = u32::from(extension.byte(ipv6::EXTENSION_LENGTH_OFFSET));
    match kind {
        ipv6::ROUTING if extension.byte(ipv6::SEGMENTS_LEFT_OFFSET) != 0 => None,
        ipv6::HOP_BY_HOP | ipv6::DESTINATION_OPTIONS | ipv6::ROUTING => Some(8 * (units + 1)),
        ipv6::AUTHENTICATION => Some(4 * (units + 2)),
        ipv6::FRAGMENT => {
            let is_whole = extension.u16(ipv6::FRAGMENT_OFFSET) & ipv6::FRAGMENT_MASK == 0;
            is_whole.then_some(ipv6::FRAGMENT_LEN as u32)
        }
        _ => None,
    }
}

/// The packet whose UDP header is at `at`, where what IP carries ends at `end`; `head` gives its head where so many bytes
/// are carried.
#[inline(always)]
fn datagram<H: Hook>(
    hook: &H,
    at: u32,
    end: u32,
    head: impl FnOnce(u32) -> Option<Head>,
) -> Result<Packet<'_, H>, Miss> {
    let rest = end - at;
    if rest < udp::HEADER_LEN as u32 {
        return Err(Miss::Other);
    }
    if !hook.reaches(end) {
        return Err(Miss::Beyond);
    }
    let head = head(rest).ok_or(Miss::Other)?;
    let length = u32::from(head.udp_length());
    if head.destination_port() != endpoint!(port) {
        return Err(Miss::Other);
    }
    if length == 0 {
        return Err(Miss::Unreadable);
    }
    if length < udp::HEADER_LEN as u32 || length > rest {
        return Err(Miss::Other);
    }
    Ok(Packet::found(hook, at, head.cut(length - udp::HEADER_LEN as u32)))
}
