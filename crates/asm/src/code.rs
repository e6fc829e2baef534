//! A sequence of instructions with labels, names of maps and source lines.

use std::mem;

use crate::{AluOp, Imm64, Insn, Label, MapName, Reg, Src, Target, Width};

/// A line of one of a program's sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// From 1; 0 where there is none.
    pub number: u32,
    /// The column in it, in bytes from 1; 0 where it isn't known.
    pub column: u16,
    /// The source's place in [`Program::sources`](crate::Program::sources).
    pub source: u16,
}

impl Line {
    /// A line of the first source.
    pub const fn at(number: u32) -> Self {
        Self { number, column: 0, source: 0 }
    }
}

/// A sequence of instructions: what a program is before it is bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    insns: Vec<Insn>,
    /// As many as instructions, or fewer: the rest have none.
    lines: Vec<Line>,
    labels: Vec<LabelEntry>,
    maps: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LabelEntry {
    name: Option<String>,
    /// Index of the instruction that it stands before; the number of instructions where it stands at the end.
    place: Option<u32>,
}

impl Code {
    /// No instruction yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an instruction.
    pub fn push(&mut self, insn: Insn) {
        self.insns.push(insn);
    }

    /// Adds an instruction that stands on `line` of some source.
    pub fn push_at(&mut self, insn: Insn, line: Line) {
        if self.lines.len() < self.insns.len() {
            self.lines.resize(self.insns.len(), Line::default());
        }
        self.lines.push(line);
        self.insns.push(insn);
    }

    /// Gives each instruction the line that stands at its place in the list, in place of what it had.
    pub fn set_lines(&mut self, lines: Vec<Line>) {
        self.lines = lines;
    }

    /// The instructions.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The instructions, to be changed in place.
    pub fn insns_mut(&mut self) -> &mut [Insn] {
        &mut self.insns
    }

    /// Keeps some of the instructions; labels before others stand before the next one that is kept.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let mut kept_before = Vec::with_capacity(keep.len() + 1);
        let mut kept = 0;
        for keep in keep {
            kept_before.push(kept);
            kept += u32::from(*keep);
        }
        kept_before.push(kept);
        for label in &mut self.labels {
            label.place = label.place.map(|place| kept_before[place as usize]);
        }
        let mut each = keep.iter();
        self.insns.retain(|_| each.next() == Some(&true));
        let mut each = keep.iter();
        self.lines.retain(|_| each.next() == Some(&true));
    }

    /// Puts all instructions into another order; labels stay before those that they stand before.
    /// Writes each copy of r10, which nothing changes, `times` times: the code does the same, and what it becomes in the kernel is
    /// longer, at other distances. See `weir_hooks::until_compiled` for what that is good for.
    pub fn repeat_copies_of_r10(&mut self, times: usize) {
        let is_copy = |insn: &Insn| {
            matches!(insn, Insn::Alu { op: AluOp::Mov, width: Width::W64, src: Src::Reg(Reg::R10), .. })
        };
        self.lines.resize(self.insns.len(), Line::default());
        let (insns, lines) = (mem::take(&mut self.insns), mem::take(&mut self.lines));
        let mut places = Vec::with_capacity(insns.len() + 1);
        for (insn, line) in insns.into_iter().zip(lines) {
            places.push(self.insns.len() as u32);
            for _ in 0..if is_copy(&insn) { times } else { 1 } {
                self.insns.push(insn);
                self.lines.push(line);
            }
        }
        places.push(self.insns.len() as u32);
        for label in &mut self.labels {
            label.place = label.place.map(|place| places[place as usize]);
        }
    }

    pub(crate) fn reorder(&mut self, order: &[usize]) {
        let mut places: Vec<_> = (0..=self.insns.len() as u32).collect();
        for (to, from) in order.iter().enumerate() {
            places[*from] = to as u32;
        }
        for label in &mut self.labels {
            label.place = label.place.map(|place| places[place as usize]);
        }
        self.lines.resize(self.insns.len(), Line::default());
        self.lines = order.iter().map(|from| self.lines[*from]).collect();
        self.insns = order.iter().map(|from| self.insns[*from]).collect();
    }

    /// How many instructions there are.
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.insns.is_empty()
    }

    /// The source line of an instruction, where it has one.
    pub fn line(&self, index: usize) -> Option<Line> {
        self.lines.get(index).copied().filter(|line| line.number > 0)
    }

    /// The label with this name: the same one each time. It needs a place before the code is encoded.
    ///
    /// Looks through the labels one by one; somebody with thousands of them keeps a map of his own.
    pub fn label(&mut self, name: &str) -> Label {
        let known = self.labels.iter().position(|entry| entry.name.as_deref() == Some(name));
        known.map_or_else(|| self.add_label(Some(name.to_owned())), |at| Label(at as u32))
    }

    /// A label that no name can reach.
    pub fn fresh_label(&mut self) -> Label {
        self.add_label(None)
    }

    /// A label with this name even where there is one already: for readers that look names up themselves.
    pub fn add_label(&mut self, name: Option<String>) -> Label {
        self.labels.push(LabelEntry { name, place: None });
        Label(self.labels.len() as u32 - 1)
    }

    /// Places a label before the next instruction. A label has one place: where it had one, that is given back and
    /// stays.
    pub fn place(&mut self, label: Label) -> Result<(), usize> {
        let here = self.insns.len() as u32;
        let place = &mut self.labels[label.0 as usize].place;
        match *place {
            Some(there) => Err(there as usize),
            None => {
                *place = Some(here);
                Ok(())
            }
        }
    }

    /// Places a label before the instruction at `index`.
    pub(crate) fn place_at(&mut self, label: Label, index: usize) {
        self.labels[label.0 as usize].place = Some(index as u32);
    }

    /// The index of the instruction that a label stands before, where it has been placed.
    pub fn place_of(&self, label: Label) -> Option<usize> {
        self.labels.get(label.0 as usize)?.place.map(|place| place as usize)
    }

    /// A label's name, where it has one.
    pub fn name_of(&self, label: Label) -> Option<&str> {
        self.labels.get(label.0 as usize)?.name.as_deref()
    }

    /// Every label with its place, in the order in which they were made.
    pub fn labels(&self) -> impl Iterator<Item = (Label, Option<usize>)> {
        let places = self.labels.iter().map(|entry| entry.place.map(|place| place as usize));
        places.enumerate().map(|(at, place)| (Label(at as u32), place))
    }

    /// The map with this name, as this code refers to it.
    pub fn map(&mut self, name: &str) -> MapName {
        let known = self.maps.iter().position(|map| map == name);
        MapName(known.unwrap_or_else(|| {
            self.maps.push(name.to_owned());
            self.maps.len() - 1
        }) as u32)
    }

    /// Adds a map name without looking for it: for readers that look names up themselves.
    pub(crate) fn add_map(&mut self, name: String) -> MapName {
        self.maps.push(name);
        MapName(self.maps.len() as u32 - 1)
    }

    /// A map's name.
    pub fn map_name(&self, map: MapName) -> &str {
        &self.maps[map.0 as usize]
    }

    /// The names of all maps referred to.
    pub fn maps(&self) -> impl Iterator<Item = (MapName, &str)> {
        self.maps.iter().enumerate().map(|(at, name)| (MapName(at as u32), name.as_str()))
    }

    /// Adds other code behind this. Labels of each stay its own, even where they have the same name; maps of the
    /// same name are one map.
    pub fn append(&mut self, other: &Self) {
        let (insns, labels) = (self.insns.len() as u32, self.labels.len() as u32);
        let maps: Vec<_> = other.maps.iter().map(|name| self.map(name)).collect();
        if !other.lines.is_empty() {
            self.lines.resize(self.insns.len(), Line::default());
            self.lines.extend(&other.lines);
        }
        self.labels.extend(other.labels.iter().map(|entry| LabelEntry {
            name: entry.name.clone(),
            place: entry.place.map(|place| place + insns),
        }));
        self.insns.extend(other.insns.iter().map(|&insn| renamed(insn, labels, &maps)));
    }

    /// Slots of all instructions together.
    pub fn slots(&self) -> usize {
        self.insns.iter().map(Insn::slots).sum()
    }
}

fn renamed(mut insn: Insn, labels_before: u32, maps: &[MapName]) -> Insn {
    if let Some(Target::Label(label)) = insn.target_mut() {
        label.0 += labels_before;
    }
    if let Insn::LoadImm { imm: Imm64::Map(map) | Imm64::MapValue { map, .. }, .. } = &mut insn {
        *map = maps[map.0 as usize];
    }
    insn
}

impl Extend<Insn> for Code {
    fn extend<T: IntoIterator<Item = Insn>>(&mut self, insns: T) {
        self.insns.extend(insns);
    }
}

impl FromIterator<Insn> for Code {
    fn from_iter<T: IntoIterator<Item = Insn>>(insns: T) -> Self {
        Self { insns: insns.into_iter().collect(), ..Self::default() }
    }
}

impl std::ops::AddAssign<Insn> for Code {
    fn add_assign(&mut self, insn: Insn) {
        self.push(insn);
    }
}

#[cfg(test)]
mod tests {
    use crate::{show, text};

    #[test]
    fn copies_of_r10_are_repeated_and_jumps_lead_where_they_did() {
        let code = |lines: &[&str]| text::assemble_code(lines.join("\n").as_bytes()).expect("it is code");
        let mut code_with =
            code(&["jeq r1, 0, there", "mov r0, r10", "there:", "mov r2, r10", "mov r0, r2", "exit"]);
        code_with.repeat_copies_of_r10(2);
        let twice = [
            "jeq r1, 0, there",
            "mov r0, r10",
            "mov r0, r10",
            "there:",
            "mov r2, r10",
            "mov r2, r10",
            "mov r0, r2",
            "exit",
        ];
        assert_eq!(show::fun::code(&code_with).to_string(), show::fun::code(&code(&twice)).to_string());
    }
}
