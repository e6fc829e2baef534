//! The common case: the headers of a UDP packet in IPv4, without VLAN tags and options, and the first bytes of its
//! payload at offsets that are known, so that one call or one comparison shows that they are there.

use weir_wire::{
    headers::{ethernet, ipv4},
    udp,
};

use crate::{
    hook::{Hook, Layer},
    packet::Head,
    view::{Buffer, Fields, View},
};

/// Where the window has the IP header. The ethertype is before it; words are aligned in a copy.
const IP: usize = 4;
const ETHERTYPE: usize = IP - size_of::<u16>();
const UDP: usize = IP + ipv4::MIN_HEADER_LEN;

/// Length of the headers in the window.
pub(crate) const HEADERS_LEN: usize = UDP + udp::HEADER_LEN;

/// Length of all of it.
pub(crate) const LEN: usize = HEADERS_LEN + size_of::<u64>();

/// Version and header length of an IPv4 header without options.
const PLAIN_IPV4: u8 = 4 << 4 | (ipv4::MIN_HEADER_LEN / 4) as u8;

/// Where a window is in a packet from that layer's header on, and how much of it is before the packet's beginning.
pub(crate) const fn place(layer: Layer) -> (u32, usize) {
    match layer {
        Layer::Ethernet => ((ethernet::HEADER_LEN - IP) as u32, 0),
        Layer::Ip | Layer::Udp => (0, IP),
    }
}

/// Offset of the IP header in a packet from that layer's header on.
pub(crate) const fn ip_offset(layer: Layer) -> u32 {
    let (at, before) = place(layer);
    at + (IP - before) as u32
}

/// Headers without tags and options, of any packet in IPv4.
pub(crate) struct Window<'a>(View<'a, HEADERS_LEN>);

impl<'a> Window<'a> {
    /// Opens it; `None` where the packet is too short for it, or of another kind.
    #[inline(always)]
    pub(crate) fn open<H: Hook>(hook: &H, buffer: &'a mut Buffer<LEN>) -> Option<Self> {
        let view = hook.window(buffer)?;
        let is_ipv4 = !matches!(H::LAYER, Layer::Ethernet) || view.u16(ETHERTYPE) == ethernet::IPV4;
        (is_ipv4 && view.byte(IP + ipv4::VERSION_OFFSET) == PLAIN_IPV4).then_some(Self(view))
    }

    /// The UDP header and what follows it.
    #[inline(always)]
    pub(crate) fn head<H: Hook>(&self, hook: &H) -> Head {
        let header = [0, 1, 2, 3].map(|word| self.0.half(UDP + word * size_of::<u16>()));
        Head::seen(header, hook.first(&self.0))
    }
}

/// Of the IP header.
impl Fields for Window<'_> {
    #[inline(always)]
    fn byte(&self, offset: usize) -> u8 {
        self.0.byte(IP + offset)
    }

    #[inline(always)]
    fn half(&self, offset: usize) -> u16 {
        self.0.half(IP + offset)
    }

    #[inline(always)]
    fn word(&self, offset: usize) -> u32 {
        self.0.word(IP + offset)
    }
}
