//! Anybody's programs: attached wherever their type goes, detached, and their maps read by name.

use std::{net::UdpSocket, os::fd::AsFd as _};

use weir_asm::text::assemble;
use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::{
    AnyProgram, AttachPoint, Direction, Interface, KernelFilter, ObjectFile, ProgramType, XdpMode,
    in_own_network,
    maps::{AnyMap, MapValue},
    socket_of,
};
use weir_testing::{ControlGroup, received};

use crate::{Test, once, pair};

#[path = "../../../../examples/attach_your_program.rs"]
mod example;

pub(crate) const TESTS: &[Test] = &[
    once("a_program_drops_at_its_interface_until_it_is_detached", a_program_drops_at_its_interface),
    once("a_program_drops_in_its_control_group_until_it_is_detached", a_program_drops_in_its_control_group),
    once("a_program_drops_at_a_socket_until_it_is_detached", a_program_drops_at_a_socket),
    once("a_sockets_own_filter_is_left_alone", a_sockets_own_filter_is_left_alone),
    once("a_tracepoint_that_is_not_there_is_said_with_the_nearest", a_tracepoint_that_is_not_there),
    once("a_program_is_refused_where_its_type_does_not_go", a_program_is_refused_where_its_type_does_not_go),
    once("the_example_counts_calls", || example::main().expect("it attaches and counts")),
    once("maps_are_read_by_name_as_btf_has_them", maps_are_read_by_name),
    once("of_a_large_map_the_first_entries_are_read_and_the_others_counted", of_a_large_map_the_first),
    once("maps_without_btf_hold_integers_or_bytes", maps_without_btf),
];

fn object(text: &str) -> ObjectFile {
    let object = assemble("text", text.as_bytes()).unwrap_or_else(|errors| {
        panic!("{}", errors.display("text", text.as_bytes()));
    });
    ObjectFile::assembled("text", &object).expect("it is an object")
}

fn load(object: &ObjectFile) -> AnyProgram {
    AnyProgram::load_to_attach(object, None).unwrap_or_else(|error| panic!("{error}"))
}

/// A program in that section that gives nothing but that verdict.
fn giving(section: &str, verdict: i32) -> AnyProgram {
    load(&object(&format!(".program verdict {section}\nmov r0, {verdict}\nexit\n")))
}

fn passes((receiver, sender): &(UdpSocket, UdpSocket)) -> bool {
    // What a control group's program drops on the way out is the sender's error.
    let _ = sender.send(b"packet");
    !received(receiver).is_empty()
}

/// Twice: what is detached can be attached again.
fn check(mut program: AnyProgram, point: AttachPoint<'_>, sockets: &(UdpSocket, UdpSocket)) {
    for round in 0..2 {
        assert!(passes(sockets), "{point:?}, {round}");
        let attached = program.attach(point).unwrap_or_else(|error| panic!("{error}"));
        assert!(!passes(sockets), "{point:?}, {round}");
        drop(attached);
        assert!(passes(sockets), "{point:?}, {round}");
    }
}

fn a_program_drops_at_its_interface() {
    let done = in_own_network(|| {
        let sockets = pair("127.0.0.1:0");
        let lo = Interface::named("lo").expect("every namespace has it");
        const SHOT: i32 = 2;
        for section in ["classifier", "tc", "tcx/ingress", "\"tc/ingress\""] {
            check(giving(section, SHOT), AttachPoint::Tc(&lo, Direction::Ingress), &sockets);
        }
        check(giving("tcx/egress", SHOT), AttachPoint::Tc(&lo, Direction::Egress), &sockets);
        for mode in [XdpMode::Auto, XdpMode::Generic] {
            const DROP: i32 = 1;
            check(giving("xdp", DROP), AttachPoint::Xdp(&lo, mode), &sockets);
        }
        let mut program = giving("xdp", 2);
        let attached = program.attach(AttachPoint::Xdp(&lo, XdpMode::Auto)).expect("it is attached");
        assert_eq!(attached.mode(), Some(XdpMode::Generic));
        assert!(
            attached.fallback().is_some_and(|reason| reason.contains("lo takes no program in its driver"))
        );
        let error =
            giving("xdp", 2).attach(AttachPoint::Xdp(&lo, XdpMode::Generic)).expect_err("one is there");
        assert!(error.to_string().contains("another program is attached"), "{error}");
    });
    done.expect("a namespace can be made");
}

fn a_program_drops_in_its_control_group() {
    let group = ControlGroup::new();
    let sockets = group.within(|| pair("127.0.0.1:0"));
    for (section, direction) in [
        ("cgroup/skb", Direction::Ingress),
        ("cgroup_skb/ingress", Direction::Ingress),
        ("cgroup_skb/egress", Direction::Egress),
    ] {
        check(giving(section, 0), AttachPoint::Cgroup(group.as_fd(), direction), &sockets);
    }
}

fn a_program_drops_at_a_socket() {
    let sockets = pair("127.0.0.1:0");
    check(giving("socket", 0), AttachPoint::Socket(sockets.0.as_fd()), &sockets);
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&sockets.0);
    let same = socket_of(std::process::id(), descriptor).expect("it is ours");
    check(giving("socket", 0), AttachPoint::Socket(same.as_fd()), &sockets);
}

fn a_sockets_own_filter_is_left_alone() {
    let sockets = pair("127.0.0.1:0");
    let attached = giving("socket", 0).attach(AttachPoint::Socket(sockets.0.as_fd())).expect("it had none");
    let refused = |kind: &str| {
        let error =
            giving("socket", -1).attach(AttachPoint::Socket(sockets.0.as_fd())).expect_err("it has one");
        let error = error.to_string();
        assert!(error.contains(&format!("has a filter already, {kind}")), "{error}");
        assert!(!passes(&sockets));
    };
    refused("an eBPF program");
    drop(attached);
    let classic = KernelFilter::load(FilterName::Reject.into(), Toolkit::Cbpf, &Site::socket());
    let _attached =
        classic.and_then(|filter| filter.attach(&sockets.0)).expect("classic filters need nothing");
    refused("a classic filter");
}

fn a_tracepoint_that_is_not_there() {
    let mut program = load(&object(".program p tp/syscalls/sys_enter_getpid\nmov r0, 0\nexit\n"));
    let mut said = |category, name| {
        program.attach(AttachPoint::TracePoint { category, name }).expect_err("it isn't there").to_string()
    };
    let error = said("syscalls", "sys_enter_getpidd");
    assert!(error.contains("syscalls/sys_enter_getpidd"), "{error}");
    assert!(error.contains("did you mean syscalls/sys_enter_getpid?"), "{error}");
    let error = said("nothing", "of_the_kind");
    assert!(error.contains("/sys/kernel/tracing/events"), "{error}");
}

fn a_program_is_refused_where_its_type_does_not_go() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let error = giving("xdp", 2).attach(AttachPoint::Socket(socket.as_fd())).expect_err("no socket takes it");
    assert!(
        error.to_string().contains("it is of type xdp, and a program of type socket goes there"),
        "{error}"
    );

    let two = object(
        ".program a socket\nmov r0, 0\nexit\n.program b tcx/egress\nmov r0, 0\nexit\n.program c fentry/x\nmov r0, 0\nexit\n",
    );
    let said = |wanted| two.attachable(wanted).expect_err("it isn't to be attached").to_string();
    assert!(said(None).contains("several programs to attach; name one with --program"), "{}", said(None));
    assert!(
        said(None)
            .contains("a (socketfilter, section \"socket\"), b (schedclassifier, section \"tcx/egress\")")
    );
    assert!(said(Some("c")).contains("of type fentry"), "{}", said(Some("c")));
    let found = two.attachable(Some("b")).expect("it can be");
    assert_eq!((found.program_type, found.direction()), (ProgramType::Tc, Some(Direction::Egress)));
}

const MAPS: &str = "\
.struct event { pid: u32, kind: u8[4], at: i64, }
.map plain hash key=u32 value=event entries=100
.map cpus percpu_array key=u32 value=u64 entries=2
.map ring ringbuf entries=4096
.program fill xdp
.slot key u32
.slot value event
    stw [key], 7
    stw [value.pid], 42
    stw [value.kind], 0x00636261
    stdw [value.at], -5
    lmap r1, plain
    mov r2, r10
    add r2, key
    mov r3, r10
    add r3, value
    mov r4, 0
    call map_update_elem
    stw [key], 1
    lmap r1, cpus
    mov r2, r10
    add r2, key
    call map_lookup_elem
    jeq r0, 0, done
    mov r1, 3
    lock add [r0], r1
done:
    lmap r1, ring
    mov r0, 2
    exit
";

fn map_of(object: &ObjectFile, program: &AnyProgram, name: &str) -> AnyMap {
    let definition = object.maps().iter().find(|map| map.name == name).expect("it is declared");
    program.map_by_definition(definition).expect("it is there")
}

fn maps_are_read_by_name() {
    let object = object(MAPS);
    let program = load(&object);
    program.test_run(&[0; 64], 1).expect("it runs");

    let plain = map_of(&object, &program, "plain").excerpt(10).expect("it is read");
    let entry = &plain.entries[0];
    assert_eq!((plain.entries.len(), plain.more, plain.has_even_more), (1, 0, false));
    assert_eq!(entry.key, MapValue::Unsigned(7));
    assert_eq!(entry.values[0].to_string(), "{pid: 42, kind: \"abc\", at: -5}");

    let cpus = map_of(&object, &program, "cpus");
    assert!(cpus.is_per_cpu());
    let cpus = cpus.excerpt(10).expect("it is read");
    assert_eq!(cpus.entries.len(), 2);
    assert!(cpus.entries[0].values.iter().all(MapValue::is_zero));
    assert_eq!(MapValue::total(&cpus.entries[1].values), Some(MapValue::Unsigned(3)));

    let ring = map_of(&object, &program, "ring");
    assert!(!ring.is_readable());
    assert_eq!(ring.excerpt(10).expect("nothing is asked for").entries, []);
}

fn of_a_large_map_the_first() {
    use weir_asm::maps::{Hash, MapSpec};
    let object = object(
        ".map many hash key=u32 value=u32 entries=1000\n.map slots array key=u32 value=u8[3] entries=500\n\
         .program p socket\nlmap r1, many\nlmap r1, slots\nmov r0, 0\nexit\n",
    );
    let program = load(&object);
    const MANY: MapSpec<Hash<u32, u32>> = MapSpec::new("many", 1000);
    let mut many = program.map(MANY).expect("it is there");
    (0..300).for_each(|key| many.update(key, key, Default::default()).expect("there is room"));
    for (name, most, entries, more) in [
        ("many", 20, 20, 280),
        ("many", 300, 300, 0),
        ("many", 999, 300, 0),
        ("slots", 5, 5, 495),
        ("slots", 500, 500, 0),
    ] {
        let excerpt = map_of(&object, &program, name).excerpt(most).expect("it is read");
        assert_eq!((excerpt.entries.len(), excerpt.more), (entries, more), "{name}, {most}");
    }
}

fn maps_without_btf() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../asm/tests/objects/legacy.o");
    let object =
        ObjectFile::read("legacy.o", std::fs::read(folder).expect("it is kept")).expect("it is an object");
    let program = load(&object);
    for definition in object.maps() {
        let map = program.map_by_definition(definition).expect("it is there");
        let excerpt = map.excerpt(3).expect("it is read");
        let is_plain = |value: &MapValue| matches!(value, MapValue::Unsigned(_) | MapValue::Bytes(_));
        assert!(
            excerpt.entries.iter().all(|entry| is_plain(&entry.key) && entry.values.iter().all(is_plain))
        );
    }
    assert!(!object.maps().is_empty());
}
