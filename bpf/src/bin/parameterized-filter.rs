//! `parameterized-filter`: accepts everything while its parameter is 0; the parameter comes by map or by constant.
#![no_std]
#![no_main]

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use weir_bpf::{Hook, Verdict, Verdicts, count, decide, decide_uncounted};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "parameter")]
static PARAMETER: Array<u32, 1> = Array::new();

/// Set by the loader; the verifier then knows its value and removes the branch not taken.
#[unsafe(no_mangle)]
static PARAMETER_CONSTANT: u32 = 0;

mod by_map {
    weir_bpf::programs!("parameter_map", super::parameter_map);
}

mod by_constant {
    weir_bpf::programs!("parameter_const", super::parameter_const);
}

#[inline(always)]
fn parameter_map<H: Hook>(hook: &H) -> i64 {
    // An array's only element always exists; an absent one reads as 0.
    decide(hook, &VERDICTS, |_| (PARAMETER.get(0).copied().unwrap_or(0) == 0).into())
}

#[inline(always)]
fn parameter_const<H: Hook>(hook: &H) -> i64 {
    decide_uncounted(hook, |packet| {
        // SAFETY: a live static; volatile, so that the compiler leaves the read to the loader's value.
        let value = unsafe { (&raw const PARAMETER_CONSTANT).read_volatile() };
        if packet.is_some() && value == 0 { accept::<H>() } else { drop::<H>() }
    })
}

/// Not inlined: arms that share code would leave the verifier a branch with two live ends, which it keeps.
#[inline(never)]
fn accept<H: Hook>() -> i64 {
    count(&VERDICTS, Verdict::Accept);
    H::ACCEPT
}

#[inline(never)]
fn drop<H: Hook>() -> i64 {
    count(&VERDICTS, Verdict::Drop);
    H::DROP
}
