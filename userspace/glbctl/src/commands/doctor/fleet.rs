// SPDX-License-Identifier: GPL-2.0

//! The directors of a fleet, compared by what their `/metrics` say.

use super::finding::Findings;
use crate::http;
use std::collections::{BTreeMap, BTreeSet};

const CHECK: &str = "fleet";

/// What a director said.
pub(super) struct Page {
    pub(super) url: String,
    /// Names with labels and their values, or why there is no answer.
    pub(super) series: Result<BTreeMap<String, f64>, String>,
}

impl Page {
    pub(super) fn new(url: String, page: Result<String, String>) -> Self {
        let owned = |(name, value): (&str, f64)| (name.to_owned(), value);
        Self {
            url,
            series: page.map(|page| http::samples(&page).map(owned).collect()),
        }
    }
}

type Series<'a> = (&'a str, &'a BTreeMap<String, f64>);

pub(super) fn judge(pages: &[Page], out: &mut Findings) {
    let mut answers: Vec<Series<'_>> = Vec::new();
    for page in pages {
        match &page.series {
            Ok(series) => answers.push((&page.url, series)),
            Err(reason) => out.error(
                CHECK,
                format!("{}: {reason}", page.url),
                "see that glb-healthcheck runs there, and that listen in healthcheck.conf lets this machine ask",
            ),
        }
    }
    for one in &answers {
        alone(one, out);
    }
    if pages.len() < 2 {
        out.note(
            CHECK,
            "one director alone has nobody to be compared with",
            "--fleet URL URL...",
        );
        return;
    }
    compare_tables(&answers, out);
    same(
        &answers,
        "glb_director_config_info",
        "settings",
        "packets of one connection go to different proxies: the same hash_fields, alt_hash_fields and udp_port in director.conf everywhere, then systemctl reload glb-director",
        out,
    );
    for (name, what) in [
        ("glb_director_tables", "tables"),
        ("glb_director_binds", "binds"),
    ] {
        let counts: Vec<(&str, String)> = answers
            .iter()
            .filter_map(|(url, series)| Some((*url, series.get(name)?.to_string())))
            .collect();
        differ(
            &counts,
            what,
            "see the log of glb-director and glb-healthcheck where it is another",
            out,
        );
    }
    compare_health(&answers, out);
    same(
        &answers,
        "glb_healthcheck_build_info",
        "versions of glb-healthcheck",
        "",
        out,
    );
    if !out.is_bad(CHECK) {
        out.ok(
            CHECK,
            format!(
                "{} directors have the same tables, settings and health",
                answers.len()
            ),
        );
    }
}

/// What is wrong with a director whatever the others have.
fn alone((url, series): &Series<'_>, out: &mut Findings) {
    let value = |name: &str| series.get(name).copied();
    if value("glb_director_load").is_none() {
        out.error(
            CHECK,
            format!("{url}: rust_glb_director is not loaded there"),
            "systemctl start glb-director there",
        );
    }
    let cases = [
        (
            "glb_director_tables",
            "no table is loaded there",
            "glbctl table load, or systemctl start glb-director, there",
        ),
        (
            "glb_director_devices",
            "no device is attached there",
            "glbctl attach DEVICE there, and GLB_DEVICES",
        ),
        (
            "glb_healthcheck_source_valid",
            "its files have faults, and an older table stays in use",
            "glbctl table check there",
        ),
        (
            "glb_healthcheck_published",
            "what its checks found is not published",
            "the log of glb-healthcheck there says why",
        ),
    ];
    for (name, what, what_to_do) in cases {
        if value(name) == Some(0.0) {
            out.error(CHECK, format!("{url}: {what}"), what_to_do);
        }
    }
}

/// The value of a label.
fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = series
        .split_once(&format!("{{{name}=\""))
        .or_else(|| series.split_once(&format!(",{name}=\"")))?;
    let mut escaped = false;
    let end = rest.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(&rest[..end])
}

/// The series of a metric.
fn of<'a>(series: &'a BTreeMap<String, f64>, metric: &str) -> impl Iterator<Item = (&'a str, f64)> {
    let start = format!("{metric}{{");
    series
        .iter()
        .filter(move |(name, _)| name.starts_with(&start))
        .map(|(name, value)| (&**name, *value))
}

fn compare_tables(answers: &[Series<'_>], out: &mut Findings) {
    const METRIC: &str = "glb_healthcheck_table_info";
    let mut names = BTreeSet::new();
    let mut told: Vec<(&str, BTreeMap<&str, &str>)> = Vec::new();
    for (url, series) in answers {
        let tables: BTreeMap<&str, &str> = of(series, METRIC)
            .filter_map(|(name, _)| Some((label(name, "table")?, label(name, "digest")?)))
            .collect();
        if tables.is_empty() {
            out.note(
                CHECK,
                format!("{url}: tells no digest of its tables"),
                "install the glb-healthcheck of this release there",
            );
            continue;
        }
        names.extend(tables.keys().copied());
        told.push((url, tables));
    }
    for name in names {
        let digests: Vec<(&str, String)> = told
            .iter()
            .map(|(url, tables)| {
                let digest = tables.get(name).copied().unwrap_or("no such table");
                (*url, digest.to_owned())
            })
            .collect();
        differ(
            &digests,
            &format!("table {name}"),
            "connections break: copy the source table to every director and systemctl reload glb-healthcheck; in the midst of a roll-out, end it",
            out,
        );
    }
}

/// Which directors say of a backend that it is up, and which that it is down.
#[derive(Default)]
struct Said<'a> {
    up: Vec<&'a str>,
    down: Vec<&'a str>,
}

fn compare_health(answers: &[Series<'_>], out: &mut Findings) {
    const METRIC: &str = "glb_healthcheck_backend_marked_up";
    let mut health: BTreeMap<(&str, &str), Said<'_>> = BTreeMap::new();
    for (url, series) in answers {
        for (name, value) in of(series, METRIC) {
            let (Some(table), Some(backend)) = (label(name, "table"), label(name, "backend"))
            else {
                continue;
            };
            let both = health.entry((table, backend)).or_default();
            let side = if value == 0.0 {
                &mut both.down
            } else {
                &mut both.up
            };
            side.push(*url);
        }
    }
    for ((table, backend), Said { up, down }) in health {
        if !up.is_empty() && !down.is_empty() {
            out.warning(
                CHECK,
                format!("table {table}: {backend} is up by {} and down by {}", up.join(", "), down.join(", ")),
                "for longer than some seconds: the network between one of the directors and that proxy",
            );
        }
    }
}

/// The labels of a metric that has one series.
fn same(answers: &[Series<'_>], metric: &str, what: &str, what_to_do: &str, out: &mut Findings) {
    let labels: Vec<(&str, String)> = answers
        .iter()
        .filter_map(|(url, series)| {
            let (name, _) = of(series, metric).next()?;
            let labels = name.strip_prefix(metric)?;
            Some((*url, labels.trim_matches(['{', '}']).to_owned()))
        })
        .collect();
    if what_to_do.is_empty() {
        let different: BTreeSet<&String> = labels.iter().map(|(_, labels)| labels).collect();
        if different.len() > 1 {
            out.warning(
                CHECK,
                format!("{what} differ: {}", list(&labels)),
                "install one release everywhere",
            );
        }
    } else {
        differ(&labels, what, what_to_do, out);
    }
}

fn differ(values: &[(&str, String)], what: &str, what_to_do: &str, out: &mut Findings) {
    let different: BTreeSet<&String> = values.iter().map(|(_, value)| value).collect();
    if different.len() > 1 {
        out.error(
            CHECK,
            format!("{what}: directors differ: {}", list(values)),
            what_to_do,
        );
    }
}

fn list(values: &[(&str, String)]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|(url, value)| format!("{url} has {value}"))
        .collect();
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"glb_director_load 4
glb_director_tables 1
glb_director_binds 2
glb_director_devices 1
glb_director_config_info{hash_fields="src_addr",alt_hash_fields="none",udp_port="19523"} 1
glb_healthcheck_source_valid 1
glb_healthcheck_published 1
glb_healthcheck_build_info{version="0.1.0"} 1
glb_healthcheck_table_info{table="we\"b",digest="0123456789abcdef"} 1
glb_healthcheck_backend_marked_up{table="we\"b",backend="192.168.50.10"} 1
"#;

    fn found(pages: &[&str]) -> Vec<String> {
        let page = |(index, page): (usize, &&str)| {
            let answer = if page.is_empty() {
                Err("timed out".to_owned())
            } else {
                Ok((*page).to_owned())
            };
            Page::new(format!("d{index}"), answer)
        };
        let pages: Vec<Page> = pages.iter().enumerate().map(page).collect();
        let mut out = Findings::default();
        judge(&pages, &mut out);
        out.of(CHECK)
    }

    #[test]
    fn equal_directors_are_well() {
        // How often tables were loaded is each director's own affair.
        let other = GOOD.replace("glb_director_load 4", "glb_director_load 9");
        assert_eq!(found(&[GOOD, &other]), [] as [&str; 0]);
    }

    #[test]
    fn each_difference_is_told() {
        let cases = [
            ("0123456789abcdef", "1123456789abcdef", "error: table we\\\"b: directors differ: d0 has 0123456789abcdef, d1 has 1123456789abcdef"),
            ("table_info{table=\"we\\\"b\"", "table_info{table=\"api\"", "error: table api: directors differ: d0 has no such table"),
            ("hash_fields=\"src_addr\"", "hash_fields=\"src_addr,src_port\"", "error: settings: directors differ"),
            ("_binds 2", "_binds 3", "error: binds: directors differ: d0 has 2, d1 has 3"),
            ("50.10\"} 1", "50.10\"} 0", "warning: table we\\\"b: 192.168.50.10 is up by d0 and down by d1"),
            ("0.1.0", "0.2.0", "warning: versions of glb-healthcheck differ"),
            ("published 1", "published 0", "error: d1: what its checks found is not published"),
            ("valid 1", "valid 0", "error: d1: its files have faults"),
            ("_devices 1", "_devices 0", "error: d1: no device is attached there"),
            ("glb_director_load 4\n", "", "error: d1: rust_glb_director is not loaded there"),
        ];
        for (good, bad, told) in cases {
            assert!(GOOD.contains(good), "{good}");
            let found = found(&[GOOD, &GOOD.replace(good, bad)]);
            assert!(
                found.iter().any(|one| one.starts_with(told)),
                "{told}: {found:#?}"
            );
        }
        assert_eq!(found(&[GOOD, ""])[0], "error: d1: timed out");
        assert!(found(&[GOOD])[0].starts_with("note: one director alone"));
        assert!(found(&[GOOD, "glb_director_load 1\n"])
            .iter()
            .any(|one| one.starts_with("note: d1: tells no digest")));
    }
}
