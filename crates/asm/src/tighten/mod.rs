//! Code made shorter that decides the same: what a generator writes without looking at what stands around it.

mod frame;
mod live;
mod ranges;
#[cfg(test)]
mod tests;
mod values;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashSet},
};

use crate::{
    AluOp, Call, Code, Cond, Imm64, Insn, Label, Reg, Src, Target, Width,
    check::{reached, written},
};
use ranges::{Range, Ranges, ranges_behind};
use values::{MOST_CHANGES, Seen, Values};

/// Each round makes the code shorter or its jumps longer; real code needs four.
const MOST_ROUNDS: usize = 32;

impl Code {
    /// Takes out what is never reached, which the kernel refuses, and what gives registers something that is never read; jumps whose
    /// way is known, to jumps, over jumps and to the next instruction; and puts behind a jump what only it leads to.
    ///
    /// What the verifier knows of registers at each instruction stays: a jump is taken out where it knows the way too. Code
    /// that jumps by distances rather than to labels, or with functions of its own, stays as it is.
    pub fn tighten(&mut self) {
        let is_left = |insn: &Insn| {
            matches!(
                insn,
                Insn::Raw(_) | Insn::Call(Call::Local(_)) | Insn::LoadImm { imm: Imm64::Func(_), .. }
            ) || matches!(insn.target(), Some(Target::Off(_)))
        };
        if self.insns().iter().any(is_left) {
            return;
        }
        for _ in 0..MOST_ROUNDS {
            let before = self.insns().to_vec();
            self.thread_jumps();
            let mut keep = self.decide_jumps();
            self.drop_loads(&mut keep);
            self.turn_jumps(&mut keep);
            self.retain(&keep);
            let keep: Vec<_> = self.dead_writes().into_iter().map(|is_dead| !is_dead).collect();
            self.retain(&keep);
            let mut keep = reached(self);
            for (index, insn) in self.insns().iter().enumerate() {
                if let Insn::Ja(Target::Label(label)) | Insn::Jump { target: Target::Label(label), .. } = insn
                {
                    keep[index] &= self.place_of(*label) != Some(index + 1);
                }
            }
            self.retain(&keep);
            self.straighten();
            if self.insns() == before {
                return;
            }
        }
    }

    /// A jump to a jump goes where that one goes, where this is known.
    fn thread_jumps(&mut self) {
        for index in 0..self.len() {
            let jump = self.insns()[index];
            let Some(Target::Label(first)) = jump.target() else { continue };
            let mut label = first;
            // As many as there are at most, should they go in circles.
            for _ in 0..self.len() {
                let Some(place) = self.place_of(label).filter(|place| *place < self.len()) else { break };
                label = match self.insns()[place] {
                    Insn::Ja(Target::Label(next)) if next != label => next,
                    Insn::Jump { target: Target::Label(next), .. } if next != label => {
                        match implied(&jump, &self.insns()[place]) {
                            Some(true) => next,
                            Some(false) => self.label_at(place + 1),
                            None => break,
                        }
                    }
                    _ => break,
                };
            }
            if label != first
                && let Some(target) = self.insns_mut()[index].target_mut()
            {
                *target = Target::Label(label);
            }
        }
    }

    fn label_at(&mut self, index: usize) -> Label {
        let label = self.fresh_label();
        self.place_at(label, index);
        label
    }

    /// Jumps that are always made become such; which instructions stay: those but the jumps that are never made.
    fn decide_jumps(&mut self) -> Vec<bool> {
        let or = |one: Ranges, other: Ranges| std::array::from_fn(|at| one[at].or(other[at]));
        let ranges = solve(self, [Range::ALL; Reg::ALL.len()], or, ranges_behind);
        let mut keep = vec![true; self.len()];
        for (index, ranges) in ranges.into_iter().enumerate() {
            let Insn::Jump { width: Width::W64, cond, dst, src: Src::Imm(imm), target } = self.insns()[index]
            else {
                continue;
            };
            let known = ranges.and_then(|ranges| ranges[usize::from(dst.number())].fulfils(cond, imm));
            match known {
                Some(true) => self.insns_mut()[index] = Insn::Ja(target),
                Some(false) => keep[index] = false,
                None => {}
            }
        }
        keep
    }

    /// What a register holds already isn't loaded again.
    fn drop_loads(&self, keep: &mut [bool]) {
        let mut seen = Seen::default();
        let before = solve(self, Values::default(), Values::or, |insn, values, _| {
            Some(values.behind(insn, &mut seen))
        });
        let targets = self.targets();
        for (index, values) in before.iter().enumerate() {
            let (Insn::Load { dst, .. } | Insn::Alu { op: AluOp::Mov, dst, src: Src::Reg(_), .. }) =
                self.insns()[index]
            else {
                continue;
            };
            let Some((mut made, held)) = values.and_then(|values| Some((values, values.of(dst)?))) else {
                continue;
            };
            for (at, insn) in self.insns().iter().enumerate().skip(index).take(1 + MOST_CHANGES) {
                if written(insn) != Some(dst) || at > index && targets.contains(&at) {
                    break;
                }
                made = made.behind(insn, &mut seen);
                if made.of(dst) == Some(held) {
                    keep[index..=at].fill(false);
                    break;
                }
            }
        }
    }

    /// A jump over a jump becomes the opposite one to where that goes.
    fn turn_jumps(&mut self, keep: &mut [bool]) {
        let targets = self.targets();
        for index in 0..self.len().saturating_sub(2) {
            let [Insn::Jump { width, cond, dst, src, target: Target::Label(over) }, Insn::Ja(target)] =
                self.insns()[index..index + 2]
            else {
                continue;
            };
            let is_over = self.place_of(over) == Some(index + 2) && !targets.contains(&(index + 1));
            let stays = keep[index] && keep[index + 1];
            if let Some(cond) = opposite(cond).filter(|_| is_over && stays) {
                self.insns_mut()[index] = Insn::Jump { width, cond, dst, src, target };
                keep[index + 1] = false;
            }
        }
    }

    /// Where jumps lead.
    fn targets(&self) -> HashSet<usize> {
        let labels = self.insns().iter().filter_map(|insn| match insn.target() {
            Some(Target::Label(label)) => self.place_of(label),
            _ => None,
        });
        labels.collect()
    }

    /// Behind each jump that is always made stands what it leads to, unless something else comes before that.
    fn straighten(&mut self) {
        // Runs of instructions of which each can follow the one before, by their beginnings.
        let mut runs = BTreeMap::new();
        let mut begin = 0;
        for (index, insn) in self.insns().iter().enumerate() {
            if matches!(insn, Insn::Ja(_) | Insn::Jal(_) | Insn::Exit) {
                runs.insert(begin, index + 1);
                begin = index + 1;
            }
        }
        if begin < self.len() {
            // It falls off the end, and stays there.
            return;
        }
        let mut order = Vec::with_capacity(self.len());
        let mut next = 0;
        while let Some(end) = runs.remove(&next) {
            order.extend(next..end);
            let behind = match self.insns()[end - 1] {
                Insn::Ja(Target::Label(label)) => {
                    self.place_of(label).filter(|place| runs.contains_key(place))
                }
                _ => None,
            };
            let Some(begin) = behind.or_else(|| runs.keys().next().copied()) else { break };
            next = begin;
        }
        self.reorder(&order);
    }
}

/// Whether one jump that is made leads to another one that is made too; nothing where that depends.
fn implied(made: &Insn, other: &Insn) -> Option<bool> {
    let Insn::Jump { width: Width::W64, cond, dst, src: Src::Imm(imm), .. } = *made else { return None };
    let range = Range::ALL.where_is(cond, imm, true);
    match *other {
        Insn::Jump { width: Width::W64, cond, dst: other, src: Src::Imm(imm), .. } if other == dst => {
            range.fulfils(cond, imm)
        }
        _ => None,
    }
}

const fn opposite(cond: Cond) -> Option<Cond> {
    Some(match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Gt => Cond::Le,
        Cond::Le => Cond::Gt,
        Cond::Ge => Cond::Lt,
        Cond::Lt => Cond::Ge,
        Cond::Sgt => Cond::Sle,
        Cond::Sle => Cond::Sgt,
        Cond::Sge => Cond::Slt,
        Cond::Slt => Cond::Sge,
        Cond::Set => return None,
    })
}

/// What is known before each instruction; nothing where it isn't reached. `behind` says what is known after one, and of a jump
/// whether it was made; nothing where that can't be.
fn solve<T: Copy + PartialEq>(
    code: &Code,
    entry: T,
    or: impl Fn(T, T) -> T,
    mut behind: impl FnMut(&Insn, T, bool) -> Option<T>,
) -> Vec<Option<T>> {
    let mut before: Vec<Option<T>> = vec![None; code.len()];
    // The first one first: code goes mostly forward, and what comes to an instruction is known then before it is followed.
    let mut pending = BinaryHeap::new();
    let meet = |before: &mut [Option<T>], pending: &mut BinaryHeap<_>, index: usize, coming: T| {
        let Some(known) = before.get_mut(index) else { return };
        let joined = known.map_or(coming, |known| or(known, coming));
        if *known != Some(joined) {
            *known = Some(joined);
            pending.push(Reverse(index));
        }
    };
    meet(&mut before, &mut pending, 0, entry);
    while let Some(Reverse(index)) = pending.pop() {
        if pending.peek() == Some(&Reverse(index)) {
            continue;
        }
        let Some(known) = before[index] else { continue };
        let insn = &code.insns()[index];
        if let Some(Target::Label(label)) = insn.target()
            && let Some(place) = code.place_of(label)
            && let Some(behind) = behind(insn, known, true)
        {
            meet(&mut before, &mut pending, place, behind);
        }
        if !matches!(insn, Insn::Ja(_) | Insn::Jal(_) | Insn::Exit)
            && let Some(behind) = behind(insn, known, false)
        {
            meet(&mut before, &mut pending, index + 1, behind);
        }
    }
    before
}
