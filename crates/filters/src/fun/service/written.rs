//! Which rule each instruction comes from, and where that is written.

use weir_asm::{Code, Line, Source};
use weir_guard::{meaning::ServicePart, text::ServicePlaces};

use super::{
    Compiler,
    bucket::KEY,
    source::{ADDRESS, FIRST_BYTE},
};
use crate::fun::{parse::stack_blocks, source_check::MOMENT};

/// Where a service is written, for its program's instructions to be traced to.
#[derive(Clone, Copy, Debug)]
pub struct WrittenService<'a> {
    /// Where its rules stand.
    pub places: &'a ServicePlaces,
    /// The guard's file, and behind it those that it names, in the order of its reading.
    pub sources: &'a [Source],
}

impl Compiler<'_> {
    /// What is added from here on comes from that rule, where it is known where it stands.
    pub(super) fn mark(&mut self, code: &Code, rule: ServicePart) {
        self.marks.push((code.len(), rule));
    }

    /// Gives instructions their lines, which stay with them when the code is made tight, and its stack.
    pub(super) fn finish_code(&self, code: &mut Code) {
        if let Some(written) = self.written {
            code.set_lines(written.lines(code.len(), &self.marks));
        }
        code.tighten();
        let own = [(KEY, 32), (ADDRESS.off, 16), (MOMENT.off, 8), (FIRST_BYTE.off, 1)];
        let blocks: Vec<_> = own.into_iter().map(|(begin, len)| begin..begin + len).collect();
        let is_packed = code.pack_stack(&[&blocks[..], &stack_blocks(self.site, self.beginning())].concat());
        debug_assert!(is_packed, "an address is taken of what is in no block of the stack");
    }
}

impl WrittenService<'_> {
    /// The line of each of `count` instructions: that of the last mark before it.
    fn lines(&self, count: usize, marks: &[(usize, ServicePart)]) -> Vec<Line> {
        let starts: Vec<_> = self.sources.iter().map(|source| line_starts(&source.text)).collect();
        let line = |rule: ServicePart| {
            let (file, span) = self.places.of(rule)?;
            let source = file.map_or(0, |at| at + 1);
            let starts = starts.get(source)?;
            let number = starts.partition_point(|start| *start <= span.start);
            let column = u16::try_from(span.start - starts[number - 1] + 1).unwrap_or(0);
            Some(Line { number: number as u32, column, source: source.try_into().ok()? })
        };
        let mut placed = marks.iter().filter_map(|(at, rule)| Some((*at, line(*rule)?))).peekable();
        let mut last = Line::default();
        let line_of = |index: usize| {
            while let Some((_, line)) = placed.next_if(|(at, _)| *at <= index) {
                last = line;
            }
            last
        };
        (0..count).map(line_of).collect()
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    let ends = text.bytes().zip(1_u32..).filter(|(byte, _)| *byte == b'\n');
    std::iter::once(0).chain(ends.map(|(_, next)| next)).collect()
}
