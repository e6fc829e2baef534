//! The `.BTF.ext` section: which function begins where, and which line each instruction comes from.

use super::{Btf, TypeId, magic_and_version, words_to_bytes};
use crate::Endian;

/// An instruction's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineInfo {
    /// In bytes, from the section's start.
    pub(crate) offset: u32,
    /// The file's name, an offset into the strings.
    pub(crate) file: u32,
    /// The line's text, an offset into the strings.
    pub(crate) text: u32,
    /// From 1; 0 for none.
    pub(crate) line: u32,
    /// From 1; 0 for none.
    pub(crate) column: u16,
}

/// Functions and lines, section by section.
#[derive(Debug, Default)]
pub(crate) struct BtfExt {
    functions: ExtPart,
    lines: ExtPart,
}

#[derive(Debug, Default)]
struct ExtPart(Vec<(u32, Vec<u32>)>);

/// 22 bits of a word are the line's, the lower 10 the column's.
const MAX_LINE: u32 = (1 << 22) - 1;
const MAX_COLUMN: u16 = (1 << 10) - 1;

impl BtfExt {
    /// Adds a section's functions, by their offsets in bytes, and lines; both in the order of their offsets.
    pub(crate) fn section(
        &mut self,
        btf: &mut Btf,
        name: &str,
        functions: &[(u32, TypeId)],
        lines: &[LineInfo],
    ) {
        let name = btf.string(name);
        self.functions.add(name, functions.iter().flat_map(|&(offset, id)| [offset, id.0]).collect());
        let records = lines.iter().flat_map(|line| {
            let number = if line.line > MAX_LINE { 0 } else { line.line };
            let column = if line.column > MAX_COLUMN { 0 } else { line.column };
            [line.offset, line.file, line.text, (number << 10) | u32::from(column)]
        });
        self.lines.add(name, records.collect());
    }

    /// The section's bytes.
    pub(crate) fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        const HEADER_LEN: u32 = 32;
        let functions = self.functions.words(2);
        let lines = self.lines.words(4);
        let (functions_len, lines_len) = (4 * functions.len() as u32, 4 * lines.len() as u32);
        let end = functions_len + lines_len;
        let header = [HEADER_LEN, 0, functions_len, functions_len, lines_len, end, 0];
        let mut bytes = magic_and_version(endian).to_vec();
        bytes.extend(words_to_bytes(&header, endian));
        bytes.extend(words_to_bytes(&functions, endian));
        bytes.extend(words_to_bytes(&lines, endian));
        bytes
    }
}

impl ExtPart {
    fn add(&mut self, section: u32, records: Vec<u32>) {
        if !records.is_empty() {
            self.0.push((section, records));
        }
    }

    /// A record's size in bytes, then each section: its name, how many records it has, and these.
    fn words(&self, record: usize) -> Vec<u32> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let sections = self.0.iter().flat_map(|(name, words)| {
            [*name, (words.len() / record) as u32].into_iter().chain(words.iter().copied())
        });
        [4 * record as u32].into_iter().chain(sections).collect()
    }
}
