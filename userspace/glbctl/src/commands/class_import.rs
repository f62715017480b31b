// SPDX-License-Identifier: GPL-2.0

//! `glbctl table import-nfqlb`: the lines that set flows of nfqlb -> classes, beside tables that have the names of its targets.

use crate::cli::table::TableImportNfqlb;
use crate::load::{self, is_standard};
use crate::output::{of_line, print_beside, warn, Failure};
use crate::save;
use glb_config::tables;
use serde::Serialize;
use serde_json::{json, Map, Value};

#[derive(Serialize)]
struct Imported {
    /// Nothing if it was a dry run.
    file: Option<String>,
    from: String,
    classes: usize,
}

pub(crate) fn run(args: &TableImportNfqlb, json: bool) -> Result<(), Failure> {
    load::only_one_standard_input(&[&args.file, &args.tables])?;
    save::refuse_source(&[&args.file, &args.tables], &args.output)?;
    let name = load::name(&args.file);
    let classes = read(&load::text(&args.file)?).map_err(|faults| {
        let issue = |(line, text, reason): &Fault| of_line(&name, *line, Some(text), reason);
        Failure::Issues(faults.iter().map(issue).collect())
    })?;
    let mut tree = load::config_with_classes(&args.tables, json)?.tree;
    let count = classes.len();
    let of_file = tree.get("classes").and_then(Value::as_array);
    if of_file.is_some_and(|classes| !classes.is_empty()) {
        let tables = load::name(&args.tables);
        let message = format!("{tables}: has classes already: take them out, or join both by hand");
        return Err(Failure::Message(message));
    }
    if let Some(root) = tree.as_object_mut() {
        root.insert("classes".to_owned(), Value::Array(classes));
    }
    let text = format!("{tree:#}\n");
    // What is written is what all other commands take.
    let checked = tables::read_with_classes(&load::name(&args.output), &text);
    let (_, warnings) = checked.into_result().map_err(Failure::Issues)?;
    warn(&warnings, json);
    if !args.dry_run {
        save::text(&args.output, &text)?;
    }
    let imported = Imported {
        file: (!args.dry_run).then(|| args.output.display().to_string()),
        from: name,
        classes: count,
    };
    let data = is_standard(&args.output) && !args.dry_run;
    print_beside(data, json, &imported, |out| {
        let file = imported.file.as_deref().unwrap_or("nothing was written");
        let plural = if count == 1 { "" } else { "es" };
        writeln!(out, "{file}: {count} class{plural} of {}", imported.from)
    })
}

/// A line that is not taken: its number, its text, and why.
type Fault = (usize, String, String);

/// The classes that are there after all lines that set or delete a flow. Other lines of a script are passed over.
fn read(text: &str) -> Result<Vec<Value>, Vec<Fault>> {
    // A flow's name, and its classes.
    let mut flows: Vec<(String, Vec<Value>)> = Vec::new();
    let mut faults = Vec::new();
    for (number, line) in joined(text) {
        let Some((command, options)) = command(&line) else {
            continue;
        };
        let said = words(options).and_then(|words| {
            if command == SET {
                let classes = flow(&words)?;
                let name = classes.first().and_then(|one| one.get("name")?.as_str());
                flows.push((name.unwrap_or_default().to_owned(), classes));
            } else {
                let deleted = deleted(&words)?;
                flows.retain(|(name, _)| name != deleted);
            }
            Ok(())
        });
        if let Err(reason) = said {
            faults.push((number, line, reason));
        }
    }
    match faults.is_empty() {
        true => Ok(flows.into_iter().flat_map(|(_, classes)| classes).collect()),
        false => Err(faults),
    }
}

const SET: &str = "flow-set";
const DELETE: &str = "flow-delete";

/// The command of a line, and what is behind it. What is before it is the program, whatever that is.
fn command(line: &str) -> Option<(&str, &str)> {
    let mut rest = line.trim_start();
    loop {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        match word {
            SET | DELETE => return Some((word, behind)),
            "" => return None,
            _ => rest = behind.trim_start(),
        }
    }
}

/// The name of the flow that a line deletes.
fn deleted(options: &[String]) -> Result<&str, String> {
    match options {
        [one] => one.strip_prefix("--name=").filter(|name| !name.is_empty()),
        _ => None,
    }
    .ok_or_else(|| "flow-delete: must have --name=NAME and nothing else".to_owned())
}

/// The lines with the numbers of their first parts and without comments; as for a shell, those that end with a backslash go on.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, before)) => before.push_str(line),
            None => lines.push((number, line.to_owned())),
        }
        let Some((_, last)) = lines.last_mut() else {
            continue;
        };
        // A comment ends with its line, whatever it ends with.
        let comment = comment_of(last);
        goes_on = comment.is_none() && last.ends_with('\\');
        last.truncate(comment.unwrap_or(last.len() - usize::from(goes_on)));
    }
    lines
}

/// Where a line's comment begins.
fn comment_of(line: &str) -> Option<usize> {
    let (mut quote, mut in_word) = (None, false);
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') if !in_word => return Some(at),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        in_word = quote.is_some() || !letter.is_whitespace();
    }
    None
}

/// The words of a line, as a shell takes them where it has nothing to put in. What it would put in is not known here.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '$' | '`' | '\\') | (None, ';') => {
                return Err(format!(
                    "{letter} means something to a shell, which is not asked here: write the value itself"
                ));
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        return Err(format!("{open} has no end"));
    }
    words.extend(word);
    Ok(words)
}

/// The classes of a flow: one, or two where it takes SCTP over UDP beside other protocols.
fn flow(words: &[String]) -> Result<Vec<Value>, String> {
    let mut class = Map::new();
    let mut encap = None;
    for word in words {
        let option = word
            .strip_prefix("--")
            .and_then(|word| word.split_once('='));
        let Some((name, value)) = option else {
            return Err(format!("{word}: options look like --name=value"));
        };
        let list = || -> Value { value.split(',').filter(|one| !one.is_empty()).collect() };
        let number = || {
            let number: Result<u32, _> = value.parse();
            number.map_err(|_| format!("--{name}: must be a number"))
        };
        let (field, value) = match name {
            "name" => ("name", json!(value)),
            "target" | "targetShm" => ("service", json!(value)),
            "prio" => ("priority", json!(number()?)),
            "protocols" | "proto" => ("proto", list()),
            "dsts" | "dst" => ("dst", list()),
            "srcs" | "src" => ("src", list()),
            "dports" | "dport" => ("dport", list()),
            "sports" | "sport" => ("sport", list()),
            "match" => ("match", list()),
            "udpencap" => {
                if encap.replace(number()?).is_some() {
                    return Err("--udpencap stands twice".to_owned());
                }
                continue;
            }
            _ => return Err(format!("--{name} is no option of a flow")),
        };
        if class.insert(field.to_owned(), value).is_some() {
            return Err(format!("--{name} stands twice"));
        }
    }
    // What nfqlb has no value for takes all.
    class.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    // 0 is none.
    let Some(port) = encap.filter(|port| *port != 0) else {
        return Ok(vec![Value::Object(class)]);
    };
    let protocols = class.get("proto").and_then(Value::as_array).cloned();
    let protocols = protocols.unwrap_or_default();
    let others: Vec<Value> = protocols
        .iter()
        .filter(|one| one.as_str() != Some("sctp"))
        .cloned()
        .collect();
    if others.len() == protocols.len() {
        return Err("--udpencap needs sctp among --protocols".to_owned());
    }
    let mut of_sctp = class.clone();
    of_sctp.insert("proto".to_owned(), json!(["sctp"]));
    of_sctp.insert("udp_encap".to_owned(), json!(port));
    if others.is_empty() {
        return Ok(vec![Value::Object(of_sctp)]);
    }
    class.insert("proto".to_owned(), json!(others));
    let name = class
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    of_sctp.insert("name".to_owned(), json!(format!("{name}-sctp")));
    Ok(vec![Value::Object(class), Value::Object(of_sctp)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_classes() {
        let text = "#!/bin/sh\n\
            nfqlb init --shm=web\n\
            nfqlb flow-set --name=web --target=web --prio=100 --protocols=tcp,udp \\\n\
            \x20 --dsts=10.0.0.0/32,1000::/128 --srcs= --dports=22,200-300 --sports=1024-65535\n\
            nfqlb flow-set --name=assoc --targetShm=a --proto=tcp,sctp --dport=4000 --udpencap=9899\n\
            # nfqlb flow-set --name=not\n\
            nfqlb flow-set --name=all --target=web --match=tcp[13:1]&2=2\n";
        let classes = read(text).expect("sound");
        assert_eq!(
            json!(classes),
            json!([
                {"name": "web", "service": "web", "priority": 100, "proto": ["tcp", "udp"],
                    "dst": ["10.0.0.0/32", "1000::/128"], "dport": ["22", "200-300"], "sport": ["1024-65535"]},
                {"name": "assoc", "service": "a", "proto": ["tcp"], "dport": ["4000"]},
                {"name": "assoc-sctp", "service": "a", "proto": ["sctp"], "dport": ["4000"], "udp_encap": 9899},
                {"name": "all", "service": "web", "match": ["tcp[13:1]&2=2"]}])
        );
    }

    fn names(text: &str) -> Vec<String> {
        let classes = read(text).expect("sound");
        let name = |class: &Value| class["name"].as_str().expect("a name").to_owned();
        classes.iter().map(name).collect()
    }

    #[test]
    fn a_comment_ends_with_its_line() {
        assert_eq!(
            names("# not this \\\nflow-set --name=a\nflow-set --name=b # nor this \\\nflow-set --name=c#d\n"),
            ["a", "b", "c#d"]
        );
        assert_eq!(names("flow-set --name=e \\\n# nor this\n"), ["e"]);
    }

    #[test]
    fn deleted_flows_are_no_classes() {
        let text =
            "nfqlb flow-set --name=a --proto=tcp,sctp --udpencap=9\nnfqlb flow-set --name=b\n\
            nfqlb flow-delete --name=a\nnfqlb flow-delete --name=none\nnfqlb flow-set --name=c\n";
        assert_eq!(names(text), ["b", "c"]);
    }

    #[test]
    fn quotes_are_a_shells() {
        let text = "flow-set --name=\"web\"\nflow-set '--name=a $b'\nflow-set --na\"me=c \"'#'\n\
            $nfqlb flow-set --name=d\necho $flow\n";
        assert_eq!(names(text), ["web", "a $b", "c #", "d"]);
    }

    #[test]
    fn each_fault_names_its_line() {
        for (line, reason) in [
            ("flow-set --name", "--name: options look like"),
            ("flow-set --color=red", "--color is no option"),
            ("flow-set --prio=x", "--prio: must be a number"),
            ("flow-set --dst=::1 --dsts=::2", "--dsts stands twice"),
            ("flow-set --proto=tcp --udpencap=1", "--udpencap needs sctp"),
            (
                "flow-set --proto=sctp --udpencap=0 --udpencap=1",
                "--udpencap stands twice",
            ),
            ("flow-set --name=$NAME", "$ means something"),
            ("flow-set --name=\"$NAME\"", "$ means something"),
            ("flow-set --name=`id`", "` means something"),
            ("flow-set --name=a\\ b", "\\ means something"),
            ("flow-set --name=a; true", "; means something"),
            ("flow-set --name='a", "' has no end"),
            ("flow-delete", "flow-delete: must have --name=NAME"),
            (
                "flow-delete --name= a",
                "flow-delete: must have --name=NAME",
            ),
        ] {
            let faults = read(&format!("\n{line}\n")).expect_err(line);
            let [(2, text, said)] = &faults[..] else {
                panic!("{faults:?}");
            };
            assert_eq!(text, line);
            assert!(said.starts_with(reason), "{said} and not {reason}");
        }
    }
}
