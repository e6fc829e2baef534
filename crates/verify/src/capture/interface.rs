//! Interfaces of a capture: what their frames begin with, and what their clock counts.

use pcap_parser::{IDB_MAGIC, InterfaceDescriptionBlock, Linktype, PcapHeader};

const NANOSECONDS: u64 = 1_000_000_000;

/// What a capture says of an interface.
pub(super) struct Interface {
    pub(super) link: Linktype,
    /// Ticks of its clock in a second; nothing where that is no number that a clock can have.
    per_second: Option<u64>,
    /// What its clock is behind by, seconds.
    offset: i64,
}

impl Interface {
    /// The one of a pcap file (draft-ietf-opsawg-pcap, section 4).
    pub(super) fn of_file(header: &PcapHeader) -> Self {
        // The upper bits tell of checksums behind the frames.
        let link = Linktype(header.network.0 & 0x03ff_ffff);
        let per_second = if header.is_nanosecond_precision() { NANOSECONDS } else { 1_000_000 };
        Self { link, per_second: Some(per_second), offset: 0 }
    }

    /// One of a pcapng file (draft-ietf-opsawg-pcapng, section 4.2).
    pub(super) fn described(block: &InterfaceDescriptionBlock<'_>) -> Self {
        let exponent = u32::from(block.if_tsresol & 0x7f);
        let base: u64 = if block.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        // The parser reads it as if every file were little-endian.
        let is_little = block.block_type == IDB_MAGIC;
        let offset = if is_little { block.if_tsoffset } else { block.if_tsoffset.swap_bytes() };
        Self { link: block.linktype, per_second: base.checked_pow(exponent), offset }
    }

    /// Its clock at a second and the ticks since.
    pub(super) fn ticks(&self, seconds: u32, ticks: u32) -> Option<u64> {
        Some(u64::from(seconds) * self.per_second? + u64::from(ticks))
    }

    /// Nanoseconds since 1970, where its clock shows so many ticks.
    pub(super) fn nanoseconds(&self, ticks: u64) -> Option<u64> {
        let per_second = i128::from(self.per_second?);
        let since = i128::from(ticks) * i128::from(NANOSECONDS) / per_second;
        let offset = i128::from(self.offset) * i128::from(NANOSECONDS);
        u64::try_from(since + offset).ok()
    }
}
