//! What the BPF programs share: the hooks, finding and reading the packet, the verdict and its counts, the licence.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "what a map is given by value is copied once more"
)]

mod bounds;
mod capture;
mod command;
mod frame;
mod guard;
mod hook;
mod known_key;
mod packet;
mod pieces;
mod verdict;
mod view;
mod window;
mod worker;

pub use capture::{Captures, keep_a_copy};
pub use command::{begins_with_a_command, is_a_command_of_its_length};
pub use guard::{Blocked, Origin, Rate, Source, Sources, is_blocked, source, spend, spend_without_exchange};
pub use hook::{Cgroup, Hook, Reuseport, Socket, Tc, Xdp};
pub use known_key::{Keys, asks_for_a_known_key};
pub use packet::{Head, Packet};
pub use verdict::{Verdict, Verdicts, count, decide, decide_uncounted};

/// One program a hook, each called after its hook and the filter: `$run` is a function of the hook that gives what the
/// program returns.
#[macro_export]
macro_rules! programs {
    ($name:literal, $run:path) => {
        $crate::program!($name, $run, socket, "socket", $crate::Socket, __sk_buff);
        $crate::program!($name, $run, reuseport, "sk_reuseport", $crate::Reuseport, sk_reuseport_md);
        $crate::program!($name, $run, cgroup, "cgroup_skb/ingress", $crate::Cgroup, __sk_buff);
        $crate::program!($name, $run, tc, "classifier", $crate::Tc, __sk_buff);
        $crate::program!($name, $run, xdp, "xdp.frags", $crate::Xdp::<true>, xdp_md);
        $crate::program!($name, $run, xdp_whole, "xdp", $crate::Xdp::<false>, xdp_md);
    };
}

/// A program at a hook; the section's name tells loaders its type.
#[macro_export]
macro_rules! program {
    ($name:literal, $run:path, $hook:ident, $section:literal, $context:path, $raw:ident) => {
        #[unsafe(export_name = concat!(stringify!($hook), "_", $name))]
        #[unsafe(link_section = $section)]
        extern "C" fn $hook(context: *mut aya_ebpf::bindings::$raw) -> i64 {
            let hook = $context(context);
            $crate::Hook::end(&hook, $run(&hook))
        }
    };
}

/// The licence that the kernel reads: some helpers are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program from which this can be reached.
    loop {}
}
