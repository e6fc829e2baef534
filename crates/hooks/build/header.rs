//! The header with which the programs in C get every constant from weir-wire.

use std::{fmt::Write as _, mem::offset_of};

use weir_wire::{
    Command, MOST_WORKERS, SPREAD,
    endpoint::{self, Endpoint},
    headers::{self, ethernet, ipv4, ipv6},
    maps::{self, Capture},
    udp,
};

macro_rules! constants {
    ($($name:literal = $value:expr),* $(,)?) => {
        [$(($name, $value as u64)),*]
    };
}

/// The header's text, for a machine of that byte order.
pub(crate) fn text(is_little_endian: bool) -> String {
    let mut text =
        String::from("/* Generated from weir-wire. */\n#pragma once\n\n#include <linux/types.h>\n\n");
    for (name, value) in constants() {
        let _ = writeln!(text, "#define {name} {value}");
    }
    for (name, map) in [
        ("VERDICTS", maps::VERDICTS),
        ("PARAMETER", maps::PARAMETER),
        ("COUNTER", maps::COUNTER),
        ("CAPTURE", maps::CAPTURE),
        ("WORKERS", maps::WORKERS),
    ] {
        let _ = writeln!(text, "#define MAP_{name} {map}");
    }
    text + &commands(is_little_endian) + &structures()
}

fn constants() -> impl IntoIterator<Item = (&'static str, u64)> {
    constants![
        "ETHERNET_HEADER_LEN" = ethernet::HEADER_LEN,
        "ETHERNET_TYPE_OFFSET" = ethernet::TYPE_OFFSET,
        "ETHERNET_TAG_LEN" = ethernet::TAG_LEN,
        "ETHERNET_MAX_TAGS" = ethernet::MAX_TAGS,
        "ETHERTYPE_IPV4" = ethernet::IPV4,
        "ETHERTYPE_IPV6" = ethernet::IPV6,
        "ETHERTYPE_VLAN" = ethernet::VLAN,
        "ETHERTYPE_SERVICE_VLAN" = ethernet::SERVICE_VLAN,
        "IPV4_MIN_HEADER_LEN" = ipv4::MIN_HEADER_LEN,
        "IPV4_VERSION_OFFSET" = ipv4::VERSION_OFFSET,
        "IPV4_TOTAL_LENGTH_OFFSET" = ipv4::TOTAL_LENGTH_OFFSET,
        "IPV4_FRAGMENT_OFFSET" = ipv4::FRAGMENT_OFFSET,
        "IPV4_FRAGMENT_MASK" = ipv4::FRAGMENT_MASK,
        "IPV4_PROTOCOL_OFFSET" = ipv4::PROTOCOL_OFFSET,
        "IPV4_DESTINATION_OFFSET" = ipv4::DESTINATION_OFFSET,
        "IPV6_HEADER_LEN" = ipv6::HEADER_LEN,
        "IPV6_PAYLOAD_LENGTH_OFFSET" = ipv6::PAYLOAD_LENGTH_OFFSET,
        "IPV6_NEXT_HEADER_OFFSET" = ipv6::NEXT_HEADER_OFFSET,
        "IPV6_DESTINATION_OFFSET" = ipv6::DESTINATION_OFFSET,
        "IPV6_MAX_EXTENSIONS" = ipv6::MAX_EXTENSIONS,
        "IPV6_EXTENSION_LENGTH_OFFSET" = ipv6::EXTENSION_LENGTH_OFFSET,
        "IPV6_HOP_BY_HOP" = ipv6::HOP_BY_HOP,
        "IPV6_ROUTING" = ipv6::ROUTING,
        "IPV6_SEGMENTS_LEFT_OFFSET" = ipv6::SEGMENTS_LEFT_OFFSET,
        "IPV6_FRAGMENT" = ipv6::FRAGMENT,
        "IPV6_FRAGMENT_LEN" = ipv6::FRAGMENT_LEN,
        "IPV6_FRAGMENT_OFFSET" = ipv6::FRAGMENT_OFFSET,
        "IPV6_FRAGMENT_MASK" = ipv6::FRAGMENT_MASK,
        "IPV6_AUTHENTICATION" = ipv6::AUTHENTICATION,
        "IPV6_DESTINATION_OPTIONS" = ipv6::DESTINATION_OPTIONS,
        "PROTOCOL_UDP" = headers::UDP,
        "UDP_HEADER_LEN" = udp::HEADER_LEN,
        "UDP_DESTINATION_OFFSET" = udp::DESTINATION_OFFSET,
        "UDP_LENGTH_OFFSET" = udp::LENGTH_OFFSET,
        "UDP_PAYLOAD_OFFSET" = udp::PAYLOAD_OFFSET,
        "ENDPOINT_V4" = endpoint::V4,
        "ENDPOINT_V6" = endpoint::V6,
        "CAPTURE_LEN" = maps::CAPTURE_LEN,
        "MOST_WORKERS" = MOST_WORKERS,
        "WORKER_SPREAD" = SPREAD,
    ]
}

/// `X(word, mask, udp length)` for each command, and `X(word, mask, offset)` for each that has a key, at that offset from
/// the UDP header on; word and mask as a load of the payload's first eight bytes gives them.
fn commands(is_little_endian: bool) -> String {
    let loaded = |word: u64| if is_little_endian { word } else { word.swap_bytes() };
    let mut text = String::from("#define EACH_COMMAND(X)");
    for command in Command::ALL {
        let (word, mask) = (loaded(command.magic()), loaded(command.mask()));
        let length = udp::length_field(command.request_len());
        let _ = write!(text, " \\\n\tX({word:#x}ull, {mask:#x}ull, {length})");
    }
    text += "\n#define EACH_KEYED(X)";
    for command in Command::KEYED {
        let (word, mask) = (loaded(command.magic()), loaded(command.mask()));
        let offset = udp::PAYLOAD_OFFSET + command.key_offset();
        let _ = write!(text, " \\\n\tX({word:#x}ull, {mask:#x}ull, {offset})");
    }
    let little_endian = if is_little_endian { "(word)" } else { "__builtin_bswap32(word)" };
    let first_bytes =
        if is_little_endian { "((1ull << (8 * (len))) - 1)" } else { "~(~0ull >> (8 * (len)))" };
    text + &format!(
        "\n#define LE32(word) {little_endian}\n/* The first `len` bytes, fewer than eight, of such a load. */\n#define FIRST_BYTES_MASK(len) {first_bytes}\n"
    )
}

/// The structures that user space shares, and that their fields lie where Rust has them.
fn structures() -> String {
    let mut text = format!(
        "\nstruct endpoint {{ __u32 address[4]; __u16 port; __u8 versions, any_address, drop_super_packets, padding[3]; }};\n\
         struct capture {{ __u64 seen; __u32 len, captured; __u8 bytes[{}]; }};\n",
        maps::CAPTURE_LEN
    );
    let mut same = |what: String, value: usize| {
        let _ = writeln!(text, "_Static_assert({what} == {value}, \"as weir-wire has it\");");
    };
    same("sizeof(struct endpoint)".to_owned(), size_of::<Endpoint>());
    same("sizeof(struct capture)".to_owned(), size_of::<Capture>());
    for (field, offset) in [
        ("endpoint, address", offset_of!(Endpoint, address)),
        ("endpoint, port", offset_of!(Endpoint, port)),
        ("endpoint, versions", offset_of!(Endpoint, versions)),
        ("endpoint, any_address", offset_of!(Endpoint, any_address)),
        ("endpoint, drop_super_packets", offset_of!(Endpoint, drop_super_packets)),
        ("capture, seen", offset_of!(Capture, seen)),
        ("capture, len", offset_of!(Capture, len)),
        ("capture, captured", offset_of!(Capture, captured)),
        ("capture, bytes", offset_of!(Capture, bytes)),
    ] {
        same(format!("__builtin_offsetof(struct {field})"), offset);
    }
    text
}
