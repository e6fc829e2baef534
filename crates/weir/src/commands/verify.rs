//! `weir verify`: every program against the reference, and guards' programs against the interpreter.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use weir_filters::{
    Binding, Filter, Hook, Parameter, SourceChecks, SuperPackets, Toolkit,
    corpus::{Captured, Case},
};
use weir_guard::meaning::Service;
use weir_output::{exit::UsageError, print};
use weir_verify::{
    Choice, Packets, Plan,
    guards::{self, ComparedGuard, GuardDisagreement, GuardPackets},
};

use super::print_record;
use crate::{
    guards::{RuleTexts, Rules, read},
    programs::Findings,
    progress::Bar,
};

/// Compare programs with the reference, packet by packet, in the kernel (`BPF_PROG_TEST_RUN`).
///
/// Each combination of filter, toolkit and hook that exists gets every boundary, then exhaustive, mutated and random
/// packets, for servers on IPv4, IPv6 and every address. Filters with a memory are compared with a reference that
/// remembers the same, by themselves and in chains. A packet of which they think differently is made as small as it
/// goes and shown. Needs root, or CAP_BPF and CAP_NET_ADMIN.
///
/// With --guard it is the programs of a guard's services instead, at socket, cgroup, tc and xdp, against what its rules say:
/// on packets that are made from the rules, then on captured ones, then by chance. --guard-mutants plants faults in such
/// programs, and --random-guards compares those of guards that nobody would write.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Compare the programs of this guard's services with its rules.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = OF_FILTERS
    )]
    guard: Option<PathBuf>,

    /// Plant faults in programs of guards instead, and see that packets made from the rules catch each.
    #[arg(long, conflicts_with_all = OF_FILTERS, conflicts_with_all = ["guard", "packets", "pcap"])]
    guard_mutants: bool,

    /// Compare the programs of so many random guards with their rules; the next guard is that of the next seed.
    #[arg(long, value_name = "N", conflicts_with_all = OF_FILTERS, conflicts_with_all = ["guard", "guard_mutants", "pcap"])]
    random_guards: Option<u64>,

    /// This filter alone, or this chain; `weir filters` lists them.
    #[arg(long, value_name = "CHAIN")]
    filter: Option<Filter>,

    /// This toolkit alone.
    #[arg(long, value_name = "NAME")]
    toolkit: Option<Toolkit>,

    /// This hook alone.
    #[arg(long, value_name = "NAME")]
    hook: Option<Hook>,

    /// Packets for each combination: 100000 where it isn't said, 250 for each program of a random guard.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    packets: Option<u64>,

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

/// Packets for each program of a filter or a guard.
const PACKETS: u64 = 100_000;
/// Packets for each program of a random guard.
const PACKETS_OF_RANDOM: u64 = 250;

/// What has no meaning for guards.
const OF_FILTERS: [&str; 11] = [
    "filter",
    "toolkit",
    "endpoint",
    "super_packets",
    "parameter",
    "bind",
    "packet",
    "segments",
    "turn",
    "mutants",
    "speed",
];

const EXAMPLES: &str = "\
Examples:
  weir verify                                     everything
  weir verify -n 1000000 --filter valid-command   the long run, of one filter
  weir verify --toolkit fun --hook xdp --pcap my.pcap
  weir verify --filter valid-command --toolkit aya --hook socket \\
    --packet 9c403039000babcd505554
  weir verify --guard dns.toml --pcap day.pcap    the programs of a guard
  weir verify --random-guards 100000 --seed 7     the long run, of guards

Exit status: 0 all agree, 1 one disagrees, is refused by the kernel, or it failed, 2 it was asked for something that makes no sense.";

pub(crate) fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.guard {
        return Findings::end(compare_guard(file, &args), &file.display().to_string(), args.json);
    }
    if args.guard_mutants {
        return plant_in_guards(&args);
    }
    if let Some(guards) = args.random_guards {
        return compare_random(guards, &args);
    }
    let plan = Plan::new(&Choice {
        filter: args.filter.map(|filter| filter.name),
        checks: args.filter.map_or(SourceChecks::NONE, |filter| filter.checks),
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
    let packets =
        Packets { count: args.packets.unwrap_or(PACKETS), seed: args.seed, captured: captured(&args.pcap)? };
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

fn captured(files: &[PathBuf]) -> anyhow::Result<Vec<Captured>> {
    let mut captured = Vec::new();
    for path in files {
        captured.extend(weir_verify::frames(path)?);
    }
    Ok(captured)
}

fn compare_guard(file: &Path, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let hook = hook_of_guards(args)?;
    let reading = read(file)?;
    let Some(rules) = reading.rules else {
        return Err(reading.findings.into());
    };
    reading.findings.say(args.json);
    let Rules::Guard(services) = rules else {
        let text = format!("{} is a protocol; programs are made of guards", file.display());
        return Err(UsageError(text).into());
    };
    let captured = captured(&args.pcap)?;
    let count = args.packets.unwrap_or(PACKETS);
    let packets = GuardPackets { hook, count, seed: args.seed, captured };
    let mut bar = Bar::new();
    let rows = guards::verify(&services, &packets, &mut |done, total| bar.set(done, total));
    bar.clear();
    let rows = rows?;
    let end = end_of_guards(&rows, args)?;
    for shown in rows.iter().filter_map(|row| row.shown.as_ref()) {
        in_their_lines(&reading.texts, &services, shown).say(args.json);
    }
    Ok(end)
}

/// The rules by which the interpreter and a program decided, where they are written.
fn in_their_lines(texts: &RuleTexts, services: &[Service], shown: &GuardDisagreement) -> Findings {
    let service = services.iter().position(|service| service.name == shown.service);
    let rules = shown.rules.iter().map(|(part, said)| (*part, said.clone(), None));
    texts.errors(service.unwrap_or_default(), rules)
}

/// The hook that was asked for, where programs of guards are run on given bytes there.
fn hook_of_guards(args: &VerifyArgs) -> Result<Option<Hook>, UsageError> {
    if let Some(hook) = args.hook.filter(|hook| !guards::HOOKS.contains(hook)) {
        let hooks = guards::HOOKS.map(|hook| hook.to_string()).join(", ");
        let text = format!("no program of a guard is run on given bytes at {hook}; the hooks are {hooks}");
        return Err(UsageError(text));
    }
    Ok(args.hook)
}

fn end_of_guards(rows: &[ComparedGuard], args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    print(if args.json { guards::json(rows, args.seed)? } else { guards::text(rows) })?;
    Ok(success_if(rows.iter().all(ComparedGuard::agrees)))
}

fn compare_random(guards: u64, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let count = args.packets.unwrap_or(PACKETS_OF_RANDOM);
    let packets = GuardPackets { hook: hook_of_guards(args)?, count, seed: args.seed, captured: Vec::new() };
    let mut bar = Bar::new();
    let rows = guards::random_guards(guards, &packets, &mut |done, total| bar.set(done, total));
    bar.clear();
    end_of_guards(&rows?, args)
}

fn plant_in_guards(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let planted = guards::planted(hook_of_guards(args)?.unwrap_or(Hook::Tc), args.seed)?;
    print_record(args.json, &planted, || guards::planted_text(&planted))?;
    Ok(success_if(guards::all_noticed(&planted)))
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
    use weir_guard::{
        examples::Example,
        meaning::{MessageId, ServicePart},
    };

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_disagreement_is_shown_in_the_lines_of_its_rules() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("guard.toml");
        let text =
            "[[service]]\nname = \"it\"\nlisten = \"udp/53\"\nprotocol = \"dns\"\naccept = [\"query\"]\n";
        std::fs::write(&file, text).expect("it is written");
        let reading = read(&file).expect("it can be read");
        let Some(Rules::Guard(services)) = reading.rules else {
            panic!("{}", reading.findings);
        };
        let said = |part| (part, format!("about {part:?}"));
        let shown = GuardDisagreement {
            service: "it".to_owned(),
            hook: Hook::Tc,
            example: Example { source: ([192, 0, 2, 1], 1).into(), payload: Vec::new(), behind: Vec::new() },
            frame: Vec::new(),
            expected: String::new(),
            returned: 0,
            counted: Vec::new(),
            is_behind_others: false,
            rules: vec![said(ServicePart::Message(MessageId(0))), said(ServicePart::Accept(0))],
        };
        let lines = in_their_lines(&reading.texts, &services, &shown).to_string();
        for line in
            ["error: about Message(MessageId(0))", "dns (shipped):", "| when ", "^^^", "guard.toml:5:11"]
        {
            assert!(lines.contains(line), "{line}: {lines}");
        }
    }

    /// The one that a disagreement of weir-verify's own tests is shown with.
    #[test]
    fn the_command_that_shows_a_disagreement_again_is_understood() {
        let command = "weir verify --filter parameterized-filter --toolkit fun --hook tc --parameter drop --bind map \
                       --endpoint [2001:db8::1]:7 --super-packets pass \
                       --packet 00000000000000000000000081000001080045000023 --segments 10";
        Cli::try_parse_from(command.split(' ')).expect("weir takes it");
    }
}
