//! `weir net`: a veth pair for use by hand.

use clap::Subcommand;
use weir_lab::topology::{
    Settings,
    named::{self, PairStatus},
};
use weir_output::print;
use weir_results::{
    net::{InterfaceRecord, Side},
    topology::Segmentation,
};

use super::print_record;

/// Make, show and take down a veth pair between two network namespaces, for `weir serve --net` and
/// `weir client --net` (as root).
///
/// Both ends are in namespaces of their own, weir-server and weir-client; the host's network is left alone.
/// `ip netns exec weir-server COMMAND` runs anything else there. It stays until it is taken down.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NetArgs {
    #[command(subcommand)]
    command: NetCommand,
}

const EXAMPLES: &str = "\
Examples:
  weir net up --receive-on 0      the server's end receives on core 0
  weir serve --net &              on 198.18.0.1:12345, in weir-server
  weir client --net -b odin       from 198.18.0.2, in weir-client
  ip netns exec weir-server bash  anything else, in the server's namespace
  weir net down";

#[derive(Debug, Subcommand)]
enum NetCommand {
    /// Make the pair; refused where there is one.
    Up {
        /// `on`: a UDP GSO send crosses as one super-packet. `off`: every datagram is a packet of its own.
        #[arg(long, default_value_t)]
        segmentation: Segmentation,

        /// Bytes of the largest packet.
        #[arg(long, default_value_t = Settings::default().mtu, value_name = "BYTES",
            value_parser = clap::value_parser!(u32).range(1280..=65535))]
        mtu: u32,

        /// Cores that the server's end receives on (RPS), such as 0 or 0,2; without, the core that sent.
        #[arg(long, value_delimiter = ',', value_name = "CORES")]
        receive_on: Vec<usize>,

        /// The same for the client's end: replies.
        #[arg(long, value_delimiter = ',', value_name = "CORES")]
        replies_on: Vec<usize>,
    },
    /// Take it down, and whatever is left of one. Nothing to take down is no error.
    Down,
    /// Show whether there is one, how it is set, and which processes are in it.
    Status {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: NetArgs) -> anyhow::Result<()> {
    match args.command {
        NetCommand::Up { segmentation, mtu, receive_on, replies_on } => {
            named::up(&Settings { segmentation, mtu, receive_on, replies_on })?;
            print(describe(&named::status()?))
        }
        NetCommand::Down => down(),
        NetCommand::Status { json } => {
            let status = named::status()?;
            print_record(json, &status, || describe(&status))
        }
    }
}

fn down() -> anyhow::Result<()> {
    let down = named::down()?;
    if down.names.is_empty() {
        return print("nothing to take down\n");
    }
    if !down.processes.is_empty() {
        eprintln!(
            "weir: processes {:?} are still in the namespaces, which go when they end; their interfaces are gone",
            down.processes
        );
    }
    print("down\n")
}

fn describe(status: &PairStatus) -> String {
    match status {
        PairStatus::Down => "down\n".to_owned(),
        PairStatus::Broken { reason } => format!("broken: {reason}; `weir net down` clears it away\n"),
        PairStatus::Up(named) => {
            let sides = Side::ALL.map(|side| {
                let interface = &named.record.interfaces[side];
                let place = format!("{} in {}", interface.name, named.namespaces[side].display());
                describe_interface(&place, interface, &named.processes[side])
            });
            format!("up\n{}", sides.concat())
        }
    }
}

fn describe_interface(place: &str, interface: &InterfaceRecord, processes: &[u32]) -> String {
    let addresses: Vec<_> = interface.addresses.iter().map(ToString::to_string).collect();
    let receives = match interface.receive_on.as_deref() {
        None | Some([]) => "the core that sent".to_owned(),
        Some(cores) => format!("cores {cores:?}"),
    };
    let on: Vec<_> =
        interface.features.iter().filter(|(_, on)| **on).map(|(name, _)| name.as_str()).collect();
    format!(
        "{place}\n  addresses    {}\n  mtu          {}\n  receives on  {receives}\n  on           {}\n  processes    {}\n",
        addresses.join(", "),
        interface.mtu,
        on.join(", "),
        if processes.is_empty() { "none".to_owned() } else { format!("{processes:?}") },
    )
}
