//! Code made shorter that decides the same: what a generator writes without looking at what stands around it.

use std::collections::{BTreeMap, HashSet};

use crate::{
    AluOp, Bits, Call, Code, Cond, EndOp, Imm64, Insn, Label, Mem, Reg, Size, Src, Target, Width,
    check::{reached, written},
};

/// Each round makes the code shorter or its jumps longer; real code needs four.
const MOST_ROUNDS: usize = 32;

impl Code {
    /// Takes out what is never reached, which the kernel refuses; jumps whose way is known, to jumps, over jumps and to the
    /// next instruction; and puts behind a jump what only it leads to.
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
        let before = solve(self, Values::default(), Values::or, |insn, values, _| Some(values.behind(insn)));
        let targets = self.targets();
        for (index, values) in before.iter().enumerate() {
            let Insn::Load { dst, .. } = self.insns()[index] else { continue };
            let Some(held) = values.and_then(|values| values.of(dst)) else { continue };
            let mut made = Values::default();
            for (at, insn) in self.insns().iter().enumerate().skip(index).take(1 + MOST_CHANGES) {
                if written(insn) != Some(dst) || at > index && targets.contains(&at) {
                    break;
                }
                made = made.behind(insn);
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

/// What an unsigned number of 64 bits can be. No verifier knows less of a register: bounds of every kernel since 4.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    least: u64,
    most: u64,
}

type Ranges = [Range; Reg::ALL.len()];

impl Range {
    const ALL: Self = Self { least: 0, most: u64::MAX };

    const fn up_to(most: u64) -> Self {
        Self { least: 0, most }
    }

    /// What it can be where the comparison with `imm` holds, or doesn't.
    fn where_is(self, cond: Cond, imm: i32, holds: bool) -> Self {
        let value = i64::from(imm) as u64;
        let Self { least, most } = self;
        let above = |from: u64| Self { least: least.max(from), most };
        let below = |to: u64| Self { least, most: most.min(to) };
        match (cond, holds) {
            (Cond::Eq, true) | (Cond::Ne, false) => Self { least: value, most: value },
            (Cond::Gt, true) | (Cond::Le, false) => above(value.saturating_add(1)),
            (Cond::Ge, true) | (Cond::Lt, false) => above(value),
            (Cond::Lt, true) | (Cond::Ge, false) => below(value.saturating_sub(1)),
            (Cond::Le, true) | (Cond::Gt, false) => below(value),
            // Not of equal numbers: from those verifiers before Linux 6.8 learn nothing.
            _ => self,
        }
    }

    /// Whether every number in it fulfils the comparison with `imm`, or none does.
    fn fulfils(self, cond: Cond, imm: i32) -> Option<bool> {
        let value = i64::from(imm) as u64;
        let Self { least, most } = self;
        let decided = |all: bool, none: bool| (all != none).then_some(all);
        match cond {
            Cond::Eq => decided(least == most && least == value, value < least || value > most),
            Cond::Ne => decided(value < least || value > most, least == most && least == value),
            Cond::Gt => decided(least > value, most <= value),
            Cond::Ge => decided(least >= value, most < value),
            Cond::Lt => decided(most < value, least >= value),
            Cond::Le => decided(most <= value, least > value),
            _ => None,
        }
    }

    /// What one of the two is.
    fn or(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }
}

/// What is known before each instruction; nothing where it isn't reached. `behind` says what is known after one, and of a jump
/// whether it was made; nothing where that can't be.
fn solve<T: Copy + PartialEq>(
    code: &Code,
    entry: T,
    or: impl Fn(T, T) -> T,
    behind: impl Fn(&Insn, T, bool) -> Option<T>,
) -> Vec<Option<T>> {
    let mut before: Vec<Option<T>> = vec![None; code.len()];
    let mut pending = vec![(0, entry)];
    while let Some((index, coming)) = pending.pop() {
        let Some(known) = before.get_mut(index) else { continue };
        let joined = known.map_or(coming, |known| or(known, coming));
        if *known == Some(joined) {
            continue;
        }
        *known = Some(joined);
        let insn = &code.insns()[index];
        if let Some(Target::Label(label)) = insn.target()
            && let Some(place) = code.place_of(label)
        {
            pending.extend(behind(insn, joined, true).map(|known| (place, known)));
        }
        if !matches!(insn, Insn::Ja(_) | Insn::Jal(_) | Insn::Exit) {
            pending.extend(behind(insn, joined, false).map(|known| (index + 1, known)));
        }
    }
    before
}

/// What registers can be behind an instruction, of a jump where it is made or not; nothing where that can't be.
fn ranges_behind(insn: &Insn, mut ranges: Ranges, is_made: bool) -> Option<Ranges> {
    if let Insn::Jump { width: Width::W64, cond, dst, src: Src::Imm(imm), .. } = *insn {
        let range = &mut ranges[usize::from(dst.number())];
        if range.fulfils(cond, imm) == Some(!is_made) {
            return None;
        }
        *range = range.where_is(cond, imm, is_made);
    } else {
        follow(insn, &mut ranges);
    }
    Some(ranges)
}

/// What registers can be behind an instruction.
fn follow(insn: &Insn, ranges: &mut Ranges) {
    if let Insn::Call(_) = insn {
        ranges[..=5].fill(Range::ALL);
    }
    if let Insn::Atomic(atomic) = insn {
        // A compare and exchange writes r0.
        ranges[0] = Range::ALL;
        ranges[usize::from(atomic.src.number())] = Range::ALL;
    }
    if let Insn::LoadAbs { .. } | Insn::LoadInd { .. } = insn {
        ranges[..=5].fill(Range::ALL);
    }
    let Some(register) = written(insn) else { return };
    let range = match *insn {
        Insn::Load { size, .. } if size.bytes() < 8 => Range::up_to((1 << (8 * size.bytes())) - 1),
        Insn::Alu { width: Width::W64, op: AluOp::Mov, src: Src::Imm(imm), .. } => {
            Range { least: i64::from(imm) as u64, most: i64::from(imm) as u64 }
        }
        Insn::Alu { width: Width::W64, op: AluOp::Mov, src: Src::Reg(from), .. } => {
            ranges[usize::from(from.number())]
        }
        Insn::Alu { width: Width::W64, op: AluOp::And, src: Src::Imm(imm @ 0..), .. } => {
            Range::up_to(imm as u64)
        }
        Insn::End { op: EndOp::Be | EndOp::Le, bits: bits @ (Bits::B16 | Bits::B32), .. } => {
            Range::up_to((1 << bits as u32) - 1)
        }
        _ => Range::ALL,
    };
    ranges[usize::from(register.number())] = range;
}

/// What registers hold of memory. Memory that somebody else changes meanwhile is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Values([Option<Value>; Reg::ALL.len()]);

/// What was loaded, and what became of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    size: Size,
    mem: Mem,
    changes: [Option<Insn>; MOST_CHANGES],
}

/// Changes of a loaded value that are followed: to its byte order, and to some of its bits.
const MOST_CHANGES: usize = 2;

impl Values {
    fn of(self, register: Reg) -> Option<Value> {
        self.0[usize::from(register.number())]
    }

    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].filter(|value| other.0[at] == Some(*value))))
    }

    fn behind(mut self, insn: &Insn) -> Self {
        let writes_memory = matches!(
            insn,
            Insn::Store { .. }
                | Insn::Atomic(_)
                | Insn::Call(_)
                | Insn::LoadAbs { .. }
                | Insn::LoadInd { .. }
        );
        if writes_memory {
            return Self::default();
        }
        let Some(register) = written(insn) else { return self };
        let value = match *insn {
            Insn::Load { size, mem, .. } => Some(Value { size, mem, changes: [None; MOST_CHANGES] }),
            Insn::Alu { op: AluOp::And, src: Src::Imm(_), .. } | Insn::End { .. } => {
                self.of(register).and_then(|mut value| {
                    let free = value.changes.iter_mut().find(|change| change.is_none())?;
                    *free = Some(*insn);
                    Some(value)
                })
            }
            _ => None,
        };
        for held in &mut self.0 {
            *held = held.filter(|held| held.mem.base != register);
        }
        self.0[usize::from(register.number())] = value.filter(|value| value.mem.base != register);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{show, text};

    /// Both as the assembler writes them, without labels that nothing leads to.
    fn check(before: &[&str], after: &[&str]) {
        let code = |lines: &[&str]| text::assemble_code(lines.join("\n").as_bytes()).expect("it is code");
        let shown = |code: &Code| {
            let text = show::fun::code(code).to_string();
            let is_used = |line: &&str| {
                line.strip_suffix(':').is_none_or(|label| {
                    text.contains(&format!(", {label}\n")) || text.contains(&format!("ja {label}\n"))
                })
            };
            text.lines().filter(is_used).collect::<Vec<_>>().join("\n")
        };
        let mut tightened = code(before);
        tightened.tighten();
        assert_eq!(shown(&tightened), shown(&code(after)));
    }

    #[test]
    fn jumps_to_jumps_and_over_jumps_go_where_those_go() {
        check(
            &[
                "jne r1, 1, over",
                "ja out",
                "over:",
                "ja there",
                "out:",
                "mov r0, 2",
                "exit",
                "there:",
                "mov r0, 3",
                "exit",
            ],
            &["jne r1, 1, there", "mov r0, 2", "exit", "there:", "mov r0, 3", "exit"],
        );
        check(
            &["jset r1, 1, over", "ja out", "over:", "mov r0, 2", "exit", "out:", "mov r0, 3", "exit"],
            &["jset r1, 1, over", "mov r0, 3", "exit", "over:", "mov r0, 2", "exit"],
        );
    }

    #[test]
    fn jumps_in_circles_stay() {
        check(
            &["again:", "jeq r1, 1, end", "ja again", "end:", "exit"],
            &["again:", "jne r1, 1, again", "exit"],
        );
        check(
            &["jeq r1, 1, end", "one:", "ja other", "other:", "ja one", "end:", "exit"],
            &["jeq r1, 1, end", "one:", "ja one", "end:", "exit"],
        );
    }

    #[test]
    fn what_is_known_is_not_asked() {
        // Behind the first both ways are known; what is between 3 and 7 is asked again.
        check(
            &[
                "jlt r1, 3, short",
                "jge r1, 3, long",
                "mov r0, 1",
                "exit",
                "short:",
                "jlt r1, 7, end",
                "mov r0, 2",
                "exit",
                "long:",
                "jlt r1, 7, end",
                "mov r0, 3",
                "exit",
                "end:",
                "mov r0, 4",
                "exit",
            ],
            &["jlt r1, 3, end", "jlt r1, 7, end", "mov r0, 3", "exit", "end:", "mov r0, 4", "exit"],
        );
        // A byte is below 256, and its half word isn't known.
        check(
            &[
                "ldxb r0, [r1]",
                "jgt r0, 255, out",
                "ldxh r0, [r1]",
                "jgt r0, 255, out",
                "exit",
                "out:",
                "mov r0, 0",
                "exit",
            ],
            &["ldxb r0, [r1]", "ldxh r0, [r1]", "jgt r0, 255, out", "exit", "out:", "mov r0, 0", "exit"],
        );
        // Of a call's result and of what a loop changes nothing is known.
        check(
            &["mov r6, 0", "again:", "jgt r6, 5, end", "add r6, 1", "ja again", "end:", "mov r0, r6", "exit"],
            &["mov r6, 0", "again:", "jgt r6, 5, end", "add r6, 1", "ja again", "end:", "mov r0, r6", "exit"],
        );
        check(
            &["mov r0, 1", "call ktime_get_ns", "jeq r0, 1, end", "mov r0, 2", "end:", "exit"],
            &["mov r0, 1", "call ktime_get_ns", "jeq r0, 1, end", "mov r0, 2", "end:", "exit"],
        );
    }

    #[test]
    fn what_a_register_holds_is_not_loaded_again() {
        check(
            &[
                "ldxw r0, [r1]",
                "and32 r0, 255",
                "jeq r0, 1, one",
                "ldxw r0, [r1]",
                "and32 r0, 255",
                "jeq r0, 2, two",
                "ldxw r0, [r1]",
                "exit",
                "one:",
                "mov r1, r10",
                "ldxw r0, [r1]",
                "exit",
                "two:",
                "stxw [r10 + -8], r0",
                "ldxw r0, [r1]",
                "and32 r0, 255",
                "exit",
            ],
            &[
                "ldxw r0, [r1]",
                "and32 r0, 255",
                "jeq r0, 1, one",
                "jeq r0, 2, two",
                "ldxw r0, [r1]",
                "exit",
                "one:",
                "mov r1, r10",
                "ldxw r0, [r1]",
                "exit",
                "two:",
                "stxw [r10 + -8], r0",
                "ldxw r0, [r1]",
                "and32 r0, 255",
                "exit",
            ],
        );
        // One way has loaded something else.
        let either = [
            "jeq r2, 1, one",
            "ldxw r0, [r1]",
            "ja load",
            "one:",
            "ldxw r0, [r1 + 4]",
            "load:",
            "ldxw r0, [r1]",
            "exit",
        ];
        check(&either, &either);
    }

    #[test]
    fn what_a_jump_alone_leads_to_stands_behind_it() {
        check(
            &[
                "jeq r1, 1, one",
                "ja two",
                "one:",
                "mov r0, 1",
                "exit",
                "three:",
                "mov r0, 3",
                "exit",
                "two:",
                "mov r0, 2",
                "jeq r1, 3, three",
                "exit",
            ],
            &[
                "jne r1, 1, two",
                "mov r0, 1",
                "exit",
                "three:",
                "mov r0, 3",
                "exit",
                "two:",
                "mov r0, 2",
                "jeq r1, 3, three",
                "exit",
            ],
        );
    }

    #[test]
    fn code_with_functions_and_distances_stays() {
        for text in [
            &["ja +0", "exit"][..],
            &["call function", "ja end", "end:", "exit", "function:", "mov r0, 1", "exit"],
        ] {
            check(text, text);
        }
    }
}
