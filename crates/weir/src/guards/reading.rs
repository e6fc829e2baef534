//! A guard or a protocol, read with everything that is wrong with it and with the files that it names.

use std::{collections::BTreeMap, path::Path};

use toml::de::DeTable;
use weir_asm::{Diagnostic, Diagnostics, Span};
use weir_guard::{
    meaning::{Protocol, Service},
    text,
};
use weir_output::exit::UsageError;

use super::files::{MOST_OF_RULES, Neighbours, read as read_file};
use crate::programs::Findings;

/// A file of rules.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What it says, unless there are errors.
    pub(crate) rules: Option<Rules>,
    /// What is wrong with it and with those that it names.
    pub(crate) findings: Findings,
}

/// What a file of rules says.
#[derive(Debug)]
pub(crate) enum Rules {
    /// It is a guard.
    Guard(Vec<Service>),
    /// It is a protocol, with its constants.
    Protocol(Protocol, BTreeMap<String, u64>),
}

/// Reads a guard or a protocol.
///
/// # Errors
/// The file itself can't be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Reading> {
    let name = path.display().to_string();
    let bytes = read_file(path, MOST_OF_RULES)
        .map_err(|why| UsageError(format!("the guard can't be read: {}", why.message)))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to() as u32;
            let wrong = Diagnostic::error(Span { start: at, end: at + 1 }, "this is no UTF-8 text");
            let findings = Findings::in_text(&name, &bytes, &Diagnostics::from(wrong));
            return Ok(Reading { rules: None, findings });
        }
    };
    if is_protocol(text) {
        let read = text::protocol(text, &BTreeMap::new());
        let findings = Findings::in_text(&name, &bytes, &read.diagnostics);
        let rules = read.protocol.map(|protocol| Rules::Protocol(protocol, read.constants));
        return Ok(Reading { rules, findings });
    }
    let read = text::guard(text, &mut Neighbours::of(path));
    let mut findings = Findings::in_text(&name, &bytes, &read.diagnostics);
    for each in &read.files {
        findings.add(Findings::in_text(&each.file.name, each.file.text.as_bytes(), &each.diagnostics));
    }
    Ok(Reading { rules: read.services.map(Rules::Guard), findings })
}

/// Whether a text is a protocol rather than a guard, however wrong it may be.
fn is_protocol(text: &str) -> bool {
    let (file, _) = DeTable::parse_recoverable(text);
    let has = |key: &str| file.get_ref().keys().any(|each| each.get_ref() == key);
    !has("service") && ["message", "fields", "constants", "source"].into_iter().any(has)
}
