//! The header with which the programs in C get every constant from weir-wire.

use std::{fmt::Write as _, mem::offset_of};

use weir_wire::{
    Command,
    endpoint::{self, Endpoint},
    headers::{self, ethernet, ipv4, ipv6},
    maps::{self, Capture},
    udp,
};

/// Defines constants of modules; a prefix goes before their names.
macro_rules! define {
    ($text:ident: $($prefix:literal $module:ident: $($name:ident),*;)*) => { $( $(
        let _ = writeln!($text, concat!("#define ", $prefix, stringify!($name), " {}"), $module::$name);
    )* )* };
}

/// The header's text, for a machine of that byte order.
pub(crate) fn text(is_little_endian: bool) -> String {
    let mut text =
        String::from("/* Generated from weir-wire. */\n#pragma once\n\n#include <linux/types.h>\n\n");
    define! { text:
        "ETHERNET_" ethernet: HEADER_LEN, TYPE_OFFSET, TAG_LEN, MAX_TAGS;
        "ETHERTYPE_" ethernet: IPV4, IPV6, VLAN, SERVICE_VLAN;
        "IPV4_" ipv4: MIN_HEADER_LEN, VERSION_OFFSET, TOTAL_LENGTH_OFFSET, FRAGMENT_OFFSET, FRAGMENT_MASK;
        "IPV4_" ipv4: PROTOCOL_OFFSET, DESTINATION_OFFSET;
        "IPV6_" ipv6: HEADER_LEN, PAYLOAD_LENGTH_OFFSET, NEXT_HEADER_OFFSET, DESTINATION_OFFSET;
        "IPV6_" ipv6: MAX_EXTENSIONS, EXTENSION_LENGTH_OFFSET, HOP_BY_HOP, ROUTING, SEGMENTS_LEFT_OFFSET;
        "IPV6_" ipv6: FRAGMENT, FRAGMENT_LEN, FRAGMENT_OFFSET, FRAGMENT_MASK, AUTHENTICATION;
        "IPV6_" ipv6: DESTINATION_OPTIONS;
        "PROTOCOL_" headers: UDP;
        "UDP_" udp: HEADER_LEN, DESTINATION_OFFSET, LENGTH_OFFSET, PAYLOAD_OFFSET;
        "ENDPOINT_" endpoint: V4, V6;
        "" maps: CAPTURE_LEN;
        "" weir_wire: MOST_WORKERS;
        "WORKER_" weir_wire: SPREAD;
        "MAP_" maps: VERDICTS, PARAMETER, COUNTER, CAPTURE, WORKERS;
    }
    text + &commands(is_little_endian) + &structures()
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
