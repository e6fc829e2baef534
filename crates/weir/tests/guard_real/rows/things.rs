//! Services of applications: memcached, CoAP, statsd, games, and weir's own.

use super::{Row, USUAL};

pub(super) const ROWS: &[Row] = &[
    Row {
        protocol: "memcached",
        name: "memcached",
        mtu: 9000,
        ports: &[11211],
        server: "exec memcached -u root -l $SERVER -U 11211",
        clients: &[
            // Clients that Debian has only store by UDP. What asks is written here, as doc/protocol.txt has it.
            (
                r#"
                exec 3<>/dev/udp/$SERVER/11211
                ask() { printf "\0\1\0\0\0\1\0\0$1" | dd obs=65536 status=none >&3; timeout 5 dd bs=65536 count=1 <&3 2>/dev/null | tail -c +9; }
                ask 'set key 0 60 5\r\nvalue\r\n'
                ask 'get key\r\n'
                ask 'gets key other\r\n'
                ask 'touch key 60\r\n'
                ask 'incr key 1\r\n'
                ask 'mg key v\r\n'
                ask 'ms key 2\r\nhi\r\n'
                ask 'md key\r\n'
                ask 'delete key\r\n'
                ask 'stats\r\n'
                ask 'version\r\n'
                ask 'mn\r\n'
                "#,
                "value",
            ),
            (
                "memcslap --udp --servers=$SERVER:11211 --test=set --concurrency=1 --execute-number=20",
                "Time total",
            ),
            (
                "memcslap --udp --binary --servers=$SERVER:11211 --test=set --concurrency=1 --execute-number=20",
                "Time total",
            ),
        ],
        asked: &["get", "store", "admin", "binary"],
        answered: &["reply"],
        ..USUAL
    },
    Row {
        protocol: "coap",
        name: "libcoap",
        ports: &[5683],
        server: "exec coap-server-notls -A $SERVER -v 6 -d 10",
        clients: &[
            ("coap-client-notls -m get coap://$SERVER/", "libcoap"),
            ("coap-client-notls -m get coap://$SERVER/.well-known/core", "</>"),
            ("coap-client-notls -N -m get -T abcdefgh coap://$SERVER/time?ticks", ""),
            ("coap-client-notls -m put -t text/plain -e first coap://$SERVER/made", ""),
            (
                "head -c 5000 /dev/zero | tr '\\0' x > long; coap-client-notls -m put -b 64 -f long coap://$SERVER/long",
                "",
            ),
            ("coap-client-notls -m get -b 128 coap://$SERVER/long", "xxxxxxxx"),
            ("coap-client-notls -m get -s 2 -B 3 coap://$SERVER/time", ""),
            ("coap-client-notls -m get coap://$SERVER/async?1", ""),
            ("coap-client-notls -m post -e x coap://$SERVER/none", ""),
            ("coap-client-notls -m delete coap://$SERVER/made", ""),
            (
                "coap-client-notls -m fetch -e x coap://$SERVER/time; coap-client-notls -m ipatch -e x coap://$SERVER/time",
                "",
            ),
            ("coap-client-notls -K 1 -B 3 -s 2 coap://$SERVER/time", ""),
        ],
        asked: &["request", "ack"],
        answered: &["success", "failure"],
        ..USUAL
    },
    Row {
        protocol: "statsd",
        name: "collectd",
        ports: &[8125],
        files: &[(
            "collectd.conf",
            "BaseDir \".\"\nPIDFile \"pid\"\nTypesDB \"/usr/share/collectd/types.db\"\nInterval 1\nLoadPlugin statsd\n\
             <Plugin statsd>\nHost \"198.18.0.1\"\nPort \"8125\"\n</Plugin>\n",
        )],
        server: "exec collectd -f -C collectd.conf",
        clients: &[(
            "perl -MNet::Statsd -e '$Net::Statsd::HOST = $ENV{SERVER}; Net::Statsd::increment(\"a.b\"); Net::Statsd::decrement(\"a.b\"); \
             Net::Statsd::increment(\"half\", 0.999); Net::Statsd::update_stats([\"c\", \"d\"], 17); Net::Statsd::timing(\"time\", 320); \
             Net::Statsd::gauge(\"size\", 4.5); Net::Statsd::gauge(\"size\", \"+1\"); print \"sent\"'",
            "sent",
        )],
        asked: &["metric"],
        ..USUAL
    },
    // Debian has no server of it: the query is judged alone.
    Row {
        protocol: "a2s",
        name: "qstat",
        ports: &[27015],
        has_one_socket: false,
        clients: &[("quakestat -timeout 1 -retry 2 -a2s $SERVER:27015", "DOWN")],
        asked: &["info"],
        ..USUAL
    },
    Row {
        protocol: "bag",
        name: "weir",
        ports: &[12345],
        // It has a filter at its socket itself.
        has_one_socket: false,
        server: "exec $WEIR serve --listen $SERVER:12345",
        ready: "weir: ready",
        clients: &[("$WEIR client --server $SERVER:12345 -b odin", "GET 10 -> 14")],
        asked: &["put", "get"],
        ..USUAL
    },
];
