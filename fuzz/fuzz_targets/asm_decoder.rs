//! Any bytes as a program: an error, or instructions that encode to the same bytes, as text too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_asm::{Endian, check, decode, show, text::assemble_code};

fuzz_target!(|bytes: &[u8]| {
    for endian in [Endian::Little, Endian::Big] {
        let Ok(code) = decode(bytes, endian) else { continue };
        assert_eq!(code.encode(endian).as_deref(), Ok(bytes));
        for shown in [show::fun::code(&code).to_string(), show::fun::code_with_labels(&code).to_string()] {
            let again = assemble_code(shown.as_bytes()).expect("what is shown assembles");
            assert_eq!(again.encode(endian).as_deref(), Ok(bytes), "{shown}");
        }
        for problem in check(&code) {
            assert!(!problem.to_string().is_empty());
        }
    }
});
