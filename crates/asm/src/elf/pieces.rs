//! A program taken apart: the entry, and each function behind it.

use std::ops::Range;

use super::ElfError;
use crate::{Call, Code, EncodeError, Imm64, Insn, Program, Target, place::SlotPlaces};

/// A program's parts and how they refer to each other.
pub(super) struct ProgramPieces {
    /// The entry first, then each function, in the order in which they stand.
    pub(super) pieces: Vec<Piece>,
    /// Calls and addresses of functions, in the order in which they stand.
    pub(super) references: Vec<FunctionReference>,
}

/// The entry or a function.
pub(super) struct Piece {
    /// The function's label, or its number; the program's name for the entry.
    pub(super) name: String,
    /// Its instructions.
    pub(super) insns: Range<usize>,
    /// Its slots.
    pub(super) slots: Range<usize>,
}

/// A call of a function, or its address.
pub(super) struct FunctionReference {
    /// The slot of the instruction that refers.
    pub(super) slot: usize,
    /// The function: its place in [`ProgramPieces::pieces`].
    pub(super) piece: usize,
    /// Whether it is called, or its address is taken.
    pub(super) is_call: bool,
}

impl ProgramPieces {
    /// Cuts a program where its functions begin.
    ///
    /// The kernel cuts it at the same places and has the same conditions: no jump across a cut, none fallen through.
    pub(super) fn of(program: &Program) -> Result<Self, ElfError> {
        let code = &program.code;
        if code.is_empty() {
            return Err(ElfError::Empty { program: program.name.clone() });
        }
        let places = SlotPlaces::of(code);
        let cutter = Cutter { program, code, places: &places };
        let references = cutter.references()?;
        let mut starts: Vec<usize> = references.iter().map(|(_, start, _)| *start).chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        cutter.check_cuts(&starts)?;
        Ok(Self {
            references: references
                .iter()
                .map(|&(index, start, is_call)| FunctionReference {
                    slot: places.slot(index) as usize,
                    piece: starts.partition_point(|&at| at < start),
                    is_call,
                })
                .collect(),
            pieces: cutter.pieces(&starts),
        })
    }
}

struct Cutter<'a> {
    program: &'a Program,
    code: &'a Code,
    places: &'a SlotPlaces,
}

impl Cutter<'_> {
    /// Each instruction that refers to a function, the function's first instruction, and whether it calls.
    fn references(&self) -> Result<Vec<(usize, usize, bool)>, ElfError> {
        let mut references = Vec::new();
        for (index, insn) in self.code.insns().iter().enumerate() {
            let (target, is_call) = match *insn {
                Insn::Call(Call::Local(target)) => (target, true),
                Insn::LoadImm { imm: Imm64::Func(target), .. } => (target, false),
                _ => continue,
            };
            let correction = if is_call { 0 } else { -1 };
            let start = self.target(index, target, correction)?;
            if start == 0 {
                return Err(ElfError::CallsEntry { program: self.program.name.clone(), index });
            }
            references.push((index, start, is_call));
        }
        Ok(references)
    }

    /// The instruction at a target. A number counts slots from the next instruction, `correction` added.
    fn target(&self, index: usize, target: Target, correction: i64) -> Result<usize, ElfError> {
        match target {
            Target::Label(label) => {
                let place = self.code.place_of(label);
                let place = place.ok_or_else(|| ElfError::Encode {
                    program: self.program.name.clone(),
                    error: EncodeError::Unplaced { index, label },
                })?;
                let exists = place < self.code.len();
                let distance = || self.places.slot(place) - self.places.slot(index + 1);
                exists.then_some(place).ok_or_else(|| self.no_function(index, distance()))
            }
            Target::Off(off) => {
                let slot = self.places.slot(index + 1) + correction + i64::from(off);
                self.insn_at(slot).ok_or_else(|| self.no_function(index, off.into()))
            }
        }
    }

    fn insn_at(&self, slot: i64) -> Option<usize> {
        let index = self.places.first_from(slot, self.code.len());
        (index < self.code.len() && self.places.slot(index) == slot).then_some(index)
    }

    fn no_function(&self, index: usize, slots: i64) -> ElfError {
        ElfError::NoFunction { program: self.program.name.clone(), index, slots }
    }

    fn check_cuts(&self, starts: &[usize]) -> Result<(), ElfError> {
        if let [_] = starts {
            return Ok(());
        }
        for (&start, end) in starts.iter().zip(self.ends(starts)) {
            let slots = self.places.slot(start)..self.places.slot(end);
            for index in start..end {
                let insn = &self.code.insns()[index];
                let (Insn::Ja(target) | Insn::Jal(target) | Insn::Jump { target, .. }) = *insn else {
                    continue;
                };
                let place = match target {
                    Target::Off(off) => self.places.slot(index + 1) + i64::from(off),
                    // An unplaced label is the encoder's to report.
                    Target::Label(label) => {
                        self.code.place_of(label).map_or(slots.start, |place| self.places.slot(place))
                    }
                };
                if !slots.contains(&place) {
                    return Err(ElfError::Crossing { program: self.program.name.clone(), index, start });
                }
            }
            let index = end - 1;
            if end < self.code.len()
                && !matches!(self.code.insns()[index], Insn::Exit | Insn::Ja(_) | Insn::Jal(_) | Insn::Raw(_))
            {
                return Err(ElfError::FallsThrough { program: self.program.name.clone(), index });
            }
        }
        Ok(())
    }

    fn ends<'a>(&'a self, starts: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        starts[1..].iter().copied().chain([self.code.len()])
    }

    fn pieces(&self, starts: &[usize]) -> Vec<Piece> {
        let mut names = vec![None; starts.len()];
        for (label, place) in self.code.labels() {
            if let Some(piece) = place.and_then(|place| starts.binary_search(&place).ok()) {
                names[piece] = names[piece].or(self.code.name_of(label));
            }
        }
        names[0] = Some(self.program.name.as_str());
        let numbered = |number: usize| format!("{}_{number}", self.program.name);
        let ends = self.ends(starts);
        let ranges = starts.iter().zip(ends).zip(names).enumerate();
        ranges
            .map(|(number, ((&start, end), name))| Piece {
                name: name.map_or_else(|| numbered(number), str::to_owned),
                insns: start..end,
                slots: self.places.slot(start) as usize..self.places.slot(end) as usize,
            })
            .collect()
    }
}
