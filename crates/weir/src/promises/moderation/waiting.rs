//! How long a request waits for its answer: alone, one after the other, and among 50 000 a second.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use weir_service::{
    Io,
    client::{self, Behaviour, ClientConfig, Pacing, PacketsPerSecond, Percent, Workload},
};
use weir_wire::Request;

use super::compare;
use crate::promises::{Bound, PromisedFigure, Runner, bare_loops};

/// Requests of each run that is timed one by one.
const ALONE: usize = 2000;
const IN_TURN: usize = 20_000;

/// Between a reply and the next lone request.
const IDLE: Duration = Duration::from_micros(200);

const RATE: f64 = 50_000.0;
const AT_RATE: u64 = 50_000;
const GETS: Percent = Percent::new(10).expect("it is below 100");

const KEY: u32 = 10;
const REPLY_WITHIN: Duration = Duration::from_secs(1);

/// Of a run, µs.
struct Waits {
    alone: Quantiles,
    in_turn: Quantiles,
    at_rate: Quantiles,
}

struct Quantiles {
    p50: f64,
    p99: f64,
}

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let waits = compare(runs, runner, "requests timed", &[], |served, runner| {
        let server = served.server.address;
        let cores = &runner.pinning.clients;
        let waits = Waits {
            alone: one_by_one(server, cores, ALONE, IDLE)?,
            in_turn: one_by_one(server, cores, IN_TURN, Duration::ZERO)?,
            at_rate: at_rate(server, cores)?,
        };
        served.end()?;
        Ok(waits)
    })?;
    let ratio = |of: fn(&Waits) -> f64| waits.iter().map(|[off, auto]| of(auto) / of(off)).collect();
    let less = |of: fn(&Waits) -> f64| waits.iter().map(|[off, auto]| of(auto) - of(off)).collect();
    let off = |of: fn(&Waits) -> f64| waits.iter().map(|[off, _]| of(off)).collect();
    Ok(figures! {
        "latency of a lone GET, p50, moderated ÷ off", "":
            ratio(|waits| waits.alone.p50) => Bound::NotShownAbove(1.05);
        "  off", "µs": off(|waits| waits.alone.p50);
        "  p99, moderated ÷ off", "": ratio(|waits| waits.alone.p99);
        "latency of GETs one after the other, p50, moderated ÷ off", "":
            ratio(|waits| waits.in_turn.p50) => Bound::NotShownAbove(1.05);
        "  p99, moderated ÷ off", "": ratio(|waits| waits.in_turn.p99);
        "latency of a GET among 50 000 requests/s, p99, moderated less off", "µs":
            less(|waits| waits.at_rate.p99) => Bound::AtMost(150.0);
        "  off", "µs": off(|waits| waits.at_rate.p99);
        "  p50, moderated less off", "µs": less(|waits| waits.at_rate.p50);
    })
}

/// GETs that each wait for the last one's reply, and then for `idle`.
fn one_by_one(
    server: SocketAddr,
    cores: &[usize],
    requests: usize,
    idle: Duration,
) -> anyhow::Result<Quantiles> {
    let ask = || -> anyhow::Result<Quantiles> {
        bare_loops::pin(cores)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(REPLY_WITHIN))?;
        socket.send(&Request::Put { key: KEY, value: 1 }.to_bytes())?;
        let get = Request::Get { key: KEY }.to_bytes();
        let mut times = Vec::with_capacity(requests);
        for _ in 0..requests {
            if !idle.is_zero() {
                thread::sleep(idle);
            }
            let asked = Instant::now();
            socket.send(&get)?;
            socket.recv(&mut [0; 64]).context("waiting for the reply to a GET")?;
            times.push(asked.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Ok(Quantiles { p50: at(0.5), p99: at(0.99) })
    };
    // Only a thread of its own can be confined and let go again.
    thread::scope(|scope| scope.spawn(ask).join().expect("it does not panic"))
}

/// An open loop, each GET timed from the moment that it was due.
fn at_rate(server: SocketAddr, cores: &[usize]) -> anyhow::Result<Quantiles> {
    let behaviour: &Behaviour = "load".parse().map_err(anyhow::Error::msg)?;
    let workload = Workload { packets: AT_RATE, get_share: GETS, ..Workload::default() };
    let config = ClientConfig {
        io: Io::Simple,
        pacing: PacketsPerSecond::new(RATE).map(Pacing::new),
        pin: cores.to_vec(),
        ..ClientConfig::new(server)
    };
    let summary = client::run(behaviour.name, &behaviour.steps(&workload), &config, &mut |_| ())?;
    let Some(latency) = summary.replies.and_then(|replies| replies.latency) else {
        bail!("no GET of the load was answered");
    };
    let us = |ns: u64| ns as f64 / 1e3;
    Ok(Quantiles { p50: us(latency.p50_ns), p99: us(latency.p99_ns) })
}
