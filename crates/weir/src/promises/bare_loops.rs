//! Client and server without a ledger: two loops of the system calls that a run of simple sends and reads makes, which
//! count nothing, with a filter that counts nothing.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use weir_asm::{Endian, Object, text};
use weir_hooks::{KernelFilter, ObjectFile};
use weir_lab::experiment::machine::Pinning;
use weir_service::client::{Payload, Step};
use weir_wire::Request;

/// `valid-command` without its counts.
const FILTER: &str = include_str!("uncounted.asm");

/// As the server's buffer for one datagram.
const BUFFER_LEN: usize = 1 << 16;

/// Time that the receiver has to see the end, which is sent until it does.
const END_WITHIN: Duration = Duration::from_secs(5);
const END_AGAIN: Duration = Duration::from_millis(1);

/// Packets/s that leave where nobody counts: the bursts of `steps`, one packet a send(2), over loopback, through the
/// filter without counts, to a thread that reads one a recvfrom(2).
///
/// Both loops know when to end, which a client and a server have to know too, and nothing else.
pub(super) fn rate(steps: &[Step], pinning: &Pinning) -> anyhow::Result<f64> {
    let bursts: Vec<_> = steps.iter().flat_map(bursts).collect();
    let packets: u64 = bursts.iter().map(|(_, count)| count).sum();
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    sender.connect(receiver.local_addr()?).context("connecting to a UDP socket on 127.0.0.1")?;
    let filter = uncounted_filter()?;
    let _attached = filter.attach(&receiver)?;
    thread::scope(|scope| {
        let receiving = scope.spawn(|| pin(&pinning.server).and_then(|()| receive(&receiver)));
        let sending = scope.spawn(|| pin(&pinning.clients).and_then(|()| send(&sender, &bursts)));
        let sent = sending.join().expect("the sender does not panic");
        end(&sender, &receiving)?;
        receiving
            .join()
            .expect("the receiver does not panic")
            .context("receiving in the loop without counts")?;
        let taken = sent.context("sending in the loop without counts")?;
        Ok(packets as f64 / taken.as_secs_f64())
    })
}

/// The filter that decides as `valid-command` does and counts nothing, loaded.
///
/// # Errors
/// What the kernel says to loading it.
pub fn uncounted_filter() -> anyhow::Result<KernelFilter> {
    let endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
    let object = ObjectFile::read("uncounted.asm", assembled().to_elf(endian)?)?;
    Ok(KernelFilter::load_file(&object, "valid_command", None)?)
}

fn assembled() -> Object {
    text::assemble("uncounted.asm", FILTER.as_bytes()).expect("it is constant, and a test assembles it")
}

/// Payloads, and how often each is sent: as weir's client does it without a seed.
fn bursts(step: &Step) -> Vec<(Vec<u8>, u64)> {
    let bytes = |(payload, count): (Payload, u64)| (payload.bytes(), count);
    match step {
        Step::Burst { payload, count } => vec![bytes((*payload, *count))],
        Step::Mixed(mixed) => mixed.bursts(0).map(bytes).collect(),
        _ => Vec::new(),
    }
}

fn send(socket: &UdpSocket, bursts: &[(Vec<u8>, u64)]) -> io::Result<Duration> {
    let started = Instant::now();
    for (payload, count) in bursts {
        for _ in 0..*count {
            socket.send(payload)?;
        }
    }
    Ok(started.elapsed())
}

fn receive(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_LEN];
    let end = Request::Stop.to_bytes();
    loop {
        let (len, _) = socket.recv_from(&mut buffer)?;
        if buffer[..len] == *end {
            return Ok(());
        }
    }
}

/// Tells the receiver to end, until it did: a full buffer loses what tells it.
fn end(sender: &UdpSocket, receiving: &ScopedJoinHandle<'_, io::Result<()>>) -> anyhow::Result<()> {
    let end = Request::Stop.to_bytes();
    let deadline = Instant::now() + END_WITHIN;
    while !receiving.is_finished() {
        if Instant::now() > deadline {
            bail!("the loop without counts didn't see its end within {END_WITHIN:?}");
        }
        // A receiver that failed is seen when it is joined.
        let _ = sender.send(&end);
        thread::sleep(END_AGAIN);
    }
    Ok(())
}

/// Confines this thread to `cores`; empty for any.
pub(super) fn pin(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cores.iter().try_for_each(|&core| set.set(core))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_has_nowhere_to_count() {
        assert_eq!(assembled().maps, []);
    }
}
