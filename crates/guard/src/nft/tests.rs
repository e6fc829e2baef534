//! Rulesets as they are meant to be, and conditions held to the interpreter by a reader of nft's matches.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{Reason, Refusal, condition::Conditions, ruleset};
use crate::{
    meaning::{Condition, LimitId, MessageId, Packet, Party, Protocol, Service, ServicePart, Truth},
    protocols,
    text::{self, Files, NamedText, Unavailable},
};

/// The protocols that are shipped, and no lists.
struct Shipped;

impl Files for Shipped {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let text = protocols::find(name).expect(name).text.to_owned();
        Ok(NamedText { name: name.to_owned(), text })
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        Err(Unavailable { message: format!("there is no {path}"), help: None })
    }
}

/// A guard that says this besides its name.
fn service(name: &str, rest: &str) -> Service {
    let guard = format!("[[service]]\nname = \"{name}\"\n{rest}");
    let reading = text::guard(&guard, &mut Shipped);
    let services = reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    services.into_iter().next().expect("one")
}

#[track_caller]
fn check(name: &str, rest: &str, expected: &str) {
    assert_eq!(ruleset(&service(name, rest)).expect("nft can say it"), expected);
}

#[test]
fn a_guard_for_the_bag_reads_as_a_person_would_write_it() {
    let guard = r#"
listen = "udp/12345"
mode = "enforce"
protocol = "bag"
accept = ["put", "get", "delete", { message = "stop", from = "192.0.2.1" }]
allow = ["192.0.2.0/24", "2001:db8::/32"]
block = ["198.51.100.7"]
limit = [{ message = "get", per = "source/24,/56", rate = "200/s", burst = 400 }, { per = "all", rate = "10/m" }]
"#;
    let expected = r##"#!/usr/sbin/nft -f
# What the guard of 'bag' says, by `weir guard export nft`. Loading it again replaces it, counters and all.
# A limit by source has room for 65536 at once; others are dropped.
# nft can't tell a packet of several datagrams (UDP_GRO): its first one decides.
table inet weir_bag
delete table inet weir_bag

table inet weir_bag {
	set allow_v4 {
		type ipv4_addr
		flags interval
		auto-merge
		elements = {
			192.0.2.0/24
		}
	}

	set allow_v6 {
		type ipv6_addr
		flags interval
		auto-merge
		elements = {
			2001:db8::/32
		}
	}

	set block_v4 {
		type ipv4_addr
		flags interval
		auto-merge
		elements = {
			198.51.100.7
		}
	}

	set limit_1_v4 {
		type ipv4_addr
		size 65536
		flags dynamic,timeout
		timeout 2s
	}

	set limit_1_v6 {
		type ipv6_addr
		size 65536
		flags dynamic,timeout
		timeout 2s
	}

	set from_1_v4 {
		type ipv4_addr
		flags interval
		auto-merge
		elements = {
			192.0.2.1
		}
	}

	chain input {
		type filter hook input priority filter - 10; policy accept;
		udp dport 12345 goto guard
	}

	chain guard {
		ip saddr @allow_v4 counter accept comment "allow"
		ip6 saddr @allow_v6 counter accept comment "allow"
		ip saddr @block_v4 counter drop comment "block"
		exthdr frag exists counter drop comment "fragments"
		udp length 0 counter drop comment "no length"
		udp length >= 11 @th,64,24 0x505554 goto limits_put
		udp length >= 11 @th,64,24 0x474554 goto limits_get
		udp length >= 14 @th,64,48 0x44454c455445 goto limits_delete
		udp length >= 12 @th,64,32 0x53544f50 goto message_stop
		counter drop comment "no accepted message"
	}

	chain limits_put {
		jump common_limits
		counter accept comment "put"
	}

	chain limits_get {
		update @limit_1_v4 { ip saddr & 255.255.255.0 limit rate over 200/second burst 400 packets } counter drop comment "get over 200/second"
		ip saddr & 255.255.255.0 != @limit_1_v4 counter drop comment "get by too many sources"
		update @limit_1_v6 { ip6 saddr & ffff:ffff:ffff:ff00:: limit rate over 200/second burst 400 packets } counter drop comment "get over 200/second"
		ip6 saddr & ffff:ffff:ffff:ff00:: != @limit_1_v6 counter drop comment "get by too many sources"
		jump common_limits
		counter accept comment "get"
	}

	chain limits_delete {
		jump common_limits
		counter accept comment "delete"
	}

	chain message_stop {
		ip saddr @from_1_v4 goto limits_stop
		counter drop comment "stop is unwelcome"
	}

	chain limits_stop {
		jump common_limits
		counter accept comment "stop"
	}

	chain common_limits {
		limit rate over 10/minute burst 1 packets counter drop comment "over 10/minute"
	}
}
"##;
    check("bag", guard, expected);
}

#[test]
fn a_guard_for_wireguard_keeps_the_order_of_messages() {
    let guard = r#"
listen = "udp/192.0.2.1:51820"
protocol = "wireguard"
mode = "enforce"
fragments = "pass"
accept = ["initiation", { message = "keepalive", when = "source_port >= 1024" }, "data"]
"#;
    let expected = r##"#!/usr/sbin/nft -f
# What the guard of 'tunnel' says, by `weir guard export nft`. Loading it again replaces it, counters and all.
# nft can't tell a packet of several datagrams (UDP_GRO): its first one decides.
table inet weir_tunnel
delete table inet weir_tunnel

table inet weir_tunnel {
	chain input {
		type filter hook input priority filter - 10; policy accept;
		ip daddr 192.0.2.1 udp dport 51820 goto guard
	}

	chain guard {
		exthdr frag exists counter accept comment "fragments"
		udp length 0 counter drop comment "no length"
		udp length 156 @th,64,32 0x01000000 counter accept comment "initiation"
		udp length 100 @th,64,32 0x02000000 counter drop comment "response is unwelcome"
		udp length 72 @th,64,32 0x03000000 counter drop comment "cookie-reply is unwelcome"
		udp length 40 @th,64,32 0x04000000 goto message_keepalive
		udp length >= 41 @th,64,32 0x04000000 counter accept comment "data"
		counter drop comment "no accepted message"
	}

	chain message_keepalive {
		udp sport >= 1024 counter accept comment "keepalive"
		counter drop comment "keepalive is unwelcome"
	}
}
"##;
    check("tunnel", guard, expected);
}

#[test]
fn a_guard_that_observes_drops_nothing() {
    let guard = r#"
listen = "udp/[2001:db8::1]:27015"
at = "tc"
interfaces = ["eth0"]
protocol = "a2s"
accept = ["info"]
super_packets = "pass"
"#;
    let expected = r##"#!/usr/sbin/nft -f
# What the guard of 'game' says, by `weir guard export nft`. Loading it again replaces it, counters and all.
table inet weir_game
delete table inet weir_game

table inet weir_game {
	chain input {
		type filter hook input priority filter - 10; policy accept;
		iifname { "eth0" } ip6 daddr 2001:db8::1 udp dport 27015 goto guard
	}

	chain guard {
		exthdr frag exists counter accept comment "fragments"
		udp length 0 counter accept comment "no length"
		udp length { 33, 37 } @th,64,32 0xffffffff @th,96,8 0x54 @th,104,64 0x536f757263652045 @th,168,64 0x6e67696e65205175 @th,232,32 0x65727900 counter accept comment "info"
		counter accept comment "no accepted message"
	}
}
"##;
    check("game", guard, expected);
}

#[test]
fn sources_that_the_service_answers_are_known() {
    let guard = r#"
listen = "udp/192.0.2.1:27015"
mode = "enforce"
protocol = "a2s"
accept = [{ message = "players", from = "known" }, { message = "ping", from = "unknown" }]
known = { after = ["challenge", "players-reply"], by = "source+port/24,/128", for = "1500ms" }
limit = [{ message = "players", per = "all", rate = "1/s" , burst = 4 }]
"#;
    let expected = r##"#!/usr/sbin/nft -f
# What the guard of 'game' says, by `weir guard export nft`. Loading it again replaces it, counters and all.
# nft can't tell a packet of several datagrams (UDP_GRO): its first one decides.
table inet weir_game
delete table inet weir_game

table inet weir_game {
	set known_v4 {
		type ipv4_addr . inet_service
		size 65536
		flags dynamic,timeout
		timeout 1s500ms
	}

	set known_v6 {
		type ipv6_addr . inet_service
		size 65536
		flags dynamic,timeout
		timeout 1s500ms
	}

	chain input {
		type filter hook input priority filter - 10; policy accept;
		ip daddr 192.0.2.1 udp dport 27015 goto guard
	}

	chain guard {
		exthdr frag exists counter drop comment "fragments"
		udp length 0 counter drop comment "no length"
		udp length { 33, 37 } @th,64,32 0xffffffff @th,96,8 0x54 @th,104,64 0x536f757263652045 @th,168,64 0x6e67696e65205175 @th,232,32 0x65727900 counter drop comment "info is unwelcome"
		udp length 17 @th,64,32 0xffffffff @th,96,8 0x55 goto message_players
		udp length 17 @th,64,32 0xffffffff @th,96,8 0x56 counter drop comment "rules is unwelcome"
		udp length 13 @th,64,32 0xffffffff @th,96,8 0x57 counter drop comment "get-challenge is unwelcome"
		udp length 13 @th,64,32 0xffffffff @th,96,8 0x69 goto message_ping
		counter drop comment "no accepted message"
	}

	chain message_players {
		ip saddr & 255.255.255.0 . udp sport @known_v4 goto limits_players
		ip6 saddr . udp sport @known_v6 goto limits_players
		counter drop comment "players is unwelcome"
	}

	chain limits_players {
		limit rate over 1/second burst 4 packets counter drop comment "players over 1/second"
		counter accept comment "players"
	}

	chain message_ping {
		ip saddr & 255.255.255.0 . udp sport != @known_v4 counter accept comment "ping"
		ip6 saddr . udp sport != @known_v6 counter accept comment "ping"
		counter drop comment "ping is unwelcome"
	}

	chain output {
		type filter hook output priority filter + 10; policy accept;
		ip saddr 192.0.2.1 udp sport 27015 goto sent
	}

	chain sent {
		udp length { 33, 37 } @th,64,32 0xffffffff @th,96,8 0x54 @th,104,64 0x536f757263652045 @th,168,64 0x6e67696e65205175 @th,232,32 0x65727900 accept
		udp length 17 @th,64,32 0xffffffff @th,96,8 0x55 accept
		udp length 17 @th,64,32 0xffffffff @th,96,8 0x56 accept
		udp length 13 @th,64,32 0xffffffff @th,96,8 0x57 accept
		udp length 13 @th,64,32 0xffffffff @th,96,8 0x69 accept
		udp length 17 @th,64,32 0xffffffff @th,96,8 0x41 goto knowing
		udp length >= 14 @th,64,32 0xffffffff @th,96,8 { 0x49, 0x6d } accept
		udp length >= 14 @th,64,32 0xffffffff @th,96,8 0x44 goto knowing
	}

	chain knowing {
		update @known_v4 { ip daddr & 255.255.255.0 . udp dport } counter accept comment "source is known"
		update @known_v6 { ip6 daddr . udp dport } counter accept comment "source is known"
		counter accept comment "no room for a source to be known"
	}
}
"##;
    check("game", guard, expected);
}

#[test]
fn what_nft_cannot_say_is_refused_with_the_rule_and_the_reason() {
    let check = |protocol: &str, rest: &str, expected: &[(ServicePart, &str)]| {
        let guard = format!("listen = \"udp/1\"\nprotocol = \"{protocol}\"\n{rest}");
        let refusals = ruleset(&service("test", &guard)).expect_err(protocol);
        let parts: Vec<_> = refusals.iter().map(|refusal| refusal.part).collect();
        assert_eq!(parts, expected.iter().map(|(part, _)| *part).collect::<Vec<_>>(), "{refusals:?}");
        for (refusal, (_, words)) in refusals.iter().zip(expected) {
            assert!(refusal.reason.to_string().contains(words), "{}", refusal.reason);
        }
    };
    let message = |at| ServicePart::Message(MessageId(at));
    // Its length is compared with the packet's.
    check("stun", "accept = ['binding-request']", &[(message(0), "two numbers of the packet")]);
    check("dns", "accept = ['query']", &[(message(0), "the field 'name' is a domain name")]);
    // The one that is accepted is expressible, and what comes before it is not.
    check("ntp", "accept = ['request-v1']", &[(message(0), "two numbers of the packet")]);
    let limit = "accept = ['initiation']\nlimit = [{ per = 'all', rate = '1/h', burst = 4294967295 }]";
    check("wireguard", limit, &[(ServicePart::Limit(LimitId(0)), "no such rate")]);
    // What the service sends is looked at where it makes sources known.
    let known = "accept = []\nknown = { after = 'count', by = 'source/32,/64', for = '60s' }";
    check("bag", known, &[(message(4), "is a decimal number")]);
    let star = "at = 'tc'\ninterfaces = ['eth*']\naccept = ['data']";
    check("wireguard", star, &[(ServicePart::Interfaces, "'eth*'")]);
    let mut service = service("test", "listen = 'udp/1'\nprotocol = 'bag'\naccept = ['put']");
    service.protocol.messages[0].name = "a\"; drop".to_owned();
    assert_eq!(ruleset(&service), Err(vec![Refusal { part: message(0), reason: Reason::Name }]));
}

/// docs/guard.md names them.
#[test]
fn of_some_protocols_nft_can_say_everything() {
    let is_said = |shipped: &&protocols::Shipped| {
        let protocol = text::protocol(shipped.text, &Default::default()).protocol.expect(shipped.name);
        let by_clients = protocol.messages.iter().filter(|message| message.by != Some(Party::Service));
        let names: Vec<_> = by_clients.map(|message| message.name.as_str()).collect();
        let guard = format!("listen = \"udp/1\"\nprotocol = \"{}\"\naccept = {names:?}", shipped.name);
        ruleset(&service(shipped.name, &guard)).is_ok()
    };
    let said: Vec<_> = protocols::ALL.iter().filter(is_said).map(|shipped| shipped.name).collect();
    assert_eq!(said, ["a2s", "bag", "raknet", "teamspeak3", "wireguard"]);
}

#[test]
fn what_is_behind_the_last_accepted_message_is_not_asked() {
    // What follows reads the packet's end.
    let guard = "listen = 'udp/1'\nprotocol = 'openvpn'\naccept = ['reset']";
    let text = ruleset(&service("test", guard)).expect("it can be said");
    assert_eq!(text.matches("@th").count(), 3, "{text}");
    let service = service("test", &guard.replace("'reset'", "'data'"));
    let refusals = ruleset(&service).expect_err("it can't");
    let first = ServicePart::Message(
        service
            .protocol
            .messages
            .iter()
            .position(|each| each.name == "reset-v3")
            .map(MessageId)
            .expect("it is there"),
    );
    let reason = Reason::Moving("wrapped_length".to_owned());
    assert_eq!(refusals[0], Refusal { part: first, reason });
}

const FIELDS: &str = r#"
first  = "u8 @ 0"
word   = "u16 @ 1"
little = "u16 le @ 1"
bits   = "u16[3..=6] @ 1"
flag   = "u16 le[11] @ 1"
verb   = "bytes 4 @ 0"
long   = "bytes 11 @ 2"
wide   = "u64 @ 3"
next   = "u8 @ end(word)"
last   = "u8 @ len - 1"
far    = "u8 @ 300"
number = "decimal @ 0"
"#;

/// A protocol with these fields, and a message for each condition.
fn conditions(conditions: &[&str]) -> Protocol {
    let mut text = format!("name = \"test\"\nsource = \"made up\"\n[fields]\n{FIELDS}\n");
    for (number, when) in conditions.iter().enumerate() {
        text += &format!("[[message]]\nname = \"m{number}\"\nwhen = \"{when}\"\n");
    }
    let reading = text::protocol(&text, &Default::default());
    reading.protocol.unwrap_or_else(|| panic!("{}", reading.diagnostics.display("test", text.as_bytes())))
}

/// Conditions, and the matches of their rules.
const MATCHES: &[(&str, &[&str])] = &[
    ("true", &[""]),
    ("false", &[]),
    ("first == 5", &["udp length >= 9 @th,64,8 0x05"]),
    ("5 > first", &["udp length >= 9 @th,64,8 <= 0x04"]),
    ("first > 5", &["udp length >= 9 @th,64,8 >= 0x06"]),
    ("first >= 0", &["udp length >= 9"]),
    ("not first >= 0", &[]),
    ("first == 1 and first == 2", &[]),
    ("first in {1, 3..=5}", &["udp length >= 9 @th,64,8 { 0x01, 0x03-0x05 }"]),
    ("not first in {1, 3}", &["udp length >= 9 @th,64,8 != { 0x01, 0x03 }"]),
    ("first in 2..=4", &["udp length >= 9 @th,64,8 0x02-0x04"]),
    ("first == 1 or first == 7", &["udp length >= 9 @th,64,8 { 0x01, 0x07 }"]),
    (
        "not (first == 1 and word == 2)",
        &["udp length >= 9 @th,64,8 != 0x01", "udp length >= 11 @th,72,16 != 0x0002"],
    ),
    ("word & 0xf800 == 0x2000", &["udp length >= 11 @th,72,16 & 0xf800 == 0x2000"]),
    ("word & 0x8000 != 0", &["udp length >= 11 @th,72,16 & 0x8000 != 0x0000"]),
    ("word >> 4 == 5", &["udp length >= 11 @th,72,16 & 0xfff0 == 0x0050"]),
    ("bits == 5", &["udp length >= 11 @th,72,16 & 0x0078 == 0x0028"]),
    ("bits >= 4", &["udp length >= 11 @th,72,16 & 0x0078 >= 0x0020"]),
    ("flag == 1", &["udp length >= 11 @th,72,16 & 0x0008 == 0x0008"]),
    ("little == 0x1234", &["udp length >= 11 @th,72,16 0x3412"]),
    ("little != 0x1234", &["udp length >= 11 @th,72,16 != 0x3412"]),
    ("little < 3", &["udp length >= 11 @th,72,16 { 0x0000, 0x0100, 0x0200 }"]),
    ("4 + word <= 10", &["udp length >= 11 @th,72,16 <= 0x0006"]),
    ("len == 3", &["udp length 11"]),
    ("len != 3", &["udp length { 8-10, 12-65535 }"]),
    ("len - 4 in 6..=8", &["udp length 18-20"]),
    ("len & 3 == 0", &["udp length & 0x0003 == 0x0000 udp length >= 8"]),
    ("end(word) <= len", &["udp length >= 11"]),
    ("next == 9", &["udp length >= 12 @th,88,8 0x09"]),
    ("wide > 0xffff", &["udp length >= 19 @th,88,64 >= 0x0000000000010000"]),
    ("source_port != 53", &["udp sport != 53"]),
    ("source_port & 1 == 1", &["udp sport & 0x0001 == 0x0001"]),
    ("verb in {'get ', 'put '}", &["udp length >= 12 @th,64,32 { 0x67657420, 0x70757420 }"]),
    ("lower(verb) == 'get '", &["udp length >= 12 @th,64,32 & 0xdfdfdfff == 0x47455420"]),
    (
        "lower(verb) in {'get ', 'put '}",
        &["udp length >= 12 @th,64,32 & 0xdfdfdfff == { 0x47455420, 0x50555420 }"],
    ),
    ("long == 'hello world'", &["udp length >= 21 @th,80,64 0x68656c6c6f20776f @th,144,24 0x726c64"]),
    (
        "long != 'hello world'",
        &["udp length >= 21 @th,80,64 != 0x68656c6c6f20776f", "udp length >= 21 @th,144,24 != 0x726c64"],
    ),
    (
        "first == 1 and (word == 2 or len > 7)",
        &["udp length >= 11 @th,64,8 0x01 @th,72,16 0x0002", "udp length >= 16 @th,64,8 0x01"],
    ),
];

#[test]
fn conditions_are_rules_for_each_way_in_which_they_hold() {
    let texts: Vec<_> = MATCHES.iter().map(|(text, _)| *text).collect();
    let protocol = conditions(&texts);
    for ((text, expected), message) in MATCHES.iter().zip(&protocol.messages) {
        let mut found = Conditions::of(&protocol).matches(&message.when).expect(text);
        let mut expected: Vec<_> = expected.iter().map(|each| (*each).to_owned()).collect();
        // Rules of one verdict have no order.
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn conditions_that_nft_has_no_words_for_say_why() {
    let nine = "(first == 1 or word == 1) and (verb == 'aaaa' or len == 40) and (wide == 1 or next == 1) \
                and (bits == 1 or flag == 1) and (source_port == 1 or len & 7 == 1) \
                and (word & 1 == 1 or word & 2 == 2) and (word & 4 == 4 or word & 8 == 8) \
                and (word & 16 == 16 or word & 32 == 32) and (first & 1 == 1 or first & 2 == 2)";
    let refused: &[(&str, Reason)] = &[
        ("word == len", Reason::TwoNumbers),
        ("first + word == 3", Reason::TwoNumbers),
        ("first & word == 3", Reason::TwoNumbers),
        ("10 - first == 3", Reason::Operation("-")),
        ("first | 1 == 3", Reason::Operation("|")),
        ("first << 1 == 2", Reason::Operation("<<")),
        ("len & 8 == 0", Reason::LengthBits),
        ("little < 0x8000", Reason::Order),
        ("last == 0", Reason::Moving("last".to_owned())),
        ("far == 0", Reason::Far("far".to_owned())),
        ("number == 1", Reason::Walked { field: "number".to_owned(), kind: "a decimal number" }),
        (nine, Reason::TooManyRules),
    ];
    let texts: Vec<_> = refused.iter().map(|(text, _)| *text).collect();
    let protocol = conditions(&texts);
    for ((text, expected), message) in refused.iter().zip(&protocol.messages) {
        let found = Conditions::of(&protocol).matches(&message.when);
        assert_eq!(found.as_ref().err(), Some(expected), "{text}: {found:?}");
    }
}

/// Whether nft's matches all match a datagram from the UDP header on: those of this module, each a name, a mask where there is one,
/// an operator where there is one, and numbers.
fn all_match(matches: &str, datagram: &[u8]) -> bool {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect(text),
        None => text.parse().expect(text),
    };
    let mut words = matches.split_whitespace().peekable();
    while let Some(name) = words.next() {
        let place = match name {
            "udp" => match words.next() {
                Some("length") => "32,16",
                _ => "0,16",
            },
            raw => raw.strip_prefix("@th,").expect(raw),
        };
        let (at, bits) = place.split_once(',').expect(place);
        let (at, len) = (number(at) as usize / 8, number(bits) as usize / 8);
        let Some(bytes) = datagram.get(at..at + len) else {
            return false;
        };
        let mut value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        if words.next_if_eq(&"&").is_some() {
            value &= number(words.next().expect("a mask"));
        }
        let operator = words.next_if(|word| ["==", "!=", "<=", ">="].contains(word)).unwrap_or("==");
        let mut ranges = Vec::new();
        let first = words.next().expect("a number");
        if first == "{" {
            let inside = words.by_ref().take_while(|word| *word != "}");
            ranges.extend(inside.map(|word| word.trim_end_matches(',')));
        } else {
            ranges.push(first);
        }
        let is_in = |range: &&str| {
            let (low, high) = range.split_once('-').unwrap_or((*range, *range));
            (number(low)..=number(high)).contains(&value)
        };
        let holds = match operator {
            "!=" => !ranges.iter().any(is_in),
            "<=" => value <= number(ranges[0]),
            ">=" => value >= number(ranges[0]),
            _ => ranges.iter().any(is_in),
        };
        if !holds {
            return false;
        }
    }
    true
}

/// Conditions over those of [`MATCHES`].
fn made_of(leaves: Vec<Condition>) -> impl Strategy<Value = Condition> {
    prop::sample::select(leaves).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

/// Payloads in which conditions of [`MATCHES`] are often true.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let byte = b"\0\x01\x02\x03\x04\x05\x07\x09\x12\x20\x28\x34\x80\xff gethlo".to_vec();
    let byte = prop::sample::select(byte);
    prop_oneof![
        8 => prop::collection::vec(byte, 0..20),
        1 => Just(b"GET put".to_vec()),
        1 => Just(b"12hello world".to_vec()),
        1 => Just(b"\x01\x00hello worl".to_vec()),
    ]
}

proptest! {
    #[test]
    fn rules_match_what_the_interpreter_finds_true_and_nothing_else(
        condition in made_of(all_of_the_table().messages.into_iter().map(|message| message.when).collect()),
        payload in payloads(),
        beyond in prop::collection::vec(0..4_u8, 0..3),
        port in prop::sample::select(vec![1_u16, 2, 53]),
    ) {
        let protocol = all_of_the_table();
        let Ok(rules) = Conditions::of(&protocol).matches(&condition) else {
            return Ok(());
        };
        let packet = Packet::whole(SocketAddr::from(([192, 0, 2, 1], port)), &payload);
        let length = (8 + packet.len).to_be_bytes();
        // What is behind UDP's length is none of the payload.
        let datagram = [&port.to_be_bytes()[..], &[0, 9], &length, &[0, 0], &payload, &beyond].concat();
        let is_matched = rules.iter().any(|rule| all_match(rule, &datagram));
        let truth = condition.of(&packet, &protocol.fields);
        prop_assert_eq!(is_matched, truth == Truth::True, "{:?}", rules);
    }
}

fn all_of_the_table() -> Protocol {
    conditions(&MATCHES.iter().map(|(text, _)| *text).collect::<Vec<_>>())
}
