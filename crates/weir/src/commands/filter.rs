//! `weir filter`: what decides in a running server, seen and changed through its control socket.

use std::{
    env, fs, io,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::Context as _;
use clap::Subcommand;
use rayon::{iter::ParallelIterator as _, str::ParallelString as _};
use weir_filters::{Filter, Parameter, Quota, Toolkit};
use weir_output::{exit::UsageError, print};
use weir_service::control::{
    AskError, BlockedPrefix, ControlRequest, NoPrefix, Prefix, Reply, Status, ask, block_all,
};

use super::{is_plain, print_record};
use crate::{arguments::time, guards::status_text};

/// Change what a running server filters: what it blocks, how much a source may send, which filter decides.
///
/// The server listens at a control socket (`weir serve --control PATH`), which its owner and root may use.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FilterArgs {
    #[command(subcommand)]
    change: FilterChange,

    /// The server's control socket; by default what WEIR_CONTROL in the environment says
    #[arg(long, global = true, value_name = "PATH")]
    control: Option<PathBuf>,

    /// Print the server's answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir serve --filter blocklist+quota+valid-command --control /run/weir.sock
  export WEIR_CONTROL=/run/weir.sock
  weir filter status
  weir filter block 192.0.2.0/24 --for 10m
  weir filter block @prefixes.txt
  weir filter quota 1000/50
  weir filter swap blocklist+robust-valid-command";

#[derive(Debug, Subcommand)]
enum FilterChange {
    /// Drop what comes from an address or a prefix, or from many
    Block {
        /// IPv4 or IPv6, such as 192.0.2.7 or 2001:db8::/32; `@FILE` for those in a file, `-` for those on stdin, with
        /// space or line ends between them, and `#` before a comment up to the line's end
        #[arg(value_name = "PREFIX|@FILE|-")]
        what: ToBlock,
        /// For how long, such as 90s, 10m or 2h; until it is unblocked where nothing is said
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        lasting: Option<Duration>,
    },
    /// Let an address or a prefix through again that was blocked as such
    Unblock {
        /// As it was blocked
        prefix: Prefix,
    },
    /// List what is blocked, and for how much longer
    List,
    /// Show what decides, what it decided, and what it is told
    Status,
    /// Set what parameterized-filter does
    Set {
        /// `accept` or `drop`
        parameter: Parameter,
    },
    /// Set how many packets each source may send
    Quota {
        /// Packets/s, and packets at once
        #[arg(value_name = "RATE[/BURST]")]
        quota: Quota,
    },
    /// Put another filter in the place of the one that decides; no packet goes by undecided
    Swap {
        /// The filter, with source checks before it: such as blocklist+quota+valid-command
        filter: Filter,
        /// How it is written; by default as the one before, or fun where that can't be
        #[arg(long)]
        toolkit: Option<Toolkit>,
    },
}

pub(crate) fn run(args: FilterArgs) -> anyhow::Result<()> {
    let path = args.control.or_else(|| env::var_os("WEIR_CONTROL").map(PathBuf::from));
    let path = path.ok_or_else(|| {
        UsageError("which server? --control PATH or WEIR_CONTROL says where it is controlled".to_owned())
    })?;
    let reply = args.change.ask(&path)?.or_else(|error| match error {
        AskError::Refused(error) if args.json => {
            print(serde_json::to_string_pretty(&Reply::Error { error: error.clone() })? + "\n")?;
            Err(anyhow::Error::from(AskError::Refused(error)))
        }
        error => Err(error.into()),
    })?;
    print_record(args.json, &reply, || text(&reply))
}

/// What is to be blocked.
#[derive(Clone, Debug)]
enum ToBlock {
    One(Prefix),
    /// Those in a file, or on stdin.
    All(Option<PathBuf>),
}

impl FromStr for ToBlock {
    type Err = NoPrefix;

    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        match text.strip_prefix('@') {
            Some(path) => Ok(Self::All(Some(path.into()))),
            None if text == "-" => Ok(Self::All(None)),
            None => text.parse().map(Self::One),
        }
    }
}

/// The prefixes in a file, or on stdin.
fn prefixes(path: Option<&Path>) -> anyhow::Result<Vec<Prefix>> {
    let name = path.map_or("stdin".into(), |path| path.display().to_string());
    let text = match path {
        Some(path) => fs::read_to_string(path),
        None => io::read_to_string(io::stdin()),
    };
    let text = text.with_context(|| format!("reading the prefixes of {name}"))?;
    let all = text.par_lines().flat_map_iter(words).map(str::parse).collect::<Result<_, NoPrefix>>();
    all.or_else(|_| {
        // By line, the first that is wrong is found.
        let lines = (1..).zip(text.lines());
        let words = lines.flat_map(|(number, line)| words(line).map(move |word| (number, word)));
        words.map(|(number, word)| word.parse().with_context(|| format!("{name}, line {number}"))).collect()
    })
}

/// What stands in a line, up to a comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split('#').next().unwrap_or_default().split_whitespace()
}

/// Less than a millisecond is one.
fn milliseconds(time: Duration) -> NonZeroU64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    NonZeroU64::new(ms).unwrap_or(NonZeroU64::MIN)
}

impl FilterChange {
    /// Has it done, and gives what the server says.
    fn ask(self, path: &Path) -> anyhow::Result<Result<Reply, AskError>> {
        let request = match self {
            Self::Block { what: ToBlock::All(from), lasting } => {
                let mut done = 0;
                let all = prefixes(from.as_deref())?;
                let blocked = block_all(path, all, lasting.map(milliseconds), |so_far| done = so_far);
                return Ok(match blocked {
                    Ok(count) => Ok(Reply::Done { did: format!("{count} prefixes are blocked") }),
                    Err(AskError::Refused(error)) if done > 0 => Err(AskError::Refused(format!(
                        "{error}; {done} prefixes are blocked, the others aren't"
                    ))),
                    Err(error) => Err(error),
                });
            }
            Self::Block { what: ToBlock::One(prefix), lasting } => {
                ControlRequest::Block { prefix, for_ms: lasting.map(milliseconds) }
            }
            Self::Unblock { prefix } => ControlRequest::Unblock { prefix },
            Self::List => ControlRequest::List,
            Self::Status => ControlRequest::Status,
            Self::Set { parameter } => ControlRequest::Parameter { parameter },
            Self::Quota { quota } => {
                let burst = NonZeroU32::new(quota.burst()).expect("a quota has a burst");
                ControlRequest::Quota { rate: quota.rate(), burst }
            }
            Self::Swap { filter, toolkit } => ControlRequest::Swap { filter, toolkit },
        };
        Ok(ask(path, &request))
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Done { did } => format!("{did}\n"),
        Reply::Error { error } => format!("{error}\n"),
        Reply::Blocked { prefixes } if prefixes.is_empty() => "nothing is blocked\n".to_owned(),
        Reply::Blocked { prefixes } => prefixes.iter().map(blocked).collect(),
        Reply::Status(status) => lines(status),
        Reply::Guard(guard) => status_text(guard, is_plain()),
    }
}

fn blocked(BlockedPrefix { prefix, left_ms }: &BlockedPrefix) -> String {
    let left = left_ms.map_or("until it is unblocked".to_owned(), |ms| format!("for {} more", seconds(ms)));
    format!("{prefix} {left}\n")
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", Duration::from_millis(ms).as_secs_f64())
}

fn lines(status: &Status) -> String {
    let Status {
        filter,
        toolkit,
        hook,
        decides_at,
        verdicts,
        replaced,
        parameter,
        quota,
        blocked,
        uptime_ms,
    } = status;
    let decides_at = decides_at.map(|hook| format!(", where the {hook} decides")).unwrap_or_default();
    let mut lines = vec![format!(
        "{filter} by {toolkit} at {hook}{decides_at}, the server up for {}",
        seconds(*uptime_ms)
    )];
    lines.push(match verdicts {
        Some(counts) => format!("{} accepted, {} dropped", counts.accepted, counts.dropped),
        None => "not counted: this filter or one before it keeps no counts".to_owned(),
    });
    lines.extend(parameter.map(|parameter| format!("parameter: {parameter}")));
    lines.extend(quota.map(|quota| format!("quota: {} packets/s, {} at once", quota.rate(), quota.burst())));
    lines.extend(blocked.map(|blocked| format!("blocked: {blocked} prefixes")));
    for before in replaced {
        let counts = before
            .verdicts
            .map(|counts| format!(": {} accepted, {} dropped", counts.accepted, counts.dropped));
        lines.push(format!("before: {} by {}{}", before.filter, before.toolkit, counts.unwrap_or_default()));
    }
    lines.join("\n") + "\n"
}
