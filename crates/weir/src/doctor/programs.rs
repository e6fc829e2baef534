//! Every program of the catalogue, by loading it: what one kernel's verifier takes, another's may not.

use std::net::UdpSocket;

use serde::Serialize;
use weir_filters::{Combination, FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{HookError, KernelFilter};

use super::{Check, hooks::NOBODY};
use crate::toolkits::with_parameters;

/// A program of the catalogue, and what came of loading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Loading {
    /// What it decides.
    pub(crate) filter: FilterName,
    /// How it is written.
    pub(crate) toolkit: Toolkit,
    /// Where it would run.
    pub(crate) hook: Hook,
    /// What came of it.
    #[serde(flatten)]
    pub(crate) outcome: LoadReport,
}

/// What came of loading a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub(crate) enum LoadReport {
    /// The kernel took it.
    Loaded,
    /// weir knew before that this kernel can't have it.
    Unavailable {
        /// What the kernel lacks.
        reason: String,
    },
    /// The kernel refused it.
    Refused {
        /// What it said.
        reason: String,
    },
}

/// Loads each program that this build has, and unloads it at once.
pub(crate) fn load_all() -> Vec<Loading> {
    let kept = Combination::all().filter(|combination| combination.hook != Hook::User);
    let built = kept.filter(|combination| weir_hooks::available(*combination).is_ok());
    built
        .map(|combination| {
            let Combination { filter, toolkit, hook } = combination;
            let outcome = match load(combination) {
                Ok(()) => LoadReport::Loaded,
                Err(HookError::Unavailable { gap, .. }) => {
                    LoadReport::Unavailable { reason: gap.to_string() }
                }
                Err(error) => LoadReport::Refused { reason: error.in_a_line() },
            };
            Loading { filter, toolkit, hook, outcome }
        })
        .collect()
}

fn load(Combination { filter, toolkit, hook }: Combination) -> Result<(), HookError> {
    let site = Site { super_packets: SuperPackets::Pass, ..Site::new(hook, NOBODY) };
    let loaded = KernelFilter::load(with_parameters(filter, toolkit), toolkit, &site)?;
    // Classic BPF is loaded where it is attached.
    match UdpSocket::bind(NOBODY) {
        Ok(socket) if toolkit == Toolkit::Cbpf => loaded.attach(&socket).map(drop),
        _ => Ok(()),
    }
}

/// A row for each toolkit.
pub(super) fn findings(loadings: &[Loading]) -> Vec<Check> {
    let toolkits = Toolkit::ALL.into_iter().filter(|toolkit| *toolkit != Toolkit::Rust);
    toolkits.filter_map(|toolkit| finding(toolkit, loadings)).collect()
}

fn finding(toolkit: Toolkit, loadings: &[Loading]) -> Option<Check> {
    let all: Vec<_> = loadings.iter().filter(|loading| loading.toolkit == toolkit).collect();
    let of = |is: fn(&LoadReport) -> bool| all.iter().filter(|loading| is(&loading.outcome)).count();
    let loaded = of(|outcome| *outcome == LoadReport::Loaded);
    let what = format!("programs by {toolkit}");
    let found = format!("{loaded} of {} loaded", all.len());
    let reasons = all.iter().filter_map(|loading| match &loading.outcome {
        LoadReport::Loaded => None,
        LoadReport::Unavailable { reason } | LoadReport::Refused { reason } => Some((loading, reason)),
    });
    let mut reasons = reasons.peekable();
    let Some((first, reason)) = reasons.peek() else {
        return (!all.is_empty()).then(|| Check::ok(what, found));
    };
    let found = format!("{found}; {} at {}: {reason}", first.filter, first.hook);
    let others: Vec<_> =
        reasons.skip(1).map(|(loading, _)| format!("{} at {}", loading.filter, loading.hook)).collect();
    let remedy = match others.as_slice() {
        [] => "another toolkit's may be taken (--toolkit)".to_owned(),
        [_, ..] => format!("another toolkit's may be taken (--toolkit); nor are {}", others.join(", ")),
    };
    Some(Check::gap(what, found, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loading(filter: FilterName, outcome: LoadReport) -> Loading {
        Loading { filter, toolkit: Toolkit::Fun, hook: Hook::Tc, outcome }
    }

    #[test]
    fn a_program_that_is_refused_is_named_with_its_reason_and_hides_no_other() {
        let refused =
            |filter, reason: &str| loading(filter, LoadReport::Refused { reason: reason.to_owned() });
        let all = [
            loading(FilterName::Simple, LoadReport::Loaded),
            refused(FilterName::Print, "invalid zero-sized read"),
            refused(FilterName::Quota, "reserved fields"),
        ];
        let [finding] = &findings(&all)[..] else { panic!("one toolkit") };
        assert_eq!(finding.state, super::super::CheckState::Gap);
        assert!(finding.found.starts_with("1 of 3 loaded; "), "{finding:?}");
        assert!(finding.found.contains("print-filter at tc: invalid zero-sized read"), "{finding:?}");
        assert!(finding.remedy.contains("quota at tc"), "{finding:?}");
        let [finding] = &findings(&all[..1])[..] else { panic!("one toolkit") };
        assert_eq!(finding.state, super::super::CheckState::Ok);
    }
}
