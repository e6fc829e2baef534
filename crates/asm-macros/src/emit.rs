//! From instructions with holes to the Rust that builds them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use weir_asm::{
    Atomic, Call, Code, Imm64, Insn, Label, MapName, Mem, Reg, Src, Target,
    text::{Hole, Part, Quoted, SpliceField},
};

use crate::source::SourceText;

/// Builds the code.
pub(crate) struct Emit<'a> {
    source: &'a SourceText,
    names: &'a Code,
    /// The variable that holds the code, `&mut Code`.
    code: Ident,
    /// `Fresh` or `Given` of `weir_asm::splice`.
    of: Ident,
}

impl<'a> Emit<'a> {
    /// Statements that add what was quoted to `code`, a `&mut Code`.
    pub(crate) fn statements(
        quoted: &'a Quoted,
        source: &'a SourceText,
        code: Ident,
        of: Ident,
    ) -> TokenStream {
        let emit = Self { source, names: &quoted.names, code, of };
        let labels = emit.names.labels().map(|(label, _)| emit.new_label(label));
        let parts = quoted.parts.iter().map(|part| emit.part(part));
        quote!(#(#labels)* #(#parts)*)
    }

    fn new_label(&self, label: Label) -> TokenStream {
        let (code, variable) = (&self.code, self.label(label));
        let name = self.names.name_of(label).unwrap_or_default();
        quote! {
            let #variable = #code.add_label(::core::option::Option::Some(::std::string::String::from(#name)));
        }
    }

    fn label(&self, label: Label) -> Ident {
        format_ident!("label{}", label.number(), span = Span::mixed_site())
    }

    fn part(&self, part: &Part) -> TokenStream {
        let (code, of) = (&self.code, &self.of);
        match part {
            Part::Insn { insn, holes, span } => {
                let line = self.source.line_of(span.start);
                let insn = FilledInsn { emit: self, holes }.insn(insn);
                quote_spanned! {Span::mixed_site()=>
                    #[allow(unused_braces)]
                    let insn = ::weir_asm::Insn::#insn;
                    #code.push_at(insn, ::weir_asm::Line::at(#line));
                }
            }
            Part::Label(label) => {
                let label = self.label(*label);
                quote!(::weir_asm::splice::place(#code, #label);)
            }
            Part::LabelSplice(splice) => {
                let splice = self.splice(*splice);
                quote_spanned! {Span::mixed_site()=>
                    #[allow(unused_braces)]
                    let label = ::weir_asm::splice::LabelSplice::<::weir_asm::splice::#of>::label(#splice, #code);
                    ::weir_asm::splice::place(#code, label);
                }
            }
            Part::CodeSplice(splice) => {
                let splice = self.splice(*splice);
                quote! {
                    #[allow(unused_braces)]
                    let () = ::weir_asm::splice::CodeSplice::append_to(#splice, #code);
                }
            }
        }
    }

    fn splice(&self, splice: u32) -> &'a TokenStream {
        &self.source.splices[splice as usize]
    }
}

/// A variant of the enum at hand, with the tokens that its field or its fields are given.
macro_rules! form {
    ($variant:ident($value:expr)) => {{
        let value = $value;
        quote!($variant(#value))
    }};
    ($variant:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        $(let $field = $value;)*
        quote!($variant { $($field: #$field),* })
    }};
}

/// One instruction: what is known of it, and expressions for what is not.
struct FilledInsn<'a> {
    emit: &'a Emit<'a>,
    holes: &'a [Hole],
}

impl FilledInsn<'_> {
    fn hole(&self, field: SpliceField) -> Option<&TokenStream> {
        let hole = self.holes.iter().find(|hole| hole.field == field)?;
        Some(self.emit.splice(hole.splice))
    }

    /// The splice, or what is known.
    fn or(&self, field: SpliceField, known: impl ToTokens) -> TokenStream {
        self.hole(field).cloned().unwrap_or_else(|| known.to_token_stream())
    }

    /// What follows `Insn::`.
    fn insn(&self, insn: &Insn) -> TokenStream {
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                form!(Alu { width: known(width), op: known(op), dst: self.dst(dst), src: self.either(src) })
            }
            Insn::MovSx { width, from, dst, src } => form!(MovSx {
                width: known(width),
                from: known(from),
                dst: self.dst(dst),
                src: self.src(src)
            }),
            Insn::Neg { width, dst } => form!(Neg { width: known(width), dst: self.dst(dst) }),
            Insn::End { op, bits, dst } => {
                form!(End { op: known(op), bits: known(bits), dst: self.dst(dst) })
            }
            Insn::LoadImm { dst, imm } => form!(LoadImm { dst: self.dst(dst), imm: self.imm64(imm) }),
            Insn::Load { size, dst, mem } => {
                form!(Load { size: known(size), dst: self.dst(dst), mem: self.mem(mem) })
            }
            Insn::LoadSx { size, dst, mem } => {
                form!(LoadSx { size: known(size), dst: self.dst(dst), mem: self.mem(mem) })
            }
            Insn::Store { size, mem, src } => {
                form!(Store { size: known(size), mem: self.mem(mem), src: self.stored(src) })
            }
            Insn::LoadAbs { size, off } => form!(LoadAbs { size: known(size), off: self.imm(off) }),
            Insn::LoadInd { size, src, off } => {
                form!(LoadInd { size: known(size), src: self.src(src), off: self.imm(off) })
            }
            Insn::Atomic(Atomic { width, op, mem, src }) => {
                let (width, op) = (known(width), known(op));
                let (mem, src) = (self.mem(mem), self.src(src));
                quote!(Atomic(::weir_asm::Atomic { width: #width, op: #op, mem: #mem, src: #src }))
            }
            Insn::Ja(target) => form!(Ja(self.target(target))),
            Insn::Jal(target) => form!(Jal(self.target(target))),
            Insn::Jump { width, cond, dst, src, target } => form!(Jump {
                width: known(width),
                cond: known(cond),
                dst: self.dst(dst),
                src: self.either(src),
                target: self.target(target)
            }),
            Insn::Call(call) => form!(Call(self.call(call))),
            Insn::Exit => quote!(Exit),
            Insn::Raw(raw) => form!(Raw(self.imm(raw))),
        }
    }

    fn call(&self, call: Call) -> TokenStream {
        let call = match call {
            Call::Helper(id) => form!(Helper(self.imm(id))),
            Call::Local(target) => form!(Local(self.target(target))),
            Call::Kfunc(id) => form!(Kfunc(self.imm(id))),
            Call::Reg(reg) => form!(Reg(self.src(reg))),
        };
        quote!(::weir_asm::Call::#call)
    }

    fn imm64(&self, imm: Imm64) -> TokenStream {
        let imm = match imm {
            Imm64::Value(value) => form!(Value(self.imm(value))),
            Imm64::MapFd(fd) => form!(MapFd(self.imm(fd))),
            Imm64::MapFdValue { fd, off } => form!(MapFdValue { fd: self.imm(fd), off: self.off(off) }),
            Imm64::Var(id) => form!(Var(self.imm(id))),
            Imm64::Func(target) => form!(Func(self.target(target))),
            Imm64::MapIndex(index) => form!(MapIndex(self.imm(index))),
            Imm64::MapIndexValue { index, off } => {
                form!(MapIndexValue { index: self.imm(index), off: self.off(off) })
            }
            Imm64::Map(map) => form!(Map(self.map(map))),
            Imm64::MapValue { map, off } => form!(MapValue { map: self.map(map), off: self.off(off) }),
        };
        quote!(::weir_asm::Imm64::#imm)
    }

    fn dst(&self, reg: Reg) -> TokenStream {
        self.or(SpliceField::Dst, known(reg))
    }

    fn src(&self, reg: Reg) -> TokenStream {
        self.or(SpliceField::Src, known(reg))
    }

    fn imm(&self, number: impl ToTokens) -> TokenStream {
        self.or(SpliceField::Imm, number)
    }

    fn off(&self, bytes: impl ToTokens) -> TokenStream {
        self.or(SpliceField::Off, bytes)
    }

    /// A register or a number; which one, the splice's type tells.
    fn either(&self, src: Src) -> TokenStream {
        self.hole(SpliceField::Src)
            .map_or_else(|| known_src(src), |splice| quote!(::weir_asm::splice::src(#splice)))
    }

    /// A register or a number; which one, the mnemonic tells.
    fn stored(&self, src: Src) -> TokenStream {
        match (self.hole(SpliceField::Src), src) {
            (Some(splice), Src::Reg(_)) => quote!(::weir_asm::Src::Reg(#splice)),
            (Some(splice), Src::Imm(_)) => quote!(::weir_asm::Src::Imm(#splice)),
            (None, src) => known_src(src),
        }
    }

    fn mem(&self, Mem { base, off }: Mem) -> TokenStream {
        if let Some(splice) = self.hole(SpliceField::Mem) {
            return quote!(::weir_asm::splice::mem(#splice));
        }
        let (base, off) = (self.or(SpliceField::Base, known(base)), self.off(off));
        quote!(::weir_asm::Mem { base: #base, off: #off })
    }

    fn target(&self, target: Target) -> TokenStream {
        let (code, of) = (&self.emit.code, &self.emit.of);
        match (self.hole(SpliceField::Target), target) {
            (Some(splice), _) => {
                quote!(::weir_asm::splice::TargetSplice::<::weir_asm::splice::#of>::target(#splice, #code))
            }
            (None, Target::Off(off)) => quote!(::weir_asm::Target::Off(#off)),
            (None, Target::Label(label)) => {
                let label = self.emit.label(label);
                quote!(::weir_asm::Target::Label(#label))
            }
        }
    }

    fn map(&self, map: MapName) -> TokenStream {
        let (code, of, name) = (&self.emit.code, &self.emit.of, self.emit.names.map_name(map));
        self.hole(SpliceField::Imm).map_or_else(
            || quote!(#code.map(#name)),
            |splice| quote!(::weir_asm::splice::MapSplice::<::weir_asm::splice::#of>::map(#splice, #code)),
        )
    }
}

fn known_src(src: Src) -> TokenStream {
    match src {
        Src::Reg(reg) => {
            let reg = known(reg);
            quote!(::weir_asm::Src::Reg(#reg))
        }
        Src::Imm(imm) => quote!(::weir_asm::Src::Imm(#imm)),
    }
}

/// An enum whose variants hold nothing that has a path.
trait Plain: std::fmt::Debug {
    const NAME: &'static str;
}

macro_rules! plain {
    ($($name:ident),*) => { $(
        impl Plain for weir_asm::$name {
            const NAME: &'static str = stringify!($name);
        }
    )* };
}

plain!(AluOp, AtomicOp, Bits, Cond, EndOp, Reg, Size, SxFrom, SxSize, Width);

/// A variant that is known; its `Debug` is derived, and so is Rust.
fn known<T: Plain>(variant: T) -> TokenStream {
    format!("::weir_asm::{}::{variant:?}", T::NAME).parse().expect("a path, and fields of plain types")
}
