//! Guards: what is read, and what is said of those that are wrong.

use super::*;

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
    assert_eq!(service.at.network.as_deref(), Some("inner"));
    assert_eq!(service.at.unit.as_deref(), Some("unbound.service"));
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
        ("", "at = \"tc\"\ncgroup = \"/sys/fs/cgroup/a\"", "error 7:10", &["at = \"cgroup\""]),
        ("", "cgroup = \"system.slice\"", "error 6:10", &["its whole path"]),
        ("", "unit = \"unbound\"", "error 6:8", &["unbound.service"]),
        ("", "netns = \"run/netns/a\"", "error 6:9", &["can't be a network namespace", "`ip netns`"]),
        ("", "keep = 1", "error 6:8", &["neither true nor false"]),
        ("", "netns = \"..\"", "error 6:9", &["can't be a network namespace"]),
        ("", "pid = 0", "error 6:7", &["'pid' is a number from 1"]),
        ("", "at = \"tc\"\npid = 1", "error 7:7", &["whoever has its sockets", "at = \"socket\""]),
        ("", "pid = 1\nat = \"xdp\"", "error 6:7", &["whoever has its sockets"]),
        (
            "",
            "at = \"cgroup\"\ncgroup = \"/a\"\npid = 1",
            "error 8:7",
            &["whichever process", "leave 'pid' or"],
        ),
        (
            "",
            "interfaces = [\"eth0\"]\npid = 1",
            "error 7:7",
            &["'pid' is of the hook socket, and 'interfaces' of tc"],
        ),
        ("", "interfaces = [\"eth0\"]\ncgroup = \"/a\"", "error 7:10", &["'cgroup'", "of tc", "leave one"]),
        (
            "",
            "cgroup = \"/a\"\npid = 1",
            "error 7:7",
            &["'pid' is of the hook socket, and 'cgroup' of cgroup"],
        ),
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
fn a_process_is_named_where_its_sockets_are_found() {
    for at in ["auto", "socket", "cgroup"] {
        let reading = read(&format!("{SERVICE}at = \"{at}\"\npid = 1234\nunit = \"unbound.service\"\n"), &[]);
        assert_eq!(reading.services.map(|services| services[0].at.pid), Some(Some(1234)), "{at}");
    }
}

#[test]
fn services_of_other_addresses_or_namespaces_share_a_port() {
    let one = SERVICE.replace("udp/53", "udp/192.0.2.1:53");
    let second = one.replace("name = \"dns\"", "name = \"b\"");
    for other in [second.replace("192.0.2.1", "192.0.2.2"), format!("{second}netns = \"inner\"\n")] {
        assert_eq!(read(&format!("{one}{other}"), &[]).services.map(|services| services.len()), Some(2));
    }
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
fn it_is_known_where_each_rule_stands() {
    let lists = ["secondaries.txt", "office.txt", "blocked.txt"].map(|name| (name, "203.0.113.7\n"));
    let reading = read(GUARD, &lists);
    let [places] = &reading.places[..] else { panic!("one service is there") };
    let text = |part| {
        let (file, span) = places.of(part)?;
        Some(&file.map_or(GUARD, |at| &reading.files[at].file.text)[span.range()])
    };
    assert_eq!(text(ServicePart::Listen), Some("\"udp/[2001:db8::1]:53\""));
    assert_eq!(text(ServicePart::Block), Some("[\"@blocked.txt\"]"));
    assert_eq!(
        [0, 1, 2].map(|at| text(ServicePart::Field(FieldId(at)))),
        [Some("questions"), Some("flags"), None]
    );
    let conjuncts = [0, 1, 2, 3].map(|at| text(ServicePart::Conjunct(MessageId(0), at)));
    assert_eq!(conjuncts, [Some("12..=most"), Some("flags & 0xf800 == 0"), Some("questions == 1"), None]);
    assert_eq!(text(ServicePart::Conjunct(MessageId(1), 0)), Some("flags & 0xf800 == 0x2000"));
    assert_eq!(text(ServicePart::Message(MessageId(1))), Some("\"flags & 0xf800 == 0x2000\""));
    assert!(
        text(ServicePart::Accept(1)).is_some_and(|text| text.starts_with("{ message = \"notify\", from"))
    );
    assert!(text(ServicePart::Limit(LimitId(1))).is_some_and(|text| text.ends_with("rate = \"10/m\" }")));
}
