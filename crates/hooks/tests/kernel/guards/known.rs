//! Sources that are known by what they were answered.

use std::{collections::HashMap, thread, time::Duration};

use weir_asm::Endian;
use weir_filters::{
    Hook,
    fun::service::{self, Answer},
};
use weir_guard::{
    meaning::{Party, Service},
    text::{self, Files, NamedText, Unavailable},
};
use weir_hooks::AnyProgram;

use super::{frame, site};

const PROTOCOL: &str = "name = \"letters\"\n[fields]\nfirst = \"u8 @ 0\"\n\
    [[message]]\nname = \"data\"\nby = \"client\"\nwhen = \"first == 'd'\"\n\
    [[message]]\nname = \"proof\"\nby = \"service\"\nwhen = \"first == 'p'\"\n";

/// One protocol, whatever it is called.
struct Letters;

impl Files for Letters {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        Ok(NamedText { name: name.to_owned(), text: PROTOCOL.to_owned() })
    }

    fn list(&mut self, _: &str) -> Result<NamedText, Unavailable> {
        unreachable!("none is named")
    }
}

fn guard(lasting: &str) -> Service {
    let text = format!(
        "[[service]]\nname = \"letters\"\nlisten = \"udp/53\"\nmode = \"enforce\"\nprotocol = \"letters.toml\"\n\
         accept = [{{ message = \"data\", from = \"known\" }}]\n\
         known = {{ after = \"proof\", by = \"source/24,/64\", for = \"{lasting}\" }}\n"
    );
    let reading = text::guard(&text, &mut Letters);
    reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics)).remove(0)
}

/// With room for so many known sources.
fn load(hook: Hook, lasting: &str, room: u32) -> AnyProgram {
    let listen = "[::]:53".parse().expect("an address");
    let mut object = service::service_object(&guard(lasting), &site(hook, listen)).expect("it is made");
    let known = object.maps.iter_mut().find(|map| map.name == service::KNOWN.name());
    known.expect("it has the map").max_entries = room;
    let elf = object.to_elf(Endian::NATIVE).expect("it is an object");
    AnyProgram::load(&elf, Some(service::GUARD)).expect("it loads")
}

fn is_accepted(program: &mut AnyProgram, hook: Hook, source: &str) -> bool {
    program.turn_to(service::GUARD).expect("it is loaded");
    let frame = frame(source.parse().expect("an address"), b"d", Party::Client);
    program.test_run(&frame, 1).expect("it runs").return_value as i32 == hook.returns().0
}

fn answer(program: &mut AnyProgram, to: &str, payload: &[u8]) {
    program.turn_to(service::KNOWING).expect("it loads");
    program.test_run(&frame(to.parse().expect("an address"), payload, Party::Service), 1).expect("it runs");
}

fn answers(program: &AnyProgram) -> HashMap<Answer, u64> {
    let map = program.map(service::ANSWERS).expect("it has the map");
    let count = |answer| {
        let counts = map.get(answer as u32).expect("it can be read").expect("it is there");
        (answer, counts.into_iter().sum())
    };
    Answer::ALL.map(count).into()
}

pub(super) fn are_known_for_as_long_as_the_guard_says() {
    for hook in [Hook::Cgroup, Hook::Tc] {
        let mut program = load(hook, "1h", 8);
        answer(&mut program, "10.1.2.3:4", b"other");
        assert!(!is_accepted(&mut program, hook, "10.1.2.3:4"), "{hook}: that proves nothing");
        answer(&mut program, "10.1.2.3:4", b"proof");
        answer(&mut program, "[fd00::1]:4", b"proof");
        for (source, is_known) in [
            ("10.1.2.3:4", true),
            ("10.1.2.200:5", true),
            ("[::ffff:10.1.2.3]:5", true),
            ("10.1.3.3:4", false),
            ("[fd00::ffff:0:0:1]:4", true),
            ("[fd00:0:0:1::1]:4", false),
        ] {
            assert_eq!(is_accepted(&mut program, hook, source), is_known, "{source} at {hook}");
        }

        let mut program = load(hook, "1ms", 8);
        answer(&mut program, "10.1.2.3:4", b"proof");
        thread::sleep(Duration::from_millis(2));
        assert!(!is_accepted(&mut program, hook, "10.1.2.3:4"), "{hook}: a millisecond is over");
    }
}

/// Who is known stays so, and who isn't told is counted.
pub(super) fn are_never_evicted() {
    const ROOM: u32 = 4;
    let mut program = load(Hook::Tc, "1h", ROOM);
    let sources: Vec<_> = (0..3 * ROOM).map(|number| format!("10.0.{number}.1:1")).collect();
    for source in &sources {
        answer(&mut program, source, b"proof");
    }
    let known: Vec<_> = sources.iter().map(|source| is_accepted(&mut program, Hook::Tc, source)).collect();
    assert_eq!(known, (0..3 * ROOM).map(|number| number < ROOM).collect::<Vec<_>>());
    // Those that are known are so for longer, although there is no room.
    answer(&mut program, &sources[0], b"proof");
    let expected =
        [(Answer::Known, u64::from(ROOM) + 1), (Answer::NoRoom, 2 * u64::from(ROOM)), (Answer::Unjudged, 0)];
    assert_eq!(answers(&program), expected.into());

    let mut fragment = frame("10.0.0.1:1".parse().expect("an address"), b"proof", Party::Service);
    fragment[14 + 6] = 0x20;
    program.turn_to(service::KNOWING).expect("it is loaded");
    program.test_run(&fragment, 1).expect("it runs");
    assert_eq!(answers(&program)[&Answer::Unjudged], 1);
}
