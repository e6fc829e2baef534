//! What guards cost: in the kernel, against filters that were written by hand; and to be read.

use std::{fmt::Write as _, path::Path, sync::Arc, time::Instant};

use anyhow::Context as _;
use rand::seq::SliceRandom as _;
use weir_asm::Endian;
use weir_filters::{FilterName, Hook, Site, SuperPackets, Toolkit, fun::service::service_object};
use weir_guard::{meaning::Service, text};
use weir_hooks::{KernelFilter, object_in_c};
use weir_wire::Request;

use super::{
    Bound, PromisedFigure, Runner,
    places::{self, Pairs},
};
use crate::guards::Neighbours;

/// Decides as `valid-command`.
const BAG: &str = r#"[[service]]
name = "bag"
listen = "udp/12345"
mode = "enforce"
protocol = "bag"
accept = ["put", "get", "delete", "stop"]
"#;

/// Decides as `bpf/c/dns-guard.bpf.c`, to which a test of weir-hooks holds it.
const DNS: &str = include_str!("../../../../bpf/c/dns-guard.toml");

/// How often a long guard is read.
const READINGS: usize = 10;

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Author {
    /// Somebody who knows the filter.
    Hand,
    /// The language.
    Guard,
}

pub(super) fn measure(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let mut figures = bag(runner)?;
    figures.extend(dns(runner)?);
    figures.push(many_messages(runner)?);
    figures.extend(reading()?);
    figures.extend(super::guard_lists::measure()?);
    figures.extend(super::guard_changes::measure(runner)?);
    Ok(figures)
}

/// A filter that reads the first bytes.
fn bag(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let bad = weir_lab::filter_cost::bad();
    let bag = service(BAG)?;
    let mut figures = Vec::new();
    // The kernel runs no program for reuseport on bytes: there datagrams are sent.
    for hook in places::hooks().chain([Hook::Reuseport]) {
        let site = site(hook);
        let by_hand = || Ok(KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Fun, &site)?);
        for (packet, payload) in [("a PUT", &put[..]), ("an invalid packet", &bad)] {
            let [hand, quotients] = against(by_hand, || program(&bag, &site), &site, payload, runner)?;
            figures.extend(figures! {
                format!("bag as a guard at {hook} on {packet}, ns over an accept-all program, ÷ by hand"), "":
                    quotients => Bound::IntervalAtMost(1.1);
                "  of which by hand takes", "ns": hand;
            });
        }
    }
    // What the measure itself makes of two programs that are the same, where they take the fewest nanoseconds.
    let site = site(Hook::Xdp);
    let by_hand = || Ok(KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Fun, &site)?);
    let [_, quotients] = against(by_hand, by_hand, &site, &put, runner)?;
    figures.extend(figures! {
        "bag by hand at xdp on a PUT, loaded again, ÷ the same", "": quotients;
    });
    Ok(figures)
}

/// One that walks a name; where this build has no C, without values.
fn dns(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let dns = service(DNS)?;
    let bad = weir_lab::filter_cost::bad();
    // As long as three of the names, of which it differs at the end.
    let [ours, another] = ["org", "dev"].map(|last| query(&["www", "example", last]));
    let packets =
        [("a query under one", &ours[..]), ("a query under none", &another), ("an invalid packet", &bad)];
    let mut figures = Vec::new();
    for hook in [Hook::Socket, Hook::Tc, Hook::Xdp] {
        let site = site(hook);
        for (packet, payload) in packets {
            let [hand, quotients] = match object_in_c("dns-guard") {
                Ok(object) => {
                    let name = format!("{hook}_dns_guard");
                    let load =
                        || Ok(KernelFilter::load_from(FilterName::Simple.into(), object, &name, &site)?);
                    against(load, || program(&dns, &site), &site, payload, runner)?
                }
                Err(_) => Default::default(),
            };
            figures.extend(figures! {
                format!("dns as a guard (query, 10 names by suffix) at {hook} on {packet}, ÷ by hand in C at -O2"), "":
                    quotients => Bound::IntervalAtMost(1.2);
                "  of which by hand takes", "ns": hand;
            });
        }
    }
    Ok(figures)
}

/// What the program by hand takes over an accept-all program on that payload, ns; and the guard's ÷ that.
fn against(
    by_hand: impl Fn() -> anyhow::Result<KernelFilter>,
    guard: impl Fn() -> anyhow::Result<KernelFilter>,
    site: &Site,
    payload: &[u8],
    runner: &mut Runner<'_>,
) -> anyhow::Result<[Vec<f64>; 2]> {
    let simple = || KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, site);
    let pairs = || {
        // Who is loaded first, and runs first, takes a twentieth more or less at xdp.
        let mut authors = [Author::Hand, Author::Guard];
        authors.shuffle(&mut rand::rng());
        let pair = |author| {
            let program = match author {
                Author::Hand => by_hand()?,
                Author::Guard => guard()?,
            };
            anyhow::Ok((author, [simple()?, program]))
        };
        let pairs = authors.into_iter().map(pair).collect::<anyhow::Result<_>>()?;
        Ok(Pairs::of(pairs, site.hook))
    };
    let repetitions = places::repeat(site.hook, pairs, payload, runner)?;
    let [hand, guard] = [Author::Hand, Author::Guard].map(|author| places::of(author, &repetitions));
    let quotients = guard.iter().zip(&hand).map(|(guard, hand)| guard / hand).collect();
    Ok([hand, quotients])
}

/// So that a program at xdp can be attached where it is kept, super-packets pass.
fn site(hook: Hook) -> Site {
    Site { super_packets: SuperPackets::Pass, ..Site::new(hook, places::SERVER.into()) }
}

/// For an address (A, IN), with recursion desired (RFC 1035, 4.1).
fn query(labels: &[&str]) -> Vec<u8> {
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// Messages that differ in one field: the last of them against one alone.
fn many_messages(runner: &mut Runner<'_>) -> anyhow::Result<PromisedFigure> {
    let site = Site::new(Hook::Socket, places::SERVER.into());
    let (one, many) = (letters(1)?, letters(200)?);
    let pairs = || {
        let simple = || KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site);
        let pairs = vec![(1, [simple()?, program(&one, &site)?]), (200, [simple()?, program(&many, &site)?])];
        Ok(Pairs::of(pairs, site.hook))
    };
    // The last of the many is none of the one.
    let repetitions = places::repeat(site.hook, pairs, &[199, 0, 0, 0], runner)?;
    let [one, many] = [1, 200].map(|messages| places::of(messages, &repetitions));
    let quotients = many.iter().zip(&one).map(|(many, one)| many / one);
    let name = "200 messages that differ in one field, ns over an accept-all program at socket, ÷ 1 message";
    Ok(PromisedFigure::new(name, "", quotients.collect(), Bound::AtMost(3.0)))
}

/// A guard of so many messages is read, with everything that is said of it; and the kernel asked about its program.
fn reading() -> anyhow::Result<Vec<PromisedFigure>> {
    let site = Site::new(Hook::Socket, places::SERVER.into());
    let (mut reading, mut loading) = (Vec::new(), Vec::new());
    for _ in 0..READINGS {
        let started = Instant::now();
        let service = Arc::new(letters(1000)?);
        reading.push(started.elapsed().as_secs_f64() * 1e3);
        KernelFilter::load_service(&service, &site)?;
        loading.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(figures! {
        "reading a guard of 1 000 messages", "ms": reading => Bound::AtMost(100.0);
        "  and having its program for a socket verified", "ms": loading;
    })
}

/// A service whose messages are told by the first two bytes.
fn letters(messages: usize) -> anyhow::Result<Service> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let mut protocol = "name = \"letters\"\n[fields]\nkind = \"u16 le @ 0\"\n".to_owned();
    for number in 0..messages {
        let _ = writeln!(protocol, "[[message]]\nname = \"m{number}\"\nwhen = \"kind == {number}\"");
    }
    std::fs::write(folder.path().join("letters.toml"), protocol).context("writing a protocol")?;
    let names: Vec<_> = (0..messages).map(|number| format!("\"m{number}\"")).collect();
    let guard = format!(
        "[[service]]\nname = \"letters\"\nlisten = \"udp/12345\"\nmode = \"enforce\"\nprotocol = \"./letters.toml\"\naccept = [{}]\n",
        names.join(", ")
    );
    read(&guard, &folder.path().join("guard.toml"))
}

fn service(guard: &str) -> anyhow::Result<Service> {
    read(guard, Path::new(""))
}

/// The guard's one service; files beside `path` are those that it names.
pub(super) fn read(guard: &str, path: &Path) -> anyhow::Result<Service> {
    let reading = text::guard(guard, &mut Neighbours::of(path));
    let service = reading.services.and_then(|mut services| services.pop());
    service.with_context(|| {
        format!("the guard has a fault: {}", reading.diagnostics.display("guard", guard.as_bytes()))
    })
}

fn program(service: &Service, site: &Site) -> anyhow::Result<KernelFilter> {
    let object = service_object(service, site)?.to_elf(Endian::NATIVE).context("writing a guard's object")?;
    Ok(KernelFilter::load_from(FilterName::Simple.into(), &object, "guard", site)?)
}

#[cfg(test)]
mod tests {
    use weir_guard::meaning::{Decision, Memory, MessageId, Packet};

    use super::*;

    #[test]
    fn queries_are_what_their_rows_say() {
        let dns = service(DNS).expect("it has no fault");
        let check = |payload: &[u8], expected| {
            let packet = Packet::whole("192.0.2.2:40000".parse().expect("an address"), payload);
            assert_eq!(
                dns.decide(&packet, &mut Memory::default(), 0),
                expected,
                "{}",
                payload.escape_ascii()
            );
        };
        check(&query(&["www", "example", "org"]), Decision::Accepted(MessageId(0)));
        check(&query(&["www", "example", "dev"]), Decision::Unwelcome(MessageId(0)));
        check(&weir_lab::filter_cost::bad(), Decision::NoMessage);
    }
}
