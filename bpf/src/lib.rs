//! What the BPF programs share.
#![no_std]
