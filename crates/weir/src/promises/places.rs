//! What a filter's own work costs at each hook in the kernel's test run, by toolkit against C.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use rand::{RngExt as _, seq::SliceRandom as _};
use socket2::{Domain, Socket, Type};
use weir_filters::{Combination, FilterName, Hook, Layer, Site, SuperPackets, Toolkit};
use weir_hooks::{
    Attached, Interface, KernelFilter, ProgramType, Statistics, Target, XdpMode, available, gso_layout,
    in_own_network,
};
use weir_wire::{
    Request,
    headers::{self, ethernet, ipv4},
    udp,
};

use super::{Bound, PromisedFigure, Runner};

/// The hooks whose programs the kernel runs on given bytes.
pub(super) fn hooks() -> impl Iterator<Item = Hook> {
    Hook::ALL.into_iter().filter(|hook| ProgramType::at(*hook).is_some_and(ProgramType::runs_on_bytes))
}

/// Those that write programs that can be asked at that hook; C's are those that the others are held against.
fn toolkits(hook: Hook) -> Vec<Toolkit> {
    let filter = FilterName::ValidCommand;
    let is_there = |toolkit: &Toolkit| Combination { filter, toolkit: *toolkit, hook }.available().is_ok();
    Toolkit::ALL.into_iter().filter(|toolkit| toolkit.can_be_asked() && is_there(toolkit)).collect()
}

/// Quotients of each pair of toolkits: more at xdp, where a filter takes so few nanoseconds that where the kernel puts it in memory makes
/// a tenth of them.
const fn repetitions(hook: Hook) -> usize {
    if matches!(hook, Hook::Xdp) { 100 } else { 25 }
}

/// Datagrams in a batch at reuseport.
const DATAGRAMS: u64 = 1_000;

/// Programs before those that are measured: each takes 64 bytes or more, of which a page has as many.
const MOST_FILLERS: usize = 64;

/// Batches of each program in a repetition, the programs in turn.
const BATCHES: usize = 40;

/// In so many turns each program at xdp gets its batches, while the kernel's dispatcher for XDP has it alone.
///
/// A test run puts a program there and takes it away again (net/bpf/test_run.c, `bpf_prog_change_xdp`), for which the
/// system call takes milliseconds on and off, unless it is there already because a device has it. The dispatcher looks for
/// a program by halving (arch/x86/net/bpf_jit_comp.c, `emit_bpf_dispatcher`): where several are there, the same program
/// costs up to 2 ns more or less by its address.
const XDP_TURNS: usize = 4;

/// Of these the fastest count, by their mean: a run takes the same whenever nobody disturbs it, and whatever disturbs it
/// makes it longer.
const UNDISTURBED: usize = 8;

/// Runs in a batch, so many that the system call around them takes less than 0.1 ns of each, and so few that many batches
/// lie between two disturbances.
const RUNS: u32 = 20_000;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PORT: u16 = 12_345;
/// Whose packets are decided.
pub(super) const SERVER: (Ipv4Addr, u16) = (ADDRESS, PORT);

/// As long as the shortest command's word, and none.
const SHORT: &[u8] = b"BAD";

/// `valid-command` on valid and on invalid packets, at each hook.
pub(super) fn measure(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let bad = weir_lab::filter_cost::bad();
    let packets = [("a PUT", &put[..]), ("an invalid packet", &bad), ("an invalid packet of 3 bytes", SHORT)];
    let mut figures = Vec::new();
    for hook in hooks() {
        // So that a program at xdp can be attached where it is kept.
        let super_packets = SuperPackets::Pass;
        let site = Site { super_packets, ..Site::new(hook, (ADDRESS, PORT).into()) };
        for (packet, payload) in packets {
            let repetitions = repeat(hook, || Pairs::load(&site, &toolkits(hook)), payload, runner)?;
            figures.extend(figures_of(hook, packet, &repetitions));
        }
    }
    figures.push(telling(&put, runner)?);
    Ok(figures)
}

/// What it costs a program for generic XDP to read whether a packet is several datagrams.
fn telling(payload: &[u8], runner: &mut Runner<'_>) -> anyhow::Result<PromisedFigure> {
    // So that the one that can't tell can be attached where it is kept.
    let super_packets = SuperPackets::Pass;
    let site = Site { super_packets, ..Site::new(Hook::Xdp, (ADDRESS, PORT).into()) };
    let sites = [None, gso_layout(Hook::Xdp).ok()].map(|gso| Site { gso, ..site });
    let ns = match sites {
        [_, Site { gso: None, .. }] => Vec::new(),
        _ => {
            let load = |site| KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Fun, site);
            let pairs =
                || Ok(Pairs::of(vec![(Toolkit::Fun, [load(&sites[0])?, load(&sites[1])?])], Hook::Xdp));
            of(Toolkit::Fun, &repeat(Hook::Xdp, pairs, payload, runner)?)
        }
    };
    let name = "telling GSO packets in generic xdp, valid-command by fun on a PUT";
    Ok(PromisedFigure::new(name, "ns", ns, Bound::Nothing))
}

/// What the filter's run takes longer than the accept-all program's, ns, for each toolkit, or whatever the pairs differ in.
pub(super) type Costs<T = Toolkit> = Vec<(T, f64)>;

/// With programs loaded anew in each repetition, behind some that nobody runs: how fast one is depends also on where in memory the kernel
/// puts it, which is the same place again where nothing has changed.
pub(super) fn repeat<T: Copy + Send + Sync>(
    hook: Hook,
    load: impl Fn() -> anyhow::Result<Pairs<T>>,
    payload: &[u8],
    runner: &mut Runner<'_>,
) -> anyhow::Result<Vec<Costs<T>>> {
    let repetitions = repetitions(hook);
    (runner.say)(&format!("{repetitions} times programs at {hook}"));
    let mut random = rand::rng();
    let filler = || KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &Site::socket());
    let mut repetition = || {
        let fillers = (0..random.random_range(..MOST_FILLERS)).map(|_| filler());
        let fillers = fillers.collect::<Result<Vec<_>, _>>()?;
        runner.interrupt.check()?;
        let costs = load()?.cost(payload);
        drop(fillers);
        costs
    };
    (0..repetitions).map(|_| repetition()).collect()
}

/// A toolkit's; none where this build hasn't got it.
pub(super) fn of<T: Copy + PartialEq>(toolkit: T, repetitions: &[Costs<T>]) -> Vec<f64> {
    let cost = |costs: &Costs<T>| costs.iter().find(|(one, _)| *one == toolkit).map(|(_, cost)| *cost);
    repetitions.iter().filter_map(cost).collect()
}

/// The quotients, and what they are of; where this build has no C, the quotients have no values.
fn figures_of(hook: Hook, packet: &str, repetitions: &[Costs]) -> Vec<PromisedFigure> {
    let c = of(Toolkit::C, repetitions);
    let mut figures = Vec::new();
    for toolkit in toolkits(hook).into_iter().filter(|toolkit| *toolkit != Toolkit::C) {
        let quotients = of(toolkit, repetitions).iter().zip(&c).map(|(ours, c)| ours / c).collect();
        figures.extend(figures! {
            format!("valid-command at {hook} on {packet}, ns over an accept-all program, {toolkit} ÷ c"), "":
                quotients => Bound::IntervalAtMost(1.1);
        });
    }
    figures.push(PromisedFigure::new("  of which c takes", "ns", c, Bound::Nothing));
    figures
}

/// The filter and the accept-all program of each toolkit, at a hook.
pub(super) struct Pairs<T = Toolkit> {
    pairs: Vec<(T, [KernelFilter; 2])>,
    hook: Hook,
}

impl Pairs {
    /// Of those toolkits that this build has.
    pub(super) fn load(site: &Site, toolkits: &[Toolkit]) -> anyhow::Result<Self> {
        let hook = site.hook;
        let here = |filter, toolkit| available(Combination { filter, toolkit, hook });
        let is_here = |toolkit: &Toolkit| here(FilterName::ValidCommand, *toolkit).is_ok();
        let pair = |toolkit| -> anyhow::Result<_> {
            let load = |name: FilterName| KernelFilter::load(name.into(), toolkit, site);
            Ok((toolkit, [load(FilterName::Simple)?, load(FilterName::ValidCommand)?]))
        };
        let mut toolkits: Vec<_> = toolkits.iter().copied().filter(is_here).collect();
        // Who is loaded first, and runs first, takes a twentieth more or less at xdp.
        toolkits.shuffle(&mut rand::rng());
        Ok(Pairs { pairs: toolkits.into_iter().map(pair).collect::<anyhow::Result<_>>()?, hook })
    }
}

impl<T: Copy + Send + Sync> Pairs<T> {
    /// Of these programs at that hook.
    pub(super) const fn of(pairs: Vec<(T, [KernelFilter; 2])>, hook: Hook) -> Self {
        Self { pairs, hook }
    }

    fn cost(&self, payload: &[u8]) -> anyhow::Result<Costs<T>> {
        let seen = frame(self.hook.layer(), payload);
        let test_run = |program: &KernelFilter| test_run(program, &seen);
        match self.hook {
            Hook::Xdp => in_own_network(|| {
                let loopback = Interface::named("lo").context("looking for the loopback device")?;
                let keep = |program: &KernelFilter| program.attach(Target::Xdp(&loopback, XdpMode::Generic));
                self.in_turns(XDP_TURNS, |program| Ok(Some(keep(program)?)), test_run)
            })?,
            Hook::Reuseport => {
                let group = ReuseportGroup::new()?;
                let keep = |program: &KernelFilter| program.attach(Target::Reuseport(group.socket.as_fd()));
                self.in_turns(
                    BATCHES,
                    |program| Ok(Some(keep(program)?)),
                    |program| group.run(program, payload),
                )
            }
            _ => self.in_turns(BATCHES, |_| Ok(None), test_run),
        }
    }

    /// From batches of all programs in so many turns, so that what drifts meets all of them: `batch` gives the mean of a
    /// batch, ns a run. `keep` is asked before a program's turn, and what it gives is kept for so long.
    fn in_turns(
        &self,
        turns: usize,
        keep: impl Fn(&KernelFilter) -> anyhow::Result<Option<Attached>>,
        batch: impl Fn(&KernelFilter) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Costs<T>> {
        let mut batches = vec![[const { Vec::new() }; 2]; self.pairs.len()];
        for _ in 0..turns {
            for ((_, programs), batches) in self.pairs.iter().zip(&mut batches) {
                for (program, batches) in programs.iter().zip(batches) {
                    let _kept = keep(program)?;
                    for _ in 0..BATCHES / turns {
                        batches.push(batch(program)?);
                    }
                }
            }
        }
        let undisturbed = |mut batches: Vec<f64>| {
            batches.sort_unstable_by(f64::total_cmp);
            let fastest = &batches[..UNDISTURBED];
            fastest.iter().sum::<f64>() / fastest.len() as f64
        };
        let over_accept_all = |batches: [Vec<f64>; 2]| {
            let [accept_all, filter] = batches.map(undisturbed);
            filter - accept_all
        };
        let costs = self.pairs.iter().zip(batches);
        Ok(costs.map(|((toolkit, _), batches)| (*toolkit, over_accept_all(batches))).collect())
    }
}

/// The mean of a batch of test runs, ns, by the clock around the system call: what the kernel tells is the mean in whole
/// nanoseconds, of which a filter takes few.
fn test_run(program: &KernelFilter, seen: &[u8]) -> anyhow::Result<f64> {
    let started = Instant::now();
    program.time(seen, 1, RUNS)?;
    Ok(started.elapsed().as_nanos() as f64 / f64::from(RUNS))
}

/// A socket that shares its port, for the one hook whose programs have no test runs: they run on datagrams that are sent to
/// it. It receives none, and is full soon, which is after the program.
struct ReuseportGroup {
    socket: Socket,
    address: SocketAddr,
    sender: UdpSocket,
    _statistics: Statistics,
}

impl ReuseportGroup {
    fn new() -> anyhow::Result<Self> {
        let open = || -> std::io::Result<_> {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
            socket.set_reuse_port(true)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            let address = socket.local_addr()?.as_socket().expect("it is of IPv4");
            // It isn't connected, so that it is told of no packet that was dropped.
            Ok((socket, address, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?))
        };
        let (socket, address, sender) = open().context("opening two sockets on loopback")?;
        Ok(Self { socket, address, sender, _statistics: Statistics::enable()? })
    }

    /// The mean of a batch of datagrams, ns, by the kernel's statistics (`run_time_ns` ÷ `run_cnt`).
    fn run(&self, program: &KernelFilter, payload: &[u8]) -> anyhow::Result<f64> {
        let before = program.runs()?;
        for _ in 0..DATAGRAMS {
            self.sender.send_to(payload, self.address).context("sending over loopback")?;
        }
        let after = program.runs()?;
        let runs = after.count - before.count;
        ensure!(
            runs == DATAGRAMS,
            "{DATAGRAMS} datagrams were sent, and the program at reuseport ran {runs} times"
        );
        Ok((after.time_ns - before.time_ns) as f64 / runs as f64)
    }
}

/// The packet with that payload to our server, from that layer's header on.
pub(super) fn frame(layer: Layer, payload: &[u8]) -> Vec<u8> {
    let mut packet = weir_lab::filter_cost::packet(payload);
    packet[udp::DESTINATION_OFFSET..][..2].copy_from_slice(&PORT.to_be_bytes());
    if layer == Layer::Udp {
        return packet;
    }
    let packet = [&ip_header(packet.len())[..], &packet].concat();
    if layer == Layer::Ip {
        return packet;
    }
    let mut header = [0; ethernet::HEADER_LEN];
    header[ethernet::TYPE_OFFSET..][..2].copy_from_slice(&ethernet::IPV4.to_be_bytes());
    [&header[..], &packet].concat()
}

fn ip_header(payload_len: usize) -> [u8; ipv4::MIN_HEADER_LEN] {
    let mut header = [0; ipv4::MIN_HEADER_LEN];
    let length = (header.len() + payload_len) as u16;
    header[ipv4::VERSION_OFFSET] = 4 << 4 | (ipv4::MIN_HEADER_LEN / 4) as u8;
    header[ipv4::TOTAL_LENGTH_OFFSET..][..2].copy_from_slice(&length.to_be_bytes());
    header[ipv4::PROTOCOL_OFFSET] = headers::UDP;
    header[ipv4::DESTINATION_OFFSET..][..4].copy_from_slice(&ADDRESS.octets());
    header
}

#[cfg(test)]
mod tests {
    use weir_filters::{Filter, Verdict};

    use super::*;

    fn check(payload: &[u8], expected: Verdict) {
        for hook in hooks() {
            let site = Site::new(hook, (ADDRESS, PORT).into());
            let seen = frame(hook.layer(), payload);
            assert!(matches!(site.find(&seen, 1), weir_filters::Found::Packet(_)), "{hook}");
            assert_eq!(Filter::from(FilterName::ValidCommand).decide_at(&site, &seen, 1), expected, "{hook}");
        }
    }

    #[test]
    fn the_packets_are_the_servers_at_every_hook() {
        check(&Request::Put { key: 10, value: 1 }.to_bytes(), Verdict::Accept);
        check(&weir_lab::filter_cost::bad(), Verdict::Drop);
        check(SHORT, Verdict::Drop);
    }
}
