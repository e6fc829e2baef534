//! Looks for what the kernel would refuse, before it is asked.

use crate::{
    AluOp, Call, Code, Diagnostics, Endian, Imm64, Insn, Mem, Problem, ProblemKind, Reg, Size, Src, SxFrom,
    Target, Undecodable, Width, decode,
    decode::DecodeError,
    place::{InsnPlaces, target_slot},
    show::fun::Labels,
};

/// Bytes of stack that a program and the functions it calls share (MAX_BPF_STACK, include/linux/filter.h).
const STACK: i64 = 512;
/// The kernel counts a function's stack in steps of these (kernel/bpf/verifier.c, round_up_stack_depth, with a JIT).
const STACK_STEP: i64 = 16;

/// Looks for what the kernel would refuse whatever the program is for. Finding nothing promises nothing: the verifier
/// also follows values.
///
/// Problems come in the order of their instructions, [`Diagnostics::LIMIT`] at most.
pub fn check(code: &Code) -> Vec<Problem> {
    let mut checker = Checker::new(code);
    checker.instructions();
    checker.targets();
    checker.flow();
    checker.stack();
    checker.problems()
}

/// The same for a part of a program, around which other instructions may stand: whether it ends, whether everything in it is
/// reached, and where jumps out of it lead, is nothing that a part can be wrong about.
pub fn check_fragment(code: &Code) -> Vec<Problem> {
    let mut checker = Checker::new(code);
    checker.instructions();
    checker.targets();
    checker.stack();
    checker.found.retain(|(_, kind)| !matches!(kind, ProblemKind::OutsideProgram { .. }));
    checker.problems()
}

/// Which instructions are reached from the first, or from functions that are called.
pub(crate) fn reached(code: &Code) -> Vec<bool> {
    let mut checker = Checker::new(code);
    checker.instructions();
    checker.targets();
    checker.reached().0
}

/// An instruction as the kernel will see it.
#[derive(Clone, Copy)]
enum KernelView {
    Insn(Insn),
    SecondHalf,
    Bad,
}

struct Checker<'a> {
    code: &'a Code,
    places: InsnPlaces,
    views: Vec<KernelView>,
    /// The instruction that each one jumps to, calls, or takes the address of.
    targets: Vec<Option<usize>>,
    /// Where functions begin, sorted; the program itself is the first.
    functions: Vec<usize>,
    found: Vec<(usize, ProblemKind)>,
}

impl<'a> Checker<'a> {
    fn new(code: &'a Code) -> Self {
        let places = InsnPlaces::of(code);
        Self { code, places, views: Vec::new(), targets: Vec::new(), functions: vec![0], found: Vec::new() }
    }

    fn report(&mut self, index: usize, kind: ProblemKind) {
        self.found.push((index, kind));
    }

    fn instructions(&mut self) {
        self.views.reserve(self.code.len());
        for index in 0..self.code.len() {
            let view = self.view(index);
            self.views.push(view);
            if let KernelView::Insn(insn) = view {
                for kind in of_instruction(&insn) {
                    self.report(index, kind);
                }
            }
        }
    }

    fn view(&mut self, index: usize) -> KernelView {
        let raw = |index: usize| match self.code.insns().get(index) {
            Some(Insn::Raw(raw)) => Some(raw.to_le_bytes()),
            _ => None,
        };
        let Some(slot) = raw(index) else { return KernelView::Insn(self.code.insns()[index]) };
        if let Some(KernelView::Insn(Insn::LoadImm { .. })) = self.views.last()
            && raw(index - 1).is_some()
        {
            return KernelView::SecondHalf;
        }
        let read = match decode(&slot, Endian::Little) {
            Err(DecodeError::Slot { why: Undecodable::Half, .. }) => {
                let next = raw(index + 1).unwrap_or([0xff; 8]);
                decode(&[slot, next].concat(), Endian::Little)
            }
            read => read,
        };
        match read {
            Ok(code) => KernelView::Insn(code.insns()[0]),
            Err(DecodeError::Slot { why, .. }) => {
                self.report(index, ProblemKind::Raw(why));
                KernelView::Bad
            }
            Err(DecodeError::Length { .. }) => KernelView::Bad,
        }
    }

    fn targets(&mut self) {
        for index in 0..self.code.len() {
            let target = self.target(index);
            self.targets.push(target);
            let calls = matches!(
                self.views[index],
                KernelView::Insn(Insn::Call(Call::Local(_)) | Insn::LoadImm { imm: Imm64::Func(_), .. })
            );
            if let Some(target) = target.filter(|_| calls) {
                self.functions.push(target);
            }
        }
        self.functions.sort_unstable();
        self.functions.dedup();
    }

    fn target(&mut self, index: usize) -> Option<usize> {
        let KernelView::Insn(insn) = self.views[index] else { return None };
        let slot = match (insn.target()?, self.code.insns()[index]) {
            (Target::Label(label), _) if self.code.place_of(label).is_none() => {
                self.report(index, ProblemKind::Unplaced(label));
                return None;
            }
            (Target::Off(off), Insn::Raw(_)) => self.places.slot(index) + 1 + i64::from(off),
            _ => target_slot(self.code, &self.places, index)?,
        };
        let distance = slot - self.places.slot(index + 1);
        let near = matches!(insn, Insn::Ja(_) | Insn::Jump { .. });
        let target =
            self.places.index(slot).filter(|&target| !matches!(self.views[target], KernelView::SecondHalf));
        if near && i16::try_from(distance).is_err() {
            self.report(index, ProblemKind::TooFar { distance });
        } else if slot < 0 || slot >= self.places.len() {
            self.report(index, ProblemKind::OutsideProgram { slot, last: self.places.len() - 1 });
        } else if target.is_none() {
            self.report(index, ProblemKind::SecondHalf { slot });
        }
        target
    }

    /// Where each function can go, and where it shouldn't.
    fn flow(&mut self) {
        let (reached, ends) = self.reached();
        for index in 0..self.code.len() {
            if reached[index] {
                self.function_bounds(index);
            } else if index == 0 || reached[index - 1] {
                self.report(index, ProblemKind::Unreachable);
            }
        }
        if !ends && !self.code.is_empty() {
            self.report(self.code.len() - 1, ProblemKind::NoExit);
        }
    }

    /// Which instructions are reached, and whether an end is, or else a way that is wrong already.
    fn reached(&mut self) -> (Vec<bool>, bool) {
        let mut reached = vec![false; self.code.len()];
        let mut pending: Vec<usize> = (!self.code.is_empty()).then_some(0).into_iter().collect();
        let mut ends = false;
        while let Some(index) = pending.pop() {
            if std::mem::replace(&mut reached[index], true) {
                continue;
            }
            pending.extend(self.targets[index]);
            ends |= match self.views[index] {
                KernelView::Insn(insn) => {
                    insn == Insn::Exit || insn.target().is_some() && self.targets[index].is_none()
                }
                KernelView::SecondHalf | KernelView::Bad => true,
            };
            if self.goes_on(index) {
                if index + 1 == self.code.len() {
                    ends = true;
                    self.report(index, ProblemKind::FallsOff);
                } else {
                    pending.push(index + 1);
                }
            }
        }
        (reached, ends)
    }

    /// Whether the next instruction can follow.
    fn goes_on(&self, index: usize) -> bool {
        !matches!(self.views[index], KernelView::Insn(Insn::Ja(_) | Insn::Jal(_) | Insn::Exit))
    }

    fn function_bounds(&mut self, index: usize) {
        if self.goes_on(index) && self.functions.binary_search(&(index + 1)).is_ok() {
            self.report(index, ProblemKind::FallsIntoFunction);
        }
        let jumps =
            matches!(self.views[index], KernelView::Insn(Insn::Ja(_) | Insn::Jal(_) | Insn::Jump { .. }));
        if let Some(target) = self.targets[index].filter(|_| jumps)
            && self.function(target) != self.function(index)
        {
            self.report(index, ProblemKind::OtherFunction);
        }
    }

    /// The number of the function that an instruction belongs to.
    fn function(&self, index: usize) -> usize {
        self.functions.partition_point(|&start| start <= index) - 1
    }

    /// Follows calls from the program down.
    fn stack(&mut self) {
        let mut own = vec![0_i64; self.functions.len()];
        let mut calls = vec![Vec::new(); self.functions.len()];
        for index in 0..self.code.len() {
            let function = self.function(index);
            let KernelView::Insn(insn) = self.views[index] else { continue };
            if let Some((Mem { base: Reg::R10, off }, _)) = memory(&insn) {
                own[function] = own[function].max(-i64::from(off));
            }
            if let (Insn::Call(Call::Local(_)), Some(target)) = (insn, self.targets[index]) {
                calls[function].push((index, self.function(target)));
            }
        }
        for bytes in &mut own {
            *bytes = ((*bytes).max(1) + STACK_STEP - 1) / STACK_STEP * STACK_STEP;
        }
        self.call_chains(&own, &calls);
    }

    /// The stack of each function with the deepest of what it calls; a walk in depth without recursion of its own.
    fn call_chains(&mut self, own: &[i64], calls: &[Vec<(usize, usize)>]) {
        let mut depth: Vec<Option<i64>> = vec![None; own.len()];
        let mut open = vec![false; own.len()];
        // The function, how many of its calls were looked at, and the deepest of those.
        let mut walk = vec![(0_usize, 0_usize, 0_i64)];
        while let Some((function, next, deepest)) = walk.last_mut() {
            let function = *function;
            open[function] = true;
            match calls[function].get(*next) {
                None => {
                    depth[function] = Some(own[function] + *deepest);
                    open[function] = false;
                    walk.pop();
                }
                Some(&(index, callee)) => match depth[callee] {
                    Some(bytes) => {
                        *deepest = (*deepest).max(bytes);
                        *next += 1;
                        if own[function] <= STACK && bytes <= STACK && own[function] + bytes > STACK {
                            self.report(index, ProblemKind::StackTotal { bytes: own[function] + bytes });
                        }
                    }
                    None if open[callee] => {
                        *next += 1;
                        self.report(index, ProblemKind::Recursion);
                    }
                    None => walk.push((callee, 0, 0)),
                },
            }
        }
    }

    fn problems(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(index, _)| *index);
        self.found.truncate(Diagnostics::LIMIT);
        if self.found.is_empty() {
            return Vec::new();
        }
        let labels = Labels::of(self.code, false);
        let problem = |&(index, kind): &(usize, ProblemKind)| Problem {
            index,
            text: labels.line(self.code, index),
            line: self.code.line(index),
            kind,
        };
        self.found.iter().map(problem).collect()
    }
}

/// What is wrong with an instruction wherever it stands.
fn of_instruction(insn: &Insn) -> impl Iterator<Item = ProblemKind> {
    let frame_pointer = (written(insn) == Some(Reg::R10)).then_some(ProblemKind::WritesFramePointer);
    let operation = match *insn {
        Insn::Alu { width, op: AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, src: Src::Imm(by), .. } => {
            let width = if width == Width::W64 { 64 } else { 32 };
            (!(0..i32::from(width)).contains(&by)).then_some(ProblemKind::Shift { width, by })
        }
        Insn::Alu { op: AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, src: Src::Imm(0), .. } => {
            Some(ProblemKind::DivisionByZero)
        }
        Insn::MovSx { width: Width::W32, from: SxFrom::B32, .. } => Some(ProblemKind::MovSx),
        Insn::Call(Call::Reg(_)) => Some(ProblemKind::CallReg),
        _ => None,
    };
    let stack = memory(insn).filter(|(mem, _)| mem.base == Reg::R10).and_then(|(Mem { off, .. }, size)| {
        let (start, end) = (i64::from(off), i64::from(off) + size as i64);
        if start < -STACK || end > 0 {
            Some(ProblemKind::OutsideStack { off, size })
        } else {
            (start % size as i64 != 0).then_some(ProblemKind::Misaligned { off, size })
        }
    });
    frame_pointer.into_iter().chain(operation).chain(stack)
}

/// The register that it gives a new value, apart from what a call does to r0 to r5.
pub(crate) fn written(insn: &Insn) -> Option<Reg> {
    match *insn {
        Insn::Alu { dst, .. }
        | Insn::MovSx { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::End { dst, .. }
        | Insn::LoadImm { dst, .. }
        | Insn::Load { dst, .. }
        | Insn::LoadSx { dst, .. } => Some(dst),
        Insn::Atomic(atomic) => atomic.op.returns_old().then_some(atomic.src),
        _ => None,
    }
}

/// The memory that it touches, and how much of it.
pub(crate) fn memory(insn: &Insn) -> Option<(Mem, usize)> {
    match *insn {
        Insn::Load { size, mem, .. } | Insn::Store { size, mem, .. } => Some((mem, size.bytes())),
        Insn::LoadSx { size, mem, .. } => Some((mem, size.size().bytes())),
        Insn::Atomic(atomic) => {
            let size = if atomic.width == Width::W64 { Size::Dw } else { Size::W };
            Some((atomic.mem, size.bytes()))
        }
        _ => None,
    }
}
