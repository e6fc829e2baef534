//! OpenVPN and WireGuard.

use super::{Row, USUAL};

macro_rules! openvpn {
    ($name:literal, $constants:literal, $keys:literal, $server:literal, $client:literal, $asked:expr) => {
        Row {
            protocol: "openvpn",
            name: $name,
            ports: &[1194],
            constants: $constants,
            server: concat!(
                "for side in server client; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                 -subj /CN=$side -keyout $side.key -out $side.cert 2>/dev/null; \
                 openssl x509 -noout -fingerprint -sha256 -in $side.cert | cut -d= -f2 > $side.print; done; ",
                $keys,
                " exec openvpn --dev tun --server 10.8.0.0 255.255.255.0 --topology subnet --dh none --local $SERVER --port 1194 --proto udp4 --cert server.cert \
                 --key server.key --peer-fingerprint $(<client.print) --keepalive 1 10 --reneg-sec 2 0 ",
                $server
            ),
            ready: "Initialization Sequence Completed",
            clients: &[(
                concat!(
                    "openvpn --dev tun --client --remote $SERVER 1194 udp4 --nobind --cert client.cert --key client.key \
                     --peer-fingerprint $(<server.print) --explicit-exit-notify 1 --ping 1 --connect-timeout 10 ",
                    $client,
                    " > client.log & for each in {1..300}; do [ $(grep -c 'peer info: IV_VER' server.log) -ge 2 ] && break; sleep 0.05; done; \
                     cat client.log; kill $!; wait $!"
                ),
                "Initialization Sequence Completed",
            )],
            asked: $asked,
            answered: &["reset-reply", "control", "ack"],
            ..USUAL
        }
    };
}

pub(super) const ROWS: &[Row] = &[
    openvpn!(
        "plain",
        "wrap_least = 0, wrap_most = 0",
        "",
        "",
        "",
        &["reset", "control", "ack", "soft-reset", "data-v2"]
    ),
    openvpn!(
        "tls_auth",
        "wrap_least = 28, wrap_most = 28",
        "openvpn --genkey secret ta.key;",
        "--tls-auth ta.key 0",
        "--tls-auth ta.key 1",
        &["reset", "control", "ack", "soft-reset", "data-v2"]
    ),
    openvpn!(
        "tls_auth_of_72_bytes",
        "wrap_least = 72, wrap_most = 72",
        "openvpn --genkey secret ta.key;",
        "--auth SHA512 --tls-auth ta.key 0",
        "--auth SHA512 --tls-auth ta.key 1",
        &["reset", "control", "ack", "soft-reset", "data-v2"]
    ),
    openvpn!(
        "tls_crypt",
        "wrap_least = 40, wrap_most = 40",
        "openvpn --genkey secret tc.key;",
        "--tls-crypt tc.key",
        "--tls-crypt tc.key",
        &["reset", "control", "ack", "soft-reset", "data-v2"]
    ),
    openvpn!(
        "tls_crypt_v2",
        "wrap_least = 40, wrap_most = 40",
        "openvpn --genkey tls-crypt-v2-server server.v2; openvpn --tls-crypt-v2 server.v2 --genkey tls-crypt-v2-client client.v2;",
        "--tls-crypt-v2 server.v2 force-cookie",
        "--tls-crypt-v2 client.v2",
        &["reset-v3", "control-with-key", "control", "ack", "soft-reset", "data-v2"]
    ),
    Row {
        protocol: "wireguard",
        name: "wireguard_go",
        ports: &[51820],
        server: "wg genkey | tee server.key | wg pubkey > server.pub; wg genkey | tee client.key | wg pubkey > client.pub; \
                 name=wrs$PPID; wireguard-go -f $name & until wg show $name >/dev/null 2>&1; do sleep 0.02; done; \
                 wg set $name private-key server.key listen-port 51820 peer $(<client.pub) allowed-ips 10.9.0.2/32; \
                 ip address add 10.9.0.1/24 dev $name; ip link set $name up; echo up; wait",
        ready: "up",
        // One for each version of IP.
        has_one_socket: false,
        clients: &[(
            "name=wrc$PPID; wireguard-go -f $name & until wg show $name >/dev/null 2>&1; do sleep 0.02; done; \
             wg set $name private-key client.key peer $(<server.pub) endpoint $SERVER:51820 allowed-ips 10.9.0.0/24 persistent-keepalive 1; \
             ip address add 10.9.0.2/24 dev $name; ip link set $name up; exec 3<>/dev/udp/10.9.0.1/7; \
             until [ $(wg show $name transfer | cut -f2) -gt 100 ]; do echo x >&3; sleep 0.2; done 2>/dev/null; sleep 1.5; kill $!; wait $! || true; echo over",
            "over",
        )],
        asked: &["initiation", "keepalive", "data"],
        answered: &["response"],
        ..USUAL
    },
];
