//! `blocklist` and `quota`.

use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use weir_filters::{Blocklist, Filter, Moment, Quota, Site, Toolkit, Until};

use super::{both, bound, load, load_filter, received, sender};
use crate::{Test, once};

pub(crate) const TESTS: &[Test] = &[
    once("a_blocked_prefix_is_dropped_by_ipv4_and_by_ipv6", || both(a_blocked_prefix_is_dropped)),
    once("a_socket_for_both_versions_blocks_ipv4_sources", || {
        both(a_socket_for_both_versions_blocks_ipv4_sources)
    }),
    once("a_prefix_is_free_again_at_its_end_by_the_programs_own_clock", || {
        both(a_prefix_is_free_again_at_its_end)
    }),
    once("the_longest_prefix_that_is_over_leaves_the_shorter_one_in_force", || {
        both(the_shorter_one_stays_in_force)
    }),
    once("a_burst_passes_and_what_is_beyond_it_is_dropped_for_each_source_alone", || both(a_burst_passes)),
    once("tokens_come_back_at_the_rate", || both(tokens_come_back_at_the_rate)),
    once("several_threads_never_spend_more_than_the_quota", || both(several_threads_never_spend_more)),
    once("a_quota_changes_while_the_program_runs", || both(a_quota_changes_while_the_program_runs)),
    once("a_chain_drops_at_its_first_filter_that_drops", || {
        both(a_chain_drops_at_its_first_filter_that_drops)
    }),
];

fn now() -> Moment {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has it");
    Moment::ZERO + Duration::from(now)
}

fn blocking(prefixes: &[(&str, Until)]) -> Blocklist {
    let mut list = Blocklist::default();
    for (prefix, until) in prefixes {
        list.block(prefix.parse().expect("a prefix"), *until);
    }
    list
}

/// What of one packet from each source arrives.
fn check(toolkit: Toolkit, to: &str, list: &Blocklist, sources: &[(&str, usize)]) {
    let (socket, address) = bound(to);
    let filter = load(toolkit, "blocklist+valid-command", &Site::socket());
    let _attached = filter.attach(&socket).expect("attach");
    filter.set_blocklist(list).expect("set");
    for &(source, expected) in sources {
        let same_version = |to: SocketAddr| match source.parse::<IpAddr>().expect("an address") {
            IpAddr::V4(_) => SocketAddr::new([127, 0, 0, 1].into(), to.port()),
            IpAddr::V6(_) => SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), to.port()),
        };
        let from = sender(source);
        for payload in [&b"GET"[..], b"BAD"] {
            from.send_to(payload, same_version(address)).expect("send");
        }
        assert_eq!(received(&socket), expected, "from {source} to {to}");
    }
}

fn a_blocked_prefix_is_dropped(toolkit: Toolkit) {
    let list = blocking(&[("127.0.0.2/31", Until::Unblocked), ("::1/128", Until::Unblocked)]);
    check(
        toolkit,
        "127.0.0.1:0",
        &list,
        &[("127.0.0.1", 1), ("127.0.0.2", 0), ("127.0.0.3", 0), ("127.0.0.4", 1)],
    );
    check(toolkit, "[::1]:0", &list, &[("::1", 0)]);
    check(toolkit, "[::1]:0", &blocking(&[("::2/128", Until::Unblocked)]), &[("::1", 1)]);
}

fn a_socket_for_both_versions_blocks_ipv4_sources(toolkit: Toolkit) {
    let list = blocking(&[("127.0.0.2/32", Until::Unblocked)]);
    check(toolkit, "[::]:0", &list, &[("127.0.0.1", 1), ("127.0.0.2", 0), ("::1", 1)]);
    check(toolkit, "[::]:0", &blocking(&[("0.0.0.0/0", Until::Unblocked)]), &[("127.0.0.1", 0), ("::1", 1)]);
    check(toolkit, "[::]:0", &blocking(&[("::/0", Until::Unblocked)]), &[("127.0.0.1", 0), ("::1", 0)]);
}

fn a_prefix_is_free_again_at_its_end(toolkit: Toolkit) {
    let (socket, address) = bound("127.0.0.1:0");
    let filter = load(toolkit, "blocklist", &Site::socket());
    let _attached = filter.attach(&socket).expect("attach");
    let end = now() + Duration::from_millis(300);
    filter.set_blocklist(&blocking(&[("127.0.0.2/32", Until::Moment(end))])).expect("set");
    let from = sender("127.0.0.2");
    let began = Instant::now();
    let mut early = 0;
    while began.elapsed() < Duration::from_secs(10) {
        let before = now();
        from.send_to(b"x", address).expect("send");
        let arrived = received(&socket);
        if arrived == 1 {
            assert!(now() >= end, "it was let through before its end");
            assert!(early > 0, "it was blocked at first");
            return;
        }
        assert!(before < end, "it is dropped after its end");
        early += 1;
    }
    panic!("it never got through");
}

fn the_shorter_one_stays_in_force(toolkit: Toolkit) {
    let over = Until::Moment(Moment { ns: 1 });
    let list = blocking(&[("127.0.0.0/8", Until::Unblocked), ("127.0.0.2/32", over)]);
    check(toolkit, "127.0.0.1:0", &list, &[("127.0.0.2", 0)]);
    check(toolkit, "127.0.0.1:0", &blocking(&[("127.0.0.2/32", over)]), &[("127.0.0.2", 1)]);
}

fn with_quota(chain: &str, quota: &str) -> Filter {
    Filter { quota: quota.parse().expect("a quota"), ..chain.parse().expect("a chain") }
}

fn a_burst_passes(toolkit: Toolkit) {
    for (to, sources) in
        [("127.0.0.1:0", &["127.0.0.1", "127.0.0.2", "127.0.0.3"][..]), ("[::1]:0", &["::1"])]
    {
        let (socket, address) = bound(to);
        // A token comes back after a second at the earliest.
        let filter = load_filter(toolkit, with_quota("quota", "1/5"), &Site::socket());
        let _attached = filter.attach(&socket).expect("attach");
        for source in sources {
            let (from, began) = (sender(source), Instant::now());
            for _ in 0..20 {
                from.send_to(b"x", address).expect("send");
            }
            let back = began.elapsed().as_secs() as usize;
            assert!((5..=5 + back + usize::from(back > 0)).contains(&received(&socket)), "from {source}");
        }
        let counts = filter.verdicts().expect("read").expect("counted");
        assert_eq!(counts.accepted + counts.dropped, 20 * sources.len() as u64);
    }
}

fn tokens_come_back_at_the_rate(toolkit: Toolkit) {
    let (socket, address) = bound("127.0.0.1:0");
    let filter = load_filter(toolkit, with_quota("quota", "50/1"), &Site::socket());
    let _attached = filter.attach(&socket).expect("attach");
    let from = sender("127.0.0.1");
    let began = now();
    let mut arrived = 0;
    while now().since(began) < Duration::from_millis(500) {
        from.send_to(b"x", address).expect("send");
        arrived += received(&socket);
        thread::sleep(Duration::from_millis(1));
    }
    let most = now().since(began).as_millis() as usize / 20 + 1;
    assert!((2..=most).contains(&arrived), "{arrived} of at most {most}");
}

fn several_threads_never_spend_more(toolkit: Toolkit) {
    let (socket, address) = bound("127.0.0.1:0");
    let filter = load_filter(toolkit, with_quota("quota", "1/100"), &Site::socket());
    let _attached = filter.attach(&socket).expect("attach");
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let from = sender("127.0.0.9");
                for _ in 0..500 {
                    from.send_to(b"x", address).expect("send");
                }
            });
        }
    });
    let back = began.elapsed().as_secs() + 1;
    let counts = filter.verdicts().expect("read").expect("counted");
    assert_eq!(counts.accepted + counts.dropped, 2000);
    assert!((90..=100 + back).contains(&counts.accepted), "{counts:?}");
}

fn a_quota_changes_while_the_program_runs(toolkit: Toolkit) {
    let (socket, address) = bound("127.0.0.1:0");
    let filter = load_filter(toolkit, with_quota("quota", "1/1"), &Site::socket());
    let _attached = filter.attach(&socket).expect("attach");
    let from = sender("127.0.0.1");
    let send = |packets| {
        for _ in 0..packets {
            from.send_to(b"x", address).expect("send");
        }
        received(&socket)
    };
    assert!((1..=3).contains(&send(10)));
    filter.set_quota(Quota::default()).expect("set");
    assert!(send(50) >= 40);
}

fn a_chain_drops_at_its_first_filter_that_drops(toolkit: Toolkit) {
    let (socket, address) = bound("127.0.0.1:0");
    let filter = load_filter(toolkit, with_quota("blocklist+quota+valid-command", "1/3"), &Site::socket());
    let _attached = filter.attach(&socket).expect("attach");
    let from = sender("127.0.0.1");
    let send = |payload: &[u8]| {
        from.send_to(payload, address).expect("send");
        received(&socket)
    };
    filter.set_blocklist(&blocking(&[("127.0.0.1/32", Until::Unblocked)])).expect("set");
    assert_eq!([send(b"GET"), send(b"GET"), send(b"GET")], [0; 3]);
    filter.set_blocklist(&Blocklist::default()).expect("set");
    // What was blocked spent nothing; what is no command spends.
    assert_eq!([send(b"GET"), send(b"BAD"), send(b"PUT")], [1, 0, 1]);
}
