//! How much a file of so many bytes may make its reader do.

use super::error::{ElfError, unreadable};

/// What is left. In a file whose parts don't overlap, every byte is read once or a few times.
pub(super) struct Budget {
    text: usize,
    code: usize,
    relocations: usize,
}

impl Budget {
    pub(super) fn of(bytes: usize) -> Self {
        // Names and lines may be shared between symbols and instructions, in reason.
        Self { text: 16 * bytes + (1 << 16), code: bytes, relocations: bytes / 16 }
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), ElfError> {
        spend(&mut self.text, text.len() + 1, "its strings")
    }

    pub(super) fn code(&mut self, bytes: usize) -> Result<(), ElfError> {
        spend(&mut self.code, bytes, "its sections")
    }

    pub(super) fn relocation(&mut self) -> Result<(), ElfError> {
        spend(&mut self.relocations, 1, "its relocations")
    }
}

fn spend(left: &mut usize, amount: usize, what: &str) -> Result<(), ElfError> {
    *left = left.checked_sub(amount).ok_or_else(|| unreadable(what, "they overlap beyond all reason"))?;
    Ok(())
}
