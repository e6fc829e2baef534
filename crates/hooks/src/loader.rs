//! aya loaders that parse the kernel's BTF only where an object needs it.
//!
//! aya 0.14 parses /sys/kernel/btf/vmlinux in `EbpfLoader::new`, the only way to a loader: about 30 MB and 50 ms for
//! type information that a program without CO-RE relocations never looks at. aya 0.15 reads it when it is needed
//! (and asks for Rust 1.98); until then the loader is made on a thread that can't open files.

use std::{collections::BTreeMap, thread};

use aya::EbpfLoader;
use object::{Object as _, ObjectSection as _};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// A loader for programs that need nothing of the kernel's BTF.
pub(crate) fn without_kernel_btf() -> EbpfLoader<'static> {
    thread::spawn(|| {
        // Where seccomp is missing, the loader costs memory and time, and works.
        if let Some(no_files) = no_files() {
            let _ = seccompiler::apply_filter(&no_files);
        }
        EbpfLoader::new()
    })
    .join()
    .expect("making a loader doesn't panic")
}

/// A loader for anyone's object: one with the kernel's BTF where the object has CO-RE relocations, which aya would
/// otherwise leave undone and say nothing.
pub(crate) fn fit_for(elf: &[u8]) -> EbpfLoader<'static> {
    if has_core_relocations(elf) { EbpfLoader::new() } else { without_kernel_btf() }
}

/// Whether `.BTF.ext` has records of them (`struct btf_ext_header`, tools/lib/bpf/libbpf_internal.h; before libbpf
/// 0.0.6 the header ended before that field). An object that can't be read has none: loading it says why.
fn has_core_relocations(elf: &[u8]) -> bool {
    const LENGTH_OF_HEADER: usize = 4;
    const LENGTH_OF_RECORDS: usize = 28;
    let Ok(file) = object::File::parse(elf) else { return false };
    let Some(Ok(ext)) = file.section_by_name(".BTF.ext").map(|section| section.data()) else { return false };
    let word = |offset| -> Option<u32> {
        let bytes = *ext.get(offset..)?.first_chunk()?;
        Some(if file.is_little_endian() { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let has_field =
        word(LENGTH_OF_HEADER).is_some_and(|len| len as usize >= LENGTH_OF_RECORDS + size_of::<u32>());
    has_field && word(LENGTH_OF_RECORDS).is_some_and(|len| len > 0)
}

/// A seccomp program under which opening a file says ENOENT (seccomp(2)); it holds for one thread.
fn no_files() -> Option<BpfProgram> {
    let calls = [libc::SYS_openat, libc::SYS_openat2].map(|call| (call, Vec::new()));
    SeccompFilter::new(
        BTreeMap::from(calls),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOENT as u32),
        std::env::consts::ARCH.try_into().ok()?,
    )
    .ok()?
    .try_into()
    .ok()
}

#[cfg(test)]
mod tests {
    use weir_asm::Endian;
    use weir_filters::{FilterName, Site, fun};

    use super::*;

    #[test]
    fn what_we_write_needs_no_kernel_btf() {
        for endian in [Endian::Little, Endian::Big] {
            let elf = fun::object(FilterName::ValidCommand.into(), &Site::socket())
                .to_elf(endian)
                .expect("it is written");
            assert!(!has_core_relocations(&elf));
        }
        assert!(!has_core_relocations(b"no ELF"));
    }

    #[test]
    fn core_relocations_are_found() {
        let mut elf = fun::object(FilterName::ValidCommand.into(), &Site::socket())
            .to_elf(Endian::Little)
            .expect("it is written");
        let file = object::File::parse(&*elf).expect("it is ELF");
        let ext = file.section_by_name(".BTF.ext").expect("it has line info");
        let (offset, _) = ext.file_range().expect("it has bytes");
        let header = u32::from_le_bytes(*elf[offset as usize + 4..].first_chunk().expect("a header"));
        assert_eq!(header, 32, "the field is there");
        elf[offset as usize + 28] = 24;
        assert!(has_core_relocations(&elf));
    }
}
