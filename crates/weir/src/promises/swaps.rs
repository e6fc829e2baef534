//! Whether a request is lost while the filter that judges it is replaced by another.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use weir_filters::{FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Interface, KernelFilter, Owners, in_own_network};
use weir_wire::Request;

use super::{Bound, PromisedFigure};

const HOOKS: [Hook; 3] = [Hook::Socket, Hook::Tc, Hook::Xdp];

/// Swaps of a repetition.
pub(super) const SWAPS: usize = 100;

/// Requests that go by between a swap and the next, at least.
const BETWEEN: u64 = 20;

/// Time for those, after which nothing comes any more.
const BETWEEN_WITHIN: Duration = Duration::from_secs(5);

/// Time after which a request that didn't come is lost.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// Where requests are sent one by one to a socket whose filter is swapped, at each hook, in a network namespace of its
/// own: a socket's buffer never runs full, so that what doesn't come was dropped by the swap.
pub(super) fn measure(repetitions: u32) -> anyhow::Result<Vec<PromisedFigure>> {
    let mut figures = Vec::new();
    for hook in HOOKS {
        let swap = move || (0..repetitions).map(|_| swap(hook)).collect::<anyhow::Result<Vec<_>>>();
        let counted = in_own_network(swap).context("making a network namespace, which needs root")??;
        let lost = counted.iter().map(|counted| (counted.sent - counted.came) as f64).collect();
        let sent = counted.iter().map(|counted| counted.sent as f64).collect();
        figures.extend(figures! {
            format!("requests lost over {SWAPS} swaps of valid-command by fun and by aya, at {hook}"), "":
                lost => Bound::Always(0.0);
            "  of so many", "": sent;
        });
    }
    Ok(figures)
}

/// Requests that were sent, and that came.
pub(super) struct Counted {
    pub(super) sent: u64,
    pub(super) came: u64,
}

fn swap(hook: Hook) -> anyhow::Result<Counted> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    let server = receiver.local_addr()?;
    // What is sent one by one is no super-packet, which programs on this interface could not see.
    let site = Site { super_packets: SuperPackets::Pass, ..Site::new(hook, server) };
    let load = |toolkit| KernelFilter::load(FilterName::ValidCommand.into(), toolkit, &site);
    let filters = [load(Toolkit::Fun)?, load(Toolkit::Aya)?];
    let loopback = Interface::named("lo")?;
    let owners = Owners { socket: Some(receiver.as_fd()), interface: Some(&loopback), ..Owners::default() };
    let attached = filters[0].attach_to(owners)?;
    under_traffic(&receiver, |swap| Ok(attached.replace(&filters[swap % 2])?))
}

/// Changes something again and again while requests come to a socket, some between any two changes.
pub(super) fn under_traffic(
    receiver: &UdpSocket,
    mut change: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Counted> {
    receiver.set_read_timeout(Some(LOST_AFTER))?;
    let server = receiver.local_addr()?;
    let (is_over, came) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let traffic = scope.spawn(|| traffic(receiver, server, &is_over, &came));
        let swapped = (1..=SWAPS).try_for_each(|swap| {
            change(swap)?;
            wait_for(&came, || traffic.is_finished())
        });
        is_over.store(true, Ordering::Release);
        let sent = traffic.join().expect("the sender does not panic").context("sending to 127.0.0.1")?;
        swapped?;
        Ok(Counted { sent, came: came.load(Ordering::Acquire) })
    })
}

/// Sends requests and takes each before the next, until it is over; how many were sent.
fn traffic(
    receiver: &UdpSocket,
    server: SocketAddr,
    is_over: &AtomicBool,
    came: &AtomicU64,
) -> io::Result<u64> {
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sender.connect(server)?;
    let request = Request::Put { key: 10, value: 1 }.to_bytes();
    let mut buffer = vec![0; request.len() + 1];
    let mut sent = 0;
    while !is_over.load(Ordering::Acquire) {
        sender.send(&request)?;
        sent += 1;
        match receiver.recv(&mut buffer) {
            Ok(len) => came.fetch_add(u64::from(buffer[..len] == *request), Ordering::Release),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
    }
    Ok(sent)
}

/// Waits until some more requests came.
fn wait_for(came: &AtomicU64, is_finished: impl Fn() -> bool) -> anyhow::Result<()> {
    let enough = came.load(Ordering::Acquire) + BETWEEN;
    let deadline = Instant::now() + BETWEEN_WITHIN;
    while came.load(Ordering::Acquire) < enough && !is_finished() {
        if Instant::now() > deadline {
            bail!("fewer than {BETWEEN} requests came within {BETWEEN_WITHIN:?} after a swap");
        }
        thread::yield_now();
    }
    Ok(())
}
