//! How long a million prefixes take from the command that blocks them to its answer, and who waits meanwhile.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use weir_filters::{Blocklist, FilterName, Site, Toolkit, Until};
use weir_hooks::KernelFilter;
use weir_lab::experiment::{bench::Bench, machine::Pinning, own_command};
use weir_service::control::{Connection, ControlRequest, Reply, ask};

use super::{Bound, PromisedFigure, Runner, loads, serving::ServedCell};

/// How long the reply to a GET may take.
const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// Prefixes in the list, some of them twice.
const PREFIXES: usize = 1_000_000;

/// Of an IPv4 address: none below 128.0.0.0 then.
const FROM_128: u32 = 1 << 31;

/// Pairs of the bare batches and of the command, one after the other.
const PAIRS: usize = 6;

/// Runs in which other calls and requests are timed, which takes time from the command.
const WATCHED: usize = 3;

/// Time between two of those.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// How often the kernel's slabs are looked at, at most, and what they change by at rest.
const LOOKS_AT_SLABS: usize = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const SETTLED_MB: f64 = 1.0;

/// The bar of the command, s; and of its ratio to the kernel's calls, which took 0.96 s where that was set.
const COMMAND: f64 = 2.0;
const TO_BARE: f64 = 2.08;

pub(super) fn measure(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let prefixes = random_prefixes();
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("prefixes");
    let text: String = prefixes.iter().map(|prefix| format!("{prefix}\n")).collect();
    fs::write(&list, text).context("writing a list of prefixes")?;
    let mut bare_list = Blocklist::default();
    for prefix in prefixes {
        bare_list.block(prefix, Until::Unblocked);
    }
    let (mut bare, mut blocked) = (Vec::new(), Vec::new());
    for pair in 1..=PAIRS {
        (runner.say)(&format!("run {pair} of {PAIRS}: prefixes blocked by bare batches, and by a command"));
        bare.push(block_bare(&bare_list)?);
        blocked.push(BlockingCost::by_command(runner, &list, bare_list.len(), false)?);
    }
    let watched: Vec<_> = (0..WATCHED)
        .map(|_| BlockingCost::by_command(runner, &list, bare_list.len(), true))
        .collect::<anyhow::Result<_>>()?;
    let of =
        |all: &[BlockingCost], value: fn(&BlockingCost) -> f64| all.iter().map(value).collect::<Vec<_>>();
    let taken = of(&blocked, |blocked| blocked.taken);
    let ratios = taken.iter().zip(&bare).map(|(command, bare)| command / bare).collect();
    let count = bare_list.len();
    Ok(figures! {
        format!("weir filter block @FILE, {count} prefixes, from the command to its answer"), "s":
            taken => Bound::AtMost(COMMAND);
        "  the kernel's part: sorted, in batches, nothing else", "s": bare;
        "  the command ÷ the kernel's part", "": ratios => Bound::AtMost(TO_BARE);
        "  the server's resident memory, growth", "MB":
            of(&blocked, |cost| cost.resident) => Bound::AtMost(100.0);
        "  the kernel's slabs, growth", "MB": of(&blocked, |cost| cost.slabs) => Bound::AtMost(150.0);
        "  what fdinfo says of the map", "MB": of(&blocked, |cost| cost.map);
        "  meanwhile, the longest wait for another control call", "ms":
            of(&watched, |cost| cost.waits[0]) => Bound::AtMost(10.0);
        "  meanwhile, the longest wait for the reply to a GET", "ms":
            of(&watched, |cost| cost.waits[1]) => Bound::AtMost(10.0);
    })
}

/// IPv4 and IPv6 prefixes in turn, of lengths that lists have, in no order; the same in every run. None is of loopback, by
/// which the server is asked meanwhile.
fn random_prefixes() -> Vec<IpNet> {
    let mut random = StdRng::seed_from_u64(1);
    let prefix = |index| -> IpNet {
        if index % 2 == 0 {
            let bits = [16, 20, 24, 28, 32][random.random_range(0..5)];
            Ipv4Net::new_assert(Ipv4Addr::from_bits(random.random::<u32>() | FROM_128), bits).trunc().into()
        } else {
            let bits = [32, 48, 56, 64, 128][random.random_range(0..5)];
            Ipv6Net::new_assert(Ipv6Addr::from_bits(random.random()), bits).trunc().into()
        }
    };
    (0..PREFIXES).map(prefix).collect()
}

/// Seconds that the kernel's calls for a list take.
fn block_bare(list: &Blocklist) -> anyhow::Result<f64> {
    let filter = KernelFilter::load(FilterName::Blocklist.into(), Toolkit::Fun, &Site::socket())?;
    let all: Vec<_> = list.effective().collect();
    let started = Instant::now();
    filter.block(&all)?;
    Ok(started.elapsed().as_secs_f64())
}

/// What a command that blocked a list took.
struct BlockingCost {
    /// From its start to its end, s.
    taken: f64,
    /// Growth of the server's resident memory, MB.
    resident: f64,
    /// Growth of the kernel's slabs, MB.
    slabs: f64,
    /// What the kernel says that the server's tries hold, MB.
    map: f64,
    /// The longest of other control calls, and of requests to the server, ms; 0 where none were made.
    waits: [f64; 2],
}

impl BlockingCost {
    /// Has a new server block the prefixes of the file `list`, of which `count` are different.
    fn by_command(runner: &Runner<'_>, list: &Path, count: usize, is_watched: bool) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let control = folder.path().join("control");
        let mut definition = loads::definition(&loads::BATCH)?;
        let row = &mut definition.placements[0];
        (row.filter, row.toolkit) = (FilterName::Blocklist, Toolkit::Fun);
        definition.server_flags.extend(["--control".into(), control.display().to_string()]);
        // Whoever blocks prefixes pins nothing.
        let pinning = Pinning::none("a command is timed");
        let served = ServedCell::start(&Bench { pinning: &pinning, ..runner.bench(&definition) })?;
        let server = served.server.process.id().context("the server runs")?;
        let (resident, slabs) = (resident_mb(server)?, settled_slabs_mb()?);
        let mut command = own_command("filter");
        command.arg("block").arg(format!("@{}", list.display())).arg("--control").arg(&control);
        let is_over = AtomicBool::new(false);
        let (taken, waits) = thread::scope(|scope| {
            let watching = is_watched.then(|| {
                let calls = scope.spawn(|| longest(&is_over, asking(&control)?));
                let requests = scope.spawn(|| longest(&is_over, requesting(served.server.address)?));
                [calls, requests]
            });
            let started = Instant::now();
            let output = command.output();
            let taken = started.elapsed();
            is_over.store(true, Ordering::Relaxed);
            let waits = watching.map(|all| all.map(|each| each.join().expect("it does not panic")));
            let output = output.context("starting weir filter")?;
            ensure!(
                output.status.success(),
                "weir filter block: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let [calls, requests] = waits.unwrap_or([Ok(Duration::ZERO), Ok(Duration::ZERO)]);
            Ok((taken, [calls?, requests?]))
        })?;
        let blocked = Self {
            taken: taken.as_secs_f64(),
            resident: resident_mb(server)? - resident,
            slabs: slabs_mb()? - slabs,
            map: maps_mb(server, Some(LPM_TRIE))?,
            waits: waits.map(|wait| wait.as_secs_f64() * 1e3),
        };
        match ask(&control, &ControlRequest::Status)? {
            Reply::Status(status) if status.blocked == Some(count) => {}
            other => bail!("{count} prefixes were to be blocked: {other:?}"),
        }
        served.end()?;
        Ok(blocked)
    }
}

/// The longest that one of something took until it is over.
fn longest(is_over: &AtomicBool, mut each: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let started = Instant::now();
        each()?;
        longest = longest.max(started.elapsed());
        thread::sleep(ASK_EVERY);
    }
    Ok(longest)
}

fn asking(control: &Path) -> anyhow::Result<impl FnMut() -> anyhow::Result<()>> {
    let mut connection = Connection::open(control)?;
    Ok(move || Ok(connection.ask(&ControlRequest::Status).map(drop)?))
}

fn requesting(server: SocketAddr) -> anyhow::Result<impl FnMut() -> anyhow::Result<()>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(REPLY_WITHIN))?;
    // A key that nobody put has no reply.
    socket.send(&weir_wire::Request::Put { key: 10, value: 1 }.to_bytes())?;
    let request = weir_wire::Request::Get { key: 10 }.to_bytes();
    let mut reply = [0; 64];
    Ok(move || {
        socket.send(&request)?;
        socket.recv(&mut reply).with_context(|| format!("a GET's reply within {REPLY_WITHIN:?}"))?;
        Ok(())
    })
}

/// The line of a file of /proc that begins with `name` and ends with a number of KiB, in MB.
fn kib_as_mb(path: &str, name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let value =
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok());
    let kib: f64 = value.with_context(|| format!("{path} has no {name}"))?;
    Ok(kib * 1024.0 / 1e6)
}

fn resident_mb(process: u32) -> anyhow::Result<f64> {
    kib_as_mb(&format!("/proc/{process}/status"), "VmRSS:")
}

fn slabs_mb() -> anyhow::Result<f64> {
    kib_as_mb("/proc/meminfo", "Slab:")
}

/// What the kernel's slabs hold once those of an earlier map are given back, which takes it a moment; MB.
fn settled_slabs_mb() -> anyhow::Result<f64> {
    let mut before = slabs_mb()?;
    for _ in 0..LOOKS_AT_SLABS {
        thread::sleep(BETWEEN_LOOKS);
        let now = slabs_mb()?;
        if (now - before).abs() < SETTLED_MB {
            return Ok(now);
        }
        before = now;
    }
    bail!(
        "the kernel's slabs don't come to rest: they change by more than {SETTLED_MB} MB within {BETWEEN_LOOKS:?}"
    )
}

/// BPF_MAP_TYPE_LPM_TRIE, linux/bpf.h.
const LPM_TRIE: &str = "11";

/// What a process's maps are charged, or those of a type (`bpf_map_show_fdinfo`, kernel/bpf/syscall.c).
pub(super) fn maps_mb(process: u32, of_type: Option<&str>) -> anyhow::Result<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("map_type:").is_some_and(|found| of_type.is_none_or(|wanted| wanted == found)) {
            bytes += field("memlock:").and_then(|bytes| bytes.parse::<f64>().ok()).unwrap_or_default();
        }
    }
    Ok(bytes / 1e6)
}
