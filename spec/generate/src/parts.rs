// SPDX-License-Identifier: GPL-2.0

//! A part of a file that is made, between parts that are not.

use anyhow::{bail, Context, Result};

/// The text with what stands between `begin` and `end` replaced. Both must be there, once, and stay.
pub(crate) fn between(text: &str, begin: &str, end: &str, new: &str) -> Result<String> {
    let (before, rest) = text.split_once(begin).with_context(|| missing(begin))?;
    if rest.contains(begin) {
        bail!("it has this more than once: {begin:?}");
    }
    let (_, behind) = rest.split_once(end).with_context(|| missing(end))?;
    Ok(format!("{before}{begin}{new}{end}{behind}"))
}

fn missing(part: &str) -> String {
    format!("it lacks what stands beside the part that is made: {part:?}")
}

#[test]
fn only_the_part_changes() {
    let text = "a\n# begin\nold\n# end\nb\n# end\n";
    let new = between(text, "# begin\n", "# end\n", "new\n").unwrap();
    assert_eq!(new, "a\n# begin\nnew\n# end\nb\n# end\n");
    for (begin, end) in [
        ("# no\n", "# end\n"),
        ("# begin\n", "# no\n"),
        ("# end\n", "b"),
    ] {
        assert!(between(text, begin, end, "").is_err(), "{begin:?} {end:?}");
    }
}
