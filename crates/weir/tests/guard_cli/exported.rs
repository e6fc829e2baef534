//! What `weir guard export` writes: nftables' rules, or what is in the way of them in its line; systemd's unit, as systemd reads it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use weir_testing::Ended;

use crate::{check, folder, guard, write};

const SERVICES: &str = r#"[[service]]
name = "one"
listen = "udp/1"
protocol = "bag"
accept = ["get"]
[[service]]
name = "test"
listen = "udp/2"
protocol = "dns"
accept = ["ixfr", { message = "notify", from = "known" }]
limit = [{ per = "all", rate = "1/h", burst = 4294967295 }]
known = { after = "reply", by = "source/32,/64", for = "60s" }
"#;

#[test]
fn rules_are_printed_for_each_service_or_for_one() {
    let folder = folder();
    write(folder.path(), "guard.toml", SERVICES);
    let export = |more: &[&str]| guard(folder.path(), &[&["export", "nft", "guard.toml"], more].concat());
    let one = export(&["--service", "one"]);
    check(&one, 0, &[]);
    assert!(one.stdout.starts_with("#!/usr/sbin/nft -f\n"), "{one:?}");
    assert!(one.stdout.contains("\ntable inet weir_one {\n"), "{one:?}");
    let none = export(&["--service", "on"]);
    check(&none, 2, &["did you mean 'one'?"]);
    let all = export(&[]);
    assert_eq!(all.stdout, "", "all or nothing");
}

#[test]
fn what_nftables_cannot_say_is_refused_in_the_line_of_each_rule() {
    let folder = folder();
    write(folder.path(), "guard.toml", SERVICES);
    let refused = guard(folder.path(), &["export", "nft", "guard.toml"]);
    let words = [
        "nftables can't say the message 'query': the field 'name' is a domain name",
        "it isn't named here, but it is tried before messages that are",
        "--> dns (shipped):",
        "nftables can't say this: nft has no such rate",
        "--> guard.toml:11:10",
    ];
    check(&refused, 1, &words);
    let ixfr = refused.stderr.split("\n\n").find(|said| said.contains("'ixfr'")).expect("it is refused too");
    assert!(!ixfr.contains("isn't named"), "{ixfr}");
    write(folder.path(), "guard.toml", "[[service]]\naccept = 1");
    check(&guard(folder.path(), &["export", "nft", "guard.toml"]), 1, &["--> guard.toml:"]);
}

/// The unit of a guard whose services accept a message of a protocol and also say this.
fn unit_of([protocol, message]: [&str; 2], services: &[&str]) -> Ended {
    let folder = folder();
    let text = |(number, rest): (usize, &&str)| {
        format!(
            "[[service]]\nname = 's{number}'\nlisten = 'udp/{}'\nprotocol = '{protocol}'\naccept = ['{message}']\n{rest}\n",
            number + 1
        )
    };
    let text: String = services.iter().enumerate().map(text).collect();
    write(folder.path(), "bags.toml", text);
    guard(folder.path(), &["export", "unit", "bags.toml"])
}

fn unit(services: &[&str]) -> Ended {
    unit_of(["bag", "get"], services)
}

#[test]
fn a_unit_of_a_guard_that_reads_where_the_packet_says_has_what_the_verifier_asks_for_then() {
    let unit = unit_of(["dns", "query"], &["at = 'tc'"]);
    assert_eq!(unit.status, Some(0), "{unit:?}");
    let line = "CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON";
    assert!(unit.stdout.lines().any(|each| each == line), "{}", unit.stdout);
}

#[test]
fn a_unit_has_the_capabilities_that_its_hooks_take_and_writes_samples_alone() {
    let check = |services: &[&str], lines: &[&str], missing: &[&str]| {
        let unit = unit(services);
        assert_eq!(unit.status, Some(0), "{unit:?}");
        let has = |line: &str| unit.stdout.lines().any(|each| each.starts_with(line));
        for line in lines {
            assert!(has(line), "no '{line}' in {}", unit.stdout);
        }
        for line in missing {
            assert!(!has(line), "'{line}' in {}", unit.stdout);
        }
    };
    let always = ["Type=notify", "DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes"];
    let writing = ["ReadWritePaths=", "LogsDirectory=", "StateDirectory="];
    let socket = "CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE";
    let of_socket = [socket, "AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE", "ProtectProc=default"];
    check(&["at = 'socket'"], &[&always[..], &of_socket].concat(), &writing);
    let of_tc = ["CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON", "ProtectProc=invisible"];
    check(
        &["at = 'tc'", "at = 'cgroup'\nunit = 'bag.service'"],
        &of_tc,
        &["CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON "],
    );
    check(&["at = 'tc'\nunit = 'bag.service'", ""], &["After=network.target bag.service"], &[]);
    let own = ["NetworkNamespacePath=/run/netns/inner", "RuntimeDirectory=weir/bags"];
    check(&["at = 'tc'\nnetns = 'inner'"], &own, &[]);
    let several = unit(&["at = 'tc'\nnetns = 'inner'", "at = 'tc'"]);
    assert_eq!(several.status, Some(2), "{several:?}");
    assert!(several.stderr.contains("a unit runs in one network namespace"), "{several:?}");
    let all = "CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_SYS_PTRACE";
    check(&["at = 'auto'"], &[all], &[]);
    check(&["at = 'tc'\nkeep = true"], &["User=root", "ReadWritePaths=/sys/fs/bpf"], &["DynamicUser="]);
    let sample = |to: &str| format!("at = 'xdp'\nsample = {{ dropped = '1/s', to = '{to}' }}");
    let samples =
        ["/var/log/weir/a.pcapng", "/var/lib/b.pcapng", "/srv/my bags/c.pcapng", "/srv/my bags/d.pcapng"];
    let samples = samples.map(sample);
    let samples: Vec<_> = samples.iter().map(String::as_str).collect();
    let written = ["LogsDirectory=weir", "ReadWritePaths=/var/lib", "ReadWritePaths=\"/srv/my bags\""];
    check(
        &samples,
        &[&written[..], &["CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON"]].concat(),
        &[],
    );
}

/// As systemd itself reads it; `security` gives a unit that has root's rights 9.6, and one that takes nothing 0.
#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let folder = folder();
    for at in ["auto", "socket", "cgroup", "tc", "xdp"] {
        let unit =
            unit(&[&format!("at = '{at}'\nsample = {{ dropped = '1/s', to = '/srv/bags/a.pcapng' }}")]);
        let path = folder.path().join("weir-guard-bags.service");
        write(folder.path(), "weir-guard-bags.service", &unit.stdout);
        check_exposure(&path);
    }
}

fn check_exposure(unit: &Path) {
    let analyze = |arguments: &[&str]| {
        let analyzing =
            Command::new("systemd-analyze").args(arguments).arg(unit).stdin(Stdio::null()).output();
        Ended::from(analyzing.expect("systemd-analyze starts (Debian package systemd)"))
    };
    let verified = analyze(&["verify", "--man=no"]);
    let text = || std::fs::read_to_string(unit);
    assert_eq!((verified.status, verified.stderr.as_str()), (Some(0), ""), "{:?}", text());
    let exposed = analyze(&["security", "--offline=yes", "--no-pager", "--threshold=25"]);
    let last = exposed.stdout.lines().last().unwrap_or_default();
    assert_eq!(exposed.status, Some(0), "{last}: {:?}", text());
}

#[test]
fn the_template_runs_any_guard_of_etc_and_exposes_little() {
    let folder = folder();
    let weir = env!("CARGO_BIN_EXE_weir");
    let unit = guard(folder.path(), &["export", "unit", "--template", weir]);
    assert_eq!(unit.status, Some(0), "{unit:?}");
    for line in [
        &format!("ExecStart={weir} guard run /etc/weir/guards/%i.toml"),
        "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_SYS_PTRACE",
        "LogsDirectory=weir",
        "ProtectProc=default",
    ] {
        assert!(unit.stdout.lines().any(|each| each == line), "no '{line}' in {}", unit.stdout);
    }
    write(folder.path(), "weir-guard@bags.service", &unit.stdout);
    check_exposure(&folder.path().join("weir-guard@bags.service"));
    for (arguments, said) in [
        (&["export", "unit"][..], "required"),
        (&["export", "unit", "a.toml", "--template", "/usr/bin/weir"], "cannot be used with"),
        (&["export", "unit", "--template", "/a'b"], "can't stand in a systemd unit"),
    ] {
        check(&guard(folder.path(), arguments), 2, &[said]);
    }
}
