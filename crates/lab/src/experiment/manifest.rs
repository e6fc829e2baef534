//! What surrounded an experiment's runs: `manifest.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_results::sample::SCHEMA;

use super::{
    ceiling::Ceiling,
    definition::{Profile, Resolved},
    machine::{Machine, Pinning},
    precision::Precision,
};

/// The content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the sample format.
    pub schema: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// The profile that was applied to its definition.
    pub profile: Option<Profile>,
    /// Runs of each cell.
    pub runs: u32,
    /// The precision asked for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Whether some runs are audited.
    #[serde(default)]
    pub audited: bool,
    /// The UDP port that the definition gives to every server, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Seed of the order and of the clients.
    pub seed: u64,
    /// Runs of the whole schedule.
    pub planned_samples: u64,
    /// SHA-256 of `definition.toml`, in hex.
    pub definition_sha256: String,
    /// When the experiment began, RFC 3339.
    pub started_at: String,
    /// The command line, of the program its name alone.
    pub command_line: Vec<String>,
    /// The weir that made it.
    pub build: Build,
    /// How fast the clients could send when it began; nothing without clients of weir's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// The machine that it began on.
    pub machine: Machine,
    /// Which cores server and clients are confined to.
    pub pinning: Pinning,
}

/// What a weir is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Its version.
    pub version: String,
    /// Its compiler, where it is known.
    pub rustc: Option<String>,
    /// Its git commit, where it is known; `-dirty` where files were changed.
    pub commit: Option<String>,
    /// Whether it is a release build; others are slower.
    pub optimised: bool,
}

impl Build {
    /// This weir.
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            rustc: option_env!("WEIR_RUSTC").map(Into::into),
            commit: option_env!("WEIR_COMMIT").map(Into::into),
            optimised: !cfg!(debug_assertions),
        }
    }
}

fn command_line() -> Vec<String> {
    let mut words: Vec<_> = std::env::args().collect();
    if let Some(program) = words.first_mut()
        && let Some(name) = Path::new(program.as_str()).file_name()
    {
        *program = name.to_string_lossy().into_owned();
    }
    words
}

impl Manifest {
    /// The manifest of an experiment that begins now; `text` is its definition's, and `planned_samples` are the runs of the
    /// whole schedule.
    pub fn new(
        Resolved { definition, profile }: &Resolved,
        text: &str,
        seed: u64,
        planned_samples: u64,
        pinning: Pinning,
        ceiling: Option<Ceiling>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            experiment: definition.name.clone(),
            profile: *profile,
            runs: definition.runs,
            precision: definition.precision,
            audited: definition.audit_every.is_some(),
            port: definition.port,
            seed,
            planned_samples,
            definition_sha256: digest(text),
            started_at: jiff::Timestamp::now().to_string(),
            command_line: command_line(),
            build: Build::this(),
            ceiling,
            machine: Machine::this(),
            pinning,
        }
    }

    /// In what a continuation here and now would differ from the runs so far, a line each.
    pub fn differences(&self) -> Vec<String> {
        let (machine, build) = (Machine::this(), Build::this());
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
        [
            ("kernel", self.machine.kernel.clone(), machine.kernel),
            ("CPU", known(&self.machine.cpu_model), known(&machine.cpu_model)),
            ("cores", self.machine.cores.to_string(), machine.cores.to_string()),
            ("weir version", self.build.version.clone(), build.version),
            ("weir commit", known(&self.build.commit), known(&build.commit)),
            ("release build", self.build.optimised.to_string(), build.optimised.to_string()),
        ]
        .into_iter()
        .filter(|(_, then, now)| then != now)
        .map(|(what, then, now)| format!("{what}: {then} in the runs so far, {now} from now on"))
        .collect()
    }
}

/// SHA-256 of `text`, in hex.
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_fips_180_4() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), expected);
    }
}
