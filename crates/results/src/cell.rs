//! The cell: everything that makes one place of an experiment's grid, and the dimensions along which cells differ.

mod dimension;

pub use dimension::{Background, Conditions, Dimension, ReceiveWork, Value};

use serde::{Deserialize, Serialize};
use weir_filters::{FilterName, Hook, Toolkit, names};
use weir_records::Io;

/// Where the decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// No program: the server decides.
    Plain,
    /// The accept-all program is attached and the server decides, as in the report.
    User,
    /// The program decides.
    Kernel,
    /// No program on the server's side: the sender's own kernel drops what the filter refuses, on the way out. It shows
    /// what sending costs by itself.
    Sender,
}

names! {
    /// Its name in text, definitions and samples.
    Placement::name { Plain = "plain", User = "user", Kernel = "kernel", Sender = "sender" }
}

/// Everything that makes one cell of an experiment's grid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Where the decision is made.
    pub placement: Placement,
    /// The filter that the server was started with.
    pub filter: FilterName,
    /// Its toolkit.
    pub toolkit: Toolkit,
    /// Its hook.
    pub hook: Hook,
    /// How the server reads and writes.
    pub io: Io,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Packets asked for: valid and invalid PUT-or-BAD packets of all clients together; GET and STOP come on top.
    pub packets: u64,
    /// Payload of an invalid packet, bytes; the behaviour's own where nothing is said.
    pub invalid_size: Option<u32>,
    /// Client behaviour, such as `frigg`.
    pub behaviour: String,
    /// Clients that send at the same time; each sends its share of `packets`.
    pub clients: u32,
    /// Name of an external server, or nothing for weir's own.
    pub external_server: Option<String>,
    /// Name of an external client, or nothing for weir's own.
    pub external_client: Option<String>,
    /// Name of the guard that decides in place of the filter, or nothing for the filter itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// What else the run is made under.
    #[serde(flatten)]
    pub conditions: Conditions,
}

impl Cell {
    /// How its program is written, for comparisons: the toolkit's name, or `guard`.
    pub fn written_with(&self) -> &'static str {
        if self.guard.is_some() { "guard" } else { self.toolkit.as_str() }
    }

    /// How its program is written, with the guard's name where it is one: `fun`, `guard bag`.
    pub fn writing(&self) -> String {
        let guard = self.guard.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{guard}", self.written_with())
    }
}

/// A cell in a few words.
pub fn name_of(cell: &Cell) -> String {
    let mut name = format!("{} {} ({})", cell.placement.name(), cell.filter, cell.writing());
    if !matches!(cell.hook, Hook::Socket | Hook::User) {
        name += &format!(" at {}", cell.hook);
    }
    for dimension in Dimension::ALL {
        let value = dimension.of(cell);
        let mut usual = cell.clone();
        dimension.forget(&mut usual);
        if dimension.of(&usual) != value || dimension == Dimension::InvalidPercent {
            name += &format!(", {} {}", dimension.title(), dimension.text(value));
        }
    }
    let server = cell.external_server.as_ref().map_or_else(String::new, |name| format!(", server {name}"));
    let client = cell.external_client.as_ref().map_or_else(String::new, |name| format!(", client {name}"));
    name + &server + &client
}
