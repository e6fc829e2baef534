//! The conditions of a run that are the usual ones unless an experiment varies them.

use serde::{Deserialize, Serialize};
use weir_filters::names;
use weir_records::{Mix, Moderation};

use crate::topology::Topology;

/// The conditions of a run; the default is what a run is made under where a definition says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// How valid and invalid packets follow each other; nothing for the behaviour's own order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// Packets per second that all clients together offer, in an open loop; nothing for as fast as they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// The server's receive buffer, bytes as asked for (the kernel doubles it); nothing for the kernel's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_buffer: Option<u32>,
    /// Whether the server's reading is moderated: not in the originals, and so not unless an experiment says so.
    #[serde(skip_serializing_if = "is_default")]
    pub moderation: Moderation,
    /// What lies between client and server.
    #[serde(skip_serializing_if = "is_default")]
    pub topology: Topology,
    /// On whose core the kernel does the work of receiving.
    #[serde(skip_serializing_if = "is_default")]
    pub receive_work: ReceiveWork,
    /// Who else keeps the cores busy.
    #[serde(skip_serializing_if = "is_default")]
    pub background: Background,
    /// Whether server and clients are confined to their cores; nothing for what the whole experiment does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// On whose core the kernel does the work of receiving: IP, UDP, a filter at the socket, and queueing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiveWork {
    /// The sender's, where loopback and veth leave it.
    #[default]
    Sender,
    /// The server's, steered there (RPS, Documentation/networking/scaling.rst).
    Server,
}

/// Who else keeps the cores busy during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Background {
    /// Nobody that this experiment started.
    #[default]
    Idle,
    /// A busy process on the server's core.
    Server,
    /// A busy process on the clients' core.
    Client,
    /// A busy process on each.
    Both,
}

names! {
    /// Its name in text, definitions and samples.
    ReceiveWork::name { Sender = "sender", Server = "server" }
}

names! {
    /// Its name in text, definitions and samples.
    Background::name { Idle = "idle", Server = "server", Client = "client", Both = "both" }
}
