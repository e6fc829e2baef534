//! `weir run`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::Serialize;
use weir_asm::Endian;
use weir_hooks::{AnyProgram, ProgramType};
use weir_output::{exit::UsageError, print};

use crate::programs::{ByteOrder, Findings, Input, InputForm, ProgramInput};

/// Run a program in the kernel on bytes of yours (BPF_PROG_TEST_RUN): its verdict, r0 and time a run.
///
/// It is loaded, verified and not attached to anything. What the verifier refuses is said with its log, which quotes
/// the lines of the source. Needs root, or CAP_BPF and CAP_NET_ADMIN.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    reading: ProgramInput,

    #[command(flatten)]
    form: InputForm,

    /// The packet, in hexadecimal digits (blanks and colons between them are fine) or, behind `@`, a file that holds
    /// it; 64 zero bytes where nothing is said. For a socket filter it begins with the UDP header, for the others
    /// with the Ethernet header.
    #[arg(long, value_name = "HEX|@FILE")]
    data: Option<String>,

    /// The type of program; by default what the section says, and `socket` for raw instructions. An object's type
    /// can't be changed.
    #[arg(long = "type", value_name = "TYPE", value_parser = types())]
    program_type: Option<ProgramType>,

    /// The program to run, where there are several.
    #[arg(long, value_name = "NAME")]
    program: Option<String>,

    /// How many times to run it; the time is the mean.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    repeat: u32,
}

const EXAMPLES: &str = "\
Examples:
  weir run filter.s --data 0000000000120000505554aabbccdd0100000000000000
  weir run filter.o --program main --data @packet.bin --repeat 1000000
  weir run drop.s --type xdp --json
  printf 'mov r0, 0\\nexit\\n' | weir run -

Exit status: 0 it ran, 1 it was refused or can't be read, 2 the arguments are wrong.";

fn types() -> impl clap::builder::TypedValueParser<Value = ProgramType> {
    PossibleValuesParser::new(ProgramType::RUN.map(ProgramType::name)).map(|name| {
        let found = ProgramType::RUN.into_iter().find(|program_type| program_type.name() == name);
        found.expect("only these names get here")
    })
}

pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    Findings::end(test_run(&args), &args.reading.name(), args.reading.json)
}

fn test_run(args: &RunArgs) -> anyhow::Result<()> {
    let data = args.data.as_deref().map_or_else(|| Ok(vec![0; 64]), bytes_of)?;
    let object = object(args)?;
    let program = AnyProgram::load(&object, args.program.as_deref())?;
    let program_type = program.program_type();
    if let Some(wanted) = args.program_type.filter(|wanted| *wanted != program_type) {
        let text = format!(
            "{} of {} is of type {program_type}, as its section says, and can't be run as {wanted}",
            program.name(),
            args.reading.name()
        );
        return Err(UsageError(text).into());
    }
    let ran = program.test_run(&data, args.repeat)?;
    let outcome = RunResult {
        program: program.name(),
        program_type: program_type.name(),
        verdict: program_type.verdict(ran.return_value),
        r0: ran.return_value,
        ns_per_run: ran.mean.as_nanos(),
        runs: args.repeat,
        bytes: data.len(),
        verified_instructions: program.facts()?.verified_instructions,
    };
    print(if args.reading.json { format!("{}\n", serde_json::to_string(&outcome)?) } else { outcome.said() })
}

/// The object to load: an ELF file as it is, or the one that a text or raw instructions become.
fn object(args: &RunArgs) -> anyhow::Result<Vec<u8>> {
    let input = args.reading.input(&args.form)?;
    let native: Endian = ByteOrder::default().into();
    if let Input::Elf(bytes, file) = input {
        anyhow::ensure!(
            file.endian == native,
            "{} is of the other byte order than this machine; build it for this one",
            args.reading.name()
        );
        return Ok(bytes);
    }
    let mut object = input.object()?;
    if let Some(program_type) = args.program_type {
        let meant = |name: &str| args.program.as_deref().is_none_or(|wanted| wanted == name);
        let programs = object.programs.iter_mut().filter(|program| meant(&program.name));
        programs.for_each(|program| program.section = program_type.section().to_owned());
    }
    object.to_elf(native).with_context(|| format!("making an object of {}", args.reading.name()))
}

/// What a run gave.
#[derive(Serialize)]
struct RunResult<'a> {
    program: &'a str,
    #[serde(rename = "type")]
    program_type: &'a str,
    verdict: &'a str,
    r0: u32,
    ns_per_run: u128,
    runs: u32,
    bytes: usize,
    verified_instructions: Option<u32>,
}

impl RunResult<'_> {
    fn said(&self) -> String {
        let times =
            if self.runs == 1 { "1 run".to_owned() } else { format!("the mean of {} runs", self.runs) };
        let verified = self.verified_instructions.map_or_else(|| "?".to_owned(), |count| count.to_string());
        format!(
            "program   {} ({})\nverdict   {}\nr0        {} ({:#x})\ntime      {} ns a run, {times}\npacket    {} bytes\n\
             verified  {verified} instructions\n",
            self.program,
            self.program_type,
            self.verdict,
            self.r0 as i32,
            self.r0,
            self.ns_per_run,
            self.bytes,
        )
    }
}

/// The bytes that `--data` says.
fn bytes_of(data: &str) -> anyhow::Result<Vec<u8>> {
    if let Some(path) = data.strip_prefix('@') {
        let path = Path::new(path);
        return std::fs::read(path).with_context(|| format!("reading the packet from {}", path.display()));
    }
    let digits: Vec<u8> = data
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| c.to_digit(16).map(|digit| digit as u8).ok_or(c))
        .collect::<Result<_, _>>()
        .map_err(|c| not_hex(format!("{c:?} is no hexadecimal digit")))?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(not_hex(format!("{} digits are no whole number of bytes", digits.len())));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn not_hex(why: String) -> anyhow::Error {
    anyhow!(UsageError(format!("--data: {why}; give two digits a byte, such as 505554, or @FILE")))
}
