//! What the running kernel says of itself: offsets and drop reasons from its types, addresses from its symbols.

use std::{fs, ops::Range};

use weir_asm::BtfFile;
use weir_filters::audit::{Arguments, FreeingCode, KernelLayout, REASONS, SkbOffsets, TRACEPOINT};

use crate::{
    HookError,
    kernel_types::{self, field, lacking},
};

/// The kernel's symbols (proc(5)); addresses read as 0 without CAP_SYSLOG (`kernel.kptr_restrict`).
const SYMBOLS: &str = "/proc/kallsyms";

/// What an audit needs to know of the kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) layout: KernelLayout,
    /// Names of the drop reasons, by number; empty where a number has none.
    pub(super) reasons: Vec<String>,
}

impl Kernel {
    /// The one that runs.
    pub(super) fn running() -> Result<Self, HookError> {
        let bytes = kernel_types::read()?;
        let symbols = fs::read_to_string(SYMBOLS).unwrap_or_default();
        let code = FreeingCode {
            closing_socket: code_of(&symbols, "udp_destruct_common"),
            parts: code_of(&symbols, "skb_release_data"),
        };
        Self::described_by(&bytes, code)
    }

    fn described_by(types: &[u8], code: FreeingCode) -> Result<Self, HookError> {
        let types = kernel_types::parse(types)?;
        let skb = |name, size| field(&types, "sk_buff", name, size);
        let layout = KernelLayout {
            arguments: arguments(&types)?,
            skb: SkbOffsets {
                protocol: skb("protocol", 2)?,
                network_header: skb("network_header", 2)?,
                tail: skb("tail", 4)?,
                end: skb("end", 4)?,
                head: skb("head", 8)?,
            },
            gso_segs: field(&types, "skb_shared_info", "gso_segs", 2)?,
            code,
        };
        Ok(Self { layout, reasons: reasons(&types)? })
    }
}

/// The first argument of the tracepoint's type is the kernel's own and not passed on (`__data`, tracepoint.h).
fn arguments(types: &BtfFile<'_>) -> Result<Arguments, HookError> {
    let all = types.arguments(&format!("btf_trace_{TRACEPOINT}")).unwrap_or_default();
    let place = |wanted| all.iter().skip(1).position(|name| *name == wanted).map(|at| at as u8);
    match (place("sk_buff"), place("skb_drop_reason")) {
        (Some(skb), Some(reason)) => Ok(Arguments { skb, location: skb + 1, reason }),
        _ => Err(lacking(format!(
            "the tracepoint {TRACEPOINT} passes no drop reason (arguments: {}); it does since Linux 5.17",
            all.join(", ")
        ))),
    }
}

/// The reasons of the kernel's core; those of subsystems lie above.
fn reasons(types: &BtfFile<'_>) -> Result<Vec<String>, HookError> {
    let enumerators = types
        .enumerators("skb_drop_reason")
        .ok_or_else(|| lacking("there is no enum skb_drop_reason, which Linux has since 5.17".to_owned()))?;
    let mut names = vec![String::new(); REASONS];
    for (name, number) in enumerators {
        if let Some(place) = names.get_mut(number as usize).filter(|place| place.is_empty()) {
            let short = name.strip_prefix("SKB_DROP_REASON_").or_else(|| name.strip_prefix("SKB_"));
            *place = short.unwrap_or(name).to_owned();
        }
    }
    Ok(names)
}

/// Where a function's code lies: up to the next symbol above.
fn code_of(symbols: &str, function: &str) -> Option<Range<u64>> {
    let address = |line: &str| u64::from_str_radix(line.split_whitespace().next()?, 16).ok();
    // Compilers specialise functions: the name has a suffix then, and what never runs stands apart (".cold").
    let is_it = |line: &&str| {
        let mut name = line.split_whitespace().nth(2).unwrap_or_default().splitn(2, '.');
        name.next() == Some(function) && name.next() != Some("cold")
    };
    let start = symbols.lines().find(is_it).and_then(address).filter(|&start| start > 0)?;
    let end = symbols.lines().filter_map(address).filter(|&other| other > start).min()?;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "\
ffffffff82047e40 T udp_destruct_common
ffffffff81000000 T _text
ffffffff82047f10 T __pfx_udp_destroy_sock
ffffffff82047f20 T udp_destroy_sock
ffffffff82000000 t udp_destruct_common_not
ffffffff82047000 t skb_release_data.cold
ffffffff82047100 t skb_release_data.isra.0
ffffffffc0000000 t nf_hook\t[nf_tables]
";

    #[test]
    fn a_function_ends_where_the_next_symbol_begins() {
        let check = |function, expected| assert_eq!(code_of(SYMBOLS, function), expected, "{function}");
        check("udp_destruct_common", Some(0xffff_ffff_8204_7e40..0xffff_ffff_8204_7f10));
        check("skb_release_data", Some(0xffff_ffff_8204_7100..0xffff_ffff_8204_7e40));
        check("nobody", None);
        // Nothing stands above the last one: its end is not known.
        check("nf_hook", None);
    }

    #[test]
    fn addresses_that_the_kernel_hides_are_none() {
        assert_eq!(code_of("0000000000000000 T udp_destruct_common\n", "udp_destruct_common"), None);
    }

    #[test]
    fn bytes_that_are_no_types_are_refused() {
        for bytes in [&b""[..], b"ELF", &[0x9f, 0xeb, 1, 0]] {
            let error = Kernel::described_by(bytes, FreeingCode::default()).expect_err("no BTF").to_string();
            assert!(error.contains(crate::error::KERNEL_TYPES) && error.contains("no BTF"), "{error}");
        }
    }
}
