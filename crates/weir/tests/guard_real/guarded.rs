//! A guard of one port, and its programs at every hook at once.

use std::{collections::BTreeMap, net::SocketAddr, os::fd::AsFd as _};

use weir_asm::Endian;
use weir_filters::{Hook, Site, fun::service};
use weir_guard::{
    meaning::{Decision, Memory, Packet, Party, Service},
    protocols,
    text::{self, Files, NamedText, Unavailable},
};
use weir_hooks::{
    AnyProgram, AttachPoint, AttachedProgram, Direction, Interface, XdpMode, kernel_features,
    owner_of_udp_port,
};
use weir_results::net::Side;
use weir_testing::ControlGroup;

use crate::rows::Row;

/// How many packets of each message were accepted, and how many dropped, of whatever kind.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What dropped packets are counted as.
pub(crate) const DROPPED: &str = "(dropped)";

/// A guard in enforce mode that accepts each message of clients.
pub(crate) struct Guard {
    pub(crate) text: String,
    pub(crate) service: Service,
    pub(crate) listen: SocketAddr,
}

impl Guard {
    pub(crate) fn of(row: &Row, listen: SocketAddr) -> Self {
        let shipped = protocols::find(row.protocol).expect("it is shipped");
        let protocol = text::protocol(shipped.text, &Default::default()).protocol.expect("it has no fault");
        let of_clients = protocol.messages.iter().filter(|message| message.by != Some(Party::Service));
        let accept: Vec<_> = of_clients.map(|message| format!("{:?}", message.name)).collect();
        let text = format!(
            "[[service]]\nname = \"tried\"\nlisten = \"udp/{listen}\"\nmode = \"enforce\"\nfragments = \"pass\"\nprotocol = \"{}\"\n\
             constants = {{ {} }}\naccept = [{}]\n",
            row.protocol,
            row.constants,
            accept.join(", ")
        );
        let reading = text::guard(&text, &mut Shipped);
        let services = reading.services.unwrap_or_else(|| panic!("{text}\n{:?}", reading.diagnostics));
        let service = services.into_iter().next().expect("there is one");
        Self { text, service, listen }
    }

    /// What the interpreter says of a payload.
    pub(crate) fn accepts(&self, source: SocketAddr, payload: &[u8]) -> bool {
        let packet = Packet::whole(source, payload);
        self.service.decide(&packet, &mut Memory::default(), 0).is_accepted()
    }

    /// What packets are counted as.
    fn name(&self, decision: Decision) -> &str {
        match decision {
            Decision::Accepted(message) => &self.service.protocol.message(message).name,
            _ => DROPPED,
        }
    }
}

/// Protocols that weir ships, and no lists.
struct Shipped;

impl Files for Shipped {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let shipped = protocols::find(name).expect("it is shipped");
        Ok(NamedText { name: name.to_owned(), text: shipped.text.to_owned() })
    }

    fn list(&mut self, _: &str) -> Result<NamedText, Unavailable> {
        unreachable!("none is named")
    }
}

/// A guard's program, attached.
pub(crate) struct Judge {
    pub(crate) hook: Hook,
    pub(crate) program: AnyProgram,
    _attached: AttachedProgram,
}

impl Judge {
    /// Attached at `hook` of the server's end, in whose namespace this thread is.
    pub(crate) fn at(hook: Hook, guard: &Guard, group: &ControlGroup) -> Self {
        let site = Site { features: kernel_features(), ..Site::new(hook, guard.listen) };
        let object =
            service::service_object(&guard.service, &site).unwrap_or_else(|error| panic!("{hook}: {error}"));
        let elf = object.to_elf(Endian::NATIVE).expect("it is an object");
        let mut program = AnyProgram::load(&elf, None).unwrap_or_else(|error| panic!("{hook}: {error}"));
        let interface = Interface::named(Side::Server.name()).expect("it is there");
        let socket =
            (hook == Hook::Socket).then(|| owner_of_udp_port(guard.listen.port()).expect("one socket"));
        let point = match (hook, &socket) {
            (_, Some((socket, holder))) => AttachPoint::Anothers(socket, *holder),
            (Hook::Cgroup, _) => AttachPoint::Cgroup(group.as_fd(), Direction::Ingress),
            (Hook::Tc, _) => AttachPoint::Tc(&interface, Direction::Ingress),
            _ => AttachPoint::Xdp(&interface, XdpMode::Native),
        };
        let attached = program.attach(point).unwrap_or_else(|error| panic!("{hook}: {error}"));
        Self { hook, program, _attached: attached }
    }

    /// What it has counted.
    pub(crate) fn counts(&self, guard: &Guard) -> Counts {
        let map = self.program.map(service::DECISIONS).expect("it has the map");
        let count = |number| -> u64 {
            map.get(number).expect("it can be read").expect("it is there").into_iter().sum()
        };
        let mut counts = Counts::new();
        for (decision, number) in guard.service.decisions().into_iter().zip(0..) {
            *counts.entry(guard.name(decision).to_owned()).or_default() += count(number);
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// Whether it lets a frame pass, as it must.
    pub(crate) fn decides(&self, frame: &[u8], is_accepted: bool) {
        let (accept, drop) = self.hook.returns();
        let returned = self.program.test_run(frame, 1).expect("it runs").return_value as i32;
        let expected = if is_accepted { accept } else { drop };
        assert_eq!(returned, expected, "{}: {}", self.hook, frame.escape_ascii());
    }

    /// How many packets it has dropped.
    pub(crate) fn dropped(&self, guard: &Guard) -> u64 {
        self.counts(guard).get(DROPPED).copied().unwrap_or(0)
    }
}
