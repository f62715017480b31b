// SPDX-License-Identifier: GPL-2.0

//! The files that the documents show, by the readers of files: what an operator copies is good.

use glb_config::{director, healthcheck, tables, targets};
use glb_core::counter::Fate;
use glb_core::{director as decision, geneve, redirect};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The objects of JSON in the code blocks of the README and of the documents, each with its place.
fn shown() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("README.md")];
    paths.extend(
        fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    let mut found = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (mut fenced, mut block, mut begin) = (false, String::new(), 0);
        for (number, line) in text.lines().chain([""]).enumerate() {
            let fence = line.starts_with("```");
            fenced ^= fence;
            if !fence && (fenced || line.starts_with("    ")) {
                if block.is_empty() {
                    begin = number + 1;
                }
                block.push_str(line);
                block.push('\n');
                continue;
            }
            if block.trim_start().starts_with('{') {
                let place = format!("{}:{begin}", path.file_name().unwrap().to_string_lossy());
                let value =
                    serde_json::from_str(&block).unwrap_or_else(|error| panic!("{place}: {error}"));
                found.push((place, value));
            }
            block.clear();
        }
    }
    found
}

#[test]
fn files_in_the_documents_are_good() {
    let mut kinds = [0; 5];
    for (place, value) in shown() {
        let text = value.to_string();
        let (kind, issues) = if value.get("tables").is_some() {
            (0, tables::read(&place, &text).issues)
        } else if ["outbound_src_ip", "geneve"]
            .iter()
            .any(|name| value.get(name).is_some())
        {
            (1, director::read(&place, &text).issues)
        } else if value.get("services").is_some() {
            (3, targets::read(&place, &text).issues)
        } else if value.get("targets").is_some() {
            (4, targets::read_targets(&place, &text).issues)
        } else {
            (2, healthcheck::read(&place, &text).issues)
        };
        assert!(issues.is_empty(), "{issues:?}");
        kinds[kind] += 1;
    }
    assert!(kinds.iter().all(|&count| count > 0), "{kinds:?}");
}

/// A new verdict is a line in the core. What the compiler cannot ask for is asked for here: that operators are told of it.
#[test]
fn every_verdict_is_told_to_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let counters = read("docs/counters.md");
    let dashboard = read("tools/grafana/glb.json");
    let director = decision::Verdict::ALL
        .iter()
        .map(|verdict| ("director", verdict.counter(), verdict.fate()));
    let redirect = redirect::Verdict::ALL
        .iter()
        .map(|verdict| ("redirect", verdict.counter(), verdict.fate()));
    for (who, counter, fate) in director.chain(redirect) {
        let row = format!("\n| `{counter}` |");
        assert!(
            counters.contains(&row),
            "docs/counters.md has no row of the {who}'s {counter}"
        );
        let metric = format!("glb_{who}_{counter}_total");
        assert!(
            fate != Fate::Drop || dashboard.contains(&metric),
            "tools/grafana/glb.json does not show {metric}"
        );
    }
    let gateway = read("docs/gateway.md");
    for verdict in geneve::Verdict::ALL {
        let row = format!("| `{}` |", verdict.counter());
        assert!(gateway.contains(&row), "docs/gateway.md has no row {row}");
    }
}

/// Each row of VPP's list of features names a scenario that is there, and no scenario of such a row is left out.
#[test]
fn every_feature_of_vpp_has_its_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let text = read("docs/migration.md");
    let (_, section) = text.split_once("## From VPP's load balancer\n").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut named = Vec::new();
    for row in rows.filter(|row| !row.starts_with("| VPP |")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, _, scenario] = cells[..] else {
            panic!("not three cells: {row}");
        };
        let scenario = scenario.trim_matches('`');
        let Some((file, test)) = scenario
            .strip_prefix("lab/")
            .and_then(|name| name.split_once('/'))
        else {
            panic!("no scenario: {row}");
        };
        let tests = read(&format!("tests/lab/{file}.py"));
        assert!(
            tests.contains(&format!("\ndef test_{test}():")),
            "there is no {scenario}"
        );
        named.push(scenario.to_owned());
    }
    assert!(named.len() >= 15, "{named:?}");
    let services = read("tests/lab/director-services.py");
    let tests = services
        .lines()
        .filter_map(|line| line.strip_prefix("def test_")?.strip_suffix("():"));
    for test in tests {
        let scenario = format!("lab/director-services/{test}");
        assert!(
            named.contains(&scenario),
            "docs/migration.md has no row of {scenario}"
        );
    }
}
