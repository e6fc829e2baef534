//! DNS and NTP.

use super::{Row, USUAL};

pub(super) const ROWS: &[Row] = &[
    Row {
        protocol: "dns",
        name: "unbound",
        ports: &[53],
        files: &[("unbound.conf", UNBOUND)],
        server: "exec unbound -d -c unbound.conf",
        clients: &[
            ("dig @$SERVER host.example.org", "192.0.2.1"),
            ("dig @$SERVER host.example.org AAAA +noedns +norecurse", "2001:db8::1"),
            ("dig @$SERVER host.example.org +dnssec +cdflag +adflag +nsid +subnet=192.0.2.0/24", "192.0.2.1"),
            (
                "dig @$SERVER host.example.org +bufsize=4096 +cookie=0123456789abcdef +padding=128",
                "192.0.2.1",
            ),
            ("dig @$SERVER -x 192.0.2.1 +ednsopt=65001:00ff +keepalive", "host.example.org."),
            ("dig @$SERVER HoSt.eXample.ORG. ANY +noedns +notcp", "status: NOERROR"),
            ("dig @$SERVER version.bind. CH TXT", "version.bind."),
            ("dig @$SERVER . NS +edns=1 +noednsneg", "status: BADVERS"),
            (
                "dig @$SERVER $(printf 'a%.0s' {1..63}).$(printf 'b%.0s' {1..63}).example.org",
                "status: NXDOMAIN",
            ),
            ("dig @$SERVER 'a\\032b\\.c.example.org' SRV", "status: NXDOMAIN"),
            ("host -t MX example.org $SERVER", "mail is handled by 10 mail.example.org."),
            ("nslookup -port=53 host.example.org $SERVER", "192.0.2.1"),
            ("delv @$SERVER +noroot host.example.org; true", "192.0.2.1"),
            ("kdig @$SERVER host.example.org HTTPS +edns +padding +cookie +noidn", "status: NOERROR"),
        ],
        asked: &["query"],
        answered: &["reply"],
        ..USUAL
    },
    Row {
        protocol: "dns",
        name: "knot",
        ports: &[53],
        files: &[("knot.conf", KNOT), ("example.org.zone", ZONE), ("resolver.conf", RESOLVER)],
        server: "exec knotd -c knot.conf",
        ready: "server started",
        clients: &[
            ("dig @$SERVER example.org SOA +cookie", "2026010101"),
            ("kdig @$SERVER example.org NOTIFY=2026010101", "status: NOERROR"),
            ("dig @$SERVER example.org SOA +opcode=notify +noadflag", "status: NOERROR"),
            (
                "printf '%s\\n' \"server $SERVER\" 'zone example.org.' 'update add new.example.org. 60 A 192.0.2.9' send | knsupdate",
                "",
            ),
            (
                "printf '%s\\n' \"server $SERVER\" 'zone example.org.' 'prereq nxdomain newer.example.org.' \
                 'update add newer.example.org. 60 TXT \"x\"' 'key hmac-sha256:changes c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' send | nsupdate",
                "",
            ),
            (
                "dig @$SERVER new.example.org A -y hmac-sha256:changes:c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
                "192.0.2.9",
            ),
            ("dig @$SERVER example.org IXFR=2026010101 +notcp", "example.org."),
            ("kdig @$SERVER example.org IXFR=2026010101 +notcp +edns", "example.org."),
            (
                "unbound -d -c resolver.conf & trap \"kill $!\" EXIT; \
                 for each in {1..300}; do dig @$CLIENT example.org +tries=1 +timeout=1 > resolved && break; sleep 0.05; done; \
                 for name in ns example new none; do dig @$CLIENT $name.example.org +retry=5 +timeout=1; done",
                "198.18.0.1",
            ),
        ],
        asked: &["query", "notify", "update", "ixfr"],
        answered: &["reply", "notify-reply", "update-reply"],
        ..USUAL
    },
    Row {
        protocol: "ntp",
        name: "chronyd",
        ports: &[123],
        files: &[
            (
                "server.conf",
                "local stratum 8\nallow\nntsserverkey key\nntsservercert cert\nkeyfile keys\ncmdport 0\nbindcmdaddress /\npidfile server.pid\n",
            ),
            (
                "keys",
                "1 SHA1 HEX:0102030405060708\n2 AES128 HEX:000102030405060708090a0b0c0d0e0f\n3 SHA512 HEX:0102030405060708\n",
            ),
        ],
        server: "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$SERVER -addext subjectAltName=IP:$SERVER \
                 -keyout key -out cert 2>/dev/null; exec chronyd -4 -x -d -u root -f server.conf",
        clients: &[
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 2\" 'pidfile 1.pid'",
                "System clock wrong by",
            ),
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 1 key 1\" 'keyfile keys' 'pidfile 2.pid'",
                "System clock wrong by",
            ),
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 1 key 2\" 'keyfile keys' 'pidfile 3.pid'",
                "System clock wrong by",
            ),
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 1 key 3\" 'keyfile keys' 'pidfile 4.pid'",
                "System clock wrong by",
            ),
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 2 xleave extfield F323\" 'pidfile 5.pid'",
                "System clock wrong by",
            ),
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 1 version 3\" 'pidfile 6.pid'",
                "System clock wrong by",
            ),
            (
                "chronyd -Q -t 10 -u root \"server $SERVER iburst maxsamples 3 nts\" 'nosystemcert' 'ntstrustedcerts cert' 'pidfile 7.pid'",
                "System clock wrong by",
            ),
            ("ntpdig $SERVER", " s8 "),
        ],
        asked: &["request"],
        answered: &["reply"],
        ..USUAL
    },
    Row {
        protocol: "ntp",
        name: "ntpd",
        ports: &[123],
        files: &[(
            "ntp.conf",
            "tos orphan 8\ndisable ntp\nrestrict default\nunrestrict default noquery limited kod\nrestrict 198.18.0.0 mask 255.255.255.0\n",
        )],
        // One for each address.
        has_one_socket: false,
        // It may not set this machine's clock.
        server: "exec setpriv --bounding-set -sys_time --inh-caps -sys_time ntpd -n -c ntp.conf",
        clients: &[
            ("ntpq -c rv $SERVER", "version="),
            ("ntpq -pn $SERVER; ntpq -c sysinfo -c monstats $SERVER", "enabled"),
            ("ntpdig -t 1 $SERVER || true", ""),
            (
                "timeout 3 chronyd -x -d -u root \"peer $SERVER iburst minpoll -4\" 'pidfile pid' 'cmdport 0' 'bindcmdaddress /' || true",
                "",
            ),
        ],
        asked: &["control", "request", "symmetric-active"],
        answered: &["control-reply", "reply"],
        ..USUAL
    },
];

const UNBOUND: &str = r#"server:
  interface: 198.18.0.1
  access-control: 0.0.0.0/0 allow
  num-threads: 1
  chroot: ""
  username: ""
  directory: "."
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  root-hints: ""
  local-zone: "." static
  local-zone: "example.org." static
  local-data: "example.org. SOA ns.example.org. a.example.org. 1 2 3 4 5"
  local-data: "host.example.org. A 192.0.2.1"
  local-data: "host.example.org. AAAA 2001:db8::1"
  local-data: "example.org. MX 10 mail.example.org."
  local-data-ptr: "192.0.2.1 host.example.org"
remote-control:
  control-enable: no
"#;

/// A resolver that asks the server: a letter's case at random, a name's end first.
const RESOLVER: &str = r#"server:
  interface: 198.18.0.2
  access-control: 0.0.0.0/0 allow
  chroot: ""
  username: ""
  directory: "."
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  use-caps-for-id: yes
  qname-minimisation: yes
stub-zone:
  name: "example.org"
  stub-addr: 198.18.0.1
"#;

const KNOT: &str = "server:
    rundir: .
    listen: 198.18.0.1@53
    udp-workers: 1
    tcp-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: .
key:
  - id: changes
    algorithm: hmac-sha256
    secret: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0
acl:
  - id: anybody
    address: 198.18.0.0/24
    action: [transfer, notify, update]
  - id: signed
    key: changes
    action: [transfer, notify, update]
mod-cookies:
  - id: usual
remote:
  - id: primary
    address: 198.18.0.2
template:
  - id: default
    storage: .
    file: \"%s.zone\"
    zonefile-sync: -1
    journal-content: changes
zone:
  - domain: example.org
    acl: [anybody, signed]
";

const ZONE: &str = "$TTL 60
@ SOA ns a 2026010101 3600 600 86400 60
@ NS ns
ns A 198.18.0.1
";
