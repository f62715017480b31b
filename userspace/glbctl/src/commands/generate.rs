// SPDX-License-Identifier: GPL-2.0

//! Completions and manual pages, from the command line's definition.

use crate::cli::{Cli, DirectorCli};
use crate::output::{print, Failure};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "glbctl", &mut script);
    print(false, &(), |out| out.write_all(&script))
}

pub(crate) fn man(dir: &Path) -> Result<(), Failure> {
    let made = std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .and_then(|()| clap_mangen::generate_to(DirectorCli::command(), dir));
    made.map_err(|error| Failure::file(dir, &error))
}
