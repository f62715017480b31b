// SPDX-License-Identifier: GPL-2.0

//! Maglev tables through all commands that need no kernel, and VPP's lines as a table file: its own examples, and the flows of
//! its own test case (tests/vectors/vpp-lb.tsv).

mod common;

use common::schema::Schema;
use common::{glbctl, Dir};
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// What a command prints is what the schema says.
fn holds(command: &str, value: &Value) {
    let faults = Schema::read("glbctl").faults(command, value);
    assert_eq!(faults, [""; 0], "{command}: {value}");
}

/// The fields of each line of VPP's test case that begins with this word.
fn vectors(kind: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/vpp-lb.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.split('\t').map(ToOwned::to_owned).collect())
        .filter(|fields: &Vec<String>| fields[0] == kind)
        .collect()
}

/// The VIP of the test case, in VPP's lines.
fn lines(more: &str) -> String {
    format!(
        "lb vip 90.0.0.0/8 encap gre4 new_len 1024{more}\n\
         lb as 90.0.0.0/8 10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4\n"
    )
}

fn imported(dir: &Dir, name: &str, lines: &str) -> PathBuf {
    let (from, to) = (
        dir.file(&format!("{name}.vpp"), lines),
        dir.path(&format!("{name}.json")),
    );
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    to
}

#[test]
fn each_flow_of_vpps_test_case_goes_to_its_server() {
    let dir = Dir::new("vpp-flows");
    let flow = imported(&dir, "flow", &lines(""));
    let sticky = imported(&dir, "sticky", &lines(" src_ip_sticky"));
    let flows = vectors("flow4");
    assert_eq!(flows.len(), 100);
    for fields in &flows {
        let (src, dst) = fields[2].split_once(" -> ").unwrap();
        let (sport, dport) = fields[3].split_once("->").unwrap();
        let server = |file: &Path| {
            let words = format!("--json lookup --proto udp {src}:{sport} {dst}:{dport} --table");
            let run = glbctl(&words, &[file]);
            assert_eq!(run.code, 0, "{run:?}");
            holds("lookup", &run.json());
            let answer = run.json();
            let ip = answer["hops"][0]["ip"].as_str().unwrap().to_owned();
            (ip, answer["hashes"][0]["row"].as_u64().unwrap())
        };
        assert_eq!(
            server(&flow),
            (fields[6].clone(), fields[5].parse().unwrap()),
            "{fields:?}"
        );
        let by_address = fields[7].rsplit(' ').next().unwrap();
        assert_eq!(server(&sticky).0, by_address, "{fields:?}");
    }
}

#[test]
fn the_table_of_vpps_test_case_is_shown_row_by_row() {
    let dir = Dir::new("vpp-table");
    let file = imported(&dir, "t", &lines(""));
    let run = glbctl("--json table show --rows", &[&file]);
    let shown = run.json();
    holds("table show", &shown);
    let rows: String = shown[0]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_u64().unwrap().to_string())
        .collect();
    assert_eq!(rows, vectors("table-full")[0][2]);
    assert_eq!(shown[0]["hops"], 1);
    let select = json!({"kind": "maglev", "size": 1024, "compat": "vpp"});
    assert_eq!(shown[0]["select"], select);
    // What was shown is what `table check` takes.
    let saved = dir.file("shown.json", &run.out);
    let checked = glbctl("table check", &[&saved]);
    assert_eq!(checked.code, 0, "{checked:?}");
    // One server leaves: as many rows move without need as the model says.
    let gone = lines("") + "lb as 90.0.0.0/8 10.0.0.3 del\n";
    let gone = imported(&dir, "gone", &gone);
    let diff = glbctl("--json table diff", &[&file, &gone]).json();
    let counted = |name: &str| diff["tables"][0][name].as_u64().unwrap();
    assert_eq!((counted("rows"), counted("needless")), (1024, 127));
    assert_eq!(counted("moved"), 205 + 127);
    // Binary and back.
    let bin = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&file, &bin]).code, 0);
    let out = dir.path("back.json");
    let exported = glbctl("table export -o", &[&out, &bin]);
    assert_eq!(exported.code, 0, "{exported:?}");
    assert!(exported.out.contains("byte for byte"), "{exported:?}");
}

/// The examples of VPP's document.
const EXAMPLES: &str = "\
lb vip 2003::/16 encap gre4 new_len 2048
lb vip 80.0.0.0/8 encap gre6 new_len 16
lb vip 90.0.0.0/8 encap gre4 new_len 1024
lb vip 100.0.0.0/8 encap l3dsr dscp 2 new_len 32
lb as 2003::/16 10.0.0.1 10.0.0.2
lb as 80.0.0.0/8 2001::2
lb as 90.0.0.0/8 10.0.0.1
lb as 100.0.0.0/8 10.0.0.7 10.0.0.8
lb set interface nat4 in host-vpp1
";

#[test]
fn the_examples_become_tables() {
    let dir = Dir::new("vpp-examples");
    let from = dir.file("lb.vpp", EXAMPLES);
    let to = dir.path("t.json");
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    assert!(run.out.contains(
        "line 9: the role of a device is not in a table: glbctl attach host-vpp1 --role return"
    ));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap();
    let backend = |ip: &str| json!({"ip": ip, "state": "active", "healthy": true, "weight": 100});
    let table = |name: &str, size: u32, forward: Value, servers: &[&str]| {
        json!({"name": name, "select": {"kind": "maglev", "size": size, "compat": "vpp"}, "forward": forward,
            "binds": [{"ip": name, "proto": "any"}],
            "backends": servers.iter().map(|ip| backend(ip)).collect::<Value>()})
    };
    let wanted = json!({"tables": [
        table("2003::/16", 2048, json!({"kind": "gre"}), &["10.0.0.1", "10.0.0.2"]),
        table("80.0.0.0/8", 16, json!({"kind": "gre"}), &["2001::2"]),
        table("90.0.0.0/8", 1024, json!({"kind": "gre"}), &["10.0.0.1"]),
        table("100.0.0.0/8", 32, json!({"kind": "l3dsr", "dscp": 2}), &["10.0.0.7", "10.0.0.8"]),
    ]});
    assert_eq!(file, wanted);
    let checked = glbctl("table check", &[&to]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let run = glbctl("--json table import-vpp --dry-run", &[&from]);
    holds("table import-vpp", &run.json());
}

/// The document's examples, which name servers of three VIPs alone.
#[test]
fn the_documents_own_lines_become_tables_that_are_checked() {
    let dir = Dir::new("vpp-document");
    let text = include_str!("vpp-examples.conf");
    let (from, to) = (dir.file("startup.vpp", text), dir.path("t.json"));
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    for line in [5, 6, 7] {
        let note = format!("line {line}: no line lb as names an application server of this VIP");
        assert!(run.out.contains(&note), "{run:?}");
    }
    let checked = glbctl("table check", &[&to]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let names = |file: &Path| -> Vec<Value> {
        let shown = glbctl("--json table show", &[file]).json();
        let tables = shown.as_array().unwrap().iter();
        tables
            .map(|table| json!([table["table"], table["forward"]["kind"]]))
            .collect()
    };
    let three = [
        json!(["2003::/16", "gre"]),
        json!(["80.0.0.0/8", "gre"]),
        json!(["90.0.0.0/8", "gre"]),
    ];
    assert_eq!(names(&to), three);
    // With servers for the others, as an operator has them, all six.
    let more = "lb as 100.0.0.0/8 10.0.0.7\nlb as 90.1.2.1/32 10.0.0.8\nlb as 2004::/16 2001::8\n";
    let to = imported(&dir, "whole", &format!("{text}{more}"));
    let checked = glbctl("table check", &[&to]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let others = [
        json!(["100.0.0.0/8", "l3dsr"]),
        json!(["90.1.2.1/32 port 3306", "nat"]),
        json!(["2004::/16 port 6306", "nat"]),
    ];
    assert_eq!(names(&to), [three, others].concat());
}

/// What VPP keeps by, and for how long, goes with each table.
#[test]
fn the_flow_tables_are_as_vpp_is_told() {
    let dir = Dir::new("vpp-conf");
    let text = "lb conf buckets 2048 timeout 60\n\
        lb vip 90.0.0.0/8 encap gre4\nlb as 90.0.0.0/8 10.0.0.1\n\
        lb vip 91.0.0.1/32 protocol tcp port 80 encap gre4 src_ip_sticky\n\
        lb as 91.0.0.1/32 protocol tcp port 80 10.0.0.1\n\
        lb flush vip 90.0.0.0/8\n";
    let (from, to) = (dir.file("lb.vpp", text), dir.path("t.json"));
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    assert!(
        run.out
            .contains("glbctl flows --flush --service '90.0.0.0/8'"),
        "{run:?}"
    );
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap();
    let tables = &file["tables"];
    assert_eq!(
        tables[0]["flows"],
        json!({"buckets": 2048, "timeout_s": 60})
    );
    let by_source = json!({"by": "source", "buckets": 2048, "timeout_s": 60});
    assert_eq!(tables[1]["flows"], by_source);
    assert_eq!(tables[1]["select"]["compat"], "vpp-sticky");
    assert_eq!(
        tables[1]["binds"],
        json!([{"ip": "91.0.0.1/32", "proto": "tcp", "port": 80}])
    );
    // Without a word, flows are remembered as the defaults say.
    let checked = glbctl(
        "table check",
        &[&dir.file("lb2.json", &imported_text(&dir))],
    );
    assert!(
        checked
            .out
            .contains("remembers by flow for 40 s in 16384 buckets (1.0 MiB)"),
        "{checked:?}"
    );
}

fn imported_text(dir: &Dir) -> String {
    std::fs::read_to_string(imported(dir, "plain", EXAMPLES)).unwrap()
}

#[test]
fn a_narrower_bind_has_its_packets_first() {
    let dir = Dir::new("narrower");
    let text = "lb vip 90.0.0.0/8 encap gre4\nlb as 90.0.0.0/8 10.0.0.1\n\
        lb vip 90.0.0.1/32 protocol tcp port 80 encap gre4\n\
        lb as 90.0.0.1/32 protocol tcp port 80 10.0.0.2\n\
        lb vip 91.0.0.0/8 encap gre4\nlb as 91.0.0.0/8 10.0.0.3\n";
    let file = imported(&dir, "narrower", text);
    let run = glbctl("table check", &[&file]);
    let wanted = "table \"90.0.0.0/8\": any 90.0.0.0/8: 1 narrower bind first: tcp 90.0.0.1 port 80 of table \
                  \"90.0.0.1/32 tcp port 80\"";
    assert!(run.out.contains(wanted), "{run:?}");
    assert!(!run.out.contains("any 91.0.0.0/8:"), "{run:?}");
    let json = glbctl("--json table check", &[&file]).json();
    holds("table check", &json);
    assert_eq!(json[0]["tables"][0]["narrower"][0]["count"], 1);
    // So does lookup say.
    for (words, hop) in [
        ("192.0.2.1:5 90.0.0.1:80", "10.0.0.2"),
        ("192.0.2.1:5 90.0.0.1:81", "10.0.0.1"),
        ("--proto udp 192.0.2.1:5 90.0.0.1:80", "10.0.0.1"),
        ("--proto esp 192.0.2.1 90.0.0.1", "10.0.0.1"),
        ("--proto icmp 192.0.2.1 90.0.0.2", "10.0.0.1"),
        // The address is bound by a narrower one, which so has its echo requests.
        ("--proto icmp 192.0.2.1 90.0.0.1", "10.0.0.2"),
        ("--proto 132 192.0.2.1 91.2.3.4", "10.0.0.3"),
    ] {
        let answer = glbctl(&format!("--json lookup {words} --table"), &[&file]).json();
        holds("lookup", &answer);
        assert_eq!(answer["hops"][0]["ip"], hop, "{words}");
    }
    let run = glbctl("lookup --proto esp 192.0.2.1 92.0.0.1 --table", &[&file]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("only binds with proto any take it"),
        "{run:?}"
    );
}

/// Those of them that translate addresses, with servers: the document names none.
#[test]
fn nat_becomes_tables_that_translate() {
    let dir = Dir::new("vpp-nat");
    let text = "\
lb vip 90.1.2.1/32 encap nat4 port 3306 target_port 3307 node_port 30964 new_len 1024
lb vip 2004::/16 encap nat6 port 6306 target_port 6307 node_port 30966 new_len 1024
lb as 90.1.2.1/32 10.0.0.1 10.0.0.2
lb as 2004::/16 2001::2
";
    let (from, to) = (dir.file("lb.vpp", text), dir.path("t.json"));
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    for note in [
        "line 1: node_port 30964 is left out",
        "line 2: node_port 30966 is left out",
        "line 2: VPP answers from 2004:: whatever address of 2004::/16 is asked",
    ] {
        assert!(run.out.contains(note), "{run:?}");
    }
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap();
    let [v4, v6] = [&file["tables"][0], &file["tables"][1]];
    assert_eq!(v4["forward"], json!({"kind": "nat", "target_port": 3307}));
    assert_eq!(v6["forward"], json!({"kind": "nat", "target_port": 6307}));
    let bind = |ip: &str, proto: &str, port: u16| json!({"ip": ip, "proto": proto, "port": port});
    let both = |ip, port| json!([bind(ip, "tcp", port), bind(ip, "udp", port)]);
    assert_eq!(v4["binds"], both("90.1.2.1", 3306));
    assert_eq!(v6["binds"], both("2004::", 6306));
    assert_eq!(glbctl("table check", &[&to]).code, 0);
    let shown = glbctl("table show", &[&to]);
    assert!(shown.out.contains("nat to port 3307"), "{shown:?}");
    holds("table show", &glbctl("--json table show", &[&to]).json());
    // Binary.
    let bin = dir.path("t.bin");
    assert_eq!(glbctl("table build", &[&to, &bin]).code, 0);
    let shown = glbctl("table show", &[&bin]);
    assert!(shown.out.contains("nat to port 6307"), "{shown:?}");
    // What is asked by the director's own address is a table of it.
    let text = text.replace("nat4 port", "nat4 type nodeport port");
    let from = dir.file("nodeport.vpp", &text);
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err
            .contains("line 1: type nodeport: needs a line \"lb conf ip4-src-address"),
        "{run:?}"
    );
    let text = text + "lb conf ip4-src-address 65.65.65.65 ip6-src-address fd65::65\n";
    let from = dir.file("nodeport.vpp", &text);
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.err), (0, ""), "{run:?}");
    let note = "line 1: VPP answers from its source address, whatever address was asked";
    assert!(run.out.contains(note), "{run:?}");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap();
    let [v4, v6] = [&file["tables"][0], &file["tables"][1]];
    assert_eq!(v4["binds"], both("65.65.65.65", 3306));
    assert_eq!(v6["binds"], both("2004::", 6306));
    assert_eq!(glbctl("table check", &[&to]).code, 0);
}

#[test]
fn a_line_that_is_not_taken_is_named_and_nothing_is_written() {
    let dir = Dir::new("vpp-refused");
    let text = EXAMPLES.to_owned() + "lb vip 91.0.0.0/8 encap gre5\n\nshow lb vip\n";
    let (from, to) = (dir.file("lb.vpp", &text), dir.path("t.json"));
    let run = glbctl("table import-vpp -o", &[&to, &from]);
    assert_eq!((run.code, &*run.out), (1, ""), "{run:?}");
    assert!(!to.exists());
    let said: Vec<&str> = run.err.lines().collect();
    assert_eq!(said.len(), 2, "{run:?}");
    assert!(
        said[0].contains("lb.vpp: ")
            && said[0]
                .contains("line 10: \"lb vip 91.0.0.0/8 encap gre5\": encap \"gre5\": must be")
    );
    assert!(
        said[1].contains("line 12: \"show lb vip\": is no line of VPP's load balancer"),
        "{run:?}"
    );
    let run = glbctl("table import-vpp --partial -o", &[&to, &from]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.err.contains("line 10") && run.err.contains("line 12"),
        "{run:?}"
    );
    assert!(to.exists());
    // The file that is read is not written.
    let run = glbctl("table import-vpp -o", &[&from, &from]);
    assert_eq!(run.code, 1, "{run:?}");
}

fn services(change: impl FnOnce(&mut Value)) -> String {
    let backend = |n: u8| json!({"ip": format!("10.0.0.{n}"), "state": "active", "healthy": true});
    let mut table = json!({"name": "web", "select": {"kind": "maglev"},
        "hash_key": "000102030405060708090a0b0c0d0e0f", "seed": "00112233445566778899aabbccddeeff",
        "binds": [{"ip": "90.0.0.1", "proto": "tcp", "port": 80}],
        "backends": (1..=5).map(backend).collect::<Value>()});
    change(&mut table);
    json!({ "tables": [table] }).to_string()
}

#[test]
fn a_drain_moves_what_it_must_and_breaks_nothing() {
    let dir = Dir::new("maglev-diff");
    let old = dir.file("old.json", &services(|_| ()));
    let new = dir.file(
        "new.json",
        &services(|table| table["backends"][2]["state"] = json!("draining")),
    );
    let run = glbctl("--json table diff --exit-code", &[&old, &new]);
    assert_eq!(run.code, 0, "{run:?}");
    let diff = run.json();
    holds("table diff", &diff);
    let table = &diff["tables"][0];
    assert_eq!(
        (&table["rows"], &table["lost"]),
        (&json!(65_537), &json!(0))
    );
    let needless = table["needless"].as_u64().unwrap();
    assert!(needless < 655, "below 1 %: {needless}");
    // With neither a second hop nor a flow table the connections of the rows break.
    for (name, file) in [("old", &old), ("new", &new)] {
        let text = std::fs::read_to_string(file).unwrap();
        let mut tree: Value = serde_json::from_str(&text).unwrap();
        tree["tables"][0]["forward"] = json!({"kind": "gre"});
        tree["tables"][0]["flows"] = json!(false);
        dir.file(&format!("gre-{name}.json"), &tree.to_string());
    }
    let run = glbctl(
        "--json table diff --exit-code",
        &[&dir.path("gre-old.json"), &dir.path("gre-new.json")],
    );
    assert_eq!(run.code, 3, "{run:?}");
    // Another size is another table.
    let other = dir.file(
        "size.json",
        &services(|table| table["select"]["size"] = json!(1_021)),
    );
    let run = glbctl("table diff --exit-code", &[&old, &other]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.out
            .contains("select: maglev with 65537 rows -> maglev with 1021 rows"),
        "{run:?}"
    );
}

#[test]
fn lookup_says_why() {
    let dir = Dir::new("maglev-lookup");
    let file = dir.file(
        "t.json",
        &services(|table| table["select"]["size"] = json!(1_021)),
    );
    let run = glbctl("lookup 192.0.2.1 90.0.0.1:80 --table", &[&file]);
    assert!(
        run.out.contains("of    1021 rows of a maglev table"),
        "{run:?}"
    );
    assert!(run.out.contains("leaves by gue"), "{run:?}");
    let run = glbctl("--json lookup 192.0.2.1 90.0.0.1:80 --table", &[&file]);
    let answer = run.json();
    holds("lookup", &answer);
    // Row and hops are those of the table.
    let shown = glbctl("--json table show --rows", &[&file]).json();
    let row = usize::try_from(answer["hashes"][0]["row"].as_u64().unwrap()).unwrap();
    let hash = u64::from_str_radix(answer["hashes"][0]["hash"].as_str().unwrap(), 16).unwrap();
    assert_eq!(row as u64, (hash >> 32) * 1_021 >> 32);
    assert_eq!(shown[0]["rows"][row], answer["hashes"][0]["hops"]);
    let checked = glbctl("table check", &[&file]);
    assert!(checked.out.contains("1021 rows"), "{checked:?}");
}

/// Whether the schema of table files takes a file.
fn is_valid(file: &str) -> bool {
    let path = "../../spec/forwarding_table.schema.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let file: Value = serde_json::from_str(file).unwrap();
    jsonschema::validator_for(&schema).unwrap().is_valid(&file)
}

#[test]
fn the_schema_takes_what_the_tools_take() {
    let dir = Dir::new("maglev-schema");
    let vpp = imported(&dir, "vpp", EXAMPLES);
    assert!(is_valid(&std::fs::read_to_string(vpp).unwrap()));
    type Change = fn(&mut Value);
    let glb: Change = |table| table["select"] = json!({"kind": "glb"});
    let cases: [(bool, Change); 22] = [
        (true, |_| ()),
        (true, |table| table["flows"] = json!(false)),
        (true, |table| table["flows"] = json!({"by": "source"})),
        (false, |table| table["flows"] = json!(true)),
        (true, |table| {
            table["binds"] = json!([{"ip": "90.0.0.0/8", "proto": "any"}])
        }),
        (
            true,
            |table| {
                table["binds"][0] =
                    json!({"ip": "90.0.0.0/8", "proto": "any", "port_start": 0, "port_end": 65535})
            },
        ),
        (false, |table| table["binds"][0]["proto"] = json!("any")),
        (false, |table| {
            table["binds"] = json!([{"ip": "90.0.0.0/8", "proto": "udp"}])
        }),
        (
            false,
            |table| {
                table["binds"][0] =
                    json!({"ip": "90.0.0.0/8", "proto": "any", "port_start": 1, "port_end": 65535})
            },
        ),
        (false, |table| {
            table["select"] = json!({"kind": "glb"});
            table["binds"] = json!([{"ip": "90.0.0.0/8", "proto": "any"}]);
        }),
        (true, glb),
        (true, |table| table["version"] = json!(3)),
        (true, |table| table["backends"][0]["weight"] = json!(0)),
        (true, |table| table["select"]["size"] = json!(1_021)),
        (true, |table| {
            table.as_object_mut().unwrap().remove("hash_key");
            table.as_object_mut().unwrap().remove("seed");
        }),
        (false, |table| {
            table["select"] = json!({"kind": "glb"});
            table.as_object_mut().unwrap().remove("seed");
        }),
        (false, |table| {
            table["select"] = json!({"kind": "glb"});
            table["version"] = json!(3);
            table["backends"][0]["weight"] = json!(0);
        }),
        (false, |table| table["version"] = json!(2)),
        (false, |table| table["hops"] = json!(2)),
        (false, |table| table["select"]["kind"] = json!("ring")),
        (false, |table| table["select"]["compat"] = json!("own")),
        (false, |table| {
            table["select"] = json!({"kind": "glb", "size": 7})
        }),
    ];
    for (number, (valid, change)) in cases.into_iter().enumerate() {
        let text = services(change);
        assert_eq!(is_valid(&text), valid, "{number}");
        let file = dir.file("t.json", &text);
        let run = glbctl("table check", &[&file]);
        assert_eq!(run.code == 0, valid, "{number}: {run:?}");
    }
}
