//! `weir verify`: every program against the reference.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use weir_filters::{Binding, Filter, Guards, Hook, Parameter, SuperPackets, Toolkit, corpus::Case};
use weir_output::{exit::UsageError, print};
use weir_verify::{Choice, Packets, Plan};

use super::print_record;
use crate::progress::Bar;

/// Compare programs with the reference, packet by packet, in the kernel (`BPF_PROG_TEST_RUN`).
///
/// Each combination of filter, toolkit and hook that exists gets every boundary, then exhaustive, mutated and random
/// packets, for servers on IPv4, IPv6 and every address. Filters with a memory are compared with a reference that
/// remembers the same, by themselves and in chains. A packet of which they think differently is made as small as it
/// goes and shown. Needs root, or CAP_BPF and CAP_NET_ADMIN.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// This filter alone, or this chain; `weir filters` lists them.
    #[arg(long, value_name = "CHAIN")]
    filter: Option<Filter>,

    /// This toolkit alone.
    #[arg(long, value_name = "NAME")]
    toolkit: Option<Toolkit>,

    /// This hook alone.
    #[arg(long, value_name = "NAME")]
    hook: Option<Hook>,

    /// Packets for each combination.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    packets: u64,

    /// The same seed makes the same packets.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Mutate the frames of this capture too (pcap or pcapng, Ethernet or raw IP), aimed at the server; repeatable.
    #[arg(long, value_name = "FILE")]
    pcap: Vec<PathBuf>,

    /// A server whose packets programs below the socket decide; repeatable.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = crate::arguments::server_address)]
    endpoint: Vec<SocketAddr>,

    /// What a program does with several datagrams in one packet, where its hook can see them: drop or pass.
    #[arg(long, value_name = "drop|pass", value_parser = super_packets)]
    super_packets: Option<SuperPackets>,

    /// Only where parameterized-filter is to accept, or to drop.
    #[arg(long, value_name = "accept|drop")]
    parameter: Option<Parameter>,

    /// Only where its parameter is bound so.
    #[arg(long, value_name = "map|constant")]
    bind: Option<Binding>,

    /// Decide this packet alone, from the hook's first header on, two digits a byte.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["packets", "seed", "pcap"])]
    packet: Option<String>,

    /// Datagrams that the kernel says the packet is.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "packet")]
    segments: u32,

    /// Begin with the memory that filters with one have at that turn; it changes every 256 packets.
    #[arg(long, value_name = "N", default_value_t = 0)]
    turn: u32,

    /// Plant faults in the programs instead, and see that each is caught by the packets.
    #[arg(long, conflicts_with_all = ["packet", "speed"])]
    mutants: bool,

    /// Measure instead how fast each comparison is beside a bare loop over the system call.
    #[arg(long, conflicts_with_all = ["packet", "packets"])]
    speed: bool,

    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir verify                                     everything
  weir verify -n 1000000 --filter valid-command   the long run, of one filter
  weir verify --toolkit fun --hook xdp --pcap my.pcap
  weir verify --filter valid-command --toolkit aya --hook socket \\
    --packet 9c403039000babcd505554

Exit status: 0 all agree, 1 one disagrees, is refused by the kernel, or it failed, 2 it was asked for something that makes no sense.";

pub(crate) fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let plan = Plan::new(&Choice {
        filter: args.filter.map(|filter| filter.name),
        guards: args.filter.map_or(Guards::NONE, |filter| filter.guards),
        turn: args.turn,
        toolkit: args.toolkit,
        hook: args.hook,
        endpoints: args.endpoint.clone(),
        parameter: args.parameter,
        binding: args.bind,
        super_packets: args.super_packets,
    })?;
    if let Some(packet) = &args.packet {
        let seen = weir_verify::packet_from_hex(packet)?;
        return one_packet(&plan, &Case { seen, segments: args.segments }, args.json);
    }
    let mut captured = Vec::new();
    for path in &args.pcap {
        captured.extend(weir_verify::frames(path)?);
    }
    let packets = Packets { count: args.packets, seed: args.seed, captured };
    match () {
        () if args.speed => speed(&plan, &packets, args.json),
        () if args.mutants => plant(&plan, &packets, args.json),
        () => compare(&plan, &packets, args.json),
    }
}

fn compare(plan: &Plan, packets: &Packets, json: bool) -> anyhow::Result<ExitCode> {
    let mut bar = Bar::new();
    let rows = weir_verify::verify(plan, packets, &mut |done, total| bar.set(done, total));
    bar.clear();
    let rows = rows?;
    print(if json { weir_verify::json(plan, &rows, packets.seed)? } else { weir_verify::text(plan, &rows) })?;
    Ok(success_if(rows.iter().all(weir_verify::ComparedCombination::agrees)))
}

fn one_packet(plan: &Plan, case: &Case, json: bool) -> anyhow::Result<ExitCode> {
    let answers = weir_verify::ask(plan, case)?;
    print_record(json, &answers, || {
        let groups = answers.chunk_by(|one, next| one.fields() == next.fields());
        let lines = groups.flat_map(|group| {
            std::iter::once(group[0].fields()).chain(group.iter().map(weir_verify::SingleAnswer::line))
        });
        lines.map(|line| line + "\n").collect()
    })?;
    Ok(success_if(answers.iter().all(weir_verify::SingleAnswer::agrees)))
}

fn plant(plan: &Plan, packets: &Packets, json: bool) -> anyhow::Result<ExitCode> {
    let mutants = weir_verify::mutants(plan, packets)?;
    print_record(json, &mutants, || weir_verify::mutants_text(&mutants))?;
    anyhow::ensure!(
        !mutants.is_empty(),
        "no fault fits these programs, so that nothing is known of the packets"
    );
    Ok(success_if(weir_verify::all_caught(&mutants)))
}

fn speed(plan: &Plan, packets: &Packets, json: bool) -> anyhow::Result<ExitCode> {
    let speeds = weir_verify::speed(plan, packets);
    print_record(json, &speeds, || weir_verify::speeds(&speeds))?;
    Ok(success_if(
        speeds.iter().all(|speed| matches!(speed.pace, weir_verify::MeasuredPace::Measured { .. })),
    ))
}

fn success_if(agree: bool) -> ExitCode {
    if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn super_packets(text: &str) -> Result<SuperPackets, UsageError> {
    match text {
        "drop" => Ok(SuperPackets::Drop),
        "pass" => Ok(SuperPackets::Pass),
        _ => Err(UsageError("it takes drop or pass".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    /// The one that a disagreement of weir-verify's own tests is shown with.
    #[test]
    fn the_command_that_shows_a_disagreement_again_is_understood() {
        let command = "weir verify --filter parameterized-filter --toolkit fun --hook tc --parameter drop --bind map \
                       --endpoint [2001:db8::1]:7 --super-packets pass \
                       --packet 00000000000000000000000081000001080045000023 --segments 10";
        Cli::try_parse_from(command.split(' ')).expect("weir takes it");
    }
}
