//! What stays the same where a service's rules become others.

use super::*;
use crate::meaning::Service;

fn service(text: &str, more: &[(&'static str, &str)]) -> Service {
    let services = read(text, more).services.expect("it has no error");
    services.into_iter().next().expect("it has one")
}

#[test]
fn a_decision_goes_on_as_the_same_about_the_message_of_that_name() {
    let enforced = format!("{SERVICE}mode = \"enforce\"\n");
    let before = service(&enforced, &[]);
    // `notify` comes first there, and `reply` is no message any more.
    let (head, messages) = DNS.split_once("[[message]]").expect("it has some");
    let messages: Vec<_> = messages.split("[[message]]").collect();
    let [query, notify, _] = messages[..] else { panic!("it has three") };
    let after = service(&enforced, &[("dns", &format!("{head}[[message]]{notify}[[message]]{query}"))]);
    let [first, second, third] = [MessageId(0), MessageId(1), MessageId(2)];
    let check =
        |decision, expected| assert_eq!(after.successor_of(decision, &before), expected, "{decision:?}");
    check(Decision::Accepted(first), Some(Decision::Accepted(second)));
    check(Decision::Unwelcome(second), Some(Decision::Unwelcome(first)));
    check(Decision::Unwelcome(third), None);
    check(Decision::Blocked, Some(Decision::Blocked));

    // What passes now was dropped before: those are two counts.
    let observed = service(SERVICE, &[]);
    assert_eq!(observed.successor_of(Decision::Unwelcome(second), &before), None);
    assert_eq!(observed.successor_of(Decision::Accepted(first), &before), Some(Decision::Accepted(first)));
}

#[test]
fn a_limit_keeps_its_buckets_whatever_its_rate() {
    let limited = |limits: &str| service(&format!("{SERVICE}limit = [{limits}]\n"), &[]);
    let source = "per = \"source/32,/56\"";
    let before = limited(&format!(
        "{{ {source}, rate = \"1/s\" }}, {{ {source}, rate = \"2/s\" }}, {{ per = \"all\", rate = \"9/s\" }}"
    ));
    let after = limited(&format!(
        "{{ message = \"query\", {source}, rate = \"7/s\" }}, {{ {source}, rate = \"8/s\" }}, {{ {source}, rate = \"2/s\" }}, \
         {{ per = \"source/24,/56\", rate = \"3/s\" }}"
    ));
    let check = |before_at, expected: Option<usize>| {
        assert_eq!(after.limit_successor(LimitId(before_at), &before), expected.map(LimitId), "{before_at}");
    };
    check(0, Some(1));
    check(1, Some(2));
    // There is none for all any more; and none was there.
    check(2, None);
    check(3, None);
    let over = Decision::OverLimit(MessageId(0), LimitId(1));
    assert_eq!(after.successor_of(over, &before), Some(Decision::OverLimit(MessageId(0), LimitId(2))));
}

#[test]
fn sources_are_known_on_where_they_have_proved_the_same() {
    let knowing = |after: &str, by: &str, lasting: &str| {
        let known = format!("known = {{ after = \"{after}\", by = \"{by}\", for = \"{lasting}\" }}\n");
        let text =
            SERVICE.replace("accept = [\"query\"]", "accept = [{ message = \"query\", from = \"known\" }]");
        let more = "[[message]]\nname = \"proof\"\nwhen = \"flags & 0x8000 != 0 and questions == 1\"\n";
        let (head, last) = DNS.split_once("[[message]]\nname = \"reply\"").expect("it has a reply");
        let own = format!("{head}{more}[[message]]\nname = \"reply\"{last}");
        service(&format!("{text}{known}"), &[("dns", &own)])
    };
    let before = knowing("reply", "source/32,/64", "60s");
    assert!(knowing("reply", "source/32,/64", "5s").knows_whom(&before));
    assert!(!knowing("reply", "source/24,/64", "60s").knows_whom(&before));
    assert!(!knowing("proof", "source/32,/64", "60s").knows_whom(&before));
    assert!(!service(SERVICE, &[]).knows_whom(&before) && !before.knows_whom(&service(SERVICE, &[])));
    let nobody = service(SERVICE, &[]);
    assert!(!nobody.knows_whom(&nobody));
}

#[test]
fn other_lists_are_told_from_other_rules() {
    let listed = |list: &str, more: &str| {
        service(&format!("{SERVICE}block = [\"@blocked\"]\n{more}"), &[("blocked", list)])
    };
    let one = listed("192.0.2.0/24\n", "");
    let check = |other: &Service, expected| assert_eq!(one.differs_in_lists_alone(other), expected);
    check(&one, true);
    check(&listed("198.51.100.0/24\n", ""), true);
    check(&listed("192.0.2.0/24\n", "mode = \"enforce\"\n"), false);
    check(&listed("192.0.2.0/24\n", "limit = [{ per = \"all\", rate = \"1/s\" }]\n"), false);
    let of_sources = |sources: &str| {
        let accepted = format!("accept = [{{ message = \"query\", from = \"{sources}\" }}]");
        service(
            &SERVICE.replace("accept = [\"query\"]", &accepted),
            &[("some", "192.0.2.0/24\n"), ("others", "192.0.2.1\n")],
        )
    };
    assert!(of_sources("@some").differs_in_lists_alone(&of_sources("@others")));
    assert!(!of_sources("@some").differs_in_lists_alone(&service(SERVICE, &[])));
}
