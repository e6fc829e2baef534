//! Protocols' and guards' files, as they are meant to be and as they aren't.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr};

use proptest::prelude::*;
use weir_asm::{Diagnostics, LineColumn, Severity};

use super::{
    Files, GuardReading, NamedText, ProtocolReading, Unavailable, check::Relations, guard, protocol,
};
use crate::meaning::{
    Decision, GuardHook, Listen, Memory, MessageId, Mode, Packet, Party, Per, Senders, SourceKey,
};

const DNS: &str = r#"name = "dns"
[constants]
most = 1232
[fields]
questions = "u16 @ 4"
flags = "u16 @ 2"
[[message]]
name = "query"
length = "12..=most"
when = "flags & 0xf800 == 0 and questions == 1"
[[message]]
name = "notify"
when = "flags & 0xf800 == 0x2000"
[[message]]
name = "reply"
when = "flags & 0x8000 != 0"
"#;

/// The files of these tests: each name's text.
struct Texts(BTreeMap<&'static str, String>);

impl Texts {
    fn get(&self, name: &str) -> Result<NamedText, Unavailable> {
        let text = self.0.get(name).cloned();
        let text =
            text.ok_or_else(|| Unavailable { message: "there is no such file".to_owned(), help: None })?;
        Ok(NamedText { name: name.to_owned(), text })
    }
}

impl Files for Texts {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        self.get(name)
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        self.get(path)
    }
}

fn read(text: &str, more: &[(&'static str, &str)]) -> GuardReading {
    let own = [("dns", DNS)];
    let texts = own.iter().chain(more).map(|(name, text)| (*name, (*text).to_owned()));
    let reading = guard(text, &mut Texts(texts.collect()));
    let has_errors = |diagnostics: &Diagnostics| diagnostics.has_errors();
    let is_wrong =
        has_errors(&reading.diagnostics) || reading.files.iter().any(|file| has_errors(&file.diagnostics));
    assert_eq!(reading.services.is_none(), is_wrong, "what isn't read has an error: {text}");
    reading
}

/// Each diagnostic as `error 3:7 what | what to do`.
fn told(text: &str, diagnostics: &Diagnostics) -> Vec<String> {
    let one = |diagnostic: &weir_asm::Diagnostic| {
        let severity = match diagnostic.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let LineColumn { line, column } = LineColumn::of(text.as_bytes(), diagnostic.span.start);
        let help = diagnostic.help.as_deref().unwrap_or_default();
        format!("{severity} {line}:{column} {} | {help}", diagnostic.message)
    };
    diagnostics.iter().map(one).collect()
}

/// One diagnostic that begins so and has these words, and nothing else.
#[track_caller]
fn assert_told(told: &[String], place: &str, words: &[&str]) {
    let [one] = told else {
        panic!("{place} {words:?} alone is wanted: {told:#?}");
    };
    let has_all = words.iter().all(|word| one.contains(word));
    assert!(one.starts_with(&format!("{place} ")) && has_all, "{place} {words:?} is wanted: {one}");
}

fn read_protocol(text: &str) -> ProtocolReading {
    let reading = protocol(text, &BTreeMap::new());
    assert_eq!(
        reading.protocol.is_none(),
        reading.diagnostics.has_errors(),
        "what isn't read has an error: {text}"
    );
    reading
}

#[test]
fn a_protocol_is_read_with_the_constants_of_a_guard() {
    let source = SocketAddr::from(([192, 0, 2, 1], 4000));
    let query = |len: usize| {
        let mut query = vec![0; len];
        query[5] = 1;
        query
    };
    for (set, len, message) in [(None, 1232, Some(0)), (Some(512), 513, None), (Some(512), 512, Some(0))] {
        let set = set.map(|set| ("most".to_owned(), set)).into_iter().collect();
        let reading = protocol(DNS, &set);
        assert_eq!(told(DNS, &reading.diagnostics), [""; 0]);
        let read = reading.protocol.unwrap();
        let packet = query(len);
        assert_eq!(
            read.message_of(&Packet::whole(source, &packet), Party::Client),
            message.map(MessageId),
            "{len}"
        );
    }
}

#[test]
fn fields_stand_behind_those_that_they_name() {
    let text = "name = \"x\"\n[fields]\nc = \"u8 @ end(b)\"\nb = \"u8 @ end(a) + 1\"\na = \"u8 @ 0\"\n[[message]]\nname = \"m\"\nwhen = \"c == 7\"\n";
    let reading = read_protocol(text);
    assert_eq!(told(text, &reading.diagnostics), [""; 0]);
    let read = reading.protocol.unwrap();
    let names: Vec<_> = read.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let source = SocketAddr::from(([192, 0, 2, 1], 4000));
    assert_eq!(read.message_of(&Packet::whole(source, &[0, 0, 0, 7]), Party::Client), Some(MessageId(0)));
}

#[test]
fn a_message_is_like_any_other_of_the_list() {
    let text = "name = \"x\"\n[fields]\na = \"u8 @ 0\"\n[[message]]\nname = \"both\"\nlike = \"long\"\nwhen = \"a == 1\"\n\
        [[message]]\nname = \"long\"\nlength = \"3..=4\"\n";
    let reading = read_protocol(text);
    assert_eq!(told(text, &reading.diagnostics), [""; 0]);
    let read = reading.protocol.unwrap();
    let source = SocketAddr::from(([192, 0, 2, 1], 4000));
    let message_of = |payload: &[u8]| {
        read.message_of(&Packet::whole(source, payload), Party::Client).map(|message| message.0)
    };
    assert_eq!(message_of(&[1, 0, 0]), Some(0));
    assert_eq!(message_of(&[2, 0, 0]), Some(1));
    assert_eq!(message_of(&[1, 0]), None);
}

#[test]
fn what_is_wrong_with_a_protocol_is_told_in_its_place() {
    // What stands behind the name in line 1.
    let message = "[[message]]\nname = \"m\"\nwhen = \"true\"\n";
    let rows: &[(&str, &str, &[&str])] = &[
        ("a = \n", "error 2:5", &["not TOML"]),
        ("", "error 1:1", &["'message' is missing"]),
        (&format!("nane = 1\n{message}"), "error 2:1", &["unknown key 'nane'", "'name'"]),
        (&format!("source = 1\n{message}"), "error 2:10", &["'source' is a string", "a whole number"]),
        (&format!("[constants]\nmost = -1\n{message}"), "error 3:8", &["'most' is a number from 0"]),
        (&format!("[constants]\nMost = 1\n{message}"), "error 3:1", &["'Most' can't be the name"]),
        (&format!("[constants]\nend = 1\n{message}"), "error 3:1", &["'end'", "word of the language"]),
        (&format!("[fields]\na-b = \"u8 @ 0\"\n{message}"), "error 3:1", &["'a-b'", "a-z"]),
        (
            &format!("[constants]\na = 1\n[fields]\na = \"u8 @ 0\"\n{message}"),
            "error 5:1",
            &["a constant already"],
        ),
        (&format!("[fields]\na = 0\n{message}"), "error 3:5", &["'a' is a string"]),
        (
            &format!("[fields]\na = \"u8 @ end(c)\"\nb = \"u8 @ end(a)\"\nc = \"u8 @ end(b)\"\n{message}"),
            "error 3:1",
            &["field needs itself", "a → c → b → a"],
        ),
        ("[[message]]\nwhen = \"true\"\n", "error 2:1", &["'name' is missing"]),
        ("[[message]]\nmane = \"m\"\nname = \"m\"\nwhen = \"true\"\n", "error 3:1", &["unknown key 'mane'"]),
        ("[[message]]\nname = \"m\"\n", "error 2:1", &["tells this message's packets", "every packet"]),
        ("[[message]]\nname = \"m x\"\nwhen = \"true\"\n", "error 3:8", &["'m x' can't be a name"]),
        (&format!("{message}{message}"), "error 6:8", &["a second message 'm'"]),
        (
            "[[message]]\nname = \"abc\"\nlike = \"adc\"\n",
            "error 4:8",
            &["no message 'adc'", "did you mean 'abc'?"],
        ),
        (
            "[[message]]\nname = \"a\"\nlike = \"b\"\n[[message]]\nname = \"b\"\nlike = \"a\"\n",
            "error 4:8",
            &["message needs itself", "a → b → a"],
        ),
        (
            "[message]\nname = \"m\"\nwhen = \"true\"\n",
            "error 2:1",
            &["'message' is an array", "not a table"],
        ),
        ("[[message]]\nname = \"m\"\nwhen = \"flags == 1\"\n", "error 4:9", &["flags"]),
    ];
    for (rest, place, words) in rows {
        let text = format!("name = \"x\"\n{rest}");
        let reading = read_protocol(&text);
        assert_told(&told(&text, &reading.diagnostics), place, words);
        assert!(reading.protocol.is_none(), "{text}");
    }
}

#[test]
fn several_faults_are_told_at_once() {
    let text = "nam = \"x\"\n[fields]\na = 1\nb = \"u8 @\"\n[[message]]\nname = \"m\"\nlike = \"n\"\nlenght = \"4\"\n";
    let told = told(text, &read_protocol(text).diagnostics);
    let lines: Vec<_> = told.iter().map(|one| one.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["error 1", "error 3", "error 4", "error 8", "error 7"], "{told:#?}");
}

#[test]
fn messages_that_no_packet_is_are_warned_of() {
    let fields = "name = \"x\"\n[fields]\na = \"u8 @ 0\"\nb = \"u32 @ 8\"\nn = \"dns-name @ 12\"\n";
    /// What messages are, and where a warning stands with which words in it.
    type Row<'a> = (&'a str, Option<(&'a str, &'a [&'a str])>);
    let rows: &[Row<'_>] = &[
        ("[[message]]\nname = \"m\"\nlength = \"..=11\"\nwhen = \"b == 1\"\n", None),
        (
            "[[message]]\nname = \"m\"\nlength = \"4..=11\"\nwhen = \"b == 1\"\n",
            Some(("warning 9:8", &["needs 12 bytes", "at most 11"])),
        ),
        (
            "[[message]]\nname = \"m\"\nwhen = \"a == 1 and a == 2\"\n",
            Some(("warning 8:8", &["contradicts itself"])),
        ),
        (
            "[[message]]\nname = \"m\"\nwhen = \"a < 9\"\n[[message]]\nname = \"n\"\nlike = \"m\"\nwhen = \"b == 1\"\n",
            Some(("warning 12:8", &["'m', which is tried before it", "put 'n' before 'm'"])),
        ),
        (
            "[[message]]\nname = \"m\"\nwhen = \"a < 9\"\n[[message]]\nname = \"n\"\nwhen = \"a in 1..=5 and b == 2\"\n",
            Some(("warning 11:8", &["no packet is 'n'"])),
        ),
        (
            "[[message]]\nname = \"m\"\nwhen = \"a < 9\"\n[[message]]\nname = \"n\"\nwhen = \"a in 1..=10\"\n",
            None,
        ),
        ("[[message]]\nname = \"m\"\nwhen = \"b < 9\"\n[[message]]\nname = \"n\"\nwhen = \"a == 1\"\n", None),
        // A field that is absent makes the earlier one absent too.
        (
            "[[message]]\nname = \"m\"\nwhen = \"a == 1 or b == 1\"\n[[message]]\nname = \"n\"\nwhen = \"a == 1\"\n",
            None,
        ),
    ];
    for (messages, warned) in rows {
        let text = format!("{fields}{messages}");
        let reading = read_protocol(&text);
        let told = told(&text, &reading.diagnostics);
        match warned {
            Some((place, words)) => {
                assert_told(&told, place, words);
                assert!(reading.protocol.is_some(), "{text}");
            }
            None if messages.contains("..=11") => assert!(told[0].starts_with("error"), "{told:?}"),
            None => assert_eq!(told, [""; 0], "{text}"),
        }
    }
}

const SERVICE: &str =
    "[[service]]\nname = \"dns\"\nlisten = \"udp/53\"\nprotocol = \"dns\"\naccept = [\"query\"]\n";

/// The reference's, all in one.
const GUARD: &str = r#"[[service]]
name     = "dns"
listen   = "udp/[2001:db8::1]:53"
at       = "tc"
interfaces = ["eth0"]
unit     = "unbound.service"
pid      = 1234
mode     = "enforce"
protocol = "dns"
constants = { most = 512 }
accept   = ["query", { message = "notify", from = "@secondaries.txt", when = "questions == 1" }]
allow    = ["192.0.2.0/24", "@office.txt"]
block    = ["@blocked.txt"]
limit    = [{ per = "source/32,/56", rate = "200/s", burst = 400 },
            { message = "notify", per = "all", rate = "10/m" }]
known    = { after = "reply", by = "source+port/32,/64", for = "60s" }
fragments = "pass"
sample   = { dropped = "10/s", to = "dropped.pcapng" }
"#;

#[test]
fn a_guard_is_read_as_the_reference_has_it() {
    let text = GUARD;
    let lists = [
        ("secondaries.txt", "203.0.113.7 # ns2\n"),
        ("office.txt", "# the office\n\n2001:db8:1::/48\r\n"),
        ("blocked.txt", "198.51.100.0/24\n"),
    ];
    let reading = read(text, &lists);
    assert_eq!(told(text, &reading.diagnostics), [""; 0]);
    let services = reading.services.unwrap();
    let [service] = &services[..] else { panic!("one service is there") };
    assert_eq!(service.listen, Listen { address: Some("2001:db8::1".parse().unwrap()), port: 53 });
    assert_eq!(service.at.hook, Some(GuardHook::Tc));
    assert_eq!((service.at.unit.as_deref(), service.at.pid), (Some("unbound.service"), Some(1234)));
    assert_eq!(service.mode, Mode::Enforce);
    assert_eq!((service.allow.prefixes().len(), service.block.prefixes().len()), (2, 1));
    assert!(
        matches!(&service.accept[1].from, Senders::Listed(list) if list.contains([203, 0, 113, 7].into()))
    );
    let limits: Vec<_> =
        service.limits.iter().map(|limit| (limit.rate.interval.get(), limit.rate.burst.get())).collect();
    assert_eq!(limits, [(5_000_000, 400), (6_000_000_000, 1)]);
    assert_eq!(service.limits[0].per, Per::Source(SourceKey { v4: 32, v6: 56, has_port: false }));
    let known = service.known.as_ref().unwrap();
    assert_eq!(
        (known.after.clone(), known.by.has_port, known.lasting.as_secs()),
        (vec![MessageId(2)], true, 60)
    );
    let decided = |source: [u8; 4], payload: &[u8]| {
        let packet = Packet::whole(SocketAddr::from((source, 4000)), payload);
        service.decide(&packet, &mut Memory::default(), 0)
    };
    let (query, notify) = ([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0x20, 0, 0, 1]);
    assert_eq!(decided([203, 0, 113, 8], &query), Decision::Accepted(MessageId(0)));
    assert_eq!(decided([203, 0, 113, 7], &notify), Decision::Accepted(MessageId(1)));
    assert_eq!(decided([203, 0, 113, 8], &notify), Decision::Unwelcome(MessageId(1)));
    assert_eq!(decided([192, 0, 2, 1], b"?"), Decision::Allowed);
    assert_eq!(decided([198, 51, 100, 1], &query), Decision::Blocked);
}

#[test]
fn what_is_wrong_with_a_guard_is_told_in_its_place() {
    // A line of SERVICE to leave out, those to put behind it, and what is told.
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("", "adress = 1", "error 6:1", &["unknown key 'adress'"]),
        ("", "alow = []", "error 6:1", &["'alow'", "did you mean 'allow'?"]),
        ("name", "", "error 1:1", &["'name' is missing"]),
        ("listen", "", "error 1:1", &["'listen' is missing"]),
        ("listen", "lisen = \"udp/53\"", "error 5:1", &["'lisen'", "did you mean 'listen'?"]),
        ("listen", "listen = \"tcp/53\"", "error 5:10", &["no UDP address", "udp/53"]),
        ("listen", "listen = \"udp/+53\"", "error 5:10", &["no address and port"]),
        ("listen", "listen = \"udp/0\"", "error 5:10", &["port 0"]),
        ("listen", "listen = \"udp/0.0.0.0:53\"", "error 5:10", &["'udp/53'"]),
        ("", "at = \"socet\"", "error 6:6", &["'socet'", "did you mean 'socket'?"]),
        ("", "at = \"socket\"\ninterfaces = [\"eth0\"]", "error 7:14", &["every interface"]),
        ("", "interfaces = [\"eth0/1\"]", "error 6:15", &["can't be an interface"]),
        ("", "unit = \"unbound\"", "error 6:8", &["unbound.service"]),
        ("", "pid = 0", "error 6:7", &["'pid' is a number from 1"]),
        ("", "mode = \"drop\"", "error 6:8", &["observe, enforce"]),
        ("protocol", "protocol = \"dsn\"", "error 5:12", &["'dsn' can't be read", "no such file"]),
        ("protocol", "protocol = []", "error 5:12", &["has a protocol"]),
        ("protocol", "protocol = [\"dns\", \"dns\"]", "error 5:20", &["a second protocol 'dns'"]),
        ("", "constants = { mots = 5 }", "error 6:15", &["no protocol", "'mots'", "did you mean 'most'?"]),
        ("", "constants = { most = \"5\" }", "error 6:22", &["'most' is a whole number"]),
        ("accept", "accept = [\"qery\"]", "error 5:11", &["no message 'qery'", "did you mean 'query'?"]),
        ("accept", "accept = [7]", "error 5:11", &["'accept' is a table"]),
        ("accept", "accept = []", "warning 5:10", &["no message is accepted"]),
        ("accept", "accept = [\"query\", \"query\"]", "warning 5:20", &["accepted already"]),
        ("accept", "accept = [{ message = \"query\", from = \"known\" }]", "error 5:39", &["known", "after"]),
        ("accept", "accept = [{ message = \"query\", from = [] }]", "error 5:39", &["nobody"]),
        ("accept", "accept = [{ message = \"query\", when = \"most == x\" }]", "error 5:48", &["'x'"]),
        ("", "allow = [\"192.0.2.1/24\"]", "error 6:10", &["bits behind", "'192.0.2.0/24'", "'192.0.2.1'"]),
        ("", "allow = [\"192.0.2.0/33\"]", "error 6:10", &["is no prefix"]),
        ("", "allow = [\"known\"]", "error 6:10", &["'known'", "alone"]),
        ("", "block = [\"@none.txt\"]", "error 6:10", &["the list 'none.txt' can't be read"]),
        ("", "limit = [{ per = \"all\" }]", "error 6:10", &["'rate' is missing"]),
        ("", "limit = [{ per = \"al\", rate = \"1/s\" }]", "error 6:18", &["no kind of source"]),
        ("", "limit = [{ per = \"source/33,/64\", rate = \"1/s\" }]", "error 6:18", &["at most 32"]),
        ("", "limit = [{ per = \"all\", rate = \"0/s\" }]", "error 6:32", &["lets nothing pass"]),
        ("", "limit = [{ per = \"all\", rate = \"10000001/s\" }]", "error 6:32", &["more than 10000000"]),
        ("", "limit = [{ per = \"all\", rate = \"1/d\" }]", "error 6:32", &["no rate", "'1/h'"]),
        ("", "limit = [{ per = \"all\", rate = \"1/s\", burst = 0 }]", "error 6:47", &["'burst'", "from 1"]),
        (
            "",
            "limit = [{ message = \"reply\", per = \"all\", rate = \"1/s\" }]",
            "warning 6:22",
            &["not accepted"],
        ),
        (
            "",
            "limit = [{ per = \"all\", rate = \"1/s\" }, { per = \"all\", rate = \"2/s\" }]",
            "warning 6:41",
            &["a second limit"],
        ),
        ("", "known = { after = \"reply\", by = \"source/32,/64\" }", "error 6:9", &["'for' is missing"]),
        (
            "",
            "known = { after = \"reply\", by = \"source/32,/64\", for = \"0s\" }",
            "error 6:56",
            &["a year"],
        ),
        (
            "",
            "known = { after = \"x\", by = \"source/32,/64\", for = \"1s\" }",
            "error 6:19",
            &["no message 'x'"],
        ),
        ("", "fragments = \"keep\"", "error 6:13", &["drop, pass"]),
        ("", "sample = { dropped = \"1/s\" }", "error 6:10", &["'to' is missing"]),
        (
            "",
            "[[service]]\nname = \"dns\"\nlisten = \"udp/54\"\nprotocol = \"dns\"\naccept = [\"query\"]",
            "error 7:8",
            &["a second service 'dns'"],
        ),
        (
            "",
            "[[service]]\nname = \"b\"\nlisten = \"udp/192.0.2.1:53\"\nprotocol = \"dns\"\naccept = [\"query\"]",
            "error 8:10",
            &["port 53"],
        ),
    ];
    for (left_out, lines, place, words) in rows {
        let kept = SERVICE.lines().filter(|line| left_out.is_empty() || !line.starts_with(left_out));
        let text: String = kept.chain([*lines]).flat_map(|line| [line, "\n"]).collect();
        let reading = read(&text, &[]);
        assert_told(&told(&text, &reading.diagnostics), place, words);
        assert_eq!(reading.services.is_none(), place.starts_with("error"), "{text}");
    }
}

#[test]
fn services_of_other_addresses_share_a_port() {
    let other = SERVICE.replace("udp/53", "udp/192.0.2.1:53");
    let text = format!(
        "{other}{}",
        other.replace("192.0.2.1", "192.0.2.2").replace("name = \"dns\"", "name = \"b\"")
    );
    assert_eq!(read(&text, &[]).services.map(|services| services.len()), Some(2));
}

#[test]
fn faults_of_a_list_are_the_lists() {
    let text = format!("{SERVICE}block = [\"@blocked\"]\n");
    let list = "# from the office\n192.0.2.0/24\n  192.0.2.7/24 # twice\n";
    let reading = read(&text, &[("blocked", list)]);
    assert_eq!(told(&text, &reading.diagnostics), [""; 0]);
    assert_eq!(
        reading.files.iter().map(|file| file.file.name.as_str()).collect::<Vec<_>>(),
        ["dns", "blocked"]
    );
    assert_told(&told(list, &reading.files[1].diagnostics), "error 3:3", &["192.0.2.0/24"]);
    assert!(reading.services.is_none());
}

#[test]
fn faults_of_a_protocol_are_told_once() {
    let text = format!(
        "{SERVICE}{}",
        SERVICE.replace("53", "54").replace("name = \"dns\"", "name = \"b\"\nconstants = { most = 1 }")
    );
    let broken = DNS.replace("u16 @ 4", "u16 @");
    let reading = read(&text, &[("dns", &broken)]);
    assert_eq!(told(&text, &reading.diagnostics), [""; 0]);
    let told = told(&broken, &reading.files[0].diagnostics);
    assert!(told.len() == 1 && told[0].starts_with("error 5:"), "{told:?}");
    assert!(reading.services.is_none());
}

#[test]
fn messages_of_several_protocols_are_told_apart() {
    let other =
        DNS.replace("name = \"dns\"", "name = \"other\"").replace("flags & 0xf800 == 0 ", "flags == 0xffff ");
    let text = |accept: &str| {
        SERVICE.replace("\"dns\"\naccept", "[\"dns\", \"other\"]\naccept").replace("[\"query\"]", accept)
    };
    let more = [("other", &*other)];
    let ambiguous = text("[\"query\"]");
    let found = read(&ambiguous, &more).diagnostics;
    assert_told(&told(&ambiguous, &found), "error 5:11", &["several", "dns.query or other.query"]);
    let good = text("[\"dns.query\", { message = \"other.query\", when = \"flags == 0xffff\" }]");
    let reading = read(&good, &more);
    // The other's query is a reply of the first.
    assert_eq!(told(&good, &reading.diagnostics), [""; 0]);
    let services = reading.services.unwrap();
    assert_eq!(services[0].protocol.messages.len(), 6);
    let mut fields = services[0].accept[1].when.clone();
    fields.shift_fields(0);
    assert_eq!(format!("{fields:?}").matches("FieldId(3)").count(), 1, "{fields:?}");
}

#[test]
fn what_another_protocol_hides_is_not_accepted() {
    let every = "name = \"every\"\n[[message]]\nname = \"packet\"\nwhen = \"true\"\n";
    let text = SERVICE.replace("\"dns\"\naccept", "[\"every\", \"dns\"]\naccept");
    let reading = read(&text, &[("every", every)]);
    assert_told(&told(&text, &reading.diagnostics), "error 5:11", &["no packet is 'query'", "'packet'"]);
}

#[test]
fn a_message_that_is_evaded_by_a_cut_is_warned_of() {
    let protocol = "name = \"x\"\n[fields]\na = \"u8 @ 0\"\nb = \"u32 @ 8\"\n[[message]]\nname = \"strict\"\nlike = \"wide\"\nwhen = \"b == 1\"\n\
        [[message]]\nname = \"wide\"\nlength = \"4..=100\"\nwhen = \"a == 1\"\n";
    let text = SERVICE.replace("protocol = \"dns\"", "protocol = \"x\"");
    let read = |accept: &str| {
        let text = text.replace("[\"query\"]", accept);
        let reading = read(&text, &[("x", protocol)]);
        assert!(reading.services.is_some());
        told(&text, &reading.diagnostics)
    };
    assert_told(&read("[\"wide\"]"), "warning 5:11", &["'strict'", "cut to 4 bytes", "'wide'"]);
    assert_eq!(read("[\"wide\", \"strict\"]"), [""; 0]);
    assert_eq!(read("[\"strict\"]"), [""; 0]);
}

#[test]
fn an_error_is_told_although_there_are_many_warnings() {
    let mut text = SERVICE.replace("[\"query\"]", &format!("[{}]", "\"query\", ".repeat(60)));
    assert!(read(&text, &[]).services.is_some(), "warnings don't stand in the way");
    text.push_str("[[service]]\nname = \"b\"\n");
    let reading = read(&text, &[]);
    assert!(reading.services.is_none());
    assert!(reading.diagnostics.has_errors() && reading.diagnostics.has_more());
}

#[test]
fn hostile_protocols_are_refused_without_delay() {
    let fields = |line: &dyn Fn(usize) -> String, count| {
        let mut text = "name = \"x\"\n[fields]\n".to_owned();
        (0..count).for_each(|at| text.push_str(&line(at)));
        text + "[[message]]\nname = \"m\"\nwhen = \"true\"\n"
    };
    let messages = |line: &dyn Fn(usize) -> String, count| {
        let mut text = "name = \"x\"\n[fields]\na = \"u32 @ 0\"\n".to_owned();
        (0..count).for_each(|at| write!(text, "[[message]]\nname = \"m{at}\"\n{}\n", line(at)).unwrap());
        text
    };
    let chain = |at| format!("f{at} = \"u8 @ end(f{})\"\n", at + 1);
    let rows = [
        (fields(&|at| chain(at), 900), "no field or constant"),
        (
            fields(&|at| if at == 899 { "f899 = \"u8 @ 0\"\n".to_owned() } else { chain(at) }, 900),
            "at most 256",
        ),
        (
            fields(&|at| format!("f{at} = \"u8 @ end(f{}) + end(f{})\"\n", at + 1, at + 1), 99),
            "no field or constant",
        ),
        (
            fields(
                &|at| {
                    if at == 98 {
                        "f98 = \"u8 @ 0\"\n".to_owned()
                    } else {
                        format!("f{at} = \"u8 @ end(f{0}) + end(f{0})\"\n", at + 1)
                    }
                },
                99,
            ),
            "at most 256",
        ),
        (
            fields(&|at| format!("f{at} = \"u8 @ end(f{})\"\n", (at + 1) % 900), 900),
            "f0 → f1 → f2 → f3 → f4 → f5 → … → f0",
        ),
        (fields(&|at| format!("f{at} = \"u8 @ 0\"\n"), 20_000), "more than 1000 fields"),
        (
            messages(&|at| format!("like = \"m{}\"\nwhen = \"a == {at}\"", (at + 1).min(9_998)), 9_999),
            "needs itself",
        ),
        (
            messages(
                &|at| {
                    if at == 9_998 {
                        "when = \"a == 1\"".to_owned()
                    } else {
                        format!("like = \"m{}\"\nwhen = \"a == {at}\"", at + 1)
                    }
                },
                9_999,
            ),
            "more than 100000 parts",
        ),
        (messages(&|at| format!("like = \"n{at}\""), 10_000), "no message 'n0'"),
        (messages(&|_| "when = \"true\"".to_owned(), 10_001), "more than 10000 messages"),
        (format!("name = {}1{}", "[".repeat(100_000), "]".repeat(100_000)), "not TOML"),
        (format!("{} = 1", vec!["a"; 100_000].join(".")), "not TOML"),
        (
            format!(
                "name = \"x\"\n[[message]]\nname = \"m\"\nwhen = \"{}true{}\"",
                "(".repeat(1000),
                ")".repeat(1000)
            ),
            "",
        ),
        (format!("name = \"x\"\n[[message]]\nname = \"{}\"", "m".repeat(1_000_000)), "can't be a name"),
        (format!("\"{}\" = 1", "m".repeat(1_000_000)), "unknown key"),
        ("\u{fffd}\0\"[=".repeat(130_000), "not TOML"),
        ("a".repeat(2_000_000), "at most 1048576 are read"),
    ];
    for (text, words) in rows {
        let reading = read_protocol(&text);
        let told = told(&text, &reading.diagnostics);
        let start = text.chars().take(40).collect::<String>();
        assert!(
            reading.protocol.is_none() && told.iter().any(|one| one.contains(words)),
            "{start}: {words}: {told:?}"
        );
        assert!(told.iter().all(|one| one.len() < 1000), "{start}: a diagnostic is as long as the file");
    }
}

#[test]
fn ten_thousand_messages_are_read() {
    let mut text = "name = \"x\"\n[fields]\na = \"u32 @ 0\"\n".to_owned();
    (0..10_000).for_each(|at| write!(text, "[[message]]\nname = \"m{at}\"\nwhen = \"a == {at}\"\n").unwrap());
    let reading = read_protocol(&text);
    assert_eq!(told(&text, &reading.diagnostics), [""; 0]);
    assert_eq!(reading.protocol.map(|protocol| protocol.messages.len()), Some(10_000));
}

#[test]
fn thousands_of_services_share_their_protocols() {
    let mut text = String::new();
    for port in 1..=5_000 {
        let service = SERVICE
            .replace("name = \"dns\"", &format!("name = \"s{port}\""))
            .replace("udp/53", &format!("udp/{port}"));
        text.push_str(&service);
    }
    let reading = read(&text, &[]);
    assert_eq!(told(&text, &reading.diagnostics), [""; 0]);
    assert_eq!(reading.services.map(|services| services.len()), Some(5_000));
    assert_eq!(reading.files.len(), 1);
}

#[test]
fn a_list_of_a_million_prefixes_is_read() {
    let mut list = String::with_capacity(16_000_000);
    (0..1_000_000_u32).for_each(|at| writeln!(list, "{}/31", std::net::Ipv4Addr::from(at * 4)).unwrap());
    let text = format!("{SERVICE}block = [\"@list\"]\n");
    let services = read(&text, &[("list", &list)]).services.unwrap();
    assert_eq!(services[0].block.prefixes().len(), 1_000_000);
    let many = format!("{SERVICE}block = [{}]\n", "\"@list\", ".repeat(5));
    let reading = read(&many, &[("list", &list)]);
    assert_told(&told(&many, &reading.diagnostics), "error 6:46", &["more than 4194304 prefixes"]);
}

#[test]
fn garbage_in_a_list_is_told_by_the_first_lines_alone() {
    let text = format!("{SERVICE}block = [\"@list\"]\n");
    let reading = read(&text, &[("list", &"garbage\n".repeat(1_000_000))]);
    let found = &reading.files[1].diagnostics;
    assert_eq!((found.iter().count(), found.has_more()), (Diagnostics::LIMIT, true));
}

proptest! {
    /// Pieces of a file are put elsewhere, and what is between them is random.
    #[test]
    fn files_with_anything_in_them_are_read_or_have_an_error(
        cuts in prop::collection::vec((0..GUARD.len(), 0..40_usize, 0..GUARD.len(), "\\PC{0,3}"), 1..6)
    ) {
        for whole in [GUARD, DNS] {
            let mut text = whole.to_owned();
            for (from, len, to, between) in &cuts {
                let from = from % whole.len();
                let piece = &whole[from..(from + len).min(whole.len())];
                let to = (0..=to % text.len()).rev().find(|to| text.is_char_boundary(*to)).unwrap_or(0);
                let behind = (to..text.len()).nth(*len).filter(|behind| text.is_char_boundary(*behind)).unwrap_or(to);
                text.replace_range(to..behind, &format!("{between}{piece}"));
            }
            read_protocol(&text);
            read(&text, &[("office.txt", "192.0.2.0/24\n")]);
            read(GUARD, &[("dns", &text), ("office.txt", &text)]);
        }
    }
}

/// Conditions that say much the same, for messages that hide each other.
const CONDITIONS: [&str; 14] = [
    "a == 1",
    "a < 3",
    "a in 1..=2",
    "a != 1",
    "b == 0",
    "b >= 0x100",
    "c == 1 or a == 1",
    "not (c == 1 and b == 0)",
    "t == 'x' or t == 'y'",
    "len >= 4",
    "len in 3..=9",
    "rest(a) > 2",
    "end(t) <= len",
    "source_port != 1",
];

proptest! {
    /// What is shown of messages holds for packets.
    #[test]
    fn no_packet_is_a_message_that_is_hidden_and_cut_packets_are_what_is_said(
        messages in prop::collection::vec((prop::collection::vec(0..CONDITIONS.len(), 1..4), any::<bool>()), 2..6),
        packets in prop::collection::vec(prop::collection::vec(0..3_u8, 0..12), 40),
    ) {
        let mut text = "name = \"x\"\n[fields]\na = \"u8 @ 0\"\nb = \"u16 @ 2\"\nc = \"u8 @ a + 3\"\nt = \"text behind u8 @ 4\"\n".to_owned();
        for (at, (conditions, is_like)) in messages.iter().enumerate() {
            let when: Vec<_> = conditions.iter().map(|condition| CONDITIONS[*condition]).collect();
            writeln!(text, "[[message]]\nname = \"m{at}\"\nwhen = \"({})\"", when.join(") and (")).unwrap();
            if *is_like && at > 0 {
                writeln!(text, "like = \"m{}\"", at - 1).unwrap();
            }
        }
        let reading = read_protocol(&text);
        let protocol = reading.protocol.unwrap();
        let relations = Relations::of(&protocol, &mut { Relations::STEPS });
        for packet in &packets {
            let packet = Packet::whole(SocketAddr::from(([192, 0, 2, 1], 4000)), packet);
            if let Some(message) = protocol.message_of(&packet, Party::Client) {
                prop_assert!(!relations.hidden_by.contains_key(&message), "{text}{packet:?}");
                let warning = format!("no packet is '{}'", protocol.message(message).name);
                prop_assert!(reading.diagnostics.iter().all(|each| !each.message.contains(&warning)), "{text}{packet:?}");
            }
            for cut in &relations.cuts {
                let is = |id, packet: &Packet<'_>| protocol.message(id).when.of(packet, &protocol.fields).is_true();
                if is(cut.strict, &packet) {
                    let short = Packet::whole(packet.source, &packet.payload[..cut.len as usize]);
                    prop_assert!(!is(cut.strict, &short) && is(cut.wide, &short), "{cut:?} {text}{packet:?}");
                }
            }
        }
    }
}
