// SPDX-License-Identifier: GPL-2.0

//! `/metrics`: what it says, and that Prometheus understands it.

use crate::backends::{backend, Web};
use crate::harness::{fast, table, Place};
use crate::loopback::{address, free_port};
use crate::wait::wait;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn metrics() {
    let place = Place::new("metrics");
    let webs = [Web::new(), Web::new(), Web::new()];
    let nobody = address();
    let mut backends: Vec<_> = webs.iter().map(Web::backend).collect();
    backends.push(backend(nobody, json!({"tcp": free_port(nobody)})));
    backends[2]["state"] = "draining".into();
    webs[0].set_status(500);
    webs[1].set_status(500);
    let text = table(&fast(), &backends).replace("\"web\"", r#""we\\b \"1\"""#);
    place.write("src.json", &text);
    place.configure(&json!({}));
    let daemon = place.start();
    wait("a publication", || (place.runs().len() == 1).then_some(()));
    let page = wait("the end of the publication", || {
        let page = daemon.get("/metrics").1;
        let end = "glb_healthcheck_reloads_total{outcome=\"success\"} 1";
        page.contains(end).then_some(page)
    });
    let samples = parse(&page);
    let table = r#"we\\b \"1\""#;
    let value = |name: &str, labels: &str| {
        let series = format!("{name}{labels}");
        *samples
            .get(&series)
            .unwrap_or_else(|| panic!("no {series} in:\n{page}"))
    };
    let of = |metric: &str| -> Vec<f64> {
        let ips = [webs[0].ip(), webs[1].ip(), webs[2].ip(), nobody];
        ips.map(|ip| value(metric, &format!("{{table=\"{table}\",backend=\"{ip}\"}}")))
            .to_vec()
    };
    assert_eq!(of("glb_healthcheck_backend_up"), [0.0, 0.0, 1.0, 0.0]);
    let marked: f64 = of("glb_healthcheck_backend_marked_up").iter().sum();
    let held: f64 = of("glb_healthcheck_backend_held_up").iter().sum();
    assert_eq!((marked, held), (2.0, 1.0));
    // What the table is told apart by is made from the operator's file alone, whatever the health.
    let config = glb_config::tables::read("src.json", &text).value.unwrap();
    let digest = config.tables[0].digest();
    let info = format!("{{table=\"{table}\",digest=\"{digest:016x}\"}}");
    assert_eq!(value("glb_healthcheck_table_info", &info), 1.0);
    let state = format!(
        "{{table=\"{table}\",backend=\"{}\",state=\"draining\"}}",
        webs[2].ip()
    );
    assert_eq!(value("glb_healthcheck_backend_state", &state), 1.0);
    assert!(
        value(
            "glb_healthcheck_checks_total",
            "{kind=\"http\",outcome=\"failure\"}"
        ) >= 2.0
    );
    assert!(
        value(
            "glb_healthcheck_checks_total",
            "{kind=\"tcp\",outcome=\"failure\"}"
        ) >= 1.0
    );
    assert_eq!(
        value(
            "glb_healthcheck_checks_total",
            "{kind=\"gue\",outcome=\"success\"}"
        ),
        0.0
    );
    let count = value(
        "glb_healthcheck_check_duration_seconds_count",
        "{kind=\"http\"}",
    );
    let all = value(
        "glb_healthcheck_check_duration_seconds_bucket",
        "{kind=\"http\",le=\"+Inf\"}",
    );
    assert_eq!(count, all);
    assert_eq!(value("glb_healthcheck_source_valid", ""), 1.0);
    assert_eq!(
        value("glb_healthcheck_reload_duration_seconds_count", ""),
        1.0
    );
    promtool(&page);
}

/// The text format, strictly: each metric has help and type before its samples, which stand together; no
/// series comes twice; histograms rise. Gives the samples by series.
fn parse(page: &str) -> HashMap<String, f64> {
    let mut samples = HashMap::new();
    let mut families = HashSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut bucket: Option<(String, f64)> = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a text of help");
            assert!(text.ends_with('.'), "{line}");
            let next = lines.next().unwrap_or_default();
            let told = next.strip_prefix(&format!("# TYPE {name} ")).expect(next);
            assert!(["counter", "gauge", "histogram"].contains(&told), "{next}");
            assert_eq!(told == "counter", name.ends_with("_total"), "{name}");
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            (family, kind) = (name.to_owned(), told.to_owned());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().expect(line);
        let name = series.split('{').next().unwrap();
        let legal = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(legal), "{line}");
        let rest = name.strip_prefix(family.as_str()).expect(line);
        match kind.as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&rest), "{line}"),
            _ => assert_eq!(rest, "", "{line}"),
        }
        if kind != "gauge" {
            assert!(value >= 0.0, "{line}");
        }
        if rest == "_bucket" {
            let (labels, _) = series.rsplit_once("le=").expect(line);
            if let Some((before, low)) = &bucket {
                assert!(before != labels || *low <= value, "{line} falls");
            }
            bucket = Some((labels.to_owned(), value));
        }
        assert!(
            samples.insert(series.to_owned(), value).is_none(),
            "{line} comes twice"
        );
    }
    samples
}

/// Prometheus' own opinion, where its tool is installed (package prometheus) or named by PROMTOOL.
fn promtool(page: &str) {
    let tool = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let child = Command::new(tool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("promtool was not asked: {error}");
            return;
        }
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}
