//! Guards' programs decide as the interpreter does.

mod frames;
mod known;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_asm::{Endian, maps::LpmPrefix};
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
use weir_hooks::{AnyProgram, kernel_features, maps::Update};
use weir_testing::scaled;

use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("random_guards_decide_as_the_interpreter", random_guards),
    once("guards_of_shipped_protocols_decide_as_the_interpreter", shipped_protocols),
    once("guards_decide_frames_as_the_interpreter", frames::are_decided_as_by_the_interpreter),
    once(
        "known_sources_are_known_for_as_long_as_the_guard_says",
        known::are_known_for_as_long_as_the_guard_says,
    ),
    once("known_sources_are_never_evicted", known::are_never_evicted),
];

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53);

/// Hooks whose programs run on given bytes; a packet's source is where it isn't known to a test run at the socket.
const HOOKS: [Hook; 4] = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];

fn random_guards() {
    let mut counts = [0_u64; 2];
    for seed in 0..scaled(200) as u64 {
        for hook in hooks() {
            guard(seed, hook, &mut counts);
        }
    }
    let [dropped, accepted] = counts;
    assert!(dropped > accepted / 10 && accepted > dropped / 100, "{dropped} dropped, {accepted} accepted");
}

fn guard(seed: u64, hook: Hook, counts: &mut [u64; 2]) {
    let mut rng = StdRng::seed_from_u64(seed);
    let listen = if rng.random_bool(0.5) { LISTEN } else { "[::]:53".parse().expect("an address") };
    let mut guard = random::service(&mut rng, listen);
    let site = site(hook, listen);
    if hook.layer() == Layer::Udp {
        without_sources(&mut guard);
    }
    let object =
        service::service_object(&guard, &site).unwrap_or_else(|error| panic!("guard {seed}: {error}"));
    let elf = object.to_elf(Endian::NATIVE).expect("it is an object");
    let mut program = AnyProgram::load(&elf, Some(service::GUARD))
        .unwrap_or_else(|error| panic!("guard {seed} at {hook}: {error}\n{guard:#?}"));
    write_lists(&program, &guard);
    let decisions = guard.decisions();
    let mut memory = Memory::default();
    let mut expected = vec![0; decisions.len()];
    let mut known = 0;
    for number in 0..1000 / HOOKS.len() {
        if guard.known.is_some() && rng.random_bool(0.3) {
            known += u64::from(answer(&mut rng, &mut program, &guard, &mut memory, listen));
        }
        let is_v4 = listen.is_ipv4() || rng.random_bool(0.5);
        let source = random::source(&mut rng, is_v4);
        let payload = random::payload(&mut rng, &guard.protocol);
        let decision = guard.decide(&Packet::whole(source, &payload), &mut memory, 0);
        let accepts = decision.is_accepted() || guard.mode == Mode::Observe;
        counts[usize::from(accepts)] += 1;
        let seen = seen(hook.layer(), source, &payload);
        let returned = program.test_run(&seen, 1).expect("it runs").return_value as i32;
        let (accept, drop) = hook.returns();
        let context = || {
            format!(
                "guard {seed}, packet {number} at {hook}: {decision:?}\nfrom {source}: {}\n{guard:#?}",
                payload.escape_ascii()
            )
        };
        assert_eq!(returned, if accepts { accept } else { drop }, "{}", context());
        let at = decisions.iter().position(|each| *each == decision).expect("it is listed");
        expected[at] += 1;
    }
    if guard.known.is_some() {
        let answers = program.map(service::ANSWERS).expect("it has the map").get(Answer::Known as u32);
        let answers: u64 = answers.expect("it can be read").expect("it is there").into_iter().sum();
        assert_eq!(answers, known, "guard {seed} at {hook}");
    }
    let expected = decisions.into_iter().zip(expected).collect::<Vec<_>>();
    assert_eq!(counted(&program, &guard), expected, "guard {seed} at {hook}");
}

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
fn counted(program: &AnyProgram, guard: &Service) -> Vec<(Decision, u64)> {
    let map = program.map(service::DECISIONS).expect("it has the map");
    let count = |number| map.get(number).expect("it can be read").expect("it is there").into_iter().sum();
    guard.decisions().into_iter().zip((0..).map(count)).collect()
}

/// Each protocol, all its messages accepted one by one: its vectors, and each cut short everywhere.
fn shipped_protocols() {
    for shipped in protocols::ALL {
        let text = format!(
            "[[service]]\nname = \"x\"\nlisten = \"udp/53\"\nmode = \"enforce\"\nprotocol = \"{0}\"\naccept = [{1}]\n",
            shipped.name,
            accepted(shipped)
        );
        let reading = weir_guard::text::guard(&text, &mut Protocols);
        let guard =
            &reading.services.unwrap_or_else(|| panic!("{}: {:?}", shipped.name, reading.diagnostics))[0];
        for hook in hooks() {
            let object = service::service_object(guard, &site(hook, "[::]:53".parse().unwrap()));
            let object = object.unwrap_or_else(|error| panic!("{}: {error}", shipped.name));
            let program = AnyProgram::load(&object.to_elf(Endian::NATIVE).expect("it is an object"), None)
                .unwrap_or_else(|error| panic!("{} at {hook}: {error}", shipped.name));
            let (accept, drop) = hook.returns();
            for vector in shipped.vectors() {
                // Cut everywhere where it is short, else here and there.
                let step = 1 + vector.payload.len() / 64;
                for len in (0..vector.payload.len()).step_by(step).chain([vector.payload.len()]) {
                    let payload = &vector.payload[..len];
                    let source = "192.0.2.1:40000".parse().expect("an address");
                    let decision = guard.decide(&Packet::whole(source, payload), &mut Memory::default(), 0);
                    let returned =
                        program.test_run(&seen(hook.layer(), source, payload), 1).expect("it runs");
                    assert_eq!(
                        returned.return_value as i32,
                        if decision.is_accepted() { accept } else { drop },
                        "{} at {hook}, line {}, {len} bytes: {decision:?}",
                        shipped.name,
                        vector.line
                    );
                }
            }
        }
    }
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

fn write_lists(program: &AnyProgram, guard: &Service) {
    // Nothing may depend on them.
    let Ok(mut map) = program.map(service::PREFIXES) else {
        return;
    };
    for (number, list) in service::lists(guard).enumerate() {
        for prefix in list.prefixes() {
            let (bits, data) = service::prefix_key(number, *prefix);
            map.update(LpmPrefix::new(bits, data), 1, Update::Any).expect("there is room");
        }
    }
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
