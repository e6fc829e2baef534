//! What a program must know of the running kernel to tell packets that are several datagrams where nobody tells it.

use std::env::consts::ARCH;

use weir_filters::{GsoLayout, GsoView, Hook, WayToSharedInfo};

use crate::{
    HookError,
    features::Feature,
    kernel_types::{self, field, lacking},
};

/// Architectures whose kernels align to 64 bytes what lies behind a packet's memory (`SMP_CACHE_BYTES`).
const CACHE_LINES_OF_64: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

/// For [`weir_filters::Site::gso`] on the running kernel: at a shared port, or in generic XDP. Reads the kernel's types,
/// some megabytes, and keeps nothing of them.
///
/// # Errors
/// The hook tells `gso_size` itself or never sees such packets; or the kernel has no BTF, or is older than 6.2, or is
/// laid out as nobody has seen yet.
pub fn gso_layout(hook: Hook) -> Result<GsoLayout, HookError> {
    if Feature::GsoSize.is_switched_off() {
        return Err(lacking("it is switched off (WEIR_WITHOUT)".to_owned()));
    }
    described_by(&kernel_types::read()?, hook, ARCH)
}

fn described_by(types: &[u8], hook: Hook, architecture: &str) -> Result<GsoLayout, HookError> {
    let types = kernel_types::parse(types)?;
    let function = |name| {
        let missing = || lacking(format!("the kernel has no function {name} for programs; it has since 6.2"));
        types.function(name).and_then(|id| id.try_into().ok()).ok_or_else(missing)
    };
    let shared_info = types.structure("skb_shared_info");
    let shared_info = shared_info.ok_or_else(|| lacking("there is no struct skb_shared_info".to_owned()))?;
    let way = match hook {
        _ if hook.gso() != GsoView::Untold => return Err(lacking(format!("hook {hook} needs none of it"))),
        Hook::Reuseport => WayToSharedInfo::OfPacket {
            skb: field(&types, "sk_reuseport_kern", "skb", 8)?,
            head: field(&types, "sk_buff", "head", 8)?,
            end: field(&types, "sk_buff", "end", 4)?,
        },
        Hook::Xdp if CACHE_LINES_OF_64.contains(&architecture) => WayToSharedInfo::OfGenericXdp {
            data_hard_start: field(&types, "xdp_buff", "data_hard_start", 8)?,
            frame_sz: field(&types, "xdp_buff", "frame_sz", 4)?,
            room: shared_info.size.next_multiple_of(64) as i32,
        },
        Hook::Xdp => return Err(lacking(format!("how {architecture} aligns packets isn't known to weir"))),
        _ => return Err(lacking(format!("where programs at hook {hook} have it isn't known to weir"))),
    };
    Ok(GsoLayout {
        cast_to_kern_ctx: function("bpf_cast_to_kern_ctx")?,
        rdonly_cast: function("bpf_rdonly_cast")?,
        shared_info: shared_info.id as i32,
        gso_size: field(&types, "skb_shared_info", "gso_size", 2)?,
        way,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_that_are_told_and_bytes_that_are_no_types_are_refused() {
        let check = |bytes: &[u8], hook, expected: &str| {
            let error = described_by(bytes, hook, ARCH).expect_err("refused").to_string();
            assert!(error.contains(crate::error::KERNEL_TYPES) && error.contains(expected), "{error}");
        };
        for bytes in [&b""[..], b"ELF", &[0x9f, 0xeb, 1, 0]] {
            check(bytes, Hook::Reuseport, "no BTF");
        }
        let Ok(running) = kernel_types::read() else { return };
        check(&running, Hook::Tc, "hook tc needs none of it");
        let error = described_by(&running, Hook::Xdp, "s390x").expect_err("refused").to_string();
        assert!(error.contains("how s390x aligns packets"), "{error}");
    }
}
