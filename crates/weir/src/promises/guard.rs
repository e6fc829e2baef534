//! What guards cost: in the kernel, against filters that were written by hand; and to be read.

use std::{fmt::Write as _, path::Path, time::Instant};

use anyhow::Context as _;
use weir_asm::Endian;
use weir_filters::{FilterName, Site, SuperPackets, Toolkit, fun::service::service_object};
use weir_guard::{meaning::Service, text};
use weir_hooks::KernelFilter;
use weir_wire::Request;

use super::{
    Bound, PromisedFigure,
    places::{self, Pairs, frame},
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

pub(super) fn measure() -> anyhow::Result<Vec<PromisedFigure>> {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let bad = weir_lab::filter_cost::bad();
    let bag = service(BAG)?;
    let mut figures = Vec::new();
    for hook in places::hooks() {
        let site = Site { super_packets: SuperPackets::Pass, ..Site::new(hook, places::SERVER.into()) };
        for (packet, payload) in [("a PUT", &put[..]), ("an invalid packet", &bad)] {
            let seen = frame(hook.layer(), payload);
            let simple = || KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site);
            let pairs = || {
                let by_hand = KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Fun, &site)?;
                Pairs::of(
                    vec![
                        (Author::Hand, [simple()?, by_hand]),
                        (Author::Guard, [simple()?, program(&bag, &site)?]),
                    ],
                    hook,
                )
            };
            let repetitions = places::repeat(pairs, &seen)?;
            let [hand, guard] = [Author::Hand, Author::Guard].map(|author| places::of(author, &repetitions));
            let quotients = guard.iter().zip(&hand).map(|(guard, hand)| guard / hand).collect();
            figures.extend(figures! {
                format!("bag as a guard at {hook} on {packet}, ns over an accept-all program, ÷ by hand"), "":
                    quotients => Bound::IntervalAtMost(1.1);
                "  of which by hand takes", "ns": hand;
            });
        }
    }
    figures.push(many_messages()?);
    figures.push(reading()?);
    figures.extend(super::guard_lists::measure()?);
    Ok(figures)
}

/// Messages that differ in one field: the last of them against one alone.
fn many_messages() -> anyhow::Result<PromisedFigure> {
    let site = Site::new(weir_filters::Hook::Socket, places::SERVER.into());
    let (one, many) = (letters(1)?, letters(200)?);
    let pairs = || {
        let simple = || KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site);
        let pairs = vec![(1, [simple()?, program(&one, &site)?]), (200, [simple()?, program(&many, &site)?])];
        Pairs::of(pairs, site.hook)
    };
    // The last of the many is none of the one.
    let repetitions = places::repeat(pairs, &frame(site.hook.layer(), &[199, 0, 0, 0]))?;
    let [one, many] = [1, 200].map(|messages| places::of(messages, &repetitions));
    let quotients = many.iter().zip(&one).map(|(many, one)| many / one);
    let name = "200 messages that differ in one field, ns over an accept-all program at socket, ÷ 1 message";
    Ok(PromisedFigure::new(name, "", quotients.collect(), Bound::AtMost(3.0)))
}

/// A guard of so many messages is read, with everything that is said of it.
fn reading() -> anyhow::Result<PromisedFigure> {
    let mut ms = Vec::new();
    for _ in 0..READINGS {
        let started = Instant::now();
        letters(1000)?;
        ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(PromisedFigure::new("reading a guard of 1 000 messages", "ms", ms, Bound::AtMost(100.0)))
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
