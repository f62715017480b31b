// SPDX-License-Identifier: GPL-2.0

//! `glbctl redirect flows` and `backend status` with real sockets, in network namespaces of the tests' own.

mod common;

use common::netns::{add_address, add_clients, becomes, connect, enter, Both};
use common::{command, glbctl, glbctl_fed, schema::Schema, Dir, Run};
use serde_json::{json, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

const VIP4: &str = "10.9.0.1";
const VIP6: &str = "fd00:9::1";
/// This proxy.
const OWN: &str = "10.0.0.11";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A proxy of the VIPs on a machine of its own; nothing where there can be none.
fn proxy() -> Option<(TcpListener, u16)> {
    if !enter() {
        return None;
    }
    for addr in [OWN, VIP4, "10.9.0.2", VIP6] {
        add_address(addr);
    }
    add_clients("10.2.0.0", 16);
    add_clients("fd02::", 64);
    // Of IPv6, and it hears IPv4 too.
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    Some((listener, port))
}

/// Tables of four proxies: one of the VIPs, with these states, and one of something else.
fn tables(port: u16, version: u8, states: [&str; 4]) -> Value {
    let backends: Vec<Value> = (11..)
        .zip(states)
        .map(|(n, state)| json!({"ip": format!("10.0.0.{n}"), "state": state, "healthy": true}))
        .collect();
    json!({"tables": [
        {"name": "other", "hash_key": "22345678901234561234567890123456", "seed": "59a3d861d661ae5ab06ed9326871a2f5",
         "binds": [{"ip": "10.9.9.9", "proto": "tcp", "port": 1}], "backends": [{"ip": "10.0.0.12", "state": "active", "healthy": true}]},
        {"name": "web", "version": version, "hash_key": "12345678901234561234567890123456",
         "seed": "49a3d861d661ae5ab06ed9326871a2f5", "backends": backends,
         "binds": [{"ip": VIP4, "proto": "tcp", "port": port}, {"ip": VIP6, "proto": "tcp", "port": port},
                   {"ip": "10.9.0.2", "proto": "udp", "port": port}]}]})
}

const ACTIVE: [&str; 4] = ["active"; 4];

fn clients(listener: &TcpListener, count: u8) -> Vec<Both> {
    let of = |n: u8| {
        let v4 = connect(ip(&format!("10.2.0.{n}")), listener, ip(VIP4));
        [v4, connect(ip(&format!("fd02::{n}")), listener, ip(VIP6))]
    };
    (1..=count).flat_map(of).collect()
}

/// What `lookup` says of each connection: client, row, first hop, and whether this proxy is a further hop. Of those whose first
/// hop is another proxy.
fn by_lookup(all: &[Both], options: &str) -> BTreeSet<(String, u64, String, bool)> {
    let mut found = BTreeSet::new();
    for (client, proxy) in all {
        let from = client.local_addr().unwrap();
        let mut to = proxy.local_addr().unwrap();
        to.set_ip(to.ip().to_canonical());
        let answer = glbctl(&format!("--json lookup {from} {to} {options}"), &[]).json();
        let hops: Vec<&str> = answer["hops"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hop| hop["ip"].as_str().unwrap())
            .collect();
        if hops[0] != OWN {
            let row = answer["hashes"][0]["row"].as_u64().unwrap();
            found.insert((
                from.to_string(),
                row,
                hops[0].to_owned(),
                hops.contains(&OWN),
            ));
        }
    }
    found
}

fn by_flows(answer: &Value) -> BTreeSet<(String, u64, String, bool)> {
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    let listed = answer["connections"].as_array().unwrap();
    let one = |one: &Value| {
        let row = one["row"].as_u64().unwrap();
        (
            text(one, "client"),
            row,
            text(one, "first_hop"),
            one["reachable"].as_bool().unwrap(),
        )
    };
    listed.iter().map(one).collect()
}

fn holds(name: &str, answer: &Value) {
    assert_eq!(
        Schema::read("glbctl").faults(name, answer),
        [] as [String; 0],
        "{answer}"
    );
}

#[test]
fn connections_are_where_lookup_says() {
    let Some((listener, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-lookup");
    let all = clients(&listener, 6);
    let conf = |name: &str, more: Value| {
        let mut conf = json!({"outbound_src_ip": "10.0.0.1"});
        conf.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        dir.file(name, &conf.to_string())
    };
    let plain = conf("plain.conf", json!({}));
    let ports = conf(
        "ports.conf",
        json!({"hash_fields": {"src_addr": true, "src_port": true, "dst_addr": true}}),
    );
    let both = conf(
        "both.conf",
        json!({"hash_fields": {"src_addr": true, "src_port": true}, "alt_hash_fields": {"src_addr": true}}),
    );
    let mut seen = BTreeSet::new();
    for (version, states) in [
        (2, ACTIVE),
        (3, ACTIVE),
        (2, ["draining", "active", "active", "active"]),
        (3, ["filling", "active", "active", "draining"]),
        (2, ["inactive", "active", "active", "active"]),
        (2, ["draining", "active", "inactive", "inactive"]),
    ] {
        let file = dir.file("t.json", &tables(port, version, states).to_string());
        let bin = dir.path("t.bin");
        assert_eq!(glbctl("table build", &[&file, &bin]).code, 0);
        for config in [&plain, &ports, &both] {
            for table in [&file, &bin] {
                let options = format!("--table {} --config {}", table.display(), config.display());
                let run = glbctl(
                    &format!("--json redirect flows --list --exit-code {options}"),
                    &[],
                );
                let answer = run.json();
                holds("redirect flows", &answer);
                let expected = by_lookup(&all, &options);
                assert_eq!(
                    by_flows(&answer),
                    expected,
                    "{version} {states:?} {options}"
                );
                assert_eq!(answer["dependent"], expected.len());
                let lost = expected.iter().filter(|(.., reachable)| !reachable).count();
                assert_eq!(answer["unreachable"], lost);
                let web = answer["tables"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|one| one["table"] != "other" && one["table"] != "#0");
                let web = web.unwrap();
                assert_eq!(web["connections"], all.len());
                assert_eq!(web["first"], all.len() - expected.len());
                let mut hops: BTreeMap<&str, u64> = BTreeMap::new();
                for (_, _, hop, _) in &expected {
                    *hops.entry(hop).or_default() += 1;
                }
                for hop in web["first_hops"].as_array().unwrap() {
                    assert_eq!(
                        hops.remove(hop["ip"].as_str().unwrap()),
                        hop["connections"].as_u64()
                    );
                }
                assert!(hops.is_empty(), "{hops:?}");
                assert_eq!(
                    (run.code, answer["safe"].as_bool()),
                    (
                        if expected.is_empty() { 0 } else { 3 },
                        Some(expected.is_empty())
                    )
                );
                seen.insert((expected.len() == all.len(), lost > 0));
            }
        }
        let bytes = std::fs::read(&file).unwrap();
        let fed = glbctl_fed("--json redirect flows --table -", &[], &bytes);
        let other = glbctl("--json redirect flows --table", &[&file]);
        let [mut one, mut two] = [Run::new(&fed).json(), other.json()];
        assert_eq!(one["by"], "standard input");
        (one["by"], two["by"]) = (Value::Null, Value::Null);
        assert_eq!(one, two);
    }
    // There were proxies with some connections of their own and with none, and connections that are found and lost.
    for wanted in [(false, true), (true, false), (true, true)] {
        assert!(seen.contains(&wanted), "{seen:?}");
    }
}

#[test]
fn states_and_strangers() {
    let Some((listener, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-states");
    // All connections depend on second chance, and are found.
    let mut table = tables(port, 2, ["draining", "active", "inactive", "inactive"]);
    table["tables"].as_array_mut().unwrap().remove(0);
    let file = dir.file("t.json", &table.to_string());
    let mut all = clients(&listener, 3);
    let flows = |words: &str| glbctl(&format!("{words} redirect flows --list --table"), &[&file]);
    let states = || {
        let answer = flows("--json").json();
        holds("redirect flows", &answer);
        let listed = answer["connections"].as_array().unwrap();
        let mut states: Vec<String> = listed
            .iter()
            .map(|one| one["state"].as_str().unwrap().to_owned())
            .collect();
        states.sort();
        states
    };
    assert_eq!(states(), ["established"; 6]);
    // The client has ended, or the proxy has; both of them have, the proxy last, which then needs nothing more of the client.
    all[0].0.shutdown(Shutdown::Write).unwrap();
    all[1].1.shutdown(Shutdown::Write).unwrap();
    let mut rest = [0];
    for (client, proxy) in [(2, true), (3, false)] {
        let (one, two) = &all[client];
        let (mut first, mut second) = if proxy { (two, one) } else { (one, two) };
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(second.read(&mut rest).unwrap(), 0);
        second.shutdown(Shutdown::Write).unwrap();
        assert_eq!(first.read(&mut rest).unwrap(), 0);
    }
    assert_eq!((&all[0].1).read(&mut rest).unwrap(), 0);
    assert_eq!((&all[1].0).read(&mut rest).unwrap(), 0);
    // The client's acknowledgement of the proxy's FIN may be a delayed one.
    becomes(
        states,
        ["close-wait", "established", "established", "fin-wait-2"]
            .map(str::to_owned)
            .to_vec(),
    );
    // Of what is not counted, that which somebody may take for counted is said.
    all.push(connect(ip("10.2.0.9"), &listener, ip("10.9.0.2")));
    all.push(connect(ip("10.2.0.9"), &listener, ip(OWN)));
    all.push(connect(ip(VIP4), &listener, ip(VIP4)));
    let away = TcpListener::bind("10.2.0.200:0").unwrap();
    all.push(connect(ip(VIP4), &away, ip("10.2.0.200")));
    drop(away);
    let answer = flows("--json").json();
    assert_eq!(
        (&answer["dependent"], &answer["local"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(
        answer["outside"],
        json!([{"vip": format!("10.9.0.2:{port}"), "connections": 1}])
    );
    let said = flows("").out;
    for line in [
        "table \"web\": 10.0.0.11 (draining), 4 connections",
        "  10.0.0.12                                4",
        &format!("not counted: 1 connection to 10.9.0.2:{port}, which no table has"),
        "not counted: 1 connection from this machine itself",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "no {line} in:\n{said}"
        );
    }
    assert!(
        said.ends_with("\n4 connections depend on second chance: not yet\n"),
        "{said}"
    );
    // With none left, what is in no table is still unknown, unless it comes without a director.
    drop(all.drain(..6));
    let said = glbctl("redirect flows --exit-code --table", &[&file]);
    assert_eq!(said.code, 3, "{said:?}");
    let last = said.out.lines().last().unwrap();
    assert!(
        last.starts_with("unknown: 1 connection is not in the table"),
        "{last}"
    );
    let said = glbctl(
        &format!("redirect flows --exit-code --direct {port} --table"),
        &[&file],
    );
    let last = format!("0 left by {}: safe to go on", file.display());
    assert_eq!((said.code, said.out.lines().last()), (0, Some(&*last)));
}

#[test]
fn which_proxy_it_is() {
    let Some((listener, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-own");
    let all = clients(&listener, 4);
    let file = dir.file("t.json", &tables(port, 2, ACTIVE).to_string());
    let flows = |words: &str| glbctl(&format!("redirect flows {words} --table"), &[&file]);
    // As another proxy, all connections but those of its rows are another's.
    let as_other = glbctl(
        "--json redirect flows --backend 10.0.0.12 --table",
        &[&file],
    )
    .json();
    let web = as_other["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["table"] == "web")
        .unwrap();
    let firsts = web["first_hops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["connections"].as_u64().unwrap());
    assert_eq!(
        web["first"].as_u64().unwrap() + firsts.sum::<u64>(),
        all.len() as u64
    );
    let says = |run: &Run, text: &str| assert!(run.code == 1 && run.err.contains(text), "{run:?}");
    says(
        &flows("--backend 10.0.0.99"),
        "no table has a backend 10.0.0.99",
    );
    add_address("10.0.0.13");
    says(
        &flows(""),
        "10.0.0.11 and 10.0.0.13 are both addresses of this machine",
    );
    assert_eq!(flows("--backend 10.0.0.11").code, 0);
    let strangers = tables(port, 2, ACTIVE)
        .to_string()
        .replace("10.0.0.", "10.0.1.");
    let strangers = dir.file("strangers.json", &strangers);
    says(
        &glbctl("redirect flows --table", &[&strangers]),
        "no backend of any table has an address of this machine",
    );
    // A table of the VIP that does not have it is told as such.
    let mut without = tables(port, 2, ACTIVE);
    without["tables"][1]["backends"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    without["tables"][0]["backends"][0]["ip"] = OWN.into();
    let without = dir.file("without.json", &without.to_string());
    let said = glbctl("redirect flows --backend 10.0.0.11 --table", &[&without]).out;
    assert!(
        said.contains("table \"web\": none of its backends, 8 connections"),
        "{said}"
    );
    assert!(
        said.contains("packets of 8 connections do not reach it"),
        "{said}"
    );
    // An inactive one is in no row.
    let inactive = dir.file(
        "inactive.json",
        &tables(port, 2, ["inactive", "active", "active", "active"]).to_string(),
    );
    let said = glbctl("redirect flows --backend 10.0.0.11 --table", &[&inactive]).out;
    assert!(said.contains("has 10.0.0.11 inactive, in no row"), "{said}");
    // That nothing is said of health is told, and all are taken for healthy: as if the file said so.
    let silent = tables(port, 2, ACTIVE)
        .to_string()
        .replace(",\"healthy\":true", "");
    let silent = dir.file("silent.json", &silent);
    let [mut one, mut two] = [&silent, &file]
        .map(|file| glbctl("--json redirect flows --backend 10.0.0.11 --table", &[file]).json());
    assert_eq!(
        one["notes"].as_array().unwrap().len(),
        two["notes"].as_array().unwrap().len() + 2
    );
    (one["notes"], two["notes"]) = (Value::Null, Value::Null);
    (one["by"], two["by"]) = (Value::Null, Value::Null);
    assert_eq!(one, two);
}

#[test]
fn other_network_namespaces() {
    let Some((_listener, _)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-netns");
    // A program in another namespace, which lives as long as its thread.
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let inside = thread::spawn(move || {
        let (listener, port) = proxy().unwrap();
        let all = clients(&listener, 2);
        tell.send((port, nix::unistd::gettid())).unwrap();
        let _ = ended.recv();
        drop(all);
    });
    let (port, thread) = told.recv().unwrap();
    let path = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
    let file = dir.file(
        "t.json",
        &tables(port, 2, ["draining", "active", "inactive", "inactive"]).to_string(),
    );
    let flows = |words: &str| {
        glbctl(
            &format!("--json redirect flows --list {words} --table"),
            &[&file],
        )
    };
    assert_eq!(flows("").json()["dependent"], 0);
    let answer = flows(&format!("--netns {path}")).json();
    holds("redirect flows", &answer);
    assert_eq!(
        (&answer["dependent"], &answer["netns"]),
        (&json!(4), &json!([path]))
    );
    assert!(answer["connections"]
        .as_array()
        .unwrap()
        .iter()
        .all(|one| one["netns"] == *path));
    // One is not counted twice, by whatever names.
    let own = format!("--netns /proc/thread-self/ns/net,{path},{path}");
    assert_eq!(flows(&own).json()["dependent"], 4);
    for (name, reason) in [
        ("glb-nowhere", "there is no such namespace"),
        ("/etc/passwd", "is no network namespace"),
    ] {
        let run = flows(&format!("--netns {name}"));
        let said = run.json()["error"].as_str().unwrap().to_owned();
        assert!(
            run.code == 1 && said.contains(name) && said.contains(reason),
            "{said}"
        );
    }
    drop(end);
    inside.join().unwrap();
}

#[test]
fn one_that_waits_ends_with_the_last_connection() {
    let Some((listener, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-wait");
    let table = |states| {
        let mut tables = tables(port, 2, states);
        tables["tables"].as_array_mut().unwrap().remove(0);
        tables.to_string()
    };
    let file = dir.file(
        "t.json",
        &table(["draining", "active", "inactive", "inactive"]),
    );
    let mut all = clients(&listener, 2);
    let mut waiting = command("redirect flows --wait --exit-code --table", &[&file]);
    let mut waiting = waiting
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let mut next = || said.next().unwrap().unwrap();
    assert_eq!(next(), "glbctl: 4 connections depend on second chance");
    // Who ends first is the client, so that nothing is left of it at the proxy.
    let hang_up = |client| {
        let (one, two): Both = client;
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&two).read(&mut [0]).unwrap(), 0);
    };
    hang_up(all.remove(0));
    assert_eq!(next(), "glbctl: 3 connections depend on second chance");
    // What cannot be read may be so for a moment.
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, "{").unwrap();
    let bad = next();
    assert!(bad.contains("t.json"), "{bad}");
    std::fs::write(&file, whole).unwrap();
    assert_eq!(next(), "glbctl: 3 connections depend on second chance");
    // Another table takes the place of the first: what it says counts from then on.
    dir.file(
        "new.json",
        &table(["active", "inactive", "inactive", "inactive"]),
    );
    std::fs::rename(dir.path("new.json"), &file).unwrap();
    let output = waiting.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success()
            && out.ends_with(&format!("\n0 left by {}: safe to go on\n", file.display())),
        "{out}"
    );
    drop(all);
}

/// One page, for who asks for it.
fn serve(addr: &str, page: String) -> u16 {
    let listener = TcpListener::bind((addr, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{page}").as_bytes());
        }
    });
    port
}

#[test]
fn status_counts_what_is_left() {
    let Some((listener, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-status");
    let all = clients(&listener, 2);
    let mut tree = tables(port, 2, ["draining", "active", "inactive", "inactive"]);
    tree["tables"].as_array_mut().unwrap().remove(0);
    let file = dir.file("t.json", &tree.to_string());
    let status = |options: &str| {
        let answer = glbctl(
            &format!("--json backend status --checker none --interval 0.01 {options} --file"),
            &[&file],
        )
        .json();
        holds("backend status", &answer);
        answer["tables"][0].clone()
    };
    // On the proxy itself, without an exporter: it is counted here, and nothing is known of the other one.
    let here = status("--metrics none");
    assert_eq!(here["backends"][0]["dependent_connections"], 4);
    assert_eq!(here["backends"][0]["advice"], "4 left: wait");
    assert_eq!(
        (
            &here["dependent_connections"],
            &here["safe"],
            &here["unknown"]
        ),
        (&json!(4), &json!(false), &json!(["10.0.0.12"]))
    );
    drop(all);
    let here = status("--metrics none");
    assert_eq!(
        (&here["dependent_connections"], &here["safe"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(here["backends"][0]["advice"], "0 left: safe to go on");
    // What the other one says counts if it has the same table.
    let config = glb_config::tables::read("t", &tree.to_string())
        .value
        .unwrap();
    let digest = config.tables[0].digest_with_health();
    let page = |digest: u64, count: &str| {
        format!(
            "glb_redirect_accepted_established_packets_total 5\nglb_redirect_flows_valid 1\n\
             glb_redirect_flows_config_info{{hash_fields=\"src_addr\",alt_hash_fields=\"none\"}} 1\n\
             glb_redirect_flows_table_info{{table=\"web\",backend=\"10.0.0.12\",digest=\"{digest:016x}\"}} 1\n\
             glb_redirect_dependent_connections{{table=\"web\",first_hop=\"10.0.0.11\"}} {count}\n\
             glb_redirect_first_hop_connections{{table=\"web\"}} 5\nglb_redirect_outside_connections 0\nglb_redirect_flows_unseen 0\n"
        )
    };
    add_clients("10.0.0.12", 32);
    let safe = format!("  0 left by {}: safe to go on", file.display());
    for (digest, count, left, unknown, last) in [
        (digest, "0", 0, json!([]), &*safe),
        (
            digest,
            "1",
            1,
            json!([]),
            "  1 connection depends on second chance: not yet",
        ),
        (
            digest ^ 1,
            "0",
            0,
            json!(["10.0.0.12"]),
            "  none left of those that are known; not all are",
        ),
        (
            digest,
            "-1",
            0,
            json!(["10.0.0.12"]),
            "  none left of those that are known; not all are",
        ),
    ] {
        let port = serve("10.0.0.12", page(digest, count));
        let options = format!("--metrics http://{{}}:{port}/metrics");
        let told = status(&options);
        assert_eq!(
            (&told["dependent_connections"], &told["unknown"]),
            (&json!(left), &unknown),
            "{count}"
        );
        assert_eq!(told["safe"], left == 0 && unknown == json!([]));
        let run = glbctl(
            &format!("backend status --checker none --interval 0.01 {options} --file"),
            &[&file],
        );
        assert_eq!(run.out.lines().last(), Some(last), "{run:?}");
    }
    // Other hash fields are other rows.
    let port = serve("10.0.0.12", page(digest, "0"));
    let conf = json!({"outbound_src_ip": "10.0.0.1", "hash_fields": {"src_port": true}});
    let conf = dir.file("d.conf", &conf.to_string());
    let told = status(&format!(
        "--metrics http://{{}}:{port}/metrics --config {}",
        conf.display()
    ));
    assert_eq!(told["unknown"], json!(["10.0.0.12"]));
    let error = told["backends"][1]["dependent_error"].as_str().unwrap();
    assert!(
        error.contains("hash fields src_addr and none, and not src_port and none"),
        "{error}"
    );
}

#[test]
fn what_comes_first_to_one_that_leaves_is_left() {
    let Some((listener, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-leaving");
    let all = clients(&listener, 8);
    // Both of the rows drain: one of them is first all the same.
    for (states, healthy, leaves) in [
        (["active", "active", "inactive", "inactive"], true, false),
        (["draining", "draining", "inactive", "inactive"], true, true),
        (["active", "active", "inactive", "inactive"], false, true),
    ] {
        let mut tree = tables(port, 2, states);
        tree["tables"].as_array_mut().unwrap().remove(0);
        for one in tree["tables"][0]["backends"].as_array_mut().unwrap() {
            one["healthy"] = healthy.into();
        }
        let file = dir.file("t.json", &tree.to_string());
        let answer = glbctl("--json redirect flows --table", &[&file]).json();
        holds("redirect flows", &answer);
        let first = answer["tables"][0]["first"].as_u64().unwrap();
        assert!(first > 0, "{answer}");
        let left = if leaves { first } else { 0 };
        assert_eq!(answer["leaving"], left, "{states:?} {healthy}");
        let status = "--json backend status --checker none --metrics none --file";
        let answer = glbctl(status, &[&file]).json();
        holds("backend status", &answer);
        let table = &answer["tables"][0];
        assert_eq!(table["leaving_connections"], left, "{table}");
        assert_eq!(table["backends"][0]["first_hop_connections"], first);
        if states[0] == "draining" {
            let said = format!("{} left: wait", all.len());
            assert_eq!(table["backends"][0]["advice"], said);
        }
    }
}

#[test]
fn nothing_is_safe_where_health_is_not_known() {
    let Some((_, port)) = proxy() else {
        return;
    };
    let dir = Dir::new("flows-health");
    let mut tree = tables(port, 2, ["draining", "inactive", "inactive", "inactive"]);
    tree["tables"].as_array_mut().unwrap().remove(0);
    let status = |tree: &Value, checker: &str| {
        let file = dir.file("t.json", &tree.to_string());
        let words = format!("backend status --metrics none --checker {checker} --file");
        let answer = glbctl(&format!("--json {words}"), &[&file]).json();
        holds("backend status", &answer);
        (answer["tables"][0].clone(), glbctl(&words, &[&file]).out)
    };
    let (table, said) = status(&tree, "none");
    assert_eq!(table["safe"], true, "{said}");
    for (checker, knows) in [("http://127.0.0.1:1/", true), ("none", false)] {
        if !knows {
            let own = &mut tree["tables"][0]["backends"][0];
            own.as_object_mut().unwrap().remove("healthy");
        }
        let (table, said) = status(&tree, checker);
        assert_eq!(table["safe"], false, "{said}");
        let advice = table["backends"][0]["advice"].as_str().unwrap();
        assert!(
            advice.starts_with("unknown: health is not known"),
            "{advice}"
        );
        assert!(said.contains("  unknown: health is not known"), "{said}");
        assert!(!said.contains("safe to go on"), "{said}");
    }
}

/// How long 100,000 connections take. Their 200,000 sockets are held by several programs, as many as each may have:
///
///     cargo test --release -p glbctl --test flows -- --ignored --nocapture hundred
#[test]
#[ignore = "makes 100,000 connections; prints how long they take to count"]
fn a_hundred_thousand() {
    use nix::sys::resource::{getrlimit, setrlimit, Resource};
    const COUNT: usize = 100_000;
    if proxy().is_none() {
        return;
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    // Some are for other files.
    let each = (usize::try_from(most).unwrap() / 2 - 50).min(COUNT);
    let dir = Dir::new("flows-many");
    let mut tables = tables(1, 2, ACTIVE);
    let holders = COUNT.div_ceil(each);
    let last = FIRST_PORT + u16::try_from(holders).unwrap() - 1;
    tables["tables"][1]["binds"] =
        json!([{"ip": VIP4, "proto": "tcp", "port_start": FIRST_PORT, "port_end": last}]);
    let file = dir.file("t.json", &tables.to_string());
    let began = std::time::Instant::now();
    let mut all = Vec::new();
    for holder in 0..holders {
        let own = each.min(COUNT - holder * each);
        let mut one = Command::new(std::env::current_exe().unwrap());
        one.args(["--ignored", "--exact", "--nocapture", "holds_some"]);
        one.env("GLB_HOLD", format!("{holder} {own}"));
        let mut one = one
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(one.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap().ends_with("held")),
            "a holder ended"
        );
        all.push((one, lines));
    }
    println!(
        "{COUNT} connections, held by {holders} programs, made in {:.1?}",
        began.elapsed()
    );
    for options in ["", "--list"] {
        for _ in 0..3 {
            let began = std::time::Instant::now();
            let run = glbctl(
                &format!("--json redirect flows {options} --table"),
                &[&file],
            );
            let took = began.elapsed();
            let answer = run.json();
            let web = answer["tables"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["table"] == "web");
            assert_eq!(web.unwrap()["connections"], COUNT);
            println!(
                "redirect flows {options}: {took:.2?}, {} depend on second chance",
                answer["dependent"]
            );
        }
    }
    for (mut one, lines) in all {
        drop(one.stdin.take());
        one.wait().unwrap();
        drop(lines);
    }
}

const FIRST_PORT: u16 = 20_000;

/// One of the programs that hold connections, until its standard input ends.
#[test]
#[ignore = "part of the one above"]
fn holds_some() {
    let Ok(wanted) = std::env::var("GLB_HOLD") else {
        return;
    };
    let (holder, count) = wanted.split_once(' ').unwrap();
    let (holder, count): (u16, usize) = (holder.parse().unwrap(), count.parse().unwrap());
    let listener = TcpListener::bind((VIP4, FIRST_PORT + holder)).unwrap();
    let client = |n: usize| ip(&format!("10.2.{}.{}", n % 100, n / 100 % 250));
    let all: Vec<Both> = (0..count)
        .map(|n| connect(client(n), &listener, ip(VIP4)))
        .collect();
    println!("held");
    let _ = std::io::stdin().read(&mut [0]);
    drop(all);
}
