//! A guard or a protocol, read with everything that is wrong with it and with the files that it names.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use toml::de::DeTable;
use weir_asm::{Diagnostic, Diagnostics, Source, Span, text::nearest};
use weir_filters::fun::service::WrittenService;
use weir_guard::{
    meaning::{Protocol, Service, ServicePart},
    text::{self, NamedText, ServicePlaces},
};
use weir_hooks::HookError;
use weir_output::{exit::UsageError, terminal::printable};

use super::{
    files::{ListFile, MOST_OF_RULES, Neighbours, read as read_file},
    kept::KeptRules,
};
use crate::programs::Findings;

/// A file of rules.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What it says, unless there are errors.
    pub(crate) rules: Option<Rules>,
    /// What is wrong with it and with those that it names.
    pub(crate) findings: Findings,
    /// Where a guard's rules stand.
    pub(crate) texts: RuleTexts,
    /// What it names.
    neighbours: Neighbours,
}

/// The texts of a guard and of the protocols that it names, to say something of a rule in its line.
#[derive(Debug, Default)]
pub(crate) struct RuleTexts {
    guard: NamedText,
    files: Vec<NamedText>,
    places: Vec<ServicePlaces>,
}

impl RuleTexts {
    /// The texts, the guard's own first.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let source =
            |NamedText { name, text }: &NamedText| Source { file: name.clone(), text: text.as_str().into() };
        std::iter::once(&self.guard).chain(&self.files).map(source).collect()
    }

    /// Where the rules of a service stand, which has that place in the guard.
    pub(crate) fn places(&self, service: usize) -> &ServicePlaces {
        &self.places[service]
    }

    /// A refusal of the program of a service, which has that place in the guard, with the rule that was refused.
    pub(crate) fn traced(&self, at: usize, service: &Service, error: HookError) -> HookError {
        error.with_rule(service, WrittenService { places: self.places(at), sources: &self.sources() })
    }

    /// Errors about parts of a service, which has that place in the guard, each with what to do about it.
    pub(crate) fn errors(
        &self,
        service: usize,
        errors: impl IntoIterator<Item = (ServicePart, String, Option<String>)>,
    ) -> Findings {
        let mut by_file: BTreeMap<Option<usize>, Diagnostics> = BTreeMap::new();
        for (part, message, help) in errors {
            let place = self.places.get(service).and_then(|places| places.of(part));
            let (file, span) = place.unwrap_or_default();
            by_file.entry(file).or_default().push(Diagnostic::error(span, message).help(help));
        }
        let mut findings = Findings::default();
        for (file, diagnostics) in by_file {
            let NamedText { name, text } = file.map_or(&self.guard, |file| &self.files[file]);
            findings.add(Findings::in_text(name, text.as_bytes(), &diagnostics));
        }
        findings
    }
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
    let mut neighbours = Neighbours::of(path);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to() as u32;
            let wrong = Diagnostic::error(Span { start: at, end: at + 1 }, "this is no UTF-8 text");
            let findings = Findings::in_text(&name, &bytes, &Diagnostics::from(wrong));
            return Ok(Reading { rules: None, findings, texts: RuleTexts::default(), neighbours });
        }
    };
    if is_protocol(text) {
        let read = text::protocol(text, &BTreeMap::new());
        let findings = Findings::in_text(&name, &bytes, &read.diagnostics);
        let rules = read.protocol.map(|protocol| Rules::Protocol(protocol, read.constants));
        return Ok(Reading { rules, findings, texts: RuleTexts::default(), neighbours });
    }
    let (services, findings, texts) = guard(name, text, &mut neighbours);
    Ok(Reading { rules: services.map(Rules::Guard), findings, texts, neighbours })
}

/// What the text of a guard says, with what is wrong with it and with those that it names.
fn guard(
    name: String,
    text: &str,
    neighbours: &mut Neighbours,
) -> (Option<Vec<Service>>, Findings, RuleTexts) {
    let read = text::guard(text, neighbours);
    let mut findings = Findings::in_text(&name, text.as_bytes(), &read.diagnostics);
    for each in &read.files {
        findings.add(Findings::in_text(&each.file.name, each.file.text.as_bytes(), &each.diagnostics));
    }
    let texts = RuleTexts {
        guard: NamedText { name, text: text.to_owned() },
        files: read.files.into_iter().map(|each| each.file).collect(),
        places: read.places,
    };
    (read.services, findings, texts)
}

/// A guard that was read to be followed: its lists may change, while its own text and its protocols' hold until it is read anew.
pub(crate) struct FollowedGuard {
    /// The services that are meant, in their order, each with its place in the guard.
    pub(crate) services: Vec<(usize, Arc<Service>)>,
    /// Where their rules stand.
    pub(crate) texts: RuleTexts,
    /// The lists that were read.
    pub(crate) lists: Vec<ListFile>,
    meant: Vec<String>,
    neighbours: Neighbours,
}

impl FollowedGuard {
    /// Of a guard's file the services of these names, and all where there are none, once its warnings are said.
    ///
    /// # Errors
    /// The file can't be read, it has an error, or it has no such service.
    pub(crate) fn read(file: &Path, meant: &[String]) -> anyhow::Result<Self> {
        let mut reading = read(file)?;
        let lists = reading.neighbours.take_lists();
        let services = match reading.rules {
            Some(Rules::Guard(services)) => services,
            Some(Rules::Protocol(..)) => return Err(no_guard(file)),
            None => return Err(reading.findings.into()),
        };
        reading.findings.say(false);
        let services = these(services, meant)?;
        let (texts, neighbours) = (reading.texts, reading.neighbours);
        Ok(Self { services, texts, lists, meant: meant.to_owned(), neighbours })
    }

    /// The rules of one of its services, in words that are read again.
    pub(crate) fn kept(&self, service: &str) -> KeptRules {
        KeptRules::new(&self.texts.guard.text, self.neighbours.protocols(), service)
    }

    /// Reads its lists anew.
    ///
    /// # Errors
    /// One has an error: what was read before holds.
    pub(crate) fn read_lists(&mut self) -> anyhow::Result<()> {
        let NamedText { name, text } = &self.texts.guard;
        let (services, findings, texts) = guard(name.clone(), text, &mut self.neighbours);
        // What is wrong with them isn't said again until they change again.
        self.lists = self.neighbours.take_lists();
        let Some(services) = services else { return Err(findings.into()) };
        (self.services, self.texts) = (these(services, &self.meant)?, texts);
        Ok(())
    }
}

/// Those of these names, or all.
fn these(services: Vec<Service>, meant: &[String]) -> anyhow::Result<Vec<(usize, Arc<Service>)>> {
    for name in meant {
        chosen(&services, Some(name))?;
    }
    let is_meant = |each: &Service| meant.is_empty() || meant.contains(&each.name);
    let these = services.into_iter().enumerate().filter(|(_, each)| is_meant(each));
    Ok(these.map(|(at, each)| (at, Arc::new(each))).collect())
}

fn no_guard(file: &Path) -> anyhow::Error {
    let what = "is a protocol; a guard says which of its messages are accepted";
    UsageError(format!("{} {what}", file.display())).into()
}

/// What a file says, once its warnings are said.
pub(crate) fn rules(file: &Path, json: bool) -> anyhow::Result<(Rules, RuleTexts)> {
    let reading = read(file)?;
    match reading.rules {
        Some(rules) => {
            reading.findings.say(json);
            Ok((rules, reading.texts))
        }
        None => Err(reading.findings.into()),
    }
}

/// The services of a guard, once its warnings are said, and where their rules stand.
pub(crate) fn services(file: &Path, json: bool) -> anyhow::Result<(Vec<Service>, RuleTexts)> {
    match rules(file, json)? {
        (Rules::Guard(services), texts) => Ok((services, texts)),
        (Rules::Protocol(..), _) => Err(no_guard(file)),
    }
}

/// Those services that were asked for, each with its place in the guard.
pub(crate) fn chosen<'a>(
    services: &'a [Service],
    name: Option<&str>,
) -> anyhow::Result<Vec<(usize, &'a Service)>> {
    let is_meant = |(_, each): &(usize, &Service)| name.is_none_or(|name| each.name == name);
    let chosen: Vec<_> = services.iter().enumerate().filter(is_meant).collect();
    if let Some(name) = name.filter(|_| chosen.is_empty()) {
        let near = nearest(name, services.iter().map(|each| each.name.as_str()));
        let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        return Err(UsageError(format!("the guard has no service '{}'{near}", printable(name))).into());
    }
    Ok(chosen)
}

/// The service of a guard that was asked for, or its only one, once its warnings are said; with its place there, and where its rules
/// stand.
pub(crate) fn service(file: &Path, name: Option<&str>) -> anyhow::Result<(usize, Service, RuleTexts)> {
    let (services, texts) = services(file, false)?;
    match chosen(&services, name)?.as_slice() {
        [(at, service)] => Ok((*at, (*service).clone(), texts)),
        several => {
            let names: Vec<_> = several.iter().map(|(_, each)| each.name.as_str()).collect();
            let names = names.join(", ");
            Err(UsageError(format!("the guard has several services; name one with --service: {names}"))
                .into())
        }
    }
}

/// Whether a text is a protocol rather than a guard, however wrong it may be.
fn is_protocol(text: &str) -> bool {
    let (file, _) = DeTable::parse_recoverable(text);
    let has = |key: &str| file.get_ref().keys().any(|each| each.get_ref() == key);
    !has("service") && ["message", "fields", "constants", "source"].into_iter().any(has)
}
