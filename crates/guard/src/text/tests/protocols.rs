//! Protocols: what is read, and what is said of those that are wrong.

use super::*;

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
