//! The rules of a service that is kept, in words that the next process reads again.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_guard::{
    meaning::{Mode, Service},
    text::{self, Files, NamedText, Unavailable},
};

use super::commanded::Commanded;

/// A guard's text with those of its protocols, which of its services is meant, and what was commanded of that one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeptRules {
    guard: String,
    /// Each protocol's text, by what the guard calls it.
    protocols: BTreeMap<String, String>,
    service: String,
    enforces: Option<bool>,
    blocked: Vec<IpNet>,
    allowed: Vec<IpNet>,
}

impl KeptRules {
    /// Of a guard that names these protocols.
    pub(super) fn new(guard: &str, protocols: &BTreeMap<String, NamedText>, service: &str) -> Self {
        let protocols = protocols.iter().map(|(name, file)| (name.clone(), file.text.clone())).collect();
        Self {
            guard: guard.to_owned(),
            protocols,
            service: service.to_owned(),
            enforces: None,
            blocked: Vec::new(),
            allowed: Vec::new(),
        }
    }

    /// The same with that commanded, as JSON.
    pub(super) fn with(&self, commanded: &Commanded) -> Value {
        let all = |prefixes: &std::collections::BTreeSet<IpNet>| prefixes.iter().copied().collect();
        let rules = Self {
            enforces: commanded.mode.map(|mode| mode == Mode::Enforce),
            blocked: all(&commanded.blocked),
            allowed: all(&commanded.allowed),
            ..self.clone()
        };
        serde_json::to_value(rules).unwrap_or_default()
    }

    /// The service as it was guarded; its lists, which have no part in what it counts, are empty.
    pub(crate) fn read(rules: &Value) -> Option<Arc<Service>> {
        let rules = Self::deserialize(rules).ok()?;
        let service = Arc::new(rules.service()?);
        Some(rules.commanded().over(&service))
    }

    /// What was commanded of the service, as far as it holds for these rules: a mode holds until the file says another one than before.
    pub(super) fn commanded_over(rules: &Value, now: &Service) -> Option<Commanded> {
        let rules = Self::deserialize(rules).ok()?;
        let mut commanded = rules.commanded();
        if rules.service()?.mode != now.mode {
            commanded.mode = None;
        }
        Some(commanded)
    }

    fn commanded(&self) -> Commanded {
        let mode = self.enforces.map(|enforces| if enforces { Mode::Enforce } else { Mode::Observe });
        Commanded {
            mode,
            blocked: self.blocked.iter().copied().collect(),
            allowed: self.allowed.iter().copied().collect(),
        }
    }

    fn service(&self) -> Option<Service> {
        let services = text::guard(&self.guard, &mut KeptFiles(&self.protocols)).services?;
        services.into_iter().find(|service| service.name == self.service)
    }
}

/// The files of a guard that is kept.
struct KeptFiles<'a>(&'a BTreeMap<String, String>);

impl Files for KeptFiles<'_> {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let text = self.0.get(name).cloned();
        let absent = || Unavailable { message: "it wasn't kept".to_owned(), help: None };
        Ok(NamedText { name: name.to_owned(), text: text.ok_or_else(absent)? })
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        Ok(NamedText { name: path.to_owned(), text: String::new() })
    }
}
