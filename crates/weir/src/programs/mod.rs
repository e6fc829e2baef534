//! What the commands on eBPF programs share: reading them, saying what is wrong with them, writing them.

mod input;
mod output;
mod problems;
mod tree;

pub use input::{ByteOrder, Input, InputForm, ProgramInput, is_elf};
pub use output::{write_binary, write_json, write_text};
pub use problems::{Finding, Findings, ProgramReport};
pub use tree::Tree;
