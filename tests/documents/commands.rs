// SPDX-License-Identifier: GPL-2.0

//! The commands that the documents tell, for the tests of the programs that they name. Included by these with `#[path]`.

use std::fs;
use std::path::{Path, PathBuf};

/// A command of a document.
pub(crate) struct Told {
    /// Where, for whoever reads why a test failed.
    pub(crate) place: String,
    pub(crate) words: Vec<String>,
    /// In a code block, to be typed as it stands; else a sentence names it, and may leave arguments out.
    pub(crate) to_type: bool,
}

/// What documents write for something that only the reader knows, and a word in its place.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("CLIENT", "198.51.100.7:40000"),
    ("VIP:PORT", "10.10.10.10:80"),
    ("ADDRESS", "192.168.50.6"),
    ("N", "1"),
];

/// The README and all documents but records of decisions.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs")).expect("docs/ is there") {
        let path = entry.expect("docs/ can be read").path();
        if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All commands of the documents that begin with `program`.
pub(crate) fn told(program: &str) -> Vec<Told> {
    let mut found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document is text");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut fenced = false;
        let mut before = String::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let mut add = |text: &str, to_type: bool| {
                let (text, _) = text.split_once(" #").unwrap_or((text, ""));
                let Some(words) = shlex::split(text) else {
                    return;
                };
                found.extend(commands(&words, program).into_iter().map(|words| Told {
                    place: format!("{name}:{}: {text}", number + 1),
                    words,
                    to_type,
                }));
            };
            if fenced || line.starts_with("    ") {
                let line = std::mem::take(&mut before) + line;
                match line.strip_suffix('\\') {
                    Some(begin) => before = begin.to_owned(),
                    None => add(line.trim(), true),
                }
            } else {
                for span in line.split('`').skip(1).step_by(2) {
                    add(span, false);
                }
            }
        }
    }
    found
}

/// The commands of a line of the shell whose program it is, up to where their output goes.
fn commands(words: &[String], program: &str) -> Vec<Vec<String>> {
    words
        .split(|word| matches!(word.as_str(), "&&" | "||" | "|" | ";" | "or"))
        .filter(|words| words.first().is_some_and(|first| first == program))
        .map(|words| {
            let mine = words.iter().take_while(|word| !word.starts_with('>'));
            mine.map(|word| {
                let known = PLACEHOLDERS.iter().find(|(name, _)| name == word);
                known.map_or_else(|| word.clone(), |(_, value)| (*value).to_owned())
            })
            .collect()
        })
        .collect()
}
