//! A service's program in the kernel, asked packet by packet.

use anyhow::Context as _;
use weir_asm::{Endian, Object, maps::PerCpuArray};
use weir_filters::{Hook, Site, Verdict, fun::service};
use weir_guard::{
    examples::Example,
    meaning::{Decision, Memory, Mode, Service, UnjudgedKind},
};
use weir_hooks::{AnyProgram, HookError, Map, kernel_features, maps::Update, until_compiled};

use super::{
    Absent,
    frame::{frame, listen},
};
use crate::subject::is_refused;

/// A program and its maps.
pub(super) struct GuardProgram {
    program: AnyProgram,
    service: Service,
    hook: Hook,
    decisions: Vec<Decision>,
    counts: Map<PerCpuArray<u64>>,
    /// What the counts were when they were last looked at.
    counted: Vec<u64>,
}

/// What a program said of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What it returned.
    pub(super) returned: i32,
    /// The decisions that it counted.
    pub(super) counted: Vec<Decision>,
}

impl Said {
    /// Whether it says that, and nothing else.
    pub(super) fn is(&self, expected: Decision, mode: Mode, hook: Hook) -> bool {
        let accepts = expected.is_accepted() || mode == Mode::Observe;
        let verdict = if accepts { Verdict::Accept } else { Verdict::Drop };
        hook.verdict(self.returned) == Some(verdict) && self.counted == [expected]
    }
}

impl GuardProgram {
    /// Makes and loads the service's program.
    pub(super) fn load(service: &Service, hook: Hook) -> Result<Self, Absent> {
        let object = Self::object(service, hook)?;
        Self::load_object(&object, service, hook).map_err(|error| {
            let said = error.downcast_ref().map(HookError::in_a_line);
            Absent::Refused(said.unwrap_or_else(|| format!("{error:#}")))
        })
    }

    pub(super) fn object(service: &Service, hook: Hook) -> Result<Object, Absent> {
        let site = Site { features: kernel_features(), ..Site::new(hook, listen(service)) };
        service::service_object(service, &site).map_err(|refusal| Absent::NotMade(refusal.to_string()))
    }

    pub(super) fn load_object(object: &Object, service: &Service, hook: Hook) -> anyhow::Result<Self> {
        object.to_elf(Endian::NATIVE).context("writing the object")?;
        let mut program = until_compiled(&mut object.clone(), |object| {
            let elf = object.to_elf(Endian::NATIVE).expect("it could be before");
            AnyProgram::load(&elf, Some(service::GUARD))
        })?;
        program.set_lists(service)?;
        let counts = program.map(service::DECISIONS)?;
        let decisions = service.decisions();
        let counted = vec![0; decisions.len()];
        Ok(Self { program, service: service.clone(), hook, decisions, counts, counted })
    }

    pub(super) fn hook(&self) -> Hook {
        self.hook
    }

    /// The packet as the program sees it.
    pub(super) fn frame(&self, example: &Example) -> Vec<u8> {
        frame(self.hook.layer(), &self.service, example)
    }

    /// What the interpreter says of the packet there.
    pub(super) fn expected(&self, service: &Service, example: &Example, memory: &mut Memory) -> Decision {
        // What is behind the packet in its frame isn't asked for, and a socket has nothing of it.
        let bytes = self.frame(example).len().saturating_sub(example.behind.len());
        let is_unread = service::is_out_of_reach(service, &Site::new(self.hook, listen(service)), bytes);
        match is_unread {
            true => service.decide_unjudged(UnjudgedKind::Unreadable, example.packet().source.ip()),
            false => service.decide(&example.packet(), memory, 0),
        }
    }

    /// What it returns for a packet, or nothing where a test run doesn't take such a one.
    pub(super) fn run(&self, example: &Example) -> Result<Option<i32>, HookError> {
        match self.program.test_run(&self.frame(example), 1) {
            Ok(run) => Ok(Some(run.return_value as i32)),
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What it counted for the packet before, of which this is expected.
    pub(super) fn counted(&mut self, expected: Decision) -> anyhow::Result<Vec<Decision>> {
        if let Some(at) = self.decisions.iter().position(|decision| *decision == expected)
            && self.count(at)? == self.counted[at] + 1
        {
            self.counted[at] += 1;
            return Ok(vec![expected]);
        }
        self.counted_besides()
    }

    /// What it counted since its counts were looked at.
    pub(super) fn counted_besides(&mut self) -> anyhow::Result<Vec<Decision>> {
        let mut besides = Vec::new();
        for at in 0..self.decisions.len() {
            let now = self.count(at)?;
            if now != self.counted[at] {
                besides.push(self.decisions[at]);
                self.counted[at] = now;
            }
        }
        Ok(besides)
    }

    /// Every bucket is as if no packet had come.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        // Where nothing is limited there is neither map.
        if let Ok(mut buckets) = self.program.map(service::BUCKETS) {
            let keys = buckets.fold(Vec::new(), |mut keys, key, _| {
                keys.push(key);
                keys
            })?;
            for key in keys {
                buckets.delete(key)?;
            }
        }
        if let Ok(mut shared) = self.program.map(service::SHARED_BUCKETS) {
            for limit in 0..self.service.limits.len() {
                shared.update(limit as u32, 0, Update::Any)?;
            }
        }
        Ok(())
    }

    fn count(&self, at: usize) -> anyhow::Result<u64> {
        let counts = self.counts.get(at as u32)?;
        Ok(counts.context("a count of the program is not there")?.into_iter().sum())
    }
}
