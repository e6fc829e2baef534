//! What the generated programs are made of; what they decide is the kernel tests' matter.

use weir_asm::{Endian, Insn, check};
use weir_wire::maps::{self, Capture};

use super::*;
use crate::{Binding, Parameter, SuperPackets};

fn every_filter() -> Vec<Filter> {
    let mut filters: Vec<_> = FilterName::ALL.map(Filter::from).to_vec();
    for parameter in [Parameter::Accept, Parameter::Drop] {
        for binding in [Binding::Map, Binding::Constant] {
            filters.push(Filter { parameter, binding, ..Filter::from(FilterName::Parameterized) });
        }
    }
    let chains = ["blocklist+quota+valid-command", "quota+known-key", "quota+blocklist+print-filter"];
    filters.extend(chains.map(|chain| chain.parse::<Filter>().expect("a chain")));
    filters
}

/// Every filter at every hook, for each kind of endpoint.
fn every_program() -> impl Iterator<Item = (Filter, Site)> {
    let endpoints = ["127.0.0.1:7", "0.0.0.0:7", "[::1]:7", "[::]:7"];
    let sites = Hook::ALL.into_iter().flat_map(move |hook| {
        endpoints.map(|endpoint| Site::new(hook, endpoint.parse().expect("an address")))
    });
    let both =
        |site| [SuperPackets::Drop, SuperPackets::Pass].map(|super_packets| Site { super_packets, ..site });
    let sites: Vec<_> = sites.flat_map(both).collect();
    every_filter()
        .into_iter()
        .flat_map(move |filter| sites.clone().into_iter().map(move |site| (filter, site)))
}

#[test]
fn the_same_filter_gives_the_same_bytes() {
    for (filter, site) in every_program() {
        let bytes = || object(filter, &site).to_elf(Endian::Little).expect("it is written");
        assert_eq!(bytes(), bytes(), "{filter:?}");
    }
}

#[test]
fn nothing_is_wrong_with_any_program() {
    for (filter, site) in every_program() {
        for program in object(filter, &site).programs {
            assert_eq!(check(&program.code), [], "{filter:?} {site:?}");
        }
    }
}

#[test]
fn the_listing_is_the_program_and_every_instruction_has_its_line() {
    for (filter, site) in every_program() {
        let (built, traced) = (generate(filter, &site), object(filter, &site));
        assert_eq!(built.maps, traced.maps, "{filter:?}");
        let (built, traced) = (&built.programs[0], &traced.programs[0]);
        assert_eq!(built.code.encode(Endian::Little), traced.code.encode(Endian::Little), "{filter:?}");
        let source = &traced.sources[0];
        for index in 0..traced.code.len() {
            let line = traced.code.line(index).expect("each has one").number as usize;
            let text = source.text.lines().nth(line - 1).expect("inside the text");
            assert_eq!(text.trim(), show::fun::insn(&traced.code, index), "{filter:?}");
        }
    }
}

#[test]
fn programs_have_the_maps_of_the_catalogue() {
    for name in FilterName::ALL {
        let names: Vec<_> =
            object(name.into(), &Site::socket()).maps.into_iter().map(|map| map.name).collect();
        let expected: Vec<_> = name.entry().maps.iter().map(|map| map.name).collect();
        assert_eq!(names, expected, "{name}");
    }
}

#[test]
fn a_capture_is_laid_out_as_user_space_reads_it() {
    let object = object(FilterName::Print.into(), &Site::socket());
    let capture = object.maps.iter().find(|map| map.name == maps::CAPTURE).expect("it has one");
    assert_eq!(capture.value.size(), size_of::<Capture>());
}

#[test]
fn a_constant_parameter_leaves_one_verdict_and_no_parameter_map() {
    for parameter in [Parameter::Accept, Parameter::Drop] {
        let binding = Binding::Constant;
        let filter = Filter { parameter, binding, ..Filter::from(FilterName::Parameterized) };
        let object = object(filter, &Site::socket());
        assert_eq!(object.maps.len(), 1, "{filter:?}");
        assert_eq!(object.maps[0].name, maps::VERDICTS, "{filter:?}");
        let insns = object.programs[0].code.insns();
        let exits = insns.iter().filter(|insn| matches!(insn, Insn::Exit)).count();
        assert_eq!(exits, 1, "{filter:?}");
    }
}
