use std::time::Duration;
use weir_filters::{Filter, FilterName, Hook, Site, Toolkit};
use weir_hooks::KernelFilter;

fn frame(hook: Hook, v6: bool, payload: &[u8]) -> Vec<u8> {
    let udp_len = (payload.len() + 8) as u16;
    let mut udp = vec![0x9c, 0x40, 0x30, 0x39];
    udp.extend(udp_len.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut ip = vec![];
    if v6 {
        ip.extend([0x60, 0, 0, 0]);
        ip.extend(udp_len.to_be_bytes());
        ip.extend([17, 64]);
        ip.extend([0; 15]);
        ip.push(1);
        ip.extend([0; 15]);
        ip.push(1);
    } else {
        ip.extend([0x45, 0]);
        ip.extend((udp_len + 20).to_be_bytes());
        ip.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    }
    let eth = [&[0u8; 12][..], if v6 { &[0x86, 0xdd] } else { &[8, 0] }].concat();
    match hook {
        Hook::Socket => udp,
        Hook::Cgroup => [ip, udp].concat(),
        _ => [eth, ip, udp].concat(),
    }
}

fn main() {
    let rounds: usize = 9;
    for hook in [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp] {
        for (endpoint, v6) in
            [("127.0.0.1:12345", false), ("[::1]:12345", true), ("[::]:12345", false), ("[::]:12345", true)]
        {
            let site = Site::new(hook, endpoint.parse().unwrap());
            let simple = KernelFilter::load(Filter::from(FilterName::Simple), Toolkit::Fun, &site).unwrap();
            for name in [FilterName::ValidCommand, FilterName::RobustValidCommand, FilterName::Reject] {
                let k = KernelFilter::load(Filter::from(name), Toolkit::Fun, &site).unwrap();
                let mut line = format!("{hook:8} {endpoint:18} v6={v6:5} {name:22}");
                for payload in
                    [&b"PUT\x0a\0\0\0\x01\0\0\0\0\0\0\0"[..], &[b'B'; 259], b"GET\x0a\0\0\0", b"STOP"]
                {
                    let f = frame(hook, v6, payload);
                    let mut d: Vec<f64> = (0..rounds)
                        .map(|_| {
                            let a: Duration = k.time(&f, 1, 100_000).unwrap();
                            let b = simple.time(&f, 1, 100_000).unwrap();
                            a.as_nanos() as f64 - b.as_nanos() as f64
                        })
                        .collect();
                    d.sort_by(f64::total_cmp);
                    line += &format!(" {:5}", d[rounds / 2]);
                }
                println!("{line}");
            }
        }
    }
}
