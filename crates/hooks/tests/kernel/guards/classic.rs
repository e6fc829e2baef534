//! Guards as classic BPF on real sockets: what the interpreter accepts is delivered, and nothing else.

use std::{collections::BTreeSet, net::UdpSocket};

use rand::{SeedableRng as _, rngs::StdRng};
use weir_filters::{FilterName, Refusal, Site, cbpf::service::service_program};
use weir_guard::{
    meaning::{Acceptance, Condition, Message, MessageId, PrefixList, Protocol, Senders, Service},
    protocols,
};
use weir_hooks::KernelFilter;
use weir_testing::scaled;

use super::{
    LISTEN, cuts, guard_of_protocol,
    random::{self, Kinds},
    sockets::{Sent, assert_both, deliver, in_order, random_datagrams},
};

const LISTENS: [&str; 2] = ["0.0.0.0:0", "[::]:0"];

/// Instructions of a random guard. Translated they fit what older kernels keep for a socket (`net.core.optmem_max`, 20 KiB).
const MOST: usize = 400;

pub(super) fn random_guards() {
    in_order(|| {
        let mut counts = [0; 2];
        for seed in 0..scaled(200) as u64 {
            let mut rng = StdRng::seed_from_u64(seed);
            let guard = service(&mut rng);
            for listen in LISTENS {
                let datagrams = random_datagrams(&mut rng, &guard, listen.parse().expect("an address"));
                let was_taken = check(&guard, listen, &datagrams, &mut counts, &format!("guard {seed}"));
                was_taken.unwrap_or_else(|refusal| panic!("guard {seed}: {refusal}\n{guard:#?}"));
            }
        }
        assert_both(counts);
    });
}

/// Each message that classic BPF can tell, accepted alone: the protocol's vectors, and each cut short.
pub(super) fn shipped_protocols() {
    in_order(|| {
        let mut refused = BTreeSet::new();
        for shipped in protocols::ALL {
            let all = guard_of_protocol(shipped);
            let source = "192.0.2.1:40000".parse().expect("an address");
            let vectors: Vec<_> = shipped.vectors().collect();
            let payloads = vectors.iter().flat_map(|vector| cuts(&vector.payload));
            let datagrams: Vec<_> = payloads.map(|payload| (source, payload.to_vec())).collect();
            for Acceptance { message, .. } in &all.accept {
                let guard = Service { accept: vec![every(*message)], ..all.clone() };
                let what = format!("{} {}", shipped.name, all.protocol.message(*message).name);
                if check(&guard, LISTENS[1], &datagrams, &mut [0; 2], &what).is_err() {
                    refused.insert(shipped.name);
                }
            }
        }
        let walked = ["dns", "memcached", "quic", "sip", "snmp", "statsd", "syslog", "tftp"];
        assert_eq!(refused, BTreeSet::from(walked));
    });
}

fn check(
    guard: &Service,
    listen: &str,
    datagrams: &[Sent],
    counts: &mut [u64; 2],
    what: &str,
) -> Result<(), Refusal> {
    let program = service_program(guard)?;
    let receiver = UdpSocket::bind(listen).expect("a free port");
    let filter = KernelFilter::load_classic(FilterName::Simple.into(), &program, &Site::socket())
        .expect("a socket takes classic BPF");
    let _attached = filter
        .attach(&receiver)
        .unwrap_or_else(|error| panic!("{what}, {} instructions: {error}\n{guard:#?}", program.len()));
    deliver(guard, &receiver, datagrams, counts, what);
    Ok(())
}

/// A guard of which classic BPF can say everything.
fn service(rng: &mut StdRng) -> Service {
    loop {
        let guard = with_other_conditions(rng);
        if service_program(&guard).is_ok_and(|program| program.len() <= MOST) {
            return guard;
        }
    }
}

/// A guard whose conditions that classic BPF can't say are others.
fn with_other_conditions(rng: &mut StdRng) -> Service {
    let mut guard = random::service(rng, LISTEN, Kinds::Fixed);
    guard.limits.clear();
    guard.known = None;
    let mut senders: Vec<_> = guard.accept.iter_mut().map(|each| &mut each.from).collect();
    senders.retain(|from| matches!(from, Senders::Known | Senders::Unknown));
    senders.into_iter().for_each(|from| *from = Senders::Anyone);
    let before = guard.clone();
    let of_messages = guard.protocol.messages.iter_mut().map(|message| &mut message.when);
    for when in of_messages.chain(guard.accept.iter_mut().map(|each| &mut each.when)) {
        while !can_be_said(&before, when) {
            *when = random::condition(rng, &before.protocol, 2);
        }
    }
    guard
}

fn can_be_said(guard: &Service, when: &Condition) -> bool {
    let message = Message { name: "alone".to_owned(), by: None, when: when.clone() };
    let protocol = Protocol { messages: vec![message], ..guard.protocol.clone() };
    let none = PrefixList::default;
    let accept = vec![every(MessageId(0))];
    match service_program(&Service { protocol, accept, allow: none(), block: none(), ..guard.clone() }) {
        Ok(_) => true,
        Err(Refusal::TooWide | Refusal::UnknownShift | Refusal::TooDeep | Refusal::TooLong(_)) => false,
        Err(refusal) => panic!("{refusal}: {when:?}\n{guard:#?}"),
    }
}

/// A message is accepted, whatever is in it.
fn every(message: MessageId) -> Acceptance {
    Acceptance { message, from: Senders::Anyone, when: Condition::TRUE }
}
