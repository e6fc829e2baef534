//! From statements to an object: programs, maps, a licence.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    MapDeclaration, Name, Operand, Parser, Statement, StatementKind, TypeExpr,
    lower::Body,
    parser::{Parsed, refuse, refuse_second, refuse_with},
    scope::{Scope, again},
    suggest::did_you_mean,
};
use crate::{Code, Diagnostic, Diagnostics, Layout, Line, MapDef, MapKind, Object, Program, Source, Span};

/// Name and section of instructions that stand before any `.program`.
const NAMELESS: (&str, &str) = ("main", "socket");

#[derive(Default)]
pub(super) struct ObjectText<'a> {
    scope: Scope<'a>,
    pub(super) object: Object,
    license: Option<Span>,
    maps: HashMap<&'a str, Span>,
    programs: HashMap<&'a str, Span>,
    /// First uses of maps; they may be declared further down.
    map_uses: HashMap<&'a str, Span>,
    open: Open<'a>,
    pub(super) diagnostics: Diagnostics,
}

#[derive(Default)]
struct Open<'a> {
    /// Name and section; none before the first `.program`.
    header: Option<(Name<'a>, Name<'a>)>,
    body: Body<'a>,
}

impl<'a> ObjectText<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let mut file = Self::default();
        for statement in Parser::new(text) {
            if let Err(error) = statement.and_then(|statement| file.statement(&statement)) {
                file.diagnostics.push(*error);
                if file.diagnostics.is_full() {
                    file.diagnostics.stopped();
                    return file;
                }
            }
        }
        file.close();
        file
    }

    #[inline(always)]
    fn statement(&mut self, statement: &Statement<'a>) -> Parsed<()> {
        match &statement.kind {
            StatementKind::Instruction(instruction) => {
                self.open.body.push(&self.scope, instruction, Line::at(statement.line))
            }
            StatementKind::Label(name) => self.open.body.place(*name),
            StatementKind::License(license) => self.license(*license),
            StatementKind::Equ(name, value) => self.scope.add_constant(*name, value),
            StatementKind::Struct(name, fields) => self.scope.add_struct(*name, fields),
            StatementKind::Slot(slot) => self.scope.add_slot(slot),
            StatementKind::Map(map) => self.map(map),
            StatementKind::Program(name, section) => self.program(*name, *section),
            StatementKind::LabelSplice(_) | StatementKind::CodeSplice(_) => {
                unreachable!("files are read without splices")
            }
        }
    }

    fn license(&mut self, license: Name<'a>) -> Parsed<()> {
        if let Some(before) = self.license.replace(license.span) {
            return refuse_second(license.span, "licence", before);
        }
        self.object.license = Some(license.text.to_owned());
        Ok(())
    }

    fn program(&mut self, name: Name<'a>, section: Option<Name<'a>>) -> Parsed<()> {
        self.close();
        let missing = Name { text: NAMELESS.1, span: name.span };
        self.open.header = Some((name, section.unwrap_or(missing)));
        if let Some(&before) = self.maps.get(name.text).or(self.programs.get(name.text)) {
            return Err(again(name, before));
        }
        self.programs.insert(name.text, name.span);
        section.map(drop).ok_or_else(|| {
            Diagnostic::error(name.span, "a program needs a section, which tells its type")
                .help("such as socket, xdp or tracepoint/syscalls/sys_enter_recvfrom".to_owned())
                .into()
        })
    }

    /// Ends the program that is being read.
    fn close(&mut self) {
        let Open { header, mut body } = std::mem::take(&mut self.open);
        body.finish(&mut self.diagnostics);
        self.scope.leave_program();
        for (name, span) in body.maps() {
            self.map_uses.entry(name).or_insert(span);
        }
        if body.code.is_empty() {
            if let Some((name, _)) = header {
                let message = format!("the program '{}' has no instruction", name.text);
                self.diagnostics.push(Diagnostic::error(name.span, message));
            }
            return;
        }
        let (name, section) = header.map_or(NAMELESS, |(name, section)| (name.text, section.text));
        let (name, section) = (name.to_owned(), section.to_owned());
        self.object.programs.push(Program { name, section, code: body.code, ..Program::default() });
    }

    fn map(&mut self, map: &MapDeclaration<'a>) -> Parsed<()> {
        if let Some(&before) = self.maps.get(map.name.text).or(self.programs.get(map.name.text)) {
            return Err(again(map.name, before));
        }
        // Declared even where it is wrong: an error at each use would not help.
        self.maps.insert(map.name.text, map.name.span);
        let (key, value) = (self.side(map, &map.key, "key")?, self.side(map, &map.value, "value")?);
        let entries = map.entries.as_ref().map(|entries| self.number(entries)).transpose()?;
        let flags = map.flags.as_ref().map_or(Ok(0), |flags| self.number(flags))?;
        let max_entries = entries.filter(|&entries| entries > 0).ok_or_else(|| {
            let span = map.entries.as_ref().map_or(map.name.span, |entries| entries.span);
            let what =
                if map.kind == MapKind::RingBuf { "bytes, a power of two and whole pages" } else { "one" };
            Diagnostic::error(span, "a map needs entries=").help(format!("at least {what}"))
        })?;
        let def = MapDef { name: map.name.text.to_owned(), kind: map.kind, key, value, max_entries, flags };
        check_kind(map, &def)?;
        self.object.maps.push(def);
        Ok(())
    }

    fn side(&self, map: &MapDeclaration<'a>, side: &Option<TypeExpr<'a>>, which: &str) -> Parsed<Layout> {
        match (side, map.kind) {
            (Some(of_type), MapKind::RingBuf) => {
                refuse(of_type.name.span, format!("a ring buffer has no {which}"))
            }
            (None, MapKind::RingBuf) => Ok(Layout::None),
            (Some(of_type), _) => self.scope.layout(of_type),
            (None, _) => refuse(map.name.span, format!("the map needs {which}=, a type")),
        }
    }

    fn number(&self, operand: &Operand<'a>) -> Parsed<u32> {
        let value = self.scope.known(operand)?.value;
        u32::try_from(value)
            .map_err(|_| Diagnostic::error(operand.span, format!("{value} does not fit 32 bits")).into())
    }

    /// Reports maps that are used and not declared.
    pub(super) fn check_maps(&mut self) {
        let unknown = self.map_uses.iter().filter(|(name, _)| !self.maps.contains_key(*name));
        let mut unknown: Vec<_> = unknown.map(|(name, span)| (*name, *span)).collect();
        unknown.sort_by_key(|(_, span)| span.start);
        for (name, span) in unknown {
            if self.diagnostics.is_full() {
                return self.diagnostics.stopped();
            }
            let help = did_you_mean(name, self.maps.keys().copied());
            let help =
                help.unwrap_or_else(|| format!(".map {name} hash key=u32 value=u64 entries=1 declares one"));
            self.diagnostics.push(Diagnostic::error(span, format!("no map is named '{name}'")).help(help));
        }
    }

    pub(super) fn into_object(mut self, name: &str, text: &str) -> Object {
        let text: Arc<str> = text.into();
        for program in &mut self.object.programs {
            program.sources = vec![Source { file: name.to_owned(), text: Arc::clone(&text) }];
        }
        self.object
    }

    /// The instructions of the one program.
    pub(super) fn into_code(self) -> Code {
        self.object.programs.into_iter().next().map(|program| program.code).unwrap_or_default()
    }

    /// The span of a program's name, or the beginning of the text.
    pub(super) fn program_span(&self, name: &str) -> Span {
        self.programs.get(name).copied().unwrap_or_default()
    }
}

/// What the kernel asks of each kind when the map is made (kernel/bpf: arraymap.c, lpm_trie.c, ringbuf.c).
fn check_kind(map: &MapDeclaration<'_>, def: &MapDef) -> Parsed<()> {
    const NO_PREALLOC: u32 = 1;
    let error = |message: &str, help: &str| refuse_with(map.kind_span, message, help.to_owned());
    match def.kind {
        MapKind::Array
        | MapKind::PerCpuArray
        | MapKind::ProgArray
        | MapKind::PerfEventArray
        | MapKind::ReuseportSockArray
            if def.key.size() != 4 =>
        {
            error("the key of an array is its index, 4 bytes", "key=u32")
        }
        MapKind::ProgArray | MapKind::PerfEventArray if def.value.size() != 4 => {
            error("its values are file descriptors, 4 bytes", "value=u32")
        }
        MapKind::ReuseportSockArray if !matches!(def.value.size(), 4 | 8) => {
            error("its values are sockets, 4 bytes for a descriptor or 8 for a cookie", "value=u64")
        }
        MapKind::LpmTrie if def.flags & NO_PREALLOC == 0 => {
            error("a trie is not allocated in advance", "flags=1 (BPF_F_NO_PREALLOC)")
        }
        MapKind::LpmTrie if def.key.size() < 5 => error(
            "the key of a trie is a u32 prefix length and the data",
            "key is a struct of a u32 and u8[4] or the like",
        ),
        MapKind::RingBuf if !def.max_entries.is_power_of_two() || !def.max_entries.is_multiple_of(4096) => {
            error("a ring buffer's entries are bytes: a power of two and whole pages", "such as entries=4096")
        }
        _ => Ok(()),
    }
}
