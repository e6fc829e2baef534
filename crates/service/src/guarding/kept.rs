//! What stays in the kernel when the process ends, and how the next one takes it over.
//!
//! A program's maps are kept together with what is said of it: its rules, by which its counts are read and its buckets are handed on, and
//! what programs before it have counted. While one program takes over from another both are kept; the later one then says that it has
//! taken the first one's counts, in one step, so that a process that is killed at any moment leaves each packet counted once.

use std::{io, mem, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_guard::meaning::Service;
use weir_hooks::{Attached, HandedOn, HookError, KernelFilter, PinError, Pins, Remembered};
use weir_records::DecisionCount;

use super::{GuardedService, GuardingError, change::wait_until_alone, post::Post};

/// How the maps are laid out that are kept, and what is said of them. What another version has laid out otherwise isn't read.
const LAYOUT: u32 = 1;

/// Where a service's program is kept, and what its rules are in words that are read again.
pub struct Keep {
    pins: Arc<Pins>,
    rules: Value,
    /// The service by such words; nothing where they can't be read.
    read: fn(&Value) -> Option<Arc<Service>>,
}

/// What is said of a program.
#[derive(Serialize, Deserialize)]
struct Said {
    layout: u32,
    rules: Value,
    /// Packets that programs before it decided, by the decision's number among those of its rules.
    counted: Vec<(usize, u64)>,
    /// Those that they decided otherwise than its rules can.
    past: Vec<DecisionCount>,
    /// The programs whose counts these are.
    replaces: Vec<String>,
}

/// A program that another process has left.
pub(super) struct Inherited {
    name: String,
    remembered: Remembered,
    counted: Vec<(usize, u64)>,
    past: Vec<DecisionCount>,
    handed_on: HandedOn,
}

impl Keep {
    /// In the folder of a guard's service in bpffs; `read` reads rules in words.
    ///
    /// # Errors
    /// As [`Pins::open`].
    pub fn open(
        guard: &str,
        service: &str,
        read: fn(&Value) -> Option<Arc<Service>>,
    ) -> Result<Self, HookError> {
        Ok(Self { pins: Arc::new(Pins::open(guard, service)?), rules: Value::Null, read })
    }

    /// With these rules of the service.
    #[must_use]
    pub fn saying(self, rules: Value) -> Self {
        Self { rules, ..self }
    }

    /// The names of links and maps.
    pub fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// The service whose program is kept, by the rules that it was made from, with those in words; nothing where there is none, or none that
    /// can be read.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kept_rules(&self) -> Result<Option<(Arc<Service>, Value)>, HookError> {
        let said = self.pins.programs_kept()?.into_iter().filter_map(|(_, said)| read_said(&said));
        Ok(said.filter_map(|said| Some(((self.read)(&said.rules)?, said.rules))).next_back())
    }

    /// Keeps nothing any more, also what nobody has taken over.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn end(self) -> Result<(), HookError> {
        self.pins.detach_others(&[])?;
        for (program, _) in self.pins.programs_kept()? {
            self.pins.forget(&program)?;
        }
        self.pins.remove_if_empty();
        Ok(())
    }

    /// What is kept of programs, of which nothing else has taken over; what can't be read is said, and forgotten.
    pub(super) fn inherited(&self) -> Result<Vec<Inherited>, GuardingError> {
        let mut inherited = Vec::new();
        let mut replaced = Vec::new();
        for (name, said) in self.pins.programs_kept().map_err(HookError::from)? {
            let program = read_said(&said).and_then(|said| Some(((self.read)(&said.rules)?, said)));
            let Some((service, Said { counted, past, replaces, .. })) = program else {
                let folder = self.pins.folder_of(&name);
                eprintln!(
                    "weir: what is kept in {} is of another version: what it counted and the sources that it knew are forgotten",
                    folder.display()
                );
                replaced.push(name);
                continue;
            };
            replaced.extend(replaces);
            let remembered = Remembered::kept_in(&self.pins.folder_of(&name), &service)?;
            inherited.push(Inherited { name, remembered, counted, past, handed_on: HandedOn::default() });
        }
        for name in replaced {
            inherited.retain(|each| each.name != name);
            self.forget(&name);
        }
        Ok(inherited)
    }

    /// Keeps what a program remembers, beside what is kept of those before it.
    pub(super) fn beside(&self, filter: &KernelFilter) -> Result<(), HookError> {
        let said = Said {
            layout: LAYOUT,
            rules: self.rules.clone(),
            counted: Vec::new(),
            past: Vec::new(),
            replaces: Vec::new(),
        };
        let name = filter.facts()?.id.to_string();
        Ok(self.pins.keep(&name, &filter.remembered()?, &bytes(&said)?)?)
    }

    /// Keeps the maps of a program no more.
    pub(super) fn forget(&self, program: &str) {
        if let Err(error) = self.pins.forget(program) {
            eprintln!("weir: {error}");
        }
    }
}

fn read_said(said: &[u8]) -> Option<Said> {
    // A newer one may have other keys, but says which layout it has.
    let value: Value = serde_json::from_slice(said).ok()?;
    if value.get("layout").and_then(Value::as_u64) != Some(LAYOUT.into()) {
        return None;
    }
    serde_json::from_value(value).ok()
}

impl Inherited {
    /// Gives `filter` what it doesn't remember yet.
    pub(super) fn hand_on(&mut self, filter: &KernelFilter) -> Result<(), HookError> {
        filter.take_over_from(&self.remembered, &mut self.handed_on)
    }

    /// Of another program nothing was handed on yet.
    pub(super) fn begin(&mut self) {
        self.handed_on = HandedOn::default();
    }
}

impl GuardedService {
    /// Where it is kept, as a line says it.
    pub fn kept_in(&self) -> Option<&Path> {
        self.keep.as_ref().map(|keep| keep.pins.folder())
    }

    /// Whether it is kept, and stood there before this process.
    pub fn is_inherited(&self) -> bool {
        self.keep.is_some() && self.is_inherited
    }

    /// Has its rules be these words from now on; gives those before.
    pub fn say_rules(&mut self, rules: Value) -> Value {
        self.keep.as_mut().map_or(Value::Null, |keep| mem::replace(&mut keep.rules, rules))
    }

    /// Says of the program that its counts are those of these programs too, and forgets all others.
    pub(super) fn keep_alone(&self, replaces: Vec<String>) -> Result<(), HookError> {
        let Some(keep) = &self.keep else { return Ok(()) };
        let counted = self.service.decisions().into_iter().enumerate();
        let counted = counted.filter_map(|(number, decision)| Some((number, *self.kept.get(&decision)?)));
        let said = Said {
            layout: LAYOUT,
            rules: keep.rules.clone(),
            counted: counted.collect(),
            past: self.past_counts(),
            replaces,
        };
        let name = self.filter.facts()?.id.to_string();
        keep.pins.say(&name, &bytes(&said)?)?;
        for (other, _) in keep.pins.programs_kept()? {
            if other != name {
                keep.forget(&other);
            }
        }
        Ok(())
    }

    /// The same where the rules hold already: what fails is said, and both programs are kept.
    pub(super) fn say_kept(&self, replaces: Vec<String>) {
        if let Err(error) = self.keep_alone(replaces) {
            eprintln!("weir: {}: {error}", self.service.name);
        }
    }

    /// Takes over what other processes have left, once its program stands where theirs did.
    pub(super) fn finish_taking_over(&mut self) -> Result<(), GuardingError> {
        if self.keep.is_none() || self.is_kept {
            return Ok(());
        }
        let inherited = mem::take(&mut self.inherited);
        wait_until_alone();
        let mut replaces = Vec::new();
        for mut program in inherited {
            // It judges already: what can't be handed on any more has been, up to a moment ago.
            let _ = program.hand_on(&self.filter);
            let mut decided = program.remembered.decisions().unwrap_or_default();
            for (number, packets) in &program.counted {
                if let Some((_, all)) = decided.get_mut(*number) {
                    *all += packets;
                }
            }
            let former = Arc::clone(program.remembered.service());
            self.keep_counts(&former, decided);
            self.older.extend(program.past);
            replaces.push(program.name);
        }
        self.keep_alone(replaces)?;
        self.is_kept = true;
        let held: Vec<_> = self.posts.iter().flat_map(Post::attached).filter_map(Attached::kept_at).collect();
        if let Some(keep) = &self.keep {
            keep.pins.detach_others(&held).map_err(HookError::from)?;
        }
        Ok(())
    }
}

fn bytes(said: &Said) -> Result<Vec<u8>, PinError> {
    let failed = |error| PinError::Call {
        doing: "saying the rules of",
        path: "".into(),
        cause: io::Error::other(error),
    };
    serde_json::to_vec(said).map_err(|error: serde_json::Error| failed(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_laid_out_otherwise_is_not_read() {
        let said = |layout: u32| {
            let said = json!({
                "layout": layout, "rules": {}, "counted": [[3, 7]], "past": [], "replaces": ["12"], "newer": true,
            });
            read_said(said.to_string().as_bytes())
        };
        let read = said(LAYOUT).expect("it is of this version");
        assert_eq!((read.counted, read.replaces), (vec![(3, 7)], vec!["12".to_owned()]));
        assert!(said(LAYOUT + 1).is_none());
        for other in ["", "{", "[]", "{\"layout\": 1}"] {
            assert!(read_said(other.as_bytes()).is_none(), "{other}");
        }
    }
}
