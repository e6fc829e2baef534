//! What this machine can and can't do for weir, and what a crashed run left on it.

mod hooks;
pub(crate) mod leftovers;
mod machine;
pub(crate) mod programs;

use programs::{LoadReport, Loading};
use serde::Serialize;
use weir_filters::Hook;

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) state: CheckState,
    pub(crate) found: String,
    /// What is lost by a gap and what to do about it; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) remedy: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckState {
    /// As it should be.
    Ok,
    /// Something is missing.
    Gap,
}

impl CheckState {
    /// The word that tables show.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Gap => "gap",
        }
    }
}

impl Check {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), state: CheckState::Ok, found: found.into(), remedy: String::new() }
    }

    fn gap(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), state: CheckState::Gap, found: found.into(), remedy: remedy.into() }
    }
}

/// What was looked at, and every program of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Examination {
    /// What was found, a row each.
    pub(crate) findings: Vec<Check>,
    /// What came of loading each program.
    pub(crate) programs: Vec<Loading>,
}

/// Looks at the machine: nothing of it is changed, and what is tried is tried in a network namespace of its own and
/// undone at once.
pub(crate) fn examine() -> Examination {
    let programs = programs::load_all();
    let findings =
        [machine::findings(), hooks::findings(), programs::findings(&programs), leftovers::findings()];
    Examination { findings: findings.concat(), programs }
}

impl Examination {
    /// Whether a server can filter at its socket here, and no program is refused by the kernel.
    pub(crate) fn is_well(&self) -> bool {
        let is_refused = |loading: &Loading| matches!(loading.outcome, LoadReport::Refused { .. });
        can_serve(&self.findings) && !self.programs.iter().any(is_refused)
    }
}

fn can_serve(findings: &[Check]) -> bool {
    let socket = hooks::name(Hook::Socket);
    findings.iter().any(|finding| finding.what == socket && finding.state == CheckState::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_has_a_remedy_and_what_is_well_has_none() {
        let Examination { findings, .. } = examine();
        for finding in &findings {
            assert!(!finding.found.is_empty(), "{finding:?}");
            assert_eq!(finding.state == CheckState::Gap, !finding.remedy.is_empty(), "{finding:?}");
        }
        for hook in Hook::of_the_kernel() {
            assert!(findings.iter().any(|finding| finding.what == hooks::name(hook)), "no row for {hook}");
        }
    }

    #[test]
    fn serving_is_possible_where_the_socket_takes_a_program() {
        let socket = hooks::name(Hook::Socket);
        assert!(can_serve(&[Check::ok(socket.clone(), "loaded")]));
        assert!(!can_serve(&[Check::gap(socket, "refused", "be root"), Check::ok("hook xdp", "loaded")]));
        assert!(!can_serve(&[]));
    }
}
