//! A filter that takes over from another: it finds what the other one remembered.

use weir_filters::{Blocklist, Filter, FilterName, Site, Toolkit, Until};
use weir_hooks::maps::Update;

use super::{both, bound, load, load_filter, received, sender};
use crate::{Test, once};

pub(crate) const TESTS: &[Test] = &[
    once("a_successor_shares_the_maps_that_both_have", || both(a_successor_shares_the_maps_that_both_have)),
    once("a_successor_without_a_memory_has_nothing_to_share", || both(a_successor_without_a_memory)),
    once("a_quota_goes_on_where_it_was", || both(a_quota_goes_on_where_it_was)),
];

fn a_successor_shares_the_maps_that_both_have(toolkit: Toolkit) {
    let filter = load(toolkit, "blocklist+known-key", &Site::socket());
    filter.key_map().expect("it has one").update(7, 1, Update::Any).expect("there is room");
    let mut list = Blocklist::default();
    list.block("127.0.0.2/32".parse().expect("a prefix"), Until::Unblocked);
    filter.set_blocklist(&list).expect("set");

    let next: Filter = "blocklist+quota+known-key".parse().expect("a chain");
    let next = filter.load_successor(next, other(toolkit)).expect("it loads");
    assert_eq!(next.key_map().expect("it has one").get(7).expect("read"), Some(1));
    next.key_map().expect("it has one").update(8, 1, Update::Any).expect("there is room");
    assert_eq!(filter.key_map().expect("it has one").get(8).expect("read"), Some(1), "both are one");
    drop(filter);

    let (socket, address) = bound("127.0.0.1:0");
    let _attached = next.attach(&socket).expect("attach");
    for (source, expected) in [("127.0.0.2", 0), ("127.0.0.1", 1)] {
        sender(source).send_to(b"GET\x07\0\0\0", address).expect("send");
        assert_eq!(received(&socket), expected, "{source}");
    }
}

fn a_successor_without_a_memory(toolkit: Toolkit) {
    let filter = load(toolkit, "blocklist+valid-command", &Site::socket());
    let next = filter.load_successor(FilterName::ValidCommand.into(), Toolkit::Aya).expect("it loads");
    assert!(next.key_map().is_err() && next.set_blocklist(&Blocklist::default()).is_err());
    let back = next.load_successor("blocklist+valid-command".parse().expect("a chain"), Toolkit::Fun);
    assert!(back.expect("it loads").set_blocklist(&Blocklist::default()).is_ok());
}

fn a_quota_goes_on_where_it_was(toolkit: Toolkit) {
    let (socket, address) = bound("127.0.0.1:0");
    let quota = "1/3".parse().expect("a quota");
    let filter = load_filter(toolkit, Filter { quota, ..FilterName::Quota.into() }, &Site::socket());
    let attached = filter.attach(&socket).expect("attach");
    let from = sender("127.0.0.1");
    let send = || {
        from.send_to(b"PUT", address).expect("send");
        received(&socket)
    };
    assert_eq!([send(), send(), send()], [1; 3]);
    let next = Filter { quota, ..Filter::from(FilterName::Quota) };
    let next = filter.load_successor(next, other(toolkit)).expect("it loads");
    attached.replace(&next).expect("replaced");
    assert_eq!(send(), 0, "the bucket is as empty as before");
}

/// The other toolkit: maps are handed on between them, too.
fn other(toolkit: Toolkit) -> Toolkit {
    if toolkit == Toolkit::Fun { Toolkit::Aya } else { Toolkit::Fun }
}
