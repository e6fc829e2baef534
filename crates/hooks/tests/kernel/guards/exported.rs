//! Guards' objects for other loaders: through aya, and what is said of one that the verifier refuses.

use std::sync::Arc;

use weir_asm::{Endian, Reg::*, Source, op::ldxdw};
use weir_filters::{
    Hook,
    fun::service::{self, WrittenService},
};
use weir_guard::{
    meaning::{PrefixList, Senders},
    text::GuardReading,
};
use weir_hooks::{AnyProgram, KernelFilter};

use super::{Protocols, hooks, privileges, site};

/// The rule in line 9 is accepted from a list, with a condition of its own, and limited.
const GUARD: &str = "\
[[service]]
name = \"dns\"
listen = \"udp/53\"
mode = \"enforce\"
fragments = \"pass\"
protocol = \"dns\"
block = [\"203.0.113.0/24\"]
accept = [\"notify\",
    { message = \"query\", from = \"192.0.2.0/24\", when = \"name under 'example.org'\" }]
limit = [{ per = \"source/32,/56\", rate = \"200/s\" }]
";

/// The guard, and the texts that it is read from.
fn read() -> (GuardReading, Vec<Source>) {
    let reading = weir_guard::text::guard(GUARD, &mut Protocols);
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.into() };
    let named = reading.files.iter().map(|each| source(&each.file.name, &each.file.text));
    let sources = [source("rules/dns.toml", GUARD)].into_iter().chain(named).collect();
    (reading, sources)
}

/// As weir loads it, without lines, in a process that lacks a capability.
pub(super) fn a_refusal_of_a_program_without_lines_is_traced_to_its_rule() {
    for hook in hooks() {
        let refused = privileges::with_capabilities(privileges::FEW, move || {
            let (reading, sources) = read();
            let written = WrittenService { places: &reading.places[0], sources: &sources };
            let service = Arc::new(reading.services.expect("it has no errors").remove(0));
            let site = site(hook, "[::]:53".parse().expect("an address"));
            let error = KernelFilter::load_service(&service, &site).err()?;
            Some([error.to_string(), error.with_rule(&service, written).to_string()])
        });
        // Where the kernel runs without measures against Spectre, it takes names; what xdp compares it refuses all the same.
        let Some([usual, traced]) = refused else {
            assert_ne!(hook, Hook::Xdp);
            continue;
        };
        let said = "what was refused comes from ";
        assert!(!usual.contains(said), "at {hook}: {usual}");
        let line = traced.lines().find_map(|line| line.strip_prefix(said));
        let line = line.unwrap_or_else(|| panic!("at {hook}: {traced}"));
        let file = if hook == Hook::Xdp { "rules/dns.toml:3:10: listen = " } else { "dns:" };
        assert!(line.starts_with(file), "at {hook}: {line}");
    }
}

pub(super) fn a_refused_guard_is_told_its_rule() {
    let (reading, sources) = read();
    let mut services = reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    let written = WrittenService { places: &reading.places[0], sources: &sources };
    for hook in hooks() {
        let site = site(hook, "[::]:53".parse().expect("an address"));
        let mut object = service::exported_object(&services[0], &site, written).expect("it can be a program");
        let load = |object: &weir_asm::Object| {
            AnyProgram::load(&object.to_elf(Endian::NATIVE).expect("it is an object"), None)
        };
        load(&object).unwrap_or_else(|error| panic!("at {hook}: {error}"));
        let code = &mut object.programs[0].code;
        let is_of_the_rule =
            |at: &usize| code.line(*at).is_some_and(|line| (line.source, line.number) == (0, 9));
        let at = (0..code.len()).find(is_of_the_rule).expect("it has instructions");
        code.insns_mut()[at] = ldxdw(R0, R10 + 8);
        let refused = load(&object).err().expect("nothing is behind the stack").to_string();
        let place = "what was refused comes from rules/dns.toml:9:5: { message = \"query\", from";
        assert!(refused.contains(place), "at {hook}: {refused}");
        assert!(refused.contains("; { message = \"query\", from"), "at {hook}: {refused}");
    }
    // Where no lists are awaited, what decides is what is held to the interpreter elsewhere.
    services[0].block = PrefixList::default();
    services[0].accept[1].from = Senders::Anyone;
    for hook in hooks() {
        let site = site(hook, "[::]:53".parse().expect("an address"));
        let exported = service::exported_object(&services[0], &site, written).expect("it can be a program");
        let usual = service::service_object(&services[0], &site).expect("it can be a program");
        let [exported, usual] =
            [exported, usual].map(|object| object.programs[0].code.encode(Endian::NATIVE));
        assert_eq!(exported, usual, "at {hook}");
    }
}
