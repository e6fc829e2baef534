//! Chains, for kernels whose BPF has compare and exchange (Linux 5.12).
#![no_std]
#![no_main]

use weir_bpf::spend;

#[path = "parts/chain.rs"]
mod chain;
