//! An experiment as it is written down: a grid of cells, the servers to place in them, and its profiles.

use std::{collections::BTreeMap, fmt};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use weir_filters::{FilterName, Hook, Toolkit};
use weir_output::exit::UsageError;
use weir_results::{cell::Placement, rule::Rule};
use weir_service::Io;

use super::{
    grid::{Grid, Overrides},
    precision::Precision,
    template::Template,
};

/// How much of an experiment is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// About a minute.
    Quick,
    /// Some minutes, with narrower intervals.
    Standard,
    /// Everything that the report measured.
    Paper,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().expect("none is skipped").get_name())
    }
}

/// An experiment, as in `experiments/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name on the command line and in samples.
    pub name: String,
    /// Its title in reports.
    pub title: String,
    /// What it is to answer.
    pub question: String,
    /// The clients' behaviour; one of [`BEHAVIOURS`].
    #[serde(default = "default_behaviour")]
    pub behaviour: String,
    /// Clients that send at the same time; the packets of a cell are shared out among them.
    #[serde(default = "default_clients")]
    pub clients: u32,
    /// Runs of each cell.
    pub runs: u32,
    /// Runs are added until intervals are this narrow; nothing for [`Self::runs`] of each cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// How weir's own clients send.
    #[serde(default)]
    pub client_io: Io,
    /// How long weir's own clients wait for the reply to a GET before they ask again, ms; nothing for their default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get_timeout_ms: Option<u64>,
    /// weir's server of the catalogue.
    #[serde(default = "default_server")]
    pub server: String,
    /// The UDP port that every server listens on, for clients that can't be told one; nothing for a free one each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Further arguments of `weir serve`, the same in every cell.
    #[serde(default)]
    pub server_flags: Vec<String>,
    /// Whether BPF statistics are on while a server runs; they cost time on every packet.
    #[serde(default)]
    pub program_stats: bool,
    /// Time that a server may take until it is ready, seconds.
    #[serde(default = "default_ready_within")]
    pub ready_within_s: u64,
    /// Time that the clients of one run may take, seconds; nothing for a minute and 100 µs a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients_within_s: Option<u64>,
    /// How long the clients send at each of the grid's rates, seconds: it gives the packets of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u64>,
    /// Share of the valid requests that are GETs, percent, whose latency is measured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gets_percent: u8,
    /// Audit one repetition in so many: an additional run of each cell in which the kernel's drops are traced by reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_every: Option<u32>,
    /// What is varied.
    pub grid: Grid,
    /// What is placed in each cell of the grid.
    pub placements: Vec<PlacementRow>,
    /// Servers that are not weir's own, by the name that placements use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_server: BTreeMap<String, ExternalServer>,
    /// Clients that are not weir's own, by the name that placements use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_client: BTreeMap<String, ExternalClient>,
    /// Guards, by the name that placements use, each with the text of a guard of one service of weir's own server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guard: BTreeMap<String, String>,
    /// The rules by which its report judges claims, written down before any run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Rule>,
    /// What is different in a smaller or larger edition of the experiment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<Profile, Overrides>,
}

/// A server, the filter it is started with, and who sends to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementRow {
    /// Name by which profiles choose it; the placement's own where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the decision is made.
    pub placement: Placement,
    /// The filter.
    pub filter: FilterName,
    /// Its toolkit.
    pub toolkit: Toolkit,
    /// Its hook.
    pub hook: Hook,
    /// How the server reads and writes.
    #[serde(default)]
    pub io: Io,
    /// A row of [`Definition::external_server`] to be started in place of `weir serve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_server: Option<String>,
    /// A row of [`Definition::external_client`] to be started in place of `weir client`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_client: Option<String>,
    /// A row of [`Definition::guard`] whose program decides in place of the filter's, which it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
}

impl PlacementRow {
    /// The name by which profiles choose it.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(self.placement.name())
    }
}

/// A server that is not weir's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalServer {
    /// Program and arguments; no shell reads them.
    pub command: Vec<Template>,
    /// The UDP port that it alone listens on; nothing for [`Definition::port`] or a free one, which `{port}` tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A client that is not weir's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalClient {
    /// Program and arguments; no shell reads them.
    pub command: Vec<Template>,
    /// How long it sleeps by itself in a run, seconds, such as before its first packet: a report shows wall time as it was
    /// measured, and a second column without the sleep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleeps_s: Option<f64>,
}

/// The behaviours that an experiment can use, those whose packets are what `-n` and `-p` say; and whether they end the
/// server.
pub const BEHAVIOURS: [(&str, bool); 3] = [("frigg", false), ("frey", true), ("load", false)];

fn default_behaviour() -> String {
    "frigg".into()
}

fn default_server() -> String {
    "simple-server".into()
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

const fn default_clients() -> u32 {
    1
}

const fn default_ready_within() -> u64 {
    10
}

impl Definition {
    /// The definition as `profile` has it, without profiles: what is run. Without a profile, the quick one where
    /// there is one, else everything as it is written.
    ///
    /// # Errors
    /// The profile doesn't exist here.
    pub fn resolve(&self, profile: Option<Profile>, runs: Option<u32>) -> Result<Resolved, UsageError> {
        let profile =
            profile.or_else(|| self.profiles.contains_key(&Profile::Quick).then_some(Profile::Quick));
        let overrides = match profile {
            None => Overrides::default(),
            Some(profile) => self.profiles.get(&profile).cloned().ok_or_else(|| {
                UsageError(format!(
                    "experiment '{}' has no profile '{profile}'; there are: {}",
                    self.name,
                    self.profile_names()
                ))
            })?,
        };
        let mut definition = self.changed(&overrides);
        definition.runs = runs.unwrap_or(definition.runs);
        Ok(Resolved { definition, profile })
    }

    /// The definition with a profile's changes, and without profiles.
    pub(super) fn changed(&self, overrides: &Overrides) -> Self {
        let is_used = |row: &&PlacementRow| {
            overrides.placements.as_ref().is_none_or(|ids| ids.iter().any(|id| id == row.id()))
        };
        Self {
            runs: overrides.runs.unwrap_or(self.runs),
            duration_s: overrides.duration_s.or(self.duration_s),
            grid: self.grid.changed(overrides),
            placements: self.placements.iter().filter(is_used).cloned().collect(),
            profiles: BTreeMap::new(),
            ..self.clone()
        }
    }

    fn profile_names(&self) -> String {
        match self.profiles.keys().map(Profile::to_string).collect::<Vec<_>>() {
            names if names.is_empty() => "none; leave --profile out".into(),
            names => names.join(", "),
        }
    }

    /// The port that a row of [`Self::external_server`], or weir's own server, must have; nothing for a free one.
    pub fn port_of(&self, external_server: Option<&str>) -> Option<u16> {
        self.port.or_else(|| self.external_server.get(external_server?)?.port)
    }

    /// Most runs that a cell can have.
    pub fn most_runs(&self) -> u32 {
        self.precision.map_or(self.runs, |precision| precision.max_runs.max(self.runs))
    }

    /// Whether the clients end the server themselves.
    pub fn clients_stop(&self) -> bool {
        BEHAVIOURS.iter().any(|&(name, stops)| name == self.behaviour && stops)
    }
}

/// A definition with a profile applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// What is run; it has no profiles.
    pub definition: Definition,
    /// The profile that was applied.
    pub profile: Option<Profile>,
}
