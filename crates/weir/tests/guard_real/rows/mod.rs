//! The exchanges: a server, what its clients do, and which messages that must show.

mod media;
mod names;
mod network;
mod things;
mod tunnels;

/// An exchange. Lines are bash's, in a folder of the row's own, with both ends' addresses in `SERVER` and `CLIENT` and the weir
/// under test in `WEIR`.
pub(crate) struct Row {
    /// A protocol that is shipped.
    pub(crate) protocol: &'static str,
    /// Who speaks it.
    pub(crate) name: &'static str,
    /// The ports of the server, each with a guard.
    pub(crate) ports: &'static [u16],
    /// What the guard sets of the protocol's constants, as TOML.
    pub(crate) constants: &'static str,
    /// Files in the folder: names and texts.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What serves, until it is ended; empty where Debian has nothing that does.
    pub(crate) server: &'static str,
    /// What it says when it is ready, where an open port says too little.
    pub(crate) ready: &'static str,
    /// Bytes of a packet, so many that none is fragmented: no hook below the control group can judge those.
    pub(crate) mtu: u32,
    /// Whether each of the ports is one socket, to which a program can be attached.
    pub(crate) has_one_socket: bool,
    /// What clients do, and what they say if it succeeds.
    pub(crate) clients: &'static [(&'static str, &'static str)],
    /// Messages that clients must have sent: all of them, with others perhaps.
    pub(crate) asked: &'static [&'static str],
    /// Messages that the service must have sent.
    pub(crate) answered: &'static [&'static str],
    /// How many packets of clients a guard may drop because the protocol has servers discard them.
    pub(crate) discarded: usize,
}

/// What rows have where they say nothing.
const USUAL: Row = Row {
    protocol: "",
    name: "",
    ports: &[],
    constants: "",
    files: &[],
    server: "",
    ready: "",
    mtu: 1500,
    has_one_socket: true,
    clients: &[],
    asked: &[],
    answered: &[],
    discarded: 0,
};

pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    [names::ROWS, network::ROWS, things::ROWS, media::ROWS, tunnels::ROWS].into_iter().flatten()
}
