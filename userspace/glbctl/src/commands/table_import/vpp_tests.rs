// SPDX-License-Identifier: GPL-2.0

//! The examples of VPP's own document, word for word, and what is wrong with lines.

use super::*;

/// Of `lb_plugin_doc.md`, behind a line of our own. The tests of the tool from outside read them, too.
const EXAMPLES: &str = include_str!("../../../tests/vpp-examples.conf");

fn servers(list: &[(&str, u16)]) -> Vec<(IpAddr, u16)> {
    let server = |(addr, weight): &(&str, u16)| (addr.parse().unwrap(), *weight);
    list.iter().map(server).collect()
}

#[test]
fn the_examples_are_taken_word_for_word() {
    let found = read(EXAMPLES);
    assert_eq!(found.refused, []);
    assert_eq!(found.notes, []);
    let vip = |line, prefix: &str, encap, rows| {
        let (addr, bits) = prefix.split_once('/').unwrap();
        Vip {
            line,
            key: Key {
                addr: addr.parse().unwrap(),
                bits: bits.parse().unwrap(),
                proto: None,
                port: None,
            },
            encap,
            dscp: None,
            target_port: None,
            node_port: None,
            is_node_port: false,
            rows,
            sticky: false,
            servers: Vec::new(),
        }
    };
    let mut nat4 = vip(6, "90.1.2.1/32", Encap::Nat4, 1024);
    nat4.key.port = Some(3306);
    (nat4.target_port, nat4.node_port) = (Some(3307), Some(30964));
    let mut nat6 = vip(7, "2004::/16", Encap::Nat6, 1024);
    nat6.key.port = Some(6306);
    (nat6.target_port, nat6.node_port) = (Some(6307), Some(30966));
    let wanted = [
        Vip {
            servers: servers(&[("10.0.0.1", 100), ("10.0.0.2", 100)]),
            ..vip(2, "2003::/16", Encap::Gre4, 2048)
        },
        Vip {
            servers: servers(&[("2001::2", 100)]),
            ..vip(3, "80.0.0.0/8", Encap::Gre6, 16)
        },
        Vip {
            servers: servers(&[("10.0.0.1", 100)]),
            ..vip(4, "90.0.0.0/8", Encap::Gre4, 1024)
        },
        Vip {
            dscp: Some(2),
            ..vip(5, "100.0.0.0/8", Encap::L3dsr, 32)
        },
        nat4,
        nat6,
    ];
    assert_eq!(found.vips, wanted);
}

#[test]
fn what_has_its_place_elsewhere_is_noted() {
    let text = "# ours\n\
        vppctl lb conf ip4-src-address 10.0.0.9 ip6-src-address fd00::9 buckets 1024 timeout 40 // all\n\
        lb set interface nat4 in host-vpp1\n\
        lb set interface nat6 in host-vpp1 del\n";
    let found = read(text);
    assert_eq!(found.refused, []);
    assert_eq!((found.buckets, found.timeout), (Some(1024), Some(40)));
    let notes: Vec<(usize, &str)> = found
        .notes
        .iter()
        .map(|(line, note)| (*line, note.split(": ").last().unwrap()))
        .collect();
    assert_eq!(
        notes,
        [
            (2, "glbctl config set --source-v4 10.0.0.9"),
            (2, "glbctl config set --source-v6 fd00::9"),
            (3, "glbctl attach host-vpp1 --role return"),
            (4, "glbctl detach host-vpp1"),
        ]
    );
}

#[test]
fn a_flush_is_the_running_directors() {
    let text = "lb vip 90.0.0.0/8 encap gre4\n\
        lb vip 90.0.0.1/32 protocol tcp port 80 encap gre4\n\
        lb as 90.0.0.0/8 10.0.0.1\n\
        lb flush vip 90.0.0.0/8\n\
        lb flush vip 90.0.0.1/32 protocol tcp port 80\n\
        lb as 90.0.0.0/8 10.0.0.1 del flush\n";
    let found = read(text);
    assert_eq!(found.refused, []);
    let notes: Vec<(usize, &str)> = found
        .notes
        .iter()
        .map(|(line, note)| (*line, note.split(": ").last().unwrap()))
        .collect();
    assert_eq!(
        notes,
        [
            (4, "glbctl flows --flush --service '90.0.0.0/8'"),
            (
                5,
                "glbctl flows --flush --service '90.0.0.1/32 tcp port 80'"
            ),
        ]
    );
    assert_eq!(found.vips[0].servers, []);
}

#[test]
fn later_lines_change_earlier_ones() {
    let text = "lb vip 90.0.0.0/8 encap gre4 src_ip_sticky\n\
        lb vip 90.0.0.1/32 protocol tcp port 80 encap gre4\n\
        lb vip 90.0.0.1/32 protocol udp port 80 encap gre4\n\
        lb as 90.0.0.0/8 10.0.0.1 10.0.0.2 weight 7\n\
        lb as 90.0.0.0/8 10.0.0.1 del flush\n\
        lb as_set_weight 90.0.0.0/8 10.0.0.2 250\n\
        lb as 90.0.0.1/32 protocol udp port 80 10.0.0.3\n\
        lb vip 90.0.0.1/32 protocol tcp port 80 del\n";
    let found = read(text);
    assert_eq!(found.refused, []);
    assert_eq!(found.vips.len(), 2);
    assert!(found.vips[0].sticky && !found.vips[1].sticky);
    assert_eq!(found.vips[0].servers, servers(&[("10.0.0.2", 250)]));
    assert_eq!(found.vips[1].key.proto, Some(Proto::Udp));
    assert_eq!(found.vips[1].servers, servers(&[("10.0.0.3", 100)]));
}

#[test]
fn each_line_that_is_not_taken_is_named() {
    const VIP: &str = "lb vip 90.0.0.0/8 encap gre4\nlb as 90.0.0.0/8 10.0.0.1\n";
    for (line, why) in [
        ("show lb vip", "is no line of VPP's load balancer"),
        ("lb flush all", "is none of lb conf"),
        ("lb flush vip 91.0.0.0/8", "no line lb vip above"),
        ("lb flush vip 90.0.0.0/8 now", "\"now\" is not known here"),
        ("lb vip nonsense encap gre4", "\"nonsense\" is no prefix"),
        ("lb vip 91.0.0.0/33", "\"91.0.0.0/33\" is no prefix"),
        ("lb vip 91.0.0.0/8 encap gre5", "encap \"gre5\": must be"),
        ("lb vip 91.0.0.0/8 encap", "encap \"\": must be"),
        (
            "lb vip 91.0.0.0/8 encap gre4 new_len 1000",
            "new_len 1000: must be a power of two",
        ),
        (
            "lb vip 91.0.0.0/8 encap gre4 dscp 2",
            "dscp needs encap l3dsr",
        ),
        ("lb vip 91.0.0.0/8 encap l3dsr", "encap l3dsr needs dscp"),
        (
            "lb vip 91.0.0.0/8 encap l3dsr dscp 64",
            "dscp 64: must be 0 to 63",
        ),
        (
            "lb vip 91.0.0.0/8 encap nat4 target_port 1",
            "encap nat4 needs port and target_port",
        ),
        (
            "lb vip 91.0.0.0/8 encap gre4 node_port 1",
            "need encap nat4 or nat6",
        ),
        (
            "lb vip 91.0.0.0/8 encap nat6 port 1 target_port 1",
            "of the other family",
        ),
        (
            "lb vip 91.0.0.0/8 protocol sctp port 1",
            "protocol \"sctp\": must be tcp or udp",
        ),
        ("lb vip 91.0.0.0/8 protocol tcp port 0", "port 0: must be"),
        ("lb vip 91.0.0.0/8 color red", "\"color\" is not known here"),
        (
            "lb vip 90.0.0.0/8 encap gre6",
            "another line has this VIP already",
        ),
        ("lb vip 91.0.0.0/8 del", "no line lb vip above has this VIP"),
        (
            "lb as 91.0.0.0/8 10.0.0.1",
            "no line lb vip above has this VIP",
        ),
        ("lb as 90.0.0.0/8", "names no application server"),
        (
            "lb as 90.0.0.0/8 10.0.0.1",
            "10.0.0.1 is a server of this VIP already",
        ),
        (
            "lb as 90.0.0.0/8 10.0.0.2 del",
            "10.0.0.2 is no server of this VIP",
        ),
        (
            "lb as 90.0.0.0/8 fd00::1",
            "fd00::1 is not of the family of encap gre4",
        ),
        (
            "lb as 90.0.0.0/8 10.0.0.2 weight 1001",
            "weight \"1001\": must be 0 to 1000",
        ),
        (
            "lb as 90.0.0.0/8 <address>",
            "\"<address>\" is not known here",
        ),
        (
            "lb as_set_weight 90.0.0.0/8 10.0.0.2 5",
            "10.0.0.2 is no server of this VIP",
        ),
        (
            "lb as_set_weight 90.0.0.0/8 10.0.0.1",
            "needs a VIP, an application server",
        ),
        (
            "lb conf ip4-src-address fd00::1",
            "ip4-src-address \"fd00::1\": must be",
        ),
        ("lb conf buckets many", "buckets \"many\": must be a number"),
        ("lb conf buckets 0", "buckets 0: must be 1 to 1048576"),
        ("lb conf buckets 2097152", "must be 1 to 1048576"),
        ("lb conf timeout 43201", "timeout 43201: must be 1 to 43200"),
        ("lb conf timeout 65576", "timeout 65576: must be 1 to 43200"),
        ("lb set interface nat4 in", "names no interface"),
    ] {
        let before = read(VIP);
        let found = read(&format!("{VIP}{line}\n"));
        let [(number, text, reason)] = &found.refused[..] else {
            panic!("{line}: {found:?}");
        };
        assert_eq!((*number, &text[..]), (3, line));
        assert!(reason.contains(why), "{line}: {reason}");
        // It leaves nothing behind.
        assert_eq!(found.vips, before.vips, "{line}");
        assert_eq!((found.buckets, found.notes), (None, Vec::new()), "{line}");
    }
}
