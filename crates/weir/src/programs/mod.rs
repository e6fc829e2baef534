//! What the commands on eBPF programs share: reading them, saying what is wrong with them, writing them.

mod input;
mod output;
mod problems;
mod tree;

pub(crate) use input::{ByteOrder, Input, InputForm, ProgramInput, is_elf};
pub(crate) use output::write_binary;
pub(crate) use problems::Findings;
pub(crate) use tree::Tree;
