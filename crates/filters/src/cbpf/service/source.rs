//! Sources: which list they are in, a question for each prefix.

use std::net::Ipv6Addr;

use ipnet::IpNet;
use weir_guard::meaning::{PrefixList, Senders};
use weir_wire::headers::{ipv4, ipv6};

use super::{
    super::insn::{
        AND, ClassicLabel, JUMP_IF_EQUAL, LOAD_BYTE, LOAD_CONSTANT, LOAD_MEMORY, LOAD_WORD, SHIFT_RIGHT,
        STORE,
    },
    Compiler, LOW,
};
use crate::refusal::Refusal;

/// Offsets from here on are those of the IP header (`SKF_NET_OFF`, include/uapi/linux/filter.h).
pub(in crate::cbpf) const IP_HEADER: u32 = (-0x10_0000_i32) as u32;

/// The first of the four words of the source, of which IPv4's is `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
const SOURCE: u32 = LOW + 1;
/// The first three of an IPv4 source.
const MAPPED: [u32; 3] = [0, 0, 0xffff];

impl Compiler<'_> {
    /// Keeps the source, or on at `unknown`.
    pub(super) fn load_source(&mut self, unknown: ClassicLabel) {
        let [version_6, known] = [(); 2].map(|()| self.code.label());
        self.code.push(LOAD_BYTE, IP_HEADER + ipv4::VERSION_OFFSET as u32);
        self.code.push(SHIFT_RIGHT, 4);
        self.code.branch(JUMP_IF_EQUAL, 6, [Some(version_6), None]);
        self.code.jump_unless(4, unknown);
        for (word, value) in (SOURCE..).zip(MAPPED) {
            self.code.push(LOAD_CONSTANT, value);
            self.code.push(STORE, word);
        }
        self.code.push(LOAD_WORD, IP_HEADER + ipv4::SOURCE_OFFSET as u32);
        self.code.push(STORE, SOURCE + 3);
        self.code.jump(known);
        self.code.place(version_6);
        for word in 0..4 {
            self.code.push(LOAD_WORD, IP_HEADER + ipv6::SOURCE_OFFSET as u32 + 4 * word);
            self.code.push(STORE, SOURCE + word);
        }
        self.code.place(known);
    }

    /// On at `found` where the source is in the list.
    pub(super) fn find_source(&mut self, list: &PrefixList, found: ClassicLabel) -> Result<(), Refusal> {
        if list.is_empty() {
            return Ok(());
        }
        let [version_6, done] = [(); 2].map(|()| self.code.label());
        for (word, value) in (SOURCE..).zip(MAPPED) {
            self.code.push(LOAD_MEMORY, word);
            self.code.jump_unless(value, version_6);
        }
        let (v4, v6): (Vec<_>, Vec<_>) = list.prefixes().iter().partition(|prefix| prefix.addr().is_ipv4());
        self.find_prefixes(&v4, found)?;
        self.code.jump(done);
        self.code.place(version_6);
        self.find_prefixes(&v6, found)?;
        self.code.place(done);
        Ok(())
    }

    /// [`Self::find_source`] of one IP version.
    fn find_prefixes(&mut self, prefixes: &[&IpNet], found: ClassicLabel) -> Result<(), Refusal> {
        for prefix in prefixes {
            self.check_length()?;
            let (bits, address) = match prefix {
                IpNet::V4(prefix) => (96 + u32::from(prefix.prefix_len()), prefix.network().to_ipv6_mapped()),
                IpNet::V6(prefix) => (prefix.prefix_len().into(), prefix.network()),
            };
            let next = self.code.label();
            // Of IPv4 the first three are known.
            let first = if prefix.addr().is_ipv4() { MAPPED.len() as u32 } else { 0 };
            for word in first..bits.div_ceil(u32::BITS) {
                self.code.push(LOAD_MEMORY, SOURCE + word);
                let others = (u32::BITS * (word + 1)).saturating_sub(bits);
                if others > 0 {
                    self.code.push(AND, u32::MAX << others);
                }
                self.code.jump_unless(word_of(address, word), next);
            }
            self.code.jump(found);
            self.code.place(next);
        }
        Ok(())
    }

    /// Falls through for packets of those senders.
    pub(super) fn require_senders(
        &mut self,
        senders: &Senders,
        otherwise: ClassicLabel,
    ) -> Result<(), Refusal> {
        match senders {
            Senders::Anyone => {}
            Senders::Listed(list) => {
                let found = self.code.label();
                self.find_source(list, found)?;
                self.code.jump(otherwise);
                self.code.place(found);
            }
            Senders::Known | Senders::Unknown => {
                return Err(Refusal::Unsupported(
                    "knowing sources by what they were answered, in classic BPF,",
                ));
            }
        }
        Ok(())
    }
}

/// A word of an address, of which the first has number 0.
fn word_of(address: Ipv6Addr, word: u32) -> u32 {
    (address.to_bits() >> (96 - u32::BITS * word)) as u32
}
