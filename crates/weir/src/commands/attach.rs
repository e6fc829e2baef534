//! `weir attach`.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use weir_hooks::{AnyProgram, Attachable, ObjectFile, STAYS, TraceLines, maps::AnyMap};
use weir_lab::experiment::interrupt::Interrupt;

use crate::{
    arguments::time,
    attach::{Event, Screen, Session, TargetArgs},
    programs::{Findings, ProgramInput, is_elf},
};

/// Attach a program of yours, and watch its maps and its trace lines until Ctrl-C detaches it.
///
/// Any object's: compiled by clang or rustc, or assembled by `weir asm` (a text is assembled first). Programs at
/// tracepoints, sockets, control groups (cgroup_skb), interfaces (tc, tcx, xdp); the section's name says the type and,
/// where it does, the place. What is attached goes with this process, whatever ends it, save at a socket: a socket that
/// isn't weir's keeps its filter where SIGKILL ends weir. A UDP socket isn't kept open: when its process closes it the filter goes
/// with it, and a new one has none. A socket that has a filter already is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    reading: ProgramInput,

    /// The program; may be left out where one alone can be attached.
    #[arg(long, value_name = "NAME")]
    program: Option<String>,

    #[command(flatten)]
    place: TargetArgs,

    /// Detach after that time; otherwise SIGINT (Ctrl-C), SIGTERM or SIGHUP end it.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasting: Option<Duration>,

    /// Show the maps that often; on a terminal 1s where nothing is said, elsewhere at the end alone.
    #[arg(long, value_name = "TIME", value_parser = time)]
    every: Option<Duration>,

    /// How many entries of a map are shown; how many more there are is said.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    entries: u32,
}

const EXAMPLES: &str = "\
Examples:
  weir attach calls.s                         the section says where to
  weir attach probe.o --program on_read --tracepoint syscalls/sys_enter_read
  weir attach keep.o --port 12345             in front of somebody's socket
  weir attach keep.o --pid 4711 --fd 3
  weir attach count.o --interface eth0 --direction egress --for 10s
  weir attach group.o --cgroup /sys/fs/cgroup/mine --every 5s --json

Exit status: 0 it was attached and detached, 1 it couldn't be, 2 the arguments are wrong.";

pub(crate) fn run(args: AttachArgs) -> anyhow::Result<ExitCode> {
    Findings::end(attach(&args), &args.reading.name(), args.reading.json)
}

fn attach(args: &AttachArgs) -> anyhow::Result<()> {
    // A signal must end what is attached from the first moment on.
    let interrupt = Interrupt::listen_also_for_hangup().context("listening for signals")?;
    let object = object(args)?;
    let chosen = object.attachable(args.program.as_deref())?;
    let target = args.place.target(chosen)?;
    let mut program = AnyProgram::load_to_attach(&object, Some(chosen.name))?;
    let mut session = session(args, &object, &program)?;
    let attached = program.attach(target.point())?;
    let mode = attached.mode().map(|mode| format!(" ({mode})")).unwrap_or_default();
    let to = format!("{target}{mode}");
    let Attachable { name, program_type, .. } = chosen;
    let stays = attached.outlives_its_process().then_some(STAYS);
    let fallback = attached.fallback().or(stays).map(|reason| format!(": {reason}")).unwrap_or_default();
    eprintln!("weir: attached {name} ({program_type}) to {to}{fallback}");
    session.say(&Event::Attached { program: name, program_type: program_type.name(), to: &to })?;
    session.run(&interrupt, attached)?;
    eprintln!("weir: detached {name} from {target}");
    Ok(())
}

fn object(args: &AttachArgs) -> anyhow::Result<ObjectFile> {
    let (name, bytes) = (args.reading.name(), args.reading.bytes()?);
    Ok(if is_elf(&bytes) {
        ObjectFile::read(&name, bytes)?
    } else {
        ObjectFile::assembled(&name, &args.reading.assemble(&bytes)?)?
    })
}

fn session(args: &AttachArgs, object: &ObjectFile, program: &AnyProgram) -> anyhow::Result<Session> {
    // Constants stay as they are in the object.
    let shown = object.maps().iter().filter(|map| !map.name.starts_with(".rodata"));
    let maps = shown.map(|map| program.map_by_definition(map)).collect::<Result<Vec<AnyMap>, _>>()?;
    let screen = Screen::new();
    let on_terminal = (screen.is_redrawn && !args.reading.json).then_some(Duration::from_secs(1));
    Ok(Session {
        maps,
        lines: object.writes_trace_lines().then(TraceLines::of_every_program).transpose()?,
        most: args.entries as usize,
        every: args.every.or(on_terminal),
        lasting: args.lasting,
        json: args.reading.json,
        screen,
    })
}
