//! How soon a server ends that is told to while it naps: by STOP, and by SIGTERM.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use weir_wire::Request;

use super::compare;
use crate::promises::{Bound, PromisedFigure, Runner, bare_loops, serving::ServedCell};

/// Servers of each kind that are ended in a run.
const TIMES: u32 = 5;

/// One packet in so much time is a rate at which reading is moderated.
const EACH: Duration = Duration::from_micros(8);

/// What is sent before a server is told to end, and the time that it has for that.
const BEFORE: u32 = 5000;
const WITHIN: Duration = Duration::from_secs(5);

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let mut figures = Vec::new();
    for (name, end) in
        [("STOP", stop as fn(&UdpSocket, &ServedCell) -> io::Result<()>), ("SIGTERM", terminate)]
    {
        let times = compare(TIMES * runs, runner, &format!("ended by {name}"), &[], |served, runner| {
            let taken = thread::scope(|scope| {
                let ending = scope.spawn(|| ends_in(&served, &runner.pinning.clients, end));
                ending.join().expect("it does not panic")
            })?;
            served.end()?;
            Ok(taken.as_secs_f64() * 1e3)
        })?;
        let less = times.iter().map(|[off, auto]| auto - off).collect();
        let off = times.iter().map(|[off, _]| *off).collect();
        figures.extend(figures! {
            format!("{name} under load to the socket's end, moderated less off"), "ms":
                less => Bound::AtMost(1.0);
            "  off", "ms": off;
        });
    }
    Ok(figures)
}

/// Sends at the rate, then tells the server to end and goes on until nobody listens any more.
fn ends_in(
    served: &ServedCell,
    cores: &[usize],
    end: fn(&UdpSocket, &ServedCell) -> io::Result<()>,
) -> anyhow::Result<Duration> {
    bare_loops::pin(cores)?;
    let socket = connected(served.server.address)?;
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let mut due = Instant::now();
    let mut send = || {
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        due += EACH;
        socket.send(&put)
    };
    for _ in 0..BEFORE {
        send().context("sending to a server that is to be ended")?;
    }
    let told = Instant::now();
    end(&socket, served)?;
    loop {
        let sent = send();
        let taken = told.elapsed();
        match sent {
            // ICMP says that the port is closed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(taken),
            Err(error) => return Err(error).context("sending to a server that is being ended"),
            Ok(_) if taken > WITHIN => bail!("a server that was told to end listened on for {WITHIN:?}"),
            Ok(_) => {}
        }
    }
}

fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    Ok(socket)
}

fn stop(socket: &UdpSocket, _: &ServedCell) -> io::Result<()> {
    socket.send(&Request::Stop.to_bytes()).map(drop)
}

fn terminate(_: &UdpSocket, served: &ServedCell) -> io::Result<()> {
    served.server.process.terminate();
    Ok(())
}
