//! Which slot an instruction stands in, and which instruction a jump goes to.

use crate::{Code, Imm64, Insn, Target};

/// Slots of instructions and back.
pub(crate) struct InsnPlaces {
    /// The first slot of each instruction, and the number of slots at the end.
    slots: Vec<u32>,
    /// The instruction of each slot; none for the second half of a 64-bit immediate.
    indices: Vec<u32>,
}

const SECOND_HALF: u32 = u32::MAX;

impl InsnPlaces {
    pub(crate) fn of(code: &Code) -> Self {
        let mut places =
            Self { slots: Vec::with_capacity(code.len() + 1), indices: Vec::with_capacity(code.len()) };
        for (index, insn) in code.insns().iter().enumerate() {
            places.slots.push(places.indices.len() as u32);
            places.indices.push(index as u32);
            if insn.slots() > 1 {
                places.indices.push(SECOND_HALF);
            }
        }
        places.slots.push(places.indices.len() as u32);
        places
    }

    /// The instruction that begins in a slot.
    pub(crate) fn index(&self, slot: i64) -> Option<usize> {
        let index = *self.indices.get(usize::try_from(slot).ok()?)?;
        (index != SECOND_HALF).then_some(index as usize)
    }

    /// The slot that an instruction begins in; for the number of instructions, the end.
    pub(crate) fn slot(&self, index: usize) -> i64 {
        self.slots[index].into()
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> i64 {
        self.indices.len() as i64
    }
}

/// The slot that an instruction jumps to, calls, or takes the address of; none where its label has no place.
pub(crate) fn target_slot(code: &Code, places: &InsnPlaces, index: usize) -> Option<i64> {
    let insn = &code.insns()[index];
    match insn.target()? {
        Target::Label(label) => code.place_of(label).map(|place| places.slot(place)),
        // An address counts from the slot behind the first, though its instruction takes two.
        Target::Off(off) if matches!(insn, Insn::LoadImm { imm: Imm64::Func(_), .. }) => {
            Some(places.slot(index) + 1 + i64::from(off))
        }
        Target::Off(off) => Some(places.slot(index + 1) + i64::from(off)),
    }
}

/// The slot at which each instruction begins; nothing where every instruction is one slot.
pub(crate) struct SlotPlaces(Option<Vec<u32>>);

impl SlotPlaces {
    pub(crate) fn of(code: &Code) -> Self {
        let wide = code.insns().iter().any(|insn| insn.slots() > 1);
        Self(wide.then(|| {
            let mut slot = 0;
            let mut places = Vec::with_capacity(code.len() + 1);
            for insn in code.insns() {
                places.push(slot);
                slot += insn.slots() as u32;
            }
            places.push(slot);
            places
        }))
    }

    pub(crate) fn slot(&self, index: usize) -> i64 {
        self.0.as_ref().map_or(index as i64, |places| i64::from(places[index]))
    }

    /// The first of `len` instructions that begins at this slot or behind it; `len` where none does.
    pub(crate) fn first_from(&self, slot: i64, len: usize) -> usize {
        let from_start = usize::try_from(slot).unwrap_or_default();
        self.0.as_ref().map_or(from_start.min(len), |places| {
            places[..len].partition_point(|&place| i64::from(place) < slot)
        })
    }
}
