//! Source lines for `.BTF.ext`.

use std::sync::Arc;

use super::pieces::Piece;
use crate::{
    Line, Program, Source,
    btf::{Btf, LineInfo},
    place::SlotPlaces,
};

/// The lines of the sources that were last asked for: programs of the same files follow each other.
#[derive(Default)]
pub(super) struct LineTable<'a> {
    last: Vec<(&'a Source, Vec<&'a str>)>,
}

impl<'a> LineTable<'a> {
    /// A record for each instruction of the piece whose line is another than the one's before; where the program has
    /// no lines, one for each label.
    ///
    /// The first instruction always has one: the kernel wants every function to begin with a line, and libbpf warns of
    /// programs without.
    pub(super) fn of(
        &mut self,
        btf: &mut Btf,
        program: &'a Program,
        piece: &Piece,
        at: u32,
    ) -> Vec<LineInfo> {
        let code = &program.code;
        let line_of = |index: usize| code.line(index);
        let first = piece.insns.clone().find_map(line_of).or_else(|| (0..code.len()).find_map(line_of));
        let Some(first) = first else { return labels(btf, program, piece, at) };
        let places = SlotPlaces::of(code);
        self.take(&program.sources);
        let mut records = Vec::new();
        let mut last = None;
        for index in piece.insns.clone() {
            let line = line_of(index).or(last).unwrap_or(first);
            if last == Some(line) {
                continue;
            }
            last = Some(line);
            let slots = places.slot(index) as u32 - piece.slots.start as u32;
            let source = self.last.get(usize::from(line.source));
            let file = btf.string(source.map_or(&program.name, |(source, _)| &source.file));
            let text = source.and_then(|(_, lines)| lines.get(line.number as usize - 1));
            let text = btf.string(text.map_or("", |text| text.trim()));
            let Line { number, column, .. } = line;
            records.push(LineInfo { offset: at + 8 * slots, file, text, line: number, column });
        }
        records
    }

    fn take(&mut self, sources: &'a [Source]) {
        let same = |(source, (last, _)): (&Source, &(&Source, _))| Arc::ptr_eq(&last.text, &source.text);
        if self.last.len() != sources.len() || !sources.iter().zip(&self.last).all(same) {
            self.last = sources.iter().map(|source| (source, source.text.lines().collect())).collect();
        }
    }
}

fn labels(btf: &mut Btf, program: &Program, piece: &Piece, at: u32) -> Vec<LineInfo> {
    let code = &program.code;
    let places = SlotPlaces::of(code);
    let file = btf.string(&program.name);
    let inner = code.labels().filter_map(|(label, place)| Some((place?, code.name_of(label)?)));
    let inner = inner.filter(|(place, _)| *place != piece.insns.start && piece.insns.contains(place));
    let mut names: Vec<_> = inner.chain([(piece.insns.start, piece.name.as_str())]).collect();
    names.sort_by_key(|(place, _)| *place);
    names.dedup_by_key(|(place, _)| *place);
    names
        .into_iter()
        .map(|(place, name)| {
            let slots = places.slot(place) as u32 - piece.slots.start as u32;
            LineInfo {
                offset: at + 8 * slots,
                file,
                text: btf.string(&format!("{name}:")),
                line: 0,
                column: 0,
            }
        })
        .collect()
}
