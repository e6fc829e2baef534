//! SourceChecks, and any filter behind them: here those with maps. Which of them decide is a constant of the loader's.

use aya_ebpf::{
    btf_maps::{Array, PerCpuArray},
    macros::btf_map,
};
use weir_bpf::{
    Blocked, Captures, Hook, Keys, Packet, Rate, Source, Sources, Verdicts, accepts_by_packet,
    asks_for_a_known_key, decide, is_blocked, keep_a_copy, programs, source,
};
use weir_wire::chain::{Chain, MAX_CHECKS, NONE, number};

use super::spend;

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "blocked")]
static BLOCKED: Blocked = Blocked::new();

#[btf_map(name = "quota_rate")]
static QUOTA_RATE: Rate = Rate::new();

#[btf_map(name = "sources")]
static SOURCES: Sources = Sources::new();

#[btf_map(name = "keys")]
static KEYS: Keys = Keys::new();

#[btf_map(name = "parameter")]
static PARAMETER: Array<u32, 1> = Array::new();

#[btf_map(name = "counter")]
static COUNTER: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map(name = "capture")]
static CAPTURE: Captures = Captures::new();

/// Set by the loader; the verifier then knows it and removes the filters that aren't in the chain.
#[unsafe(no_mangle)]
static CHAIN: Chain = Chain { checks: [NONE; MAX_CHECKS], last: NONE };

/// A field of [`CHAIN`].
macro_rules! chain {
    ($($field:tt)+) => {
        // SAFETY: a live static; volatile, so that the compiler leaves the read to the loader's value.
        unsafe { (&raw const CHAIN.$($field)+).read_volatile() }
    };
}

const BLOCKLIST: u32 = number("blocklist");
const QUOTA: u32 = number("quota");
const PARAMETERIZED: u32 = number("parameterized-filter");
const PRINT: u32 = number("print-filter");
const COUNT: u32 = number("count-filter");
const KNOWN_KEY: u32 = number("known-key");

programs!("chain", run);

#[inline(always)]
fn run<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| (checks_pass(hook) && last_accepts(packet)).into())
}

#[inline(always)]
fn checks_pass<H: Hook>(hook: &H) -> bool {
    let Some(source) = source(hook) else { return true };
    passes(chain!(checks[0]), &source) && passes(chain!(checks[1]), &source)
}

#[inline(always)]
fn passes(check: u32, source: &Source) -> bool {
    match check {
        NONE => true,
        BLOCKLIST => !is_blocked(&BLOCKED, source),
        QUOTA => spend(&QUOTA_RATE, &SOURCES, source),
        _ => false,
    }
}

#[inline(always)]
fn last_accepts<H: Hook>(packet: &Packet<'_, H>) -> bool {
    match chain!(last) {
        // An array's only element always exists; an absent one reads as 0.
        PARAMETERIZED => PARAMETER.get(0).copied().unwrap_or(0) == 0,
        PRINT => {
            keep_a_copy(packet, &CAPTURE);
            true
        }
        COUNT => {
            if let Some(counter) = COUNTER.get_ptr_mut(0) {
                // SAFETY: the lookup gave a live slot, which its own CPU alone writes.
                unsafe { *counter += 1 };
            }
            true
        }
        KNOWN_KEY => asks_for_a_known_key(packet, &KEYS),
        other => accepts_by_packet(other, packet),
    }
}
