//! The guard in C, against which `weir bench` measures what is made of the language.

use weir_filters::{FilterName, Hook, Verdict, fun::service};
use weir_guard::{
    examples::{Example, Examples},
    meaning::{Memory, Service},
};
use weir_hooks::{KernelFilter, object_in_c};

use super::{Protocols, counted, hooks, seen, site};

/// Its source in `bpf/c`.
pub(crate) const SOURCE: &str = "dns-guard";

const GUARD: &str = include_str!("../../../../../bpf/c/dns-guard.toml");

/// The longest payload that the kernel takes in a test run elsewhere than at xdp, or somewhat less.
const MOST_LEN: usize = 3_000;

/// No message, the query below a name of the guard, and each message that it doesn't accept.
const REACHED: usize = 8;

pub(super) fn decides_as_the_interpreter() {
    let reading = weir_guard::text::guard(GUARD, &mut Protocols);
    let services = reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    let guard = &services[0];
    let examples = Examples::of(guard, 1).batches.concat();
    let object = object_in_c(SOURCE).expect("it was compiled");
    for program in loaded(object) {
        let runs = |example: &&Example| program.site().hook == Hook::Xdp || example.payload.len() <= MOST_LEN;
        compare(guard, &program, examples.iter().filter(runs));
    }
}

/// The programs of an object of that source: at each of its hooks that guards have on this kernel.
pub(crate) fn loaded(object: &[u8]) -> impl Iterator<Item = KernelFilter> {
    hooks().filter(|hook| *hook != Hook::Cgroup).map(|hook| {
        let site = site(hook, "[::]:53".parse().expect("an address"));
        let program = format!("{hook}_dns_guard");
        KernelFilter::load_from(FilterName::Simple.into(), object, &program, &site)
            .unwrap_or_else(|error| panic!("{program}: {error}"))
    })
}

fn compare<'a>(guard: &Service, program: &KernelFilter, examples: impl Iterator<Item = &'a Example>) {
    let hook = program.site().hook;
    let mut expected: Vec<_> = guard.decisions().into_iter().map(|decision| (decision, 0)).collect();
    for example in examples {
        let packet = [&seen(hook.layer(), example.source, &example.payload)[..], &example.behind].concat();
        let packet = if hook == Hook::Socket { &packet[..8 + example.payload.len()] } else { &packet };
        let decision = guard.decide(&example.packet(), &mut Memory::default(), 0);
        let verdict = if decision.is_accepted() { Verdict::Accept } else { Verdict::Drop };
        let decided = program.decide(packet, 1).unwrap_or_else(|error| panic!("{error}: {example:?}"));
        assert_eq!(decided, verdict, "{decision:?} at {hook}: {example:?}");
        expected.iter_mut().filter(|(each, _)| *each == decision).for_each(|(_, count)| *count += 1);
    }
    let reached = expected.iter().filter(|(_, count)| *count > 0);
    assert_eq!(reached.count(), REACHED, "{expected:?}");
    assert_eq!(
        counted(&program.map(service::DECISIONS).expect("it has the map"), guard),
        expected,
        "at {hook}"
    );
}
