// SPDX-License-Identifier: GPL-2.0

//! Writing the files that commands are told to write. `-` is standard output.

use crate::load::{self, is_standard};
use crate::output::Failure;
use glb_config::{atomic, Issue, Severity};
use std::io::{self, Write};
use std::path::Path;

/// Refuses to write a file that is read as well: under that name it would be gone.
pub(crate) fn refuse_source(sources: &[&Path], dst: &Path) -> Result<(), Failure> {
    let same = |src: &&&Path| !is_standard(dst) && atomic::same_file(place(src), dst);
    match sources.iter().find(same) {
        None => Ok(()),
        Some(src) => Err(Failure::Message(format!(
            "{}: is the same file as {}, whose contents would be lost under this name: name another one to write",
            dst.display(),
            load::name(src)
        ))),
    }
}

/// Where a file that is read is. The shell opens a file as standard input too.
fn place(src: &Path) -> &Path {
    if is_standard(src) {
        Path::new("/dev/stdin")
    } else {
        src
    }
}

/// Writes standard output, for what has no file.
pub(crate) fn standard_output(
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    fill(&mut out)?;
    out.flush()
}

/// Writes a file of text, whole or not at all.
pub(crate) fn text(dst: &Path, text: &str) -> Result<(), Failure> {
    let fill = |out: &mut dyn Write| out.write_all(text.as_bytes());
    let written = if is_standard(dst) {
        standard_output(fill)
    } else {
        atomic::write(dst, fill)
    };
    written.map_err(|error| failure(dst, &error))
}

/// What is not as it was with a file that was written.
pub(crate) fn warning(dst: &Path, reason: String) -> Issue {
    Issue {
        severity: Severity::Warning,
        file: dst.display().to_string(),
        table: None,
        field: String::new(),
        value: None,
        reason,
    }
}

/// What went wrong with a file that is written.
pub(crate) fn failure(dst: &Path, error: &io::Error) -> Failure {
    if is_standard(dst) {
        Failure::file(Path::new("standard output"), error)
    } else {
        Failure::file(dst, error)
    }
}
