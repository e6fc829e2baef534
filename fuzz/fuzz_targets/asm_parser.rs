//! Any bytes as text: errors point into the text, and what assembles is shown as text of the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_asm::{
    Diagnostics, Endian, show,
    text::{assemble, assemble_code, quote},
};

fuzz_target!(|text: &[u8]| {
    match assemble_code(text) {
        Err(errors) => errors_point_into(text, &errors),
        Ok(code) => {
            let Ok(bytes) = code.encode(Endian::Little) else { return };
            let shown = show::fun::code(&code).to_string();
            let again = assemble_code(shown.as_bytes()).expect("what is shown assembles");
            assert_eq!(again.encode(Endian::Little).as_ref(), Ok(&bytes), "{shown}");
        }
    }
    match assemble("fuzz", text) {
        Err(errors) => errors_point_into(text, &errors),
        Ok(object) => {
            let shown = show::fun::object(&object).to_string();
            assemble("shown", shown.as_bytes()).unwrap_or_else(|errors| {
                panic!("{}\n{shown}", errors.display("shown", shown.as_bytes()));
            });
        }
    }
    if let Ok(text) = std::str::from_utf8(text) {
        if let Err(errors) = quote(text) {
            errors_point_into(text.as_bytes(), &errors);
        }
    }
});

fn errors_point_into(text: &[u8], errors: &Diagnostics) {
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.span.start <= error.span.end && error.span.end as usize <= text.len(), "{error:?}");
    }
    assert!(!errors.display("fuzz", text).to_string().is_empty());
}
