// SPDX-License-Identifier: GPL-2.0

//! `glbctl encap` over captures that are made here.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const TABLE: &str = r#"{"tables": [{"name": "t", "hash_key": "12345678901234561234567890123456",
    "seed": "34567890123456783456789012345678",
    "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}],
    "backends": [{"ip": "3.4.5.6", "state": "active", "healthy": true},
                 {"ip": "2.3.4.5", "state": "draining", "healthy": true}]}]}"#;
const CONFIG: &str = r#"{"outbound_src_ip": "65.65.65.65"}"#;

/// A known packet: a SYN, and what a director makes of it, from the IP header on.
const SYN: &str =
    "4500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000";
const SENT: &str = "45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000";

const ROUTER: &str = "0a0000000001";
const OURS: &str = "0a0000000002";

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// A directory of a test's own, with a table and a configuration.
struct Lab(PathBuf);

impl Lab {
    fn new(name: &str, table: &str, config: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("glbctl-encap-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("t.json"), table).unwrap();
        fs::write(dir.join("d.conf"), config).unwrap();
        Self(dir)
    }

    fn write(&self, link: u32, frames: &[Vec<u8>]) {
        let mut file: Vec<u8> = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, link]
            .map(u32::to_le_bytes)
            .concat();
        for (index, frame) in frames.iter().enumerate() {
            let len = frame.len() as u32;
            file.extend([index as u32, 5, len, len].map(u32::to_le_bytes).concat());
            file.extend(frame);
        }
        fs::write(self.0.join("in.pcap"), file).unwrap();
    }

    fn run(&self) -> Output {
        let path = |name: &str| self.0.join(name);
        Command::new(env!("CARGO_BIN_EXE_glbctl"))
            .args(["encap", "--json", "--table"])
            .arg(path("t.json"))
            .arg("--config")
            .arg(path("d.conf"))
            .args([path("in.pcap"), path("out.pcap")])
            .output()
            .unwrap()
    }

    /// The frames that come out, each with its seconds, and the counters.
    fn encap(&self, link: u32, frames: &[Vec<u8>]) -> (Vec<(u32, Vec<u8>)>, serde_json::Value) {
        self.write(link, frames);
        let output = self.run();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let counters = serde_json::from_slice(&output.stdout).unwrap();
        let file = fs::read(self.0.join("out.pcap")).unwrap();
        assert_eq!(file[20..24], link.to_le_bytes());
        let mut rest = &file[24..];
        let mut out = Vec::new();
        while !rest.is_empty() {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let (seconds, len) = (word(0), word(8) as usize);
            out.push((seconds, rest[16..16 + len].to_vec()));
            rest = &rest[16 + len..];
        }
        (out, counters)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ethernet(tags: &str, ethertype: &str, packet: &str) -> Vec<u8> {
    hex(&[OURS, ROUTER, tags, ethertype, packet].concat())
}

#[test]
fn the_vector_from_the_ip_layer_on() {
    let lab = Lab::new("raw", TABLE, CONFIG);
    let (out, counters) = lab.encap(101, &[hex(SYN)]);
    assert_eq!(out, [(0, hex(SENT))]);
    assert_eq!(counters["encapsulated_packets"], 1);
    assert_eq!(counters["encapsulated_bytes"], 80);
}

#[test]
fn frames_go_back_without_padding_and_the_others_are_left_out() {
    let lab = Lab::new("ethernet", TABLE, CONFIG);
    let other_port = SYN.replace("b26e0050", "b26e0051");
    let padding = "deadbeefdead";
    let frames = [
        ethernet("", "0806", "00"),
        ethernet("", "0800", &[SYN, padding].concat()),
        ethernet("", "0800", &other_port),
        ethernet("81000007", "0800", SYN),
        ethernet("", "0800", &SYN[..60]),
        hex("00"),
    ];
    let (out, counters) = lab.encap(1, &frames);
    // As from the module, no tag goes back.
    let back = hex(&[ROUTER, OURS, "0800", SENT].concat());
    assert_eq!(out, [(1, back.clone()), (3, back)]);
    assert_eq!(counters["total_packets"], 6);
    assert_eq!(counters["encapsulated_packets"], 2);
    assert_eq!(counters["passed_no_matching_bind_packets"], 1);
    assert_eq!(counters["passed_unknown_format_packets"], 3);
    let sum: u64 = counters
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.ends_with("_packets") && *name != "total_packets")
        .map(|(_, count)| count.as_u64().unwrap())
        .sum();
    assert_eq!(sum, 6);
}

#[test]
fn the_port_and_the_checksum_of_the_configuration() {
    let config = r#"{"source_v4": "65.65.65.65", "udp_port": 19524, "udp_checksum": true}"#;
    let lab = Lab::new("udp", TABLE, config);
    let (out, _) = lab.encap(101, &[hex(SYN)]);
    let packet = &out[0].1;
    assert_eq!(packet[22..24], 19524u16.to_be_bytes());
    // Over pseudo header, header, and the client's packet: the sum with a right checksum is 0xffff.
    let mut summed = packet[12..].to_vec();
    summed.extend([0, 17]);
    summed.extend(&packet[24..26]);
    let words = summed
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    assert_eq!((sum >> 16) + (sum & 0xffff), 0xffff);
    assert_ne!(packet[26..28], [0, 0]);
}

#[test]
fn a_source_that_only_a_route_knows_is_asked_for() {
    let lab = Lab::new("source", TABLE, r#"{"source_v4": null}"#);
    lab.write(101, &[hex(SYN)]);
    let output = lab.run();
    assert_eq!(output.status.code(), Some(1));
    // With --json failures stand on standard output.
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("no source: a director takes its route's"),
        "{said}"
    );
}

#[test]
fn the_gateway_and_alternative_fields_of_the_configuration() {
    let config = r#"{"outbound_src_ip": "65.65.65.65", "outbound_gateway_mac": "0a:00:00:00:00:99",
        "alt_hash_fields": {"src_addr": true, "src_port": true}}"#;
    let lab = Lab::new("config", TABLE, config);
    let (out, _) = lab.encap(1, &[ethernet("", "0800", SYN)]);
    let frame = &out[0].1;
    assert_eq!(frame[..12], hex(&["0a0000000099", OURS].concat()));
    // Four hops: 48 bytes of overhead, three hops in the list, duplicates kept.
    assert_eq!(frame.len(), 14 + 48 + 40);
    assert_eq!(frame[14 + 28..14 + 36], hex("0404000000000003"));
    assert_eq!(frame[14 + 36..14 + 48], hex("020304050304050602030405"));
}

#[test]
fn fragments_follow_their_first() {
    let config = r#"{"outbound_src_ip": "65.65.65.65", "hash_fields": {"src_addr": true, "src_port": true}}"#;
    let lab = Lab::new("fragments", TABLE, config);
    let first = SYN.replace("00010000400662b6", "00012000400642b6");
    let later = "4500001c00010003400662bf0a0b0c0d010101010102030405060708";
    let stray = later.replace("00010003400662bf", "00020003400662be");
    let (out, counters) = lab.encap(101, &[hex(&first), hex(later), hex(&stray)]);
    assert_eq!(out.len(), 2);
    // The same proxy and the same outer source port for both.
    assert_eq!(out[0].1[16..22], out[1].1[16..22]);
    assert_eq!(out[1].1[40..], hex(later));
    assert_eq!(counters["encapsulated_fragment_packets"], 1);
    assert_eq!(counters["dropped_fragment_packets"], 1);
}

#[test]
fn an_ipv6_underlay() {
    let table = TABLE
        .replace("3.4.5.6", "fd00::6")
        .replace("2.3.4.5", "fd00::5");
    let lab = Lab::new("v6", &table, r#"{"outbound_src_ip": "fd00::1"}"#);
    let (out, _) = lab.encap(1, &[ethernet("", "0800", SYN)]);
    let frame = &out[0].1;
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    assert_eq!(frame.len(), 14 + 40 + 16 + 16 + 40);
    assert_eq!(
        frame[14 + 24..14 + 40],
        hex("fd000000000000000000000000000006")
    );
    assert_eq!(
        frame[14 + 56..14 + 72],
        hex("fd000000000000000000000000000005")
    );
    // Hops that the underlay's family cannot reach are counted, not sent.
    let lab = Lab::new("v6-v4", &table, CONFIG);
    let (out, counters) = lab.encap(1, &[ethernet("", "0800", SYN)]);
    assert_eq!(out, []);
    assert_eq!(counters["dropped_no_route_packets"], 1);
}

/// Field by field: version and IHL, TOS (VPP has 0x1c for 7, too), length, identification, flags, TTL, protocol, checksum,
/// addresses; then TCP with its checksum.
#[test]
fn a_packet_that_is_rewritten() {
    let table = TABLE.replace(
        r#""name": "t","#,
        r#""name": "t", "version": 3, "forward": {"kind": "l3dsr", "dscp": 7},"#,
    );
    let lab = Lab::new("l3dsr", &table, CONFIG);
    let syn = ethernet("", "0800", &[SYN, "00000000"].concat());
    let mut last = hex(SYN);
    last[8] = 1;
    // The header's checksum goes with it.
    last[10] += 0x3f;
    let (out, counters) = lab.encap(
        1,
        &[syn, [&hex(OURS)[..], &hex(ROUTER), &[8, 0], &last].concat()],
    );
    let want = "451c0028000100003f065d920a0b0c0d03040506b26e0050000000000000000050022000bf020000";
    let want = [&hex(ROUTER)[..], &hex(OURS), &[8, 0], &hex(want)].concat();
    assert_eq!(out, [(0, want)]);
    assert_eq!(counters["encapsulated_packets"], 1);
    assert_eq!(counters["encapsulated_bytes"], 40);
    assert_eq!(counters["passed_ttl_packets"], 1);
}

/// The same with the backend's port, 8080, and the client's DSCP.
#[test]
fn a_packet_that_is_translated() {
    let table = TABLE.replace(
        r#""name": "t","#,
        r#""name": "t", "version": 3, "forward": {"kind": "nat", "target_port": 8080},"#,
    );
    let lab = Lab::new("nat", &table, CONFIG);
    let (out, counters) = lab.encap(1, &[ethernet("", "0800", SYN)]);
    let want = "45000028000100003f065dae0a0b0c0d03040506b26e1f900000000000000000500220009fc20000";
    let want = [&hex(ROUTER)[..], &hex(OURS), &[8, 0], &hex(want)].concat();
    assert_eq!(out, [(0, want)]);
    assert_eq!(counters["encapsulated_packets"], 1);
    assert_eq!(counters["encapsulated_bytes"], 40);
}

#[test]
fn a_damaged_capture_leaves_no_output() {
    let lab = Lab::new("damaged", TABLE, CONFIG);
    lab.write(1, &[ethernet("", "0800", SYN)]);
    let path = lab.0.join("in.pcap");
    let mut file = fs::read(&path).unwrap();
    file.pop();
    fs::write(&path, file).unwrap();
    let output = lab.run();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("in.pcap: the file ends within a frame"),
        "{said}"
    );
    assert!(!lab.0.join("out.pcap").exists());
}
