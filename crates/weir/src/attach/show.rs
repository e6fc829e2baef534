//! What maps hold, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;
use weir_hooks::maps::{AnyEntry, AnyMap, Excerpt, MapFailure, MapValue};
use weir_output::terminal::printable;

/// Something that happened, in JSON one object a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// The program runs from now on.
    Attached {
        program: &'a str,
        #[serde(rename = "type")]
        program_type: &'a str,
        /// What it is attached to.
        to: &'a str,
    },
    /// A line of the kernel's trace buffer.
    Trace {
        /// As the kernel has it.
        line: &'a str,
    },
    /// What the maps hold.
    Maps {
        /// All of them, by name.
        maps: &'a [MapShown],
        /// Whether the program was detached before they were read.
        detached: bool,
    },
}

/// A map, and the first of its entries.
#[derive(Serialize)]
pub(crate) struct MapShown {
    name: String,
    kind: &'static str,
    max_entries: u32,
    /// Nothing of a kind whose entries can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<EntryShown>>,
    /// How many more entries there are.
    more: u64,
    /// Whether there are more than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    and_even_more: bool,
}

#[derive(Serialize)]
struct EntryShown {
    key: MapValue,
    /// Of a map that isn't per CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<MapValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_cpu: Option<Vec<MapValue>>,
    /// The sum of the CPUs', where they are integers.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<MapValue>,
}

impl MapShown {
    /// Reads at most that many entries.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn read(map: &AnyMap, most: usize) -> Result<Self, MapFailure> {
        let Excerpt { entries, more, has_even_more } = map.excerpt(most)?;
        let entries = entries.into_iter().map(|entry| EntryShown::of(entry, map.is_per_cpu())).collect();
        let definition = map.definition();
        Ok(Self {
            name: definition.name.clone(),
            kind: definition.kind.as_str(),
            max_entries: definition.max_entries,
            entries: map.is_readable().then_some(entries),
            more,
            and_even_more: has_even_more,
        })
    }

    /// The name, and an entry a line.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("map {} ({})", printable(&self.name), self.kind);
        match &self.entries {
            None => text.push_str(": its entries can't be read\n"),
            Some(entries) if entries.is_empty() => text.push_str(": empty\n"),
            Some(entries) => {
                text.push('\n');
                entries.iter().for_each(|entry| text.push_str(&entry.text()));
            }
        }
        if self.more > 0 {
            let least = if self.and_even_more { "at least " } else { "" };
            let _ = writeln!(text, "  … and {least}{} more", self.more);
        }
        text
    }
}

impl EntryShown {
    fn of(AnyEntry { key, mut values }: AnyEntry, is_per_cpu: bool) -> Self {
        if is_per_cpu {
            let total = MapValue::total(&values);
            return Self { key, value: None, per_cpu: Some(values), total };
        }
        Self { key, value: values.pop(), per_cpu: None, total: None }
    }

    fn text(&self) -> String {
        let Self { key, value, per_cpu, total } = self;
        let total = total.as_ref().or(value.as_ref()).map(|value| format!(" {value}")).unwrap_or_default();
        format!("  {key}:{total}{}\n", per_cpu.as_deref().map(cpus).unwrap_or_default())
    }
}

/// Those on which something was counted.
fn cpus(values: &[MapValue]) -> String {
    let busy = values.iter().enumerate().filter(|(_, value)| !value.is_zero());
    let busy: Vec<_> = busy.map(|(cpu, value)| format!("cpu {cpu}: {value}")).collect();
    if busy.is_empty() { String::new() } else { format!(" ({})", busy.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[MapValue], is_per_cpu: bool, text: &str, json: &str) {
        let entry = AnyEntry { key: MapValue::Unsigned(7), values: values.to_vec() };
        let shown = EntryShown::of(entry, is_per_cpu);
        assert_eq!(shown.text(), text);
        assert_eq!(serde_json::to_string(&shown).unwrap(), json);
    }

    #[test]
    fn an_entry_has_its_value_or_one_a_cpu_and_their_total() {
        check(&[MapValue::Signed(-1)], false, "  7: -1\n", r#"{"key":7,"value":-1}"#);
        let cpus = [MapValue::Unsigned(2), MapValue::Unsigned(0), MapValue::Unsigned(3)];
        let json = r#"{"key":7,"per_cpu":[2,0,3],"total":5}"#;
        check(&cpus, true, "  7: 5 (cpu 0: 2, cpu 2: 3)\n", json);
        check(&[MapValue::Unsigned(0)], true, "  7: 0\n", r#"{"key":7,"per_cpu":[0],"total":0}"#);
        let bytes = [MapValue::Bytes(vec![1, 255]), MapValue::Bytes(vec![0, 0])];
        check(&bytes, true, "  7: (cpu 0: 0x01ff)\n", r#"{"key":7,"per_cpu":["01ff","0000"]}"#);
    }

    #[test]
    fn a_map_says_what_is_not_shown() {
        let map = |entries: Option<Vec<EntryShown>>, more| MapShown {
            name: "a\u{1b}b".to_owned(),
            kind: "hash",
            max_entries: 9,
            entries,
            more,
            and_even_more: more > 5,
        };
        assert_eq!(map(None, 0).text(), "map a\\u001bb (hash): its entries can't be read\n");
        assert_eq!(map(Some(Vec::new()), 0).text(), "map a\\u001bb (hash): empty\n");
        let one = || {
            Some(vec![EntryShown::of(
                AnyEntry { key: MapValue::Unsigned(1), values: vec![MapValue::Unsigned(2)] },
                false,
            )])
        };
        assert_eq!(map(one(), 3).text(), "map a\\u001bb (hash)\n  1: 2\n  … and 3 more\n");
        assert!(map(one(), 6).text().ends_with("  … and at least 6 more\n"));
    }
}
