//! The running kernel's own types.

use std::fs;

use weir_asm::{BtfFile, Endian};

use crate::error::{HookError, KERNEL_TYPES};

/// As the kernel gives them.
pub(crate) fn read() -> Result<Vec<u8>, HookError> {
    fs::read(KERNEL_TYPES).map_err(|error| {
        lacking(format!(
            "{error}; where the kernel keeps what of a packet is said there, by kernels with CONFIG_DEBUG_INFO_BTF \
             (Linux 5.4)"
        ))
    })
}

pub(crate) fn parse(bytes: &[u8]) -> Result<BtfFile<'_>, HookError> {
    BtfFile::parse(bytes, Endian::NATIVE).ok_or_else(|| lacking("this is no BTF".to_owned()))
}

/// A field's offset, where it is as large as the program takes it to be.
pub(crate) fn field<Offset: TryFrom<u32>>(
    types: &BtfFile<'_>,
    structure: &str,
    name: &str,
    size: u32,
) -> Result<Offset, HookError> {
    let field = types.field(structure, name).filter(|field| field.size == size);
    field.and_then(|field| field.offset.try_into().ok()).ok_or_else(|| {
        lacking(format!(
            "struct {structure} has no field {name} of {size} bytes; weir reads packets as 64-bit kernels from Linux \
             5.17 to 6.18 lay them out"
        ))
    })
}

pub(crate) fn lacking(reason: String) -> HookError {
    HookError::KernelLacks { reason }
}
