//! Any text as a guard with its protocols and lists, and as a protocol: errors point into it, and what is read judges packets and is
//! made programs.
#![no_main]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::Split,
};

use libfuzzer_sys::fuzz_target;
use weir_asm::{Diagnostics, Endian};
use weir_filters::{
    Hook, Site,
    cbpf::{
        ClassicInsn, RETURN,
        service::{MOST_INSTRUCTIONS, service_program},
    },
    fun::service::service_object,
};
use weir_guard::{
    meaning::{
        Acceptance, Condition, Listen, Memory, MessageId, Mode, Packet, Placement, PrefixList, Protocol,
        Senders, Service, Unjudged,
    },
    protocols,
    text::{self, FileReading, Files, NamedText, Unavailable},
};

/// What ends the guard, and each of the protocols and lists behind it.
const MARKER: &str = "\n---\n";

const HOOKS: [Hook; 5] = [Hook::Socket, Hook::Reuseport, Hook::Cgroup, Hook::Tc, Hook::Xdp];

/// Services of a guard that are looked at.
const MOST_SERVICES: usize = 4;

/// Bytes that an error has at most, which quotes what it is about; circles of names are the longest.
const MOST_SAID: usize = 1000;

/// No payload over IPv4 is longer.
const MOST_PAYLOAD: usize = 65_507;

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = std::str::from_utf8(bytes) else { return };
    let reading = text::protocol(input, &BTreeMap::new());
    errors_point_into(input, &reading.diagnostics);
    assert_eq!(reading.protocol.is_none(), reading.diagnostics.has_errors());
    if let Some(protocol) = reading.protocol {
        try_out(&of_everything(protocol), bytes);
    }

    let mut parts = input.split(MARKER);
    let guard = parts.next().unwrap_or_default();
    let reading = text::guard(guard, &mut Parts(parts));
    errors_point_into(guard, &reading.diagnostics);
    let mut has_errors = reading.diagnostics.has_errors();
    for FileReading { file, diagnostics } in &reading.files {
        errors_point_into(&file.text, diagnostics);
        has_errors |= diagnostics.has_errors();
    }
    assert_eq!(reading.services.is_none(), has_errors);
    for service in reading.services.iter().flatten().take(MOST_SERVICES) {
        try_out(service, bytes);
    }
});

/// The protocols and lists that a guard names: what is asked for next is the next part. Where there is none left, protocols are
/// those that weir ships, and lists are empty.
struct Parts<'a>(Split<'a, &'static str>);

impl Parts<'_> {
    fn take(&mut self, name: &str) -> Option<NamedText> {
        let text = self.0.next()?;
        Some(NamedText { name: name.to_owned(), text: text.to_owned() })
    }
}

impl Files for Parts<'_> {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let shipped = || {
            let shipped = protocols::find(name)?;
            Some(NamedText { name: name.to_owned(), text: shipped.text.to_owned() })
        };
        self.take(name).or_else(shipped).ok_or_else(Unavailable::default)
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        Ok(self.take(path).unwrap_or_default())
    }
}

fn errors_point_into(text: &str, errors: &Diagnostics) {
    for error in errors {
        assert!(error.message.len() + error.help.as_ref().map_or(0, String::len) < MOST_SAID, "{error:?}");
        let spans = [Some(error.span), error.related.as_ref().map(|(span, _)| *span)];
        for span in spans.into_iter().flatten() {
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{error:?}");
        }
    }
    assert_eq!(errors.display("fuzz", text.as_bytes()).to_string().is_empty(), errors.is_empty());
}

/// A guard that accepts every message of a protocol.
fn of_everything(protocol: Protocol) -> Service {
    let messages = (0..protocol.messages.len()).map(MessageId);
    let accept = messages.map(|message| Acceptance { message, from: Senders::Anyone, when: Condition::TRUE });
    let accept = accept.collect();
    Service {
        name: "everything".to_owned(),
        listen: Listen { address: None, port: 53 },
        at: Placement { hook: None, interfaces: Vec::new(), unit: None, pid: None },
        mode: Mode::Enforce,
        protocol,
        accept,
        allow: PrefixList::default(),
        block: PrefixList::default(),
        limits: Vec::new(),
        known: None,
        unjudged: Unjudged::default(),
        sample: None,
    }
}

/// Judges packets made of the input, and makes the programs.
fn try_out(service: &Service, bytes: &[u8]) {
    let decisions = service.decisions();
    let mut memory = Memory::default();
    let source = SocketAddr::from(([192, 0, 2, 1], bytes.len() as u16));
    for payload in [bytes, &bytes[bytes.len() / 2..], &bytes[..bytes.len().min(17)], &bytes[..0]] {
        let packet = Packet::whole(source, &payload[..payload.len().min(MOST_PAYLOAD)]);
        let decision = service.decide(&packet, &mut memory, 0);
        assert!(decisions.contains(&decision), "{decision:?}");
        service.answered(&packet, source, &mut memory, 0);
    }
    let address = service.listen.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    for hook in HOOKS {
        let site = Site::new(hook, SocketAddr::new(address, service.listen.port));
        match service_object(service, &site) {
            Ok(object) => assert!(!object.to_elf(Endian::NATIVE).expect("it is an object").is_empty()),
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }
    match service_program(service) {
        Ok(program) => ends(&program),
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}

/// A program of classic BPF goes forward, to an instruction that it has, or returns.
fn ends(program: &[ClassicInsn]) {
    const CLASS: u16 = 0x07;
    const JUMPS: u16 = 0x05;
    assert!(program.len() <= MOST_INSTRUCTIONS);
    for (at, insn) in program.iter().enumerate() {
        let skipped = match insn.code {
            JUMPS => insn.k as usize,
            code if code & CLASS == JUMPS => insn.jt.max(insn.jf).into(),
            _ => 0,
        };
        assert!(insn.code == RETURN || at + 1 + skipped < program.len(), "{at}: {program:?}");
    }
}
