//! What the programs are made of; what they count is the kernel tests' matter.

use std::net::Ipv6Addr;

use weir_asm::{Endian, check};

use super::*;

/// Offsets of some kernel, and none of its addresses.
fn layout() -> KernelLayout {
    KernelLayout {
        arguments: Arguments { skb: 0, location: 1, reason: 2 },
        skb: SkbOffsets { protocol: 180, network_header: 178, tail: 184, end: 188, head: 192 },
        gso_segs: 6,
        code: FreeingCode::default(),
    }
}

/// As [`layout`], with addresses.
fn privileged() -> KernelLayout {
    let code = FreeingCode { closing_socket: Some(1 << 40..2 << 40), parts: Some(3..4) };
    KernelLayout { code, ..layout() }
}

fn flows() -> Vec<Flow> {
    let addresses = ["127.0.0.1:7", "0.0.0.0:65535", "[::1]:7", "[fe80::ffff:ffff:ffff:ffff]:7", "[::]:7"];
    let addresses = addresses.map(|text| text.parse().expect("an address"));
    addresses.into_iter().flat_map(|address| [Flow::to(address), Flow::from(address)]).collect()
}

#[test]
fn nothing_is_wrong_with_any_program() {
    for flow in flows() {
        for layout in [layout(), privileged()] {
            let [program] = &object(flow, &layout).programs[..] else { panic!("one program") };
            assert_eq!(check(&program.code), [], "{flow:?}");
            assert!(program.code.len() < 400, "{}", program.code.len());
        }
    }
}

#[test]
fn the_same_flow_gives_the_same_bytes_and_another_one_others() {
    let bytes = |flow| object(flow, &layout()).to_elf(Endian::Little).expect("it is written");
    let flows = flows();
    for (number, &flow) in flows.iter().enumerate() {
        assert_eq!(bytes(flow), bytes(flow), "{flow:?}");
        for &other in &flows[number + 1..] {
            assert_ne!(bytes(flow), bytes(other), "{flow:?} {other:?}");
        }
    }
}

#[test]
fn an_address_stands_for_the_families_whose_packets_its_socket_gets() {
    let check = |address: &str, expected: &[IpAddr]| {
        let address = address.parse().expect("an address");
        assert_eq!(Flow::to(address).ips(), expected, "{address}");
    };
    let [any_v4, any_v6] = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    check("127.0.0.1:1", &[Ipv4Addr::LOCALHOST.into()]);
    check("[::1]:1", &[Ipv6Addr::LOCALHOST.into()]);
    check("[::ffff:127.0.0.1]:1", &[Ipv4Addr::LOCALHOST.into()]);
    check("0.0.0.0:1", &[any_v4]);
    check("[::]:1", &[any_v4, any_v6]);
}

#[test]
#[should_panic(expected = "more than fit the stack")]
fn a_packet_spread_too_far_is_refused() {
    let mut layout = layout();
    layout.skb.head = 4000;
    object(flows()[0], &layout);
}
