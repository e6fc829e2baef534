//! Chains, for older kernels.
#![no_std]
#![no_main]

use weir_bpf::spend_without_exchange as spend;

#[path = "parts/chain.rs"]
mod chain;
