//! Whether a request is lost, or a packet not judged, while a guard that stands before a service changes.

use std::{
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use weir_guard::meaning::Service;
use weir_hooks::in_own_network;
use weir_service::guarding::{Changed, GuardedService};

use super::{
    Bound, PromisedFigure, Runner,
    guard::read,
    swaps::{Counted, SWAPS, under_traffic},
};

const HOOKS: [&str; 4] = ["socket", "cgroup", "tc", "xdp"];

/// What is changed.
#[derive(Clone, Copy)]
enum Change {
    Rules,
    Mode,
    Lists,
    /// All of it is taken off, and stands there again.
    Place,
}

const CHANGES: [(Change, &str); 4] = [
    (Change::Rules, "rules change"),
    (Change::Mode, "enforce and observe in turn"),
    (Change::Lists, "lists change"),
    (Change::Place, "it is taken off and stands there again"),
];

/// In a network namespace of its own, at each hook.
pub(super) fn measure(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let mut figures = Vec::new();
    for hook in HOOKS {
        for (change, what) in CHANGES {
            (runner.say)(&format!("a guard at {hook}: {what}, {SWAPS} times"));
            runner.interrupt.check()?;
            let changed = in_own_network(move || changed(hook, change));
            let (Counted { sent, came }, undecided) =
                changed.context("making a network namespace, which needs root")??;
            figures.extend(figures! {
                format!("good requests lost while a guard stands at {hook}, and {what}, {SWAPS} times"), "":
                    vec![(sent - came) as f64] => Bound::Always(0.0);
                "  of so many", "": vec![sent as f64];
            });
            if let Some(undecided) = undecided {
                figures.extend(figures! {
                    "  of which it didn't judge", "": vec![undecided as f64] => Bound::Always(0.0);
                });
            }
        }
    }
    Ok(figures)
}

/// Requests, and how many of them nothing judged; of that nothing is said where the guard is off in between.
fn changed(hook: &str, change: Change) -> anyhow::Result<(Counted, Option<u64>)> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    let port = receiver.local_addr()?.port();
    let services = match change {
        Change::Rules => [
            service(hook, port, "enforce", "", "192.0.2.0/24")?,
            service(hook, port, "enforce", ", \"delete\"", "192.0.2.0/24")?,
        ],
        Change::Mode => [
            service(hook, port, "enforce", "", "192.0.2.0/24")?,
            service(hook, port, "observe", "", "192.0.2.0/24")?,
        ],
        Change::Lists | Change::Place => [
            service(hook, port, "enforce", "", "192.0.2.0/24")?,
            service(hook, port, "enforce", "", "198.51.100.0/24")?,
        ],
    };
    let mut guarded = Some(begin(&services[0])?);
    let counted = under_traffic(&receiver, |turn| {
        let service = &services[turn % 2];
        if matches!(change, Change::Place) {
            end(guarded.take())?;
            guarded = Some(begin(service)?);
            return Ok(());
        }
        let expected = if matches!(change, Change::Lists) { Changed::Lists } else { Changed::Program };
        let changed = guarded.as_mut().context("it stands there")?.change(service)?;
        ensure!(changed == expected, "a change came to {changed:?}, and not to {expected:?}");
        Ok(())
    })?;
    let judged = end(guarded)?;
    let undecided = (!matches!(change, Change::Place)).then(|| counted.sent.abs_diff(judged));
    Ok((counted, undecided))
}

fn service(hook: &str, port: u16, mode: &str, more: &str, blocked: &str) -> anyhow::Result<Arc<Service>> {
    let text = format!(
        "[[service]]\nname = \"bag\"\nlisten = \"udp/{port}\"\nat = \"{hook}\"\nmode = \"{mode}\"\nprotocol = \"bag\"\n\
         accept = [\"put\", \"get\"{more}]\nblock = [\"{blocked}\"]\n"
    );
    Ok(Arc::new(read(&text, Path::new(""))?))
}

fn begin(service: &Arc<Service>) -> anyhow::Result<GuardedService> {
    let mut guarded = GuardedService::start(service, None)?;
    guarded.look().1?;
    Ok(guarded)
}

/// Packets that it judged.
fn end(guarded: Option<GuardedService>) -> anyhow::Result<u64> {
    let (decisions, staying) = guarded.context("it stands there")?.end()?;
    ensure!(staying.is_empty(), "the program stays attached: {staying:?}");
    Ok(decisions.verdicts.accepted + decisions.verdicts.dropped)
}
