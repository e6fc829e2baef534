//! SIP, STUN and TURN, QUIC.

use super::{Row, USUAL};

macro_rules! gtlsserver {
    ($more:literal) => {
        concat!(
            "mkdir files; head -c 200000 /dev/zero > files/it; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN=a.example -keyout key -out cert 2>/dev/null; exec gtlsserver -q -d files ",
            $more,
            " $SERVER 4433 key cert"
        )
    };
}

/// A client that asks for a file, and knows what earlier ones were told.
macro_rules! gtlsclient {
    ($more:literal) => {
        gtlsclient!($more, "/it && cmp got/it files/it")
    };
    ($more:literal, $behind:literal) => {
        concat!(
            "rm -rf got; mkdir got; gtlsclient -q --exit-on-all-streams-close --timeout=5s --download got --session-file session --tp-file tp \
             --token-file token ",
            $more,
            " $SERVER 4433 https://a.example",
            $behind
        )
    };
}

pub(super) const ROWS: &[Row] = &[
    Row {
        protocol: "sip",
        name: "kamailio",
        ports: &[5060],
        files: &[("kamailio.cfg", KAMAILIO)],
        server: "exec kamailio -DD -E -Y $PWD -m 16 -M 4 -f kamailio.cfg",
        clients: &[
            ("sipsak -vv -s sip:nobody@$SERVER", "200 OK"),
            (
                "sipsak -vv -U -i -x 60 -C sip:me@$CLIENT -s sip:me@$SERVER",
                "All usrloc tests completed successful",
            ),
            ("sipsak -vv -a password -s sip:locked@$SERVER", "200 OK"),
            ("sipsak -vv -s sip:other@$SERVER || true", "404 Not Found"),
        ],
        asked: &["options", "register"],
        answered: &["success", "failure"],
        ..USUAL
    },
    Row {
        protocol: "sip",
        name: "sipp",
        ports: &[5060],
        server: "exec sipp -sn uas -i $SERVER -p 5060 -nostdin -trace_err",
        clients: &[(
            "sipp -sn uac $SERVER:5060 -i $CLIENT -m 3 -r 3 -d 100 -nostdin -timeout 15",
            "Successful call",
        )],
        asked: &["invite", "request"],
        answered: &["provisional", "success"],
        ..USUAL
    },
    Row {
        protocol: "stun",
        name: "coturn",
        ports: &[3478],
        server: "exec turnserver -n -L $SERVER -E $SERVER -p 3478 --lt-cred-mech -u user:password -r realm --no-cli --no-tls --no-dtls \
                 --no-tcp --no-tcp-relay --log-file stdout --pidfile pid --userdb db -m 1 --min-port 50000 --max-port 50100",
        clients: &[
            ("turnutils_stunclient $SERVER", "UDP reflexive addr"),
            ("turnutils_natdiscovery -m -f $SERVER", "UDP reflexive addr"),
            (
                "turnutils_uclient -y -u user -w password -n 3 -m 1 -X $SERVER & turnutils_uclient -y -g -s -u user -w password -n 3 -m 1 $SERVER; wait $!",
                "Total lost packets 0",
            ),
        ],
        asked: &["binding-request", "allocate", "turn-request", "send", "channel-data"],
        answered: &["binding-success", "allocate-error", "allocate-success", "turn-success", "data"],
        ..USUAL
    },
    Row {
        protocol: "quic",
        name: "ngtcp2",
        ports: &[4433],
        server: gtlsserver!(""),
        clients: QUIC_CLIENTS,
        asked: &["initial", "handshake", "short", "zero-rtt"],
        answered: &["initial", "short"],
        ..USUAL
    },
    Row {
        protocol: "quic",
        name: "ngtcp2_of_other_versions",
        ports: &[4433],
        server: gtlsserver!(""),
        clients: &[(gtlsclient!("-v 0x1a2a3a4a --preferred-versions=v1"), "")],
        asked: &["unknown-version", "initial", "handshake", "short"],
        answered: &["version-negotiation", "initial", "short"],
        // The client may close what it tried in 0x1a2a3a4a, by less than 1200 bytes (RFC 9000, 5.2.2).
        discarded: 1,
        ..USUAL
    },
    Row {
        protocol: "quic",
        name: "ngtcp2_that_validates",
        ports: &[4433],
        server: gtlsserver!("-V"),
        clients: QUIC_CLIENTS,
        asked: &["initial", "handshake", "short", "zero-rtt"],
        answered: &["retry", "initial", "short"],
        ..USUAL
    },
];

const QUIC_CLIENTS: &[(&str, &str)] = &[
    (gtlsclient!(""), ""),
    (gtlsclient!("-v v1"), ""),
    (gtlsclient!("--scid='' --disable-early-data"), ""),
    // With what those before have left its data is in 0-RTT.
    (gtlsclient!("-m POST -d files/it", "/"), ""),
    (
        gtlsclient!(
            "--change-local-addr=50ms --delay-stream=200ms --dcid=0102030405060708090a0b0c0d0e0f101112 --disable-early-data"
        ),
        "",
    ),
    (gtlsclient!("--change-local-addr=50ms --nat-rebinding --delay-stream=200ms --disable-early-data"), ""),
    (gtlsclient!("--key-update=50ms --delay-stream=200ms --disable-early-data"), ""),
];

const KAMAILIO: &str = r#"#!KAMAILIO
debug=2
log_stderror=yes
children=1
auto_aliases=no
tcp_accept_no_cl=no
disable_tcp=yes
listen=udp:198.18.0.1:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "auth.so"
request_route {
    if (is_method("REGISTER")) {
        if (!save("location")) { sl_reply_error(); }
        exit;
    }
    if ($rU == "locked" && !pv_www_authenticate("realm", "password", "0")) {
        www_challenge("realm", "0");
        exit;
    }
    if (is_method("OPTIONS") && $rU != "other") {
        sl_send_reply("200", "OK");
        exit;
    }
    sl_send_reply("404", "Not Found");
}
"#;
