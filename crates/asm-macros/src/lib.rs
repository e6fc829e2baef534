//! eBPF inline in Rust: [`ebpf!`] is read when Rust compiles, and nothing is left to be read when it runs.
//!
//! ```
//! use weir_asm::{Code, Endian, Reg};
//! use weir_asm_macros::ebpf;
//!
//! /// Accepts packets whose first byte is `kind`, and hands the others to `otherwise`.
//! fn accept_kind(kind: i32, otherwise: &Code) -> Code {
//!     let length = Reg::R2;
//!     ebpf! {
//!         ldxw $length, [r1 + 0]      // __sk_buff.len
//!         jeq $length, 0, drop
//!         ldabsb 0
//!         jne r0, $kind, drop
//!         mov r0, -1
//!         exit
//!     drop:
//!         $otherwise
//!     }
//! }
//!
//! let code = accept_kind(7, &ebpf! { mov r0, {1 - 1}; exit });
//! assert_eq!(code.encode(Endian::Little).unwrap().len(), 8 * 8);
//! ```
//!
//! # Syntax
//! That of `weir_asm`'s text, with Rust's comments. Each line is a statement; where there is a `;`, statements end with
//! `;` and lines mean nothing (write macros that make `ebpf!` so: their tokens come from several lines). Numbers may be
//! written as in Rust, without a suffix; binary and octal ones are patterns of bits, as hexadecimal ones are.
//!
//! Constants (`.equ`) and stack slots (`.slot`) may be declared. Maps need no declaration; programs, their licence and
//! their maps are put together in `weir_asm::Object`.
//!
//! # Splices
//! `$name` stands for a variable and `{…}` for any expression, each with the type that its place asks for:
//!
//! | place | type |
//! |---|---|
//! | a register | `Reg` |
//! | a register or a number | `Reg` or `i32` |
//! | `[$mem]` | `Mem` or `Reg` |
//! | `[r1 + $off]` | `i16` |
//! | a number, a helper's or a kernel function's id, a file descriptor | `i32`; a register that is called: `callx $reg` |
//! | `lddw r1, $value`, `.raw $word` | `u64` |
//! | `var_addr($id)`, `map_by_idx($index)`, `map_val(…) + $off` | `u32` |
//! | a map, `lmap r1, $map` | `&MapDef`, or its name as `&str` |
//! | a target, `ja $there` | `i32` distance, or a label's name as `&str` |
//! | a label, `$here:` | its name as `&str` |
//! | a line of its own, `$program` | `Code`, `&Code`, `Insn`, or anything that gives `Insn`s |
//!
//! # Labels
//! Each `ebpf!` has labels of its own, even where several of the same name end up in one program. To jump between what
//! different `ebpf!`s make, begin with `in`, a `&mut Code`, and `;`: instructions are added to that code, and its
//! `Label`s (and `MapName`s) can be spliced.
//!
//! ```
//! use weir_asm::Code;
//! use weir_asm_macros::ebpf;
//!
//! let mut code = Code::new();
//! let drop = code.fresh_label();
//! for byte in [0, 4] {
//!     ebpf! { in &mut code;
//!         ldabsb $byte
//!         jeq r0, 255, $drop
//!     }
//! }
//! ebpf! { in &mut code;
//!         mov r0, -1
//!         exit
//!     $drop:
//!         mov r0, 0
//!         exit
//! }
//! assert_eq!(code.place_of(drop), Some(6));
//! assert!(weir_asm::check(&code).is_empty());
//! ```
//!
//! # Lines
//! Instructions know the line of the Rust file that they stand on. Where a program's `source` is that file, the verifier's
//! log quotes it:
//!
//! ```no_run
//! # let code = weir_asm::Code::new();
//! # macro_rules! include_str { ($file:literal) => { "" } }
//! let source = weir_asm::Source { file: file!().to_owned(), text: include_str!("lib.rs").into() };
//! let program = weir_asm::Program { name: "p".into(), section: "xdp".into(), code, sources: vec![source], ..Default::default() };
//! ```
//!
//! Errors in the text are errors of the compiler at the token, as are splices of a wrong type. What depends on splices,
//! such as a spliced distance, is found by `weir_asm::check` when the program runs.
//!
//! # Two crates
//! A crate that writes `ebpf!` depends on this one and on `weir_asm`, which the expansion names. `weir_asm` can't
//! re-export the macro: the macro reads its input with `weir_asm`'s own parser, and dependencies that go round in a
//! circle don't build. The other way out, instructions and parser in a third crate that both use, would take the one
//! crate that is to be read as a whole apart for the sake of one line in a `Cargo.toml`.
#![forbid(unsafe_code)]

mod emit;
mod source;

use emit::Emit;
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use source::{SourceText, is};

/// Instructions as a `weir_asm::Code`, or, with `in &mut code;` before them, added to one; see the crate.
#[proc_macro]
pub fn ebpf(tokens: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(tokens.into()).into()
}

fn expand(tokens: TokenStream) -> TokenStream {
    let mut tokens: Vec<_> = tokens.into_iter().collect();
    let given = match given(&mut tokens) {
        Ok(given) => given,
        Err(error) => return error,
    };
    let mut source = SourceText::of(tokens);
    let code = Ident::new("code", Span::mixed_site());
    let of = format_ident!("{}", if given.is_some() { "Given" } else { "Fresh" });
    let statements = match weir_asm::text::quote(&source.text) {
        Ok(quoted) if source.errors.is_empty() => Emit::statements(&quoted, &source, code.clone(), of),
        Ok(_) => source.errors,
        // A token that had no place in the text leads to more errors than there are.
        Err(_) if !source.errors.is_empty() => source.errors,
        Err(diagnostics) => {
            diagnostics.iter().for_each(|diagnostic| source.report(diagnostic));
            source.errors
        }
    };
    match given {
        Some(given) => quote!({
            let #code: &mut ::weir_asm::Code = #given;
            #statements
        }),
        // Its variables are none of the splices'.
        None => quote_spanned!(Span::mixed_site()=> {
            let mut fresh = ::weir_asm::Code::new();
            let #code = &mut fresh;
            #statements
            fresh
        }),
    }
}

/// Takes `in …;` off the beginning, and gives the expression.
fn given(tokens: &mut Vec<TokenTree>) -> Result<Option<TokenStream>, TokenStream> {
    let Some(TokenTree::Ident(word)) = tokens.first() else { return Ok(None) };
    if word != "in" {
        return Ok(None);
    }
    let span = word.span();
    let Some(end) = tokens.iter().position(|token| is(token, ';')).filter(|&end| end > 1) else {
        return Err(quote_spanned!(span=>
            ::core::compile_error!("`in` takes a `&mut Code`, and `;` behind it")
        ));
    };
    Ok(Some(tokens.drain(..=end).skip(1).take(end - 1).collect()))
}
