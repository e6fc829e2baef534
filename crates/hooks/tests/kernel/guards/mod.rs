//! Guards' programs decide as the interpreter does.

pub(crate) mod by_hand;
mod classic;
mod exported;
mod frames;
mod known;
mod limits;
mod lists;
mod long;
mod privileges;
mod samples;
mod sockets;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::LazyLock,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_asm::{Endian, Object, Program, maps::PerCpuArray};
use weir_asm_macros::ebpf;
use weir_filters::{
    Hook, Layer, Site,
    fun::service::{self, Answer},
};
use weir_guard::{
    meaning::{Decision, Memory, Mode, Packet, Party, Senders, Service},
    protocols::{self, Shipped},
    random,
    text::{Files, NamedText, Unavailable},
};
use weir_hooks::{AnyProgram, HookError, Map, kernel_features};
use weir_testing::scaled;
use weir_wire::context::sk_buff;

use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("random_guards_decide_as_the_interpreter", random_guards),
    once(
        "a_guards_object_loads_and_a_refused_one_is_told_its_rule",
        exported::a_refused_guard_is_told_its_rule,
    ),
    once(
        "a_refusal_of_a_guard_without_lines_is_traced_to_its_rule",
        exported::a_refusal_of_a_program_without_lines_is_traced_to_its_rule,
    ),
    once("guards_of_shipped_protocols_decide_as_the_interpreter", shipped_protocols),
    once("a_guard_by_hand_in_c_decides_as_the_interpreter", by_hand::decides_as_the_interpreter),
    once("guards_decide_frames_as_the_interpreter", frames::are_decided_as_by_the_interpreter),
    once(
        "frames_at_xdp_of_which_no_helper_reads_the_end_are_unreadable",
        frames::of_which_no_helper_reads_the_end,
    ),
    once(
        "known_sources_are_known_for_as_long_as_the_guard_says",
        known::are_known_for_as_long_as_the_guard_says,
    ),
    once("known_sources_are_never_evicted", known::are_never_evicted),
    once("random_guards_at_real_sockets_decide_as_the_interpreter", sockets::random_guards),
    once("guards_of_shipped_protocols_at_real_sockets_decide_as_the_interpreter", sockets::shipped_protocols),
    once("random_guards_in_classic_bpf_deliver_what_the_interpreter_accepts", classic::random_guards),
    once(
        "messages_of_shipped_protocols_in_classic_bpf_are_delivered_as_the_interpreter_says",
        classic::shipped_protocols,
    ),
    once(
        "a_guards_lists_are_searched_as_the_interpreter_does_while_they_change",
        lists::change_while_searched,
    ),
    once("a_guards_lists_are_searched_at_a_socket", lists::searched_at_a_socket),
    once("a_guards_lists_are_searched_however_close_they_lie", lists::deep),
    once("a_guards_lists_don_t_outgrow_their_map", lists::outgrown),
    once("a_guard_of_200_rules_loads_at_every_hook", long::load_at_every_hook),
    once("a_limit_for_all_holds_against_forged_sources", limits::for_all_against_forged_sources),
    once("a_bucket_fills_again_as_the_interpreter_says", limits::filled_again),
    once(
        "a_guard_takes_cap_perfmon_where_its_fields_stand_anywhere",
        privileges::are_asked_for_where_fields_stand_anywhere,
    ),
    once(
        "a_guard_takes_no_cap_perfmon_where_its_fields_stand_where_it_says",
        privileges::are_few_where_fields_stand_where_the_guard_says,
    ),
    once("what_a_guard_drops_is_sampled_with_its_decision", samples::are_of_what_is_dropped),
    once("samples_are_no_more_than_the_guard_says", samples::are_no_more_than_the_rate),
    once("samples_for_which_there_is_no_room_are_counted", samples::without_room_are_counted),
    once("guards_of_shipped_protocols_sample_all_that_they_drop", samples::of_shipped_protocols),
];

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53);

/// Hooks whose programs run on given bytes, of which the socket's hold no source.
const HOOKS: [Hook; 4] = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];

fn random_guards() {
    let mut counts = [0_u64; 2];
    for seed in 0..scaled(200) as u64 {
        for hook in hooks() {
            guard(seed, hook, &mut counts);
        }
    }
    sockets::assert_both(counts);
}

fn guard(seed: u64, hook: Hook, counts: &mut [u64; 2]) {
    let mut rng = StdRng::seed_from_u64(seed);
    let listen = if rng.random_bool(0.5) { LISTEN } else { "[::]:53".parse().expect("an address") };
    let mut guard = random::service(&mut rng, listen, random::Kinds::All);
    if hook.layer() == Layer::Udp {
        without_sources(&mut guard);
    }
    let mut program = loaded(&guard, hook, listen)
        .unwrap_or_else(|error| panic!("guard {seed} at {hook}: {error}\n{guard:#?}"));
    program.set_lists(&guard).expect("there is room");
    let decisions = guard.decisions();
    let mut memory = Memory::default();
    let mut expected = vec![0; decisions.len()];
    let mut known = 0;
    for number in 0..1000 / HOOKS.len() {
        let is_shown = hook != Hook::Cgroup || *CGROUP_TEST_RUNS_SHOW_PACKETS;
        if guard.known.is_some() && rng.random_bool(0.3) && is_shown {
            known += u64::from(answer(&mut rng, &mut program, &guard, &mut memory, listen));
        }
        let is_v4 = listen.is_ipv4() || rng.random_bool(0.5);
        let source = random::source(&mut rng, is_v4);
        let payload = random::payload(&mut rng, &guard.protocol);
        let decision = guard.decide(&Packet::whole(source, &payload), &mut memory, 0);
        let accepts = decision.is_accepted() || guard.mode == Mode::Observe;
        counts[usize::from(accepts)] += 1;
        let context = || {
            format!(
                "guard {seed}, packet {number} at {hook}: {decision:?}\nfrom {source}: {}\n{guard:#?}",
                payload.escape_ascii()
            )
        };
        assert_eq!(is_accepted(&program, hook, source, &payload), accepts, "{}", context());
        let at = decisions.iter().position(|each| *each == decision).expect("it is listed");
        expected[at] += 1;
    }
    if guard.known.is_some() {
        let answers = program.map(service::ANSWERS).expect("it has the map").get(Answer::Known as u32);
        let answers: u64 = answers.expect("it can be read").expect("it is there").into_iter().sum();
        assert_eq!(answers, known, "guard {seed} at {hook}");
    }
    let expected = decisions.into_iter().zip(expected).collect::<Vec<_>>();
    let map = program.map(service::DECISIONS).expect("it has the map");
    assert_eq!(counted(&map, &guard), expected, "guard {seed} at {hook}");
}

/// Whether programs of control groups are shown packets in place in test runs, which older kernels keep for those of tc; packets that
/// really come they are always shown.
static CGROUP_TEST_RUNS_SHOW_PACKETS: LazyLock<bool> = LazyLock::new(|| {
    let code = ebpf! {
        ldxw r2, [r1 + {sk_buff::DATA_OFFSET as i16}]
        ldxw r3, [r1 + {sk_buff::DATA_END_OFFSET as i16}]
        mov r0, 0
        add r2, 1
        jgt r2, r3, hidden
        mov r0, 1
    hidden:
        exit
    };
    let program = Program {
        name: "shown".to_owned(),
        section: "cgroup/skb".to_owned(),
        code,
        sources: Vec::new(),
        run_config: None,
    };
    let object = Object { license: Some("GPL".to_owned()), maps: Vec::new(), programs: vec![program] };
    let elf = object.to_elf(Endian::NATIVE).expect("it is an object");
    let program = AnyProgram::load(&elf, None).expect("it reads in bounds");
    let packet = frame("192.0.2.1:1".parse().expect("an address"), b"", Party::Client);
    program.test_run(&packet, 1).expect("it runs").return_value == 1
});

/// The service sends something, and says whether who gets it is known by that.
fn answer(
    rng: &mut StdRng,
    program: &mut AnyProgram,
    guard: &Service,
    memory: &mut Memory,
    listen: SocketAddr,
) -> bool {
    let known = guard.known.as_ref().expect("it knows sources");
    let is_v4 = listen.is_ipv4() || rng.random_bool(0.5);
    let to = random::source(rng, is_v4);
    let payload = random::payload(rng, &guard.protocol);
    let packet = Packet::whole(SocketAddr::new(listen.ip(), 53), &payload);
    guard.answered(&packet, to, memory, 0);
    program.turn_to(service::KNOWING).expect("it loads");
    program.test_run(&frame(to, &payload, Party::Service), 1).expect("it runs");
    program.turn_to(service::GUARD).expect("it is loaded");
    let message = guard.protocol.message_of(&packet, Party::Service);
    message.is_some_and(|message| known.after.contains(&message))
}

/// How many packets it says that it has decided how.
fn counted(map: &Map<PerCpuArray<u64>>, guard: &Service) -> Vec<(Decision, u64)> {
    let count = |number| map.get(number).expect("it can be read").expect("it is there").into_iter().sum();
    guard.decisions().into_iter().zip((0..).map(count)).collect()
}

/// Each protocol, all its messages accepted one by one: its vectors, and each cut short everywhere.
fn shipped_protocols() {
    for shipped in protocols::ALL {
        let guard = &guard_of_protocol(shipped);
        for hook in hooks() {
            let program = loaded(guard, hook, "[::]:53".parse().expect("an address"))
                .unwrap_or_else(|error| panic!("{} at {hook}: {error}", shipped.name));
            for vector in shipped.vectors() {
                for payload in cuts(&vector.payload) {
                    let source = "192.0.2.1:40000".parse().expect("an address");
                    let decision = guard.decide(&Packet::whole(source, payload), &mut Memory::default(), 0);
                    assert_eq!(
                        is_accepted(&program, hook, source, payload),
                        decision.is_accepted(),
                        "{} at {hook}, line {}, {} bytes: {decision:?}",
                        shipped.name,
                        vector.line,
                        payload.len()
                    );
                }
            }
        }
    }
}

/// A payload cut everywhere where it is short, else here and there, and whole.
fn cuts(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lens = (0..payload.len()).step_by(1 + payload.len() / 64);
    lens.chain([payload.len()]).map(|len| &payload[..len])
}

/// A guard that accepts each message of a protocol.
fn guard_of_protocol(shipped: &Shipped) -> Service {
    guard_of(&format!("protocol = \"{}\"\naccept = [{}]", shipped.name, accepted(shipped)))
}

/// A service that enforces the rest of its table.
fn guard_of(rest: &str) -> Service {
    let text = format!("[[service]]\nname = \"x\"\nlisten = \"udp/53\"\nmode = \"enforce\"\n{rest}\n");
    let reading = weir_guard::text::guard(&text, &mut Protocols);
    let services = reading.services.unwrap_or_else(|| panic!("{rest}: {:?}", reading.diagnostics));
    services.into_iter().next().expect("there is one")
}

/// Its program for what this kernel can.
fn loaded(guard: &Service, hook: Hook, listen: SocketAddr) -> Result<AnyProgram, HookError> {
    let object = service::service_object(guard, &site(hook, listen))
        .unwrap_or_else(|error| panic!("{error}: {guard:#?}"));
    AnyProgram::load(&object.to_elf(Endian::NATIVE).expect("it is an object"), Some(service::GUARD))
}

/// Whether the program lets a packet pass.
fn is_accepted(program: &AnyProgram, hook: Hook, source: SocketAddr, payload: &[u8]) -> bool {
    let returned = program.test_run(&seen(hook.layer(), source, payload), 1).expect("it runs").return_value;
    let (accept, drop) = hook.returns();
    assert!([accept, drop].contains(&(returned as i32)), "{returned} at {hook}");
    returned as i32 == accept
}

/// Its messages that clients send, quoted.
fn accepted(shipped: &Shipped) -> String {
    let reading = weir_guard::text::protocol(shipped.text, &Default::default());
    let messages = reading.protocol.expect("it has no fault").messages;
    let of_clients = messages.iter().filter(|message| message.by != Some(Party::Service));
    of_clients.map(|message| format!("\"{}\"", message.name)).collect::<Vec<_>>().join(", ")
}

/// Those that weir ships, and no lists.
struct Protocols;

impl Files for Protocols {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let shipped = protocols::find(name).expect("it is shipped");
        Ok(NamedText { name: name.to_owned(), text: shipped.text.to_owned() })
    }

    fn list(&mut self, _: &str) -> Result<NamedText, Unavailable> {
        unreachable!("none is named")
    }
}

/// Those that guards have programs for on this kernel.
fn hooks() -> impl Iterator<Item = Hook> {
    HOOKS.into_iter().filter(|hook| *hook != Hook::Xdp || kernel_features().xdp_frags)
}

/// For what this kernel can.
fn site(hook: Hook, listen: SocketAddr) -> Site {
    Site { features: kernel_features(), ..Site::new(hook, listen) }
}

/// What doesn't depend on where packets come from.
fn without_sources(guard: &mut Service) {
    guard.allow = Default::default();
    guard.block = Default::default();
    guard.accept.iter_mut().for_each(|each| each.from = Senders::Anyone);
    guard.limits.clear();
    guard.known = None;
}

/// A packet for the service as [`AnyProgram::test_run`] wants it: from UDP's header on, or from Ethernet's.
fn seen(layer: Layer, source: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let frame = frame(source, payload, Party::Client);
    let ip_len = if source.is_ipv4() { 20 } else { 40 };
    if layer == Layer::Udp { frame[14 + ip_len..].to_vec() } else { frame }
}

/// A packet from that source to the service, or from the service there.
fn frame(source: SocketAddr, payload: &[u8], by: Party) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let mut ports = [source.port(), 53].map(u16::to_be_bytes);
    let (ethertype, mut header, mut addresses) = match source.ip() {
        IpAddr::V4(address) => {
            let total = (20 + len).to_be_bytes();
            let header = [&[0x45, 0][..], &total, &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
            (0x0800_u16, header, [address.octets().to_vec(), vec![127, 0, 0, 1]])
        }
        IpAddr::V6(address) => {
            let header = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[17, 64]].concat();
            (0x86dd, header, [address.octets().to_vec(), [&[0; 15][..], &[1]].concat()])
        }
    };
    if by == Party::Service {
        ports.reverse();
        addresses.reverse();
    }
    header.extend(addresses.concat());
    [&[0; 12][..], &ethertype.to_be_bytes(), &header, &ports.concat(), &len.to_be_bytes(), &[0, 0], payload]
        .concat()
}
