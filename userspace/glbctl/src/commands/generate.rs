// SPDX-License-Identifier: GPL-2.0

//! Completions and manual pages, from the command line's definition.

use crate::cli::deployed::DirectorCli;
use crate::cli::Cli;
use crate::output::{print, Failure};
use clap::{Command, CommandFactory};
use clap_complete::env::Shells;
use clap_complete::Shell;
use std::io;
use std::path::Path;

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    let name = shell.to_string();
    let shells = Shells::builtins();
    let completer = shells
        .completer(&name)
        .ok_or_else(|| Failure::Message(format!("{name}: there are no completions for it")))?;
    completer
        .write_registration("COMPLETE", "glbctl", "glbctl", "glbctl", &mut script)
        .map_err(|error| Failure::Message(format!("{name}: {error}")))?;
    print(false, &(), |out| out.write_all(&script))
}

pub(crate) fn man(dir: &Path) -> Result<(), Failure> {
    let made = std::fs::create_dir_all(dir)
        .and_then(|()| pages(Cli::command(), dir))
        .and_then(|()| pages(DirectorCli::command(), dir));
    made.map_err(|error| Failure::file(dir, &error))
}

/// A page for the command and each of its subcommands, in section 8: the programs are in sbin.
fn pages(command: Command, dir: &Path) -> io::Result<()> {
    fn page(command: Command, dir: &Path) -> io::Result<()> {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            page(sub.clone(), dir)?;
        }
        clap_mangen::Man::new(command)
            .section("8")
            .manual("GLB")
            .generate_to(dir)
            .map(drop)
    }
    // So that subcommands know their full names.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    page(command, dir)
}
