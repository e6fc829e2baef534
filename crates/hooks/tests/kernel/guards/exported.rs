//! Guards' objects for other loaders: through aya, and what is said of one that the verifier refuses.

use weir_asm::{Endian, Reg::*, Source, op::ldxdw};
use weir_filters::fun::service::{self, WrittenService};
use weir_guard::meaning::{PrefixList, Senders};
use weir_hooks::AnyProgram;

use super::{Protocols, hooks, site};

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

pub(super) fn a_refused_guard_is_told_its_rule() {
    let reading = weir_guard::text::guard(GUARD, &mut Protocols);
    let mut services = reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.into() };
    let named = reading.files.iter().map(|each| source(&each.file.name, &each.file.text));
    let sources: Vec<_> = [source("rules/dns.toml", GUARD)].into_iter().chain(named).collect();
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
