// SPDX-License-Identifier: GPL-2.0

//! `glbctl decap` over captures that are made here: the vectors of tests/vectors/geneve.tsv, frames of all kinds, and wrong words.

mod common;

use common::{glbctl, glbctl_fed, schema::Schema, Dir};
use serde_json::Value;
use std::fs;
use std::path::Path;

const ROUTER: &str = "0a0000000001";
const OURS: &str = "0a0000000002";

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Name, what becomes of it, verdict, packet.
fn vectors() -> Vec<[String; 4]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/geneve.tsv");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let fields = |line: &str| {
        let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        fields.try_into().unwrap()
    };
    lines.map(fields).collect()
}

/// Its first packet.
fn good() -> Vec<u8> {
    hex(&vectors()[0][3])
}

fn capture(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file: Vec<u8> = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, link]
        .map(u32::to_le_bytes)
        .concat();
    for (index, frame) in frames.iter().enumerate() {
        let len = frame.len() as u32;
        file.extend([index as u32, 5, len, len].map(u32::to_le_bytes).concat());
        file.extend(frame);
    }
    file
}

/// The frames of a capture, each with its seconds.
fn frames(file: &[u8], link: u32) -> Vec<(u32, Vec<u8>)> {
    assert_eq!(file[20..24], link.to_le_bytes());
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (seconds, len) = (word(0), word(8) as usize);
        frames.push((seconds, rest[16..16 + len].to_vec()));
        rest = &rest[16 + len..];
    }
    frames
}

/// What comes out, and the verdicts in order, which are numbered from 1 and as the schema says.
fn decap(
    dir: &Dir,
    words: &str,
    link: u32,
    packets: &[Vec<u8>],
) -> (Vec<(u32, Vec<u8>)>, Vec<String>) {
    let (input, output) = (dir.path("in.pcap"), dir.path("out.pcap"));
    fs::write(&input, capture(link, packets)).unwrap();
    let run = glbctl(&format!("--json decap {words}"), &[&input, &output]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    let said = run.json();
    assert_eq!(Schema::read("glbctl").faults("decap", &said), [""; 0]);
    let lines = said.as_array().unwrap();
    let verdict = |(index, line): (usize, &Value)| {
        assert_eq!(line["packet"], index + 1);
        line["verdict"].as_str().unwrap().to_owned()
    };
    let verdicts = lines.iter().enumerate().map(verdict).collect();
    (frames(&fs::read(output).unwrap(), link), verdicts)
}

#[test]
fn the_vectors() {
    let dir = Dir::new("decap-vectors");
    let vectors = vectors();
    let packets: Vec<_> = vectors.iter().map(|line| hex(&line[3])).collect();
    let (out, verdicts) = decap(&dir, "--allow-from 10.1.1.0/24", 101, &packets);
    let expected: Vec<&str> = vectors.iter().map(|line| &*line[2]).collect();
    assert_eq!(verdicts, expected);
    let inner = packets[0][68..].to_vec();
    assert_eq!(out, [(0, inner.clone()), (1, inner.clone())]);
    // Without a list anybody may send.
    let (out, verdicts) = decap(&dir, "", 101, &packets);
    assert_eq!(verdicts.last().unwrap(), "accepted_packets");
    assert_eq!(out.last(), Some(&(packets.len() as u32 - 1, inner)));
    assert_eq!(out.len(), 3);
}

#[test]
fn frames_with_and_without_tags_and_padding() {
    let dir = Dir::new("decap-frames");
    let good = good();
    let ethernet = |tags: &str, ethertype: &str, packet: &[u8]| {
        [
            hex(&[OURS, ROUTER, tags, ethertype].concat()),
            packet.to_vec(),
        ]
        .concat()
    };
    let mut six = hex(&vectors()[7][3]);
    six[30..32].copy_from_slice(&[0x86, 0xdd]);
    let packets = [
        ethernet("", "0806", &[0]),
        ethernet("", "0800", &[&good[..], &[0xde; 6]].concat()),
        ethernet("81000007", "0800", &good),
        ethernet("88a8000781000007", "0800", &good),
        ethernet("", "0800", &six),
        ethernet("", "0800", &good[..90]),
        hex("00"),
        Vec::new(),
    ];
    let (out, verdicts) = decap(&dir, "", 1, &packets);
    let inner = |ethertype: &str, packet: &[u8]| ethernet("", ethertype, &packet[68..]);
    let expected = [
        (1, inner("0800", &good)),
        (2, inner("0800", &good)),
        (4, inner("86dd", &six)),
    ];
    assert_eq!(out, expected);
    let (accepted, passed) = ("accepted_packets", "passed_not_geneve_packets");
    let truncated = "dropped_truncated_packets";
    let expected = [
        passed, accepted, accepted, passed, accepted, truncated, passed, passed,
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn a_wrong_udp_checksum() {
    let dir = Dir::new("decap-checksum");
    let mut packet = good();
    // The sum over pseudo header and datagram, as the checksum's field is 0 so far.
    let pseudo = [&packet[12..20], &[0, 17], &packet[24..26]].concat();
    let words = pseudo.chunks(2).chain(packet[20..].chunks(2));
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    let check = !(((sum >> 16) + (sum & 0xffff)) as u16);
    packet[26..28].copy_from_slice(&check.to_be_bytes());
    let mut wrong = packet.clone();
    wrong[27] ^= 1;
    let (out, verdicts) = decap(&dir, "", 101, &[packet, wrong]);
    assert_eq!(verdicts, ["accepted_packets", "dropped_checksum_packets"]);
    assert_eq!(out.len(), 1);
}

#[test]
fn class_and_port_of_another_cloud() {
    let dir = Dir::new("decap-class");
    let mut packet = good();
    packet[22..24].copy_from_slice(&6082u16.to_be_bytes());
    for at in [37, 49, 61] {
        packet[at] = 0x67;
    }
    let packets = [packet];
    for (words, verdict) in [
        ("--class 0x0167 --port 6082", "accepted_packets"),
        ("--class 359 --port 6082", "accepted_packets"),
        ("--port 6082", "dropped_missing_option_packets"),
        ("--class 0x167", "passed_not_geneve_packets"),
    ] {
        let (_, verdicts) = decap(&dir, words, 101, &packets);
        assert_eq!(verdicts, [verdict], "{words}");
    }
}

#[test]
fn what_cannot_be_is_one_clear_error_and_writes_nothing() {
    let dir = Dir::new("decap-errors");
    let (input, output) = (dir.path("in.pcap"), dir.path("out.pcap"));
    fs::write(&input, capture(101, &[good()])).unwrap();
    let many = vec!["10.0.0.0/8"; 17].join(",");
    for (words, code, says) in [
        (
            "--class 0x10000".to_owned(),
            2,
            "expected a class of options, 0 to 65535 or 0x0000 to 0xffff",
        ),
        ("--class aws".to_owned(), 2, "expected a class of options"),
        ("--port 0".to_owned(), 2, "0 is not in 1..=65535"),
        (
            "--allow-from 10.0.0.0/33".to_owned(),
            2,
            "the address has 32 bits only",
        ),
        (
            format!("--allow-from {many}"),
            1,
            "--allow-from: 17 prefixes: at most 16",
        ),
    ] {
        let run = glbctl(&format!("decap {words}"), &[&input, &output]);
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.err.contains(says), "{run:?}");
        assert_eq!(dir.names(), ["in.pcap"]);
    }
    let run = glbctl("decap", &[&input, &input]);
    assert_eq!(run.code, 1);
    assert!(
        run.err
            .contains("whose contents would be lost under this name"),
        "{run:?}"
    );
    // A capture that ends within a frame leaves nothing behind.
    let whole = fs::read(&input).unwrap();
    fs::write(&input, &whole[..whole.len() - 1]).unwrap();
    let run = glbctl("--json decap", &[&input, &output]);
    assert_eq!(run.code, 1);
    assert!(
        run.json()["error"]
            .as_str()
            .unwrap()
            .ends_with("in.pcap: the file ends within a frame"),
        "{run:?}"
    );
    assert_eq!(dir.names(), ["in.pcap"]);
}

#[test]
fn by_pipes_and_for_people() {
    let file = capture(
        101,
        &vectors()
            .iter()
            .map(|line| hex(&line[3]))
            .collect::<Vec<_>>(),
    );
    let run = glbctl_fed("decap - -", &[], &file);
    assert!(run.status.success(), "{run:?}");
    assert_eq!(frames(&run.stdout, 101).len(), 3);
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(
        said.lines().next(),
        Some("        13 total_packets"),
        "{said}"
    );
    assert!(said.contains("         3 accepted_packets\n"), "{said}");
    assert!(!said.contains(" 0 "), "{said}");
}
