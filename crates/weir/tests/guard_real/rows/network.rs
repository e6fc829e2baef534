//! What networks are run with: SNMP, RADIUS, syslog, TFTP.

use super::{Row, USUAL};

pub(super) const ROWS: &[Row] = &[
    Row {
        protocol: "snmp",
        name: "snmpd",
        mtu: 9000,
        ports: &[161],
        files: &[("snmpd.conf", SNMPD)],
        server: "mkdir state && SNMP_PERSISTENT_DIR=$PWD/state MIBS= exec snmpd -f -Lo -C -c snmpd.conf -p pid -I -smux udp:$SERVER:161",
        clients: &[
            ("MIBS= snmpget -v1 -c public $SERVER .1.3.6.1.2.1.1.5.0", "a name"),
            ("MIBS= snmpgetnext -v2c -c public $SERVER .1.3.6.1.2.1.1.5", "a name"),
            ("MIBS= snmpwalk -v1 -c public $SERVER .1.3.6.1.2.1.1", "a place"),
            ("MIBS= snmpbulkwalk -v2c -c public -Cr50 $SERVER .1.3.6.1.2.1.1", "a place"),
            ("MIBS= snmpbulkget -v2c -c public -Cr200 $SERVER .1.3.6.1.2.1.1 .1.3.6.1.2.1.2", "Timeticks"),
            ("MIBS= snmpset -v2c -c private $SERVER .1.3.6.1.2.1.1.6.0 s 'another place'", "another place"),
            (
                "MIBS= snmpset -v1 -c private $SERVER .1.3.6.1.2.1.1.6.0 s \"$(printf 'long %.0s' {1..40})\"",
                "long long",
            ),
            ("MIBS= snmpget -v3 -l noAuthNoPriv -u nobody $SERVER .1.3.6.1.2.1.1.5.0", "a name"),
            (
                "MIBS= snmpwalk -v3 -l authNoPriv -u half -a SHA -A password-1 $SERVER .1.3.6.1.2.1.1",
                "a name",
            ),
            (
                "MIBS= snmpbulkwalk -v3 -l authPriv -u whole -a SHA-256 -A password-1 -x AES -X password-2 -Cr50 $SERVER .1.3.6.1.2.1.1",
                "a name",
            ),
            (
                "MIBS= snmpusm -v3 -l authPriv -u whole -a SHA-256 -A password-1 -x AES -X password-2 $SERVER create another",
                "User successfully created",
            ),
        ],
        asked: &["get", "get-bulk", "set", "v3-request"],
        answered: &["reply", "v3-reply"],
        ..USUAL
    },
    Row {
        protocol: "snmp",
        name: "snmptrapd",
        ports: &[162],
        files: &[(
            "snmptrapd.conf",
            "disableAuthorization yes\ncreateUser receiver SHA password-1 AES password-2\ncreateUser -e 0x8000000001020304 sender SHA password-1 AES password-2\nauthUser log sender\n",
        )],
        server: "mkdir state && SNMP_PERSISTENT_DIR=$PWD/state MIBS= exec snmptrapd -f -Lo -C -c snmptrapd.conf -p pid -On udp:$SERVER:162",
        clients: &[
            (
                "MIBS= snmptrap -v1 -c public $SERVER .1.3.6.1.4.1.8072.9999 192.0.2.1 6 17 '' .1.3.6.1.2.1.1.5.0 s x",
                "",
            ),
            ("MIBS= snmptrap -v2c -c public $SERVER '' .1.3.6.1.6.3.1.1.5.3 .1.3.6.1.2.1.1.5.0 s x", ""),
            ("MIBS= snmpinform -v2c -c public $SERVER '' .1.3.6.1.6.3.1.1.5.3", ""),
            (
                "MIBS= snmpinform -v3 -l authPriv -u receiver -a SHA -A password-1 -x AES -X password-2 $SERVER '' .1.3.6.1.6.3.1.1.5.3",
                "",
            ),
            (
                "MIBS= snmptrap -v3 -e 0x8000000001020304 -l authPriv -u sender -a SHA -A password-1 -x AES -X password-2 $SERVER '' \
                 .1.3.6.1.6.3.1.1.5.4 && for each in {1..200}; do [ $(grep -c '1.3.6.1.6.3.1.1.5.4' server.log) -gt 0 ] && exit; sleep 0.05; done; false",
                "",
            ),
        ],
        asked: &["trap", "inform", "v3-request", "v3-reply"],
        answered: &["reply", "v3-reply"],
        ..USUAL
    },
    Row {
        protocol: "radius",
        name: "freeradius",
        ports: &[1812, 1813, 3799],
        files: &[
            ("radiusd.conf", RADIUSD),
            ("users", USERS),
            ("dictionary", "$INCLUDE /usr/share/freeradius/dictionary\n"),
        ],
        server: "exec freeradius -f -l stdout -d $PWD -n radiusd",
        ready: "Ready to process requests",
        clients: &[
            ("radtest -t pap user password $SERVER 0 secret", "Received Access-Accept"),
            ("radtest -t chap user password $SERVER 0 secret", "Received Access-Accept"),
            ("radtest -t mschap user password $SERVER 0 secret", "Received Access-Accept"),
            (
                "echo 'User-Name=user,Cleartext-Password=password,EAP-Code=Response,EAP-Id=1,EAP-Type-Identity=user,Message-Authenticator=0x00' | \
                 radeapclient -x $SERVER auth secret",
                "Received Access-Accept",
            ),
            ("radtest user wrong $SERVER 0 secret || true", "Received Access-Reject"),
            (
                "echo 'User-Name=asked,User-Password=password' | radclient $SERVER auth secret || true",
                "Received Access-Challenge",
            ),
            ("echo 'Message-Authenticator=0x00' | radclient $SERVER status secret", "Received Access-Accept"),
            (
                "echo 'User-Name=user,User-Password=password,Message-Authenticator=0x00' | radclient $SERVER auto secret || true",
                "",
            ),
            (
                "echo 'User-Name=user,Acct-Status-Type=Start,Acct-Session-Id=1,NAS-Port=0' | radclient $SERVER acct secret",
                "Received Accounting-Response",
            ),
            (
                "echo 'Message-Authenticator=0x00' | radclient $SERVER:1813 status secret",
                "Received Accounting-Response",
            ),
            (
                "echo 'User-Name=user,Acct-Session-Id=1' | radclient $SERVER disconnect secret || true",
                "Received Disconnect-",
            ),
            (
                "echo 'User-Name=user,Acct-Session-Id=1' | radclient $SERVER coa secret || true",
                "Received CoA-",
            ),
        ],
        asked: &["access-request", "status-server", "accounting-request", "dynamic-request"],
        answered: &[
            "access-accept",
            "access-reject",
            "access-challenge",
            "accounting-response",
            "dynamic-reply",
        ],
        ..USUAL
    },
    Row {
        protocol: "syslog",
        name: "rsyslogd",
        ports: &[514],
        files: &[
            (
                "rsyslog.conf",
                "global(workDirectory=\"/tmp\")\nmodule(load=\"imudp\")\ninput(type=\"imudp\" address=\"198.18.0.1\" port=\"514\")\n\
             template(name=\"all\" type=\"string\" string=\"%rawmsg%\\n\")\naction(type=\"omfile\" file=\"/dev/stdout\" template=\"all\")\n",
            ),
            (
                "forward.conf",
                "global(workDirectory=\"/tmp\")\nmodule(load=\"imudp\")\ninput(type=\"imudp\" port=\"5514\")\n\
                 *.* action(type=\"omfwd\" target=\"198.18.0.1\" port=\"514\" protocol=\"udp\" template=\"RSYSLOG_SyslogProtocol23Format\")\n\
                 *.* action(type=\"omfwd\" target=\"198.18.0.1\" port=\"514\" protocol=\"udp\")\n",
            ),
        ],
        server: "exec rsyslogd -n -i NONE -f $PWD/rsyslog.conf",
        clients: &[
            ("logger -n $SERVER -P 514 -d --rfc5424 -t tag -p local7.debug one", ""),
            (
                "logger -n $SERVER -P 514 -d --rfc5424=notime,notq,nohost --msgid id --sd-id 'x@1' --sd-param 'a=\"b\"' two",
                "",
            ),
            (
                "logger -n $SERVER -P 514 -d --rfc3164 -i -p kern.emerg three; logger -n $SERVER -P 514 -d four",
                "",
            ),
            (
                "rsyslogd -n -i NONE -f $PWD/forward.conf & until logger -n $CLIENT -P 5514 -d relayed; grep -q relayed server.log; do sleep 0.1; done; kill $!",
                "",
            ),
            ("for each in {1..200}; do grep -q four server.log && exit; sleep 0.05; done; false", ""),
        ],
        asked: &["rfc5424", "rfc3164"],
        ..USUAL
    },
    Row {
        protocol: "tftp",
        name: "atftpd",
        ports: &[69],
        server: "mkdir -m 777 files && head -c 100000 /dev/zero > files/it && exec atftpd --daemon --no-fork --user root.root --logfile - --bind-address $SERVER $PWD/files",
        clients: &[
            ("atftp --get -r it -l got.1 $SERVER && cmp got.1 files/it", ""),
            (
                "atftp --option 'blksize 1428' --option 'tsize 0' --option 'timeout 3' --option 'windowsize 4' --get -r it -l got.2 $SERVER && cmp got.2 files/it",
                "",
            ),
            ("atftp --put -l got.1 -r put $SERVER; until cmp -s got.1 files/put; do sleep 0.05; done", ""),
            ("curl -sS --max-time 10 -o got.4 tftp://$SERVER/it && cmp got.4 files/it", ""),
            (
                "curl -sS --max-time 10 --tftp-blksize 1000 -T got.1 tftp://$SERVER/put.2; \
                 until cmp -s got.1 files/put.2; do sleep 0.05; done",
                "",
            ),
        ],
        asked: &["read", "write"],
        ..USUAL
    },
    // It stays on its port, so that all is to be seen there.
    Row {
        protocol: "tftp",
        name: "dnsmasq",
        ports: &[69],
        has_one_socket: false,
        server: "mkdir files && head -c 100000 /dev/zero > files/it && chmod -R a+rX . && exec dnsmasq -k -C /dev/null --log-facility=- -u root -p 0 \
                 --interface=weir-server --enable-tftp --tftp-single-port --tftp-root=$PWD/files",
        clients: &[
            ("atftp --get -r it -l got.1 $SERVER && cmp got.1 files/it", ""),
            (
                "atftp --option 'blksize 1428' --option 'tsize 0' --get -r it -l got.2 $SERVER && cmp got.2 files/it",
                "",
            ),
            ("curl -sS --max-time 10 --tftp-no-options -o got.3 tftp://$SERVER/it && cmp got.3 files/it", ""),
            ("atftp --get -r other -l got.4 $SERVER 2>&1 || true", "not found"),
        ],
        asked: &["read", "ack"],
        answered: &["data", "option-ack", "error"],
        ..USUAL
    },
];

const SNMPD: &str = "rocommunity public
rwcommunity private
sysName a name
sysContact a place

createUser nobody
createUser half SHA password-1
createUser whole SHA-256 password-1 AES password-2
rouser nobody noauth
rouser half auth
rwuser whole priv
";

const RADIUSD: &str = "prefix = /usr
confdir = .
modconfdir = .
logdir = .
run_dir = .
libdir = /usr/lib/freeradius
pidfile = ./pid
log {
    destination = stdout
}
security {
    status_server = yes
    allow_vulnerable_openssl = yes
}
client all {
    ipaddr = 198.18.0.0/24
    secret = secret
}
modules {
    pap {
    }
    chap {
    }
    mschap {
    }
    eap {
        default_eap_type = md5
        md5 {
        }
    }
    files {
        usersfile = ./users
    }
    always ok {
        rcode = ok
    }
    always handled {
        rcode = handled
    }
}
server tried {
    listen {
        type = auth
        ipaddr = 198.18.0.1
        port = 1812
    }
    listen {
        type = acct
        ipaddr = 198.18.0.1
        port = 1813
    }
    listen {
        type = coa
        ipaddr = 198.18.0.1
        port = 3799
    }
    authorize {
        chap
        mschap
        eap
        files
        pap
        if (User-Name == 'asked') {
            update reply {
                Reply-Message := 'And the other?'
                State := 0x01
            }
            update control {
                Response-Packet-Type := Access-Challenge
            }
            handled
        }
    }
    authenticate {
        Auth-Type PAP {
            pap
        }
        Auth-Type CHAP {
            chap
        }
        Auth-Type MS-CHAP {
            mschap
        }
        eap
    }
    accounting {
        ok
    }
    recv-coa {
        ok
    }
    send-coa {
        ok
    }
}
";

const USERS: &str = "user Cleartext-Password := \"password\"\n";
