//! Any bytes: reading them as an ELF object ends, and what was read can be shown, linked and written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_asm::{read_elf, show::llvm::Llvm};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = read_elf(bytes) else { return };
    for section in &file.sections {
        let symbols = section.symbols.iter().map(|symbol| (symbol.slot, &*symbol.name));
        let shown = Llvm::new(&section.code).symbols(symbols).to_string();
        assert!(shown.lines().count() >= section.code.len());
    }
    let Ok(object) = file.object() else { return };
    if let Ok(written) = object.to_elf(file.endian) {
        let again = read_elf(&written).expect("what was written is read");
        assert_eq!(again.license, object.license);
    }
});
