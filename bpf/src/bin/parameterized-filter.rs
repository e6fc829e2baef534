//! `parameterized-filter`: accepts everything while its parameter is 0; the parameter comes by map or by constant.
#![no_std]
#![no_main]

use aya_ebpf::{
    btf_maps::Array,
    macros::{btf_map, socket_filter},
    programs::SkBuffContext,
};
use weir_bpf::{Verdict, Verdicts, count};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "parameter")]
static PARAMETER: Array<u32, 1> = Array::new();

/// Set by the loader; the verifier then knows its value and removes the branch not taken.
#[unsafe(no_mangle)]
static PARAMETER_CONSTANT: u32 = 0;

#[socket_filter]
fn parameter_map(_ctx: SkBuffContext) -> i64 {
    // An array's only element always exists; an absent one reads as 0.
    let value = PARAMETER.get(0).copied().unwrap_or(0);
    count(&VERDICTS, (value == 0).into())
}

#[socket_filter]
fn parameter_const(_ctx: SkBuffContext) -> i64 {
    // SAFETY: a live static; volatile, so that the compiler leaves the read to the loader's value.
    let value = unsafe { (&raw const PARAMETER_CONSTANT).read_volatile() };
    if value == 0 { accept() } else { drop() }
}

/// Not inlined: arms that share code would leave the verifier a branch with two live ends, which it keeps.
#[inline(never)]
fn accept() -> i64 {
    count(&VERDICTS, Verdict::Accept)
}

#[inline(never)]
fn drop() -> i64 {
    count(&VERDICTS, Verdict::Drop)
}
