//! Types of programs and of the functions that they call.

use super::{Btf, Linkage, TypeId};

/// What the kernel calls a program's argument, by the beginning of its section's name. A program of another kind gets
/// no parameter: a pointer to void makes the verifier remark on it in its log.
const CONTEXTS: &[(&str, &str)] = &[
    ("action", "__sk_buff"),
    ("cgroup/skb", "__sk_buff"),
    ("cgroup_skb", "__sk_buff"),
    ("classifier", "__sk_buff"),
    ("lwt_", "__sk_buff"),
    ("netkit", "__sk_buff"),
    ("sk_lookup", "bpf_sk_lookup"),
    ("sk_msg", "sk_msg_md"),
    ("sk_reuseport", "sk_reuseport_md"),
    ("sk_skb", "__sk_buff"),
    ("socket", "__sk_buff"),
    ("sockops", "bpf_sock_ops"),
    ("tc", "__sk_buff"),
    ("xdp", "xdp_md"),
];

/// Longest name of a function that every kernel with BTF takes (KSYM_NAME_LEN before Linux 6.1, less its NUL).
const MAX_NAME: usize = 127;

/// `int name(struct context *ctx)`, seen by loaders.
pub(crate) fn program(btf: &mut Btf, name: &str, section: &str) -> TypeId {
    let returns = btf.int(4, true);
    let context = CONTEXTS.iter().find(|(prefix, _)| section.starts_with(prefix)).map(|(_, context)| {
        // The kernel compares the struct's name; what is in it, it knows better.
        let context = btf.structure(context, 0, &[]);
        ("ctx", btf.pointer(context))
    });
    btf.func(&c_name(name), returns, context, Linkage::Global)
}

/// `static int name()`: the verifier follows each call of a static function with the arguments that it gets, whatever
/// its type says.
pub(crate) fn function(btf: &mut Btf, name: &str) -> TypeId {
    let returns = btf.int(4, true);
    btf.func(&c_name(name), returns, None, Linkage::Static)
}

/// A name that the kernel takes for a C identifier.
pub(crate) fn c_name(name: &str) -> String {
    let starts_well = name.starts_with(|first: char| !first.is_ascii_digit());
    let start = if starts_well { "" } else { "_" };
    let plain = name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' });
    start.chars().chain(plain).take(MAX_NAME).collect()
}
