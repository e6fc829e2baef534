//! What the commands on eBPF programs share: reading them, saying what is wrong with them, writing them.

mod input;
mod output;
mod problems;
mod tree;

pub use input::{ByteOrder, Form, Input, Reading, is_elf};
pub use output::{write_binary, write_json, write_text};
pub use problems::{Finding, Findings, Report};
pub use tree::Tree;
