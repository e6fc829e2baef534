//! From instructions with holes to the Rust that builds them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use weir_asm::{
    Atomic, AtomicOp, Call, Code, Imm64, Insn, Label, Mem, Reg, Src, Target,
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
        let at = self.names.labels().position(|(known, _)| known == label).unwrap_or_default();
        format_ident!("label{at}", span = Span::mixed_site())
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
                    #code.push_at(insn, ::weir_asm::Line(#line));
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
    fn or(&self, field: SpliceField, known: TokenStream) -> TokenStream {
        self.hole(field).cloned().unwrap_or(known)
    }

    /// What follows `Insn::`.
    fn insn(&self, insn: &Insn) -> TokenStream {
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                let (width, op) = (unit("Width", width), unit("AluOp", op));
                let (dst, src) = (self.reg(SpliceField::Dst, dst), self.either(src));
                quote!(Alu { width: #width, op: #op, dst: #dst, src: #src })
            }
            Insn::MovSx { width, from, dst, src } => {
                let (width, from) = (unit("Width", width), unit("SxFrom", from));
                let (dst, src) = (self.reg(SpliceField::Dst, dst), self.reg(SpliceField::Src, src));
                quote!(MovSx { width: #width, from: #from, dst: #dst, src: #src })
            }
            Insn::Neg { width, dst } => {
                let (width, dst) = (unit("Width", width), self.reg(SpliceField::Dst, dst));
                quote!(Neg { width: #width, dst: #dst })
            }
            Insn::End { op, bits, dst } => {
                let (op, bits, dst) =
                    (unit("EndOp", op), unit("Bits", bits), self.reg(SpliceField::Dst, dst));
                quote!(End { op: #op, bits: #bits, dst: #dst })
            }
            Insn::LoadImm { dst, imm } => {
                let (dst, imm) = (self.reg(SpliceField::Dst, dst), self.imm64(imm));
                quote!(LoadImm { dst: #dst, imm: ::weir_asm::Imm64::#imm })
            }
            Insn::Load { size, dst, mem } => {
                let (size, dst, mem) = (unit("Size", size), self.reg(SpliceField::Dst, dst), self.mem(mem));
                quote!(Load { size: #size, dst: #dst, mem: #mem })
            }
            Insn::LoadSx { size, dst, mem } => {
                let (size, dst, mem) = (unit("SxSize", size), self.reg(SpliceField::Dst, dst), self.mem(mem));
                quote!(LoadSx { size: #size, dst: #dst, mem: #mem })
            }
            Insn::Store { size, mem, src } => {
                let (size, mem, src) = (unit("Size", size), self.mem(mem), self.stored(src));
                quote!(Store { size: #size, mem: #mem, src: #src })
            }
            Insn::LoadAbs { size, off } => {
                let (size, off) = (unit("Size", size), self.or(SpliceField::Imm, quote!(#off)));
                quote!(LoadAbs { size: #size, off: #off })
            }
            Insn::LoadInd { size, src, off } => {
                let (size, src) = (unit("Size", size), self.reg(SpliceField::Src, src));
                let off = self.or(SpliceField::Imm, quote!(#off));
                quote!(LoadInd { size: #size, src: #src, off: #off })
            }
            Insn::Atomic(Atomic { width, op, mem, src }) => {
                let (width, op) = (unit("Width", width), atomic_op(op));
                let (mem, src) = (self.mem(mem), self.reg(SpliceField::Src, src));
                quote!(Atomic(::weir_asm::Atomic { width: #width, op: #op, mem: #mem, src: #src }))
            }
            Insn::Ja(target) => {
                let target = self.target(target);
                quote!(Ja(#target))
            }
            Insn::Jal(target) => {
                let target = self.target(target);
                quote!(Jal(#target))
            }
            Insn::Jump { width, cond, dst, src, target } => {
                let (width, cond) = (unit("Width", width), unit("Cond", cond));
                let (dst, src, target) =
                    (self.reg(SpliceField::Dst, dst), self.either(src), self.target(target));
                quote!(Jump { width: #width, cond: #cond, dst: #dst, src: #src, target: #target })
            }
            Insn::Call(call) => {
                let call = self.call(call);
                quote!(Call(::weir_asm::Call::#call))
            }
            Insn::Exit => quote!(Exit),
            Insn::Raw(raw) => {
                let raw = self.or(SpliceField::Imm, quote!(#raw));
                quote!(Raw(#raw))
            }
        }
    }

    fn call(&self, call: Call) -> TokenStream {
        match call {
            Call::Helper(id) => {
                let id = self.or(SpliceField::Imm, quote!(#id));
                quote!(Helper(#id))
            }
            Call::Local(target) => {
                let target = self.target(target);
                quote!(Local(#target))
            }
            Call::Kfunc(id) => {
                let id = self.or(SpliceField::Imm, quote!(#id));
                quote!(Kfunc(#id))
            }
            Call::Reg(reg) => {
                let reg = self.reg(SpliceField::Src, reg);
                quote!(Reg(#reg))
            }
        }
    }

    fn imm64(&self, imm: Imm64) -> TokenStream {
        let number = |known: TokenStream| self.or(SpliceField::Imm, known);
        let off = |off: u32| self.or(SpliceField::Off, quote!(#off));
        match imm {
            Imm64::Value(value) => {
                let value = number(quote!(#value));
                quote!(Value(#value))
            }
            Imm64::MapFd(fd) => {
                let fd = number(quote!(#fd));
                quote!(MapFd(#fd))
            }
            Imm64::MapFdValue { fd, off: bytes } => {
                let (fd, off) = (number(quote!(#fd)), off(bytes));
                quote!(MapFdValue { fd: #fd, off: #off })
            }
            Imm64::Var(id) => {
                let id = number(quote!(#id));
                quote!(Var(#id))
            }
            Imm64::Func(target) => {
                let target = self.target(target);
                quote!(Func(#target))
            }
            Imm64::MapIndex(index) => {
                let index = number(quote!(#index));
                quote!(MapIndex(#index))
            }
            Imm64::MapIndexValue { index, off: bytes } => {
                let (index, off) = (number(quote!(#index)), off(bytes));
                quote!(MapIndexValue { index: #index, off: #off })
            }
            Imm64::Map(map) => {
                let map = self.map(self.emit.names.map_name(map));
                quote!(Map(#map))
            }
            Imm64::MapValue { map, off: bytes } => {
                let (map, off) = (self.map(self.emit.names.map_name(map)), off(bytes));
                quote!(MapValue { map: #map, off: #off })
            }
        }
    }

    fn reg(&self, field: SpliceField, reg: Reg) -> TokenStream {
        self.or(field, unit("Reg", reg))
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
        let (base, off) = (self.reg(SpliceField::Base, base), self.or(SpliceField::Off, quote!(#off)));
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

    fn map(&self, name: &str) -> TokenStream {
        let (code, of) = (&self.emit.code, &self.emit.of);
        self.hole(SpliceField::Imm).map_or_else(
            || quote!(#code.map(#name)),
            |splice| quote!(::weir_asm::splice::MapSplice::<::weir_asm::splice::#of>::map(#splice, #code)),
        )
    }
}

fn known_src(src: Src) -> TokenStream {
    match src {
        Src::Reg(reg) => {
            let reg = unit("Reg", reg);
            quote!(::weir_asm::Src::Reg(#reg))
        }
        Src::Imm(imm) => quote!(::weir_asm::Src::Imm(#imm)),
    }
}

fn atomic_op(op: AtomicOp) -> TokenStream {
    let (name, fetch) = match op {
        AtomicOp::Add { fetch } => ("Add", fetch),
        AtomicOp::Or { fetch } => ("Or", fetch),
        AtomicOp::And { fetch } => ("And", fetch),
        AtomicOp::Xor { fetch } => ("Xor", fetch),
        AtomicOp::Xchg | AtomicOp::Cmpxchg => return unit("AtomicOp", op),
    };
    let name = format_ident!("{name}");
    quote!(::weir_asm::AtomicOp::#name { fetch: #fetch })
}

/// A variant without fields; `Debug` is derived, and so gives its name.
fn unit(of: &str, variant: impl std::fmt::Debug) -> TokenStream {
    let (of, variant) = (format_ident!("{of}"), format_ident!("{variant:?}"));
    quote!(::weir_asm::#of::#variant)
}
