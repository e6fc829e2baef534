//! What a guard's lists cost, against an interval set of nftables: to load, to search, to keep; and a guard's way from its file
//! to a socket.

use std::{
    fmt::Write as _,
    fs,
    io::{IoSlice, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::{
    sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt::IpFreebind},
    time::{ClockId, clock_gettime},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use weir_asm::Endian;
use weir_filters::{Hook, Site, fun::service::service_object};
use weir_guard::meaning::Service;
use weir_hooks::{AnyProgram, AttachPoint, Direction, Interface, in_own_network, kernel_features};

use super::{Bound, PromisedFigure, blocking::maps_mb, guard::read};

const PREFIXES: usize = 1_000_000;

/// From a file to in force.
const LOADS: usize = 5;

/// From a file to a socket, with few rules.
const ATTACHED: usize = 50;

/// What a lookup costs is measured so often, by batches of packets with a list and without.
const REPETITIONS: usize = 12;
const BATCHES: usize = 20;
const UNDISTURBED: usize = 4;
const PACKETS: usize = 1_000;

/// Of the service; and another one, for a filter's rules without the list.
const PORTS: [u16; 2] = [12_345, 12_346];

/// No message of the protocol: what isn't blocked is dropped as well, so that a packet ends behind the lookup.
const PAYLOAD: &[u8] = b"x";

const GUARD: &str = r#"[[service]]
name = "listed"
listen = "udp/12345"
mode = "enforce"
protocol = "a2s"
accept = ["info"]
"#;

const WITH_LIST: &str = "block = [\"@prefixes.txt\"]\n";

pub(super) fn measure() -> anyhow::Result<Vec<PromisedFigure>> {
    let prefixes = random_prefixes();
    let folder = tempfile::tempdir().context("making a folder")?;
    let text: String = prefixes.iter().map(|prefix| format!("{prefix}\n")).collect();
    fs::write(folder.path().join("prefixes.txt"), text).context("writing a list of prefixes")?;
    let guard = folder.path().join("guard.toml");
    fs::write(&guard, format!("{GUARD}{WITH_LIST}")).context("writing a guard")?;
    let (mut loaded, mut changed, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LOADS {
        let before = maps_mb(std::process::id(), None)?;
        let (taken, (mut service, mut program)) = in_force(&guard)?;
        loaded.push(taken);
        memory.push(maps_mb(std::process::id(), None)? - before);
        let started = Instant::now();
        let one_more = IpNet::from(IpAddr::from([192, 0, 2, 1]));
        service.block = service.block.prefixes().iter().copied().chain([one_more]).collect();
        program.set_lists(&service)?;
        changed.push(started.elapsed().as_secs_f64());
    }
    let mut figures = figures! {
        format!("{PREFIXES} prefixes, from a guard's file to in force at a socket"), "s":
            loaded => Bound::AtMost(2.0);
        "  one more of them while the program runs", "s": changed;
        "  the kernel's memory of its maps", "MB": memory => Bound::AtMost(200.0);
    };
    let searched =
        in_own_network(move || search(&guard)).context("making a network namespace, which needs root")?;
    figures.extend(searched?);
    figures.push(few_rules(folder.path())?);
    Ok(figures)
}

/// IPv4 and IPv6 prefixes in turn, of lengths that lists have and that leave most of them beside each other; the same in every run.
fn random_prefixes() -> Vec<IpNet> {
    let mut random = StdRng::seed_from_u64(1);
    let prefix = |number| -> IpNet {
        if number % 2 == 0 {
            let bits = *[22, 24, 26, 28, 29, 30, 31, 32].choose(&mut random).expect("there are some");
            Ipv4Net::new_assert(Ipv4Addr::from_bits(random.random()), bits).trunc().into()
        } else {
            let bits = *[32, 40, 48, 56, 64, 96, 128].choose(&mut random).expect("there are some");
            Ipv6Net::new_assert(Ipv6Addr::from_bits(random.random()), bits).trunc().into()
        }
    };
    (0..PREFIXES).map(prefix).collect()
}

/// A guard's file is read, with all that it names, and its program decides what a socket gets: seconds.
fn in_force(guard: &Path) -> anyhow::Result<(f64, (Service, AnyProgram))> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    let started = Instant::now();
    let service = read(&fs::read_to_string(guard).context("reading a guard")?, guard)?;
    let mut program = program(&service, Hook::Socket)?;
    let attached = program.attach(AttachPoint::Socket(socket.as_fd()))?;
    let taken = started.elapsed().as_secs_f64();
    drop(attached);
    Ok((taken, (service, program)))
}

fn program(service: &Service, hook: Hook) -> anyhow::Result<AnyProgram> {
    let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORTS[0]);
    let site = Site { features: kernel_features(), ..Site::new(hook, everywhere) };
    let object =
        service_object(service, &site)?.to_elf(Endian::NATIVE).context("writing a guard's object")?;
    let mut program = AnyProgram::load(&object, None)?;
    program.set_lists(service)?;
    Ok(program)
}

/// Lookups of random sources by datagrams over loopback, where every address is the machine's. They end at the filter, which drops
/// them, be they in the list or not.
fn search(guard: &Path) -> anyhow::Result<Vec<PromisedFigure>> {
    for version in ["-4", "-6"] {
        ordered(Command::new("ip").args([version, "route", "add", "local", "default", "dev", "lo"]), "")?;
    }
    let with_list = read(&fs::read_to_string(guard).context("reading a guard")?, guard)?;
    let mut programs = [program(&with_list, Hook::Tc)?, program(&read(GUARD, guard)?, Hook::Tc)?];
    let lo = Interface::named("lo")?;
    let mut senders = [Sender::bound(true)?, Sender::bound(false)?];
    let mut by_guard = [Vec::new(), Vec::new()];
    for _ in 0..REPETITIONS {
        for (sender, costs) in senders.iter_mut().zip(&mut by_guard) {
            costs.push(cost(|with_list| {
                let program = &mut programs[usize::from(!with_list)];
                let attached = program.attach(AttachPoint::Tc(&lo, Direction::Ingress))?;
                let ns = sender.ns_of_a_packet(PORTS[0]);
                drop(attached);
                ns
            })?);
        }
    }
    drop(programs);
    let started = Instant::now();
    ordered(Command::new("nft").args(["-f", "-"]), &ruleset(&with_list))
        .context("loading an interval set; nft is Debian's package nftables")?;
    let loaded = started.elapsed().as_secs_f64();
    let mut by_nft = [Vec::new(), Vec::new()];
    for _ in 0..REPETITIONS {
        for (sender, costs) in senders.iter_mut().zip(&mut by_nft) {
            costs.push(cost(|with_list| sender.ns_of_a_packet(PORTS[usize::from(!with_list)]))?);
        }
    }
    let quotients = |version: usize| {
        by_guard[version].iter().zip(&by_nft[version]).map(|(ours, nft)| ours / nft).collect()
    };
    let [quotients_v4, quotients_v6] = [quotients(0), quotients(1)];
    let [[guard_v4, guard_v6], [nft_v4, nft_v6]] = [by_guard, by_nft];
    Ok(figures! {
        "a random IPv4 source in them, at tc, over a guard without lists", "ns": guard_v4 => Bound::AtMost(400.0);
        "  ÷ nft's interval sets over empty ones, ahead of routing", "": quotients_v4 => Bound::AtMost(1.0);
        "  of which nft takes", "ns": nft_v4;
        "a random IPv6 source in them, at tc, over a guard without lists", "ns": guard_v6 => Bound::AtMost(400.0);
        "  ÷ nft's interval sets over empty ones, ahead of routing", "": quotients_v6 => Bound::AtMost(1.0);
        "  of which nft takes", "ns": nft_v6;
        "  nft's interval sets, from their file to in force", "s": vec![loaded];
    })
}

/// What a packet costs with the list more than without, ns: batches in turn, of which the fastest count, by their mean, since whatever
/// disturbs one makes it longer.
fn cost(mut batch: impl FnMut(bool) -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut batches = [Vec::new(), Vec::new()];
    for _ in 0..BATCHES {
        for (with_list, ns) in [true, false].into_iter().zip(&mut batches) {
            ns.push(batch(with_list)?);
        }
    }
    let [with, without] = batches.map(|mut ns| {
        ns.sort_by(f64::total_cmp);
        ns[..UNDISTURBED].iter().sum::<f64>() / UNDISTURBED as f64
    });
    Ok(with - without)
}

/// Packets to the first port meet sets of what the service blocks, to the second empty ones.
fn ruleset(service: &Service) -> String {
    let mut elements = [String::new(), String::new()];
    for range in service.block.ranges() {
        let text = &mut elements[usize::from(range.start().is_ipv6())];
        let _ = write!(text, "{}-{},", range.start(), range.end());
    }
    let mut sets = String::new();
    for (name, [v4, v6]) in [("full", elements.each_ref().map(String::as_str)), ("empty", ["", ""])] {
        for (version, header, elements) in [("v4", "ip", v4), ("v6", "ip6", v6)] {
            let kind = if header == "ip" { "ipv4_addr" } else { "ipv6_addr" };
            let elements =
                if elements.is_empty() { String::new() } else { format!("elements = {{ {elements} }}") };
            let _ = writeln!(sets, "set {name}_{version} {{ type {kind}; flags interval; {elements}\n}}");
        }
        let _ =
            writeln!(sets, "chain {name} {{ ip saddr @{name}_v4 drop; ip6 saddr @{name}_v6 drop; drop; }}");
    }
    let [full, empty] = PORTS;
    format!(
        "table inet listed {{\n{sets}chain early {{ type filter hook prerouting priority raw; udp dport vmap {{ {full} : jump full, {empty} : jump empty }}; }}\n}}\n"
    )
}

/// Runs a command that reads `input`.
fn ordered(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("starting {shown}"))?;
    let written = child.stdin.take().expect("it has a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().with_context(|| shown.clone())?;
    ensure!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
    written.with_context(|| format!("writing to {shown}"))
}

/// Sends from random sources of one IP version.
struct Sender {
    socket: UdpSocket,
    is_v4: bool,
    random: StdRng,
}

impl Sender {
    fn bound(is_v4: bool) -> anyhow::Result<Self> {
        let any: IpAddr = if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).context("binding a UDP socket")?;
        // IPv6 asks whether an interface has the address that it is to send from.
        setsockopt(&socket, IpFreebind, &true).context("setting IP_FREEBIND")?;
        Ok(Self { socket, is_v4, random: StdRng::seed_from_u64(2) })
    }

    /// The mean over many, each from another source.
    fn ns_of_a_packet(&mut self, port: u16) -> anyhow::Result<f64> {
        let payload = [IoSlice::new(PAYLOAD)];
        let to: SocketAddr = match self.is_v4 {
            true => (Ipv4Addr::LOCALHOST, port).into(),
            false => (Ipv6Addr::LOCALHOST, port).into(),
        };
        let to = SockaddrStorage::from(to);
        // Hosts' addresses: 1.0.0.0 to 126.255.255.255, and 2000::/3.
        let sources: Vec<(u32, u128)> = (0..PACKETS)
            .map(|_| {
                (self.random.random_range(1 << 24..127 << 24), self.random.random::<u128>() >> 3 | 1 << 125)
            })
            .collect();
        let started = cpu_time()?;
        for (v4, v6) in sources {
            let v4 = nix::libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: nix::libc::in_addr { s_addr: v4.to_be() },
                ipi_addr: nix::libc::in_addr { s_addr: 0 },
            };
            let v6 = nix::libc::in6_pktinfo {
                ipi6_addr: nix::libc::in6_addr { s6_addr: v6.to_be_bytes() },
                ipi6_ifindex: 0,
            };
            let from = if self.is_v4 {
                ControlMessage::Ipv4PacketInfo(&v4)
            } else {
                ControlMessage::Ipv6PacketInfo(&v6)
            };
            sendmsg(self.socket.as_raw_fd(), &payload, &[from], MsgFlags::empty(), Some(&to))
                .context("sendmsg")?;
        }
        Ok((cpu_time()? - started).as_nanos() as f64 / PACKETS as f64)
    }
}

/// Of this thread, in which the kernel has packets over loopback received: whatever else runs is none of it.
fn cpu_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("asking for this thread's CPU time")?.into())
}

/// Of an office's resolver: 20 rules, beside an allow-list and a blocklist of a prefix.
const RULES: &str = r#"[[service]]
name = "dns"
listen = "udp/53"
mode = "enforce"
protocol = "dns"
accept = [
    { message = "query", when = "name under {'example.org', 'example.net'}" },
    { message = "query", from = "10.0.0.0/8" },
    { message = "query", from = "172.16.0.0/12" },
    { message = "query", from = "192.168.0.0/16" },
    { message = "query", from = "fd00::/8" },
    { message = "notify", from = "192.0.2.7" },
    { message = "notify", from = "192.0.2.8" },
    { message = "update", from = "192.0.2.9" },
    { message = "update", from = "2001:db8::9" },
]
allow = ["192.0.2.53"]
block = ["198.51.100.0/24"]
limit = [
    { message = "query", from = "10.1.0.0/16", per = "source/32,/56", rate = "500/s" },
    { message = "query", from = "10.2.0.0/16", per = "source/32,/56", rate = "300/s" },
    { message = "query", from = "10.3.0.0/16", per = "all", rate = "2000/s" },
    { message = "query", per = "source/24,/48", rate = "1000/s" },
    { message = "notify", per = "source/32,/128", rate = "10/s" },
    { message = "notify", per = "all", rate = "20/s" },
    { message = "update", per = "source/32,/128", rate = "5/s" },
    { message = "update", per = "all", rate = "10/s" },
    { from = "fd00::/8", per = "source/32,/64", rate = "400/s" },
    { per = "source/32,/56", rate = "600/s" },
    { per = "all", rate = "20000/s" },
]
"#;

fn few_rules(folder: &Path) -> anyhow::Result<PromisedFigure> {
    let guard = folder.join("rules.toml");
    fs::write(&guard, RULES).context("writing a guard")?;
    let times = (0..ATTACHED).map(|_| Ok(in_force(&guard)?.0 * 1e3)).collect::<anyhow::Result<_>>()?;
    let name = "a guard of 20 rules, from its file to in force at a socket";
    Ok(PromisedFigure::new(name, "ms", times, Bound::AtMost(10.0)))
}
