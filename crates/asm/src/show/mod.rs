//! Programs as text, in the syntaxes that people read.

pub mod fun;
pub mod llvm;
mod llvm_parts;
