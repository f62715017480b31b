// SPDX-License-Identifier: GPL-2.0

//! Changing single values in the text of a file. Everything else stays as the operator wrote it: unknown
//! fields, the order of fields, line breaks, and every digit of numbers.

use std::ops::Range;

/// A step down a JSON tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The field of this name. Of several with one name it is the last, as for parsers.
    Field(&'a str),
    /// The item at this place.
    Item(usize),
}

/// Where the value at a path stands in the text of a JSON document; nothing if there is none, or if the text
/// is no JSON.
#[must_use]
pub fn find(text: &str, path: &[Step<'_>]) -> Option<Range<usize>> {
    let mut scanner = Scanner {
        text,
        at: text.len() - text.trim_start_matches('\u{feff}').len(),
    };
    scanner.value(path)?
}

/// Puts an item, JSON of one line, behind the last one of the array at this path, with the space between that
/// the others have. Nothing if there is no such array.
#[must_use]
pub fn push(text: &str, path: &[Step<'_>], item: &str) -> Option<String> {
    let array = find(text, path)?;
    text.get(array.clone())?.strip_prefix('[')?;
    let items = items(text, path);
    let (at, before) = match items.as_slice() {
        [] => {
            return Some(splice(text, array, &format!("[{item}]")));
        }
        [only] => {
            let space = text.get(array.start + 1..only.start)?;
            let space = if space.is_empty() { " " } else { space };
            (only.end, format!(",{space}"))
        }
        [.., other, last] => (last.end, text.get(other.end..last.start)?.to_owned()),
    };
    Some(splice(text, at..at, &format!("{before}{item}")))
}

/// Takes an item out of the array at this path. Nothing if there is no such item.
#[must_use]
pub fn remove(text: &str, path: &[Step<'_>], index: usize) -> Option<String> {
    let items = items(text, path);
    let item = items.get(index)?.clone();
    let place = match (items.get(index + 1), index.checked_sub(1)) {
        (Some(next), _) => item.start..next.start,
        (None, Some(other)) => items.get(other)?.end..item.end,
        (None, None) => return Some(splice(text, find(text, path)?, "[]")),
    };
    Some(splice(text, place, ""))
}

/// Where the items of an array stand.
fn items(text: &str, path: &[Step<'_>]) -> Vec<Range<usize>> {
    let item = |index| {
        let path: Vec<_> = path.iter().copied().chain([Step::Item(index)]).collect();
        find(text, &path)
    };
    (0..).map_while(item).collect()
}

fn splice(text: &str, place: Range<usize>, with: &str) -> String {
    let mut new = text.to_owned();
    new.replace_range(place, with);
    new
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    /// Goes over a value. Nothing if the text ends in it; else the place of what the path leads to from here.
    fn value(&mut self, path: &[Step<'_>]) -> Option<Option<Range<usize>>> {
        self.space();
        let start = self.at;
        let below = match self.peek()? {
            b'{' => self.object(path)?,
            b'[' => self.array(path)?,
            b'"' => {
                self.string()?;
                None
            }
            _ => {
                self.word()?;
                None
            }
        };
        Some(if path.is_empty() {
            Some(start..self.at)
        } else {
            below
        })
    }

    fn object(&mut self, path: &[Step<'_>]) -> Option<Option<Range<usize>>> {
        let mut found = None;
        self.at += 1;
        loop {
            self.space();
            match self.peek()? {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let name = self.string()?;
                    let name: String = serde_json::from_str(self.text.get(name)?).ok()?;
                    self.space();
                    if self.peek()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    match path {
                        [Step::Field(wanted), rest @ ..] if **wanted == *name => {
                            found = self.value(rest)?;
                        }
                        _ => self.skip()?,
                    }
                }
            }
        }
        self.at += 1;
        Some(found)
    }

    fn array(&mut self, path: &[Step<'_>]) -> Option<Option<Range<usize>>> {
        let mut found = None;
        let mut place = 0;
        self.at += 1;
        loop {
            self.space();
            match self.peek()? {
                b']' => break,
                b',' => self.at += 1,
                _ => {
                    match path {
                        [Step::Item(wanted), rest @ ..] if *wanted == place => {
                            found = self.value(rest)?;
                        }
                        _ => self.skip()?,
                    }
                    place += 1;
                }
            }
        }
        self.at += 1;
        Some(found)
    }

    /// Goes over a value that nothing is wanted of. Without recursion: brackets are counted.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            self.space();
            match self.peek()? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.word()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Goes over a string; returns its place, quotes included.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }

    /// Goes over a number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<()> {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#" { "a\"}": [1, {"b": "]"}, [], "x,y"],
        "tables": [ {"name": "t", "n": -1.5e+3, "state": "one", "s\u0074ate": "two"}, {} ] , "end":null}"#;

    fn at(path: &[Step<'_>]) -> Option<&'static str> {
        find(TEXT, path).map(|place| &TEXT[place])
    }

    #[test]
    fn places() {
        use Step::{Field, Item};
        assert_eq!(at(&[Field("a\"}"), Item(1), Field("b")]), Some("\"]\""));
        assert_eq!(at(&[Field("a\"}"), Item(2)]), Some("[]"));
        assert_eq!(at(&[Field("a\"}"), Item(3)]), Some("\"x,y\""));
        assert_eq!(at(&[Field("tables"), Item(0), Field("n")]), Some("-1.5e+3"));
        // The last of two fields of one name, however it is written.
        assert_eq!(
            at(&[Field("tables"), Item(0), Field("state")]),
            Some("\"two\"")
        );
        assert_eq!(at(&[Field("tables"), Item(1)]), Some("{}"));
        assert_eq!(at(&[Field("end")]), Some("null"));
        assert_eq!(at(&[Field("tables"), Item(2)]), None);
        assert_eq!(at(&[Field("end"), Field("x")]), None);
        assert_eq!(at(&[]), Some(TEXT.trim()));
    }

    #[test]
    fn broken_text_ends_the_search() {
        for end in 0..TEXT.len() {
            if TEXT.is_char_boundary(end) {
                let _ = find(&TEXT[..end], &[Step::Field("end")]);
            }
        }
        for text in ["", "{", "{\"a\"", "{\"a\":}", "]", "[}", "{\"a\": \"\\"] {
            assert_eq!(
                find(text, &[Step::Field("a"), Step::Item(0)]),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn items_come_and_go() {
        let path = [Step::Field("a")];
        for (before, after) in [
            ("{\"a\": []}", "{\"a\": [7]}"),
            ("{\"a\": [ ]}", "{\"a\": [7]}"),
            ("{\"a\": [1]}", "{\"a\": [1, 7]}"),
            ("{\"a\": [1,2]}", "{\"a\": [1,2,7]}"),
            (
                "{\"a\": [\n  1,\n  {\"b\": []}\n]}",
                "{\"a\": [\n  1,\n  {\"b\": []},\n  7\n]}",
            ),
            ("{\"a\": [\n  1\n]}", "{\"a\": [\n  1,\n  7\n]}"),
        ] {
            assert_eq!(push(before, &path, "7").as_deref(), Some(after));
        }
        for (before, index, after) in [
            ("{\"a\": [1]}", 0, "{\"a\": []}"),
            ("{\"a\": [1, 2, 3]}", 0, "{\"a\": [2, 3]}"),
            ("{\"a\": [1, 2, 3]}", 1, "{\"a\": [1, 3]}"),
            ("{\"a\": [\n 1,\n 2\n]}", 1, "{\"a\": [\n 1\n]}"),
        ] {
            assert_eq!(remove(before, &path, index).as_deref(), Some(after));
        }
        assert_eq!(push("{\"a\": 1}", &path, "7"), None);
        assert_eq!(push("{}", &path, "7"), None);
        assert_eq!(remove("{\"a\": [1]}", &path, 1), None);
    }
}
