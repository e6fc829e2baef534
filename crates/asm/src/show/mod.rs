//! Instructions as text.

pub mod fun;
